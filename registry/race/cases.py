"""What a race counts: conditions that servers are in, runs, and cases (a policy under a condition). Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

QUANTILES = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999))


@dataclass(frozen=True, slots=True)
class Slow:
    """Calls that are answered later."""

    delay_ms: float
    percent: float
    """So many of a hundred calls."""
    everywhere: bool
    """At all servers alike, else at one."""

    def __str__(self) -> str:
        who = "all" if self.everywhere else "1"
        share = "" if self.percent >= 100 else f" on {self.percent:g} %"
        return f"{who} slow by {self.delay_ms:g} ms{share}"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong with the servers."""

    hung: int = 0
    slow: Slow | None = None
    guarded: bool = False
    """Each server stands behind a guard, which replaces it when it hangs."""

    def __str__(self) -> str:
        words = [f"{self.hung} hung"] if self.hung else []
        words += [str(self.slow)] if self.slow else []
        words += ["guarded"] if self.guarded else []
        return ", ".join(words) or "none hung"


@dataclass(slots=True)
class Run:
    """What one policy met with, once. It fills while it runs."""

    took_ms: list[float] = field(default_factory=list[float])
    """Of each bootstrap that came to its end, failed ones too."""
    failed: int = 0
    asked: int = 0
    """Questions: three of each bootstrap that finds its cluster."""
    sent: int = 0
    """Calls."""
    won: int = 0
    """Extra calls that brought the answer."""
    cancelled: int = 0
    elapsed_ms: float = 0.0
    """In which all of them were made, several at once."""

    def quantile_ms(self, quantile: float) -> float:
        """So many milliseconds were enough for this share of the bootstraps."""
        ordered = sorted(self.took_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] if ordered else 0.0

    @property
    def per_s(self) -> float:
        """Bootstraps a second."""
        return 1000.0 * len(self.took_ms) / self.elapsed_ms if self.elapsed_ms else 0.0


@dataclass(slots=True)
class Case:
    """One policy under one condition; of several runs quantiles are medians, counts are sums."""

    policy: str
    condition: Condition = field(default_factory=Condition)
    is_counted: bool = True
    """Whether calls are known; those of a Java client are its own affair."""
    runs: list[Run] = field(default_factory=list[Run])

    def __str__(self) -> str:
        return f"{self.policy}, {self.condition}"

    @property
    def took_ms(self) -> list[float]:
        """Of all runs."""
        return [took_ms for run in self.runs for took_ms in run.took_ms]

    @property
    def failed(self) -> int:
        """Bootstraps that found no cluster."""
        return sum(run.failed for run in self.runs)

    @property
    def sent(self) -> int:
        """Calls."""
        return sum(run.sent for run in self.runs)

    @property
    def won(self) -> int:
        """Extra calls that brought the answer."""
        return sum(run.won for run in self.runs)

    @property
    def cancelled(self) -> int:
        """Calls that were given up because another server had answered."""
        return sum(run.cancelled for run in self.runs)

    @property
    def extra_load_percent(self) -> float:
        """Calls beyond one for each question, for a hundred of those."""
        needed = sum(run.asked for run in self.runs)
        return 100.0 * (self.sent - needed) / needed if needed else 0.0

    @property
    def per_s(self) -> float:
        """Bootstraps a second."""
        return _median([run.per_s for run in self.runs if run.elapsed_ms])

    @property
    def max_ms(self) -> float:
        """The longest of all runs."""
        return max((max(run.took_ms, default=0.0) for run in self.runs), default=0.0)

    def quantile_ms(self, quantile: float) -> float:
        """So many milliseconds were enough for this share of the bootstraps of a run."""
        return _median([run.quantile_ms(quantile) for run in self.runs if run.took_ms])

    def as_dict(self) -> dict[str, object]:
        """For JSON. Counts of calls are null where they are not known."""
        slow = self.condition.slow
        return {
            "policy": self.policy,
            "hung": self.condition.hung,
            "guarded": self.condition.guarded,
            "slow": str(slow) if slow else None,
            "runs": len(self.runs),
            "lookups": sum(len(run.took_ms) for run in self.runs),
            "failed": self.failed,
            **{name: round(self.quantile_ms(quantile), 3) for name, quantile in QUANTILES},
            "max_ms": round(self.max_ms, 3),
            "per_s": round(self.per_s, 1),
            "extra_load_percent": round(self.extra_load_percent, 2) if self.is_counted else None,
            "sent": self.sent if self.is_counted else None,
            "won": self.won if self.is_counted else None,
            "cancelled": self.cancelled if self.is_counted else None,
        }


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0
