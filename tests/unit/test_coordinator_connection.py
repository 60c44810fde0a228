"""A connection of a ZooKeeper door between a transport that writes down and a machine that follows a script."""

from __future__ import annotations

import asyncio
import gc
import random

import pytest

from registry.coordinator.connection import BATCH_FRAMES, TURN_FRAMES, DoorConnection
from registry.coordinator.limits import FRAME_BYTES_MAX, DoorLimits, DoorNature
from registry.coordinator.server import DoorServer
from tests.support.clock import ManualClock
from tests.support.scripted_machine import REFUSED, ScriptedMachine, framed
from tests.support.transport import RecordingTransport

NATURE = DoorNature("a door of the tests")


class Doors:
    """A door and what connects to it."""

    def __init__(self, limits: DoorLimits) -> None:
        self.machine = ScriptedMachine()
        self.clock = ManualClock()
        self.server = DoorServer(self.machine, limits, self.clock, NATURE)

    def connect(self, host: str = "127.0.0.1", *, hello: bool = True) -> tuple[DoorConnection, RecordingTransport]:
        transport = RecordingTransport((host, 40_000))
        connection = DoorConnection(self.server.door)
        transport.connect(connection)
        if hello:
            connection.data_received(framed(b"hello"))
        return connection, transport


async def turn() -> None:
    """Until the turn of the loop that is in progress is over, and the next."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.fixture
async def doors() -> Doors:
    return Doors(DoorLimits())


async def test_one_commit_and_one_write_for_each_connection_of_a_turn(doors: Doors) -> None:
    first, one = doors.connect()
    second, two = doors.connect()
    await turn()
    doors.machine.calls.clear()
    first.data_received(framed(b"a") + framed(b"b"))
    second.data_received(framed(b"c"))
    first.data_received(framed(b"d"))
    assert one.written == [framed(b"welcome")], "nothing is written before the commit"
    await turn()
    assert doors.machine.calls == ["received 2", "received 1", "received 1", "commit"]
    assert one.written[1:] == [framed(b"a") + framed(b"b") + framed(b"d")]
    assert two.written[1:] == [framed(b"c")]


async def test_events_for_others_go_out_in_the_same_turn(doors: Doors) -> None:
    teller, _ = doors.connect()
    _, listening = doors.connect()
    await turn()
    teller.data_received(framed(b"tell all"))
    await turn()
    assert listening.written[1:] == [framed(b"event")]


@pytest.mark.parametrize("seed", range(20))
async def test_any_chunking_gives_the_same_frames(doors: Doors, seed: int) -> None:
    rng = random.Random(seed)
    frames = [rng.randbytes(rng.choice((0, 1, 3, 4, 17, 300, 5000))) for _ in range(40)]
    stream = b"".join(map(framed, [b"hello", *frames]))
    connection, transport = doors.connect(hello=False)
    at = 0
    while at < len(stream):
        size = rng.choice((1, 2, 3, 5, 64, 900))
        connection.data_received(stream[at : at + size])
        at += size
        if rng.random() < 0.2:
            await turn()
    for _ in range(4):
        await turn()
    assert doors.machine.frames == frames, f"seed {seed}"
    assert transport.sent == framed(b"welcome") + b"".join(map(framed, frames))
    assert doors.server.door.received.held_bytes == 0


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x10\x00\x00", b"GET "])
async def test_bad_lengths_close_after_what_came_before(doors: Doors, length: bytes) -> None:
    bystander, unharmed = doors.connect()
    connection, transport = doors.connect()
    connection.data_received(framed(b"good") + length + bytes(100))
    assert not transport.is_reading() or not transport.is_closed
    await turn()
    assert transport.sent.endswith(framed(b"good"))
    assert transport.is_closed
    bystander.data_received(framed(b"still there"))
    await turn()
    assert unharmed.sent.endswith(framed(b"still there"))
    assert doors.server.stats.bad_bytes_closed == 1


async def test_the_longest_frame_is_taken_and_one_byte_more_is_not(doors: Doors) -> None:
    connection, transport = doors.connect()
    longest = bytes(FRAME_BYTES_MAX)
    data = framed(longest)
    for at in range(0, len(data), 65536):
        connection.data_received(data[at : at + 65536])
    assert doors.machine.frames == [longest]
    connection.data_received((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    await turn()
    assert transport.is_closed


@pytest.mark.parametrize("first", [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\4\1", b"GET / HTTP/1.1\r\n"])
async def test_bad_first_bytes_close_without_an_answer(doors: Doors, first: bytes) -> None:
    connection, transport = doors.connect(hello=False)
    connection.data_received(first)
    await turn()
    assert transport.is_closed
    assert transport.sent == b""
    assert "connected" not in doors.machine.calls


async def test_who_is_refused_by_the_machine_is_closed_without_an_answer(doors: Doors) -> None:
    for hello in (REFUSED, b"raise"):
        connection, transport = doors.connect(hello=False)
        connection.data_received(framed(hello) + framed(b"more"))
        assert transport.is_aborted
        assert transport.sent == b""
        transport.lose()
    await turn()
    assert "lost" not in doors.machine.calls, "the machine never knew it"


async def test_a_request_that_fails_costs_its_own_connection(doors: Doors) -> None:
    connection, transport = doors.connect()
    bystander, unharmed = doors.connect()
    connection.data_received(framed(b"raise") + framed(b"more"))
    bystander.data_received(framed(b"here"))
    await turn()
    assert transport.is_aborted
    assert unharmed.sent.endswith(framed(b"here"))
    transport.lose()
    assert doors.machine.calls[-1] == "lost"


async def test_a_close_by_the_machine_comes_after_what_was_sent(doors: Doors) -> None:
    connection, transport = doors.connect()
    connection.data_received(framed(b"close") + framed(b"too late"))
    connection.data_received(framed(b"later still"))
    await turn()
    assert transport.sent == framed(b"welcome") + framed(b"bye")
    assert transport.is_closed
    assert not transport.is_aborted
    assert b"later still" not in doors.machine.frames
    transport.lose()
    assert doors.machine.calls[-1] == "lost"


async def test_a_commit_that_fails_writes_nothing_and_says_so(doors: Doors) -> None:
    connection, transport = doors.connect()
    await turn()
    doors.machine.commit_error = OSError("no space left")
    connection.data_received(framed(b"a write"))
    await turn()
    assert transport.written == [framed(b"welcome")]
    assert transport.is_aborted
    with pytest.raises(OSError, match="no space left"):
        await doors.server.failure


async def test_one_connection_gets_its_share_of_a_turn(doors: Doors) -> None:
    greedy, greedy_transport = doors.connect()
    modest, modest_transport = doors.connect()
    await turn()
    many = [str(number).encode() for number in range(3 * TURN_FRAMES)]
    greedy.data_received(b"".join(map(framed, many)))
    modest.data_received(framed(b"me too"))
    assert len(doors.machine.frames) == TURN_FRAMES + 1
    assert greedy_transport.is_reading_paused
    for _ in range(8):
        await turn()
    assert modest_transport.sent.endswith(framed(b"me too"))
    assert greedy_transport.sent == framed(b"welcome") + b"".join(map(framed, many))
    assert not greedy_transport.is_reading_paused


async def test_large_answers_are_written_before_more_requests_are_taken(doors: Doors) -> None:
    connection, _ = doors.connect()
    await turn()
    connection.data_received(framed(b"send 1 1000000") * (4 * BATCH_FRAMES))
    assert len(doors.machine.frames) == BATCH_FRAMES
    for _ in range(12):
        await turn()
    assert len(doors.machine.frames) == 4 * BATCH_FRAMES


async def test_who_does_not_read_is_not_read_from_until_it_does(doors: Doors) -> None:
    connection, transport = doors.connect()
    await turn()
    connection.pause_writing()
    assert transport.is_reading_paused
    connection.data_received(framed(b"in the pipe already"))
    connection.data_received(framed(b"and more"))
    await turn()
    assert doors.machine.frames == []
    connection.resume_writing()
    assert doors.machine.frames == [b"in the pipe already", b"and more"]
    assert not transport.is_reading_paused


async def test_events_for_a_slow_reader_are_bounded() -> None:
    doors = Doors(DoorLimits(write_buffer_bytes_max=1000))
    slow, transport = doors.connect()
    teller, _ = doors.connect()
    await turn()
    slow.pause_writing()
    transport.unsent_bytes = 900
    teller.data_received(framed(b"tell all"))
    await turn()
    assert not transport.is_closed
    transport.unsent_bytes = 1100
    teller.data_received(framed(b"tell all"))
    await turn()
    assert transport.is_aborted
    assert doors.server.stats.slow_readers_closed == 1


async def test_slow_readers_share_one_budget() -> None:
    doors = Doors(DoorLimits(send_bytes_max=1000))
    readers = [doors.connect() for _ in range(3)]
    for (connection, transport), unsent in zip(readers, (300, 600, 200), strict=True):
        transport.unsent_bytes = unsent
        connection.pause_writing()
    assert [transport.is_aborted for _, transport in readers] == [False, True, False], "the one with most goes"


async def test_unfinished_frames_share_one_budget() -> None:
    doors = Doors(DoorLimits(receive_bytes_max=1000))
    writers = [doors.connect() for _ in range(3)]
    for (connection, _), size in zip(writers, (300, 600, 200), strict=True):
        connection.data_received(framed(bytes(10_000))[:size])
    assert [transport.is_aborted for _, transport in writers] == [False, True, False]
    assert doors.server.stats.slow_writers_closed == 1


async def test_sweeps_close_strangers_and_who_never_reads() -> None:
    doors = Doors(DoorLimits(first_frame_timeout_ms=10_000, slow_reader_timeout_ms=60_000))
    _, silent = doors.connect(hello=False)
    half, half_silent = doors.connect(hello=False)
    half.data_received(framed(b"hello")[:5])
    slow, slow_transport = doors.connect()
    slow.pause_writing()
    _, idle = doors.connect()
    doors.clock.advance(9_999)
    doors.server.tick()
    assert not silent.is_closed
    doors.clock.advance(1)
    doors.server.tick()
    assert silent.is_aborted
    assert half_silent.is_aborted
    assert not slow_transport.is_closed
    doors.clock.advance(50_000)
    doors.server.tick()
    assert slow_transport.is_aborted
    assert not idle.is_closed, "sessions are the machine's business"
    assert doors.server.stats.strangers_closed == 2
    assert doors.server.stats.slow_readers_closed == 1


async def test_connections_are_limited_in_all_and_for_each_host() -> None:
    doors = Doors(DoorLimits(connections_max=4, connections_per_peer_max=2))
    doors.server.door.connections_max = 4
    made = [doors.connect(host)[1] for host in ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2")]
    assert [transport.is_aborted for transport in made] == [False, False, True, False]
    doors.connect("10.0.0.3")
    assert doors.connect("10.0.0.4")[1].is_aborted
    made[0].lose()
    assert not doors.connect("10.0.0.1")[1].is_aborted
    assert doors.server.stats.connections_refused == 2


async def test_a_limit_of_0_for_a_host_is_none() -> None:
    doors = Doors(DoorLimits(connections_per_peer_max=0))
    assert not any(doors.connect()[1].is_aborted for _ in range(1000))


async def test_a_late_tick_ends_no_session_before_all_was_read(doors: Doors) -> None:
    await doors.server.start("127.0.0.1", 0)
    doors.clock.advance(60_000)  # the process was stopped
    doors.server._tick_timed()  # pyright: ignore[reportPrivateUsage]  the loop's timer
    assert "tick" not in doors.machine.calls
    doors.server._tick_timed()  # pyright: ignore[reportPrivateUsage]  one turn later
    assert "tick" in doors.machine.calls
    await doors.server.stop()


@pytest.mark.parametrize("ending", [framed(b"close"), b"\xff\xff\xff\xff", framed(b"raise"), b""])
async def test_a_connection_that_is_gone_leaves_nothing_for_the_collector(ending: bytes) -> None:
    """The process collects seldom: what is in a cycle would stay for long."""
    doors = Doors(DoorLimits())
    connection, transport = doors.connect()
    await turn()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        connection.data_received(framed(b"a") + ending)
        await turn()
        transport.lose()
        await turn()
        transport.protocol = None  # as loops do
        del connection, transport
        gc.collect()
        assert not [each for each in gc.garbage if isinstance(each, DoorConnection)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
