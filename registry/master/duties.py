"""What an active master does by itself, again and again, each time with a token that it checks before it acts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from registry.clock import Clock
from registry.master.campaign import Campaign
from registry.master.epoch import Mastership, NotActing, Token
from registry.wire.znode import SALT_BYTES, encode_cluster_up
from registry.zk.requests import Create, Get, Result

logger = logging.getLogger("registry.master")

INTERVAL_MS = 1000.0

Duty = Callable[[Token], Awaitable[None]]
"""Does what is to be done now. Checks the token right before each effect, also between two of them."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Duties:
    """Runs them while this master acts; `wake` when it may just have begun to."""

    def __init__(self, mastership: Mastership, duties: list[Duty], interval_ms: float = INTERVAL_MS) -> None:
        self._mastership = mastership
        self._duties = duties
        self._interval_ms = interval_ms
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Have a turn now."""
        self._awake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._awake.clear()
            for duty in self._duties:
                try:
                    await duty(self._mastership.token())
                except NotActing as error:
                    logger.debug("%s", error)
            try:
                async with asyncio.timeout(self._interval_ms / 1000):
                    await self._awake.wait()
            except TimeoutError:
                continue


def keep_cluster_up(campaign: Campaign, clock: Clock, salt: Callable[[int], bytes]) -> Duty:
    """`running` is there: region servers start only then, and stop when it goes.

    Source: ClusterStatusTracker.setClusterUp.
    """
    path = f"{campaign.paths.root}/running"

    async def duty(token: Token) -> None:
        if (await campaign.ask(Get(path))).result is Result.NO_NODE:
            data = encode_cluster_up(java_date(clock.wall_ms()), campaign.writer, salt(SALT_BYTES))
            token.check()
            await campaign.ask(Create(path, data))

    return duty


def java_date(wall_ms: float) -> str:
    """As Java's Date.toString writes a moment in UTC: `Sat Nov 21 08:20:29 UTC 2026`."""
    at = time.gmtime(wall_ms / 1000)
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return f"{day} {month} {at.tm_mday:02} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} UTC {at.tm_year}"
