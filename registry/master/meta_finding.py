"""Which store holds hbase:meta, by what region servers say, where ZooKeeper does not know it. Pure.

A store in which hbase:meta was opened says so, with the epoch of the order and the number of the opening; both are
there before the opening counts for anything. Each opening has a higher pair than all before it, and a copy that was
left behind, or one that nobody ever served, has a lower one than the rows that count: the highest has them. All copies
lie in one data directory, whose stores every region server of it sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.master.live_servers import LiveServer


@dataclass(frozen=True, slots=True)
class MetaFound:
    """The store, and the highest that it has seen."""

    store_id: str
    epoch: int = 0
    open_seq_num: int = 0


def find_meta(servers: Iterable[LiveServer], remembered: str) -> MetaFound | str | None:
    """None: there was none, it may be founded. A text says what must be waited for.

    `servers` are those that live, all of which have reported; `remembered` is the store that the master's data
    directory names, empty where it names none.
    """
    seen = [server.stores for server in servers]
    if remembered:
        seen = [stores for stores in seen if remembered in stores]
        if not seen:
            return f"a region server sees store {remembered}, which has hbase:meta"
    stores = [store for stores in seen for store in stores.values()]
    marked = [(*store.meta, store.store_id) for store in stores if store.meta is not None]
    if marked:
        epoch, open_seq_num, store_id = max(marked)
        return MetaFound(store_id, epoch, open_seq_num)
    if remembered:
        return MetaFound(remembered)
    others = sorted({store.store_id for store in stores if store.in_cluster})
    if others:
        return f"a region server sees the store of hbase:meta: the cluster of store {others[0]} had one"
    return None
