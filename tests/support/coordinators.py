"""A coordinator without sockets, and clients that speak to it in frames."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from registry.coordinator.codes import CreateMode, ErrorCode, EventType, OpCode
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE, ConnectResponse, Stat
from registry.coordinator.machine import Coordinator, CoordinatorSettings
from registry.coordinator.session_machine import SessionMachine
from tests.support import zk_frames
from tests.support.clock import ManualClock
from tests.support.zk_frames import FakePeer, Reply


class MemoryLog:
    """A TransactionLog that keeps records."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.zxids: list[int] = []
        self.commits = 0

    def append(self, zxid: int, record: bytes) -> None:
        assert not self.zxids or zxid == self.zxids[-1] + 1
        self.zxids.append(zxid)
        self.records.append(record)

    def commit(self) -> None:
        self.commits += 1


class Client:
    """One connection: every call is one frame and gives its reply; events gather in `events`."""

    def __init__(self, machine: SessionMachine, peer: FakePeer, connect: bytes) -> None:
        self.machine = machine
        self.peer = peer
        self.events: list[tuple[EventType, str]] = []
        self.is_accepted = machine.connected(peer, connect)
        self.session: ConnectResponse | None = peer.take_connect_response() if self.is_accepted else None
        self._xid = count(1)

    @property
    def session_id(self) -> int:
        assert self.session is not None
        return self.session.session_id

    def send(self, *frames: bytes) -> list[Reply]:
        """Replies and events as they came."""
        self.machine.received(self.peer, frames)
        return self.take()

    def take(self) -> list[Reply]:
        got = self.peer.take()
        for reply in got:
            if (event := reply.event) is not None:
                self.events.append((EventType(event.type), event.path))
        return got

    def take_events(self) -> list[tuple[EventType, str]]:
        self.take()
        events, self.events = self.events, []
        return events

    def ask(self, frame: bytes) -> Reply:
        """The reply; events before it are kept."""
        replies = [reply for reply in self.send(frame) if reply.event is None]
        assert len(replies) == 1
        return replies[0]

    def xid(self) -> int:
        return next(self._xid)

    def create(
        self,
        path: str,
        data: bytes | None = b"",
        flags: int = CreateMode.PERSISTENT,
        acls: Iterable[ACL] = OPEN_ACL_UNSAFE,
        op: int = OpCode.CREATE2,
        ttl_ms: int | None = None,
    ) -> Reply:
        return self.ask(zk_frames.create(self.xid(), path, data, flags, acls, op, ttl_ms))

    def delete(self, path: str, version: int = -1) -> Reply:
        return self.ask(zk_frames.delete(self.xid(), path, version))

    def set_data(self, path: str, data: bytes | None, version: int = -1) -> Reply:
        return self.ask(zk_frames.set_data(self.xid(), path, data, version))

    def set_acl(self, path: str, acls: Iterable[ACL], version: int = -1) -> Reply:
        return self.ask(zk_frames.set_acl(self.xid(), path, acls, version))

    def exists(self, path: str, watch: bool = False) -> Reply:
        return self.ask(zk_frames.with_path(self.xid(), OpCode.EXISTS, path, watch))

    def get_data(self, path: str, watch: bool = False) -> Reply:
        return self.ask(zk_frames.with_path(self.xid(), OpCode.GET_DATA, path, watch))

    def get_children(self, path: str, watch: bool = False) -> Reply:
        return self.ask(zk_frames.with_path(self.xid(), OpCode.GET_CHILDREN2, path, watch))

    def get_acl(self, path: str) -> Reply:
        return self.ask(zk_frames.with_path(self.xid(), OpCode.GET_ACL, path))

    def add_watch(self, path: str, mode: int) -> Reply:
        return self.ask(zk_frames.path_and_number(self.xid(), OpCode.ADD_WATCH, path, mode))

    def multi(self, *operations: tuple[int, bytes]) -> Reply:
        return self.ask(zk_frames.multi(self.xid(), operations))

    def auth(self, scheme: str, data: bytes | None) -> Reply:
        return self.ask(zk_frames.auth(scheme, data))

    def close_session(self) -> Reply:
        return self.ask(zk_frames.request(self.xid(), OpCode.CLOSE_SESSION).payload())

    def stat(self, path: str) -> Stat:
        reply = self.exists(path)
        assert reply.err == ErrorCode.OK, ErrorCode(reply.err)
        return reply.stat


class CoordinatorBench:
    """A coordinator with a clock that is moved and passwords that count."""

    def __init__(self, settings: CoordinatorSettings | None = None, log: MemoryLog | None = None) -> None:
        self.clock = ManualClock()
        self.log = log
        self._passwords = count(1)
        self.machine = Coordinator(settings or CoordinatorSettings(), self.clock, self._random_bytes, log)

    def _random_bytes(self, size: int) -> bytes:
        return next(self._passwords).to_bytes(size, "big")

    def client(
        self,
        timeout_ms: int = 30_000,
        session: ConnectResponse | None = None,
        host: str = "127.0.0.1",
        last_zxid_seen: int = 0,
    ) -> Client:
        """A connection with a new session, or with one that there is."""
        session_id, password = (session.session_id, session.password) if session else (0, bytes(16))
        frame = zk_frames.connect(timeout_ms, session_id, password, last_zxid_seen)
        return Client(self.machine, FakePeer(host), frame)

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, tick by tick as a door does."""
        tick_ms = self.machine.settings.tick_ms
        for start_ms in range(0, duration_ms, tick_ms):
            self.clock.advance(min(tick_ms, duration_ms - start_ms))
            self.machine.tick()

    def restarted(self, records: Iterable[bytes] | None = None, with_dump: bool = False) -> CoordinatorBench:
        """Another coordinator with the state of this one's log, or of its dump."""
        other = CoordinatorBench(self.machine.settings)
        dump = list(self.machine.dump()) if with_dump else []
        if records is None:
            records = self.log.records if self.log is not None and not with_dump else []
        other.machine.restore(dump, records)
        return other

    def picture(self) -> list[bytes]:
        """All there is to know of the state, in a form to compare: header, sessions and nodes."""
        header, *records = self.machine.dump()
        return [header, *sorted(records)]
