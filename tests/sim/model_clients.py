"""Hedged clients in virtual time: the machines of the policy that ship, on connections that are modelled.

A connection is as RpcSource keeps it: one for each server, shared by calls, made anew once where a kept one turns out
to be gone, dropped where a call on it has timed out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import cast

from registry.client.answers import RegionLocation, What
from registry.client.hedging.asking import Refusal
from registry.client.hedging.budget import HedgePool
from registry.client.hedging.lookup import HedgedLookup
from registry.client.hedging.policy import HedgePolicy, HedgeSettings
from registry.client.probing import pause_ms, share_ms
from registry.client.questions import QUESTIONS, NotKnown
from registry.lookup.freshness import Wants
from tests.sim.model_registry import Registry, Reply
from tests.sim.model_world import Path, Timer, World

PAUSE_MS = 100.0
PAUSE_MARGIN_MS = 1.0
RETRIES_MAX = 15
SILENT_MS_MAX = 1000.0
"""As in RpcSource: a kept connection that has said nothing for so long since it was asked is not asked again."""

Outcome = Reply | Refusal


class Channel:
    """One connection."""

    def __init__(self, server: Registry, life: int) -> None:
        self.server = server
        self.life = life
        self.open = False
        self.gone = False
        self.stuck = False
        """Half an answer has come, and nothing will come after it."""
        self.silent_since_ms: float | None = None
        """When the first call was sent after which nothing was heard."""
        self.calls: list[Call] = []

    def is_silent(self, now_ms: float) -> bool:
        """Whether it was asked, and has said nothing for too long."""
        since_ms = self.silent_since_ms
        return self.open and since_ms is not None and now_ms - since_ms >= SILENT_MS_MAX


@dataclass(eq=False)
class Call:
    """One call, connecting included."""

    server: Registry
    what: What
    wants: Wants
    done: Callable[[Outcome], None]
    reused: bool
    over: bool = False
    channel: Channel | None = None

    def end(self, outcome: Outcome) -> None:
        """The first word counts."""
        if not self.over:
            self.over = True
            self.done(outcome)


@dataclass
class Question:
    """One look-up as its caller sees it."""

    client: int
    what: What
    wants: Wants
    begun_ms: float
    deadline_ms: float
    calls: int = 0
    hedge_won: bool = False
    """The answer came to an extra call, which was a needed one so."""
    ended_ms: float = 0.0
    reply: Reply | None = None
    late: Collection[Registry] = field(default_factory=tuple["Registry", ...])


class Client:
    """One client object without history."""

    def __init__(self, world: World, number: int, servers: list[Registry], pool: HedgePool) -> None:
        self.number = number
        self.servers = servers
        self.paths = {server.number: Path(world) for server in servers}
        self.policy = HedgePolicy[Registry](HedgeSettings(), pool, world.chance)
        self.arrived: Callable[[Client, Reply, What], None] = lambda _client, _reply, _what: None
        """Hears of every answer that arrives, those too for which nobody waits any more."""
        self._world = world
        self._channels: dict[int, Channel] = {}
        self._made: list[Channel] = []
        """Connections that are not gone."""

    @property
    def calls_outstanding(self) -> int:
        """On all connections."""
        return sum(len(channel.calls) for channel in self._made)

    def near(self) -> list[Registry]:
        """Servers to which a connection is open."""
        return [channel.server for channel in self._channels.values() if channel.open and not channel.gone]

    def connections(self, server: Registry) -> int:
        """To one server, those too that nothing is asked on any more."""
        return sum(channel.server is server for channel in self._made)

    def look_up(self, question: Question, done: Callable[[Question], None]) -> None:
        """Ask until there is an answer, or the deadline has come; `done` hears of it once."""
        LookUp(self._world, self, question, done)

    # --- calls --------------------------------------------------------------------------------------------------

    def call(self, server: Registry, what: What, wants: Wants, done: Callable[[Outcome], None]) -> Call:
        """Ask one server."""
        call = Call(server, what, wants, done, reused=server.number in self._channels)
        self._begin(call)
        return call

    def cancel(self, call: Call) -> None:
        """Nobody waits for it any more."""
        call.over = True
        if call.channel is not None and call in call.channel.calls:
            call.channel.calls.remove(call)
            self._end_unused(call.channel)

    def reset(self, server: Registry) -> None:
        """The connection is lost."""
        self.paths[server.number].disturbed_ms = self._world.now_ms
        channel = self._channels.get(server.number)
        if channel is not None:
            self._lost(channel)

    def _begin(self, call: Call) -> None:
        channel = self._channels.get(call.server.number)
        if channel is not None and channel.is_silent(self._world.now_ms):
            self._world.counts["silent connections"] += 1
            del self._channels[call.server.number]
            self._end_unused(channel)
            channel = None
        if channel is None or channel.gone:
            channel = self._channels[call.server.number] = Channel(call.server, call.server.life)
            self._made.append(channel)
            call.reused = False
            self._world.counts["connections"] += 1
            self._connect(channel)
        call.channel = channel
        channel.calls.append(call)
        if channel.open:
            self._send(channel, call)

    def _connect(self, channel: Channel) -> None:
        """The kernel accepts, also for a process that stands still."""
        path, server = self.paths[channel.server.number], channel.server

        def accepted() -> None:
            channel.open = not channel.gone
            if channel.open:
                for call in list(channel.calls):
                    self._send(channel, call)

        def syn() -> None:
            channel.life = server.life
            path.send(accepted if server.up else lambda: self._lost(channel))

        path.send(syn)

    def _send(self, channel: Channel, call: Call) -> None:
        path, server = self.paths[channel.server.number], channel.server
        if channel.silent_since_ms is None:
            channel.silent_since_ms = self._world.now_ms

        def request() -> None:
            if not server.up or server.life != channel.life:
                path.send(lambda: self._lost(channel))
            else:
                server.call(call.what, call.wants, reply)

        def reply(answer: Reply | None) -> None:
            if server.half:
                breaks = self._world.chance.random() < 0.5
                self._world.counts["half answers"] += 1
                path.send((lambda: self._lost(channel)) if breaks else (lambda: self._stick(channel)))
            else:
                path.send(lambda: self._take(channel, call, answer))

        path.send(request)

    def _stick(self, channel: Channel) -> None:
        channel.stuck = True
        # from then on it is noticed, which is what excuses a failure
        self.paths[channel.server.number].disturbed_ms = self._world.now_ms + SILENT_MS_MAX

    def _take(self, channel: Channel, call: Call, answer: Reply | None) -> None:
        if channel.gone or channel.stuck:
            return
        channel.silent_since_ms = None
        if answer is not None:
            self.arrived(self, answer, call.what)
        if call in channel.calls:
            channel.calls.remove(call)
            self._end_unused(channel)
        if call.over:
            return
        empty = answer is None
        if answer is not None:
            # NotKnown of the real decoder is what a server says that has not read ZooKeeper yet
            empty = not is_known(call.what, answer)
        call.end(Refusal.DOES_NOT_KNOW if empty or answer is None else answer)

    def _end_unused(self, channel: Channel) -> None:
        """One that was silent ends with the last call that waits on it."""
        if not channel.calls and self._channels.get(channel.server.number) is not channel:
            self._lost(channel)

    def _lost(self, channel: Channel) -> None:
        if channel.gone:
            return
        channel.gone = True
        self._made.remove(channel)
        if self._channels.get(channel.server.number) is channel:
            del self._channels[channel.server.number]
        calls, channel.calls = channel.calls, []
        for call in calls:
            if call.over:
                continue
            if call.reused:
                call.reused = False
                self._begin(call)
            else:
                call.end(Refusal.FAILED)


def value_of(what: What, reply: Reply) -> object:
    """As the client decodes it; raises NotKnown."""
    question = QUESTIONS[what]
    value = question.value(question.response_type.FromString(reply.body))
    if what is What.META_LOCATIONS:
        return cast("tuple[RegionLocation, ...]", value)[0].server_name
    return value


def is_known(what: What, reply: Reply) -> bool:
    """Whether the answer holds the thing asked for."""
    try:
        value_of(what, reply)
    except NotKnown:
        return False
    return True


class LookUp:
    """Passes of HedgedLookup with growing pauses, as Connection and RpcSource make them."""

    def __init__(self, world: World, client: Client, question: Question, done: Callable[[Question], None]) -> None:
        self._world = world
        self._client = client
        self._question = question
        self._done = done
        self._tries = 0
        self._calls: dict[Registry, Call] = {}
        self._timer: Timer | None = None
        self._lookup: HedgedLookup[Registry]
        self._over = False
        self._deadline = world.later(question.deadline_ms - world.now_ms, self._too_late)
        self._pass()

    def _pass(self) -> None:
        question, now_ms = self._question, self._world.now_ms
        servers, near = self._client.servers, self._client.near()
        share = share_ms(question.deadline_ms - now_ms, len(servers))
        method = QUESTIONS[question.what].method
        self._lookup = HedgedLookup(self._client.policy, servers, method, now_ms, share, question.late, near)
        self._ask(self._lookup.first(now_ms))
        self._arm()

    def _ask(self, server: Registry | None) -> None:
        if server is None:
            return
        question, lookup = self._question, self._lookup
        question.calls += 1
        call = self._client.call(
            server, question.what, question.wants, lambda outcome: self._heard(lookup, server, outcome)
        )
        self._calls[server] = call

    def _heard(self, lookup: HedgedLookup[Registry], server: Registry, outcome: Outcome) -> None:
        if self._over or lookup is not self._lookup or server not in self._calls:
            return
        del self._calls[server]
        now_ms = self._world.now_ms
        if isinstance(outcome, Reply):
            lookup.answered(server, now_ms)
            self._end(outcome)
            return
        self._ask(lookup.failed(server, now_ms, is_there=outcome is Refusal.DOES_NOT_KNOW))
        self._look()

    def _look(self) -> None:
        """As the face does after each thing that has happened."""
        self._ask(self._lookup.woken(self._world.now_ms))
        if self._lookup.is_over:
            self._give_up()
            self._pass_failed()
        else:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wake_ms = self._lookup.wake_ms
        if wake_ms is not None:
            self._timer = self._world.later(wake_ms - self._world.now_ms, self._look)

    def _pass_failed(self) -> None:
        remaining_ms = self._question.deadline_ms - self._world.now_ms
        wait_ms = min(pause_ms(PAUSE_MS, self._tries, self._world.chance), remaining_ms - PAUSE_MARGIN_MS)
        if self._tries == RETRIES_MAX or wait_ms <= 0:
            self._end(None)
            return
        self._tries += 1
        self._world.later(wait_ms, lambda: None if self._over else self._pass())

    def _give_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for call in self._calls.values():
            self._client.cancel(call)
        self._calls.clear()

    def _too_late(self) -> None:
        if not self._over:
            self._lookup.given_up(self._world.now_ms)
            self._end(None)

    def _end(self, reply: Reply | None) -> None:
        self._over = True
        self._deadline.cancel()
        self._give_up()
        question = self._question
        question.hedge_won = self._lookup.hedge_won
        question.ended_ms = self._world.now_ms
        question.reply = reply
        self._done(question)
