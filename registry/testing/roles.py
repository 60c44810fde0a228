"""Masters of tests: the same as everywhere, with a calendar that can be advanced and one more door."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from registry.clock import Clock
from registry.config.settings import Settings
from registry.guarded import GuardLink
from registry.role.process import run_role
from registry.role.server import RoleServer

Run = Callable[[Callable[[], Settings], Mapping[str, socket.socket]], int]


def master_run(clock: Clock, door: Path) -> Run:
    """Runs a master whose calendar is `clock`'s and whose door for the test is `door`."""

    def make(settings: Settings, load: Callable[[], Settings], link: GuardLink | None) -> RoleServer:
        from registry.master.server import Master
        from registry.testing.catalogue import CatalogueDoor

        server = Master(settings, load, link, clock)
        server.parts.append(CatalogueDoor(server, door))
        return server

    def run(load: Callable[[], Settings], listeners: Mapping[str, socket.socket]) -> int:
        return run_role("master", load, make, listeners)

    return run
