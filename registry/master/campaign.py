"""A master's candidates, one life after another: session, founding, election, and what follows from each effect.

A life ends with its session, or when its znode is gone. HBase's master aborts then, and whatever started it starts
another process. Here the process stays, for look-ups go on in it; the next candidate has a new session and a new start
code, so to everybody else it is another life of the server all the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from registry.clock import Clock
from registry.lookup.snapshot import Master
from registry.master.election import Ask, BecomeActive, Candidate, Doubt, Effect, End, StandBy, Standing
from registry.master.epoch import Mastership
from registry.master.flight import ElectionFlight
from registry.master.founding import Founded, Founder, Founding, Pause, found
from registry.master.identity import Memory
from registry.master.mark import Refusal, mark_path
from registry.names import Address, ServerName
from registry.wire.znode import SALT_BYTES, encode_master
from registry.zk.lease import Lease
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Reply, Request, Result
from registry.zk.session import SessionOwner

logger = logging.getLogger("registry.master")

NEXT_LIFE_MS_FIRST, NEXT_LIFE_MS_MAX = 50.0, 400.0
"""Pause before the next candidate; twice as long after each life that was shorter than LONG_LIFE_MS."""
LONG_LIFE_MS = 30_000.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where this master is reached."""

    address: Address
    info_port: int
    """Of the pages; -1 where they are off."""


class Session(Protocol):
    """What a candidate needs of a ZooKeeper session: registry.zk.session.ZooKeeperSession, or a model of it."""

    lease: Lease
    session_id: int

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent now."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def ask(self, request: Request, done: Callable[[Reply], object]) -> None:
        """Send a request; `done` is not called where the connection goes first."""
        ...

    def discard(self) -> Awaitable[object]:
        """End it; nothing more is heard of it."""
        ...


class Timer(Protocol):
    """What `later` gives."""

    def cancel(self) -> None:
        """Not any more."""
        ...


OpenSession = Callable[[SessionOwner], Session]
Later = Callable[[float, Callable[[], None]], Timer]
"""Have something called after so many milliseconds."""


class Campaign:
    """Belongs to the loop. `start` once the doors are open, for their address stands in the znodes."""

    def __init__(
        self,
        root: str,
        clock: Clock,
        mastership: Mastership,
        memory: Memory,
        open_session: OpenSession,
        later: Later,
        *,
        founded_by: str,
        changed: Callable[[], None],
    ) -> None:
        """`changed` hears that role, name or cluster of this master are others now."""
        self.paths = ZNodePaths(root)
        self.mastership = mastership
        self.name: ServerName | None = None
        """Of the present life."""
        self.active: ServerName | None = None
        """Whom this master stands by for."""
        self.founded: Founded | None = None
        self.stood_by = False
        """Whether there was another active master in this life."""
        self.lives = 0
        self.flight = ElectionFlight(clock)
        """What the candidates have heard."""
        self.refusal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when this master may not take part here."""
        self._clock = clock
        self._open_session = open_session
        self._later = later
        self._memory = memory
        self._founded_by = founded_by
        self._changed = changed
        self._place: Place | None = None
        self._session: Session | None = None
        self._candidate: Candidate | None = None
        self._founding: Founding | None = None
        self._asked: set[asyncio.Future[Reply]] = set()
        self._closing: set[asyncio.Future[object]] = set()
        self._began_ms = 0.0
        self._pause_ms = NEXT_LIFE_MS_FIRST
        self._timer: Timer | None = None
        self._stopped = False

    @property
    def session(self) -> Session | None:
        """Of the present life; None between two."""
        return self._session

    @property
    def candidate(self) -> Candidate | None:
        """Of the present life, once the cluster is founded."""
        return self._candidate

    @property
    def writer(self) -> str:
        """As HBase's znodes name who wrote them."""
        assert self._place is not None, "the doors are open first"
        return f"master:{self._place.address.port}"

    def start(self, place: Place) -> None:
        """Stand for election, now and until `stop`."""
        self._place = place
        self._begin_life()

    async def stop(self) -> None:
        """Leave: stop acting, then end the session, and with it our znodes; somebody else can follow at once."""
        self._stopped = True
        self.mastership.end("is stopping")
        if self._timer is not None:
            self._timer.cancel()
        if self._session is not None:
            session, self._session = self._session, None
            await session.discard()
        if self._closing:
            await asyncio.wait(self._closing)

    async def ask(self, request: Request) -> Reply:
        """Send a request in this life's session; LOST where there is no connection or it goes before the reply."""
        session = self._session
        if session is None or not session.is_connected:
            return Reply(Result.LOST)
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        session.ask(request, lambda reply: None if replied.done() else replied.set_result(reply))
        self._asked.add(replied)
        try:
            return await replied
        finally:
            self._asked.discard(replied)

    # --- lives --------------------------------------------------------------------------------------------------

    def _begin_life(self) -> None:
        assert self._place is not None
        self._timer = None
        self.lives += 1
        self._began_ms = self._clock.monotonic_ms()
        before = self.name.start_code if self.name else 0
        start_code = max(int(self._clock.wall_ms()), before + 1)
        self.name = ServerName(self._place.address.host, self._place.address.port, start_code)
        self.active = None
        self.stood_by = False
        self._founding = self._candidate = None
        self._session = self._open_session(self)
        self._session.start()
        self._changed()

    def _end_life(self, reason: str) -> None:
        """After everything that may act has been told."""
        session, self._session = self._session, None
        self._founding = self._candidate = None
        self._lose_asked()
        if session is not None:
            closing = asyncio.ensure_future(session.discard())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        if self._stopped or self.refusal.done():
            return
        lived_ms = self._clock.monotonic_ms() - self._began_ms
        self._pause_ms = NEXT_LIFE_MS_FIRST if lived_ms > LONG_LIFE_MS else min(self._pause_ms * 2, NEXT_LIFE_MS_MAX)
        logger.warning("%s is over: %s; another candidate follows in %.0f ms", self.name, reason, self._pause_ms)
        self._timer = self._later(self._pause_ms, self._begin_life)
        self._changed()

    def _refuse(self, reason: str) -> None:
        self.mastership.end("may not take part here")
        if not self.refusal.done():
            self.refusal.set_result(reason)
        self._end_life(reason)

    # --- what the session tells ---------------------------------------------------------------------------------

    def connected(self) -> None:
        """Found first, then stand; after another connection of one life, go on where it was."""
        if self._candidate is not None:
            self._connect(self._candidate)
            return
        assert self._place is not None
        founder = Founder(
            self.paths,
            self.writer,
            self._founded_by,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.wall_ms() / 1000)),
            lambda: os.urandom(SALT_BYTES),
            lambda: str(uuid.uuid4()),
        )
        self._founding = found(founder, self._memory)
        self._found_on(self._founding, None)

    def suspended(self, reason: str) -> None:
        """The lease says how long an active master goes on."""
        del reason  # the session has logged it
        self._founding = None
        self._lose_asked()
        if self._candidate is not None:
            self.flight.heard("suspended")
            self._carry_out(self._candidate.suspended())

    def ended(self, reason: str) -> None:
        """The session is over."""
        if self._candidate is not None:
            self.flight.heard("session_ended", reason)
            self._carry_out(self._candidate.session_ended(reason))
        else:
            self._end_life(reason)

    def refused(self, reason: str) -> None:
        """ZooKeeper does not accept the credential."""
        self._refuse(reason)

    def fired(self, path: str) -> None:
        """A watch of the candidate."""
        if self._candidate is not None:
            self.flight.heard("fired", path)
            self._carry_out(self._candidate.fired(path))

    # --- founding -----------------------------------------------------------------------------------------------

    def _found_on(self, founding: Founding, reply: Reply | None) -> None:
        if founding is not self._founding or self._session is None:
            return  # of a connection that has gone
        try:
            request = next(founding) if reply is None else founding.send(reply)
        except StopIteration as done:
            self._stand(done.value)
        except Refusal as error:
            self._refuse(str(error))
        else:
            if isinstance(request, Pause):
                logger.warning("the cluster at %s is gone: it is founded again when no lease can last", self.paths.root)
                self._later(self._session.lease.length_ms, lambda: self._found_on(founding, Reply(Result.OK)))
            else:
                self._session.ask(request, lambda reply: self._found_on(founding, reply))

    def _stand(self, founded: Founded) -> None:
        assert self._place is not None
        assert self._session is not None
        assert self.name is not None
        if founded.by_us:
            logger.info("cluster %s founded at %s", founded.mark.cluster_id, self.paths.root)
        self.founded = founded
        self._founding = None
        master = Master(self.name, self._place.info_port)
        data = encode_master(master, self.writer, os.urandom(SALT_BYTES))
        standing = Standing(self.paths, master, data, mark_path(self.paths.root), founded.mark.data())
        self._candidate = Candidate(standing, self._session.session_id)
        self.flight.life(standing, self._session.session_id)
        self._connect(self._candidate)

    def _connect(self, candidate: Candidate) -> None:
        self.flight.heard("connected")
        self._carry_out(candidate.connected())

    # --- election -----------------------------------------------------------------------------------------------

    def _carry_out(self, effects: list[Effect]) -> None:
        candidate = self._candidate
        for effect in effects:
            if isinstance(effect, End):
                self.mastership.end(effect.reason)
                self.active = None
                self._end_life(effect.reason)
                return
            assert self._session is not None
            assert candidate is not None
            if isinstance(effect, Ask):
                self._ask_for(candidate, effect)
            elif isinstance(effect, Doubt):
                self.mastership.doubt()
            elif isinstance(effect, BecomeActive):
                if effect.epoch != self.mastership.epoch:
                    logger.info("%s is the active master, epoch 0x%x", self.name, effect.epoch)
                self.mastership.begin(effect.epoch, self._session.lease, str(self.name))
                self.active = self.name
                self._changed()
            else:
                self._stand_by(effect)

    def _ask_for(self, candidate: Candidate, ask: Ask) -> None:
        def replied(reply: Reply) -> None:
            if candidate is self._candidate:
                self.flight.answered(ask.ticket, reply)
                self._carry_out(candidate.answered(ask.ticket, reply))

        assert self._session is not None
        self._session.ask(ask.request, replied)

    def _stand_by(self, effect: StandBy) -> None:
        self.stood_by = True
        if effect.active != self.active:
            logger.info("%s stands by, the active master is %s", self.name, effect.active or "not readable")
        self.active = effect.active
        self._changed()

    def _lose_asked(self) -> None:
        for replied in self._asked:
            if not replied.done():
                replied.set_result(Reply(Result.LOST))
