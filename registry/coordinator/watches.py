"""Watches: who is told of which path, each standard watch once, persistent ones until they are removed.

Source: WatchManager, DataTree (which of the two managers fires what), AddWatchMode; ZOOKEEPER-4466 (modes of one path
live side by side), ZOOKEEPER-4799 (an event is not told to one who may not read the node).
"""

from __future__ import annotations

from collections.abc import Iterator

from registry.coordinator.acl import permits
from registry.coordinator.client import Client
from registry.coordinator.codes import READ, EventType, WatcherType
from registry.coordinator.jute import ACL, event_frame

DATA = 1
"""Set by exists and getData; fires once."""
CHILD = 2
"""Set by getChildren; fires once."""
PERSISTENT = 4
RECURSIVE = 8

ONCE = DATA | CHILD
HIT_BY_NODE_EVENT = DATA | PERSISTENT | RECURSIVE
HIT_BY_CHILDREN_CHANGED = CHILD | PERSISTENT
ALL_KINDS = DATA | CHILD | PERSISTENT | RECURSIVE
KINDS_OF_TYPE: dict[int, int] = {
    WatcherType.CHILDREN: CHILD,
    WatcherType.DATA: DATA,
    WatcherType.ANY: ALL_KINDS,
    WatcherType.PERSISTENT: PERSISTENT,
    WatcherType.PERSISTENT_RECURSIVE: RECURSIVE,
}
"""What checkWatches and removeWatches mean by a type."""
WEIGHTS = [bool(kinds & HIT_BY_NODE_EVENT) + bool(kinds & HIT_BY_CHILDREN_CHANGED) for kinds in range(ALL_KINDS + 1)]
"""How often ZooKeeper counts a path of a connection: once in each of its two managers that knows it."""


def ancestors(path: str) -> Iterator[str]:
    """The paths above, nearest first, "/" last."""
    while len(path) > 1:
        path = path[: path.rfind("/")] or "/"
        yield path


class WatchManager:
    """All watches of one machine. No object per watch: a path has its clients, each with the sum of its kinds."""

    __slots__ = ("_recursive_count", "count", "table")

    def __init__(self) -> None:
        self.table: dict[str, dict[Client, int]] = {}
        self.count = 0
        """As `mntr` counts: zk_watch_count."""
        self._recursive_count = 0

    def add(self, path: str, client: Client, kind: int) -> None:
        """Add a watch; one that is there already stays one."""
        watchers = self.table.get(path)
        if watchers is None:
            watchers = self.table[path] = {}
        kinds = watchers.get(client, 0)
        if kinds & kind:
            return
        watchers[client] = kinds | kind
        self.count += WEIGHTS[kinds | kind] - WEIGHTS[kinds]
        if kind == RECURSIVE:
            self._recursive_count += 1
        if client.watched is None:
            client.watched = set()
        client.watched.add(path)

    def contains(self, path: str, client: Client, kinds: int) -> bool:
        """Whether the client has a watch of one of the kinds."""
        return bool(self.table.get(path, {}).get(client, 0) & kinds)

    def remove(self, path: str, client: Client, kinds: int) -> bool:
        """Remove the client's watches of these kinds; False when it had none of them."""
        watchers = self.table.get(path)
        had = 0 if watchers is None else watchers.get(client, 0)
        if watchers is None or not had & kinds:
            return False
        self._set_kinds(path, watchers, client, had, had & ~kinds)
        return True

    def forget(self, client: Client) -> None:
        """Remove all watches of a connection that has ended."""
        for path in client.watched or ():
            watchers = self.table[path]
            kinds = watchers.pop(client)
            self.count -= WEIGHTS[kinds]
            self._recursive_count -= kinds >= RECURSIVE
            if not watchers:
                del self.table[path]
        client.watched = None

    def node_created(
        self, path: str, acl: tuple[ACL, ...], parent: str, parent_acl: tuple[ACL, ...], zxid: int
    ) -> None:
        """Tell of a new node: its own watches first, then those of the parent's children."""
        if self.table:
            self._fire(path, EventType.NODE_CREATED, HIT_BY_NODE_EVENT, DATA, acl, zxid)
            self._fire(parent or "/", EventType.NODE_CHILDREN_CHANGED, HIT_BY_CHILDREN_CHANGED, CHILD, parent_acl, zxid)

    def node_deleted(
        self, path: str, acl: tuple[ACL, ...], parent: str, parent_acl: tuple[ACL, ...], zxid: int
    ) -> None:
        """Tell that a node is gone, once to each who watched its data, its children or both; then the parent's."""
        if self.table:
            self._fire(path, EventType.NODE_DELETED, ALL_KINDS, ONCE, acl, zxid)
            self._fire(parent or "/", EventType.NODE_CHILDREN_CHANGED, HIT_BY_CHILDREN_CHANGED, CHILD, parent_acl, zxid)

    def data_changed(self, path: str, acl: tuple[ACL, ...], zxid: int) -> None:
        """Tell of new data."""
        if self.table:
            self._fire(path, EventType.NODE_DATA_CHANGED, HIT_BY_NODE_EVENT, DATA, acl, zxid)

    def children_changed(self, path: str, acl: tuple[ACL, ...], zxid: int) -> None:
        """Tell of another list of children without saying which child; of a coordinator the two above tell."""
        if self.table:
            self._fire(path, EventType.NODE_CHILDREN_CHANGED, HIT_BY_CHILDREN_CHANGED, CHILD, acl, zxid)

    def _set_kinds(self, path: str, watchers: dict[Client, int], client: Client, had: int, kinds: int) -> None:
        self.count += WEIGHTS[kinds] - WEIGHTS[had]
        self._recursive_count -= (had ^ kinds) >= RECURSIVE
        if kinds:
            watchers[client] = kinds
            return
        del watchers[client]
        if not watchers:
            del self.table[path]
        if client.watched is not None:
            client.watched.discard(path)

    def _fire(self, path: str, event: EventType, hit: int, spent: int, acl: tuple[ACL, ...], zxid: int) -> None:
        """Tell all whose kinds are hit; the spent kinds end."""
        watchers = self.table.get(path)
        told: dict[Client, None] = {}
        if watchers is not None:
            told = {client: None for client, kinds in watchers.items() if kinds & hit}
            for client in told:
                had = watchers[client]
                if had & spent:
                    self._set_kinds(path, watchers, client, had, had & ~spent)
        if self._recursive_count and hit & RECURSIVE:
            for above in ancestors(path):
                for client, kinds in self.table.get(above, {}).items():
                    if kinds & RECURSIVE:
                        told[client] = None
        if told:
            frame = event_frame(event, path, zxid)
            is_public = permits(acl, READ, ())
            for client in told:
                if is_public or permits(acl, READ, client.ids):
                    client.send(frame)
