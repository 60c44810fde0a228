"""How operations fail that servers did not refuse, and what is known then. Pure.

Source: org.apache.hadoop.hbase.client.RetriesExhaustedException, RetriesExhaustedWithDetailsException.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from registry.wire.error_base import HBASE_PACKAGE, ErrorAction
from registry.wire.errors import (
    CallDroppedException,
    ConnectException,
    FailedServerException,
    HBaseError,
    HBaseIOException,
    NotServingRegionException,
    PleaseHoldException,
    RegionServerStoppedException,
    RegionTooBusyException,
    RetryImmediatelyException,
    RpcThrottlingException,
    ServerNotRunningYetException,
    WrongRegionException,
)
from registry.wire.preamble import string_binary

ERRORS_SHOWN_MAX = 3
"""Of a batch, in its text."""
ROW_SHOWN_BYTES = 64

_NOT_DONE = (
    NotServingRegionException,
    RegionTooBusyException,
    CallDroppedException,
    RpcThrottlingException,
    ServerNotRunningYetException,
    RegionServerStoppedException,
    WrongRegionException,
    ConnectException,
    FailedServerException,
    PleaseHoldException,
    RetryImmediatelyException,
)


class Again(enum.Enum):
    """Whether a call is made again that may have been made, because nobody answered."""

    ALWAYS = enum.auto()
    """It does no harm."""
    UNDER_NONCE = enum.auto()
    """Servers know it again; whoever called would do it twice."""
    NEVER = enum.auto()


def surely_not_done(error: HBaseError) -> bool:
    """Whether a mutation that failed so cannot have been made: it was refused before anything was done."""
    return isinstance(error, _NOT_DONE) or error.do_not_retry


class RetriesExhaustedException(HBaseIOException):
    """The operation was tried as often, or as long, as it may be. The text names tries, time and the last error."""

    java_class = HBASE_PACKAGE + "client.RetriesExhaustedException"
    action = ErrorAction.GIVE_UP

    def __init__(self, what: str, attempts: int, elapsed_ms: float, servers: Sequence[str], last: HBaseError) -> None:
        self.attempts = attempts
        self.elapsed_ms = elapsed_ms
        self.servers = tuple(dict.fromkeys(servers))
        """Who was asked, each once."""
        self.last = last
        """The error of the last try."""
        counted = f"{attempts} {'attempt' if attempts == 1 else 'attempts'}"
        asked = f" of {', '.join(self.servers)}" if self.servers else ""
        super().__init__(f"{what} failed after {counted}{asked} in {elapsed_ms:.0f} ms: {last}")


class OutcomeUnknownException(RetriesExhaustedException):
    """Nobody answered whether it was done, and to do it again could do it twice: read, then decide.

    Of conditions (check_and_mutate), and of row mutations with increments or appends, for which servers remember no
    nonces: at once. Of increments and appends, which are tried again under theirs: at the end of their retries.
    """


class BatchError(HBaseIOException):
    """Some operations of a batch failed; the others were done."""

    java_class = HBASE_PACKAGE + "client.RetriesExhaustedWithDetailsException"
    action = ErrorAction.GIVE_UP

    def __init__(self, results: Sequence[object], rows: Sequence[bytes]) -> None:
        self.rows = tuple(rows)
        """Keys of the operations, in order."""
        self.results = list(results)
        """Of each operation, in order: what it gives, or its HBaseError."""
        self.errors = {index: each for index, each in enumerate(results) if isinstance(each, HBaseError)}
        """By place in the batch."""
        shown = "; ".join(
            f"[{index}] '{string_binary(self.rows[index][:ROW_SHOWN_BYTES])}': {error}"
            for index, error in list(self.errors.items())[:ERRORS_SHOWN_MAX]
        )
        more = "; ..." if len(self.errors) > ERRORS_SHOWN_MAX else ""
        super().__init__(f"{len(self.errors)} of {len(self.results)} operations failed: {shown}{more}")
