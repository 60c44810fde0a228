"""RegistryCache: what is known of the cluster, as a pure machine over reads and watch events of ZooKeeper.

Each znode of interest has a slot. A slot is *dirty* from the moment its watch fires, or the connection is lost, until
it has been read again; a dirty slot always has a read under way while a connection is there. The rule of versions:

* The *seen zxid* is the highest zxid that an answer of this connection proves the server to have reached: the
  connection's last zxid from before the read was sent, or a zxid in a Stat that came back.
* When no slot is dirty, every change up to the seen zxid is in the slots, for its watch event came first. Only then
  the version moves up to it, and the age starts anew from the moment the youngest answered request was sent.

So a deletion raises the version too: it shows in the pzxid of the parent, or in the next heartbeat.

The snapshot is published as soon as a value changes: it may hold more than its version says, never less. It is settled
when it holds no more either: of what is not there only a later answer tells, for absence has no Stat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from registry.lookup.events import (
    PUBLISH,
    Confirmed,
    Effect,
    Event,
    Read,
    RecheckForbidden,
    SessionConnected,
    SessionSuspended,
    WatchFired,
    What,
    ZnodeRead,
)
from registry.lookup.slots import (
    ACTIVE_MASTER,
    BACKUP_MASTERS,
    CLUSTER_ID,
    FACTS,
    MEMBERS,
    META_LOCATIONS,
    OTHERS,
    REGION_SERVERS,
    TABLE_STATES,
    Slot,
)
from registry.lookup.snapshot import Fact, FactState, Snapshot, Version, Znode, ZnodeStat
from registry.zk import trackers
from registry.zk.paths import Followed, ZNodePaths
from registry.zk.trackers import Decoded

VERSION_NONE = Version(0, 0)
HISTORY_EVENTS_MAX = 512
"""Events that `story` can tell of."""


class RegistryCache:
    """Events in, effects out; holds no clock, no thread and no connection.

    `apply` never raises on what a peer sent. `validate` checks what must hold between two events.
    """

    def __init__(self, paths: ZNodePaths, floor: Version = VERSION_NONE, others: Iterable[Followed] = ()) -> None:
        """`floor` is what clients of this address have seen already, in an earlier life of the server.

        `others` are followed besides: they are in the snapshot's znodes and settle with it, nothing else.
        """
        self.paths = paths
        self.slots: dict[str, Slot] = {}
        """By full path."""
        self.connected = False
        """A connection is there, and each dirty slot has a read under way."""
        self.confirmed_at_ms: float | None = None
        """Monotonic moment at which the snapshot was last known to be all there is; None before it was complete."""
        self.synced_at_ms: float | None = None
        """Monotonic moment of the youngest question to the leader whose answer the slots hold whole; None before."""
        self._epoch = self._tickets = self._dirty_count = 0
        self._seen_zxid = 0
        """What the server of this connection has provably reached."""
        self._absent_zxid = 0
        """What it may have reached when it said last that something is not there, or may not be read."""
        self._seen_at_ms = 0.0
        """When the youngest answered request of this connection was sent."""
        self._leader_asked_at_ms: float | None = None
        """When the youngest `sync` was sent that this connection has answered."""
        self._cluster_id = ""
        """The last one known, kept while hbaseid is absent: another one means another history."""
        self._lost_history = ""
        """Why the generation must rise once everything has been read; empty when it need not."""
        self._unread_counts: dict[str, int] = dict.fromkeys((*FACTS, OTHERS), 0)
        """Slots of each fact that have never been read."""
        self._loaded: set[str] = set()
        """Facts that have been read in full once: from then on they are never UNREAD again."""
        self._stale_facts: set[str] = set(FACTS)
        """Facts to be built anew for the next snapshot."""
        self._vanished: set[str] = set()
        """Facts that lost something since the last clean moment: their zxid is known only then."""
        self._znodes_changed = False
        self._history: deque[Event] = deque(maxlen=HISTORY_EVENTS_MAX)
        self._facts: dict[str, Fact[Any]] = {}
        self._version = floor
        p = paths
        self._root = self._add(Slot(p.root, What.CHILDREN, META_LOCATIONS, trackers.directory))
        self._add(Slot(p.cluster_id, What.DATA, CLUSTER_ID, trackers.cluster_id))
        self._add(Slot(p.master, What.DATA, ACTIVE_MASTER, trackers.active_master))
        self._add(Slot(p.meta, What.DATA, META_LOCATIONS, trackers.meta_location(0)))
        self._add(Slot(p.backup_masters, What.CHILDREN, BACKUP_MASTERS, trackers.directory))
        self._add(Slot(p.rs, What.CHILDREN, REGION_SERVERS, trackers.directory))
        self._add(Slot(p.table, What.CHILDREN, TABLE_STATES, trackers.directory))
        self._members: dict[str, dict[str, Slot]] = {p.rs: {}, p.table: {}}
        """Slots of the children of these, by name."""
        self._replicas: dict[str, Slot] = {p.meta: self.slots[p.meta]}
        """Slots of the replicas of hbase:meta, by path."""
        for other in others:
            if other.path not in self.slots:
                what = What.CHILDREN if other.children else What.DATA
                self._add(Slot(other.path, what, OTHERS, trackers.opaque))
            if other.members:
                self._members[other.path] = {}
        self._snapshot = self._first_snapshot()

    # --- what others read ---------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The newest one; built when asked for, so that a burst of events costs one."""
        if not self._lost_history:
            self._build()
        return self._snapshot

    @property
    def is_clean(self) -> bool:
        """Nothing is waiting to be read."""
        return self.connected and not self._dirty_count

    @property
    def is_settled(self) -> bool:
        """All was so at the zxid that is seen."""
        return self.is_clean and self._seen_zxid >= self._absent_zxid

    @property
    def lost_history(self) -> str:
        """Why the generation is about to rise, empty when it is not."""
        return self._lost_history

    def story(self, path: str) -> str:
        """What the last events did to one znode, for people; one line each, oldest first."""
        return "\n".join(
            str(event)
            for event in self._history
            if isinstance(event, SessionConnected | SessionSuspended)
            or (isinstance(event, ZnodeRead | WatchFired) and event.path == path)
        )

    # --- events -------------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> list[Effect]:
        """Take one event; the effects are to be carried out in their order."""
        self._history.append(event)
        effects: list[Effect] = []
        if isinstance(event, SessionConnected):
            self._connect(event, effects)
        elif event.epoch != self._epoch or not self.connected:
            return effects
        elif isinstance(event, ZnodeRead):
            self._read(event, effects)
        elif isinstance(event, WatchFired):
            slot = self.slots.get(event.path)
            if slot is not None:
                self._fire(slot, effects)
        elif isinstance(event, Confirmed):
            self._see(event.zxid_before, event.sent_at_ms)
            if event.synced_at_ms is not None:
                self._leader_asked_at_ms = event.synced_at_ms
            self._settle_version(effects)
        elif isinstance(event, RecheckForbidden):
            for slot in self.slots.values():
                if slot.znode.state is FactState.FORBIDDEN and not slot.ticket:
                    self._ask(slot, slot.what, effects)
        else:
            self._suspend()
        return effects

    def _connect(self, event: SessionConnected, effects: list[Effect]) -> None:
        self._suspend()
        self._epoch = event.epoch
        self.connected = True
        self._seen_zxid, self._absent_zxid = event.zxid, 0
        self._seen_at_ms = self._leader_asked_at_ms = event.sent_at_ms
        if event.zxid < self._version.zxid:
            self._lost_history = f"zxid 0x{event.zxid:x} after 0x{self._version.zxid:x}"
        for slot in self.slots.values():
            self._ask(slot, slot.what, effects)

    def _suspend(self) -> None:
        self.connected = False
        for slot in self.slots.values():
            slot.dirty, slot.ticket, slot.again, slot.denied = True, 0, False, False
        self._dirty_count = len(self.slots)

    def _fire(self, slot: Slot, effects: list[Effect]) -> None:
        if not slot.dirty:
            slot.dirty = True
            self._dirty_count += 1
        if slot.ticket:
            slot.again = True
        else:
            self._ask(slot, slot.what, effects)

    def _ask(self, slot: Slot, what: What, effects: list[Effect]) -> None:
        self._tickets += 1
        slot.ticket = self._tickets
        effects.append(Read(slot.ticket, slot.znode.path, what, slot.member))

    def _read(self, event: ZnodeRead, effects: list[Effect]) -> None:
        slot = self.slots.get(event.path)
        if slot is None or slot.ticket != event.ticket:
            return  # of a znode that has gone from its parent's list meanwhile
        slot.ticket = 0
        self._see(event.zxid_before, event.sent_at_ms, event.stat)
        if event.what is What.EXISTS:
            if event.outcome is FactState.KNOWN and not slot.denied:
                self._ask(slot, slot.what, effects)  # created between the two reads
                return
            # Newer servers refuse to say even that (ZOOKEEPER-2590); then there is no watch, and the recheck finds out.
            state = FactState.ABSENT if event.outcome is FactState.ABSENT else FactState.FORBIDDEN
            slot.denied = False
            znode = Znode(event.path, state, b"", event.stat)
        elif event.outcome is FactState.KNOWN or slot.member:
            znode = Znode(event.path, event.outcome, event.data, event.stat, event.children)
        else:
            slot.denied = event.outcome is FactState.FORBIDDEN
            self._ask(slot, What.EXISTS, effects)
            return
        if znode.state is not FactState.KNOWN:
            self._absent_zxid = max(self._absent_zxid, event.zxid_after)
        if slot.again:
            slot.again = False
            self._ask(slot, slot.what, effects)
        elif slot.dirty:
            slot.dirty = False
            self._dirty_count -= 1
        if znode != slot.znode:
            self._change(slot, znode, effects)
        self._mark_loaded(slot.fact)
        self._settle_version(effects)

    def _change(self, slot: Slot, znode: Znode, effects: list[Effect]) -> None:
        before = slot.znode
        slot.znode = znode
        slot.decoded = slot.decode(znode)
        self._stale_facts.add(slot.fact)
        self._znodes_changed = True
        if before.state is FactState.UNREAD:
            self._unread_counts[slot.fact] -= 1
        if znode.state is FactState.ABSENT and not slot.member:
            self._vanished.add(slot.fact)
        if slot is self._root:
            self._list_replicas(effects)
        elif znode.path in self._members:
            self._list_members(slot, effects)
        elif znode.path == self.paths.cluster_id and slot.decoded.value is not None:
            if self._cluster_id and self._cluster_id != slot.decoded.value:
                self._lost_history = f"cluster id {slot.decoded.value} after {self._cluster_id}"
            self._cluster_id = slot.decoded.value
        elif slot.member and znode.state is FactState.ABSENT:
            # ZooKeeper tells of the change of the parent's children before this answer; if it did not, ask
            parent = self.slots[znode.path.rpartition("/")[0]]
            if not parent.dirty:
                self._fire(parent, effects)
        effects.append(PUBLISH)

    def _list_replicas(self, effects: list[Effect]) -> None:
        wanted = self.paths.meta_children(self._root.znode.children or ())
        for path in [path for path in self._replicas if path not in wanted and path != self.paths.meta]:
            self._remove(self._replicas.pop(path))
            self._vanished.add(META_LOCATIONS)
        for path, replica_id in wanted.items():
            if path not in self._replicas:
                slot = self._add(Slot(path, What.DATA, META_LOCATIONS, trackers.meta_location(replica_id)))
                self._replicas[path] = slot
                self._ask(slot, What.DATA, effects)

    def _list_members(self, parent: Slot, effects: list[Effect]) -> None:
        members = self._members[parent.znode.path]
        names = parent.znode.children or ()
        for name in members.keys() - set(names):
            self._remove(members.pop(name))
        fact, decode = MEMBERS.get(parent.fact, (OTHERS, trackers.opaque))
        for name in names:
            slot = members.get(name)
            if slot is None:
                path = self.paths.child(parent.znode.path, name)
                members[name] = slot = self._add(Slot(path, What.DATA, fact, decode, member=True))
                self._ask(slot, What.DATA, effects)
            elif slot.znode.state is FactState.ABSENT:
                self._fire(slot, effects)  # deleted and made anew: nobody watches it

    def _add(self, slot: Slot) -> Slot:
        self.slots[slot.znode.path] = slot
        self._dirty_count += 1
        self._unread_counts[slot.fact] += 1
        return slot

    def _remove(self, slot: Slot) -> None:
        del self.slots[slot.znode.path]
        self._dirty_count -= slot.dirty
        self._unread_counts[slot.fact] -= slot.znode.state is FactState.UNREAD

    def _mark_loaded(self, fact: str) -> None:
        if not self._unread_counts[fact] and fact not in self._loaded:
            self._loaded.add(fact)
            self._stale_facts.add(fact)

    # --- versions -----------------------------------------------------------------------------------------------

    def _see(self, zxid: int, sent_at_ms: float, stat: ZnodeStat | None = None) -> None:
        seen = max(self._seen_zxid, zxid)
        if stat is not None:
            seen = max(seen, stat.mzxid, stat.czxid, stat.pzxid)
        self._seen_zxid = seen
        self._seen_at_ms = max(self._seen_at_ms, sent_at_ms)

    def _settle_version(self, effects: list[Effect]) -> None:
        if self._dirty_count:
            return
        self.confirmed_at_ms = self._seen_at_ms
        self.synced_at_ms = self._leader_asked_at_ms
        self._stale_facts |= self._vanished
        if self._lost_history:
            self._lost_history = ""
            self._version = Version(self._version.generation + 1, self._seen_zxid)
            self._stale_facts.update(FACTS)
        elif self._seen_zxid > self._version.zxid:
            self._version = replace(self._version, zxid=self._seen_zxid)
        elif not self._vanished and self._snapshot.settled:
            return
        if not self.is_settled and (root := self._root).znode.state is FactState.KNOWN and not root.ticket:
            self._ask(root, root.what, effects)  # sooner than the next heartbeat
        effects.append(PUBLISH)

    # --- the snapshot -------------------------------------------------------------------------------------------

    def _first_snapshot(self) -> Snapshot:
        p = self.paths
        where = (p.cluster_id, p.master, p.backup_masters, p.meta, p.rs, p.table)
        for name, path in zip(FACTS, where, strict=True):
            self._facts[name] = Fact(FactState.UNREAD, path)
        znodes = MappingProxyType({path: slot.znode for path, slot in self.slots.items()})
        return self._assemble(znodes, complete=False)

    def _build(self) -> None:
        settles = self.is_settled and not self._snapshot.settled
        if self._snapshot.version == self._version and not self._stale_facts and not settles:
            return
        new_history = self._snapshot.version.generation != self._version.generation
        for name in self._stale_facts - {OTHERS}:
            fact = self._fact(name, self._facts[name], new_history=new_history)
            if fact != self._facts[name]:
                self._facts[name] = fact
        self._stale_facts.clear()
        if self.is_clean:
            self._vanished.clear()
        znodes = self._snapshot.znodes
        if self._znodes_changed:
            self._znodes_changed = False
            znodes = MappingProxyType({path: slot.znode for path, slot in self.slots.items()})
        complete = self._loaded.issuperset(FACTS)
        self._snapshot = self._assemble(znodes, complete=complete)

    def _assemble(self, znodes: Mapping[str, Znode], *, complete: bool) -> Snapshot:
        facts = self._facts
        return Snapshot(
            version=self._version,
            complete=complete,
            cluster_id=facts[CLUSTER_ID],
            active_master=facts[ACTIVE_MASTER],
            backup_masters=facts[BACKUP_MASTERS],
            meta_locations=facts[META_LOCATIONS],
            region_servers=facts[REGION_SERVERS],
            table_states=facts[TABLE_STATES],
            znodes=znodes,
            settled=self.is_settled,
        )

    def _fact(self, name: str, before: Fact[Any], *, new_history: bool) -> Fact[Any]:
        if name not in self._loaded:
            return before
        reading = self._reading(name)
        zxid = self._stat_zxid(name)
        if name in self._vanished or (new_history and reading.state is FactState.ABSENT):
            # No Stat tells when something went away. What is seen now is an upper bound, and once all is clean it
            # includes the pzxid of the parent.
            zxid = max(zxid, self._seen_zxid)
        if not new_history:
            zxid = max(zxid, before.changed_zxid)
        return Fact(reading.state, before.path, reading.value, zxid, reading.problem)

    def _stat_zxid(self, name: str) -> int:
        """Highest zxid that the Stats behind a fact tell of."""
        zxid = 0
        for slot in self._slots_of(name):
            stat = slot.znode.stat
            if stat is not None:
                zxid = max(zxid, stat.mzxid, stat.pzxid if slot.what is What.CHILDREN else 0)
        return zxid

    def _slots_of(self, name: str) -> Iterable[Slot]:
        if name == META_LOCATIONS:
            return self._replicas.values()
        slot = self.slots[self._facts[name].path]
        if name not in MEMBERS:
            return (slot,)
        return (slot, *self._members[slot.znode.path].values())

    def _reading(self, name: str) -> Decoded[Any]:
        p, slots = self.paths, self.slots
        match name:
            case "cluster_id":
                return slots[p.cluster_id].decoded
            case "active_master":
                return slots[p.master].decoded
            case "backup_masters":
                return trackers.backup_masters(slots[p.backup_masters].znode)
            case "meta_locations":
                return trackers.meta_locations(self._root.znode, [slot.decoded for slot in self._replicas.values()])
            case "region_servers":
                return trackers.region_servers(
                    slots[p.rs].znode, [slot.decoded for slot in self._members[p.rs].values()]
                )
            case _:
                return trackers.table_states(
                    slots[p.table].znode, {name: slot.decoded for name, slot in self._members[p.table].items()}
                )

    # --- invariants ---------------------------------------------------------------------------------------------

    def validate(self) -> None:
        """Assert what must hold between two events; tests call it after each."""
        slots = self.slots
        assert self._dirty_count == sum(slot.dirty for slot in slots.values()), "the count of dirty slots is exact"
        tickets = [slot.ticket for slot in slots.values() if slot.ticket]
        assert len(tickets) == len(set(tickets)), "a ticket is for one read"
        for path, slot in slots.items():
            assert slot.znode.path == path, "a slot is found by its path"
            if not self.connected:
                assert slot.dirty, f"{path}: without a connection nothing is known to be unchanged"
                assert not slot.ticket, f"{path}: a read of a lost connection is forgotten"
            elif slot.dirty:
                assert slot.ticket, f"{path}: what is dirty is being read"
            else:
                assert not slot.again, f"{path}: read again means dirty"
        for parent, members in self._members.items():
            names = set(slots[parent].znode.children or ())
            assert set(members) == names, f"{parent}: its members are its children"
            if not slots[parent].dirty:
                gone = [
                    name for name, slot in members.items() if slot.znode.state is FactState.ABSENT and not slot.dirty
                ]
                assert not gone, f"{parent}: lists {gone}, which are absent"
        snapshot = self.snapshot
        assert snapshot.version <= self._version, "no snapshot is ahead of what is known"
        unread = [name for name, fact in snapshot.facts() if fact.state is FactState.UNREAD]
        assert snapshot.complete == (not unread), f"complete, and unread: {unread}"
        for name, fact in snapshot.facts():
            assert (fact.value is not None) == (fact.state is FactState.KNOWN), f"{name}: a value is there when KNOWN"
