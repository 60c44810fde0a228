"""One ZooKeeper session of somebody who writes: from its first connection to its end, which is told once.

* The kazoo client ends with the session. Whoever wants another session makes another object, so nothing that was
  asked in the name of the one can be done in the name of the next.
* At every connection a `sync` goes first: the server at the other end may be behind the one before.
* The lease is moved by answers of the leader alone (writes and `sync`, which asks the leader and is refused when the
  session is over): a follower that has lost its leader goes on answering reads for some ticks.
* kazoo's thread pings no longer than a lease after the loop was last alive: the session of a process that hangs ends
  as it would if the process were dead.
* A request without an answer for a third of the time-out has the connection dropped, so that another server is tried.
* A session that stays unconnected for two time-outs is given up: it is over, and a ZooKeeper that was wiped or
  restored refuses for ever a client that has seen a higher zxid.

Source: ZooKeeper Programmer's Guide, "ZooKeeper Sessions"; PrepRequestProcessor (sync checks the session).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Protocol

from registry.clock import Clock
from registry.zk.client import Answer, ClientState, StateChange
from registry.zk.lease import LEASE_SHARE, Lease
from registry.zk.requests import Children, Get, Reply, Request
from registry.zk.watcher import WatcherSettings
from registry.zk.writer import Done, WritingClient

logger = logging.getLogger("registry.zk")

BEATS_PER_TIMEOUT = 6.0
"""Heartbeats in one session time-out, at least: four to a lease, so that a late one does not end it."""
TICKS_PER_BEAT = 4
SILENCE_SHARE, SILENCE_MS_MIN = 1.0 / 3.0, 300.0
DISCARD_TIMEOUTS = 2.0
"""A session is given up after this many time-outs without a connection."""
CLOSE_MS_MAX = 2000.0
"""How long the end waits for ZooKeeper to end the session; it ends by itself after its time-out."""


class SessionOwner(Protocol):
    """Who hears of the session; called on the loop, in the order in which things happened."""

    def connected(self) -> None:
        """There is a connection, and the server behind it has caught up. Watches of the one before are gone."""
        ...

    def suspended(self, reason: str) -> None:
        """The connection is lost; nothing that was asked and not answered will be answered."""
        ...

    def ended(self, reason: str) -> None:
        """The session is over, or as good as that; the last that is heard of it."""
        ...

    def refused(self, reason: str) -> None:
        """ZooKeeper does not accept the credential, for good."""
        ...

    def fired(self, path: str) -> None:
        """What a `Get` watches has changed or is gone."""
        ...


class ZooKeeperSession:
    """Everything happens on the loop on which it was started."""

    def __init__(self, settings: WatcherSettings, clock: Clock, owner: SessionOwner) -> None:
        self.settings = settings
        self.lease = Lease()
        self.session_id = 0
        """0 before the first connection."""
        self.timeout_ms = settings.session_timeout_ms
        """What ZooKeeper granted; before that, what it is asked for."""
        self._clock = clock
        self._owner = owner
        self._client: WritingClient | None = None
        self._link = 0
        """Number of the connection that answers; 0 without one."""
        self._links = 0
        self._synced = False
        self._unanswered: deque[float] = deque()
        self._beat_due_ms = 0.0
        self._beating = False
        self._away_since_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent now."""
        return self._synced

    def start(self) -> None:
        """Begin; returns at once and goes on trying, whatever DNS and network do."""
        settings = self.settings
        self._away_since_ms = self._clock.monotonic_ms()
        self._client = WritingClient(
            settings.hosts,
            session_timeout_ms=settings.session_timeout_ms,
            connect_timeout_ms=settings.connect_timeout_ms,
            auth=settings.auth,
            clock=self._clock,
            changed=self._state_changed,
            after_turn=lambda: None,
            one_session=True,
        )
        self._client.start()
        self._tick()

    def discard(self) -> Awaitable[object]:
        """End the session, and with it every ephemeral znode of it; nothing more is heard of it from now on.

        What comes back is done when ZooKeeper has been told, or cannot be.
        """
        closing = self._drop_client()
        if closing is None:
            return asyncio.sleep(0)
        return asyncio.wait([closing], timeout=CLOSE_MS_MAX / 1000.0)

    def ask(self, request: Request, done: Done) -> None:
        """Send a request of this connection; where the connection goes first, `done` is not called."""
        assert self._client is not None
        assert self._synced, "there is no connection"
        sent_at_ms = self._clock.monotonic_ms()
        self._unanswered.append(sent_at_ms)
        by_leader = not isinstance(request, Get | Children)
        fired = functools.partial(self._fired, self._link)
        self._client.ask(request, fired, functools.partial(self._replied, self._link, sent_at_ms, by_leader, done))

    # --- what the client tells ----------------------------------------------------------------------------------

    def _state_changed(self, change: StateChange) -> None:
        if change.state is ClientState.CONNECTED:
            self._connected(change)
        elif change.state is ClientState.SUSPENDED:
            self._lose_link(change.reason or "the connection is lost")
        elif change.state is ClientState.REFUSED:
            schemes = ", ".join(scheme for scheme, _ in self.settings.auth)
            self._end(None)
            self._owner.refused(
                f"ZooKeeper refuses the credential of hbeacon.zookeeper.auth ({schemes}): correct it, or leave it out"
                " where ZooKeeper asks for none"
            )
        else:
            expired = change.state is ClientState.EXPIRED
            self._end("ZooKeeper has ended the session" if expired else f"its client has stopped: {change.reason}")

    def _connected(self, change: StateChange) -> None:
        assert self._client is not None
        self._lose_link("another connection")
        self._links += 1
        self._link = self._links
        if not self.session_id:
            logger.info(
                "ZooKeeper session 0x%x of this server, time-out %.0f ms granted",
                change.session_id,
                change.negotiated_timeout_ms,
            )
        self.session_id, self.timeout_ms = change.session_id, change.negotiated_timeout_ms
        self.lease.granted(self.timeout_ms)
        self._sync()

    def _sync(self) -> None:
        assert self._client is not None
        sent_at_ms = self._clock.monotonic_ms()
        self._unanswered.append(sent_at_ms)
        self._beating = True
        self._beat_due_ms = sent_at_ms + self._beat_ms()
        self._client.sync(functools.partial(self._caught_up, self._link, sent_at_ms))

    def _caught_up(self, link: int, sent_at_ms: float, answer: Answer) -> None:
        if link != self._link:
            return
        if answer.failed:
            if not answer.lost:
                self._drop_link(answer.failed)
            return
        self._unanswered.popleft()
        self._beating = False
        self.lease.answered(sent_at_ms)
        if not self._synced:
            self._synced = True
            self._owner.connected()

    def _replied(self, link: int, sent_at_ms: float, by_leader: bool, done: Done, reply: Reply) -> None:
        if link != self._link or reply.result.value == "lost":
            return  # a change of state tells of it
        self._unanswered.popleft()
        if by_leader:
            self.lease.answered(sent_at_ms)
        done(reply)

    def _fired(self, link: int, path: str) -> None:
        if link == self._link and self._synced:
            self._owner.fired(path)

    # --- connection and end -------------------------------------------------------------------------------------

    def _drop_link(self, reason: str) -> None:
        assert self._client is not None
        self._client.drop_connection()
        self._lose_link(reason)

    def _lose_link(self, reason: str) -> None:
        if not self._link:
            return
        self._link = 0
        self._unanswered.clear()
        self._away_since_ms = self._clock.monotonic_ms()
        logger.warning("connection of this server to ZooKeeper lost (%s)", reason)
        if self._synced:
            self._synced = False
            self._owner.suspended(reason)

    def _end(self, reason: str | None) -> None:
        """Give up what there is; `reason` is told to the owner."""
        self._lose_link(reason or "the end")
        self._drop_client()
        if reason is not None:
            self._owner.ended(reason)

    def _drop_client(self) -> asyncio.Future[None] | None:
        if self._timer is not None:
            self._timer.cancel()
        client, self._client = self._client, None
        self._link = 0
        self._synced = False
        self.lease.end()
        return None if client is None else client.close()

    # --- time ---------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._beat_ms() / TICKS_PER_BEAT / 1000.0, self._tick)
        now_ms = self._clock.monotonic_ms()
        if self._client is not None:
            self._client.ping_for(self.timeout_ms * LEASE_SHARE)
        if not self._link:
            away_ms = now_ms - self._away_since_ms
            if self.session_id and away_ms > DISCARD_TIMEOUTS * self.timeout_ms:
                self._end(f"no connection for {away_ms:.0f} ms")
        elif self._unanswered and now_ms - self._unanswered[0] > max(SILENCE_MS_MIN, self.timeout_ms * SILENCE_SHARE):
            self._drop_link(f"no answer for {now_ms - self._unanswered[0]:.0f} ms")
        elif self._synced and now_ms >= self._beat_due_ms and not self._beating:
            self._sync()

    def _beat_ms(self) -> float:
        return min(self.settings.heartbeat_ms, self.timeout_ms / BEATS_PER_TIMEOUT)
