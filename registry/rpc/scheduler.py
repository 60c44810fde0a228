"""Which calls run now, which wait, and which are refused.

Calls go by their priority to one of three lanes, each with handlers of its own, so that a flood of ordinary calls
never keeps an administrative one waiting. A lane is first in, first out. What waits is bounded by number and by
bytes; beyond that the client is told CallQueueTooBigException, and backs off. A call whose client no longer waits is
dropped without an answer.

Registry look-ups never come here: they are answered before any queue.

Source: org.apache.hadoop.hbase.ipc.SimpleRpcScheduler, CallRunner, ServerRpcConnection#processRequest; texts as there.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from registry.clock import Clock
from registry.rpc.services import KEPT, QOS_THRESHOLD, REPLICATION_QOS, Call, Kept
from registry.rpc.stats import RpcStats
from registry.wire.errors import CallQueueTooBigException
from registry.wire.preamble import worded

MIN_CLIENT_REQUEST_TIMEOUT_MS = 20
"""hbase.ipc.min.client.request.timeout: a shorter time-out counts as this, for it could never be met."""


class Ran(enum.Enum):
    """What became of a call that was started."""

    OVER = "over"
    RUNS = "runs"


OVER, RUNS = Ran.OVER, Ran.RUNS
Outcome = Ran | Kept


class Start(enum.Enum):
    """When a call would start that needs no handler."""

    NOW = "now"
    LATER = "behind others, or in another turn"
    REFUSED = "there is no room"


NOW, LATER, REFUSED = Start.NOW, Start.LATER, Start.REFUSED
GoOn = Callable[[], None]
"""Has calls of its own that have not been made."""


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """How much runs and waits at once."""

    handlers_max: int = 30
    """hbase.regionserver.handler.count: calls of ordinary priority that run at once."""
    priority_handlers_max: int = 20
    """hbase.regionserver.metahandler.count: calls above QOS_THRESHOLD."""
    replication_handlers_max: int = 3
    """hbase.regionserver.replication.handler.count."""
    calls_per_handler_max: int = 10
    """A lane's queue holds so many calls for each of its handlers, HBase's hbase.ipc.server.max.callqueue.length."""
    queue_bytes_max: int = 1 << 30
    """hbase.ipc.server.max.callqueue.size: bytes of the requests that wait or run, all lanes together."""
    kept_max: int = 20_000
    """Calls that their handlers keep until something has happened elsewhere. They take no handler: what many wait for,
    such as one sync of a log, is done for all of them at once."""
    turn_ms_max: float = 5.0
    """Calls that run on the loop itself share so much of one turn; then look-ups and sockets have theirs."""


class _Lane:
    __slots__ = ("calls_max", "handlers_max", "name", "queue", "running")

    def __init__(self, name: str, handlers_max: int, calls_per_handler_max: int) -> None:
        self.name = name
        self.handlers_max = handlers_max
        self.calls_max = handlers_max * calls_per_handler_max
        self.queue: deque[Call | GoOn] = deque()
        self.running = 0


class Lanes(NamedTuple):
    """The lanes in the order in which a turn serves them."""

    priority: _Lane
    general: _Lane
    replication: _Lane


class RpcScheduler:
    """Starts calls by `execute(call)`, which tells whether the call is over, kept or running.

    One that runs takes a handler until its `ended` is called; one that is kept does not, only its bytes count.
    `call_soon` runs a function in the loop's next turn. Time comes from `clock`; there is nothing of asyncio here.
    """

    def __init__(
        self,
        settings: SchedulerSettings,
        clock: Clock,
        *,
        execute: Callable[[Call], Outcome],
        call_soon: Callable[[Callable[[], None]], object],
        stats: RpcStats,
        server_name: str = "",
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._execute = execute
        self._call_soon = call_soon
        self._stats = stats
        self.server_name = server_name
        """For the text of CallQueueTooBigException."""
        per_handler = settings.calls_per_handler_max
        self._lanes = Lanes(
            priority=_Lane("priority", settings.priority_handlers_max, per_handler),
            general=_Lane("general", settings.handlers_max, per_handler),
            replication=_Lane("replication", settings.replication_handlers_max, per_handler),
        )
        self._kept = 0
        """Calls that are kept now."""
        self._now_ms = 0.0
        """When it was asked last whether the turn lasts."""
        self._turn_began_ms = self._turn_ends_ms = 0.0
        """When a turn was known to begin, and until when calls are started without asking for the next one."""
        self._turn_is_due = False
        """A turn was asked for and has not come yet."""
        self._goes_on = False
        """Who has waited goes on, before those who came later."""

    @property
    def calls_outstanding(self) -> int:
        """Calls that wait or run."""
        return self._stats.queue_depth + self._stats.calls_executing

    def deadline_ms(self, timeout_ms: int) -> float:
        """Until when a client waits that gave this time-out just now; 0 is none."""
        if timeout_ms <= 0:
            return float("inf")
        return self._clock.monotonic_ms() + max(timeout_ms, MIN_CLIENT_REQUEST_TIMEOUT_MS)

    def submit(self, call: Call) -> None:
        """Run the call or let it wait. Raises CallQueueTooBigException where there is no room."""
        lane = self._lane(call.priority)
        name = self.server_name
        if self._stats.queue_bytes + call.frame_bytes > self._settings.queue_bytes_max:
            self._stats.calls_shed += 1
            raise _full(f"Call queue is full on {name}, is hbase.ipc.server.max.callqueue.size too small?")
        if len(lane.queue) >= lane.calls_max or self._kept >= self._settings.kept_max:
            self._stats.calls_shed += 1
            raise _full(f"Call queue is full on {name}, too many items queued ?")
        if not lane.queue and lane.running < lane.handlers_max and self._may_start():
            self._start(lane, call, self._now_ms)
            return
        self._stats.queue_bytes += call.frame_bytes
        self._stats.queue_depth += 1
        self._stats.calls_in_queue[lane.name] += 1
        lane.queue.append(call)
        if lane.running < lane.handlers_max:
            self._ask_for_turn()

    def start_of_ordinary(self, frame_bytes: int) -> Start:
        """When a call of ordinary priority and so many bytes would start; LATER is a reason to `wait`."""
        lane, settings = self._lanes.general, self._settings
        if (not lane.queue or self._goes_on) and lane.running < lane.handlers_max:
            if self._kept < settings.kept_max and self._stats.queue_bytes + frame_bytes <= settings.queue_bytes_max:
                return NOW if self._may_start() else LATER
            return REFUSED
        return LATER if len(lane.queue) < lane.calls_max else REFUSED

    def wait(self, go_on: GoOn) -> None:
        """Call `go_on` when it is its turn among calls of ordinary priority.

        It is for who would make many small calls: to queue one costs as much as to answer it.
        """
        lane = self._lanes.general
        lane.queue.append(go_on)
        if lane.running < lane.handlers_max:
            self._ask_for_turn()

    def _may_start(self) -> bool:
        """Whether this turn lasts.

        The loop tells that a new one has begun only where that was asked for, which costs a poll of all sockets. So it
        is not asked for with each turn: calls go on for half of their time first, and have the other half after that.
        """
        now_ms = self._now_ms = self._clock.monotonic_ms()
        if now_ms < self._turn_ends_ms:
            return True
        if self._turn_is_due:
            return False
        turn_ms_max = self._settings.turn_ms_max
        ends_ms = self._turn_began_ms + turn_ms_max
        self._turn_ends_ms = ends_ms if now_ms < ends_ms else now_ms + turn_ms_max / 2
        self._ask_for_turn()
        return True

    def _lane(self, priority: int) -> _Lane:
        if priority > QOS_THRESHOLD:
            return self._lanes.priority
        return self._lanes.replication if priority == REPLICATION_QOS else self._lanes.general

    def _turn(self) -> None:
        """One turn of the loop's time for what waits."""
        self._turn_is_due = False
        self._turn_began_ms = self._clock.monotonic_ms()
        self._turn_ends_ms = self._turn_began_ms + self._settings.turn_ms_max / 2
        for lane in self._lanes:
            self._run_lane(lane)

    def _run_lane(self, lane: _Lane) -> None:
        """Start calls while there are handlers and the turn lasts."""
        while lane.queue and lane.running < lane.handlers_max and self._may_start():
            call = lane.queue.popleft()
            if not isinstance(call, Call):
                self._goes_on = True
                try:
                    call()
                finally:
                    self._goes_on = False
                continue
            self._stats.queue_depth -= 1
            self._stats.queue_bytes -= call.frame_bytes
            self._stats.calls_in_queue[lane.name] -= 1
            self._start(lane, call, self._now_ms)

    def _start(self, lane: _Lane, call: Call, now_ms: float) -> None:
        if now_ms > call.deadline_ms or not call.caller.is_open:
            if call.caller.is_open:
                self._stats.calls_expired += 1
            call.caller.drop(call)
            return
        call.place, call.ended = None, self._ended
        outcome = self._execute(call)
        if outcome is OVER or call.ended is None:
            return  # most calls are over by now: none of what follows was counted for them
        self._stats.calls_executing += 1
        self._stats.queue_bytes += call.frame_bytes
        if outcome is KEPT:
            call.place = KEPT
            self._kept += 1
        else:
            call.place = lane
            lane.running += 1

    def _ended(self, call: Call) -> None:
        """A call is over that was, or may have been, counted."""
        place, call.place = call.place, None
        if place is None:
            return
        self._stats.calls_executing -= 1
        self._stats.queue_bytes -= call.frame_bytes
        if isinstance(place, _Lane):
            place.running -= 1
            if place.queue:
                self._ask_for_turn()
        else:
            self._kept -= 1

    def _ask_for_turn(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self._call_soon(self._turn)


def _full(text: str) -> CallQueueTooBigException:
    error = CallQueueTooBigException(text)
    worded(error)
    return error
