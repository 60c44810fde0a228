"""The end of the whole cluster, asked for by a client: region servers see `running` go and end, then this master does.

The znode must stay away while they end, so the duty that keeps it there pauses. A standby becomes active then; a
cluster is shut down for good by stopping its masters too, as HBase's stop scripts do.

Source: HMaster#shutdown, ServerManager#shutdownCluster, ClusterStatusTracker#setClusterDown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from registry.master.duties import Duty
from registry.master.epoch import Token
from registry.zk.requests import Delete, Reply, Request

logger = logging.getLogger("registry.master")

WAIT_MS_MAX = 60_000.0
"""For region servers that do not end."""
LOOK_MS = 100.0


class Shutdown:
    """Of one master process. Belongs to the loop."""

    def __init__(
        self,
        path: str,
        ask: Callable[[Request], Awaitable[Reply]],
        servers_count: Callable[[], int],
        stop: Callable[[], None],
    ) -> None:
        """`path` is that of `running`; `servers_count` tells how many region servers live, `stop` ends this process."""
        self._path = path
        self._ask = ask
        self._servers_count = servers_count
        self._stop = stop
        self._ending: asyncio.Task[None] | None = None

    def unless_begun(self, duty: Duty) -> Duty:
        """What is done until then."""

        async def guarded(token: Token) -> None:
            if self._ending is None:
                await duty(token)

        return guarded

    async def begin(self) -> None:
        """Once; the call that asks for it is answered before anything ends."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(), name="shutdown")

    async def _end(self) -> None:
        await asyncio.sleep(LOOK_MS / 1000)
        reply = await self._ask(Delete(self._path))
        if not reply.ok:
            logger.warning("%s stays: %s", self._path, reply.problem or reply.result.value)
        for _ in range(int(WAIT_MS_MAX / LOOK_MS)):
            if not self._servers_count():
                break
            await asyncio.sleep(LOOK_MS / 1000)
        self._stop()
