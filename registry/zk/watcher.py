"""The ZooKeeper session of a reader: keeps a connection, carries out reads, beats, and knows how long its word is good.

    kazoo's thread -> inbox -> watcher -> sink (the cache) -> reads -> kazoo's thread

* At every new connection a `sync` goes first, then everything is read again: kazoo restores no watches, and the server
  at the other end may be behind the one before.
* A heartbeat (`exists` of the root, no watch) is answered at least once a second: it moves version and age of a cluster
  in which nothing changes, and the lease.
* The lease counts from the moment the last *answered* request was *sent*, for two thirds of the time-out that
  ZooKeeper granted. kazoo says that a session is lost only after it has reached a server again, so nobody waits for it.
* A connection on which nothing is answered for a third of the time-out, at most five seconds, is dropped, so that
  another server is tried.
* A client that stays unconnected for two session time-outs is thrown away and a new one made: a ZooKeeper that was
  wiped or restored refuses a client that has seen a higher zxid, for ever.

Source: ZooKeeper Programmer's Guide, "ZooKeeper Sessions"; ZooKeeperServer.processConnectRequest (refusal of clients
that have seen a higher zxid).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from registry.clock import Clock
from registry.lookup.events import (
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
from registry.names import Address
from registry.zk.client import Answer, ClientState, StateChange, ZooKeeperClient
from registry.zk.paths import DEFAULT_ROOT

logger = logging.getLogger("registry.zk")

LEASE_SHARE = 2.0 / 3.0
SILENCE_SHARE, SILENCE_MS_MIN, SILENCE_MS_MAX = 1.0 / 3.0, 2000.0, 5000.0
"""A connection is given up after this share of the session time-out without the answer that is due. A reader loses
nothing by changing servers, so a long session time-out does not make it wait for a hung one."""
DISCARD_TIMEOUTS = 2.0
"""A client is thrown away after this many session time-outs without a connection."""
REVIVE_MS = 1000.0
"""Pause before another client follows one whose thread has ended."""
BEATS_PER_TIMEOUT = 6.0
"""Heartbeats per session time-out, at least: four to a lease, so that a late one does not end it."""
TICKS_PER_HEARTBEAT = 4
CLOSE_MS_MAX = 2000.0
"""How long `stop` waits for the session to be closed in order; ZooKeeper forgets it anyway after its time-out."""


@dataclass(frozen=True, slots=True)
class WatcherSettings:
    """Where ZooKeeper is and how it is talked to."""

    hosts: tuple[Address, ...]
    root: str = DEFAULT_ROOT
    """`zookeeper.znode.parent`."""
    others: bool = False
    """Follow also what no fact rests on (`ZNodePaths.others`): a façade shows it."""
    session_timeout_ms: float = 90_000.0
    """Asked for; ZooKeeper grants 2 to 20 of its ticks."""
    connect_timeout_ms: float = 1000.0
    """For one server of the ensemble."""
    heartbeat_ms: float = 1000.0
    """At most this long between two heartbeats; less where the session time-out is short."""
    auth: tuple[tuple[str, str], ...] = ()
    """(scheme, credential) pairs for addauth."""
    reads_under_way_max: int = 64
    """Reads sent and not answered. kazoo wakes its thread by a byte for each, and its pipe holds some 270."""
    recheck_forbidden_ms: float = 30_000.0
    """No watch tells of a changed ACL, so what may not be read is tried again this often."""


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """The session, for pages, metrics and readiness."""

    state: str = "disconnected"
    """`connected`; `suspended`: no answers, but the lease is good; `disconnected`: neither."""
    since_ms: float = 0.0
    """Monotonic moment at which `state` began."""
    session_id: int = 0
    negotiated_timeout_ms: float = 0.0
    last_zxid: int = 0
    connects: int = 0
    """Connections made, the first one included."""
    suspensions: int = 0
    """Connections lost."""
    expirations: int = 0
    """Sessions that ZooKeeper has ended, or that were given up."""
    fatal: str = ""
    """Why ZooKeeper refuses us for good; empty when it does not."""


class ZooKeeperWatcher:
    """One reader of one ZooKeeper. Everything happens on the loop on which it was started."""

    def __init__(
        self,
        settings: WatcherSettings,
        clock: Clock,
        sink: Callable[[Event], list[Effect]],
        after_turn: Callable[[], None],
    ) -> None:
        """`sink` takes each event and says what to read; `after_turn` follows each batch of events."""
        self.settings = settings
        self._clock = clock
        self._sink = sink
        self._after_turn = after_turn
        self._client: ZooKeeperClient | None = None
        self._client_since_ms = 0.0
        """When the client was made or lost its connection."""
        self._client_dead = False
        self._link = False
        """There is a connection."""
        self._synced = False
        """And the server behind it has caught up; reads may be sent."""
        self._epoch = 0
        self._heard: Callable[[str], None] = functools.partial(self._fired, 0)
        """Takes watch events of this epoch; one for all, so that kazoo calls it once for each."""
        self._session_id = 0
        self._timeout_ms = settings.session_timeout_ms
        self._negotiated_timeout_ms = 0.0
        self._unanswered: deque[float] = deque()
        """When each request under way was sent; ZooKeeper answers in order."""
        self._reads_under_way = 0
        self._beating = False
        self._syncing = False
        """The leader is being asked, or the beat after that is under way."""
        self._first: deque[Read] = deque()
        self._bulk: deque[Read] = deque()
        """Reads that wait for their turn; `_first` goes first."""
        self._proved_ms: float | None = None
        """When the youngest answered request was sent."""
        self._beat_due_ms = 0.0
        self._recheck_due_ms = 0.0
        self._state, self._state_since_ms = "disconnected", clock.monotonic_ms()
        self._connects = self._suspensions = self._expirations = 0
        self._fatal = ""
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Future[None]] = set()

    # --- what others see ----------------------------------------------------------------------------------------

    @property
    def status(self) -> SessionStatus:
        """As of now."""
        self._note_state()
        return SessionStatus(
            self._state,
            self._state_since_ms,
            self._session_id,
            self._negotiated_timeout_ms,
            self._client.last_zxid if self._client is not None else 0,
            self._connects,
            self._suspensions,
            self._expirations,
            self._fatal,
        )

    def lease_ok(self) -> bool:
        """Whether the session cannot have ended yet, by our own clock."""
        if self._proved_ms is None:
            return False
        return self._clock.monotonic_ms() - self._proved_ms < self._negotiated_timeout_ms * LEASE_SHARE

    def start(self) -> None:
        """Begin; returns at once and goes on trying, whatever DNS and network do."""
        assert self._timer is None, "started twice"
        self._new_client()
        self.tick()

    async def stop(self) -> None:
        """End the session; returns within CLOSE_MS_MAX."""
        if self._timer is not None:
            self._timer.cancel()
        self._link = self._synced = False
        self._lose_connection()
        if self._client is not None:
            self._discard_client()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_MS_MAX / 1000.0)

    def ask_leader(self) -> bool:
        """Have the server catch up with its leader, then see how things stand; False where it cannot be asked now.

        At most one such question is under way. What it tells comes as Confirmed, with the moment of the `sync`.
        """
        if not self._synced or self._syncing:
            return False
        assert self._client is not None
        self._syncing = True
        sent_at_ms = self._clock.monotonic_ms()
        self._unanswered.append(sent_at_ms)
        self._client.sync(functools.partial(self._leader_answered, self._epoch, sent_at_ms))
        return True

    # --- the client ---------------------------------------------------------------------------------------------

    def _new_client(self) -> None:
        settings = self.settings
        self._client_since_ms = self._clock.monotonic_ms()
        self._client_dead = False
        self._client = ZooKeeperClient(
            settings.hosts,
            session_timeout_ms=settings.session_timeout_ms,
            connect_timeout_ms=settings.connect_timeout_ms,
            auth=settings.auth,
            clock=self._clock,
            changed=self._state_changed,
            after_turn=self._after_turn,
        )
        self._client.start()

    def _discard_client(self) -> None:
        assert self._client is not None
        closing = self._client.close()
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._client = None

    def _state_changed(self, change: StateChange) -> None:
        if change.state is ClientState.CONNECTED:
            self._connected(change)
        else:
            if change.state is ClientState.EXPIRED:
                self._expirations += 1
                logger.warning("ZooKeeper session 0x%x has expired", self._session_id)
            elif change.state is ClientState.REFUSED:
                schemes = ", ".join(scheme for scheme, _ in self.settings.auth)
                self._fatal = (
                    f"ZooKeeper refuses the credential of hbeacon.zookeeper.auth ({schemes}): correct it, or leave it"
                    " out where ZooKeeper asks for none"
                )
                logger.error("%s", self._fatal)
            self._client_dead = change.state in (ClientState.DEAD, ClientState.REFUSED)
            self._lose_connection(change.reason or change.state.value)
        self._note_state()

    def _connected(self, change: StateChange) -> None:
        self._lose_connection("another connection")
        if change.session_id != self._session_id:
            logger.info(
                "ZooKeeper session 0x%x, time-out %.0f ms granted", change.session_id, change.negotiated_timeout_ms
            )
        self._link = True
        self._fatal = ""
        self._connects += 1
        self._epoch += 1
        self._heard = functools.partial(self._fired, self._epoch)
        self._session_id = change.session_id
        self._negotiated_timeout_ms = self._timeout_ms = change.negotiated_timeout_ms
        assert self._client is not None
        self._unanswered.append(self._clock.monotonic_ms())
        self._client.sync(functools.partial(self._caught_up, self._epoch, self._unanswered[0]))

    def _caught_up(self, epoch: int, sent_at_ms: float, answer: Answer) -> None:
        if not self._answered(epoch, sent_at_ms, answer):
            return
        assert self._client is not None
        self._synced = True
        now_ms = self._clock.monotonic_ms()
        self._beat_due_ms = now_ms + self._heartbeat_ms()
        self._recheck_due_ms = now_ms + self.settings.recheck_forbidden_ms
        # nothing else is under way, so the client's last zxid is that of the sync
        self._tell(SessionConnected(epoch, self._session_id, self._client.last_zxid, sent_at_ms))

    def _lose_connection(self, reason: str = "") -> None:
        if self._link:
            self._suspensions += 1
            self._client_since_ms = self._clock.monotonic_ms()
            logger.warning("connection to ZooKeeper lost (%s)", reason)
        if self._synced:
            self._synced = False
            self._tell(SessionSuspended(self._epoch, reason))
        self._link = self._beating = self._syncing = False
        self._unanswered.clear()
        self._first.clear()
        self._bulk.clear()
        self._reads_under_way = 0

    # --- requests -----------------------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        for effect in self._sink(event):
            if isinstance(effect, Read):
                (self._bulk if effect.bulk else self._first).append(effect)
        self._send_reads()

    def _send_reads(self) -> None:
        client = self._client
        if client is None or not self._synced:
            return
        while self._reads_under_way < self.settings.reads_under_way_max and (self._first or self._bulk):
            read = self._first.popleft() if self._first else self._bulk.popleft()
            sent_at_ms = self._clock.monotonic_ms()
            self._unanswered.append(sent_at_ms)
            self._reads_under_way += 1
            done = functools.partial(self._read_answered, self._epoch, read, client.last_zxid, sent_at_ms)
            client.read(read.path, read.what, self._heard, done)

    def _read_answered(self, epoch: int, read: Read, zxid_before: int, sent_at_ms: float, answer: Answer) -> None:
        if not self._answered(epoch, sent_at_ms, answer):
            return
        self._reads_under_way -= 1
        assert self._client is not None
        self._tell(
            ZnodeRead(
                epoch,
                read.ticket,
                read.path,
                read.what,
                answer.outcome,
                zxid_before,
                sent_at_ms,
                answer.data,
                answer.stat,
                answer.children,
                self._client.last_zxid,
            )
        )

    def _fired(self, epoch: int, path: str) -> None:
        if epoch == self._epoch and self._synced:
            self._tell(WatchFired(epoch, path))

    def _leader_answered(self, epoch: int, synced_at_ms: float, answer: Answer) -> None:
        if self._answered(epoch, synced_at_ms, answer):
            # Not sent together with the sync: only now the client's last zxid is at least that of the leader.
            self._beat(synced_at_ms)

    def _beat(self, synced_at_ms: float | None = None) -> None:
        assert self._client is not None
        if synced_at_ms is None:
            self._beating = True
        sent_at_ms = self._clock.monotonic_ms()
        self._unanswered.append(sent_at_ms)
        zxid_before = self._client.last_zxid
        done = functools.partial(self._beat_answered, self._epoch, zxid_before, sent_at_ms, synced_at_ms)
        self._client.read(self.settings.root, What.EXISTS, None, done)

    def _beat_answered(
        self, epoch: int, zxid_before: int, sent_at_ms: float, synced_at_ms: float | None, answer: Answer
    ) -> None:
        if self._answered(epoch, sent_at_ms, answer):
            if synced_at_ms is None:
                self._beating = False
            else:
                self._syncing = False
            self._tell(Confirmed(epoch, zxid_before, sent_at_ms, synced_at_ms))

    def _answered(self, epoch: int, sent_at_ms: float, answer: Answer) -> bool:
        """Book an answer; False when it is none, or of a connection that has gone."""
        if epoch != self._epoch or not self._link:
            return False
        if answer.failed:
            if not answer.lost:  # the server refuses what must be answered: try another
                self._drop_connection(answer.failed)
            return False
        self._unanswered.popleft()
        self._proved_ms = max(self._proved_ms or 0.0, sent_at_ms)
        return True

    def _drop_connection(self, reason: str) -> None:
        assert self._client is not None
        self._client.drop_connection()
        self._lose_connection(reason)

    # --- time ---------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due; a timer calls it."""
        if self._timer is not None:
            self._timer.cancel()
        interval_ms = self._heartbeat_ms() / TICKS_PER_HEARTBEAT
        self._timer = asyncio.get_running_loop().call_later(interval_ms / 1000.0, self.tick)
        now_ms = self._clock.monotonic_ms()
        if self._link:
            if self._unanswered and now_ms - self._unanswered[0] > self._silence_ms():
                self._drop_connection(f"no answer for {now_ms - self._unanswered[0]:.0f} ms")
            elif self._synced and now_ms >= self._beat_due_ms and not self._beating:
                self._beat_due_ms = now_ms + self._heartbeat_ms()
                self._beat()
            if self._synced and now_ms >= self._recheck_due_ms:
                self._recheck_due_ms = now_ms + self.settings.recheck_forbidden_ms
                self._tell(RecheckForbidden(self._epoch))
        else:
            away_ms = now_ms - self._client_since_ms
            outlived = self._session_id and away_ms > DISCARD_TIMEOUTS * self._timeout_ms
            if outlived or (self._client_dead and away_ms > REVIVE_MS):
                self._replace_client(away_ms)
        self._note_state()
        self._after_turn()

    def _heartbeat_ms(self) -> float:
        return min(self.settings.heartbeat_ms, self._timeout_ms / BEATS_PER_TIMEOUT)

    def _silence_ms(self) -> float:
        return min(SILENCE_MS_MAX, max(SILENCE_MS_MIN, self._timeout_ms * SILENCE_SHARE))

    def _replace_client(self, away_ms: float) -> None:
        logger.warning("no connection to ZooKeeper for %.0f ms: starting over with a new client", away_ms)
        if self._client is not None:
            self._discard_client()
        if self._session_id and not self._client_dead:
            self._expirations += 1
        self._session_id = 0
        self._new_client()

    def _note_state(self) -> None:
        answering = "connected" if self._synced else "suspended"
        state = answering if self.lease_ok() else "disconnected"
        if state != self._state:
            self._state, self._state_since_ms = state, self._clock.monotonic_ms()
