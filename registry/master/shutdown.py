"""The end of the whole cluster, asked for by a client: region servers see `running` go and end, then all masters do.

`running` must stay away while they end, so the duty that keeps it there pauses. A standby that follows finds the znode
`hbeacon/shutdown` and ends too; a master that comes later removes it and begins.

Source: HMaster#shutdown, ServerManager#shutdownCluster, ClusterStatusTracker#setClusterDown, ActiveMasterManager
#blockUntilBecomingActiveMaster (a backup master ends where the cluster is down).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from registry.master.duties import Duty
from registry.master.epoch import Token
from registry.zk.requests import Create, Delete, Get, Reply, Request, Result

logger = logging.getLogger("registry.master")

WAIT_MS_MAX = 60_000.0
"""For region servers that do not end."""
LOOK_MS = 100.0


class Shutdown:
    """Of one master process. Belongs to the loop."""

    def __init__(
        self,
        root: str,
        ask: Callable[[Request], Awaitable[Reply]],
        stood_by: Callable[[], bool],
        servers_count: Callable[[], int],
        stop: Callable[[], None],
    ) -> None:
        """`root` is zookeeper.znode.parent; `stood_by` tells whether this master has followed another.

        `servers_count` tells how many region servers live, `stop` ends this process.
        """
        self._running = f"{root}/running"
        self._mark = f"{root}/hbeacon/shutdown"
        self._ask = ask
        self._stood_by = stood_by
        self._epoch = 0
        """In which the mark was looked at."""
        self._servers_count = servers_count
        self._stop = stop
        self._ending: asyncio.Task[None] | None = None

    def unless_begun(self, duty: Duty) -> Duty:
        """What is done until then."""

        async def guarded(token: Token) -> None:
            if self._ending is None and await self._may_begin(token):
                await duty(token)

        return guarded

    async def _may_begin(self, token: Token) -> bool:
        if token.epoch == self._epoch:
            return True
        mark = await self._ask(Get(self._mark))
        if mark.result not in (Result.OK, Result.NO_NODE):
            return False
        if mark.ok and self._stood_by():
            logger.warning("the cluster was shut down before this master became active: ending too")
            self._ending = asyncio.get_running_loop().create_task(asyncio.sleep(0), name="shutdown")
            self._stop()
            return False
        if mark.ok:
            token.check()
            await self._ask(Delete(self._mark))
        self._epoch = token.epoch
        return True

    async def begin(self) -> None:
        """Once; the call that asks for it is answered before anything ends."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(), name="shutdown")

    async def _end(self) -> None:
        await asyncio.sleep(LOOK_MS / 1000)
        for request in (Create(self._mark), Delete(self._running)):
            reply = await self._ask(request)
            if not reply.ok and reply.result is not Result.NODE_EXISTS:
                logger.warning("%s: %s", request.path, reply.problem or reply.result.value)
        for _ in range(int(WAIT_MS_MAX / LOOK_MS)):
            if not self._servers_count():
                break
            await asyncio.sleep(LOOK_MS / 1000)
        self._stop()
