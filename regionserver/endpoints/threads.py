"""Calls of users' code, endpoints and observers, each in a thread of its own, for a limited time.

    loop: start ─────────────────────────────────────► told once: the answer, what was raised, or that it took too long
            thread: call ── asks for a row ──┐      ▲
    loop:                     reads, answers ┘ ...  └ end

User code may block, raise or never end; all of that is its client's loss alone. When its time is over the client is
told and EndpointTimeout is raised in the thread: at once in Python code, at the end of a call into C, where it may hang
for ever. Such a thread counts, so that a class has only so many of them, and then it is refused.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from regionserver.client_service.rows import as_hbase
from regionserver.endpoints.api import EndpointTimeout, RegionView
from regionserver.endpoints.view import Place, View
from regionserver.engine.store import StoreError
from regionserver.region.scan import RegionScan
from registry.wire.errors import DoNotRetryIOException, HBaseError, RegionTooBusyException

logger = logging.getLogger("regionserver.endpoints")

T = TypeVar("T")
A = TypeVar("A")

RUNNING_MAX = 8
"""Threads of one class; one that hangs has all of them in the end, and others have theirs."""
WAITING_MAX = 1024
"""Calls that wait for one."""


class Counts:
    """What has gone wrong since the start."""

    def __init__(self) -> None:
        self.failed_count = 0
        """Calls that raised what is no HBaseError."""
        self.late_count = 0
        """Whose time was over."""
        self.refused_count = 0
        """Not begun, because others of their class did not end."""


class Threads:
    """Those of one server. Belongs to its loop."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._running: Counter[str] = Counter()
        self._late: Counter[str] = Counter()
        """Of these, those whose time is over."""
        self._waiting: deque[Running[Any]] = deque()

    def start(
        self,
        names: Sequence[str],
        work: Callable[[Running[T]], T],
        place: Place,
        timeout_ms: float,
        told: Callable[[T | HBaseError], None],
        *,
        may_wait: bool = False,
    ) -> None:
        """Run `work`, which calls code of these classes.

        `told` hears of its end, or that it took too long, whichever is first. `may_wait`: where as many of a class run
        as may, it begins when one has ended, unless none will.
        """
        running = Running(self, tuple(dict.fromkeys(names)), work, place, timeout_ms, told)
        full = self._full(running)
        if full is None:
            self._begin(running)
        elif may_wait and self._late[full] < RUNNING_MAX and len(self._waiting) < WAITING_MAX:
            self._waiting.append(running)
            running.wait()
        else:
            self._refuse(running, full)

    def running(self, name: str) -> int:
        """How many calls of that class have not ended."""
        return self._running[name]

    def _full(self, running: Running[Any]) -> str | None:
        return next((name for name in running.names if self._running[name] >= RUNNING_MAX), None)

    def _begin(self, running: Running[Any]) -> None:
        self._running.update(running.names)
        running.start()

    def _refuse(self, running: Running[Any], name: str) -> None:
        self.counts.refused_count += 1
        running.tell(RegionTooBusyException(f"{self._running[name]} calls of {name} run here and do not end"))

    # --- told by those that run ---

    def waited(self, running: Running[Any]) -> None:
        """It has waited for as long as it may."""
        self._waiting.remove(running)
        self._refuse(running, self._full(running) or running.names[0])

    def late(self, running: Running[Any], hang: str) -> None:
        """Its time is over. Of the classes that it calls the one counts on that has not come back."""
        self.counts.late_count += 1
        self._running.subtract(name for name in running.names if name != hang)
        self._late[hang] += 1
        if self._late[hang] >= RUNNING_MAX:
            for each in [each for each in self._waiting if hang in each.names]:
                self._waiting.remove(each)
                self._refuse(each, hang)
        self._go_on()

    def ended(self, running: Running[Any], *, was_late: str) -> None:
        """Its thread is over. `was_late`: the class that `late` has left counted, or nothing."""
        if was_late:
            self._late[was_late] -= 1
            self._running[was_late] -= 1
        else:
            self._running.subtract(running.names)
        self._go_on()

    def _go_on(self) -> None:
        for running in [each for each in self._waiting if self._full(each) is None]:
            if self._full(running) is None:
                self._waiting.remove(running)
                self._begin(running)


class Running(Generic[T]):
    """One call; implements Asking."""

    def __init__(
        self,
        threads: Threads,
        names: tuple[str, ...],
        work: Callable[[Running[T]], T],
        place: Place,
        timeout_ms: float,
        told: Callable[[T | HBaseError], None],
    ) -> None:
        self.names = names
        self.doing = names[0]
        """The class whose code it is in; said by its thread."""
        self.place = place
        self.scans: set[RegionScan] = set()
        """Open ones; they belong to the loop."""
        self.is_over = False
        self.failed_count = 0
        self.view: RegionView = View(self)
        self._threads = threads
        self._work = work
        self._timeout_ms = timeout_ms
        self._told = told
        self._late_in = ""
        """The class that it was in when its time was over."""
        self._has_ended = False
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name=f"coprocessor {names[0]}", daemon=True)

    def wait(self) -> None:
        """It may not begin yet, and not wait for ever."""
        self._timer = self._loop.call_later(self._timeout_ms / 1000, self._threads.waited, self)

    def start(self) -> None:
        """Begin; from now on its time runs."""
        if self._timer is not None:
            self._timer.cancel()
        self._until = self._loop.time() + self._timeout_ms / 1000
        self._timer = self._loop.call_at(self._until, self._late)
        self._thread.start()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def ask(self, work: Callable[[Future[A]], None]) -> A:
        """Have the loop do it, which sets the future or raises."""
        asked: Future[A] = Future()

        def do() -> None:
            try:
                if self.is_over:
                    raise EndpointTimeout
                self.place.check()
                work(asked)
            except (HBaseError, StoreError) as error:
                asked.set_exception(as_hbase(error))
            except (Exception, EndpointTimeout) as error:  # noqa: BLE001  it is for the thread that waits
                asked.set_exception(error)

        if self.is_over:
            raise EndpointTimeout
        self._loop.call_soon_threadsafe(do)
        try:
            return asked.result(max(0.0, self._until - self._loop.time()) + 1)
        except TimeoutError:
            raise EndpointTimeout from None

    def ask_now(self, work: Callable[[], A]) -> A:
        """The same of what is done when it returns."""

        def do(asked: Future[A]) -> None:
            asked.set_result(work())

        return self.ask(do)

    def _run(self) -> None:
        try:
            self._report(self._outcome())
        except EndpointTimeout:  # it came when the work was over already
            self._report(self._too_long())

    def _outcome(self) -> T | HBaseError:
        try:
            return self._work(self)
        except EndpointTimeout:
            return self._too_long()
        except BaseException as error:  # noqa: BLE001  whatever users' code raises, SystemExit too, is for its client
            return self.as_told(error)

    def _report(self, outcome: T | HBaseError) -> None:
        try:
            self._loop.call_soon_threadsafe(self._over, outcome)
        except RuntimeError:
            logger.debug("coprocessor %s ended after its server", self.doing)

    def as_told(self, error: BaseException) -> HBaseError:
        """What a client hears of what the class has raised that is called now."""
        if isinstance(error, HBaseError):
            return error
        logger.error("coprocessor %s failed", self.doing, exc_info=error)
        self.failed_count += 1
        return DoNotRetryIOException(f"coprocessor {self.doing} threw {type(error).__name__}: {error}")

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _late(self) -> None:
        self._late_in = self.doing
        self._threads.late(self, self._late_in)
        self.tell(self._too_long())
        if self._thread.ident is not None and self._thread.is_alive():
            logger.warning("coprocessor %s did not end within %d ms", self.doing, self._timeout_ms)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(EndpointTimeout)
            )

    def _over(self, outcome: T | HBaseError) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._threads.counts.failed_count += self.failed_count
        self._threads.ended(self, was_late=self._late_in)
        self.tell(outcome)

    def tell(self, outcome: T | HBaseError) -> None:
        """What came of it, the first time."""
        if self.is_over:
            return
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        for scan in self.scans:
            scan.close()
        self.scans.clear()
        self._told(outcome)

    def _too_long(self) -> HBaseError:
        return DoNotRetryIOException(f"coprocessor {self.doing} did not end within {self._timeout_ms:.0f} ms")
