"""What a watcher is told when one settled snapshot follows another: the events of the net change, in ZooKeeper's order.

Pure. What happened and was undone between two snapshots is told as ZooKeeper tells a client that was away: not at all,
but for a znode that went and came back (deleted, then created) and for a list of children that changed back.

Source: DataTree (createNode, deleteNode, setData: which watches fire); ZooKeeper Programmer's Guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.coordinator.codes import EventType
from registry.facade.picture import parent_of
from registry.lookup.snapshot import FactState, Znode

NO_ZXID = -1
"""The zxid of a deletion is in no Stat."""

Znodes = Mapping[str, Znode]


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a path. A creation or deletion is an event of the parent's children too."""

    event: EventType
    path: str
    zxid: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What lies between two snapshots."""

    changes: tuple[Change, ...]
    """In the order of their zxids, as far as these are known."""
    touched: tuple[str, ...]
    """Paths of all znodes that are not the same, in no order."""
    blurred: tuple[str, ...]
    """Paths below which it is unknown what happened, because what lies there was or is not served."""


def difference(old: Znodes, new: Znodes) -> Difference:
    """From `old` to `new`, both settled. Znodes that are one and the same object are not looked at."""
    touched = [path for path, znode in new.items() if old.get(path) is not znode]
    touched += [path for path in old if path not in new]
    changes = [change for path in touched for change in _of_path(path, old, new)]
    with_children = {parent_of(change.path) for change in changes if change.event in _OF_CHILDREN}
    changes += [change for path in touched for change in _of_list(path, old, new) if path not in with_children]
    order = sorted(changes, key=lambda change: _place(change, new))
    blurred = [path for path in touched if (_names(old.get(path)) is None) != (_names(new.get(path)) is None)]
    blurred += [change.path for change in changes if change.event in _OF_CHILDREN and change.path not in new]
    return Difference(tuple(order), tuple(touched), tuple(blurred))


_OF_CHILDREN = (EventType.NODE_CREATED, EventType.NODE_DELETED)


def _is_there(znode: Znode | None) -> bool:
    return znode is not None and znode.state in (FactState.KNOWN, FactState.FORBIDDEN)


def _names(znode: Znode | None) -> frozenset[str] | None:
    """Children as the znode tells; None where it does not."""
    if znode is not None and znode.state is FactState.ABSENT:
        return frozenset()
    if znode is None or znode.state is not FactState.KNOWN or znode.children is None:
        return None
    return frozenset(znode.children)


def _of_path(path: str, old: Znodes, new: Znodes) -> Iterator[Change]:
    """Events of the znode itself, and of children that are only listed."""
    before, now = old.get(path), new.get(path)
    was, is_now = _is_there(before), _is_there(now)
    if was and is_now and before is not None and now is not None:
        yield from _of_both(path, before, now)
    elif was != is_now and (None not in (before, now) or _tells_of_members(path, old, new)):
        if was:
            yield Change(EventType.NODE_DELETED, path, NO_ZXID)
        elif now is not None:
            yield Change(EventType.NODE_CREATED, path, now.stat.czxid if now.stat is not None else NO_ZXID)
    names_before, names_now = _names(before), _names(now)
    if names_before is not None and names_now is not None:
        prefix = path.rstrip("/") + "/"
        for name in names_before - names_now:
            if prefix + name not in old:
                yield Change(EventType.NODE_DELETED, prefix + name, NO_ZXID)
        for name in names_now - names_before:
            if prefix + name not in new:
                yield Change(EventType.NODE_CREATED, prefix + name, NO_ZXID)


def _of_both(path: str, before: Znode, now: Znode) -> Iterator[Change]:
    if before.stat is None or now.stat is None:
        return  # the data of a member may not be read: nothing tells of its changes
    if before.stat.czxid != now.stat.czxid:
        yield Change(EventType.NODE_DELETED, path, NO_ZXID)
        yield Change(EventType.NODE_CREATED, path, now.stat.czxid)
    elif (before.stat.mzxid, before.stat.version) != (now.stat.mzxid, now.stat.version):
        yield Change(EventType.NODE_DATA_CHANGED, path, now.stat.mzxid)


def _of_list(path: str, old: Znodes, new: Znodes) -> Iterator[Change]:
    """A list of children that changed and changed back."""
    before, now = old.get(path), new.get(path)
    if before is None or now is None or before.stat is None or now.stat is None:
        return
    if before.stat.czxid == now.stat.czxid and before.stat.pzxid != now.stat.pzxid:
        yield Change(EventType.NODE_CHILDREN_CHANGED, path, now.stat.pzxid)


def _tells_of_members(path: str, old: Znodes, new: Znodes) -> bool:
    """Whether a member that has come or gone has not only become visible or invisible with its parent's list."""
    parent = parent_of(path)
    return _names(old.get(parent)) is not None and _names(new.get(parent)) is not None


def _place(change: Change, new: Znodes) -> tuple[int, bool, int]:
    """Sort key. A deletion happened at the last change of the parent's children at the latest; children go first."""
    path = change.path
    depth = path.count("/")
    if change.event is not EventType.NODE_DELETED and change.zxid != NO_ZXID:
        return change.zxid, True, depth
    deleted = change.event is EventType.NODE_DELETED
    again = new.get(path)
    if deleted and again is not None and again.stat is not None:
        return again.stat.czxid, False, -depth
    while path != "/":
        path = parent_of(path)
        above = new.get(path)
        if above is not None and above.stat is not None:
            return above.stat.pzxid, not deleted, -depth if deleted else depth
    return 0, not deleted, -depth
