"""Which event loop a process has, or a thread that has one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes uvloop's loop where it is installed."""
    try:
        import uvloop
    except ImportError:  # it is made for some systems only
        return asyncio.new_event_loop
    return uvloop.new_event_loop
