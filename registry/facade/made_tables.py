"""Table nodes that ZooKeeper does not have, made from the states of tables in hbase:meta.

Clients 1.x take a table without `/hbase/table/<table>` for neither enabled nor disabled. Where that directory is
missing or empty, and states are known, it is made up: bytes as a master writes them, Stats of our own that say when
*this* façade heard of the change. czxid, mzxid and pzxid are the zxid that it showed then, versions count its changes,
times are its clock's. They never go back on one façade; another one heard of the same change at another zxid.

Pure. Source: MirroringTableStateManager, ZKTableStateClientSideReader, TableStateManager.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from registry.lookup.snapshot import FactState, Znode, ZnodeStat
from registry.wire.znode import SALT_BYTES, TABLE_STATES, encode_table_state
from registry.zk.paths import ZNodePaths

META_TABLE = "hbase:meta"
"""Always enabled, and in no row of its own; HBase's mirror has it."""
WRITER = "facade"
"""In the envelope of the bytes, where a master has its own name."""


class MadeTables:
    """Keeps the Stats of made-up nodes from one overlay to the next."""

    def __init__(self, paths: ZNodePaths) -> None:
        self._paths = paths
        self._tables: dict[str, Znode] = {}
        """By table."""
        self._states: dict[str, str] = {}
        self._directory: Znode | None = None
        self._real: Znode | None = None
        """What ZooKeeper has in the place of the directory, and the root that was made from: to be made anew."""
        self._changes = 0
        """Of the list of tables."""
        self.made_paths: frozenset[str] = frozenset()
        """Of nodes whose Stat is, in part at least, of our making."""

    def wanted(self, znodes: Mapping[str, Znode]) -> bool:
        """Whether ZooKeeper has no tables, so that states from elsewhere would be shown."""
        root, table = znodes.get(self._paths.root), znodes.get(self._paths.table)
        if root is None or table is None or root.state is not FactState.KNOWN:
            return False
        return table.state is FactState.ABSENT or (table.state is FactState.KNOWN and not table.children)

    def overlay(
        self, znodes: Mapping[str, Znode], states: Mapping[str, str] | None, zxid: int, wall_ms: int
    ) -> Mapping[str, Znode]:
        """The znodes with tables added, or as they are where ZooKeeper has its own or no state is known yet."""
        if states is None or not self.wanted(znodes):
            if self._directory is not None:
                self._forget()
            return znodes
        changed = self._take(states, zxid, wall_ms)
        real = znodes[self._paths.table]
        directory = self._directory
        if directory is None or changed or real is not self._real:
            since = directory.stat if directory is not None and self._real is real else None
            directory = self._directory = self._make_directory(real, since, zxid, wall_ms)
            self._real = real
            self.made_paths = frozenset((self._paths.root, directory.path, *(z.path for z in self._tables.values())))
        shown = dict(znodes)
        shown[directory.path] = directory
        shown.update((znode.path, znode) for znode in self._tables.values())
        if real.state is FactState.ABSENT:
            shown[self._paths.root] = self._root_with(znodes[self._paths.root], directory)
        return shown

    def _forget(self) -> None:
        self._tables.clear()
        self._states.clear()
        self._directory = self._real = None
        self.made_paths = frozenset()

    def _take(self, states: Mapping[str, str], zxid: int, wall_ms: int) -> bool:
        """Bring nodes up to the states; whether the list of tables has changed."""
        wanted = {META_TABLE: "ENABLED", **{name: state for name, state in states.items() if state in TABLE_STATES}}
        gone = self._states.keys() - wanted.keys()
        for name in gone:
            del self._tables[name], self._states[name]
        added = 0
        for name, state in wanted.items():
            if self._states.get(name) == state:
                continue
            before = self._tables.get(name)
            added += before is None
            data = encode_table_state(state, WRITER, bytes(SALT_BYTES))
            if before is not None and before.stat is not None:
                stat = replace(before.stat, mzxid=zxid, mtime_ms=wall_ms, version=before.stat.version + 1)
            else:
                stat = ZnodeStat(zxid, zxid, wall_ms, wall_ms, 0, 0, 0, 0, len(data), 0, zxid)
            stat = replace(stat, data_length=len(data))
            self._states[name] = state
            self._tables[name] = Znode(self._paths.child(self._paths.table, name), FactState.KNOWN, data, stat)
        self._changes += added + len(gone)
        return bool(added or gone)

    def _make_directory(self, real: Znode, since: ZnodeStat | None, zxid: int, wall_ms: int) -> Znode:
        first = since or real.stat or ZnodeStat(zxid, zxid, wall_ms, wall_ms, 0, 0, 0, 0, 0, 0, zxid)
        cversion = (real.stat.cversion if real.stat is not None else 0) + self._changes
        names = tuple(sorted(self._tables))
        stat = replace(first, cversion=cversion, num_children=len(names), pzxid=zxid)
        return Znode(self._paths.table, FactState.KNOWN, b"", stat, names)

    def _root_with(self, root: Znode, directory: Znode) -> Znode:
        """The root with the directory among its children, as if a master had made it."""
        assert root.stat is not None, "wanted only where the root is known"
        assert directory.stat is not None, "just made"
        name = directory.path.rpartition("/")[2]
        stat = replace(
            root.stat,
            cversion=root.stat.cversion + 1,
            num_children=root.stat.num_children + 1,
            pzxid=max(root.stat.pzxid, directory.stat.czxid),
        )
        return replace(root, stat=stat, children=tuple(sorted((*(root.children or ()), name))))
