"""An asyncio loop whose time passes only when nothing is left to do: seconds of waiting cost nothing, and every run of
the same work is the same. Nothing on it may touch a socket."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

BEGIN_S = 1000.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """Implements registry.clock.Clock too."""

    def __init__(self) -> None:
        self._now_s = BEGIN_S
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now_s

    def monotonic_ms(self) -> float:
        return self._now_s * 1000.0

    def wall_ms(self) -> float:
        return 1_795_000_000_000.0 + self.monotonic_ms()

    def pass_time(self, delay_s: float) -> None:
        self._now_s += delay_s

    def run_for(self, delay_ms: float) -> None:
        """Everything that happens within so long."""
        self.run_until_complete(asyncio.sleep(delay_ms / 1000.0))


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        assert timeout is not None, "everybody waits, and nothing will happen"
        if timeout > 0:
            self._loop.pass_time(timeout)
        return super().select(0)
