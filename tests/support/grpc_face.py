"""The gRPC face of a server whose ZooKeeper answers when a test says so, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest

from protos.hbeacon.RegistryV1_pb2_grpc import RegistryStub
from registry.faults.control import FaultControl
from registry.grpcface.server import GrpcServer, GrpcSettings
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.handout import HandOut
from registry.lookup.snapshot import Fact, FactState, Snapshot, Version
from registry.names import Address
from tests.support.clock import ManualClock
from tests.support.fresh import ScriptedSource
from tests.support.status import ACTIVE, STANDBY, small_snapshot

LISTS = HandOut((ACTIVE, STANDBY), ACTIVE, (STANDBY,), "tier")


class Face:
    """One server; `registry` is a stub."""

    def __init__(
        self,
        settings: GrpcSettings | None = None,
        snapshot: Snapshot | None = None,
        faults: FaultControl | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.source = ScriptedSource(self.clock, snapshot)
        self.refusing = False
        self.ready = True
        self.reader = FreshReader(self.source, self.clock, lambda: 2000.0, lambda: self.refusing)
        self.server = GrpcServer(
            settings or GrpcSettings(),
            self.source.snapshot,
            LISTS,
            self.source.age_ms,
            self.reader,
            lambda: self.ready,
            faults,
        )
        self.channel: Any = None
        self.address = ""
        self.registry: Any = None

    def move_cluster(self, number: int, zxid: int, *, generation: int = 1) -> None:
        """The cluster id changes, and nothing else."""
        cluster_id: Fact[str] = Fact(FactState.KNOWN, "/hbase/hbaseid", f"cluster-{number}", zxid)
        version = Version(generation, zxid)
        self.source.snapshot = replace(self.source.snapshot, version=version, cluster_id=cluster_id)
        self.server.publish(self.source.snapshot, LISTS)

    def move_version(self, zxid: int) -> None:
        """Something changed that no look-up tells."""
        self.server.publish(self.source.at(zxid), LISTS)


@asynccontextmanager
async def serving(
    settings: GrpcSettings | None = None, snapshot: Snapshot | None = None, faults: FaultControl | None = None
) -> AsyncGenerator[Face]:
    """A server and a channel to it; both end with the block."""
    face = Face(settings, snapshot or small_snapshot(), faults)
    port = await face.server.start(Address("127.0.0.1", 0))
    face.address = f"127.0.0.1:{port}"
    try:
        async with grpc.aio.insecure_channel(face.address) as face.channel:
            face.registry = cast("Any", RegistryStub)(face.channel)
            yield face
    finally:
        await face.server.stop()


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    """Code and sentence of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""
