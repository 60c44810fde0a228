"""Waiting until a question's wants are met: the snapshot where it will do, else one read that all who wait share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from registry.clock import Clock
from registry.lookup.freshness import Refusal, Unmet, Verdict, Wants, judge
from registry.lookup.snapshot import Snapshot

WAITING_MAX = 10_000
"""Questions that wait at once, of all protocols together; each costs about a KiB."""
ANSWER_MARGIN_MS = 20.0
"""A client whose deadline comes before ours is told so this long before it, else it would never read why."""


@dataclass(frozen=True, slots=True)
class FreshStats:
    """What questions with wants have cost so far."""

    waiting: int = 0
    """Questions that wait now."""
    waited: int = 0
    """Questions that the snapshot did not meet."""
    leader_asked: int = 0
    """Questions to ZooKeeper's leader for all of them."""
    refused: Mapping[Unmet, int] = field(default_factory=dict[Unmet, int])
    """Questions that were refused, by reason."""


class FreshSource(Protocol):
    """Where snapshots come from: registry.lookup.feed.RegistryFeed."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest one."""
        ...

    @property
    def leader_asked(self) -> int:
        """Questions to the leader for those who waited, so far."""
        ...

    def age_ms(self) -> float:
        """Since it was last known to be all there is; infinite before the first complete one."""
        ...

    def read_at_ms(self) -> float:
        """Monotonic moment from which on the leader was asked for what the snapshot holds; -inf before the first."""
        ...

    async def fresh(self, *, timeout_ms: float = 1000.0) -> Snapshot:
        """A snapshot that the leader was asked for from now on; raises TimeoutError."""
        ...


class FreshReader:
    """Belongs to the loop of its source."""

    def __init__(
        self, source: FreshSource, clock: Clock, limit_ms: Callable[[], float], refusing: Callable[[], bool]
    ) -> None:
        """`limit_ms`: how long ZooKeeper may take; `refusing`: whether all look-ups are refused now."""
        self._source = source
        self._clock = clock
        self._limit_ms = limit_ms
        self._refusing = refusing
        self.waiting_count = 0
        """Questions that wait now."""
        self.reads_waited = 0
        """Questions that the snapshot did not meet, so far."""
        self.refused: Counter[Unmet] = Counter()
        """Questions that were refused, so far."""

    @property
    def stats(self) -> FreshStats:
        """As of now."""
        return FreshStats(self.waiting_count, self.reads_waited, self._source.leader_asked, self.refused)

    def met_now(self, wants: Wants) -> bool:
        """Whether the snapshot meets them as it is."""
        source = self._source
        snapshot = source.snapshot
        return judge(wants, snapshot.version, source.age_ms(), complete=snapshot.complete) is Verdict.ANSWER

    async def meet(self, wants: Wants, left_ms: float = float("inf")) -> None:
        """Return when the newest snapshot meets the wants. Raises Refusal.

        left_ms: how long the client still waits.
        """
        try:
            await self._meet(wants, left_ms)
        except Refusal as refusal:
            self.refused[refusal.unmet] += 1
            raise

    async def _meet(self, wants: Wants, left_ms: float) -> None:
        if self._refusing():
            raise Refusal(
                Unmet.STALE,
                "look-ups are refused: ZooKeeper has been silent for so long that the answer may be wrong"
                " (hbeacon.registry.stale is refuse)",
            )
        if not wants or self.met_now(wants):
            return
        if self.waiting_count >= WAITING_MAX:
            raise Refusal(Unmet.CROWDED, f"{WAITING_MAX} questions wait for a read of ZooKeeper already")
        self.reads_waited += 1
        self.waiting_count += 1
        try:
            await self._read(wants, left_ms)
        finally:
            self.waiting_count -= 1

    async def _read(self, wants: Wants, left_ms: float) -> None:
        source, asked_at_ms = self._source, self._clock.monotonic_ms()
        limit_ms = self._limit_ms()
        timeout_ms = min(limit_ms, max(left_ms - ANSWER_MARGIN_MS, left_ms / 2, 0.0))
        timed_out = False
        try:
            await source.fresh(timeout_ms=timeout_ms)
        except TimeoutError:
            timed_out = True
        snapshot = source.snapshot
        waited_ms = self._clock.monotonic_ms() - asked_at_ms
        verdict = judge(
            wants,
            snapshot.version,
            source.age_ms(),
            complete=snapshot.complete,
            waited_ms=waited_ms,
            was_read=source.read_at_ms() >= asked_at_ms,
        )
        if verdict is Verdict.ANSWER:
            return
        version = snapshot.version
        if verdict is Verdict.REFUSE:
            whose = "" if wants.generation is None else f" of generation {wants.generation}"
            raise Refusal(
                Unmet.NOT_REACHED,
                f"zxid 0x{wants.min_zxid:x}{whose} is asked for, and ZooKeeper was at zxid 0x{version.zxid:x} of"
                f" generation {version.generation} when it was read {waited_ms:.0f} ms later",
            )
        if timed_out and left_ms < limit_ms:
            raise Refusal(Unmet.LATE, f"ZooKeeper has not answered within the {left_ms:.0f} ms that the client waits")
        age_ms = source.age_ms()
        age = f"{age_ms:.0f} ms old" if age_ms != float("inf") else "not complete yet"
        raise Refusal(Unmet.SILENT, f"ZooKeeper has not answered within {waited_ms:.0f} ms; what is known is {age}")
