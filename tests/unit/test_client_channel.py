"""RpcChannel and the registry preamble against servers that answer, hang, reset, stop half way and lie."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time

import pytest

from protos.hbase import Registry_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel, fetch_cluster_id
from registry.wire.calls import encode_answer, encode_error
from registry.wire.errors import (
    AccessDeniedException,
    CallTimeoutException,
    ConnectException,
    ConnectionClosedException,
    ServerNotRunningYetException,
)
from registry.wire.limits import WireLimits
from registry.wire.stamp import Stamp
from tests.support.scripted import (
    Peer,
    Script,
    answering,
    closing,
    hanging,
    refused_address,
    resetting,
    scripted_server,
    shouting,
    unanswered_address,
)

pytestmark = pytest.mark.usefixtures("nothing_blocks_the_loop")

SERVICE = "ClientMetaService"
CLUSTER_ID = "dec5e4d9-c8c0-4618-a767-92cb9707d79b"
BODY = Registry_pb2.GetClusterIdResponse(cluster_id=CLUSTER_ID).SerializeToString()
REQUEST = Registry_pb2.GetClusterIdRequest()
RESPONSE = Registry_pb2.GetClusterIdResponse


async def ask(address: Address, **settings: float) -> str:
    timeout_ms = settings.pop("timeout_ms", 2000)
    async with await RpcChannel.connect(address, SERVICE, **settings) as channel:  # pyright: ignore[reportArgumentType]
        response = await channel.call("GetClusterId", REQUEST, RESPONSE, timeout_ms=timeout_ms)
    return response.cluster_id


async def test_a_call() -> None:
    async with scripted_server(answering({"GetClusterId": BODY})) as address:
        assert await ask(address) == CLUSTER_ID


async def test_what_the_server_sees() -> None:
    heard: list[object] = []

    async def script(peer: Peer) -> None:
        hello = await peer.read_hello()
        header, param = await peer.read_call()
        heard.extend([hello.service_name, hello.user_info.effective_user, header.timeout, param])
        heard.extend([header.request_param, [pair.name for pair in header.attribute]])
        peer.write(encode_answer(header.call_id, BODY))

    async with scripted_server(script) as address:
        await ask(address, timeout_ms=1234)
    assert heard == [SERVICE, "hbeacon", 1234, b"", True, []]


async def test_answers_in_any_order() -> None:
    """100 calls are outstanding at once and are answered backwards."""

    async def script(peer: Peer) -> None:
        await peer.read_hello()
        calls = [await peer.read_call() for _ in range(100)]
        assert len({header.call_id for header, _ in calls}) == 100
        for header, param in reversed(calls):
            peer.write(encode_answer(header.call_id, param))
        await peer.hang()

    async with scripted_server(script) as address, await RpcChannel.connect(address, SERVICE) as channel:
        answers = await asyncio.gather(*(channel.call_bytes("Echo", b"%d" % number) for number in range(100)))
        assert [answer.message for answer in answers] == [b"%d" % number for number in range(100)]
        assert channel.calls_outstanding == 0


async def test_an_error_ends_its_own_call_only() -> None:
    bodies = {"GetClusterId": BODY, "IsMasterRunning": ServerNotRunningYetException("Server is not running yet")}
    async with (
        scripted_server(answering(bodies)) as address,
        await RpcChannel.connect(address, SERVICE) as channel,
    ):
        with pytest.raises(ServerNotRunningYetException, match="not running yet"):
            await channel.call("IsMasterRunning", REQUEST, RESPONSE)
        assert (await channel.call("GetClusterId", REQUEST, RESPONSE)).cluster_id == CLUSTER_ID


async def test_stamp_only_where_asked_for() -> None:
    stamp = Stamp(generation=1, zxid=77, age_ms=5.0, changed_zxid=70)
    async with (
        scripted_server(answering({"GetClusterId": BODY}, stamp=stamp)) as address,
        await RpcChannel.connect(address, SERVICE) as channel,
    ):
        response, seen = await channel.call_stamped("GetClusterId", REQUEST, RESPONSE)
        assert (response.cluster_id, seen) == (CLUSTER_ID, stamp)
        assert (await channel.call_bytes("GetClusterId", b"")).stamp is None
    async with (
        scripted_server(answering({"GetClusterId": BODY})) as address,
        await RpcChannel.connect(address, SERVICE) as channel,
    ):
        assert (await channel.call_stamped("GetClusterId", REQUEST, RESPONSE))[1] is None, "HBase's own servers"


async def test_late_call_is_forgotten_and_its_answer_dropped() -> None:
    late = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_hello()
        first, _ = await peer.read_call()
        await late.wait()
        peer.write(encode_answer(first.call_id, b"late"))
        second, _ = await peer.read_call()
        assert second.call_id != first.call_id
        peer.write(encode_answer(second.call_id, b"in time"))
        await peer.hang()

    async with scripted_server(script) as address, await RpcChannel.connect(address, SERVICE) as channel:
        with pytest.raises(CallTimeoutException, match=rf"Slow on {address} was not answered within 50 ms"):
            await channel.call_bytes("Slow", b"", timeout_ms=50)
        assert channel.calls_outstanding == 0
        late.set()
        assert (await channel.call_bytes("Quick", b"", timeout_ms=2000)).message == b"in time"


async def test_cancelled_call_is_forgotten() -> None:
    async with scripted_server(hanging) as address, await RpcChannel.connect(address, SERVICE) as channel:
        call = asyncio.create_task(channel.call_bytes("Any", b""))
        await asyncio.sleep(0.01)
        assert channel.calls_outstanding == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert channel.calls_outstanding == 0
        assert channel.is_open


async def half_an_answer(peer: Peer) -> None:
    await peer.read_hello()
    header, _ = await peer.read_call()
    peer.write(encode_answer(header.call_id, BODY)[:-5])
    await peer.writer.drain()


async def giant_announcement(peer: Peer) -> None:
    await peer.read_hello()
    await peer.read_call()
    peer.write(b"\x7f\xff\xff\xff")
    await peer.hang()


async def nonsense(peer: Peer) -> None:
    await peer.read_hello()
    header, _ = await peer.read_call()
    peer.write(encode_answer(header.call_id, b"\xff\xff\xff"))
    await peer.hang()


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (closing, "was lost with 1 call outstanding: closed by the server"),
        (resetting, "was lost.*: connection reset by the server"),
        (half_an_answer, "was lost with 1 call outstanding: closed by the server, [0-9]+ bytes into an answer"),
        (giant_announcement, "does not speak the protocol: .*2147483647 bytes"),
        (shouting, "does not speak the protocol: .*1213486160 bytes"),
        (nonsense, "is no GetClusterIdResponse"),
    ],
)
async def test_servers_that_are_none(script: Script, text: str) -> None:
    async with scripted_server(script) as address:
        with pytest.raises(ConnectionClosedException, match=text) as caught:
            await ask(address)
        assert str(address) in str(caught.value)


async def test_an_answer_nobody_asked_for_is_skipped() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_hello()
        header, _ = await peer.read_call()
        peer.write(encode_answer(header.call_id + 1, b"other") + encode_answer(header.call_id, BODY))
        await peer.hang()

    async with scripted_server(script) as address:
        assert await ask(address) == CLUSTER_ID


async def test_loss_fails_all_calls_with_an_error_of_their_own() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_hello()
        for _ in range(3):
            await peer.read_call()

    async with scripted_server(script) as address, await RpcChannel.connect(address, SERVICE) as channel:
        calls = [asyncio.create_task(channel.call_bytes("Any", b"")) for _ in range(3)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        texts = {str(result) for result in results}
        lost = f"the connection to {address} was lost with 3 calls outstanding: closed by the server"
        assert texts == {f"ConnectionClosedException: {lost}"}
        assert len({id(result) for result in results}) == 3
        assert not channel.is_open
        with pytest.raises(ConnectionClosedException, match="with 3 calls outstanding"):
            await channel.call_bytes("Any", b"")


async def test_silence_while_calls_are_outstanding_ends_the_connection() -> None:
    async with scripted_server(hanging) as address:
        channel = await RpcChannel.connect(address, SERVICE, read_timeout_ms=80)
        await asyncio.sleep(0.12)
        assert channel.is_open, "silence without a call is no fault"
        begin = time.monotonic()
        with pytest.raises(ConnectionClosedException, match="sent nothing for 80 ms with 1 call outstanding"):
            await channel.call_bytes("Any", b"", timeout_ms=5000)
        assert 0.07 < time.monotonic() - begin < 4
        await channel.wait_closed()


async def test_new_calls_do_not_make_a_silent_server_less_silent() -> None:
    async with (
        scripted_server(hanging) as address,
        await RpcChannel.connect(address, SERVICE, read_timeout_ms=150) as channel,
    ):
        calls: list[asyncio.Task[object]] = []
        begin = time.monotonic()
        while channel.is_open and time.monotonic() - begin < 10:
            calls.append(asyncio.create_task(channel.call_bytes("Any", b"", timeout_ms=20_000)))
            await asyncio.sleep(0.03)
        assert not channel.is_open
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {ConnectionClosedException}


async def test_an_answered_connection_may_be_quiet_for_ever() -> None:
    async with (
        scripted_server(answering({"GetClusterId": BODY})) as address,
        await RpcChannel.connect(address, SERVICE, read_timeout_ms=40) as channel,
    ):
        await channel.call_bytes("GetClusterId", b"")
        await asyncio.sleep(0.15)
        assert channel.is_open


async def test_a_server_that_keeps_sending_is_not_silent() -> None:
    async def script(peer: Peer) -> None:
        await peer.read_hello()
        header, _ = await peer.read_call()
        frame = encode_answer(header.call_id, b"x" * 8)
        for start in range(0, len(frame), 4):
            peer.write(frame[start : start + 4])
            await asyncio.sleep(0.04)
        await peer.hang()

    async with (
        scripted_server(script) as address,
        await RpcChannel.connect(address, SERVICE, read_timeout_ms=100) as channel,
    ):
        assert (await channel.call_bytes("Any", b"", timeout_ms=5000)).message == b"x" * 8


async def test_close_fails_what_is_outstanding() -> None:
    async with scripted_server(hanging) as address:
        channel = await RpcChannel.connect(address, SERVICE)
        call = asyncio.create_task(channel.call_bytes("Any", b""))
        await asyncio.sleep(0.01)
        channel.close()
        channel.close()
        with pytest.raises(ConnectionClosedException, match="closed by this side"):
            await call
        await channel.wait_closed()


async def test_a_server_that_does_not_read_costs_time_only() -> None:
    """What cannot be sent waits within the call's time-out, and memory holds one buffer, not all calls."""
    async with scripted_server(hanging) as address, await RpcChannel.connect(address, SERVICE) as channel:
        puts = asyncio.gather(
            *(channel.call_bytes("Put", bytes(1 << 20), timeout_ms=300) for _ in range(40)), return_exceptions=True
        )
        await asyncio.sleep(0.15)
        transport = channel._link._transport  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
        assert transport is not None
        assert transport.get_write_buffer_size() < 3 << 20
        results = await puts
        assert {type(result) for result in results} == {CallTimeoutException}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listens(host: str) -> None:
    with refused_address() as address, pytest.raises(ConnectException, match=f"{host}:.*: connection refused"):
        await ask(Address(host, address.port))


async def test_no_such_host() -> None:
    with pytest.raises(ConnectException, match="no such host"):
        await ask(Address("name.invalid", 16000))


async def test_connect_timeout() -> None:
    with unanswered_address() as address:
        begin = time.monotonic()
        with pytest.raises(ConnectException, match="was not connected within 60 ms"):
            await ask(address, connect_timeout_ms=60)
        assert time.monotonic() - begin < 8


async def test_answer_over_the_limit() -> None:
    async with scripted_server(answering({"GetClusterId": bytes(2000)})) as address:
        channel = await RpcChannel.connect(address, SERVICE, limits=WireLimits(frame_bytes_max=1000))
        with pytest.raises(ConnectionClosedException, match="at most 1000"):
            await channel.call_bytes("GetClusterId", b"")


async def test_regist() -> None:
    async with scripted_server(answering({}, cluster_id=CLUSTER_ID)) as address:
        assert await fetch_cluster_id(address, 2000) == CLUSTER_ID


async def test_regist_to_an_old_server_is_no_error() -> None:
    async with scripted_server(answering({})) as address:
        assert await fetch_cluster_id(address, 2000) is None


async def denied(peer: Peer) -> None:
    await peer.reader.readexactly(6)
    peer.write(encode_error(0xFFFF_FFFF, AccessDeniedException("Expected HEADER=none of yours")))


async def answers_a_call(peer: Peer) -> None:
    await peer.reader.readexactly(6)
    peer.write(encode_answer(7, BODY))
    await peer.hang()


@pytest.mark.parametrize(
    ("script", "error", "text"),
    [
        (hanging, CallTimeoutException, "did not answer Regist within 100 ms"),
        (closing, ConnectionClosedException, "without an answer to Regist"),
        (resetting, ConnectionClosedException, "reset by the server"),
        (shouting, ConnectionClosedException, "does not speak the protocol"),
        (denied, AccessDeniedException, "none of yours"),
        (answers_a_call, ConnectionClosedException, "is not of the preamble"),
    ],
)
async def test_regist_that_fails(script: Script, error: type[Exception], text: str) -> None:
    async with scripted_server(script) as address:
        with pytest.raises(error, match=text):
            await fetch_cluster_id(address, 100 if script is hanging else 2000)


async def test_nothing_is_left_behind() -> None:
    """No task, no socket, no exception that nobody took: the loop would say so when they are collected."""
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with scripted_server(closing) as address:
        for _ in range(3):
            with contextlib.suppress(ConnectionClosedException):
                await ask(address)
            with contextlib.suppress(ConnectionClosedException):
                await fetch_cluster_id(address, 500)
    async with scripted_server(hanging) as address:
        with contextlib.suppress(CallTimeoutException):
            await ask(address, timeout_ms=10)
        with contextlib.suppress(CallTimeoutException):
            await fetch_cluster_id(address, 10)
    gc.collect()
    await asyncio.sleep(0)
    assert problems == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
