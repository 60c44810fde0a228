"""How long servers take lately: quantiles of recent samples, one sketch pair for each server and method.

Source: DDSketch (Masson, Rim, Lee; VLDB 2019), by the library of its authors.
"""

from __future__ import annotations

from collections.abc import Hashable

from ddsketch import LogCollapsingLowestDenseDDSketch

ACCURACY_RATIO = 0.02
BINS_MAX = 256
"""With this accuracy it covers four orders of magnitude: 0.1 ms to 1 s and more."""

SAMPLES_MIN = 8
"""Fewer say nothing of a quantile."""

READ_SHARE = 16
"""A quantile that was read is good until the samples have grown by a sixteenth: reading it walks through all bins."""

TURN_SAMPLES = 256
"""A sketch is read when it holds from one to two turns of samples, so what is older than two has no say."""

TURN_MS = 60_000.0
"""The same where samples are few."""


class Recent:
    """Two sketches that both take every sample; the older one is read, and dropped at the end of its turn."""

    __slots__ = ("_cached", "_few", "_new", "_old", "_stale_in", "_turned_ms")

    def __init__(self, now_ms: float) -> None:
        self._few: list[float] = []
        """The first samples: sketches are made when there are enough, for most clients never ask so often."""
        self._old: LogCollapsingLowestDenseDDSketch | None = None
        self._new: LogCollapsingLowestDenseDDSketch | None = None
        self._turned_ms = now_ms
        self._cached: dict[float, float] | None = None
        self._stale_in = 0
        """Samples until what is cached is read anew."""

    @property
    def is_known(self) -> bool:
        """Whether there have been samples enough to begin with."""
        return self._old is not None

    def add(self, elapsed_ms: float, now_ms: float) -> None:
        """One sample."""
        if self._old is None or self._new is None:
            self._few.append(elapsed_ms)
            if len(self._few) >= SAMPLES_MIN:
                self._old = self._new = _sketch()
                for sample_ms in self._few:
                    self._new.add(sample_ms)
                self._turned_ms = now_ms
            return
        if self._new.count >= TURN_SAMPLES or now_ms - self._turned_ms >= TURN_MS:
            self._old, self._new = self._new, _sketch()
            self._turned_ms = now_ms
        self._new.add(elapsed_ms)
        if self._old is not self._new:
            self._old.add(elapsed_ms)
        self._stale_in -= 1
        if self._stale_in <= 0:
            self._cached = None
            self._stale_in = int(self._old.count) // READ_SHARE

    def quantile_ms(self, quantile: float) -> float | None:
        """So many milliseconds are enough for this share of the samples; None while there are too few."""
        if self._old is None or self._old.count < SAMPLES_MIN:
            return None
        if self._cached is None:
            self._cached = {}
        found_ms = self._cached.get(quantile)
        if found_ms is None:
            found_ms = self._cached[quantile] = self._old.get_quantile_value(quantile) or 0.0
        return found_ms


class Latencies:
    """Of all servers and methods that one client asks."""

    __slots__ = ("_first", "_methods", "_recent")

    def __init__(self) -> None:
        self._first: list[tuple[Hashable, str, float, float]] | None = []
        """The first samples of all: too few to say anything of anybody, and most clients have no more."""
        self._recent: dict[tuple[Hashable, str], Recent] = {}
        self._methods: set[str] = set()
        """Of which anything may be known."""

    def add(self, server: Hashable, method: str, elapsed_ms: float, now_ms: float) -> None:
        """An answer took so long; or, of one that nobody waited for any more, at least so long."""
        if self._first is None:
            self._sort_in(server, method, elapsed_ms, now_ms)
            return
        self._first.append((server, method, elapsed_ms, now_ms))
        if len(self._first) >= SAMPLES_MIN:
            first, self._first = self._first, None
            for sample in first:
                self._sort_in(*sample)

    def knows(self, method: str) -> bool:
        """Whether anything may be known of it; False spares most clients the rest."""
        return method in self._methods

    def quantile_ms(self, server: Hashable, method: str, quantile: float) -> float | None:
        """So many milliseconds are enough for this share of its answers; None while too little is known."""
        recent = self._recent.get((server, method))
        return None if recent is None else recent.quantile_ms(quantile)

    def forget_all_but(self, servers: frozenset[Hashable]) -> None:
        """Servers that are gone leave nothing behind."""
        for key in [key for key in self._recent if key[0] not in servers]:
            del self._recent[key]
        if self._first is not None:
            self._first = [sample for sample in self._first if sample[0] in servers]

    def _sort_in(self, server: Hashable, method: str, elapsed_ms: float, now_ms: float) -> None:
        recent = self._recent.get((server, method))
        if recent is None:
            recent = self._recent[server, method] = Recent(now_ms)
            self._methods.add(method)
        recent.add(max(elapsed_ms, 0.0), now_ms)


def _sketch() -> LogCollapsingLowestDenseDDSketch:
    return LogCollapsingLowestDenseDDSketch(ACCURACY_RATIO, BINS_MAX)
