"""The end of tasks: each is cancelled until it has ended.

One cancellation may be lost: it can reach a task while code of a library, or of ours, handles a cancellation of its own
and takes the one for the other. Such a task goes on, and who waits for it never ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

logger = logging.getLogger(__name__)

AGAIN_MS = 1000.0
"""A task that has not ended by then is cancelled once more; what it does last may take that long."""
CANCELS_MAX = 5


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel them all and wait for them, whatever they end with; who does not end is named in the log and left."""
    left = set(tasks)
    for _ in range(CANCELS_MAX):
        for task in left:
            task.cancel()
        if not left:
            return
        ended, left = await asyncio.wait(left, timeout=AGAIN_MS / 1000)
        for task in ended:
            if not task.cancelled():
                task.exception()  # looked at: else the loop would complain of one that nobody has heard
    for task in left:
        logger.error("%s does not end and is left behind", task.get_name())


def left_behind(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """Tasks of a loop that were cancelled so often and are still there: to wait for them is to wait for ever."""
    return [task for task in asyncio.all_tasks(loop) if task.cancelling() >= CANCELS_MAX]
