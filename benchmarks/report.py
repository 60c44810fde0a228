"""What a person sees while a benchmark runs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Reporter:
    """Progress on standard error; the table is what goes to standard output."""

    def __init__(self) -> None:
        """Nothing is shown before the first step."""
        self.console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[group]:<8}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self.console,
        )

    @contextmanager
    def group(self, name: str, steps: int) -> Generator[Callable[[str], None]]:
        """A bar of its own; what it gives is called at the start of each step, with its name."""
        task = self._progress.add_task("", total=steps, group=name)
        begun = 0

        def tick(what: str) -> None:
            nonlocal begun
            self._progress.update(task, completed=begun, description=escape(what))
            begun += 1

        with self._progress:
            yield tick
            self._progress.update(task, completed=steps, description="")
