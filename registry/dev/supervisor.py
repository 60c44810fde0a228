"""The parent of all roles: starts them, restarts what dies, and ends them in order.

Single-threaded and without a loop, because it forks at any time: one poll(2) over the children's pipes and the pipe
into which Python writes the numbers of signals.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

from registry.clock import Clock
from registry.dev.child import Child, Role, ending, fork
from registry.dev.plan import open_doors
from registry.exits import FAILED, STOPPED
from registry.guard import BACK_OFF_MS, BACK_OFF_MS_MAX, SAME_WISH_MS, SHORT_LIFE_MS, STACKS_MS, STACKS_SIGNAL
from registry.role.listening import CannotListen

logger = logging.getLogger("registry.dev")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
FORWARDED = (signal.SIGHUP, signal.SIGQUIT)
FIRST_STARTS_MAX = 3
"""A role that dies this often before all were ready once will not get ready."""
SLOW_START_MS = 20_000
"""All are ready within a second; after this long it is told what is waited for."""
KILLED_MS = 10_000
"""A killed process ends as soon as the kernel lets it."""
FOREVER_MS = 3_600_000.0


@contextlib.contextmanager
def signals_held() -> Generator[None]:
    """STOP_SIGNALS come when this is over: what is half made when one comes would be left.

    In a process of one thread: others would take the signals, and the main thread would hear of them at once.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Supervisor:
    """Children by stages, which end the other way round than they were started; those of one stage end together."""

    def __init__(
        self, clock: Clock, *, stop_timeout_ms: float, hangup_stops: bool = False, guards: bool = False
    ) -> None:
        """Takes the signals at once: what comes before `run` waits for it.

        `stop_timeout_ms`: a stage that has not ended for so long after SIGTERM is killed. `hangup_stops`: SIGHUP is the
        end of a terminal, and not the wish to read files again. `guards`: a child whose loop stands still is killed, as
        by registry.guard; otherwise it is left to its debugger.
        """
        self._clock = clock
        self._stop_timeout_ms = stop_timeout_ms
        self._hangup_stops = hangup_stops
        self._guards = guards
        self._waited_ms = clock.monotonic_ms()
        """When the last wait ended."""
        self._stages: list[list[Child]] = []
        self._ears: dict[int, Callable[[], None]] = {}
        """What is listened to besides children, by its descriptor, which none of them may hold."""
        self._is_stopping = False
        self._told_ms = 0.0
        self._at_once = False
        self._fatal: int | None = None
        self._was_ready = False
        self._wake_fd, self._wake_write_fd = os.pipe()
        for fd in (self._wake_fd, self._wake_write_fd):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake_write_fd, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, *FORWARDED, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)

    @property
    def children(self) -> list[Child]:
        """All of them, those that end last first."""
        return [child for stage in self._stages for child in stage]

    def listen(self, fd: int, ear: Callable[[], None]) -> None:
        """Have `run` call `ear` whenever there is something to read from `fd`."""
        self._ears[fd] = ear

    def stop(self, *, at_once: bool) -> None:
        """Have `run` end, as a signal would. `at_once`: nobody is told, all are killed."""
        self._is_stopping = True
        self._at_once |= at_once

    def send(self, child: Child, number: signal.Signals) -> None:
        """Signal a child, which may have just ended."""
        _send(child, number)

    def start_again(self, child: Child) -> None:
        """Have one that stays down run again."""
        child.stays_down = False
        if not child.pid:
            child.restart_ms = self._clock.monotonic_ms()

    def start_stage(
        self,
        roles: Sequence[tuple[Role, Mapping[str, socket.socket]]],
        foreign: Iterable[int] = (),
        *,
        outlives_last: bool = False,
    ) -> None:
        """Fork the roles, each with its listening sockets, which are closed here then.

        `foreign`: descriptors that are not theirs, such as sockets of later stages. `outlives_last`: it is told to end
        after the stage that was started before it.
        """
        stage = [Child(role) for role, _ in roles]
        self._stages.insert(len(self._stages) - outlives_last, stage)
        sockets = [opened for _, listeners in roles for opened in listeners.values()]
        for child, (_, listeners) in zip(stage, roles, strict=True):
            mine = set(listeners.values())
            others = [opened.fileno() for opened in sockets if opened not in mine and opened.fileno() >= 0]
            self._fork(child, listeners, [*others, *foreign])
            for opened in mine:
                opened.close()

    def run(self, on_ready: Callable[[], None], one_says: str = "") -> int:
        """Look after the children until told to stop, or until one ends for good; gives the exit code.

        `on_ready` is called once, when every role can answer, and, where `one_says` is a word, one of them has said it.
        """
        slow_ms = self._clock.monotonic_ms() + SLOW_START_MS
        while not self._is_stopping and self._fatal is None:
            self._wait(self._pause_ms(FOREVER_MS if self._was_ready else slow_ms - self._clock.monotonic_ms()))
            self._reap()
            if self._guards:
                self._kill_hung()
            waited = "" if self._was_ready else self._waited_for(one_says)
            if not self._was_ready and not waited:
                self._was_ready = True
                on_ready()
            elif not self._was_ready and self._clock.monotonic_ms() >= slow_ms:
                slow_ms += SLOW_START_MS
                logger.warning("still waiting for %s", waited)
            self._restart_due()
        self._end()
        return STOPPED if self._fatal is None else self._fatal

    # --- while it runs ------------------------------------------------------------------------------------------

    def _waited_for(self, one_says: str) -> str:
        """Who is not ready yet, for people; empty when all is."""
        waited = [child.role.name for child in self.children if not child.is_ready]
        if one_says and not any(one_says in child.said for child in self.children):
            waited.append(f"one of them to be {one_says}")
        return ", ".join(waited)

    def _pause_ms(self, pause_ms: float) -> float:
        due = [child.restart_ms for child in self.children if child.restart_ms is not None]
        ticks_ms = [child.silence.tick_ms for child in self.children if child.pid] if self._guards else []
        return min([pause_ms, *ticks_ms, *(each - self._clock.monotonic_ms() for each in due)])

    def _wait(self, timeout_ms: float) -> None:
        """Sleep until a pipe, a signal or the time-out; take what the pipes and signals say."""
        poll = select.poll()
        for fd in (self._wake_fd, *self._ears):
            poll.register(fd, select.POLLIN)
        for child in self.children:
            for fd in (child.out_fd, child.beats_fd):
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
        heard = {fd for fd, _ in poll.poll(max(0.0, timeout_ms))}
        elapsed_ms, self._waited_ms = self._clock.monotonic_ms() - self._waited_ms, self._clock.monotonic_ms()
        for child in self.children:
            child.silence.passed(elapsed_ms)
            self._read(child)
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._wake_fd, 256):
                self._signalled(number)
        for fd, ear in self._ears.items():
            if fd in heard:
                ear()

    def _read(self, child: Child) -> None:
        child.read_beats()
        for line in child.read_out():
            if " ready " in line:
                if not child.is_ready and child.starts > 1:
                    took_ms = self._clock.monotonic_ms() - child.started_ms
                    logger.info("%s answers again, %.0f ms after its start", child.role.name, took_ms)
                child.is_ready = True

    def _signalled(self, number: int) -> None:
        if number in STOP_SIGNALS or (number == signal.SIGHUP and self._hangup_stops):
            now_ms = self._clock.monotonic_ms()
            # timeout(1) and some shells signal the process and its group: the same wish, told twice in one moment
            if self._is_stopping and now_ms - self._told_ms > SAME_WISH_MS:
                self._at_once = True
            self._is_stopping = True
            self._told_ms = now_ms
        elif number in FORWARDED:
            for child in self.children:
                _send(child, signal.Signals(number))

    def _kill_hung(self) -> None:
        """End children that have been silent for too long; the kernel resets their clients' connections then."""
        for child in self.children:
            if not child.pid or child.hung or not child.silence.is_too_long():
                continue
            has_beaten, silent_ms = child.silence.has_beaten, child.silence.silent_ms
            child.hung = f"silent for {silent_ms:.0f} ms" if has_beaten else "did not start"
            logger.warning("%s (pid %d) is killed: %s", child.role.name, child.pid, child.hung)
            if has_beaten:  # it has said what the signal does to it: first its stacks, for the log
                _send(child, STACKS_SIGNAL)
                until_ms = self._clock.monotonic_ms() + STACKS_MS
                while (left_ms := until_ms - self._clock.monotonic_ms()) > 0:  # others beat meanwhile
                    self._wait(left_ms)
            _send(child, signal.SIGKILL)

    def _reap(self) -> None:
        for child in self.children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._read(child)  # what it still said
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        code, words = ending(status)
        pid, child.pid = child.pid, 0
        child.close()
        child.is_ready = False
        if self._is_stopping or self._fatal is not None:
            if code not in (STOPPED, None):
                logger.warning("%s (pid %d) %s", child.role.name, pid, words)
            return
        child.reason = child.hung or words
        if child.stays_down:
            logger.info("%s (pid %d) %s, and stays down", child.role.name, pid, words)
            return
        now_ms = self._clock.monotonic_ms()
        is_short = now_ms - child.started_ms < SHORT_LIFE_MS
        child.failed_starts = child.failed_starts + 1 if is_short else 0
        if code in child.role.ends_with:
            logger.error("%s (pid %d) %s, which another start would repeat: ending", child.role.name, pid, words)
            self._fatal = code
        elif not self._was_ready and child.failed_starts >= FIRST_STARTS_MAX:
            logger.error("%s (pid %d) %s before it was ready, once too often: ending", child.role.name, pid, words)
            self._fatal = FAILED
        else:
            pause_ms = self._back_off_ms(child)
            child.restart_ms = now_ms + pause_ms
            when = f"in {pause_ms:.0f} ms" if pause_ms else "at once"
            logger.warning("%s (pid %d) %s: it is started again %s", child.role.name, pid, words, when)

    def _back_off_ms(self, child: Child) -> float:
        if not child.failed_starts:
            return 0.0
        return min(BACK_OFF_MS * 2 ** (child.failed_starts - 1), BACK_OFF_MS_MAX)

    def _restart_due(self) -> None:
        now_ms = self._clock.monotonic_ms()
        for child in self.children:
            if child.restart_ms is None or child.restart_ms > now_ms or self._is_stopping or self._fatal is not None:
                continue
            try:
                listeners = open_doors(child.role.doors, child.role.name)
            except CannotListen as error:
                child.failed_starts += 1
                child.restart_ms = now_ms + self._back_off_ms(child)
                logger.warning("%s", error)
                continue
            self._fork(child, listeners, ())
            for opened in listeners.values():
                opened.close()
            logger.info("%s is started again as pid %d", child.role.name, child.pid)

    def _fork(self, child: Child, listeners: Mapping[str, socket.socket], foreign: Iterable[int]) -> None:
        of_others = [fd for other in self.children for fd in other.parents_fds()]
        fork(
            child,
            listeners,
            [self._wake_fd, self._wake_write_fd, *self._ears, *of_others, *foreign],
            now_ms=self._clock.monotonic_ms(),
            wall_ms=self._clock.wall_ms(),
        )

    # --- ending -------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """End stage after stage, the last one first."""
        self._is_stopping = True
        for stage in reversed(self._stages):
            for child in stage:
                _send(child, signal.SIGTERM)
                _send(child, signal.SIGCONT)  # one that was stopped ends too
            deadline_ms = self._clock.monotonic_ms() + self._stop_timeout_ms
            while any(child.pid for child in stage) and not self._at_once:
                left_ms = deadline_ms - self._clock.monotonic_ms()
                if left_ms <= 0:
                    names = ", ".join(child.role.name for child in stage if child.pid)
                    logger.warning("%s did not end within %.0f ms: killed", names, self._stop_timeout_ms)
                    break
                self._wait(left_ms)
                self._reap()
            if any(child.pid for child in stage):
                self._kill(self.children if self._at_once else stage)
        signal.set_wakeup_fd(-1)

    def _kill(self, children: Sequence[Child]) -> None:
        for child in children:
            _send(child, signal.SIGKILL)
        deadline_ms = self._clock.monotonic_ms() + KILLED_MS
        while any(child.pid for child in children) and self._clock.monotonic_ms() < deadline_ms:
            self._wait(100.0)
            self._reap()


def _send(child: Child, number: signal.Signals) -> None:
    """Signal a child that runs; one that has just ended is no error."""
    if child.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)
