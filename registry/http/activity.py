"""What was asked in the last minutes, second by second: a bounded ring, from which the page's picture is drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from registry.histogram import quantile_s
from registry.http.process import LoopLag
from registry.http.status import StatusSource
from registry.lookup.visitors import VisitPath

SECONDS_KEPT = 120
INTERVAL_S = 1.0
REGISTRY_SERVICE = "ClientMetaService"


@dataclass(frozen=True, slots=True)
class Second:
    """One bar of the picture."""

    calls_per_s: float
    """Look-ups answered on connections."""
    preambles_per_s: float
    """Cluster ids by preamble."""
    p50_s: float | None
    """Of the look-ups that were timed in this second; None where none was."""
    p99_s: float | None
    lag_s: float
    """The loop's, latest sample."""


@dataclass(frozen=True, slots=True)
class _Counted:
    at_s: float
    calls: int
    preambles: int
    timed: tuple[int, ...]
    paths: Mapping[VisitPath, int]


class Activity:
    """Differences of counters that run anyway: nothing is counted for it. Belongs to the loop."""

    def __init__(self, source: StatusSource, lag: LoopLag) -> None:
        self._source = source
        self._lag = lag
        self.seconds: deque[Second] = deque(maxlen=SECONDS_KEPT)
        """Oldest first."""
        self.paths_per_s: dict[VisitPath, float] = dict.fromkeys(VisitPath, 0.0)
        """Clients that arrived by each path in the last second."""
        self.p50_s: float | None = None
        """Of all that was timed in the seconds kept."""
        self.p99_s: float | None = None
        self._timed: deque[tuple[int, ...]] = deque(maxlen=SECONDS_KEPT + 1)
        self._last = self._count()
        self._timed.append(self._last.timed)

    @property
    def latest(self) -> Second:
        """The newest second."""
        return self.seconds[-1] if self.seconds else Second(0.0, 0.0, None, None, self._lag.last_s)

    def sample(self) -> None:
        """Close a second; call about once in INTERVAL_S. Some 30 us."""
        last, now = self._last, self._count()
        elapsed_s = max(0.001, now.at_s - last.at_s)
        timed = [after - before for after, before in zip(now.timed, last.timed, strict=True)]
        self.seconds.append(
            Second(
                (now.calls - last.calls) / elapsed_s,
                (now.preambles - last.preambles) / elapsed_s,
                quantile_s(timed, 0.5),
                quantile_s(timed, 0.99),
                self._lag.last_s,
            )
        )
        self.paths_per_s = {path: (now.paths[path] - last.paths[path]) / elapsed_s for path in VisitPath}
        self._timed.append(now.timed)
        whole = [after - before for after, before in zip(now.timed, self._timed[0], strict=True)]
        self.p50_s, self.p99_s = quantile_s(whole, 0.5), quantile_s(whole, 0.99)
        self._last = now

    def _count(self) -> _Counted:
        rpc = self._source.rpc()
        return _Counted(
            self._source.monotonic_ms() / 1000,
            sum(count for (service, _), count in rpc.calls.items() if service == REGISTRY_SERVICE),
            rpc.preambles.get("Regist", 0),
            tuple(rpc.lookup_times.counts),
            dict(self._source.visitors.sightings),
        )
