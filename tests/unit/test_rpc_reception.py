"""Connections that are served on their bare socket, and what makes them move to a transport of the loop."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct

import pytest

from protos.hbase import RPC_pb2
from registry.rpc import reception
from registry.rpc.context import RpcServerSettings
from registry.rpc.services import Call, ServiceTable
from registry.wire.calls import encode_answer, encode_request
from registry.wire.framing import encode_length
from tests.support.rpc import BODIES, RawClient, eventually, hello, serving

LOOK_UP = encode_request(1, "GetMasters", b"")
ANSWER = encode_answer(1, BODIES["GetMasters"])


async def test_who_asks_once_needs_no_transport() -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, hello() + LOOK_UP)
        assert await client.read(len(ANSWER)) == ANSWER
        assert server.visits == 1
        await client.close()
        await eventually(lambda: not server.stats.connections_open)
        assert server.visits == 0
        assert server.stats.connections_closed == 1


async def test_who_asks_again_gets_one_and_loses_nothing() -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, hello() + LOOK_UP)
        assert await client.read(len(ANSWER)) == ANSWER
        for _ in range(3):
            client.send(LOOK_UP)
            assert await client.read(len(ANSWER)) == ANSWER
        assert server.visits == 0
        assert server.stats.connections_open == 1
        assert server.stats.connections_accepted == 1


async def test_what_follows_in_pieces_while_it_moves_comes_in_order() -> None:
    """Bytes that arrive while the loop makes the transport must not overtake those that made it necessary."""
    async with serving() as (_, port):
        client = await RawClient.connect(port, hello() + LOOK_UP)
        assert await client.read(len(ANSWER)) == ANSWER
        stream = b"".join(encode_request(number, "GetMasters", b"") for number in range(2, 300))
        for begin in range(0, len(stream), 37):
            client.send(stream[begin : begin + 37])
            if begin % 5 == 0:
                await asyncio.sleep(0)
        wanted = b"".join(encode_answer(number, BODIES["GetMasters"]) for number in range(2, 300))
        assert await client.read(len(wanted)) == wanted


async def test_a_first_segment_that_comes_late_or_in_pieces() -> None:
    async with serving(settings=RpcServerSettings(defer_accept=False)) as (server, port):
        client = await RawClient.connect(port)
        await eventually(lambda: server.visits == 1)
        whole = hello() + LOOK_UP
        for byte in whole:
            client.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert await client.read(len(ANSWER)) == ANSWER


async def test_a_call_of_a_handler_is_answered_on_either() -> None:
    """The answer may come while the connection is on its bare socket, on its way, or on a transport."""
    gates = [asyncio.Event() for _ in range(2)]

    async def wait(call: Call) -> bytes:
        await gates[call.call_id].wait()
        return b""

    table = ServiceTable()
    table.add("Slow", "Wait", RPC_pb2.CellBlockMeta, wait)
    async with serving(table) as (server, port):
        client = await RawClient.connect(port, hello("Slow") + encode_request(0, "Wait", b""))
        await eventually(lambda: server.visits == 1 and server.stats.calls_executing == 1)
        client.send(encode_request(1, "Wait", b""))
        await eventually(lambda: server.visits == 0)
        gates[1].set()
        assert (await client.answer()).call_id == 1
        gates[0].set()
        assert (await client.answer()).call_id == 0


async def test_a_first_segment_larger_than_one_read() -> None:
    async with serving() as (_, port):
        count = 6000
        client = await RawClient.connect(port, hello() + LOOK_UP * count)
        assert await client.read(len(ANSWER) * count) == ANSWER * count


async def test_who_does_not_read_gets_the_rest_from_the_transport() -> None:
    table = ServiceTable()
    body = bytes(4 << 20)
    table.add("Large", "Get", RPC_pb2.CellBlockMeta, lambda call: body)
    async with serving(table) as (_, port):
        client = await RawClient.connect(port, hello("Large") + encode_request(1, "Get", b""))
        await asyncio.sleep(0.1)
        wanted = encode_answer(1, body)
        assert await client.read(len(wanted)) == wanted


async def test_a_reset_while_it_is_silent_is_noticed() -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, hello() + LOOK_UP)
        assert await client.read(len(ANSWER)) == ANSWER
        writer: asyncio.StreamWriter = client.writer
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.reset()
        await eventually(lambda: not server.stats.connections_open)


async def test_registry_is_told_without_a_connection_and_still_counted() -> None:
    async with serving() as (server, port):
        for _ in range(3):
            client = await RawClient.connect(port, b"Regist")
            assert (await client.rest())[4:6] == b"\x06\x08"
            await client.close()
        stats = server.stats
        assert (stats.preambles["Regist"], stats.connections_accepted, stats.connections_closed) == (3, 3, 3)
        assert stats.connections_open == 0


async def test_out_of_files_it_waits_instead_of_turning(monkeypatch: pytest.MonkeyPatch) -> None:
    """accept(2) fails at once again and again when no file may be opened: a loop that asks on takes all of a core."""
    monkeypatch.setattr(reception, "EXHAUSTED_PAUSE_S", 0.05)
    async with serving() as (server, port):
        asked = 0
        accept = socket.socket.accept

        def refuse(listener: socket.socket) -> object:
            nonlocal asked
            asked += 1
            if asked <= 2:
                raise OSError(errno.EMFILE, "Too many open files")
            return accept(listener)

        monkeypatch.setattr(socket.socket, "accept", refuse)
        client = await RawClient.connect(port, hello() + LOOK_UP)
        assert await client.read(len(ANSWER)) == ANSWER
        assert asked <= 4
        assert server.visits == 1


async def test_noise_after_the_first_segment_closes_it_only() -> None:
    async with serving() as (server, port):
        other = await RawClient.connect(port, hello() + LOOK_UP)
        assert await other.read(len(ANSWER)) == ANSWER
        client = await RawClient.connect(port, hello() + LOOK_UP)
        assert await client.read(len(ANSWER)) == ANSWER
        client.send(encode_length(1 << 30) + bytes(40))
        await client.rest()
        await eventually(lambda: server.stats.connections_open == 1)
        other.send(LOOK_UP)
        assert await other.read(len(ANSWER)) == ANSWER


async def test_a_stop_ends_visits_and_those_that_move() -> None:
    async with serving() as (server, port):
        clients = [await RawClient.connect(port, hello() + LOOK_UP) for _ in range(20)]
        for client in clients:
            assert await client.read(len(ANSWER)) == ANSWER
        for client in clients[::2]:
            client.send(LOOK_UP)
        await asyncio.sleep(0)
        await server.stop()
        assert server.stats.connections_open == 0
        for client in clients:
            await client.rest()
