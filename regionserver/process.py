"""One region server as a process."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Mapping

from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.role.process import run_role
from registry.role.server import RoleServer


def run_region_server(load: Callable[[], Settings], listeners: Mapping[str, socket.socket] | None = None) -> int:
    """Serve until stopped; gives the exit code. Raises BadSetting before anything is opened.

    `listeners`: sockets that listen already, by the flag of their address.
    """
    return run_role("regionserver", lambda: with_own_defaults(load()), make, listeners)


GUARD_TIMEOUT_MS = 3000
"""A store that opens, or waits for its disk, holds the loop up now and then; a hung server's regions are lost to it
when its lease is over anyway."""

GC_THRESHOLDS = (10_000, 10, 10)
"""Calls leave no cycles behind: with Python's 700 objects the collector would look at those under way a hundred times a
second, and find nothing. It takes three percent of the time of a Get so."""


def with_own_defaults(settings: Settings) -> Settings:
    """A region server's ports and the guard's patience with it, where nobody has chosen others."""
    info_port = settings.int_("hbase.regionserver.info.port")
    return settings.with_defaults(
        {
            "hbeacon.rpc.address": f"127.0.0.1:{settings.int_('hbase.regionserver.port')}",
            "hbeacon.http.address": "off" if info_port < 0 else f"127.0.0.1:{info_port}",
            "hbeacon.guard.timeout_ms": str(GUARD_TIMEOUT_MS),
        }
    )


def make(settings: Settings, load: Callable[[], Settings], link: GuardLink | None) -> RoleServer:
    """The server, with nothing opened yet. Belongs to the running loop."""
    from regionserver.server import RegionServer
    from registry.clock import SystemClock

    gc.set_threshold(*GC_THRESHOLDS)
    return RegionServer(settings, load, link, SystemClock())
