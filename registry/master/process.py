"""One master as a process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.role.process import run_role
from registry.role.server import RoleServer


def run_master(load: Callable[[], Settings], listeners: Mapping[str, socket.socket] | None = None) -> int:
    """Serve until stopped; gives the exit code. Raises BadSetting before anything is opened.

    `listeners`: sockets that listen already, by the flag of their address.
    """
    return run_role("master", load, make, listeners)


def make(settings: Settings, load: Callable[[], Settings], link: GuardLink | None) -> RoleServer:
    """The server, with nothing opened yet. Belongs to the running loop."""
    from registry.clock import SystemClock
    from registry.master.server import Master

    return Master(settings, load, link, SystemClock())
