"""The cluster as a part of the master: one reign for each time that this master acts, none while it does not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from registry.clock import Clock
from registry.lookup.feed import RegistryFeed
from registry.master.active import ActiveWork
from registry.master.campaign import Campaign
from registry.master.cluster_work import ClusterWork
from registry.master.epoch import Deposed, Mastership, NotActing, Token
from registry.master.epoch_base import EpochBase
from registry.master.meta_place import DirectoryMemory, MetaPlace
from registry.master.meta_table import MetaTable
from registry.master.order_sender import AdminTalk
from registry.master.reign import Begin, Reign
from registry.master.znodes import Unreadable
from registry.wire.errors import PleaseHoldException, ServerNotRunningYetException

logger = logging.getLogger("registry.master")

LOOK_MS = 100.0
"""How often it is seen to that the master still acts."""
PAUSE_MS = 1000.0
"""Before another reign, where one has ended while the master acts."""


class Cluster:
    """Belongs to the loop; `run` is its life."""

    def __init__(self, mastership: Mastership, campaign: Campaign, feed: RegistryFeed, clock: Clock) -> None:
        self.reign: Reign | None = None
        """The present one."""
        self.begin: list[Begin] = []
        """Called in turn in each reign once the catalogue is read; before they return nobody else gets `work`."""
        self.initialized: Callable[[], None] = lambda: None
        """Called in each reign when tables may be changed."""
        self.ended: list[Callable[[], None]] = []
        """Called when a reign is over."""
        self.kept_in: Path | None = None
        """The master's data directory, where there is one."""
        self.problem = ""
        """Why there is no reign though this master acts."""
        self._mastership = mastership
        self._campaign = campaign
        self._feed = feed
        self._clock = clock
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """Look now whether this master acts."""
        self._awake.set()

    def acting(self) -> Reign:
        """The present reign, initialised or not. Raises ServerNotRunningYetException."""
        if self.reign is None or not self._mastership.is_acting:
            raise ServerNotRunningYetException("Server is not running yet")
        return self.reign

    def work(self) -> ClusterWork:
        """For who changes tables. Raises ServerNotRunningYetException, and PleaseHoldException before all is ready."""
        reign = self.acting() if self._mastership.epoch else None
        if reign is None:
            raise ServerNotRunningYetException("Server is not running yet")
        if reign.work is None or not reign.is_initialized:
            raise PleaseHoldException("Master is initializing")
        return reign.work

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                token = self._mastership.token()
            except NotActing:
                await self._pause(LOOK_MS)
                continue
            try:
                await self._act(token)
            except NotActing as error:
                logger.info("%s", error)
                await self._pause(LOOK_MS)
            except Unreadable as error:
                self.problem = str(error)
                logger.error("%s", error)
                await self._pause(PAUSE_MS)
            except Exception as error:
                self.problem = f"{type(error).__name__}: {error}"
                logger.exception("the cluster is taken over anew: a fault of hbeacon")
                await self._pause(PAUSE_MS)

    async def _act(self, token: Token) -> None:
        """One reign. Where a higher epoch is known though this master is the elected one, the next is above that."""
        base = EpochBase(self._campaign.paths, self._campaign.ask, token)
        try:
            await self._reign(token.above(await base.read()))
        except Deposed as error:
            logger.info("%s", error)
            await base.raise_to(error.known)

    async def _reign(self, token: Token) -> None:
        reign = self.reign = self._make(token)
        running = asyncio.ensure_future(reign.run())
        running.add_done_callback(lambda _: self.wake())
        try:
            while not running.done():
                await self._pause(LOOK_MS)
                token.check()
            self.problem = ""
            running.result()
        finally:
            running.cancel()
            self.reign = None
            for ended in self.ended:
                ended()
            await asyncio.gather(running, return_exceptions=True)
            await reign.close()

    def _make(self, token: Token) -> Reign:
        campaign = self._campaign
        memory = DirectoryMemory(self.kept_in) if self.kept_in is not None else None
        place = MetaPlace(campaign.paths, campaign.ask, token, campaign.writer, os.urandom, memory)
        return Reign(
            token,
            self._clock,
            self._feed,
            campaign.ask,
            place,
            f"{campaign.paths.root}/draining",
            ActiveWork,
            self.begin,
            self.initialized,
            lambda where: MetaTable(token.in_name, where, self._clock),
            AdminTalk(),
        )

    async def _pause(self, pause_ms: float) -> None:
        self._awake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_ms / 1000):
                await self._awake.wait()
