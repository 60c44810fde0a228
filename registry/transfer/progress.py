"""How far a transfer has come: a bar on a terminal, and a line at the end; on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_UNITS = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """Counts what was transferred. `with` shows the bar meanwhile."""

    def __init__(self, what: str, total_bytes: int | None, *, quiet: bool) -> None:
        self.rows = 0
        self.cells = 0
        self.size_bytes = 0
        self._what = what
        self._total_bytes = total_bytes
        self._quiet = quiet
        self._begun_s = time.monotonic()
        self._bar: RichProgress | None = None

    def add(self, rows: int, cells_count: int, size_bytes: int) -> None:
        """So much more."""
        self.rows += rows
        self.cells += cells_count
        self.at(self.size_bytes + size_bytes)

    def at(self, size_bytes: int) -> None:
        """So many bytes in all."""
        self.size_bytes = size_bytes
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=size_bytes, counted=self.counted)

    @property
    def counted(self) -> str:
        """Rows, cells, bytes and the rate."""
        took_s = max(time.monotonic() - self._begun_s, 1e-3)
        return (
            f"{self.rows} rows, {self.cells} cells, {_shown(self.size_bytes)} in {took_s:.1f} s"
            f" ({self.rows / took_s:.0f} rows/s, {_shown(self.size_bytes / took_s)}/s)"
        )

    def finished(self, *more: str, early: bool = False) -> None:
        """Say what was done; `early`: until something went wrong."""
        self._stop()
        if not self._quiet:
            ended = "ended early, " if early else ""
            sys.stderr.write("; ".join((f"{self._what}: {ended}{self.counted}", *more)) + "\n")

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn(self._what, markup=False), BarColumn(), TextColumn("{task.fields[counted]}"))
            self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("", total=self._total_bytes, counted="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()


def _shown(size_bytes: float) -> str:
    unit = 0
    while size_bytes >= 1000 and unit < len(_UNITS) - 1:
        size_bytes, unit = size_bytes / 1000, unit + 1
    return f"{size_bytes:.1f} {_UNITS[unit]}" if unit else f"{size_bytes:.0f} B"
