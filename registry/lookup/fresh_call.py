"""How new an answer has to be, for calls of ClientMetaService: request attributes in, HBase's exceptions out."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from registry.lookup.fresh_reader import FreshReader
from registry.lookup.freshness import Refusal, Unmet, Wants, read_wants
from registry.wire.errors import (
    CallDroppedException,
    CallQueueTooBigException,
    DoNotRetryIOException,
    HBaseError,
    PleaseHoldException,
    ServerNotRunningYetException,
)

EXCEPTIONS: Mapping[Unmet, type[HBaseError]] = {
    Unmet.NOT_REACHED: PleaseHoldException,
    Unmet.SILENT: ServerNotRunningYetException,
    Unmet.LATE: CallDroppedException,
    Unmet.CROWDED: CallQueueTooBigException,
    Unmet.STALE: ServerNotRunningYetException,
}
"""Why there is no answer, in HBase's words. Clients may ask again, and another server, with all of them."""


class FreshCalls:
    """What the RPC door asks; implements `registry.rpc.waiting.Meet`."""

    def __init__(self, reader: FreshReader) -> None:
        self._reader = reader

    def __call__(self, words: Mapping[str, str], left_ms: float) -> Coroutine[Any, Any, None] | None:
        """None where the newest snapshot meets them; else a wait. Raises DoNotRetryIOException on what is no number."""
        try:
            wants = read_wants(words)
        except ValueError as error:
            raise DoNotRetryIOException(f"request attributes: hbeacon.{error}") from None
        return None if self._reader.met_now(wants) else self._wait(wants, left_ms)

    async def _wait(self, wants: Wants, left_ms: float) -> None:
        try:
            await self._reader.meet(wants, left_ms)
        except Refusal as refusal:
            raise EXCEPTIONS[refusal.unmet](str(refusal)) from None
