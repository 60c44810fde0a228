"""Calls that want a newer answer, over real sockets: they wait for nobody's account but their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest

from registry.lookup.fresh_call import EXCEPTIONS, FreshCalls
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.freshness import Unmet
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.wire.calls import encode_answer, encode_request
from registry.wire.errors import DoNotRetryIOException, PleaseHoldException, ServerNotRunningYetException
from registry.wire.stamp import Stamp, decode_stamp, encode_stamp
from tests.support.clock import ManualClock
from tests.support.fresh import ScriptedSource
from tests.support.rpc import BODIES, SERVICE, RawClient, eventually, hello, serving

FRESH = {"hbeacon.fresh": b"true"}
METHOD = "GetClusterId"


class Door:
    def __init__(self, server: RpcServer, port: int) -> None:
        self.server, self.port = server, port
        self.clock = ManualClock()
        self.source = ScriptedSource(self.clock)
        self.refusing = False
        self.reader = FreshReader(self.source, self.clock, lambda: 2000.0, lambda: self.refusing)
        server.set_meet(FreshCalls(self.reader))
        server.set_version_stamp(self.stamp)

    def stamp(self, method: str) -> bytes:
        assert method in BODIES
        version = self.source.snapshot.version
        return encode_stamp(Stamp(version.generation, version.zxid, self.source.age_ms()))

    async def waits(self, count: int) -> None:
        await eventually(lambda: len(self.source.waiting) == count)


@asynccontextmanager
async def door(settings: RpcServerSettings | None = None) -> AsyncGenerator[Door]:
    async with serving(settings=settings) as (server, port):
        yield Door(server, port)


def ask(call_id: int, attributes: Mapping[str, bytes] = FRESH, *, timeout_ms: int = 0) -> bytes:
    return encode_request(call_id, METHOD, b"", timeout_ms=timeout_ms, attributes=attributes)


async def test_an_answer_that_is_new_enough_comes_at_once_and_says_so() -> None:
    async with door() as to:
        zxid = to.source.snapshot.version.zxid
        client = await RawClient.connect(to.port, hello() + ask(7, {"hbeacon.min_zxid": b"%d" % zxid}))
        answer = await client.answer()
        assert (answer.call_id, answer.message) == (7, BODIES[METHOD])
        assert decode_stamp(answer.header_bytes) == Stamp(1, zxid, 0.0, wants_met=True)
        assert not to.source.asked


async def test_a_fresh_answer_waits_for_the_read_and_holds_up_nobody() -> None:
    async with door() as to:
        client = await RawClient.connect(to.port, hello() + ask(1) + encode_request(2, "GetMasters", b"") + ask(3))
        answer = await client.answer()
        assert answer.call_id == 2, "the look-up behind it is answered"
        await to.waits(2)
        assert await client.is_silent(20)
        to.clock.advance(1.0)
        to.source.at(400)
        to.source.read()
        for call_id in (1, 3):
            answer = await client.answer()
            stamp = decode_stamp(answer.header_bytes)
            assert (answer.call_id, answer.message) == (call_id, BODIES[METHOD])
            assert stamp is not None
            assert (stamp.zxid, stamp.wants_met) == (400, True)
        assert to.server.stats.calls[SERVICE, METHOD] == 2


async def test_only_who_wants_something_goes_this_way() -> None:
    async with door() as to:
        client = await RawClient.connect(to.port, hello() + ask(1, {}) + ask(2, {"trace": b"x"}))
        expected = encode_answer(1, BODIES[METHOD]) + encode_answer(2, BODIES[METHOD])
        assert await client.read(len(expected)) == expected, "not a byte more than for anybody"
        client.send(ask(3, {"hbeacon.stamp": b""}))
        stamp = decode_stamp((await client.answer()).header_bytes)
        assert stamp is not None
        assert not stamp.wants_met
        assert not to.reader.reads_waited


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"hbeacon.min_zxid": b"soon"}, "hbeacon.min_zxid is a number"),
        ({"hbeacon.min_zxid": b"\xff\xfe"}, "hbeacon.min_zxid is a number"),
        ({"hbeacon.max_staleness_ms": b"-1"}, "hbeacon.max_staleness_ms is milliseconds"),
        ({"hbeacon.fresh": b"perhaps"}, "hbeacon.fresh is true or false"),
    ],
)
async def test_what_is_no_number_is_refused_for_good(attributes: dict[str, bytes], text: str) -> None:
    async with door() as to:
        client = await RawClient.connect(to.port, hello() + ask(1, attributes) + ask(2, {}))
        refused = await client.answer()
        assert isinstance(refused.error, DoNotRetryIOException)
        assert text in refused.error.message
        assert (await client.answer()).message == BODIES[METHOD], "the connection goes on"


async def test_refusals_are_exceptions_that_a_client_retries_elsewhere() -> None:
    async with door() as to:
        client = await RawClient.connect(to.port, hello() + ask(1, {"hbeacon.min_zxid": b"0x7fffffffff"}))
        await to.waits(1)
        to.clock.advance(1.0)
        to.source.read()
        refused = await client.answer()
        assert isinstance(refused.error, PleaseHoldException)
        assert "0x7fffffffff is asked for" in refused.error.message
        to.clock.advance(1.0)
        client.send(ask(2, timeout_ms=300))
        await to.waits(1)
        assert to.source.asked[-1] == 280.0, "the client's own deadline"
        to.clock.advance(280.0)
        to.source.run_out()
        refused = await client.answer()
        assert isinstance(refused.error, EXCEPTIONS[Unmet.LATE])
        to.refusing = True
        client.send(ask(3))
        refused = await client.answer()
        assert isinstance(refused.error, ServerNotRunningYetException)
        assert not any(kind.do_not_retry for kind in EXCEPTIONS.values())
        assert set(EXCEPTIONS) == set(Unmet)


async def test_answers_that_are_withdrawn_meanwhile_are_not_given() -> None:
    async with door() as to:
        client = await RawClient.connect(to.port, hello() + ask(1))
        await to.waits(1)
        to.server.set_ready(SERVICE, {})
        to.source.read()
        assert isinstance((await client.answer()).error, ServerNotRunningYetException)


async def test_it_ends_with_its_connection() -> None:
    async with door() as to:
        gone = await RawClient.connect(to.port, hello() + ask(1) + ask(2))
        stays = await RawClient.connect(to.port, hello() + ask(1))
        await to.waits(3)
        gone.reset()
        await to.waits(1)
        assert to.reader.waiting_count == 1
        to.clock.advance(1.0)
        to.source.read()
        assert (await stays.answer()).call_id == 1


async def test_it_counts_as_outstanding() -> None:
    async with door(RpcServerSettings(calls_outstanding_max=4)) as to:
        client = await RawClient.connect(to.port, hello() + b"".join(ask(number) for number in range(10)))
        await to.waits(4)
        await asyncio.sleep(0.05)
        assert len(to.source.waiting) == 4, "the peer is not read from"
        for _ in range(10):
            to.clock.advance(1.0)
            to.source.read()
            await asyncio.sleep(0.01)
        assert sorted([(await client.answer()).call_id for _ in range(10)]) == list(range(10))


async def test_a_server_that_stops_ends_them_in_order() -> None:
    async with door() as to:
        client = await RawClient.connect(to.port, hello() + ask(1))
        await to.waits(1)
        draining = asyncio.create_task(to.server.drain(5000))
        await asyncio.sleep(0.05)
        to.clock.advance(1.0)
        to.source.read()
        assert (await client.answer()).message == BODIES[METHOD]
        assert await draining
        assert await client.rest() == b""


async def test_a_stop_cancels_what_still_waits() -> None:
    async with door() as to:
        await RawClient.connect(to.port, hello() + ask(1))
        await to.waits(1)
    assert not to.source.waiting


async def test_an_error_of_ours_is_answered() -> None:
    async with door() as to:

        def broken() -> bool:
            raise ZeroDivisionError("a bug of ours")

        client = await RawClient.connect(to.port, hello() + ask(1))
        await to.waits(1)
        to.source.read_at_ms = broken  # type: ignore[method-assign]
        to.source.read()
        refused = await client.answer()
        assert refused.error is not None
        assert "a bug of ours" in refused.error.message
