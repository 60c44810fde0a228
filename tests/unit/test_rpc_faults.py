"""Faults on real sockets: what a client sees of each kind, and that nothing of it is left afterwards."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from protos.hbase import RPC_pb2
from registry.faults.control import FaultAccess
from registry.faults.machine import Faults
from registry.faults.rules import BadFault, FaultKind, made_cluster_id, parse_rule
from registry.rpc.connection import RpcConnection
from registry.rpc.context import RpcServerSettings
from registry.rpc.fault_desk import HUNG_ON_MAX, FaultDesk
from registry.rpc.server import RpcServer
from registry.rpc.services import Call, Handled, ServiceTable
from registry.rpc.timed import TimedConnection
from registry.wire.calls import encode_request
from registry.wire.preamble import REGISTRY_PREAMBLE, encode_registry_answer
from registry.wire.stamp import STAMP_ATTRIBUTE, Stamp, decode_stamp, encode_stamp
from tests.support.rpc import BODIES, CLUSTER_ID, SERVICE, RawClient, eventually, hello, serving

LOOK_UP = encode_request(7, "GetClusterId", b"")
MASTERS = encode_request(8, "GetMasters", b"")
REGIST_ANSWER = encode_registry_answer(CLUSTER_ID)
SECURI_PREAMBLE = b"Securi"


@asynccontextmanager
async def faulty(
    services: ServiceTable | None = None, settings: RpcServerSettings | None = None
) -> AsyncGenerator[tuple[FaultDesk, RpcServer, int]]:
    async with serving(services, settings) as (server, port):
        desk = server.allow_faults(Faults(random.Random, lambda: 1), FaultAccess())
        yield desk, server, port


def fault(desk: FaultDesk, kind: str, **fields: object) -> int:
    return desk.add(parse_rule({"kind": kind, **fields}), "a test").number


async def asked(port: int, request: bytes = LOOK_UP) -> RawClient:
    return await RawClient.connect(port, hello() + request)


async def answers_well(port: int) -> bool:
    client = await asked(port)
    well = (await client.answer()).message == BODIES["GetClusterId"]
    await client.close()
    registry = await RawClient.connect(port, REGISTRY_PREAMBLE)
    well = well and await registry.rest() == REGIST_ANSWER
    await registry.close()
    return well


async def test_without_a_fault_the_short_ways_are_taken() -> None:
    async with faulty() as (desk, _, port):
        assert await answers_well(port)
        assert not desk.rows()
        assert not desk.applied


async def test_what_has_no_fault_pays_nothing() -> None:
    """Neither before the first fault nor after the last: connections are of the plain classes."""

    def kinds() -> set[type]:
        return {type(each) for each in server._context.connections}

    async with faulty() as (desk, server, port):
        clients = [await asked(port) for _ in range(3)]
        for client in clients:
            await client.answer()
        assert kinds() == {RpcConnection, TimedConnection}
        fault(desk, "hang", methods=["GetMasters"])
        assert len(kinds()) == 1
        assert not kinds() & {RpcConnection, TimedConnection}
        desk.clear("a test")
        assert kinds() == {RpcConnection}
        for client in clients:
            await client.close()
        later = [await asked(port) for _ in range(20)]
        await later[-1].answer()
        assert kinds() == {RpcConnection, TimedConnection}, "times are taken again"
        assert server._context.registry_answer is not None


def test_what_has_no_fault_loads_nothing() -> None:
    of_faults = ("registry.faults", "registry.rpc.faulty", "registry.rpc.fault_desk")
    script = f"import sys, registry.role.server; assert not set({of_faults}) & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


async def test_delay_of_one_method() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "delay", methods=["GetClusterId"], delay_ms=120)
        begun = time.monotonic()
        client = await asked(port, LOOK_UP + MASTERS)
        assert (await client.answer()).call_id == 8, "the other one is not held up"
        answer = await client.answer()
        assert (answer.call_id, answer.message) == (7, BODIES["GetClusterId"])
        assert time.monotonic() - begun >= 0.115


async def test_delay_of_the_preamble() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "delay", methods=["Regist"], delay_ms=[80, 90])
        begun = time.monotonic()
        client = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await client.rest() == REGIST_ANSWER
        assert 0.075 <= time.monotonic() - begun < 10


async def test_a_delay_longer_than_the_handshake_may_take() -> None:
    settings = RpcServerSettings(handshake_timeout_ms=50, sweep_interval_ms=20)
    async with faulty(settings=settings) as (desk, _, port):
        fault(desk, "delay", methods=["Regist"], delay_ms=300)
        client = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await client.rest() == REGIST_ANSWER


async def test_who_leaves_while_delayed_leaves_nothing() -> None:
    async with faulty() as (desk, server, port):
        fault(desk, "delay", delay_ms=100)
        client = await asked(port)
        await eventually(lambda: desk.delayed == 1)
        await client.close()
        await eventually(lambda: server.stats.connections_open == 0)
        await eventually(lambda: desk.delayed == 0)


async def test_delayed_calls_push_back() -> None:
    async with faulty(settings=RpcServerSettings(calls_outstanding_max=4)) as (desk, _, port):
        fault(desk, "delay", delay_ms=50)
        client = await asked(port, LOOK_UP * 40)
        most = 0
        for _ in range(40):
            most = max(most, desk.delayed)
            assert (await client.answer()).message == BODIES["GetClusterId"]
        assert most <= 4


async def test_a_delayed_call_outlives_the_fault() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "delay", delay_ms=100)
        client = await asked(port)
        await eventually(lambda: desk.delayed == 1)
        assert desk.clear("a test") == 1
        assert (await client.answer()).message == BODIES["GetClusterId"]
        client.send(LOOK_UP)
        assert (await client.answer()).message == BODIES["GetClusterId"]


async def test_hang_of_one_call_leaves_the_connection() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "hang", methods=["GetClusterId"])
        client = await asked(port, LOOK_UP + MASTERS)
        assert (await client.answer()).call_id == 8
        assert await client.is_silent()


@pytest.mark.parametrize("preamble", [REGISTRY_PREAMBLE, SECURI_PREAMBLE])
async def test_hang_of_a_preamble_lasts_longer_than_a_handshake(preamble: bytes) -> None:
    settings = RpcServerSettings(handshake_timeout_ms=30, sweep_interval_ms=10)
    async with faulty(settings=settings) as (desk, server, port):
        fault(desk, "hang", methods=["Regist", "Securi"])
        client = await RawClient.connect(port, preamble)
        assert await client.is_silent(200)
        await client.close()
        await eventually(lambda: server.stats.connections_open == 0)


async def test_hang_after_accept() -> None:
    async with faulty() as (desk, server, port):
        fault(desk, "hang-accept")
        client = await asked(port)
        client.send(LOOK_UP * 1000)
        assert await client.is_silent()
        assert desk.clear("a test") == 1
        assert await client.rest() == b"", "who hangs is let go"
        await eventually(lambda: server.stats.connections_open == 0)
        assert await answers_well(port)


async def test_clearing_lets_go_of_calls_that_hang_and_of_nobody_else() -> None:
    async with faulty() as (desk, server, port):
        number = fault(desk, "hang", methods=["GetMasters"])
        well, hung, hung_too = await asked(port), await asked(port, MASTERS), await asked(port, MASTERS)
        await well.answer()
        await eventually(lambda: desk.applied[FaultKind.HANG] == 2)
        await hung_too.close()
        assert desk.remove(number, "a test")
        assert await hung.is_silent(), "what hangs hangs on"
        desk.clear("a test")
        assert await hung.rest() == b""
        well.send(LOOK_UP)
        assert (await well.answer()).message == BODIES["GetClusterId"]
        assert server.stats.connections_open == 1


async def test_connections_that_went_are_not_kept() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "hang", methods=["GetMasters"])
        for _ in range(HUNG_ON_MAX + 50):
            client = await asked(port, MASTERS)
            client.writer.transport.abort()
        await eventually(lambda: desk.applied[FaultKind.HANG] > HUNG_ON_MAX)
        assert len(desk._hung_on) <= HUNG_ON_MAX


async def test_a_hanging_connection_ends_with_the_idle_time() -> None:
    async with faulty(settings=RpcServerSettings(idle_timeout_ms=100, sweep_interval_ms=20)) as (desk, server, port):
        fault(desk, "hang-accept")
        client = await asked(port)
        assert await client.rest() == b""
        assert server.stats.idle_closed == 1


async def test_refuse() -> None:
    async with faulty() as (desk, server, port):
        fault(desk, "refuse")
        client = await asked(port)
        assert await client.rest() == b""
        assert server.stats.connections_open == 0


@pytest.mark.parametrize("first", [REGISTRY_PREAMBLE, hello() + LOOK_UP])
async def test_reset(first: bytes) -> None:
    async with faulty() as (desk, server, port):
        fault(desk, "reset")
        client = await RawClient.connect(port, first)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await client.reader.read()
        assert server.stats.connections_open == 0


async def test_reset_on_a_transport_of_the_loop() -> None:
    async with faulty() as (desk, server, port):
        client = await asked(port)
        await client.answer()
        client.send(LOOK_UP)
        await client.answer()
        await eventually(lambda: server.visits == 0)
        fault(desk, "reset")
        client.send(LOOK_UP)
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await client.reader.read()


@pytest.mark.parametrize(
    ("first", "whole"), [(REGISTRY_PREAMBLE, REGIST_ANSWER), (hello() + MASTERS, None), (SECURI_PREAMBLE, None)]
)
async def test_half_an_answer(first: bytes, whole: bytes | None) -> None:
    async with faulty() as (desk, _, port):
        if whole is None:
            client = await RawClient.connect(port, first)
            length = await client.read(4)
            whole = length + await client.read(int.from_bytes(length, "big"))
            await client.close()
        fault(desk, "half")
        client = await RawClient.connect(port, first)
        assert await client.read(len(whole) // 2) == whole[: len(whole) // 2]
        client.send(LOOK_UP)
        assert await client.is_silent()


@pytest.mark.parametrize("first", [REGISTRY_PREAMBLE, hello() + MASTERS, SECURI_PREAMBLE])
async def test_no_answer_and_no_connection_any_more(first: bytes) -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "drop", count=1)
        client = await RawClient.connect(port, first)
        with pytest.raises(ConnectionResetError):
            await client.read(1)
        client = await RawClient.connect(port, first)
        assert await client.read(1), "once only"


async def test_some_bytes_of_an_answer_are_never_all() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "half", bytes=3, count=1)
        fault(desk, "half", bytes=4096, count=1)
        client = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await client.read(3) == REGIST_ANSWER[:3]
        assert await client.is_silent()
        client = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await client.read(len(REGIST_ANSWER) - 1) == REGIST_ANSWER[:-1]
        assert await client.is_silent()


async def test_stale_answers_stay() -> None:
    async with faulty() as (desk, server, port):
        version = 5
        server.set_version_stamp(lambda method: encode_stamp(Stamp(1, version, 10.0)))
        fault(desk, "stale")
        version = 6
        server.set_cluster_id("another")
        server.set_ready(SERVICE, {"GetClusterId": b"\x0a\x07another", "GetMasters": b"\x0a\x03new"})
        client = await asked(port, LOOK_UP + MASTERS)
        assert [(await client.answer()).message for _ in range(2)] == [BODIES["GetClusterId"], BODIES["GetMasters"]]
        await asyncio.sleep(0.05)
        client.send(encode_request(9, "GetMasters", b"", attributes={STAMP_ATTRIBUTE: b""}))
        stamp = decode_stamp((await client.answer()).header_bytes)
        assert stamp is not None
        assert stamp.zxid == 5
        assert stamp.age_ms >= 55, "it grows: a stale server knows how old it is"
        registry = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await registry.rest() == REGIST_ANSWER
        desk.clear("a test")
        client.send(MASTERS)
        assert (await client.answer()).message == b"\x0a\x03new"
        registry = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await registry.rest() == encode_registry_answer("another")


@pytest.mark.parametrize("given", ["another-cluster", None])
async def test_wrong_cluster_id(given: str | None) -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "wrong-cluster-id", seed=3, **({"cluster_id": given} if given else {}))
        wrong = given or made_cluster_id(3)
        registry = await RawClient.connect(port, REGISTRY_PREAMBLE)
        assert await registry.rest() == encode_registry_answer(wrong)
        client = await asked(port, LOOK_UP + MASTERS)
        assert (await client.answer()).message == b"\x0a" + bytes([len(wrong)]) + wrong.encode()
        assert (await client.answer()).message == BODIES["GetMasters"]


async def test_connections_from_before_meet_faults_and_get_over_them() -> None:
    async with faulty() as (desk, server, port):
        visit, moved = await asked(port), await asked(port)
        await visit.answer()
        await moved.answer()
        moved.send(LOOK_UP)
        await moved.answer()
        await eventually(lambda: server.visits == 1)
        for round_ in range(3):
            number = fault(desk, "wrong-cluster-id", cluster_id=f"wrong{round_}")
            for client in (visit, moved):
                client.send(LOOK_UP)
                assert (await client.answer()).message == b"\x0a\x06" + f"wrong{round_}".encode()
            assert desk.remove(number, "a test")
            for client in (visit, moved):
                client.send(LOOK_UP[:5])
                await asyncio.sleep(0.01)
                client.send(LOOK_UP[5:])
                assert (await client.answer()).message == BODIES["GetClusterId"]


async def test_count_is_exact_and_then_all_is_as_before() -> None:
    async with faulty() as (desk, server, port):
        fault(desk, "hang", methods=["GetMasters"], count=3)
        client = await asked(port, MASTERS * 5)
        assert [(await client.answer()).call_id for _ in range(2)] == [8, 8]
        assert await client.is_silent()
        assert not desk.rows()
        assert desk.applied[FaultKind.HANG] == 3
        client.send(LOOK_UP)
        assert (await client.answer()).message == BODIES["GetClusterId"]
        assert await answers_well(port)
        assert server.stats.exceptions.total() == 0


async def test_a_seed_repeats_itself() -> None:
    async def course() -> list[int]:
        async with faulty() as (desk, _, port):
            fault(desk, "hang", probability=0.3, seed=7)
            client = await asked(port, b"".join(encode_request(number, "GetMasters", b"") for number in range(40)))
            seen = list[int]()
            with suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(0.15):
                        seen.append((await client.answer()).call_id)
            return seen

    first = await course()
    assert first == await course()
    assert 15 < len(first) < 38


async def test_a_duration_ends_by_itself() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "refuse", duration_ms=150)
        client = await asked(port)
        assert await client.rest() == b""
        await eventually(lambda: not desk.rows())
        assert await answers_well(port)


async def test_a_fault_for_somebody_else() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "hang-accept", peers=["10.0.0.0/8"])
        assert await answers_well(port)
        assert desk.rows()[0].matched == 0


async def test_calls_that_are_worked_on_meet_faults_too() -> None:
    ran = list[int]()

    async def work(call: Call) -> Handled:
        await asyncio.sleep(0)
        ran.append(call.call_id)
        return bytes(100)

    table = ServiceTable()
    table.add("Slow", "Work", RPC_pb2.CellBlockMeta, work)
    async with faulty(table) as (desk, server, port):
        fault(desk, "hang", methods=["Work"], count=1)
        client = await RawClient.connect(port, hello("Slow") + encode_request(1, "Work", b""))
        assert await client.is_silent()
        assert not ran, "what hangs is not run"
        client.send(encode_request(2, "Work", b""))
        whole = await client.answer()
        assert whole.message == bytes(100)
        fault(desk, "delay", methods=["Work"], delay_ms=50, count=1)
        client.send(encode_request(3, "Work", b""))
        assert (await client.answer()).call_id == 3
        fault(desk, "half", methods=["Work"], bytes=20)
        client.send(encode_request(4, "Work", b""))
        assert len(await client.read(20)) == 20
        assert await client.is_silent()
        assert ran == [2, 3, 4]
        await client.close()
        desk.clear("")
        fault(desk, "drop", methods=["Work"], count=1)
        client = await RawClient.connect(port, hello("Slow") + encode_request(5, "Work", b""))
        with pytest.raises(ConnectionResetError):
            await client.read(1)
        assert ran == [2, 3, 4, 5], "what is dropped has been run"
        fault(desk, "half", methods=["Work"], bytes=20, count=1)
        client = await RawClient.connect(port, hello("Slow") + encode_request(6, "Work", b""))
        assert len(await client.read(20)) == 20, "the fault is gone by the time of the answer, and its work is not"
        assert await client.is_silent()
        await client.close()
        await eventually(lambda: server.stats.connections_open == 0)


async def test_the_loop_goes_on_while_calls_hang() -> None:
    async with faulty() as (desk, _, port):
        fault(desk, "hang", methods=["GetMasters"])
        hung = [await asked(port, MASTERS * 50) for _ in range(20)]
        begun = time.monotonic()
        client = await asked(port)
        await client.answer()
        assert time.monotonic() - begun < 10
        assert desk.applied[FaultKind.HANG] == 1000
        for each in hung:
            await each.close()


async def test_draining_does_not_wait_for_what_hangs() -> None:
    async with faulty() as (desk, server, port):
        fault(desk, "hang", methods=["GetMasters"])
        fault(desk, "hang", methods=["Regist"])
        clients = [await asked(port, MASTERS), await RawClient.connect(port, REGISTRY_PREAMBLE)]
        await eventually(lambda: desk.applied[FaultKind.HANG] == 2)
        assert await server.drain(2000)
        for client in clients:
            assert await client.rest() == b""


async def test_a_method_that_is_not_here() -> None:
    async with faulty() as (desk, _, _):
        with pytest.raises(BadFault, match="did you mean Regist"):
            fault(desk, "hang", methods=["regist"])
        with pytest.raises(BadFault, match=r"no method here is called 'Scan\*'"):
            fault(desk, "hang", methods=["Get*", "Scan*"])
        assert not desk.rows()
