"""Sessions: ids, passwords, and expiry by the server's own time in whole ticks.

Source: SessionTrackerImpl, ExpiryQueue (a session ends at the first tick boundary after its time-out).
"""

from __future__ import annotations

from registry.coordinator.client import Client

SERVER_ID = 1
"""The first byte of session ids, that of a standalone ZooKeeper. 0x80 and 0xff would mean containers and TTLs."""
PAUSE_TICKS = 2
"""Of a longer silence of our own (SIGSTOP, a machine asleep) only so much counts: clients could not be heard in it."""


class Session:
    """What outlives a client's connections."""

    __slots__ = ("client", "due", "password", "session_id", "timeout_ms")

    def __init__(self, session_id: int, password: bytes, timeout_ms: int) -> None:
        self.session_id = session_id
        self.password = password
        self.timeout_ms = timeout_ms
        self.due = -1
        """The number of the tick at which it expires."""
        self.client: Client | None = None


class SessionTracker:
    """All sessions by id, and those that are due by tick. Times are milliseconds of one monotonic clock."""

    def __init__(self, tick_ms: int, timeout_ms_min: int, timeout_ms_max: int) -> None:
        self.tick_ms = tick_ms
        self.timeout_ms_min = timeout_ms_min
        self.timeout_ms_max = timeout_ms_max
        self.sessions: dict[int, Session] = {}
        self.next_session_id = SERVER_ID << 56
        self._has_given_ids = False
        self._due: dict[int, dict[Session, None]] = {}
        self._now_ms = 0.0
        self._read_ms: float | None = None
        self._checked_tick = 0

    def advance(self, monotonic_ms: float) -> None:
        """Tell the time. Clocks of sessions go with it, but for long gaps between two calls."""
        if self._read_ms is not None:
            self._now_ms += min(max(monotonic_ms - self._read_ms, 0.0), PAUSE_TICKS * self.tick_ms)
        self._read_ms = monotonic_ms

    def negotiated_ms(self, timeout_ms: int) -> int:
        """The time-out a client gets that asks for this one."""
        return min(max(timeout_ms, self.timeout_ms_min), self.timeout_ms_max)

    def new_id(self, wall_ms: float) -> int:
        """An id that no session has had: it begins with 40 bits of the time and counts on, also across restarts."""
        session_id = self.next_session_id
        if not self._has_given_ids:
            self._has_given_ids = True
            session_id = max(session_id, (SERVER_ID << 56) | ((int(wall_ms) & ((1 << 40) - 1)) << 16))
        self.next_session_id = session_id + 1
        return session_id

    def add(self, session_id: int, password: bytes, timeout_ms: int) -> Session:
        """A session with its full time-out before it."""
        session = self.sessions[session_id] = Session(session_id, password, timeout_ms)
        self.next_session_id = max(self.next_session_id, session_id + 1)
        self.touch(session)
        return session

    def touch(self, session: Session) -> None:
        """The client has been heard: its time-out begins anew."""
        due = int((self._now_ms + session.timeout_ms) // self.tick_ms) + 1
        if due == session.due:
            return
        self._undue(session)
        session.due = due
        self._due.setdefault(due, {})[session] = None

    def remove(self, session_id: int) -> Session | None:
        """Forget a session."""
        session = self.sessions.pop(session_id, None)
        if session is not None:
            self._undue(session)
        return session

    def expired(self) -> list[Session]:
        """Sessions whose time is up; they stay until they are removed."""
        tick = int(self._now_ms // self.tick_ms)
        if tick <= self._checked_tick:
            return []
        found: list[Session] = []
        for due in range(self._checked_tick + 1, tick + 1):
            found += self._due.get(due, ())
        self._checked_tick = tick
        return found

    def expires_in_ms(self, session: Session) -> float:
        """How long until it expires, if nothing is heard."""
        return session.due * self.tick_ms - self._now_ms

    def _undue(self, session: Session) -> None:
        group = self._due.get(session.due)
        if group is not None:
            group.pop(session, None)
            if not group:
                del self._due[session.due]
