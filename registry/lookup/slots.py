"""Slots: the znodes of interest, one each, and the facts that rest on them."""

from __future__ import annotations

from typing import Any

from registry.lookup.events import What
from registry.lookup.snapshot import FactState, Znode
from registry.zk import trackers
from registry.zk.trackers import UNREAD, Decoded, Decoder

CLUSTER_ID = "cluster_id"
ACTIVE_MASTER = "active_master"
BACKUP_MASTERS = "backup_masters"
META_LOCATIONS = "meta_locations"
REGION_SERVERS = "region_servers"
TABLE_STATES = "table_states"
FACTS = (CLUSTER_ID, ACTIVE_MASTER, BACKUP_MASTERS, META_LOCATIONS, REGION_SERVERS, TABLE_STATES)
OTHERS = "others"
"""Of the znodes that no fact rests on; they are followed for the façade, and only where there is one."""

MEMBERS: dict[str, tuple[str, Decoder]] = {
    REGION_SERVERS: (REGION_SERVERS, trackers.region_server),
    TABLE_STATES: (TABLE_STATES, trackers.table_state),
}
"""Fact and meaning of the children of a directory, by the directory's fact; other children are of no fact."""


class Slot:
    """One znode of interest."""

    __slots__ = ("again", "decode", "decoded", "denied", "dirty", "fact", "member", "ticket", "what", "znode")

    def __init__(self, path: str, what: What, fact: str, decode: Decoder, *, member: bool = False) -> None:
        self.what = what
        """DATA or CHILDREN: what is read of it."""
        self.fact = fact
        """The fact that changes with it."""
        self.decode = decode
        self.member = member
        """A child of rs or table: its parent tells of its creation, so its absence needs no watch."""
        self.znode = Znode(path, FactState.UNREAD)
        """As last read; keeps its old value while dirty."""
        self.decoded: Decoded[Any] = UNREAD
        """The meaning of `znode`."""
        self.dirty = True
        """Not known to be unchanged since it was read."""
        self.ticket = 0
        """Of the read under way, 0 without one. At most one is."""
        self.again = False
        """The watch fired while a read was under way: read once more."""
        self.denied = False
        """What is wanted may not be read; an `exists` is under way to have a watch at all."""
