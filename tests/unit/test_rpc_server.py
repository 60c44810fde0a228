"""The RPC server over real sockets, on both loops: what it answers, from its start to its end."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

import pytest

from protos.hbase import Registry_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel, fetch_cluster_id
from registry.rpc.context import RpcServerSettings
from registry.rpc.scheduler import SchedulerSettings
from registry.rpc.services import ServiceTable
from registry.wire.calls import encode_answer, encode_request
from registry.wire.errors import CallQueueTooBigException, DoNotRetryIOException, IOException, TableNotFoundException
from registry.wire.framing import delimited, encode_frame, encode_length
from registry.wire.header import ConnectionInfo
from registry.wire.limits import WireLimits
from registry.wire.preamble import SECURITY_NOT_ENABLED, encode_registry_answer
from tests.support.clock import ManualClock
from tests.support.rpc import BODIES, CLUSTER_ID, SERVICE, RawClient, eventually, hello, serving
from tests.support.rpc_service import Request, Service, ask

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
        client.send(ask(1, "Echo", 7) + ask(2, "Bytes") + encode_request(3, "Cells", b"", cells=b"xyz"))
        assert (await client.answer())[:3] == (1, None, b"\x08\x07")
        assert (await client.answer())[:3] == (2, None, b"\x08\x2a")
        assert (await client.answer())[:4] == (3, None, b"\x08\x01", b"cells:xyz")
        client.send(ask(4, "Refuse") + ask(5, "Fail") + ask(6, "LaterFail") + ask(7, "Later", 9))
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
        client.send(ask(1, "Keep") + ask(2, "Keep") + ask(3, "AnswerAndKeep") + ask(4, "AnswerAndFail"))
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
        client.send(ask(5, "Keep"))
        await eventually(lambda: len(service.kept) == 3)
        await client.close()
        await eventually(lambda: not server.stats.connections_open)
        service.kept[2].answer(b"")  # nobody is there to hear it
        assert server.stats.calls_executing == 0


async def test_a_drain_waits_for_kept_calls() -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        client = await RawClient.connect(port, hello("MasterService") + ask(1, "Keep"))
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
        client = await RawClient.connect(port, hello("MasterService") + ask(1, "Later", 1) + ask(2, "Echo", 2))
        assert (await client.answer()).call_id == 2
        service.gate.set()
        assert (await client.answer()).call_id == 1
        await client.close()


@pytest.mark.parametrize(
    ("request_bytes", "says"),
    [
        (ask(3, "NoSuchMethod"), "java.lang.UnsupportedOperationException: NoSuchMethod"),
        (encode_request(3, "Echo", b"\xff"), "CellBlockMeta"),
        (encode_request(3, "Required", b""), "missing required fields"),
        (encode_frame(delimited(b"\x08\x03\x1a\x04Echo")), "should have param set in it"),
        (encode_frame(delimited(b"\x08\x03\x1a\x04Echo\x20\x01\x2a\x02\x08\x01"), b"\x05a"), "announces 5 bytes"),
    ],
    ids=["method", "request", "required field", "request_param", "length"],
)
async def test_a_call_that_cannot_be_read_is_answered_and_the_connection_goes_on(
    request_bytes: bytes, says: str
) -> None:
    async with serving(Service().table) as (_, port):
        client = await RawClient.connect(port, hello("MasterService") + request_bytes + ask(4, "Echo", 1))
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
        client.send(b"".join(ask(n, "Later", n) for n in range(1, 5)) + ask(9, "Admin", 1))
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
        busy = await RawClient.connect(port, hello("MasterService") + b"".join(ask(n, "Later") for n in range(50)))
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
        client = await RawClient.connect(port, hello("MasterService") + ask(1, "Later", 1))
        client.send(ask(2, "Later", 2, timeout_ms=100) + ask(3, "Later", 3, timeout_ms=5000))
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
        client = await RawClient.connect(port, hello("MasterService") + ask(1, "Later", 1))
        await eventually(lambda: server.stats.calls_executing == 1)
        client.reset()
        await eventually(lambda: server.stats.connections_open == 0)
        service.gate.set()
        await eventually(lambda: server.stats.calls_executing == 0)
        assert service.ended == [1], "what has begun is brought to its end"


# --- life ---------------------------------------------------------------------------------------------------------


async def test_drain_finishes_what_runs_and_takes_no_more() -> None:
    service = Service()
    async with serving(service.table) as (server, port):
        idle = await RawClient.connect(port, hello())
        busy = await RawClient.connect(port, hello("MasterService") + ask(1, "Later", 1))
        await eventually(lambda: server.stats.calls_executing == 1 and server.stats.connections_open == 2)
        draining = asyncio.create_task(server.drain(5000))
        assert await idle.rest() == b""
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await RawClient.connect(port)
        busy.send(ask(2, "Echo", 2))
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
        busy = await RawClient.connect(port, hello("MasterService") + ask(1, "Later", 1))
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
        expected = [("127.0.0.1", what) for what in ("Regist", f"root {SERVICE}", f"root {SERVICE}")]
        await eventually(lambda: observer.seen == expected)


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
