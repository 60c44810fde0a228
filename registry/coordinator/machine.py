"""The coordinator: a tree, its writes and its sessions as one machine without sockets, clocks or files of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from struct import Struct

from registry.clock import Clock
from registry.coordinator.codes import OpCode
from registry.coordinator.jute import PASSWORD_BYTES, MarshallingError
from registry.coordinator.machine_protocol import MachineDetails, MachineFigures
from registry.coordinator.multi import Multis
from registry.coordinator.reads import Reads
from registry.coordinator.session_machine import SessionMachine
from registry.coordinator.sessions import Session, SessionTracker
from registry.coordinator.transactions import (
    CloseSession,
    CreateSession,
    Delete,
    Transaction,
    decode,
)
from registry.coordinator.tree import DataTree, ttl_ms_of
from registry.coordinator.watches import WatchManager
from registry.coordinator.writes import TransactionLog, Writes

DUMP_VERSION = 1
"""Of the records that `dump` gives and of the transactions; `restore` refuses others."""
ZXID_BITS_OF_A_MS = 16
"""65 536 transactions in a millisecond are more than there will be; 47 bits of milliseconds are enough."""
HEADER_RECORD, SESSION_RECORD, NODE_RECORD = b"H", b"S", b"N"
"""The first byte of a record of a dump."""
_header = Struct(">cHqq")
"""HEADER_RECORD, DUMP_VERSION, zxid, the next session id."""
_session = Struct(">cqi16s")
"""SESSION_RECORD, session id, time-out in ms, password."""


class CorruptState(Exception):
    """Records that no coordinator can have written, or not of this version: what is on disk must not be used."""


@dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    """What an operator may choose. Defaults are ZooKeeper's."""

    tick_ms: int = 2000
    """The grain of session expiry."""
    session_timeout_ms_min: int = 4000
    session_timeout_ms_max: int = 40_000
    super_digest: str | None = None
    """`super:` and the base64 of the SHA-1 of `super:password`: who has it, no ACL stops."""
    container_check_ms: int = 60_000
    """How often empty containers and nodes past their TTL are looked for."""
    container_never_used_ms_max: int = 300_000
    """A container that has never had a child stays this long."""
    container_deletes_max: int = 10_000
    """Of one look, so that a look is no long pause."""


class Coordinator(SessionMachine):
    """A Machine: one ZooKeeper server without an ensemble."""

    def __init__(
        self,
        settings: CoordinatorSettings,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        log: TransactionLog | None = None,
    ) -> None:
        self.settings = settings
        self.tree = DataTree(WatchManager())
        self.writes = Writes(self.tree, clock.wall_ms, log)
        tracker = SessionTracker(settings.tick_ms, settings.session_timeout_ms_min, settings.session_timeout_ms_max)
        reads = Reads(self.tree, self.tree.watches)
        super().__init__(reads, tracker, clock, random_bytes, settings.super_digest)
        self.handlers.update(self.writes.handlers)
        self.handlers[OpCode.MULTI] = Multis(self.writes).multi
        self._log = log
        self._containers_checked_ms = clock.monotonic_ms()

    def begin_without_past(self) -> None:
        """Let zxids begin above all that an earlier coordinator without a journal can have given; before any request.

        Its clients are then told that their sessions have expired. With zxids from 0 they would be refused for having
        seen more, again and again, until somebody restarts them.
        """
        assert not self.tree.zxid
        self.tree.zxid = int(self.clock.wall_ms()) << ZXID_BITS_OF_A_MS

    def open_session(self, timeout_ms: int) -> Session:
        """A session is a transaction, so that it survives a restart."""
        session_id = self.tracker.new_id(self.clock.wall_ms())
        password = self.random_bytes(PASSWORD_BYTES)
        self.writes.run(session_id, CreateSession(timeout_ms, password))
        return self.tracker.add(session_id, password, timeout_ms)

    def end_session(self, session: Session) -> None:
        """Its ephemeral nodes go with it."""
        self.tracker.remove(session.session_id)
        self.writes.run(session.session_id, CloseSession())

    def tick(self) -> None:
        """Machine's: sessions, and now and then containers and nodes with a TTL."""
        super().tick()
        now_ms = self.clock.monotonic_ms()
        if now_ms - self._containers_checked_ms >= self.settings.container_check_ms:
            self._containers_checked_ms = now_ms
            for path in self._unused()[: self.settings.container_deletes_max]:
                self.writes.run(0, Delete(path))

    def commit(self) -> None:
        """Machine's: the log's commit."""
        if self._log is not None:
            self._log.commit()

    def describe(self) -> MachineFigures:
        """Machine's."""
        tree = self.tree
        return self.figures(len(tree.nodes), tree.ephemeral_count, tree.data_bytes)

    def inspect(self) -> MachineDetails:
        """Machine's."""
        return self.details({session_id: list(paths) for session_id, paths in self.tree.session_paths.items()})

    def dump(self) -> Iterator[bytes]:
        """Records of everything as it is now, for `restore`. The machine may go on while they are read.

        Taking it costs a list of paths and a record of each session; every node that changes while it is read is kept
        in its old form until then. One dump at a time.
        """
        sessions = [
            _session.pack(SESSION_RECORD, each.session_id, each.timeout_ms, each.password)
            for each in self.tracker.sessions.values()
        ]
        header = _header.pack(HEADER_RECORD, DUMP_VERSION, self.tree.zxid, self.tracker.next_session_id)
        return self._dumped([header, *sessions], self.tree.dump())

    def restore(self, snapshot_records: Iterable[bytes], transactions: Iterable[bytes]) -> None:
        """Become what the records say: a dump, if any, and what was done after it. Before any connection, once.

        Sessions come back with their full time-out before them. Raises CorruptState.
        """
        try:
            self.tracker.advance(self.clock.monotonic_ms())
            self._load(snapshot_records)
            for record in transactions:
                transaction = decode(record)
                if transaction.zxid > self.tree.zxid:  # a journal may reach back behind its snapshot
                    self._redo(transaction)
        except (MarshallingError, KeyError, AssertionError) as error:
            raise CorruptState(f"at zxid {self.tree.zxid:#x}: {error}") from error

    def _dumped(self, first: list[bytes], nodes: Iterator[bytes]) -> Iterator[bytes]:
        yield from first
        for record in nodes:
            yield NODE_RECORD + record

    def _load(self, records: Iterable[bytes]) -> None:
        is_first = True
        for record in records:
            kind = record[:1]
            if is_first:
                if kind != HEADER_RECORD or len(record) != _header.size:
                    raise MarshallingError("the dump has no header")
                _, version, zxid, next_session_id = _header.unpack(record)
                if version != DUMP_VERSION:
                    raise MarshallingError(f"the dump has version {version}, this program knows {DUMP_VERSION}")
                self.tree.clear()
                self.tree.zxid = zxid
                self.tracker.next_session_id = next_session_id
                is_first = False
            elif kind == NODE_RECORD:
                self.tree.load(memoryview(record)[1:])
            elif kind == SESSION_RECORD and len(record) == _session.size:
                _, session_id, timeout_ms, password = _session.unpack(record)
                self.tracker.add(session_id, password, timeout_ms)
            else:
                raise MarshallingError(f"the dump has a record of kind {kind!r}")

    def _redo(self, transaction: Transaction) -> None:
        step = transaction.step
        if isinstance(step, CreateSession):
            self.tracker.add(transaction.session_id, step.password, step.timeout_ms)
        elif isinstance(step, CloseSession):
            self.tracker.remove(transaction.session_id)
        self.tree.apply(transaction)

    def _unused(self) -> list[str]:
        """Containers that have lost their children, and childless nodes past their TTL. Source: ContainerManager."""
        now_ms = self.clock.wall_ms()
        found: list[str] = []
        for path, owner in self.tree.unowned.items():
            node = self.tree.nodes[path]
            if node.child_count():
                continue
            stat = node.stat
            age_ms = now_ms - stat.mtime
            ttl_ms = ttl_ms_of(owner)
            if ttl_ms:
                if age_ms > ttl_ms:
                    found.append(path)
            elif stat.cversion > 0 or age_ms > self.settings.container_never_used_ms_max:
                found.append(path)
        return found
