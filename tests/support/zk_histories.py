"""Plays a history of operations on one server and tells what was seen, in words that two servers can be compared by.

A history is a list of steps `(session, verb, *arguments)`. Verbs are the operations of tests.support.zk_wire, and:
`close` (the session ends in order), `drop` (the connection is lost), `restart` (all are lost, and the server is killed
and started again), `attach` (a new connection with the session's password; argument `right`, `wrong`, `early` while the
old connection is still open, `ahead` having seen more than the server).
After each step every connection is asked for a ping, so that events stand where they belong.
What may differ is taken out: zxids count from the start of the history, times are only held against the clock,
sessions are named by their number, and the order of events of one transaction on several paths is dropped.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tests.support.zk_wire import Reader, Reply, WatchEvent, WireConnection, answer

Step = tuple[Any, ...]
SESSION_TIMEOUT_MS = 10_000
PREFIXED = {"auth", "whoAmI", "multi", "multiRead", "setWatches", "setWatches2", "raw", "ping", "close"}
"""Verbs whose first argument is no path."""
_CLOCK_LEEWAY_MS = 5_000
_CLOSING_S = 10
_UNIMPLEMENTED = -6


@dataclass
class _Session:
    connection: WireConnection
    identity: int
    password: bytes | None
    seen_zxid: int = 0
    over: bool = False


@dataclass
class Player:
    """One server. Histories played one after another each have a node of their own below the root."""

    address: str
    restart: Callable[[], None] = lambda: None
    """Kills the server and starts it again: the verb `restart`."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _base: int = 0
    _root: str = ""
    _sessions: dict[int, _Session] = field(default_factory=dict[int, "_Session"])

    def play(self, steps: Sequence[Step], sessions: int = 3) -> list[Any]:
        """What every step gave: the answer, and the events that had come to each session by then."""
        self._root = f"/h{next(self._numbers)}"
        self._sessions = {number: self._new_session() for number in range(sessions)}
        self._base = self._call(0, "ping").zxid
        seen: list[Any] = [self._step((0, "create2", "", b"root", [(31, "world", "anyone")], 0))]
        try:
            seen += [(step[:2], self._step(step)) for step in steps]
        finally:
            self._leave()
        return seen

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _new_session(self) -> _Session:
        connection = WireConnection(self.address)
        granted = connection.connect(SESSION_TIMEOUT_MS)
        assert granted is not None, f"{self.address} closed a new connection"
        return _Session(connection, granted.session_id, granted.password)

    def _attach(self, session: _Session, how: str) -> Any:
        if how != "early":
            session.connection.close()
        connection = WireConnection(self.address)
        password = bytes(16) if how == "wrong" else session.password
        last_zxid = self._base + 10**6 if how == "ahead" else session.seen_zxid
        granted = connection.connect(SESSION_TIMEOUT_MS, session.identity, password, last_zxid)
        if granted is None:
            session.connection.close()
            return "no answer, closed"
        if how == "early":
            after = session.connection.call("ping")
            assert after is None, f"{self.address}: a session has two connections"
        session.connection = connection
        if granted.session_id == 0:
            nothing = granted.password in (None, b"", bytes(16))
            return "expired", granted.timeout_ms, nothing, granted.read_only, self._is_closed(session)
        same = granted.session_id == session.identity and granted.password == session.password
        return "attached", granted.timeout_ms, granted.protocol, granted.read_only, same

    def _is_closed(self, session: _Session) -> bool:
        return session.connection.call("ping") is None

    def _await_closed(self, session: _Session) -> None:
        """Until the end of the connection that a server announces by this answer has come.

        A real server gives the answer and the end one by one from another thread than the one that reads: on a busy
        machine it still answers the ping that goes right behind, and a history told of an open connection.
        """
        patience = time.monotonic() + _CLOSING_S
        while not self._is_closed(session):
            assert time.monotonic() < patience, f"{self.address} said it knows no such request, and goes on"
            time.sleep(0.001)

    def _leave(self) -> None:
        """Sessions end and the tree goes, so that nothing of this history moves zxids in the next."""
        for session in self._sessions.values():
            if not session.over and not session.connection.open:
                self._attach(session, "right")
            session.connection.call("closeSession")
            session.connection.close()
        sweeper = self._new_session()
        self._delete(sweeper, self._root)
        sweeper.connection.call("closeSession")
        sweeper.connection.close()

    def _delete(self, sweeper: _Session, path: str) -> None:
        connection = sweeper.connection
        connection.call("setACL", path, [(31, "world", "anyone")], -1)
        reply = connection.call("getChildren", path, False)
        if reply is not None and not reply.err:
            for name in answer("getChildren", Reader(reply.body))[0]:
                self._delete(sweeper, f"{path}/{name}")
        connection.call("delete", path, -1)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> Any:
        number, verb, *args = step
        session = self._sessions[number]
        before: list[Any] = []
        if session.over or (not session.connection.open and verb != "attach"):
            before = ["new session" if session.over else self._attach(session, "right")]
            if session.over or not session.connection.open:
                session = self._sessions[number] = self._new_session()
        match verb:
            case "restart":
                for each in self._sessions.values():
                    each.connection.close()
                self.restart()
                seen: Any = "restarted"
            case "drop":
                session.connection.close()
                seen = "dropped"
            case "close":
                seen = self._told(self._sent(session, "closeSession"), "closeSession")
                session.over = session.connection.call("ping") is None
            case "attach":
                seen = self._attach(session, args[0])
                session.over = "expired" in seen and args[0] != "wrong"
            case _:
                reply = self._sent(session, verb, *self._placed(verb, args))
                if verb == "raw" and reply is not None and reply.err == _UNIMPLEMENTED:
                    self._await_closed(session)
                seen = self._told(reply, verb)
        return (*before, seen, self._events())

    def _call(self, number: int, verb: str) -> Reply:
        reply = self._sessions[number].connection.call(verb)
        assert reply is not None, f"{self.address} closed the connection at a {verb}"
        return reply

    def _sent(self, session: _Session, verb: str, *args: Any) -> Reply | None:
        reply = session.connection.call(verb, *args)
        if reply is not None:
            session.seen_zxid = max(session.seen_zxid, reply.zxid)
        return reply

    def _placed(self, verb: str, args: Sequence[Any]) -> list[Any]:
        """The arguments, with paths below this history's node."""
        match verb:
            case "multi" | "multiRead":
                return [[(op, *self._placed(op, rest)) for op, *rest in args[0]]]
            case "setWatches" | "setWatches2":
                return [self._base + args[0], *([self._path(path) for path in paths] for paths in args[1:])]
            case _ if verb in PREFIXED or not args:
                return list(args)
            case _:
                return [self._path(args[0]), *args[1:]]

    def _path(self, path: str) -> str:
        """`` is the history's own node, `/a` one below; `!` before a path sends the rest as it is."""
        return path[1:] if path.startswith("!") else self._root + path

    # --- what is told ------------------------------------------------------------------------------------------------

    def _told(self, reply: Reply | None, verb: str) -> Any:
        if reply is None:
            return "closed"
        told: list[Any] = [("xid", reply.xid if reply.xid < 0 else "+"), ("zxid", self._zxid(reply.zxid)), reply.err]
        reader = Reader(reply.body)
        if reader.left and (not reply.err or verb in ("multi", "multiRead")):
            told += [self._plain(value) for value in answer(verb, reader)]
        return (*told, ("left", reader.left)) if reader.left else tuple(told)

    def _events(self) -> list[Any]:
        seen: list[Any] = []
        for number, session in self._sessions.items():
            if session.connection.open and not session.over:
                self._sent(session, "ping")
            events, session.connection.events[:] = list(session.connection.events), []
            # one path keeps its order; paths of one transaction come in the order of a hash set
            seen += [(number, *self._event(each)) for each in sorted(events, key=lambda each: each.path or "")]
            if not session.connection.open and not session.over:
                seen.append((number, "no connection"))
        return seen

    def _event(self, event: WatchEvent) -> tuple[Any, ...]:
        return event.type, event.state, self._named(event.path)

    def _zxid(self, zxid: int) -> int | str:
        return zxid - self._base if zxid > 0 else f"absolute {zxid}"

    def _named(self, text: str | None) -> str | None:
        return text.replace(self._root, "~", 1) if text and text.startswith(self._root) else text

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._stat_field(key, number) for key, number in cast("dict[str, int]", value).items()}
        if isinstance(value, list | tuple):
            return [self._plain(each) for each in cast("Sequence[Any]", value)]
        return self._named(value) if isinstance(value, str) else value

    def _stat_field(self, key: str, number: int) -> Any:
        if key in ("czxid", "mzxid", "pzxid"):
            return self._zxid(number)
        if key in ("ctime", "mtime"):
            return number if number == 0 else abs(number - time.time() * 1000) < _CLOCK_LEEWAY_MS
        if key == "ephemeralOwner":
            owners = (f"session {each}" for each, session in self._sessions.items() if session.identity == number)
            return next(owners, number)
        return number
