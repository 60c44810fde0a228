"""The faults of one RPC door: keeps them, asks them, and turns connections faulty and plain again.

Made only where `hbeacon.faults.enabled` is true. Implements registry.faults.control.FaultControl.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from registry.faults.control import FaultAccess
from registry.faults.machine import Decision, FaultRow, Faults
from registry.faults.rules import ON_OTHER_DOORS, REGIST, SECURI, BadFault, FaultKind, Rule, unknown_method
from registry.rpc.connection import RpcConnection
from registry.rpc.context import RpcContext
from registry.rpc.fault_view import KeptAnswers
from registry.rpc.faulty import FaultyConnection, SilentConnection, become
from registry.rpc.timed import new_connection
from registry.wire.stamp import Stamp, decode_stamp

LOG = logging.getLogger(__name__)

DELAYED_MAX = 50_000
"""Calls that are delayed at once; each keeps its request, a kilobyte or two. More are answered at once."""

HUNG_ON_MAX = 1000
"""When so many connections with hanging calls are remembered, those that have gone are forgotten."""
REFUSALS_APART_MS = 1000


class FaultDesk:
    """Belongs to the loop of its server."""

    def __init__(self, context: RpcContext, faults: Faults, access: FaultAccess) -> None:
        self._context = context
        self._faults = faults
        self._access = access
        self._kept: dict[int, KeptAnswers] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._refused_ms = float("-inf")
        self._offered: set[str] = set()
        self._hung: set[asyncio.Future[None]] = set()
        """Look-ups of other doors that are held."""
        self._hung_on: set[object] = set()
        """Connections with calls that hang, and some that have gone since."""
        self.delayed = 0
        """Calls that wait for their delay to pass."""
        self.half: tuple[object, int | None] | None = None
        """The connection whose call is being handed to the scheduler to be answered by half, and how many bytes."""
        context.faults = self

    # --- FaultControl --------------------------------------------------------------------------------------------

    @property
    def access(self) -> FaultAccess:
        """Who may change faults."""
        return self._access

    @property
    def applied(self) -> Mapping[FaultKind, int]:
        """How often each kind was applied since the start."""
        return self._faults.applied

    def rows(self) -> Sequence[FaultRow]:
        """Those that are set."""
        self._expire()
        return self._faults.rows(self._now_ms())

    def add(self, rule: Rule, by: str) -> FaultRow:
        """Set one; raises BadFault."""
        problem = unknown_method(rule, self._methods())
        if problem:
            raise BadFault(problem)
        row = self._faults.add(rule, self._now_ms())
        if rule.kind is FaultKind.STALE:
            self._kept[row.number] = self._answers_now()
        LOG.warning("fault %d set by %s: %s", row.number, by, row.rule)
        self._settle()
        return row

    def remove(self, number: int, by: str) -> bool:
        """Take one away; False where there is none of that number."""
        found = self._faults.remove(number)
        if found:
            LOG.warning("fault %d cleared by %s", number, by)
            self._settle()
        return found

    def clear(self, by: str) -> int:
        """Take all away, and reset the connections that they have left hanging."""
        count = self._faults.clear()
        hanging = [
            each for each in self._context.connections if isinstance(each, SilentConnection) or each in self._hung_on
        ]
        self._hung_on.clear()
        LOG.warning("all faults (%d) cleared by %s, %d hanging connections closed", count, by, len(hanging))
        for connection in hanging:
            connection.abort()
        for held in self._hung:
            held.set_result(None)
        self._hung.clear()
        self._settle()
        return count

    def refused(self, by: str, sentence: str) -> None:
        """Somebody who may not wanted to change them."""
        now_ms = self._now_ms()
        if now_ms - self._refused_ms < REFUSALS_APART_MS:  # any peer could fill a log
            return
        self._refused_ms = now_ms
        LOG.warning("a change of faults by %s was refused: %s", by or "somebody", sentence)

    def offer(self, methods: Iterable[str]) -> None:
        """Look-ups of another door: rules may name them too."""
        self._offered.update(methods)

    def at_look_up(self, method: str, peer_host: str) -> Decision | None:
        """What happens to a look-up of another door."""
        if not len(self._faults):
            return None
        return self._noted(self._faults.at_call(method, peer_host, self._now_ms(), ON_OTHER_DOORS))

    async def hang(self) -> None:
        """Ends when all faults are cleared."""
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hung.add(held)
        try:
            await held
        finally:
            self._hung.discard(held)

    # --- what connections ask ------------------------------------------------------------------------------------

    def at_accept(self, peer_host: str) -> Decision | None:
        """What happens to a new connection."""
        return self._noted(self._faults.at_accept(peer_host, self._now_ms()))

    def at_call(self, method: str, peer_host: str) -> Decision | None:
        """What happens to a call or a preamble."""
        return self._noted(self._faults.at_call(method, peer_host, self._now_ms()))

    def kept(self, number: int) -> KeptAnswers | None:
        """The answers of a fault `stale`."""
        return self._kept.get(number)

    def hung(self, connection: object) -> None:
        """A call on this connection will never be answered."""
        if len(self._hung_on) >= HUNG_ON_MAX:
            self._hung_on &= self._context.connections
        self._hung_on.add(connection)

    def may_delay(self) -> bool:
        """Whether one more call can be kept waiting."""
        return self.delayed < DELAYED_MAX

    # --- inside --------------------------------------------------------------------------------------------------

    def _noted(self, decision: Decision | None) -> Decision | None:
        if decision is not None and decision.rule.count is not None:
            # Later: the connection that asks must stay what it is until it has done what it was told.
            asyncio.get_running_loop().call_soon(self._settle)
        return decision

    def _settle(self) -> None:
        """Have connections be what the faults of this moment need."""
        context = self._context
        rows = self._faults.rows(self._now_ms())
        self._kept = {row.number: self._kept[row.number] for row in rows if row.number in self._kept}
        self._time_end(rows)
        if context.is_faulty is not bool(rows):
            context.set_faulty(bool(rows))
            kind = FaultyConnection if rows else RpcConnection
            context.new_connection = FaultyConnection if rows else new_connection
            for connection in tuple(context.connections):
                if not isinstance(connection, SilentConnection):
                    become(connection, kind)
            LOG.warning("faults are %s", "on: clients of this server are let down on purpose" if rows else "all gone")

    def _time_end(self, rows: Sequence[FaultRow]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ends_ms = [row.left_ms for row in rows if row.left_ms is not None]
        if ends_ms:
            self._timer = asyncio.get_running_loop().call_later(min(ends_ms) / 1000 + 0.001, self._expire)

    def _expire(self) -> None:
        over = self._faults.expire(self._now_ms())
        for row in over:
            LOG.warning("fault %d is over after its time, applied %d times: %s", row.number, row.applied, row.rule)
        if over or self._timer is not None:
            self._settle()

    def _methods(self) -> list[str]:
        """Every name by which a rule can mean something here."""
        context = self._context
        names = {REGIST, SECURI, *self._offered}
        for service in context.service_names:
            names.update(context.services.methods(service))
        for ready in context.ready.values():
            names.update(ready.answers)
        return sorted(names)

    def _answers_now(self) -> KeptAnswers:
        context = self._context
        bodies = {
            (service, method): answer.body
            for service, ready in context.ready.items()
            for method, answer in ready.answers.items()
        }
        stamps: dict[str, Stamp] = {}
        for _, method in bodies:
            stamp = decode_stamp(context.stamp(method)) if context.stamp is not None else None
            if stamp is not None:
                stamps[method] = stamp
        return KeptAnswers(context.cluster_id, bodies, stamps, self._now_ms())

    def _now_ms(self) -> float:
        return self._context.clock.monotonic_ms()
