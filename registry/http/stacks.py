"""What every thread and every task is doing now, as text.

Only names and line numbers: source lines would have to be read from a disk while the loop waits.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

TASKS_MAX = 300
FRAMES_MAX = 60


def stacks_text() -> str:
    """All threads, then all tasks of the running loop; at most TASKS_MAX of these."""
    return "\n".join([*_threads(), "", *_tasks()]) + "\n"


def _threads() -> Iterator[str]:
    names = {thread.ident: thread for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - documented, and the only door
    yield f"{len(frames)} threads"
    for ident, frame in frames.items():
        thread = names.get(ident)
        name = f'"{thread.name}"{" daemon" if thread.daemon else ""}' if thread else "(not started by Python)"
        yield ""
        yield f"Thread {name} id={ident}"
        yield from _frames(frame)


def _frames(frame: FrameType | None) -> Iterator[str]:
    """Innermost first, as jstack has it."""
    shown = 0
    while frame is not None:
        if shown == FRAMES_MAX:
            yield "    ... more frames"
            return
        yield _line(frame)
        frame = frame.f_back
        shown += 1


def _line(frame: FrameType) -> str:
    return f"    at {frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"


def _tasks() -> Iterator[str]:
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    yield f"{len(tasks)} asyncio tasks" + (f", the first {TASKS_MAX} shown" if len(tasks) > TASKS_MAX else "")
    for task in tasks[:TASKS_MAX]:
        yield ""
        yield f'Task "{task.get_name()}"{" cancelling" if task.cancelling() else ""}'
        yield from reversed(list(_awaits(task.get_coro())))


def _awaits(waiting: Any) -> Iterator[str]:
    """The chain of awaits, outermost first, down to the future that is waited for."""
    for _ in range(FRAMES_MAX):
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        frame = frame or getattr(waiting, "ag_frame", None)
        if frame is None:
            if waiting is not None:
                yield f"    waits for {type(waiting).__qualname__}"
            return
        yield _line(frame)
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
