"""A region server's place in ZooKeeper: whose cluster it is, whether it is up, and the znode by which others see it.

    /hbase/rs/HOST,PORT,STARTCODE    ephemeral, PBUF RegionServerInfo: pages' port and version

One session for the life of the server: when it is over, so is the server.

Source: HRegionServer#initializeZooKeeper, #createMyEphemeralNode; ClusterStatusTracker.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from registry.lookup.snapshot import RegionServer
from registry.master.identity import Memory
from registry.master.mark import MARK_ZNODE, Mark, Refusal, mark_path
from registry.names import ServerName
from registry.wire.error_base import ProtocolError
from registry.wire.znode import SALT_BYTES, decode_cluster_id, encode_region_server
from registry.zk.lease import Lease
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Children, Create, Delete, Get, Reply, Request, Result
from registry.zk.session import SessionOwner

logger = logging.getLogger("regionserver")

LOOK_MS = 100.0
"""How often a cluster that is not up yet is looked at, besides when something is heard of it."""
DOWN_MS = 3000.0
"""A cluster counts as shut down when `running` has been away for so long: masters make it anew where it was lost."""


class Session(Protocol):
    """What is needed of registry.zk.session.ZooKeeperSession."""

    lease: Lease
    session_id: int

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent now."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def ask(self, request: Request, done: Callable[[Reply], object]) -> None:
        """Send a request; `done` is not called where the connection goes first."""
        ...

    def discard(self) -> Awaitable[object]:
        """End it; nothing more is heard of it."""
        ...


class Membership:
    """Of one life of a server; implements SessionOwner. Belongs to the loop."""

    def __init__(self, root: str, memory: Memory, open_session: Callable[[SessionOwner], Session]) -> None:
        """`memory`: which cluster the data directory belongs to."""
        loop = asyncio.get_running_loop()
        self.paths = ZNodePaths(root)
        self.over: asyncio.Future[str] = loop.create_future()
        """Why the session is over, when it is."""
        self.refusal: asyncio.Future[str] = loop.create_future()
        """Why this server may not take part here, where it may not."""
        self._memory = memory
        self._session = open_session(self)
        self._connected = asyncio.Event()
        self._awake = asyncio.Event()
        self._running_changed = asyncio.Event()
        self._asked: set[asyncio.Future[Reply]] = set()
        self._running = f"{root}/running"

    @property
    def lease(self) -> Lease:
        """Of the session."""
        return self._session.lease

    @property
    def session_id(self) -> int:
        """0 before the first connection."""
        return self._session.session_id

    @property
    def is_connected(self) -> bool:
        """Whether ZooKeeper answers at the moment."""
        return self._session.is_connected

    def start(self) -> None:
        """Begin the session; returns at once."""
        self._session.start()

    async def leave(self) -> None:
        """End the session, and with it the znode."""
        await self._session.discard()

    def wake(self) -> None:
        """Something may have changed that is waited for."""
        self._awake.set()

    # --- the cluster ----------------------------------------------------------------------------------------------

    async def cluster_is_up(self) -> str:
        """Wait until there is a cluster of hbeacon's, and it is up; gives its id. Raises Refusal."""
        while True:
            cluster_id = await self._look()
            if cluster_id:
                await asyncio.to_thread(self._memory.settle, cluster_id)
                return cluster_id
            await self._pause(LOOK_MS)

    async def cluster_goes_down(self) -> None:
        """Wait until the cluster is shut down: `running` is gone and stays away."""
        while True:
            self._running_changed.clear()
            if (await self._reply(Get(self._running, watch=True))).result is Result.NO_NODE:
                await asyncio.sleep(DOWN_MS / 1000)
                if (await self._reply(Get(self._running))).result is Result.NO_NODE:
                    return
            else:
                await self._running_changed.wait()

    async def _look(self) -> str:
        """The cluster's id; empty where it is not there or not up. Raises Refusal where it is another's."""
        paths = self.paths
        # The mark is read last: what stood before it without it is of somebody who does not write it.
        cluster_id = await self._ask(Get(paths.cluster_id))
        entries = [name for name in ("master", "backup-masters", "rs") if await self._has_entry(name)]
        running = await self._ask(Get(self._running))
        marked = await self._ask(Get(mark_path(paths.root)))
        replies = (cluster_id, running, marked)
        if any(reply.result not in (Result.OK, Result.NO_NODE) for reply in replies):
            return ""
        if not marked.ok:
            if cluster_id.ok or entries:
                raise Refusal(_foreign(paths.root, "hbaseid" if cluster_id.ok else entries[0]))
            return ""
        mark = Mark.parse(mark_path(paths.root), marked.data)
        if not (cluster_id.ok and running.ok):
            return ""
        try:
            said = decode_cluster_id(cluster_id.data)
        except ProtocolError as error:
            raise Refusal(f"{paths.cluster_id} holds what no master writes there ({error}): remove it") from None
        if said != mark.cluster_id:
            raise Refusal(
                f"{paths.cluster_id} tells of cluster {said}, {mark_path(paths.root)} of {mark.cluster_id}: an HBase"
                " has been started on hbeacon's znodes; give one of them another zookeeper.znode.parent"
            )
        return said

    async def _has_entry(self, name: str) -> bool:
        path = f"{self.paths.root}/{name}"
        if name == "master":
            return (await self._ask(Get(path))).ok
        return bool((await self._ask(Children(path))).children)

    # --- the znode ------------------------------------------------------------------------------------------------

    async def enter(self, server: RegionServer) -> None:
        """Make the znode: from now on masters and clients see this server. Raises Refusal."""
        path = self._path_of(server.server_name)
        writer = f"regionserver:{server.server_name.port}"
        while True:
            data = encode_region_server(server, writer, os.urandom(SALT_BYTES))
            made = await self._ask(Create(path, data, ephemeral=True))
            if made.ok:
                return
            if made.result is Result.NODE_EXISTS:
                there = await self._ask(Get(path))
                if there.stat is not None and there.stat.ephemeral_owner == self.session_id:
                    return  # made by us, and the answer was lost
                await self._ask(Delete(path))
            await self._pause(LOOK_MS)

    def _path_of(self, name: ServerName) -> str:
        return self.paths.child(self.paths.rs, str(name))

    # --- asking ---------------------------------------------------------------------------------------------------

    async def _ask(self, request: Request) -> Reply:
        """The reply, LOST where the connection goes first. Raises Refusal where we have no rights."""
        reply = await self._reply(request)
        if reply.result is Result.NO_AUTH:
            raise Refusal(
                f"ZooKeeper does not let this region server at {self.paths.root}: give a credential with"
                " hbeacon.zookeeper.auth"
            )
        return reply

    async def _reply(self, request: Request) -> Reply:
        await self._connected.wait()
        if not self._session.is_connected:
            return Reply(Result.LOST)
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._session.ask(request, lambda reply: None if replied.done() else replied.set_result(reply))
        self._asked.add(replied)
        try:
            return await replied
        finally:
            self._asked.discard(replied)

    async def _pause(self, pause_ms: float) -> None:
        try:
            async with asyncio.timeout(pause_ms / 1000):
                await self._awake.wait()
        except TimeoutError:
            return
        self._awake.clear()

    # --- what the session tells -----------------------------------------------------------------------------------

    def connected(self) -> None:
        """Watches of the connection before are gone."""
        self._connected.set()
        self._running_changed.set()

    def suspended(self, reason: str) -> None:
        """The lease says how long the server goes on."""
        del reason  # the session has logged it
        self._connected.clear()
        self._lose_asked()

    def ended(self, reason: str) -> None:
        """The session is over, and the znode with it."""
        self._lose_asked()
        if not self.over.done():
            self.over.set_result(reason)

    def refused(self, reason: str) -> None:
        """ZooKeeper does not accept the credential."""
        if not self.refusal.done():
            self.refusal.set_result(reason)

    def fired(self, path: str) -> None:
        """What is watched has changed."""
        if path == self._running:
            self._running_changed.set()

    def _lose_asked(self) -> None:
        for replied in self._asked:
            if not replied.done():
                replied.set_result(Reply(Result.LOST))


def _foreign(root: str, entry: str) -> str:
    return (
        f"{root} belongs to an HBase cluster ({entry} is there, {MARK_ZNODE} is not): a region server of hbeacon needs"
        " a master of hbeacon; serve that cluster's registry with hbeacon adapter, or give another"
        " zookeeper.znode.parent, such as --zookeeper HOST:PORT/hbeacon"
    )
