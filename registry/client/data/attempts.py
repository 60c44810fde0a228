"""The tries of one operation: whether there is another, and after which pause. Pure; time and chance are passed in.

Source: AsyncRpcRetryingCaller#onError, ConnectionUtils#getPauseTime, hbase.client.pause.server.overloaded.
"""

from __future__ import annotations

import random

from registry.client.attempts import RegistryLookupError
from registry.client.data.failures import Again, OutcomeUnknownException, RetriesExhaustedException, surely_not_done
from registry.client.probing import pause_ms
from registry.client.settings import ClientSettings
from registry.wire.errors import (
    ConnectionClosedException,
    ErrorAction,
    HBaseError,
    RegionMovedException,
    RpcThrottlingException,
)

OVERLOADED_FACTOR = 5
"""Servers that have too much to do are left alone for so much longer."""
SERVERS_TOLD_MAX = 8


class Attempts:
    """Of one operation, or of one step of a scan."""

    __slots__ = ("_again", "_deadline_ms", "_may_be_done", "_servers", "_settings", "_what", "begun_ms", "tries")

    def __init__(
        self, what: str, settings: ClientSettings, begun_ms: float, timeout_ms: float, *, again: Again = Again.ALWAYS
    ) -> None:
        """`what` is for people."""
        self._what = what
        self._settings = settings
        self._deadline_ms = begun_ms + timeout_ms
        self._servers: list[str] = []
        self.begun_ms = begun_ms
        self._again = again
        self._may_be_done = False
        """A try was left without an answer."""
        self.tries = 0
        """That have failed."""

    def remaining_ms(self, now_ms: float) -> float:
        """What is left; at least a millisecond, so that a call itself says that it is too late."""
        return max(1.0, self._deadline_ms - now_ms)

    def failed(
        self, error: HBaseError, server: str, now_ms: float, chance: random.Random, *, was_sent: bool = True
    ) -> float:
        """How long to pause, in ms, before the next try. Raises what the caller is to be told where there is none."""
        self.tries += 1
        if server and len(self._servers) < SERVERS_TOLD_MAX:
            self._servers.append(server)
        if error.action is ErrorAction.GIVE_UP:
            raise error
        elapsed_ms = now_ms - self.begun_ms
        if was_sent and self._again is not Again.ALWAYS and not surely_not_done(error):
            self._may_be_done = True
            if self._again is Again.NEVER:
                raise OutcomeUnknownException(self._what, self.tries, elapsed_ms, self._servers, error) from error
        wait_ms = self._pause_ms(error, chance)
        # a look-up has had as many tries of its own
        ended = self.tries > self._settings.retries_count or isinstance(error, RegistryLookupError)
        if ended or now_ms + wait_ms >= self._deadline_ms:
            kind = OutcomeUnknownException if self._may_be_done else RetriesExhaustedException
            raise kind(self._what, self.tries, elapsed_ms, self._servers, error) from error
        return wait_ms

    def progress(self) -> None:
        """Something was achieved: the pauses begin anew."""
        self.tries = 0

    def _pause_ms(self, error: HBaseError, chance: random.Random) -> float:
        """None before the first try that has a good reason to be better: a place that was told, a new connection."""
        if error.action is ErrorAction.RETRY_NOW:
            return 0.0
        if self.tries == 1 and (
            error.action is ErrorAction.REOPEN_SCANNER
            or isinstance(error, RegionMovedException | ConnectionClosedException)
        ):
            return 0.0
        base_ms = self._settings.pause_ms
        if error.action is ErrorAction.BACK_OFF or error.server_overloaded:
            base_ms *= OVERLOADED_FACTOR
        wait_ms = pause_ms(base_ms, self.tries - 1, chance)
        return max(wait_ms, error.wait_ms) if isinstance(error, RpcThrottlingException) else wait_ms
