"""A clock that moves when told."""

from __future__ import annotations


class ManualClock:
    """Implements registry.clock.Clock; starts at an arbitrary point, as real clocks do."""

    def __init__(self, monotonic_ms: float = 1_000_000.0, wall_ms: float = 1_795_000_000_000.0) -> None:
        self._monotonic_ms = monotonic_ms
        self._wall_ms = wall_ms
        self.step_ms = 0.0
        """Passes with each look at `monotonic_ms`."""

    def monotonic_ms(self) -> float:
        self.advance(self.step_ms)
        return self._monotonic_ms

    def wall_ms(self) -> float:
        return self._wall_ms

    def advance(self, delta_ms: float) -> None:
        assert delta_ms >= 0, "time does not go back"
        self._monotonic_ms += delta_ms
        self._wall_ms += delta_ms
