"""What a master does first on a ZooKeeper: take the cluster for its own, found one, or keep out.

A generator that asks and is told, so that whoever runs it decides how to ask. It may be left at any point and begun
anew, by several masters at once: each step that is done stays done, and the one that counts, the mark and `hbaseid`
together, is one transaction.

Source: ZKWatcher.createBaseZNodes, HMaster.finishActiveMasterInitialization (ClusterId), ZKClusterId.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from registry.master.identity import Memory
from registry.master.mark import MARK_ZNODE, Mark, Refusal, mark_path
from registry.wire.error_base import ProtocolError
from registry.wire.znode import decode_cluster_id, encode_cluster_id
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Children, Create, Get, Multi, Reply, Request, Result

PERSISTENT = ("rs", "draining", "table", "splitWAL", "backup-masters", "master-maintenance")
"""What ZKWatcher.createBaseZNodes of HBase 2.6 makes below the root."""

ROUNDS_MAX = 20
"""Two masters that found at one moment need two; more than this and somebody removes what we make."""


@dataclass(frozen=True, slots=True)
class Founder:
    """Who founds, and with what. Random bytes and the date come from outside."""

    paths: ZNodePaths
    writer: str
    """As HBase's envelope names it, such as `master:16000`."""
    founded_by: str
    founded_at: str
    salt: Callable[[], bytes]
    new_cluster_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Founded:
    """The cluster that this master belongs to."""

    mark: Mark
    by_us: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait as long as a lease lasts, then go on with any reply.

    ZooKeeper has lost a cluster that was there, and with it the sessions of its masters. The one that was active does
    not know yet and acts on until its lease is over; nobody can be elected before the cluster is founded again.
    """


Founding = Generator[Request | Pause, Reply, Founded]


def found(founder: Founder, memory: Memory) -> Founding:
    """Ask until the cluster is ours. Raises Refusal where it is somebody else's, or where we may not look.

    A reply LOST must not be sent in: begin anew.
    """
    paths = founder.paths
    path = mark_path(paths.root)
    waited = False
    for _ in range(ROUNDS_MAX):
        # The mark is read last: what stood before it without it is of somebody who does not write it.
        cluster_id = yield from _ask(Get(paths.cluster_id))
        entries = yield from _entries(paths)
        marked = yield from _ask(Get(path))
        if marked.ok:
            mark = Mark.parse(path, marked.data)
            memory.settle(mark.cluster_id)
            if not cluster_id.ok:
                cluster_id = yield from _ask(Get(paths.cluster_id))
            if not cluster_id.ok:  # somebody has removed it; the mark knows it still
                data = encode_cluster_id(mark.cluster_id, founder.writer, founder.salt())
                yield from _ask(Create(paths.cluster_id, data))
                continue
            _compare(paths, mark, cluster_id.data)
            yield from _make_base(paths)
            return Founded(mark, by_us=False)
        if cluster_id.ok or entries:
            raise Refusal(_foreign(paths, entries or "hbaseid"))
        if memory.was_founded() and not waited:
            waited = True
            yield Pause()
            continue
        mark = Mark(memory.propose(founder.new_cluster_id()), founder.founded_by, founder.founded_at)
        yield from _make_base(paths)
        data = encode_cluster_id(mark.cluster_id, founder.writer, founder.salt())
        both = yield from _ask(Multi((Create(path, mark.data()), Create(paths.cluster_id, data))))
        if both.ok:
            memory.settle(mark.cluster_id)
            return Founded(mark, by_us=True)
    raise Refusal(f"{paths.root} keeps changing while this master founds its cluster: is it used by something else?")


def _ask(request: Request) -> Generator[Request | Pause, Reply, Reply]:
    reply = yield request
    if reply.result is Result.NO_AUTH:
        where = request.operations[0].path if isinstance(request, Multi) else request.path
        raise Refusal(
            f"ZooKeeper does not let this master at {where}: a master needs all rights on its"
            " zookeeper.znode.parent; give a credential with hbeacon.zookeeper.auth"
        )
    if reply.result is Result.FAILED:
        raise Refusal(f"ZooKeeper cannot do what a master asks of it: {reply.problem}")
    return reply


def _entries(paths: ZNodePaths) -> Generator[Request | Pause, Reply, str]:
    """Which of the places hold entries where servers of a cluster make theirs; empty where none does."""
    if (yield from _ask(Get(paths.master))).ok:
        return "master"
    for directory in (paths.backup_masters, paths.rs):
        if (yield from _ask(Children(directory))).children:
            return directory.rpartition("/")[2]
    return ""


def _make_base(paths: ZNodePaths) -> Generator[Request | Pause, Reply, None]:
    names = paths.root.strip("/").split("/")
    above = ["/" + "/".join(names[: count + 1]) for count in range(len(names))]
    for path in (*above, *(f"{paths.root}/{name}" for name in PERSISTENT)):
        yield from _ask(Create(path))


def _compare(paths: ZNodePaths, mark: Mark, data: bytes) -> None:
    try:
        cluster_id = decode_cluster_id(data)
    except ProtocolError as error:
        raise Refusal(f"{paths.cluster_id} holds what no master writes there ({error}): remove it") from None
    if cluster_id != mark.cluster_id:
        raise Refusal(
            f"{paths.cluster_id} tells of cluster {cluster_id}, {mark_path(paths.root)} of {mark.cluster_id}: an HBase"
            " has been started on hbeacon's znodes; give one of them another zookeeper.znode.parent"
        )


def _foreign(paths: ZNodePaths, entry: str) -> str:
    return (
        f"{paths.root} belongs to an HBase cluster ({entry} is there, {MARK_ZNODE} is not): serve its registry with"
        " hbeacon adapter, or give this master another zookeeper.znode.parent, such as"
        " --zookeeper HOST:PORT/hbeacon"
    )
