"""The RPC server over real sockets, on both loops."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable

import pytest

from protos.hbase import HBase_pb2, Registry_pb2, RPC_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel, fetch_cluster_id
from registry.rpc.context import RpcServerSettings
from registry.rpc.scheduler import SchedulerSettings
from registry.rpc.services import ADMIN_QOS, KEPT, Answer, Call, Handled, Kept, ServiceTable
from registry.wire.calls import encode_answer, encode_request
from registry.wire.errors import CallQueueTooBigException, DoNotRetryIOException, IOException, TableNotFoundException
from registry.wire.framing import delimited, encode_frame, encode_length
from registry.wire.header import ConnectionInfo
from registry.wire.limits import WireLimits
from registry.wire.preamble import SECURITY_NOT_ENABLED, encode_registry_answer
from tests.support.clock import ManualClock
from tests.support.rpc import BODIES, CLUSTER_ID, SERVICE, RawClient, eventually, hello, serving

Request = RPC_pb2.CellBlockMeta
"""Any message with a number in it will do for a request: `length` is the argument."""


class Service:
    """A service with every kind of method."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.ended: list[int] = []
        self.table = ServiceTable()
        self.table.add("MasterService", "Echo", Request, self.echo)
        self.table.add("MasterService", "Bytes", Request, lambda call: b"\x08\x2a")
        self.table.add("MasterService", "Cells", Request, lambda call: Answer(b"\x08\x01", b"cells:" + call.cells))
        self.table.add("MasterService", "Refuse", Request, self.refuse)
        self.table.add("MasterService", "Fail", Request, self.fail)
        self.table.add("MasterService", "Later", Request, self.later)
        self.table.add("MasterService", "LaterFail", Request, self.later_fail)
        self.kept: list[Call] = []
        self.table.add("MasterService", "Keep", Request, self.keep)
        self.table.add("MasterService", "AnswerAndKeep", Request, self.answer_and_keep)
        self.table.add("MasterService", "AnswerAndFail", Request, self.answer_and_fail)
        self.table.add("MasterService", "Admin", Request, self.echo, priority=ADMIN_QOS)
        self.table.add("MasterService", "Required", HBase_pb2.NameBytesPair, lambda call: b"")

    def echo(self, call: Call) -> Handled:
        assert isinstance(call.request, Request)
        return Request(length=call.request.length)

    def refuse(self, call: Call) -> Handled:
        raise TableNotFoundException("no such table: t1")

    def fail(self, call: Call) -> Handled:
        raise ZeroDivisionError("a bug of ours")

    async def later(self, call: Call) -> Handled:
        await self.gate.wait()
        assert isinstance(call.request, Request)
        self.ended.append(call.request.length)
        return call.request

    def keep(self, call: Call) -> Kept:
        self.kept.append(call)
        return KEPT

    def answer_and_keep(self, call: Call) -> Kept:
        call.answer(b"\x08\x05", b"cells")
        return KEPT

    def answer_and_fail(self, call: Call) -> Kept:
        call.answer(b"\x08\x06")
        raise ZeroDivisionError("behind the answer")

    def later_fail(self, call: Call) -> Awaitable[Handled]:
        async def fail() -> Handled:
            await asyncio.sleep(0)
            raise TableNotFoundException("later")

        return fail()


def _call(call_id: int, method: str, length: int = 0, *, timeout_ms: int = 0) -> bytes:
    return encode_request(call_id, method, Request(length=length).SerializeToString(), timeout_ms=timeout_ms)


# --- the conversation, byte for byte ------------------------------------------------------------------------------


async def test_hello_and_look_ups_in_one_segment() -> None:
    async with serving() as (server, port):
        requests = b"".join(encode_request(300 + n, name, b"") for n, name in enumerate(BODIES))
        client = await RawClient.connect(port, hello() + requests)
        expected = b"".join(encode_answer(300 + n, body) for n, body in enumerate(BODIES.values()))
        assert await client.read(len(expected)) == expected
        assert await client.is_silent()
        await client.close()
        await eventually(lambda: not server.stats.connections_open)
        assert server.stats.calls == {(SERVICE, name): 1 for name in BODIES}
        assert server.stats.received_bytes == len(hello() + requests)
        assert server.stats.sent_bytes == len(expected)


async def test_a_conversation_byte_by_byte() -> None:
    async with serving() as (_, port):
        client = await RawClient.connect(port)
        for byte in b"Securi" + hello() + encode_request(1, "GetClusterId", b"") + encode_request(2, "GetMasters", b""):
            client.send(bytes((byte,)))
            await asyncio.sleep(0.0002)
        expected = (
            SECURITY_NOT_ENABLED + encode_answer(1, BODIES["GetClusterId"]) + encode_answer(2, BODIES["GetMasters"])
        )
        assert await client.read(len(expected)) == expected
        await client.close()


@pytest.mark.parametrize("pieces", [1, 2], ids=["whole", "in two pieces"])
async def test_registry_preamble_is_answered_and_closed(pieces: int) -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, b"Reg" if pieces == 2 else b"Regist")
        if pieces == 2:
            await asyncio.sleep(0.02)
            client.send(b"ist")
        assert await client.rest() == encode_registry_answer(CLUSTER_ID)
        await client.close()
        assert server.stats.preambles == {"Regist": 1}
        server.set_cluster_id(None)
        client = await RawClient.connect(port, b"Regist")
        assert b"Expected HEADER=HBas but received HEADER=Regi from 127.0.0.1:" in await client.rest()
        await client.close()


async def test_our_own_client_understands_it() -> None:
    async with serving() as (_, port):
        address = Address("127.0.0.1", port)
        assert await fetch_cluster_id(address, 1000) == CLUSTER_ID
        async with await RpcChannel.connect(address, SERVICE) as channel:
            answer = await channel.call(
                "GetClusterId", Registry_pb2.GetClusterIdRequest(), Registry_pb2.GetClusterIdResponse
            )
            assert answer.cluster_id == CLUSTER_ID
            with pytest.raises(DoNotRetryIOException, match="UnsupportedOperationException: NoSuchMethod"):
                await channel.call("NoSuchMethod", Request(), Request)


@pytest.mark.parametrize(
    "data",
    [
        hello("NoSuchService"),
        hello(""),
        b"HBas\0P" + encode_length(65_537),
        hello() + encode_frame(b"\x05\x08"),
        hello() + encode_frame(),
        hello() + encode_request(1, "GetMasters", b"")[:8] + b"\xff" * 64,
    ],
    ids=["unknown service", "no service", "long header", "header length lies", "empty frame", "noise"],
)
async def test_what_is_not_the_protocol_is_closed_without_a_word(data: bytes) -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, data)
        assert await client.rest() == b""
        await client.close()
        await eventually(lambda: not server.stats.connections_open)
        assert server.stats.protocol_errors.total() == 1
        assert server.stats.connections_closed == 1


async def test_a_request_over_the_limit_of_a_registry_service() -> None:
    """Its requests are empty: a megabyte is more than enough, whatever the other services take."""
    async with serving() as (server, port):
        client = await RawClient.connect(port, hello() + encode_request(5, "GetMasters", bytes(1 << 20)))
        answer = await client.answer()
        assert answer.call_id == 5
        assert isinstance(answer.error, DoNotRetryIOException)
        assert "is greater than max allowed 1048576" in answer.error.message
        assert await client.rest() == b""
        await client.close()
        assert server.stats.protocol_errors == {"DoNotRetryIOException": 1}


# --- services -------------------------------------------------------------------------------------------------------


async def test_calls_of_every_kind() -> None:
    service = Service()
    service.gate.set()
    async with serving(service.table) as (server, port):
        client = await RawClient.connect(port, hello("MasterService"))
        client.send(_call(1, "Echo", 7) + _call(2, "Bytes") + encode_request(3, "Cells", b"", cells=b"xyz"))
        assert (await client.answer())[:3] == (1, None, b"\x08\x07")
        assert (await client.answer())[:3] == (2, None, b"\x08\x2a")
        assert (await client.answer())[:4] == (3, None, b"\x08\x01", b"cells:xyz")
        client.send(_call(4, "Refuse") + _call(5, "Fail") + _call(6, "LaterFail") + _call(7, "Later", 9))
        answers = {answer.call_id: answer for answer in [await client.answer() for _ in range(4)]}
        assert type(answers[4].error) is TableNotFoundException
        assert type(answers[5].error) is IOException
        assert "ZeroDivisionError: a bug of ours" in str(answers[5].error)
        assert type(answers[6].error) is TableNotFoundException
        assert answers[7][:3] == (7, None, b"\x08\x09")
        await client.close()
        assert server.stats.calls_executing == 0
        assert server.stats.calls["MasterService", "Echo"] == 1
        assert server.stats.exceptions["org.apache.hadoop.hbase.TableNotFoundException"] == 2
        assert server.stats.exceptions["java.io.IOException"] == 1


async def test_kept_calls_are_answered_by_who_keeps_them(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        client = await RawClient.connect(port, hello("MasterService"))
        client.send(_call(1, "Keep") + _call(2, "Keep") + _call(3, "AnswerAndKeep") + _call(4, "AnswerAndFail"))
        assert (await client.answer())[:4] == (3, None, b"\x08\x05", b"cells")
        assert (await client.answer())[:3] == (4, None, b"\x08\x06")
        assert "failed behind its answer" in caplog.text
        assert server.stats.calls_executing == 2
        first, second = service.kept
        second.fail(TableNotFoundException("t1"))
        assert type((await client.answer()).error) is TableNotFoundException
        first.answer(b"\x08\x01")
        assert (await client.answer())[:3] == (1, None, b"\x08\x01")
        with pytest.raises(AssertionError, match="answered once"):
            first.answer(b"")
        assert (server.stats.calls_executing, server.stats.queue_bytes) == (0, 0)
        client.send(_call(5, "Keep"))
        await eventually(lambda: len(service.kept) == 3)
        await client.close()
        await eventually(lambda: not server.stats.connections_open)
        service.kept[2].answer(b"")  # nobody is there to hear it
        assert server.stats.calls_executing == 0


async def test_a_drain_waits_for_kept_calls() -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        client = await RawClient.connect(port, hello("MasterService") + _call(1, "Keep"))
        await eventually(lambda: bool(service.kept))
        drained = asyncio.create_task(server.drain(5000))
        await asyncio.sleep(0.05)
        assert not drained.done()
        service.kept[0].answer(b"\x08\x07")
        assert await drained
        assert (await client.answer())[:3] == (1, None, b"\x08\x07")


async def test_answers_come_as_they_are_ready() -> None:
    service = Service()
    async with serving(service.table) as (_, port):
        client = await RawClient.connect(port, hello("MasterService") + _call(1, "Later", 1) + _call(2, "Echo", 2))
        assert (await client.answer()).call_id == 2
        service.gate.set()
        assert (await client.answer()).call_id == 1
        await client.close()


@pytest.mark.parametrize(
    ("request_bytes", "says"),
    [
        (_call(3, "NoSuchMethod"), "java.lang.UnsupportedOperationException: NoSuchMethod"),
        (encode_request(3, "Echo", b"\xff"), "CellBlockMeta"),
        (encode_request(3, "Required", b""), "missing required fields"),
        (encode_frame(delimited(b"\x08\x03\x1a\x04Echo")), "should have param set in it"),
        (encode_frame(delimited(b"\x08\x03\x1a\x04Echo\x20\x01"), b"\x05"), "announces 5 bytes"),
    ],
    ids=["method", "request", "required field", "request_param", "length"],
)
async def test_a_call_that_cannot_be_read_is_answered_and_the_connection_goes_on(
    request_bytes: bytes, says: str
) -> None:
    async with serving(Service().table) as (_, port):
        client = await RawClient.connect(port, hello("MasterService") + request_bytes + _call(4, "Echo", 1))
        answer = await client.answer()
        assert answer.call_id == 3
        assert type(answer.error) is DoNotRetryIOException
        assert answer.error.message.startswith(
            f"/127.0.0.1:{port} is unable to read call parameter from client 127.0.0.1; "
        )
        assert says in answer.error.message
        assert (await client.answer())[:3] == (4, None, b"\x08\x01")
        await client.close()


async def test_ready_answers_come_before_handlers_of_the_same_service() -> None:
    table = ServiceTable()
    for method in ("GetClusterId", "GetBootstrapNodes"):
        table.add(SERVICE, method, Registry_pb2.GetClusterIdRequest, lambda call: b"handled")
    async with serving(table) as (_, port):
        requests = encode_request(1, "GetClusterId", b"") + encode_request(2, "GetBootstrapNodes", b"")
        client = await RawClient.connect(port, hello() + requests)
        assert (await client.answer()).message == BODIES["GetClusterId"]
        assert (await client.answer()).message == b"handled"
        await client.close()


async def test_the_stamp_is_only_for_who_asks() -> None:
    async with serving() as (server, port):
        server.set_version_stamp(lambda method: delimited(b"") if method != "GetMasters" else b"\xba\x44\x03abc")
        client = await RawClient.connect(port, hello())
        client.send(encode_request(1, "GetMasters", b"", attributes={"hbeacon.stamp": b""}))
        assert (await client.answer()).header_bytes == b"\x08\x01\xba\x44\x03abc"
        client.send(encode_request(2, "GetMasters", b"", attributes={"another": b""}))
        assert (await client.answer()).header_bytes == b"\x08\x02"
        await client.close()


async def test_a_full_queue_sheds() -> None:
    service = Service()
    settings = RpcServerSettings(scheduler=SchedulerSettings(handlers_max=1, calls_per_handler_max=2))
    async with serving(service.table, settings) as (server, port):
        client = await RawClient.connect(port, hello("MasterService"))
        client.send(b"".join(_call(n, "Later", n) for n in range(1, 5)) + _call(9, "Admin", 1))
        shed, admin = await client.answer(), await client.answer()
        assert shed.call_id == 4
        assert isinstance(shed.error, CallQueueTooBigException)
        assert f"Call queue is full on 127.0.0.1,{port}, too many items queued ?" in shed.error.stack_trace
        assert admin.call_id == 9, "a full queue of ordinary calls does not keep an administrator waiting"
        assert (server.stats.calls_shed, server.stats.queue_depth, server.stats.calls_executing) == (1, 2, 1)
        service.gate.set()
        assert [(await client.answer()).call_id for _ in range(3)] == [1, 2, 3]
        await client.close()


async def test_look_ups_are_answered_while_the_queue_is_full() -> None:
    service = Service()
    settings = RpcServerSettings(scheduler=SchedulerSettings(handlers_max=1, calls_per_handler_max=1))
    async with serving(service.table, settings) as (_, port):
        busy = await RawClient.connect(port, hello("MasterService") + b"".join(_call(n, "Later") for n in range(50)))
        assert isinstance((await busy.answer()).error, CallQueueTooBigException)
        client = await RawClient.connect(port, hello() + encode_request(1, "GetClusterId", b""))
        assert (await client.answer()).message == BODIES["GetClusterId"]
        await client.close()
        busy.reset()
        service.gate.set()


async def test_a_call_whose_client_no_longer_waits_is_not_run() -> None:
    service, clock = Service(), ManualClock()
    settings = RpcServerSettings(scheduler=SchedulerSettings(handlers_max=1))
    async with serving(service.table, settings, clock) as (server, port):
        client = await RawClient.connect(port, hello("MasterService") + _call(1, "Later", 1))
        client.send(_call(2, "Later", 2, timeout_ms=100) + _call(3, "Later", 3, timeout_ms=5000))
        await eventually(lambda: server.stats.queue_depth == 2)
        clock.advance(101)
        service.gate.set()
        assert [(await client.answer()).call_id for _ in range(2)] == [1, 3]
        assert service.ended == [1, 3]
        assert server.stats.calls_expired == 1
        await client.close()


async def test_a_client_that_vanishes_takes_nothing_with_it() -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        client = await RawClient.connect(port, hello("MasterService") + _call(1, "Later", 1))
        await eventually(lambda: server.stats.calls_executing == 1)
        client.reset()
        await eventually(lambda: server.stats.connections_open == 0)
        service.gate.set()
        await eventually(lambda: server.stats.calls_executing == 0)
        assert service.ended == [1], "what has begun is brought to its end"


# --- limits and time-outs ---------------------------------------------------------------------------------------


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
        waiting = await RawClient.connect(port, hello("MasterService") + _call(1, "Later", 1))
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
        calls = b"".join(_call(n, "Later", n) for n in range(1, 51))
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


# --- life ---------------------------------------------------------------------------------------------------------


async def test_drain_finishes_what_runs_and_takes_no_more() -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        idle = await RawClient.connect(port, hello())
        busy = await RawClient.connect(port, hello("MasterService") + _call(1, "Later", 1))
        await eventually(lambda: server.stats.calls_executing == 1 and server.stats.connections_open == 2)
        draining = asyncio.create_task(server.drain(5000))
        assert await idle.rest() == b""
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await RawClient.connect(port)
        busy.send(_call(2, "Echo", 2))
        assert await busy.is_silent(50)
        service.gate.set()
        assert (await busy.answer()).call_id == 1
        assert await busy.rest() == b""
        assert await draining
        for client in (idle, busy):
            await client.close()


async def test_what_has_arrived_before_a_drain_is_answered() -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, hello() + encode_request(1, "GetClusterId", b""))
        assert (await client.answer()).call_id == 1
        raw = client.writer.get_extra_info("socket")
        os.write(raw.fileno(), encode_request(2, "GetClusterId", b""))  # past the loop, which has not seen it yet
        assert await server.drain(5000)
        assert (await client.answer()).call_id == 2
        assert await client.rest() == b""
        await client.close()


async def test_drain_does_not_wait_for_ever() -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        busy = await RawClient.connect(port, hello("MasterService") + _call(1, "Later", 1))
        await eventually(lambda: server.stats.calls_executing == 1)
        assert not await server.drain(20)
        await server.stop()
        assert server.stats.connections_open == 0
        assert await busy.rest() == b""
        await busy.close()


async def test_a_host_with_two_families_has_one_port() -> None:
    async with serving(host="localhost") as (_, port):
        for host in {str(info[4][0]) for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"Regist")
            assert await reader.read() == encode_registry_answer(CLUSTER_ID)
            writer.close()
            await writer.wait_closed()


async def test_the_limit_of_open_files_is_raised_as_far_as_needed() -> None:
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, hard_limit))
    try:
        async with serving(settings=RpcServerSettings(connections_max=400)) as (server, _):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 656
            assert server.connections_max == 400
        async with serving(settings=RpcServerSettings(connections_max=10**9)) as (server, _):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard_limit
            assert server.connections_max == hard_limit - 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit, hard_limit))


async def test_an_ipv4_client_of_an_ipv6_socket_keeps_its_name() -> None:
    async with serving(host="::") as (server, port):
        client = await RawClient.connect(port, b"XXXXXX")
        assert b"received HEADER=XXXX from 127.0.0.1:" in await client.rest()
        await client.close()
        assert not server.stats.connections_refused


async def test_a_port_in_use_is_an_error() -> None:
    async with serving() as (_, port):
        with pytest.raises(OSError, match="in use"):
            async with serving() as (server, _):
                await server.start("127.0.0.1", port)


async def test_the_observer_sees_who_comes() -> None:
    class Observer:
        def __init__(self) -> None:
            self.seen: list[tuple[str, str]] = []

        def header_seen(self, peer_host: str, info: ConnectionInfo) -> None:
            self.seen.append((peer_host, f"{info.user} {info.service}"))

        def registry_preamble_seen(self, peer_host: str) -> None:
            self.seen.append((peer_host, "Regist"))

    async with serving() as (server, port):
        server.observer = observer = Observer()
        for first in (b"Regist", hello(), hello()[:9]):
            client = await RawClient.connect(port, first)
            await asyncio.sleep(0.02)
            client.send(hello()[9:] if len(first) == 9 else b"")
            await asyncio.sleep(0.02)
            await client.close()
        assert observer.seen == [("127.0.0.1", what) for what in ("Regist", f"root {SERVICE}", f"root {SERVICE}")]


async def test_limits_of_services_that_are_not_ready_are_hbases() -> None:
    settings = RpcServerSettings(limits=WireLimits(frame_bytes_max=3 << 20))
    async with serving(Service().table, settings) as (_, port):
        big = Request(length=5).SerializeToString() + b"\xba\x44" + delimited(bytes(2 << 20))
        client = await RawClient.connect(port, hello("MasterService") + encode_request(1, "Echo", big))
        assert (await client.answer())[:3] == (1, None, b"\x08\x05")
        client.send(encode_length((3 << 20) + 1) + delimited(b"\x08\x02"))
        assert "3145728" in str((await client.answer()).error)
        assert await client.rest() == b""
        await client.close()
