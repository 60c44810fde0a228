"""One adapter as a process."""

from __future__ import annotations

from collections.abc import Callable

from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.role.process import run_role
from registry.role.server import RoleServer


def run_adapter(load: Callable[[], Settings]) -> int:
    """Serve until stopped; gives the exit code. Raises BadSetting before anything is opened."""
    return run_role("adapter", load, make)


def make(settings: Settings, load: Callable[[], Settings], link: GuardLink | None) -> RoleServer:
    """The server, with nothing opened yet. Belongs to the running loop."""
    from registry.adapter.server import Adapter
    from registry.clock import SystemClock

    return Adapter(settings, load, link, SystemClock())
