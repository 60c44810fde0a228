"""Which calls run, wait and are refused, by a clock that moves when told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protos.hbase import Registry_pb2, RPC_pb2
from registry.rpc.scheduler import LATER, NOW, OVER, REFUSED, RUNS, Outcome, RpcScheduler, SchedulerSettings, Start
from registry.rpc.services import ADMIN_QOS, KEPT, META_QOS, NORMAL_QOS, REPLICATION_QOS, Call, Method
from registry.rpc.stats import RpcStats
from registry.wire.errors import CallQueueTooBigException, encode_exception
from registry.wire.header import ConnectionInfo
from tests.support.clock import ManualClock


class Client:
    """Where the answers go."""

    def __init__(self) -> None:
        self.is_open = True
        self.dropped: list[Call] = []

    def answer(self, call: Call, message: bytes, cells: bytes) -> None:
        """By the handler of a call that was kept; the scheduler answers nothing."""

    def fail(self, call: Call, error: BaseException) -> None:
        raise AssertionError("the scheduler answers nothing")

    def drop(self, call: Call) -> None:
        self.dropped.append(call)


class Harness:
    """A scheduler whose calls end when told and whose turns come when told."""

    def __init__(self, **settings: float) -> None:
        self.clock = ManualClock()
        self.stats = RpcStats()
        self.client = Client()
        self.started: list[str] = []
        self.done: dict[str, Callable[[], None]] = {}
        self.turns: list[Callable[[], None]] = []
        self.keeps = False
        """Calls are kept by their handlers."""
        self.run_ms = 0.0
        """How long a call takes that ends at once; 0: calls go on until `finish`."""
        self.scheduler = RpcScheduler(
            SchedulerSettings(**settings),  # pyright: ignore[reportArgumentType]
            self.clock,
            execute=self.execute,
            call_soon=self.turns.append,
            stats=self.stats,
            server_name="h,1",
        )

    def execute(self, call: Call) -> Outcome:
        self.started.append(call.method.name)
        if self.run_ms:
            self.clock.advance(self.run_ms)
            if not self.keeps:
                return OVER
            call.answer(b"")
        else:
            ended = call.ended
            assert ended is not None
            self.done[call.method.name] = lambda: ended(call)
        return KEPT if self.keeps else RUNS

    def submit(
        self, name: str, *, priority: int = NORMAL_QOS, asked: int = 0, timeout_ms: int = 0, size: int = 10
    ) -> None:
        request = Registry_pb2.GetClusterIdRequest()
        method = Method("Service", name, type(request), lambda call: b"", priority)
        header = RPC_pb2.RequestHeader(method_name=name, priority=asked)
        call = Call(
            self.client,
            method,
            header,
            request,
            b"",
            call_id=0,
            info=ConnectionInfo("Service"),
            peer_host="h",
            frame_bytes=size,
            deadline_ms=self.scheduler.deadline_ms(timeout_ms),
        )
        self.scheduler.submit(call)

    def finish(self, name: str) -> None:
        self.done.pop(name)()

    def turn(self) -> None:
        """The loop's next turn."""
        turns, self.turns[:] = list(self.turns), []
        for turn in turns:
            turn()


def test_calls_run_in_order_while_there_are_handlers() -> None:
    harness = Harness(handlers_max=2)
    for name in "abcd":
        harness.submit(name)
    assert harness.started == ["a", "b"]
    assert (harness.stats.queue_depth, harness.stats.calls_executing) == (2, 2)
    assert harness.stats.calls_in_queue["general"] == 2
    harness.finish("b")
    harness.turn()
    assert harness.started == ["a", "b", "c"]
    harness.finish("a")
    harness.finish("c")
    harness.turn()
    harness.finish("d")
    harness.turn()
    assert harness.started == ["a", "b", "c", "d"]
    assert harness.scheduler.calls_outstanding == 0
    assert harness.stats.queue_bytes == 0
    assert harness.stats.calls_in_queue["general"] == 0
    for _ in range(3):
        harness.turn()
    assert not harness.turns, "a scheduler with nothing to do does not keep the loop turning"


def test_priority_calls_have_handlers_of_their_own() -> None:
    harness = Harness(handlers_max=1, priority_handlers_max=1, replication_handlers_max=1)
    harness.submit("general")
    harness.submit("general waits")
    harness.submit("by method", priority=ADMIN_QOS)
    harness.submit("by client", asked=META_QOS)
    harness.submit("replication", asked=REPLICATION_QOS)
    harness.submit("ten is not above the threshold", asked=10)
    assert harness.started == ["general", "by method", "replication"]
    assert harness.stats.calls_in_queue == {"general": 2, "priority": 1}
    harness.finish("by method")
    harness.turn()
    assert harness.started[-1] == "by client"


def test_a_full_queue_refuses_by_number() -> None:
    harness = Harness(handlers_max=1, calls_per_handler_max=2)
    for name in "abc":
        harness.submit(name)
    with pytest.raises(CallQueueTooBigException) as refused:
        harness.submit("d")
    assert harness.stats.calls_shed == 1
    response = encode_exception(refused.value)
    assert response.stack_trace == "Call queue is full on h,1, too many items queued ?"
    assert response.server_overloaded
    assert not response.do_not_retry
    harness.submit("other lane", priority=ADMIN_QOS)
    assert harness.started == ["a", "other lane"]


def test_a_full_queue_refuses_by_bytes() -> None:
    harness = Harness(handlers_max=1, queue_bytes_max=100)
    harness.submit("a", size=60)  # what runs counts too
    harness.submit("b", size=40)
    with pytest.raises(CallQueueTooBigException, match=r"is hbase\.ipc\.server\.max\.callqueue\.size too small\?"):
        harness.submit("c", size=1)
    harness.finish("a")
    harness.submit("c", size=1)
    assert harness.stats.queue_bytes == 41


def test_a_call_that_waited_longer_than_its_client_is_dropped() -> None:
    harness = Harness(handlers_max=1)
    harness.submit("runs")
    harness.submit("patient", timeout_ms=1000)
    harness.submit("forever")
    harness.submit("impatient", timeout_ms=100)
    harness.clock.advance(101)
    harness.finish("runs")
    harness.turn()
    harness.finish("patient")
    harness.turn()
    harness.finish("forever")
    harness.turn()
    assert harness.started == ["runs", "patient", "forever"]
    assert [call.method.name for call in harness.client.dropped] == ["impatient"]
    assert harness.stats.calls_expired == 1
    assert harness.stats.queue_bytes == 0


@pytest.mark.parametrize(("timeout_ms", "waited_ms", "runs"), [(1, 20, True), (1, 21, False), (50, 50, True)])
def test_a_time_out_below_20_ms_counts_as_20(timeout_ms: int, waited_ms: float, runs: bool) -> None:
    harness = Harness(handlers_max=1)
    harness.submit("first")
    harness.submit("second", timeout_ms=timeout_ms)
    harness.clock.advance(waited_ms)
    harness.finish("first")
    harness.turn()
    assert ("second" in harness.started) is runs


def test_calls_of_a_client_that_went_away_are_not_run() -> None:
    harness = Harness(handlers_max=1)
    harness.submit("a")
    harness.submit("b")
    harness.client.is_open = False
    harness.finish("a")
    harness.turn()
    assert harness.started == ["a"]
    assert harness.stats.calls_expired == 0
    assert harness.scheduler.calls_outstanding == 0


def test_calls_on_the_loop_share_a_turn() -> None:
    """Twelve calls of 2 ms each must not keep the look-ups waiting for 24 ms."""
    harness = Harness(handlers_max=2, turn_ms_max=5)
    harness.run_ms = 2
    for number in range(12):
        harness.submit(str(number))
    started = [len(harness.started)]
    while harness.turns:
        harness.turn()
        started.append(len(harness.started))
    assert started == [2, 5, 8, 11, 12]
    assert harness.started == [str(number) for number in range(12)]


def test_short_calls_do_not_ask_for_each_turn_of_the_loop() -> None:
    """They run as they come; a turn is asked for when they have gone on for half of one's time."""
    harness = Harness(handlers_max=2, turn_ms_max=5)
    harness.run_ms = 0.01
    asked = 0
    for number in range(1000):
        harness.submit(str(number))
        assert len(harness.started) == number + 1
        if number % 10 == 9:
            asked += len(harness.turns)
            harness.turn()
    assert 3 <= asked <= 5


def test_a_long_call_leaves_nothing_of_its_turn() -> None:
    harness = Harness(handlers_max=2, turn_ms_max=5)
    assert harness.scheduler.start_of_ordinary(1) is NOW
    harness.turn()
    harness.run_ms = 100
    for name in "abcd":
        harness.submit(name)
    assert harness.started == ["a", "b"], "behind the first it might have been a new turn"
    harness.turn()
    assert harness.started == ["a", "b", "c", "d"], "two again, and not more"


def test_who_may_start_at_once() -> None:
    """The same that `submit` would start."""
    harness = Harness(handlers_max=1, kept_max=1, queue_bytes_max=100)
    start_of = harness.scheduler.start_of_ordinary
    assert start_of(100) is NOW
    assert start_of(101) is REFUSED
    harness.submit("other lane", priority=ADMIN_QOS)
    assert start_of(10) is NOW
    harness.submit("running")
    assert start_of(10) is LATER
    harness.submit("waiting")
    harness.finish("running")
    assert start_of(10) is LATER, "one that waits is first"
    harness.turn()
    harness.finish("waiting")
    assert start_of(10) is NOW
    harness.keeps = True
    harness.submit("kept")
    assert start_of(10) is REFUSED
    harness.finish("kept")
    harness.run_ms = 3
    harness.keeps = False
    for name in "abc":
        harness.submit(name)
    assert start_of(10) is LATER, "the turn is over"


def test_who_waits_goes_on_among_calls() -> None:
    """In the order of coming; whoever goes on is before all that came later, until the turn is over."""
    harness = Harness(handlers_max=1, turn_ms_max=5)
    scheduler = harness.scheduler
    starts: list[Start] = []

    def go_on() -> None:
        harness.started.append("waiter")
        for _ in range(3):
            starts.append(scheduler.start_of_ordinary(10))
            harness.clock.advance(6)

    harness.submit("a")
    harness.submit("b")
    scheduler.wait(go_on)
    harness.submit("c")
    assert harness.stats.queue_depth == 2, "who waits is no call"
    harness.run_ms = 1
    harness.finish("a")
    assert not starts
    harness.turn()
    assert harness.started == ["a", "b", "waiter"]
    assert starts == [NOW, NOW, LATER], "a turn is asked for first"
    assert scheduler.start_of_ordinary(10) is LATER
    harness.turn()
    assert harness.started == ["a", "b", "waiter", "c"]
    assert scheduler.start_of_ordinary(10) is NOW


def test_who_waits_comes_to_turn_where_nothing_else_does() -> None:
    harness = Harness()
    harness.run_ms = 6
    harness.submit("a")
    harness.submit("b")
    assert harness.scheduler.start_of_ordinary(10) is LATER
    gone_on: list[None] = []
    harness.scheduler.wait(lambda: gone_on.append(None))
    harness.turn()
    harness.turn()
    assert len(gone_on) == 1


def test_so_many_wait_and_no_more() -> None:
    harness = Harness(handlers_max=1, calls_per_handler_max=2)
    harness.submit("a")
    for _ in range(2):
        assert harness.scheduler.start_of_ordinary(10) is LATER
        harness.scheduler.wait(lambda: None)
    assert harness.scheduler.start_of_ordinary(10) is REFUSED
    with pytest.raises(CallQueueTooBigException):
        harness.submit("b")


def test_kept_calls_take_no_handler() -> None:
    harness = Harness(handlers_max=2)
    harness.keeps = True
    for number in range(5):
        harness.submit(f"kept{number}")
    assert harness.started == [f"kept{number}" for number in range(5)]
    assert harness.stats.calls_executing == 5
    assert harness.stats.queue_bytes == 50
    harness.keeps = False
    for number in range(3):
        harness.submit(f"held{number}")
    assert harness.started[5:] == ["held0", "held1"], "the handlers are all there"
    for number in range(5):
        harness.done[f"kept{number}"]()
    assert harness.started[5:] == ["held0", "held1"], "and none is gained by the end of a kept call"
    harness.done["held0"]()
    harness.turns[-1]()
    assert harness.started[7:] == ["held2"]
    assert (harness.stats.calls_executing, harness.stats.queue_bytes) == (2, 20)


def test_a_kept_call_may_be_over_at_once() -> None:
    harness = Harness(handlers_max=1)
    harness.keeps, harness.run_ms = True, 0.01
    for number in range(3):
        harness.submit(f"call{number}")
    assert len(harness.started) == 3
    assert (harness.stats.calls_executing, harness.stats.queue_bytes) == (0, 0)


def test_kept_calls_are_limited() -> None:
    harness = Harness(handlers_max=2, kept_max=3)
    harness.keeps = True
    for number in range(3):
        harness.submit(f"kept{number}")
    with pytest.raises(CallQueueTooBigException, match="too many items"):
        harness.submit("one too many")
    harness.done["kept0"]()
    harness.submit("again")
    assert harness.started[-1] == "again"


def test_a_method_may_weigh_a_request() -> None:
    harness = Harness(handlers_max=1)
    harness.submit("first")
    request = Registry_pb2.GetClusterIdRequest()
    method = Method("Service", "weighed", type(request), lambda call: b"", weigh=lambda request: META_QOS)
    call = Call(
        harness.client, method, RPC_pb2.RequestHeader(), request, b"",
        call_id=0, info=ConnectionInfo("Service"), peer_host="h", frame_bytes=1, deadline_ms=float("inf"),
    )  # fmt: skip
    assert call.priority == META_QOS
    harness.scheduler.submit(call)
    assert harness.started == ["first", "weighed"]
