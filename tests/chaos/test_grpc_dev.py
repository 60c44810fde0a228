"""gRPC of masters as a user opens it: `hbeacon dev --grpc`, every method of it, and a master that is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from protos.hbeacon import RegistryV1_pb2 as pb
from protos.hbeacon.RegistryV1_pb2_grpc import RegistryStub
from registry.grpcface.service import LOOKUPS
from tests.support.dev import DevProcess
from tests.support.processes import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


def test_masters_answer_over_grpc_and_again_after_a_kill(tmp_path: Path) -> None:
    dev = DevProcess(tmp_path / "dev.log", "--grpc", "127.0.0.1:0", env={"TMPDIR": str(tmp_path)})
    try:
        dev.wait_ready()
        doors = dict(word.split("=", 1) for word in dev.lines[0].split() if "=" in word)["grpc"].split(",")
        assert len(doors) == 2
        with grpc.insecure_channel(doors[0]) as first, grpc.insecure_channel(doors[1]) as second:
            stubs: list[Any] = [cast("Any", RegistryStub)(channel) for channel in (first, second)]
            wanted = pb.Freshness(fresh=True)
            for stub in stubs:
                for method in LOOKUPS:
                    request = getattr(pb, f"{method}Request")(freshness=wanted)
                    answer = getattr(stub, method)(request, timeout=10)
                    assert answer.complete
                    if method == "GetClusterId":
                        assert answer.cluster_id.cluster_id == dev.cluster_id
            stream = stubs[1].WatchRegistry(pb.WatchRegistryRequest())
            assert next(stream).kind == pb.WatchRegistryResponse.SNAPSHOT
            os.kill(dev.pid("master0"), signal.SIGKILL)

            def answers() -> bool:
                try:
                    stubs[0].GetClusterId(pb.GetClusterIdRequest(), timeout=2)
                except grpc.RpcError:
                    return False
                return True

            wait_for("the killed master's gRPC", answers, 30)
            stubs[0].GetMetaRegionLocations(pb.GetMetaRegionLocationsRequest(freshness=wanted), timeout=10)
            stream.cancel()
    finally:
        dev.process.stop()
