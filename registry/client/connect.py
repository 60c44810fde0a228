"""`hbeacon.connect`: settings, target and connection put together.

Source: org.apache.hadoop.hbase.client.ConnectionFactory, ConnectionRegistryFactory.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from registry.client.connection import Connection
from registry.client.last_resort import LastResortSource
from registry.client.probing import Policy
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings, client_settings
from registry.client.target import RpcTarget, Target, find_target, last_resort, uri_settings
from registry.client.zookeeper_source import ZooKeeperSource
from registry.clock import SystemClock
from registry.config.settings import BadSetting, Settings, load_settings
from registry.config.watch import ConfigWatch

logger = logging.getLogger("registry.client")


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """What the caller of `connect` said; can be evaluated again when files have changed."""

    uri: str = ""
    masters: str | tuple[str, ...] | None = None
    conf_dir: str | Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    environ: Mapping[str, str] | None = None
    policy: Policy = Policy.HEDGED

    def load(self) -> Settings:
        """Arguments, query of the URI, environment and files as they are now. Reads files; raises BadSetting."""
        flags = {**uri_settings(self.uri), **self.settings}
        names = dict.fromkeys(uri_settings(self.uri), "query of the URI") | dict.fromkeys(self.settings, "argument")
        return load_settings(flags, os.environ if self.environ is None else self.environ, self.conf_dir, names)

    def evaluate(self) -> tuple[Settings, Target, ClientSettings]:
        """Everything a connection is made of. Reads files; raises BadSetting."""
        settings = self.load()
        target = find_target(settings, self.uri, self.masters)
        return settings, target, client_settings(settings, policy=self.policy, registry_prefix=target.registry_prefix)


class Connecting:
    """What `connect` gives: await it for a Connection, or use it in `async with`, which closes it."""

    def __init__(self, request: ConnectRequest) -> None:
        self._request = request
        self._connection: Connection | None = None

    def __await__(self) -> Generator[object, None, Connection]:
        return self._open().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._open()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection is not None
        await self._connection.close()

    async def _open(self) -> Connection:
        return await open_connection(self._request)


def connect(
    uri: str = "",
    *,
    masters: str | Iterable[str] | None = None,
    conf_dir: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
    policy: Policy | str = Policy.HEDGED,
) -> Connecting:
    """A connection to one cluster, for the loop that awaits it.

        async with hbeacon.connect("hbase+rpc://beacon1:16000,beacon2:16000") as cluster:
            meta = await cluster.meta_locations(timeout_ms=2000)

    `uri` is `hbase+rpc://HOST:PORT,...` or `hbase+zk://HOST:PORT,.../hbase`, or just `HOST:PORT,...`; `masters` a
    list of masters, as hbase.masters. Without either, the settings tell: hbase-site.xml in `conf_dir` or
    HBASE_CONF_DIR, the environment (HBASE_MASTERS), and `settings`, which win; with nothing configured it is
    localhost:16000, as in HBase 3. `policy` is `hedged` (a second server is asked when the first takes longer than it
    usually does), or HBase's `random` or `fanout`. Changes of the server list in hbase-site.xml are followed.

    Nothing is asked before the first look-up. Raises BadSetting, one line that names key, value and cure.
    """
    listed = masters if masters is None or isinstance(masters, str) else tuple(masters)
    return Connecting(ConnectRequest(uri, listed, conf_dir, dict(settings or {}), None, Policy(policy)))


async def open_connection(request: ConnectRequest, *, follow: bool = True) -> Connection:
    """Read the settings beside the loop, then make the connection that lives in it. Raises BadSetting.

    `follow` is whether changes of the files are worth following: not for one look-up.
    """
    settings, target, own = await asyncio.to_thread(request.evaluate)
    clock, chance = SystemClock(), random.Random()
    if not isinstance(target, RpcTarget):
        zookeeper = ZooKeeperSource(target, own)
        return Connection(zookeeper, own, clock, chance, str(zookeeper))
    source: RpcSource | LastResortSource = RpcSource(target, own, clock, chance)
    zookeeper_target = last_resort(settings)
    if zookeeper_target is not None:
        source = LastResortSource(source, ZooKeeperSource(zookeeper_target, own))
    connection = Connection(source, own, clock, chance, str(source))
    if follow and target.key and settings.conf_dir is not None:
        await _follow_files(connection, settings, request)
    return connection


async def _follow_files(connection: Connection, settings: Settings, request: ConnectRequest) -> None:
    """Take over the server list whenever the files name another; whatever else changes is for the next connection."""

    def changed(new: Settings, _keys: frozenset[str]) -> None:
        try:
            target = find_target(new, request.uri, request.masters)
        except BadSetting as error:
            logger.error("the servers stay as they are: %s", error)
            return
        if isinstance(target, RpcTarget):
            connection.use_servers(target.servers)

    watch = await asyncio.to_thread(ConfigWatch, settings, request.load, changed)
    connection.follow(watch.run)
