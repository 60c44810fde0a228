"""The self-check: our answers held against those of the other adapters and of real servers that speak the service.

Asking is passed in, so that this file knows no sockets; `registry.lookup.ask` asks over HBase RPC.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from registry.clock import Clock
from registry.lookup.agreement import Agreement, Disagreement, PeerAnswers
from registry.lookup.snapshot import Snapshot
from registry.lookup.speakers import Probe, Speakers
from registry.names import Address, ServerName

logger = logging.getLogger("registry.selfcheck")

ASKED_AT_ONCE_MAX = 8
"""Questions under way at one time: a large cluster is learnt over some seconds, not in one burst."""


class NotSpoken(Exception):
    """The peer closed the connection or does not know ClientMetaService."""


Ask = Callable[[Address, float], Awaitable[PeerAnswers]]
"""Ask one server for cluster id, active master and meta locations within `timeout_ms`.

Raises NotSpoken for a server that does not know the service, OSError or TimeoutError for one that is not reached.
"""


@dataclass(frozen=True, slots=True)
class SelfCheckSettings:
    """How often and whom."""

    interval_ms: float = 1000.0
    """Between two comparisons with one peer."""
    timeout_ms: float = 1000.0
    peers: tuple[Address, ...] = ()
    """The tier, `hbeacon.registry.servers`; our own address among them is left out."""
    own: frozenset[Address] = frozenset()
    """Addresses at which we are reached ourselves."""


class SelfCheck:
    """Asks, compares, remembers; runs as one task on the loop, and no peer's silence delays another's turn."""

    def __init__(
        self,
        settings: SelfCheckSettings,
        ask: Ask,
        clock: Clock,
        current: Callable[[], tuple[Snapshot, float]],
        speakers_changed: Callable[[frozenset[ServerName]], None],
    ) -> None:
        """`current` gives the snapshot and its age_ms; `speakers_changed` is told whom `auto` may hand out."""
        self._settings = settings
        self._ask = ask
        self._clock = clock
        self._current = current
        self._speakers_changed = speakers_changed
        self._agreement = Agreement()
        self._speakers = Speakers()
        self._asked: dict[Address, asyncio.Task[None]] = {}
        self._unreached: dict[Address, str] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; call on the loop."""
        assert self._task is None, "started twice"
        self._task = asyncio.create_task(self._run(), name="self-check")

    async def stop(self) -> None:
        """End, with whatever is under way."""
        tasks = [task for task in (self._task, *self._asked.values()) if task is not None]
        self._task = None
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def set_peers(self, peers: tuple[Address, ...]) -> None:
        """Follow a new tier, from the next turn on."""
        for gone in set(self._settings.peers) - set(peers):
            self._agreement.forget(gone)
            self._unreached.pop(gone, None)
        self._settings = SelfCheckSettings(
            self._settings.interval_ms, self._settings.timeout_ms, peers, self._settings.own
        )

    def disagreements(self) -> tuple[Disagreement, ...]:
        """What differs now and since when, young differences too."""
        return self._agreement.rows(self._clock.monotonic_ms())

    def speaking(self) -> frozenset[ServerName]:
        """Real servers that were seen to answer ClientMetaService."""
        return self._speakers.speaking()

    def silent(self) -> frozenset[ServerName]:
        """Real servers that were asked, and did not answer when last asked."""
        return self._speakers.silent()

    async def _run(self) -> None:
        while True:
            self._turn()
            await asyncio.sleep(self._settings.interval_ms / 1000.0)

    def _turn(self) -> None:
        snapshot, _ = self._current()
        before = self._speakers.speaking()
        self._speakers.follow(_servers(snapshot))
        if self._speakers.speaking() != before:
            self._speakers_changed(self._speakers.speaking())
        for peer in self._settings.peers:
            if peer not in self._settings.own:
                self._ask_soon(peer, None)
        masters = set(_masters(snapshot)) & self._speakers.speaking()
        for server in (*masters, *self._speakers.due(self._clock.monotonic_ms())):
            if server.address not in self._settings.own:
                self._ask_soon(server.address, server)

    def _ask_soon(self, address: Address, server: ServerName | None) -> None:
        if address in self._asked or len(self._asked) >= ASKED_AT_ONCE_MAX:
            return  # its last question is still open, or enough are: the next turn comes soon
        task = asyncio.create_task(self._compare(address, server), name=f"self-check {address}")
        self._asked[address] = task
        task.add_done_callback(lambda _: self._asked.pop(address, None))

    async def _compare(self, address: Address, server: ServerName | None) -> None:
        probe, problem = Probe.ANSWERED, ""
        try:
            theirs = await self._ask(address, self._settings.timeout_ms)
        except NotSpoken as error:
            probe, problem = Probe.CLOSED, str(error)
        except (OSError, TimeoutError) as error:
            probe, problem = Probe.UNREACHED, str(error) or type(error).__name__
        else:
            snapshot, age_ms = self._current()
            self._agreement.compare(address, theirs, snapshot, age_ms, self._clock.monotonic_ms())
        if problem:
            self._agreement.forget(address)
        if server is not None:
            if self._speakers.note(server, probe, self._clock.monotonic_ms()):
                logger.info("%s: ClientMetaService %s %s", server, probe.value, problem)
                self._speakers_changed(self._speakers.speaking())
        elif not problem:
            self._unreached.pop(address, None)
        elif address in self._settings.peers:
            if address not in self._unreached:
                logger.warning("registry server %s does not answer: %s", address, problem)
            self._unreached[address] = problem


def _masters(snapshot: Snapshot) -> Iterable[ServerName]:
    if snapshot.active_master.value is not None:
        yield snapshot.active_master.value.server_name
    yield from snapshot.backup_masters.value or ()


def _servers(snapshot: Snapshot) -> Iterable[ServerName]:
    yield from _masters(snapshot)
    for region_server in snapshot.region_servers.value or ():
        yield region_server.server_name
