"""Answers from ZooKeeper itself, where HBase's servers write them: one session reads everything and is closed.

Source: org.apache.hadoop.hbase.client.ZKConnectionRegistry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from registry.client.answers import Found, RegionLocation, RegistryMaster, What
from registry.client.attempts import AttemptLog
from registry.client.settings import ClientSettings
from registry.client.target import ZooKeeperTarget
from registry.lookup.freshness import NOTHING, Wants, reaches
from registry.lookup.snapshot import FactState, Version, Znode
from registry.wire.errors import ConnectException, PleaseHoldException, StoppedRpcClientException
from registry.zk import trackers
from registry.zk.oneshot import Reading, ZooKeeperUnavailable, read_registry
from registry.zk.paths import ZNodePaths
from registry.zk.trackers import Decoded


class ZooKeeperSource:
    """HBase's znodes of one cluster."""

    def __init__(self, target: ZooKeeperTarget, settings: ClientSettings) -> None:
        self._target = target
        self._settings = settings
        self._paths = ZNodePaths(target.root)
        self._hosts = ",".join(map(str, target.servers))
        self._closed = False

    def __str__(self) -> str:
        return f"zookeeper {self._hosts}{self._target.root}"

    async def ask(
        self,
        what: What,
        remaining_ms: Callable[[], float],
        log: AttemptLog,
        avoid: Collection[str] = (),
        wants: Wants = NOTHING,
    ) -> list[tuple[What, Found]]:
        """Everything one session reads, `what` among it; empty where `what` is not there, which `log` then tells.

        Whoever wants it new gets what was read after ZooKeeper's leader was heard.
        """
        del avoid
        if self._closed:
            raise StoppedRpcClientException("the connection was closed")
        name = str(self)
        log.begin(name)
        log.calls += 1
        limit_ms = min(remaining_ms(), self._settings.rpc_timeout_ms)
        try:
            reading = await read_registry(
                self._hosts,
                self._paths,
                timeout_ms=limit_ms,
                connect_timeout_ms=min(limit_ms, self._settings.connect_timeout_ms),
                auth=self._target.auth,
                from_leader=bool(wants),
            )
        except ZooKeeperUnavailable as error:
            log.end(name, ConnectException(str(error)))
            return []
        version = Version(0, reading.zxid)
        if not reaches(wants, version):
            log.end(name, PleaseHoldException(f"it was read at zxid 0x{version.zxid:x}, not as far as is asked for"))
            return []
        facts = _facts(self._paths, reading)
        wanted = facts[what]
        if wanted.state is not FactState.KNOWN:
            log.end(name, None, wanted.problem or f"{_path(self._paths, what)} does not exist")
            return []
        log.drop(name)
        return [
            (each, Found(fact.value, name, version, 0.0))
            for each, fact in facts.items()
            if fact.state is FactState.KNOWN
        ]

    async def close(self) -> None:
        """Nothing is kept open between look-ups."""
        self._closed = True


def _path(paths: ZNodePaths, what: What) -> str:
    return {
        What.CLUSTER_ID: paths.cluster_id,
        What.ACTIVE_MASTER: paths.master,
        What.MASTERS: paths.backup_masters,
        What.META_LOCATIONS: paths.meta,
        What.BOOTSTRAP_NODES: paths.rs,
    }[what]


def _facts(paths: ZNodePaths, reading: Reading) -> dict[What, Decoded[object]]:
    """The answers that the registry's methods would give, from the znodes."""
    znodes = reading.znodes
    unread = Znode("", FactState.UNREAD)
    active = trackers.active_master(znodes.get(paths.master, unread))
    backups = trackers.backup_masters(znodes.get(paths.backup_masters, unread))
    root = znodes.get(paths.root, unread)
    replicas = [
        trackers.meta_location(replica_id)(znodes[path])
        for path, replica_id in paths.meta_children(root.children or ()).items()
        if path in znodes
    ]
    if paths.meta in znodes and paths.meta not in paths.meta_children(root.children or ()):
        replicas.append(trackers.meta_location(0)(znodes[paths.meta]))  # the root may not be listed, the node be read
    meta = trackers.meta_locations(root, replicas)
    servers = trackers.region_servers(
        znodes.get(paths.rs, unread),
        [
            trackers.region_server(Znode(f"{paths.rs}/{child}", FactState.KNOWN))
            for child in znodes.get(paths.rs, unread).children or ()
        ],
    )
    return {
        What.CLUSTER_ID: _as_object(trackers.cluster_id(znodes.get(paths.cluster_id, unread))),
        What.ACTIVE_MASTER: Decoded(active.state, active.value and active.value.server_name, active.problem),
        What.MASTERS: Decoded(
            FactState.KNOWN if FactState.KNOWN in (active.state, backups.state) else active.state,
            (
                *((RegistryMaster(active.value.server_name, is_active=True),) if active.value else ()),
                *(RegistryMaster(name, is_active=False) for name in backups.value or ()),
            ),
            active.problem or backups.problem,
        ),
        What.META_LOCATIONS: Decoded(
            meta.state,
            tuple(RegionLocation(each.replica_id, each.server_name) for each in meta.value or ()),
            meta.problem,
        ),
        What.BOOTSTRAP_NODES: Decoded(
            servers.state, tuple(server.server_name for server in servers.value or ()), servers.problem
        ),
    }


def _as_object(decoded: Decoded[str]) -> Decoded[object]:
    return Decoded(decoded.state, decoded.value, decoded.problem)
