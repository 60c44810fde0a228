"""Who was asked and what each said: the log of one look-up, and the error that tells it."""

from __future__ import annotations

from dataclasses import dataclass

from registry.client.answers import What
from registry.clock import Clock
from registry.wire.errors import HBaseError, MasterRegistryFetchException

NO_ANSWER = "no answer yet"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One server that was asked and did not give the answer."""

    server: str
    problem: str
    elapsed_ms: float
    error: HBaseError | None = None
    """None where the server answered, but does not know, and where it has not answered yet."""
    answered: bool = False
    """Whether the server was there and answered, but does not know."""


class RegistryLookupError(MasterRegistryFetchException):
    """Nobody gave the answer. The text names each server that was asked and what it said.

    `attempts` has all of them in order, `timed_out` says that the deadline ended it rather than the retries.
    """

    def __init__(
        self, what: What, attempts: tuple[Attempt, ...], *, elapsed_ms: float, timed_out: bool, note: str = ""
    ) -> None:
        self.what = what
        self.attempts = attempts
        self.elapsed_ms = elapsed_ms
        self.timed_out = timed_out
        self.note = note
        lines = self.by_server()
        ended = f"the deadline of {elapsed_ms:.0f} ms" if timed_out else f"{elapsed_ms:.0f} ms"
        asked = f"{len(lines)} {'server' if len(lines) == 1 else 'servers'} asked" if lines else "no server was asked"
        text = f"{what.value} was not found within {ended}, {asked}"
        text += "".join(f"; {server}: {problem}" for server, problem in lines)
        super().__init__(f"{text}; {note}" if note else text)

    def by_server(self) -> list[tuple[str, str]]:
        """Each server once, with the last thing it said and how often it was asked."""
        last: dict[str, Attempt] = {}
        times: dict[str, int] = {}
        for attempt in self.attempts:
            last[attempt.server] = attempt
            times[attempt.server] = times.get(attempt.server, 0) + 1
        return [
            (server, attempt.problem + (f" (asked {times[server]} times)" if times[server] > 1 else ""))
            for server, attempt in last.items()
        ]


class AttemptLog:
    """The attempts of one look-up while it runs. Belongs to one loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_ms = clock.monotonic_ms()
        self._attempts: list[Attempt] = []
        self._under_way: dict[str, float] = {}
        """Servers that are being asked, and since when: on the deadline they are named too."""
        self.calls = 0
        """Calls and preambles sent."""

    @property
    def elapsed_ms(self) -> float:
        """Since the look-up began."""
        return self._clock.monotonic_ms() - self._begun_ms

    @property
    def count(self) -> int:
        """Attempts that have failed so far."""
        return len(self._attempts)

    def begin(self, server: str) -> None:
        """`server` is being asked."""
        self._under_way[server] = self._clock.monotonic_ms()

    def end(self, server: str, error: HBaseError | None, problem: str = "") -> None:
        """`server` has failed, or said that it does not know."""
        begun_ms = self._under_way.pop(server, self._clock.monotonic_ms())
        if not problem and error is not None:
            problem = error.message.removeprefix(f"{server}: ") or type(error).__name__
        self._attempts.append(Attempt(server, problem, self._clock.monotonic_ms() - begun_ms, error, error is None))

    def drop(self, server: str) -> None:
        """`server` has answered, or nobody waits for it any more."""
        self._under_way.pop(server, None)

    def hopeless_since(self, start: int) -> bool:
        """Whether all attempts from number `start` on failed in a way that no retry mends."""
        recent = self._attempts[start:]
        return bool(recent) and all(attempt.error is not None and attempt.error.do_not_retry for attempt in recent)

    def error(self, what: What, *, timed_out: bool = False, note: str = "") -> RegistryLookupError:
        """The error for what is in the log now."""
        now_ms = self._clock.monotonic_ms()
        waiting = [
            Attempt(server, f"{NO_ANSWER} after {now_ms - begun_ms:.0f} ms", now_ms - begun_ms)
            for server, begun_ms in self._under_way.items()
        ]
        return RegistryLookupError(
            what, (*self._attempts, *waiting), elapsed_ms=self.elapsed_ms, timed_out=timed_out, note=note
        )
