"""One connection on a transport that only writes down: whom it keeps waiting, and when it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from protos.hbase import RPC_pb2
from registry.budget import ByteBudget
from registry.rpc.connection import EVENTS_PER_TURN, RpcConnection
from registry.rpc.context import HEADERS_REMEMBERED_MAX, RpcContext, RpcServerSettings
from registry.rpc.gathered import FRAME_BYTES_MAX
from registry.rpc.scheduler import RUNS, Outcome, RpcScheduler
from registry.rpc.services import Call, ServiceTable
from registry.wire.calls import encode_answer, encode_request
from registry.wire.framing import FrameReader, delimited, encode_length
from registry.wire.header import ConnectionInfo
from registry.wire.limits import READY_FRAME_BYTES_MAX
from registry.wire.ready import BATCH_BYTES_MAX
from tests.support.clock import ManualClock
from tests.support.rpc import BODIES, SERVICE, hello
from tests.support.transport import RecordingTransport

LOOK_UP = encode_request(1, "GetMasters", b"")
ANSWER = encode_answer(1, BODIES["GetMasters"])


class Door:
    """A context with a clock that moves when told, and a scheduler whose calls wait for `calls`."""

    def __init__(self, settings: RpcServerSettings | None = None) -> None:
        self.clock = ManualClock()
        services = ServiceTable()
        services.add("MasterService", "Call", RPC_pb2.CellBlockMeta, lambda call: b"")
        services.add("MasterService", "Quick", RPC_pb2.CellBlockMeta, lambda call: b"", at_once=self.at_once)
        self.context = RpcContext(settings or RpcServerSettings(), services, self.clock)
        self.context.set_ready(SERVICE, BODIES)
        self.calls: list[Call] = []
        self.turns: list[Callable[[], None]] = []
        """Of the scheduler; they come when told."""
        self.context.scheduler = RpcScheduler(
            self.context.settings.scheduler,
            self.clock,
            execute=self.execute,
            call_soon=self.turns.append,
            stats=self.context.stats,
        )

    def execute(self, call: Call) -> Outcome:
        self.calls.append(call)
        return RUNS

    def at_once(self, param: bytes, info: ConnectionInfo) -> tuple[bytes, bytes]:
        """A millisecond each."""
        self.clock.advance(1)
        return param, b""

    def connect(self, data: bytes = b"", host: str = "h") -> tuple[RpcConnection, RecordingTransport]:
        connection, transport = RpcConnection(self.context), RecordingTransport((host, 1))
        transport.connect(connection)
        if data:
            connection.data_received(data)
        return connection, transport

    def pass_ms(self, delta_ms: float) -> None:
        """Let time pass, and sweep."""
        self.clock.advance(delta_ms)
        self.context.now_ms = self.clock.monotonic_ms()
        for connection in tuple(self.context.connections):
            connection.check_times()


def test_while_the_peer_does_not_read_nothing_is_answered() -> None:
    connection, transport = Door().connect(hello() + LOOK_UP)
    assert transport.sent == ANSWER
    connection.pause_writing()
    assert transport.is_reading_paused
    connection.data_received(LOOK_UP + LOOK_UP[:5])  # what the loop had read already
    assert transport.sent == ANSWER
    connection.resume_writing()
    assert not transport.is_reading_paused
    assert transport.sent == ANSWER * 2
    connection.data_received(LOOK_UP[5:])
    assert transport.sent == ANSWER * 3


async def test_a_batch_a_turn() -> None:
    """A segment of 9000 look-ups is answered in batches, between which the loop sees to others."""
    count = 9000
    connection, transport = Door().connect(hello())
    connection.data_received(LOOK_UP * count + LOOK_UP[:7])
    turns = 1
    while transport.is_reading_paused:
        assert len(transport.written) == turns
        assert len(transport.written[-1]) <= BATCH_BYTES_MAX
        await asyncio.sleep(0)
        turns += 1
    assert transport.sent == ANSWER * count
    assert turns >= count * len(ANSWER) // BATCH_BYTES_MAX
    connection.data_received(LOOK_UP[7:])
    assert transport.sent == ANSWER * (count + 1)


async def test_events_a_turn() -> None:
    """The long way has its share of a turn too."""
    request = encode_request(1, "NoSuchMethod", b"")
    _, transport = Door().connect(hello() + request * (2 * EVENTS_PER_TURN + 3))
    answered = [len(transport.written)]
    while transport.is_reading_paused:
        await asyncio.sleep(0)
        answered.append(len(transport.written))
    assert answered == [EVENTS_PER_TURN, 2 * EVENTS_PER_TURN, 2 * EVENTS_PER_TURN + 3]


def test_a_peer_that_does_not_read_for_a_minute_is_closed() -> None:
    door = Door()
    connection, transport = door.connect(hello())
    door.pass_ms(50_000)
    connection.pause_writing()
    door.pass_ms(50_000)
    assert not transport.is_closed, "counted from when it stopped reading"
    door.pass_ms(10_001)
    assert transport.is_aborted
    assert door.context.stats.slow_readers_closed == 1


def test_a_peer_that_reads_again_begins_anew() -> None:
    door = Door()
    connection, transport = door.connect(hello())
    connection.pause_writing()
    door.pass_ms(59_000)
    connection.resume_writing()
    connection.pause_writing()
    door.pass_ms(59_000)
    assert not transport.is_closed


def test_last_words_that_nobody_reads_are_given_up() -> None:
    """A transport that is closing waits for its peer for ever; nobody else looks after it."""
    door = Door()
    _, transport = door.connect(b"GET / HTTP/1.1\r\n")
    assert transport.is_closed
    assert not transport.is_aborted
    door.pass_ms(60_001)
    assert transport.is_aborted
    transport.lose()
    assert not door.context.connections


def test_calls_answer_a_slow_reader_up_to_a_limit() -> None:
    door = Door(RpcServerSettings(write_buffer_bytes_max=1000))
    connection, transport = door.connect(hello("MasterService") + encode_request(1, "Call", b"") * 5)
    connection.pause_writing()
    for unsent_bytes, answered in ((0, 1), (1000, 2), (1001, 2)):
        transport.unsent_bytes = unsent_bytes
        connection.answer(door.calls.pop(), b"m", b"")
        assert len(transport.written) == answered
    assert transport.is_aborted
    connection.answer(door.calls.pop(), b"m", b"")  # late answers are dropped
    connection.fail(door.calls.pop(), ValueError("late"))
    assert connection.calls == 0


def test_slow_readers_share_a_budget() -> None:
    door = Door(RpcServerSettings(send_bytes_max=100))
    pairs = [door.connect(hello()) for _ in range(3)]
    for (connection, transport), unsent_bytes in zip(pairs, (30, 60, 40), strict=True):
        transport.unsent_bytes = unsent_bytes
        connection.pause_writing()
    assert [transport.is_aborted for _, transport in pairs] == [False, True, False]
    pairs[0][0].resume_writing()
    assert door.context.unsent.held_bytes == 40


def test_unfinished_requests_share_a_budget() -> None:
    door = Door(RpcServerSettings(receive_bytes_max=1000))
    start = hello("MasterService") + encode_length(10_000)
    small, large = door.connect(start + bytes(300)), door.connect(start + bytes(600))
    assert not large[1].is_closed
    _, latest = door.connect(start + bytes(100))
    assert large[1].is_aborted, "the largest goes, not the latest"
    assert not small[1].is_closed
    assert not latest.is_closed
    small[1].lose()
    assert door.context.received.held_bytes == 104
    latest.lose()
    assert door.context.received.held_bytes == 0


def test_a_refused_connection_is_forgotten() -> None:
    door = Door(RpcServerSettings(connections_per_peer_max=1))
    _, first = door.connect(host="a")
    connection, second = door.connect(host="a")
    _, other = door.connect(host="b")
    assert [transport.is_aborted for transport in (first, second, other)] == [False, True, False]
    connection.data_received(hello() + LOOK_UP)  # what was under way
    second.lose()
    assert second.written == []
    assert door.context.stats.connections_refused == {"peer": 1}
    first.lose()
    _, again = door.connect(host="a")
    assert not again.is_closed
    assert door.context.connections_by_peer == {"a": 1, "b": 1}


def test_headers_of_many_shapes_do_not_fill_the_memory() -> None:
    door = Door()
    first_message = RPC_pb2.ConnectionHeader(service_name=SERVICE).SerializeToString()
    first = door.context.known_header(first_message)
    assert door.context.known_header(first_message) is first
    for number in range(HEADERS_REMEMBERED_MAX):
        message = RPC_pb2.ConnectionHeader(service_name=SERVICE)
        message.user_info.effective_user = f"user{number}"
        info = door.context.known_header(message.SerializeToString())
        assert info is not None
        assert info.user == f"user{number}"
    assert door.context.known_header(first_message) is not first, "forgotten, and read again"


@pytest.mark.parametrize("first_bytes", [0, 3, 8, 40])
def test_limits_follow_the_service_however_its_name_came(first_bytes: int) -> None:
    connection, transport = Door().connect(hello()[:first_bytes])
    connection.data_received(hello()[first_bytes:])
    connection.data_received(encode_length(READY_FRAME_BYTES_MAX) + b"\x7f")
    assert not transport.is_closed
    connection, transport = Door().connect(hello()[:first_bytes])
    connection.data_received(hello()[first_bytes:])
    connection.data_received(encode_length(READY_FRAME_BYTES_MAX + 1) + delimited(b"\x08\x01"))
    assert transport.is_closed
    assert b"is greater than max allowed 1048576" in transport.sent


def test_what_is_closed_holds_nothing() -> None:
    door = Door()
    connection, _ = door.connect(hello("MasterService") + encode_length(10_000) + bytes(300))
    assert door.context.received.held_bytes == 304
    connection.close()
    assert door.context.received.held_bytes == 0


@pytest.mark.parametrize("data", [hello()[:8], hello()[:-1], hello() + LOOK_UP[:-1], hello() + LOOK_UP + b"\0\0"])
def test_a_segment_that_ends_anywhere(data: bytes) -> None:
    door = Door()
    connection, transport = door.connect(data)
    connection.data_received((hello() + LOOK_UP * 2)[len(data) :])
    assert transport.sent == ANSWER * 2
    assert door.context.received.held_bytes == 0


def test_drain_closes_what_is_idle_and_waits_for_calls() -> None:
    door = Door()
    idle, idle_transport = door.connect(hello())
    busy, busy_transport = door.connect(hello("MasterService") + encode_request(1, "Call", b""))
    door.context.is_draining = True
    idle.drain()
    busy.drain()
    assert idle_transport.is_closed
    assert not busy_transport.is_closed
    assert busy_transport.is_reading_paused
    busy.answer(door.calls.pop(), b"m", b"")
    assert busy_transport.is_closed
    assert busy_transport.sent == encode_answer(1, b"m")
    _, late = door.connect()
    assert late.is_aborted
    assert door.context.stats.connections_refused == {"drain": 1}


def test_a_budget_makes_room_for_more_than_one() -> None:
    budget = ByteBudget[str](100)
    assert [budget.hold(name, 10) for name in "abcdefghij"] == [[]] * 10
    assert budget.held_bytes == 100
    evicted = budget.hold("k", 1)
    assert len(evicted) == 3
    assert budget.held_bytes == 71
    assert budget.hold("k", 0) == []
    budget.release("k")
    budget.release("nobody")
    assert budget.held_bytes == 70


def test_the_reader_of_frames_can_be_handed_over() -> None:
    reader = FrameReader(100)
    reader.feed(b"\0\0")
    assert reader.take(2) == b"\0\0"
    assert reader.take(1) is None


async def test_answers_of_one_turn_go_in_one_write() -> None:
    door = Door()
    connection, transport = door.connect(hello("MasterService"))
    connection.data_received(b"".join(encode_request(number, "Call", b"") for number in range(4)))
    first, second, third, last = door.calls
    first.answer(b"\x08\x01")
    second.answer(b"\x08\x02")
    assert not transport.written, "others are under way: these wait for the end of the turn"
    await asyncio.sleep(0)
    assert transport.written == [encode_answer(0, b"\x08\x01") + encode_answer(1, b"\x08\x02")]
    third.answer(bytes(FRAME_BYTES_MAX))
    assert len(transport.written) == 2, "a large one waits for nobody"
    last.answer(b"\x08\x04")
    await asyncio.sleep(0)
    assert len(transport.written) == 3


async def test_what_waits_for_the_end_of_the_turn_is_sent_before_the_end_of_the_connection() -> None:
    door = Door()
    connection, transport = door.connect(hello("MasterService"))
    connection.data_received(b"".join(encode_request(number, "Call", b"") for number in range(3)))
    door.calls[0].answer(b"")
    connection.close()
    assert transport.sent == encode_answer(0, b"")
    door.calls[1].answer(b"")
    await asyncio.sleep(0)
    assert transport.sent == encode_answer(0, b"")


async def test_the_last_answer_takes_along_what_waits() -> None:
    door = Door()
    connection, transport = door.connect(hello("MasterService"))
    connection.data_received(encode_request(0, "Call", b"") + encode_request(1, "Call", b""))
    for number, call in enumerate(door.calls):
        call.answer(b"")
        assert connection.calls == 1 - number
    await asyncio.sleep(0)
    assert transport.written == [encode_answer(0, b"") + encode_answer(1, b"")]


def test_what_is_answered_at_once_goes_on_turn_by_turn() -> None:
    """Of two connections that ask for more than there is time for neither is forgotten, and nothing is queued."""
    door = Door()
    pairs = [door.connect(hello("MasterService")) for _ in range(2)]
    count = 30
    asked = b"".join(encode_request(number, "Quick", b"") for number in range(count))
    for connection, _ in pairs:
        connection.data_received(asked[:-5])
    for connection, transport in pairs:
        assert transport.is_reading_paused
        connection.data_received(asked[-5:])  # what the loop had read already
    turns: list[tuple[int, ...]] = []
    while door.turns:
        now, door.turns[:] = list(door.turns), []
        for turn in now:
            turn()
        turns.append(tuple(len(transport.sent) for _, transport in pairs))
    answers = b"".join(encode_answer(number, b"") for number in range(count))
    for _, transport in pairs:
        assert transport.sent == answers
        assert not transport.is_reading_paused
    assert len(turns) >= 2 * count // 5 - 2, "five milliseconds each"
    assert all(max(pair) - min(pair) <= len(answers) // 2 for pair in turns), "they take turns"
    assert (door.context.stats.calls_shed, len(door.calls)) == (0, 0)


async def test_calls_that_were_held_back_go_on_the_short_way() -> None:
    count = 2 * EVENTS_PER_TURN + 3
    connection, transport = Door().connect(hello("MasterService"))
    connection.data_received(b"".join(encode_request(number, "Call", b"") for number in range(count))[:-3])
    while transport.is_reading_paused:
        await asyncio.sleep(0)
    assert connection.calls == count - 1
