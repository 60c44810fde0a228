"""One adapter as a process: logs, loop, exit code, and what is written when it crashes."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
from collections.abc import Callable

from registry.cli.exits import CANNOT_LISTEN, FAILED, REFUSED, STOPPED
from registry.clock import SystemClock
from registry.config.settings import BadSetting, Settings
from registry.guard import STACKS_SIGNAL, UNGUARDED_CODE
from registry.guarded import GuardLink
from registry.logs import parse_levels, set_up_logs

logger = logging.getLogger("registry.adapter")


def run_adapter(load: Callable[[], Settings]) -> int:
    """Serve until stopped; gives the exit code. Raises BadSetting before anything is opened."""
    link = GuardLink.take(os.environ)
    settings = load()
    if link is not None and not settings.bool_("hbeacon.guard"):
        return UNGUARDED_CODE
    level = settings.str_("hbeacon.log.level")
    try:
        parse_levels(level)
    except ValueError as error:
        raise settings.bad("hbeacon.log.level", str(error)) from None
    set_up_logs(settings.choice("hbeacon.log.format"), level, "adapter")
    for warning in settings.warnings:
        logger.warning("%s", warning)
    faulthandler.enable()
    faulthandler.register(STACKS_SIGNAL, all_threads=True)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings, load, link))


async def _serve(settings: Settings, load: Callable[[], Settings], link: GuardLink | None) -> int:
    from registry.adapter.listening import CannotListen
    from registry.adapter.server import Adapter, ZooKeeperRefuses

    adapter = Adapter(settings, load, link, SystemClock())
    try:
        await adapter.run()
    except CannotListen as error:
        return _ends(error, CANNOT_LISTEN)
    except ZooKeeperRefuses as error:
        return _ends(error, REFUSED)
    except BadSetting:
        raise
    except Exception:
        logger.critical("the adapter fails; what led to it follows", exc_info=True)
        sys.stderr.writelines(f"{line}\n" for line in adapter.feed.flight.lines())
        return FAILED
    logger.info("stopped")
    return STOPPED


def _ends(error: Exception, code: int) -> int:
    sys.stderr.write(f"hbeacon adapter: {error}\n")
    return code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # it is made for some systems only
        return asyncio.new_event_loop
    return uvloop.new_event_loop
