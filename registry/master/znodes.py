"""What the active master keeps in ZooKeeper for itself and the next one: asked for until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from registry.master.epoch import Token
from registry.zk.requests import Reply, Request, Result

PAUSE_MS = 100.0

Ask = Callable[[Request], Awaitable[Reply]]


class Unreadable(Exception):
    """Something holds what this program cannot read, so nothing may be assigned; `str()` says what to do."""


async def until_answered(ask: Ask, token: Token, request: Request) -> Reply:
    """Until ZooKeeper has done it, or says that what is there is not as the request needs it. Raises NotActing."""
    while True:
        token.check()
        reply = await ask(request)
        if reply.ok or reply.result in (Result.NO_NODE, Result.NODE_EXISTS, Result.BAD_VERSION):
            return reply
        await asyncio.sleep(PAUSE_MS / 1000)
