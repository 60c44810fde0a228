"""The RPC server over real sockets, on both loops: what its clients may not have too much of, or too slowly."""

from __future__ import annotations

import asyncio
import socket

import pytest

from registry.rpc.context import RpcServerSettings
from registry.rpc.scheduler import SchedulerSettings
from registry.wire.calls import encode_answer, encode_request
from tests.support.clock import ManualClock
from tests.support.rpc import BODIES, SERVICE, RawClient, eventually, hello, serving
from tests.support.rpc_service import Service, ask


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (RpcServerSettings(connections_max=2), "total"),
        (RpcServerSettings(connections_per_peer_max=2), "peer"),
    ],
    ids=["total", "peer"],
)
async def test_connections_are_limited(settings: RpcServerSettings, reason: str) -> None:
    async with serving(settings=settings) as (server, port):
        first, second = [await RawClient.connect(port, hello()) for _ in range(2)]
        await eventually(lambda: server.stats.connections_open == 2)
        third = await RawClient.connect(port, hello() + encode_request(1, "GetClusterId", b""))
        assert await third.rest() == b""
        assert server.stats.connections_refused == {reason: 1}
        await third.close()
        await first.close()
        await eventually(lambda: server.stats.connections_open == 1)
        fourth = await RawClient.connect(port, hello() + encode_request(1, "GetClusterId", b""))
        assert (await fourth.answer()).message == BODIES["GetClusterId"]
        await second.close()
        await fourth.close()


async def test_idle_connections_and_slow_handshakes_are_closed() -> None:
    service, clock = Service(), ManualClock()
    settings = RpcServerSettings(idle_timeout_ms=60_000, handshake_timeout_ms=5000, sweep_interval_ms=3_600_000)
    async with serving(service.table, settings, clock) as (server, port):
        idle = await RawClient.connect(port, hello())
        asking = await RawClient.connect(port, hello())
        waiting = await RawClient.connect(port, hello("MasterService") + ask(1, "Later", 1))
        slow = await RawClient.connect(port, b"HBas")
        await eventually(lambda: server.stats.connections_open == 4 and server.stats.calls_executing == 1)
        clock.advance(5001)
        slow.send(b"\0")  # a trickle is no handshake
        await asyncio.sleep(0.02)
        server.sweep()
        assert await slow.rest() == b""
        asking.send(encode_request(1, "GetMasters", b""))
        await asking.answer()
        clock.advance(55_000)
        server.sweep()
        assert await idle.rest() == b""
        assert (server.stats.slow_handshakes_closed, server.stats.idle_closed) == (1, 1)
        assert await asking.is_silent(20)
        service.gate.set()
        assert (await waiting.answer()).call_id == 1
        for client in (idle, asking, waiting, slow):
            await client.close()


async def test_calls_of_one_connection_are_limited_and_then_go_on() -> None:
    service = Service()
    settings = RpcServerSettings(
        calls_outstanding_max=4, scheduler=SchedulerSettings(handlers_max=100, calls_per_handler_max=1)
    )
    async with serving(service.table, settings) as (server, port):
        calls = b"".join(ask(n, "Later", n) for n in range(1, 51))
        client = await RawClient.connect(port, hello("MasterService") + calls)
        await eventually(lambda: server.stats.calls_executing == 4)
        await asyncio.sleep(0.02)
        assert server.stats.calls_executing == 4, "the rest is not even read"
        service.gate.set()
        assert sorted([(await client.answer()).call_id for _ in range(50)]) == list(range(1, 51))
        await client.close()


async def test_a_peer_that_does_not_read_is_not_read_from_and_then_closed() -> None:
    clock = ManualClock()
    settings = RpcServerSettings(slow_reader_timeout_ms=10_000, sweep_interval_ms=3_600_000)
    async with serving(settings=settings, clock=clock) as (server, port):
        server.set_ready(SERVICE, {"GetMasters": bytes(50_000)})
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        sending = loop.create_task(loop.sock_sendall(slow, hello() + encode_request(1, "GetMasters", b"") * 500_000))
        await eventually(lambda: server.stats.sent_bytes > 100_000)
        await asyncio.sleep(0.2)
        sent_bytes = server.stats.sent_bytes
        assert sent_bytes < 12_000_000, "a few answers fill the kernel's buffers, then it stops"
        other = await RawClient.connect(port, hello() + encode_request(1, "GetMasters", b""))
        assert len((await other.answer()).message) == 50_000
        clock.advance(10_001)
        server.sweep()
        await eventually(lambda: server.stats.slow_readers_closed == 1)
        await eventually(lambda: server.stats.connections_open == 1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        slow.close()
        await other.close()


async def test_a_slow_reader_gets_every_answer() -> None:
    async with serving() as (_, port):
        count = 60_000
        client = await RawClient.connect(port, hello())
        requests = b"".join(encode_request(n % 200, "GetMasters", b"") for n in range(count))
        expected = b"".join(encode_answer(n % 200, BODIES["GetMasters"]) for n in range(count))

        async def send() -> None:
            for offset in range(0, len(requests), 100_003):
                client.send(requests[offset : offset + 100_003])
                await client.writer.drain()

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.1)
        got = bytearray()
        while len(got) < len(expected):
            got += await client.reader.read(30_011)
            if len(got) % 7 == 0:
                await asyncio.sleep(0.0005)
        await sending
        assert got == expected
        await client.close()
