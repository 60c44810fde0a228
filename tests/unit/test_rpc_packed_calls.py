"""Connections whose cell blocks are compressed, over real sockets: handlers and callers see them plain."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from protos.hbase import HBase_pb2, RPC_pb2
from registry.names import Address
from registry.rpc import packed_calls
from registry.rpc.client import RpcChannel
from registry.rpc.context import RpcServerSettings
from registry.rpc.packed_calls import AT_ONCE_BYTES_MAX
from registry.rpc.server import RpcServer
from registry.rpc.services import Answer, Call, ServiceTable
from registry.wire.calls import encode_request
from registry.wire.compression import COMPRESSORS, Compression
from registry.wire.errors import CallQueueTooBigException, DoNotRetryIOException, RequestTooBigException
from registry.wire.header import KEY_VALUE_CODEC, encode_connection_header
from registry.wire.limits import WireLimits
from tests.support.rpc import RawClient, serving

SERVICE = "ClientService"
NAMES = sorted(COMPRESSORS)
SHORT = [name.rpartition(".")[2] for name in NAMES]
GZIP = "org.apache.hadoop.io.compress.GzipCodec"
TABLE = cast("dict[str, Compression]", COMPRESSORS)
SIZES = (0, 1, 1000, AT_ONCE_BYTES_MAX, AT_ONCE_BYTES_MAX + 1, 3_000_000)


class Seen:
    """What the handler met: cells, and sizes of requests as they count."""

    def __init__(self) -> None:
        self.cells: list[bytes] = []
        self.frame_bytes: list[int] = []

    def handle(self, call: Call) -> Answer:
        self.cells.append(call.cells)
        self.frame_bytes.append(call.frame_bytes)
        return Answer(b"", call.cells[::-1])


def at_once(*asked: object) -> tuple[bytes, bytes]:
    """Whatever is asked."""
    return b"", b"at once"


@asynccontextmanager
async def echo(bytes_max: int = 1 << 24) -> AsyncGenerator[tuple[RpcServer, int, Seen]]:
    seen, table = Seen(), ServiceTable()
    table.add(SERVICE, "Echo", RPC_pb2.CellBlockMeta, seen.handle)
    table.add(
        SERVICE, "AtOnce", RPC_pb2.CellBlockMeta, lambda call: Answer(b"", b"handler"),
        at_once=at_once,
    )  # fmt: skip
    settings = RpcServerSettings(limits=WireLimits(frame_bytes_max=bytes_max))
    async with serving(table, settings) as (server, port):
        yield server, port, seen


def channel_to(port: int, compressor: str, limits: WireLimits | None = None) -> asyncio.Future[RpcChannel]:
    version = HBase_pb2.VersionInfo(version="2.6.4", url="", revision="", user="", date="", src_checksum="")
    return asyncio.ensure_future(
        RpcChannel.connect(
            Address("127.0.0.1", port), SERVICE, cell_block_codec=KEY_VALUE_CODEC, compressor=compressor,
            version=version, limits=limits,
        )
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=SHORT)
async def test_cells_come_and_go_as_they_were(name: str) -> None:
    async with echo() as (_, port, seen), await channel_to(port, name) as channel:
        plain = [bytes(index % 251 for index in range(size)) for size in SIZES]
        for _ in range(2):  # the first goes by a thread, where the library is loaded
            for cells in plain:
                answer = await channel.call_bytes("Echo", b"", cells=cells)
                assert answer.cells == cells[::-1]
        assert seen.cells == plain * 2
        assert all(count >= len(cells) for count, cells in zip(seen.frame_bytes, seen.cells, strict=True))
        answers = await asyncio.gather(*[channel.call_bytes("Echo", b"", cells=cells) for cells in plain])
        assert [answer.cells for answer in answers] == [cells[::-1] for cells in plain]


async def test_what_is_answered_at_once_is_compressed_too() -> None:
    async with echo() as (_, port, _):
        for compressor, expected in ((GZIP, b"handler"), ("", b"at once")):
            async with await channel_to(port, compressor) as channel:
                await channel.call_bytes("AtOnce", b"")  # with the connection header, and so the longer way
                for _ in range(3):
                    assert (await channel.call_bytes("AtOnce", b"")).cells == expected


async def packed_client(port: int, compressor: str) -> RawClient:
    header = encode_connection_header(
        SERVICE, "root", cell_block_codec=KEY_VALUE_CODEC, cell_block_compressor=compressor
    )
    return await RawClient.connect(port, b"HBas\0P" + header)


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
async def test_in_any_pieces(piece_bytes: int) -> None:
    cells = b"cells of a request" * 10
    codec = COMPRESSORS[GZIP]
    async with echo() as (_, port, _):
        client = await packed_client(port, GZIP)
        data = b"".join(encode_request(number, "Echo", b"", cells=codec.compress(cells)) for number in range(3))
        for begin in range(0, len(data), piece_bytes):
            client.send(data[begin : begin + piece_bytes])
            await asyncio.sleep(0)
        answers = [await client.answer() for _ in range(3)]
        assert sorted(answer.call_id for answer in answers) == [0, 1, 2]
        assert {codec.decompress(answer.cells, 1000) for answer in answers} == {cells[::-1]}


async def test_a_block_that_is_none_is_told_and_others_go_on() -> None:
    async with echo() as (_, port, seen):
        client = await packed_client(port, GZIP)
        for number in (1, 2):  # in a thread, then on the loop
            client.send(encode_request(number, "Echo", b"", cells=b"no gzip at all"))
            answer = await client.answer()
            assert isinstance(answer.error, DoNotRetryIOException)
            assert "is unable to read call parameter from client 127.0.0.1; compressed cell block" in str(answer.error)
        client.send(encode_request(3, "Echo", b"", cells=COMPRESSORS[GZIP].compress(b"ab")))
        assert COMPRESSORS[GZIP].decompress((await client.answer()).cells, 10) == b"ba"
        assert seen.cells == [b"ab"]


@pytest.mark.parametrize("name", NAMES, ids=SHORT)
async def test_a_bomb_ends_its_own_connection(name: str) -> None:
    limit = 1 << 20
    bomb = COMPRESSORS[name].compress(bytes(limit + 1))
    async with echo(limit) as (server, port, seen), await channel_to(port, name) as other:
        await other.call_bytes("Echo", b"", cells=b"ab")
        for frame_max in (limit, limit * 4):
            channel = await channel_to(port, name, WireLimits(frame_bytes_max=frame_max))
            with pytest.raises(RequestTooBigException, match="greater than max allowed 1048576"):
                await channel.call_bytes("Echo", b"", cells=bytes(limit + 1))
            await channel.wait_closed()
        assert len(bomb) < limit
        assert (await other.call_bytes("Echo", b"", cells=bytes(limit))).cells == bytes(limit)
        assert seen.cells[0] == b"ab"
        assert [len(cells) for cells in seen.cells] == [2, limit]
        assert server.stats.connections_open == 1


async def test_too_much_at_one_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_calls, "LATER_BYTES_MAX", 10)
    async with echo() as (_, port, seen), await channel_to(port, GZIP) as channel:
        with pytest.raises(CallQueueTooBigException):
            await channel.call_bytes("Echo", b"", cells=b"more than ten bytes, whatever becomes of them")
        assert seen.cells == []


async def test_a_server_that_stops_waits_for_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()
    plain = COMPRESSORS[GZIP]

    def slow(packed: bytes, bytes_max: int) -> bytes:
        began.set()
        may_end.wait(20)
        ended.set()
        return plain.decompress(packed, bytes_max)

    monkeypatch.setitem(TABLE, GZIP, plain._replace(decompress=slow))
    async with echo() as (_, port, _):
        clients = [await packed_client(port, GZIP) for _ in range(5)]
        for client in clients:
            client.send(encode_request(1, "Echo", b"", cells=plain.compress(b"ab")))
        assert await asyncio.to_thread(began.wait, 10)
    assert not ended.is_set()
    may_end.set()


def test_the_loop_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large blocks never run on the loop's thread."""
    threads: list[tuple[int, str]] = []
    plain = COMPRESSORS[GZIP]

    def noted(work: Callable[..., bytes]) -> Callable[..., bytes]:
        def run(data: bytes, *rest: int) -> bytes:
            done = work(data, *rest)
            threads.append((max(len(data), len(done)), threading.current_thread().name))
            return done

        return run

    watched = plain._replace(compress=noted(plain.compress), decompress=noted(plain.decompress))
    monkeypatch.setitem(TABLE, GZIP, watched)

    async def run() -> None:
        async with echo() as (_, port, _):
            client = await packed_client(port, GZIP)
            for size in (10, 10, 1000, AT_ONCE_BYTES_MAX + 1, 1_000_000):
                client.send(encode_request(1, "Echo", b"", cells=plain.compress(bytes(size))))
                await client.answer()

    asyncio.run(run())
    assert all(name.startswith("cell blocks") for size, name in threads if size > AT_ONCE_BYTES_MAX)
    assert any(not name.startswith("cell blocks") for _, name in threads)
