"""One server as a process: logs, loop, exit code, and what is written when it crashes."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from registry.config.settings import BadSetting, Settings
from registry.ending import left_behind
from registry.exits import CANNOT_LISTEN, FAILED, REFUSED, STOPPED
from registry.guard import STACKS_SIGNAL, UNGUARDED_CODE
from registry.guarded import GuardLink
from registry.logs import parse_levels, set_up_logs
from registry.loops import loop_factory

if TYPE_CHECKING:
    from registry.role.server import RoleServer

logger = logging.getLogger("registry.role")

Make = Callable[[Settings, Callable[[], Settings], GuardLink | None], "RoleServer"]
"""Makes the server from settings, what loads them again, and the guard's link; imports its modules only then."""


def run_role(
    role: str, load: Callable[[], Settings], make: Make, listeners: Mapping[str, socket.socket] | None = None
) -> int:
    """Serve until stopped; gives the exit code. Raises BadSetting before anything is opened.

    `listeners` are sockets that listen already, by the flag of their address (`--rpc`, `--http`): who forks a role has
    opened them, so that a taken port is known before anything starts.
    """
    link = GuardLink.take(os.environ)
    settings = load()
    if link is not None and not settings.bool_("hbeacon.guard"):
        return UNGUARDED_CODE
    start_logs(settings, role)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        code = runner.run(_serve(role, settings, load, link, make, listeners or {}))
        if left_behind(runner.get_loop()):  # the runner would wait for them
            logging.shutdown()
            os._exit(code)
    return code


def start_logs(settings: Settings, role: str) -> None:
    """Begin to log, with the warnings of the settings, and be ready to write stacks. Raises BadSetting."""
    level = settings.str_("hbeacon.log.level")
    try:
        parse_levels(level)
    except ValueError as error:
        raise settings.bad("hbeacon.log.level", str(error)) from None
    set_up_logs(settings.choice("hbeacon.log.format"), level, role)
    for warning in settings.warnings:
        logger.warning("%s", warning)
    faulthandler.enable()
    faulthandler.register(STACKS_SIGNAL, all_threads=True)


async def _serve(
    role: str,
    settings: Settings,
    load: Callable[[], Settings],
    link: GuardLink | None,
    make: Make,
    listeners: Mapping[str, socket.socket],
) -> int:
    from registry.role.listening import CannotListen
    from registry.role.server import Refused

    server = make(settings, load, link)
    server.listeners = listeners
    try:
        await server.run()
    except CannotListen as error:
        return _ends(role, error, CANNOT_LISTEN)
    except Refused as error:
        return _ends(role, error, REFUSED)
    except BadSetting:
        raise
    except Exception:
        logger.critical("the %s fails; what led to it follows", role, exc_info=True)
        sys.stderr.writelines(f"{line}\n" for line in (*server.feed.flight.lines(), *server.election_lines()))
        return FAILED
    logger.info("stopped")
    return STOPPED


def _ends(role: str, error: Exception, code: int) -> int:
    sys.stderr.write(f"hbeacon {role}: {error}\n")
    return code
