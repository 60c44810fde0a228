"""Our client and our server over a real socket: they agree on what each has its own tests for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from registry.clock import SystemClock
from registry.lookup.snapshot import Version
from registry.names import Address
from registry.rpc.client import RpcChannel, fetch_cluster_id
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from registry.wire.errors import ConnectionClosedException, DoNotRetryIOException
from registry.wire.stamp import Stamp, encode_stamp
from tests.support.registry import CLUSTER_ID, MASTER, META, bodies, connection_to

pytestmark = pytest.mark.usefixtures("nothing_blocks_the_loop")

SERVICE = "ClientMetaService"


@asynccontextmanager
async def registry_server(*, cluster_id: str | None = CLUSTER_ID) -> AsyncGenerator[tuple[RpcServer, Address]]:
    server = RpcServer(RpcServerSettings(), ServiceTable(), SystemClock())
    server.set_ready(SERVICE, bodies())
    server.set_cluster_id(cluster_id)
    zxids = iter(range(100, 1000))
    server.set_version_stamp(lambda method: encode_stamp(Stamp(1, next(zxids), 5.0, len(method))))
    address = await server.start("127.0.0.1", 0)
    try:
        yield server, address
    finally:
        await server.stop()


async def test_look_ups_with_version_and_age() -> None:
    async with registry_server() as (_, address), connection_to(address) as cluster:
        first = await cluster.cluster_id()
        assert first.value == CLUSTER_ID
        assert (first.version, first.age_ms, first.changed_zxid) == (Version(1, 100), 5.0, len("GetClusterId"))
        assert (await cluster.active_master()).value == MASTER
        (location,) = (await cluster.meta_locations()).value
        assert location.server_name == META
        assert (await cluster.bootstrap_nodes()).value == ()


async def test_a_changed_answer_is_seen_when_asked_again() -> None:
    async with registry_server() as (server, address), connection_to(address) as cluster:
        answer = await cluster.active_master()
        moved = MASTER.__class__("m9", 16000, 7)
        server.set_ready(SERVICE, bodies(master=moved))
        assert (await cluster.active_master()).value == MASTER, "kept until it is called stale"
        assert cluster.stale(answer)
        renewed = await cluster.active_master()
        assert renewed.value == moved
        assert renewed.version is not None
        assert answer.version is not None
        assert renewed.version > answer.version


async def test_preamble() -> None:
    async with registry_server() as (_, address):
        assert await fetch_cluster_id(address, 2000) == CLUSTER_ID
    async with registry_server(cluster_id=None) as (_, address):
        assert await fetch_cluster_id(address, 2000) is None, "not known yet: the complaint of an old server"


async def test_hundreds_of_calls_at_once_on_one_connection() -> None:
    async with registry_server() as (_, address), await RpcChannel.connect(address, SERVICE) as channel:
        answers = await asyncio.gather(*(channel.call_bytes("GetClusterId", b"") for _ in range(500)))
        assert {answer.message for answer in answers} == {bodies()["GetClusterId"]}


async def test_unknown_service_and_unknown_method() -> None:
    async with registry_server() as (_, address):
        async with await RpcChannel.connect(address, "NoSuchService") as channel:
            with pytest.raises(ConnectionClosedException):
                await channel.call_bytes("GetClusterId", b"")
        async with await RpcChannel.connect(address, SERVICE) as channel:
            with pytest.raises(DoNotRetryIOException):
                await channel.call_bytes("NoSuchMethod", b"")
            assert (await channel.call_bytes("GetClusterId", b"")).message


async def test_a_server_that_stops_is_left_for_another() -> None:
    async with (
        registry_server() as (server_one, one),
        registry_server() as (server_two, two),
        connection_to(one, two) as cluster,
    ):
        first = (await cluster.cluster_id()).server
        await (server_one if first == str(one) else server_two).stop()
        cluster.refresh()
        answer = await cluster.cluster_id(timeout_ms=3000)
        assert answer.value == CLUSTER_ID
        assert answer.server == str(two if first == str(one) else one)
