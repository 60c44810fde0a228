"""Answers by HBase RPC: probing the list of registry servers, keeping connections, renewing the list.

Source: AbstractRpcBasedConnectionRegistry, RpcConnectionRegistry, MasterRegistry, RegistryEndpointsRefresher.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from registry.client.answers import Found, RegistryMaster, What
from registry.client.attempts import AttemptLog
from registry.client.hedging.asking import Refusal, hedge
from registry.client.hedging.budget import shared_pool
from registry.client.hedging.lookup import HedgedLookup
from registry.client.hedging.policy import HedgePolicy
from registry.client.probing import Policy, groups, share_ms
from registry.client.questions import QUESTIONS, SERVICE, NotKnown, Question
from registry.client.resolving import Resolver
from registry.client.server_list import ServerList
from registry.client.settings import ClientSettings
from registry.client.spoken import SPOKEN
from registry.client.target import RpcTarget
from registry.client.wanted import attributes_of
from registry.clock import Clock
from registry.lookup.freshness import NOTHING, Wants
from registry.lookup.snapshot import Version
from registry.names import Address, ServerName
from registry.rpc.client import RpcChannel, fetch_cluster_id
from registry.wire.errors import (
    CallTimeoutException,
    ConnectionClosedException,
    DoNotRetryIOException,
    ErrorAction,
    HBaseError,
    ProtocolError,
    StoppedRpcClientException,
)
from registry.wire.stamp import Stamp

logger = logging.getLogger("registry.client")

FRESHLY = " freshly"
"""Behind the name of a method: what it takes where ZooKeeper is read first says nothing of what it takes else."""

SILENT_MS_MAX = 1000.0
"""A kept connection that has said nothing for so long since it was asked gets no new call: what lies behind it may be
gone without a word (half an answer, a lost path), while the server answers whoever connects anew."""


@dataclass(slots=True)
class AskStats:
    """What the policy has done so far."""

    hedges: int = 0
    """Extra calls because a server took too long."""
    hedges_won: int = 0
    """Those that brought the answer."""
    cancelled: int = 0
    """Calls that were given up because another server had answered."""


class RpcSource:
    """The registry servers of one cluster. Belongs to one loop; `close` ends every connection and task."""

    def __init__(self, target: RpcTarget, settings: ClientSettings, clock: Clock, chance: random.Random) -> None:
        self.servers = ServerList(target.servers, settings, clock, chance)
        self._renewed_by = target.renewed_by
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._channels: dict[Address, RpcChannel] = {}
        self._silent: set[RpcChannel] = set()
        """Connections that get no new call; they end with the last one that waits."""
        self._connecting: dict[Address, asyncio.Lock] = {}
        self._cluster_id = ""
        """The cluster these servers belong to, once it is known: a list of another cluster is refused."""
        self._refresher: asyncio.Task[None] | None = None
        self._look_again = asyncio.Event()
        """Wakes the refresher when the time of the next refresh may have changed."""
        self._reaper: asyncio.TimerHandle | None = None
        self._used_ms = 0.0
        self._closed = False
        self.stats = AskStats()
        self._resolver = Resolver(clock)
        hedging = settings.hedging
        pool = shared_pool(target.servers, hedging.budget_ratio, hedging.budget_tokens_max)
        self._policy = HedgePolicy[Address](hedging, pool, chance)

    def __str__(self) -> str:
        return ",".join(map(str, self.servers.configured))

    async def ask(
        self,
        what: What,
        remaining_ms: Callable[[], float],
        log: AttemptLog,
        avoid: Collection[str] = (),
        wants: Wants = NOTHING,
    ) -> list[tuple[What, Found]]:
        """One pass through the list; empty when every server has failed, which `log` then tells.

        A server gets at most its share of what remains, so one that hangs does not take the others' time.
        """
        if self._closed:
            raise StoppedRpcClientException("the connection was closed")
        self._start_refresher()
        if self._settings.policy is Policy.HEDGED:
            return await self._ask_hedged(what, remaining_ms, log, avoid, wants)
        known = (*self.servers.current, *self.servers.configured)
        order = self.servers.order(self._chance, {server for server in known if str(server) in avoid})
        fanout = self._settings.fanout if self._settings.policy is Policy.FANOUT else 1
        parts = groups(order, fanout)
        for index, group in enumerate(parts):
            limit_ms = share_ms(remaining_ms(), len(parts) - index)
            found = await self._ask_group(group, what, limit_ms, log, wants)
            if found is not None:
                return self._found(what, found)
        return []

    def configure(self, servers: Iterable[Address]) -> None:
        """The user's list of servers has changed."""
        self.servers.configure(servers)
        self._drop_unused()

    async def close(self) -> None:
        """End connections and tasks; outstanding calls fail."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        if self._refresher is not None:
            self._refresher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refresher
        await self._resolver.close()
        channels, self._channels = [*self._channels.values(), *self._silent], {}
        for channel in channels:
            channel.close()
        for channel in channels:
            await channel.wait_closed()

    # --- asking -------------------------------------------------------------------------------------------------

    async def _ask_group(
        self, group: Sequence[Address], what: What, limit_ms: float, log: AttemptLog, wants: Wants
    ) -> Found | None:
        """Ask all of a group at once; the first valid answer wins, the others are forgotten."""
        if len(group) == 1:
            return await self._ask_one(group[0], what, limit_ms, log, wants)
        tasks = {asyncio.create_task(self._ask_one(server, what, limit_ms, log, wants)) for server in group}
        try:
            pending = tasks
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (found := task.result()) is not None:
                        return found
            return None
        finally:
            for task in tasks:
                self.stats.cancelled += task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_hedged(
        self,
        what: What,
        remaining_ms: Callable[[], float],
        log: AttemptLog,
        avoid: Collection[str],
        wants: Wants,
    ) -> list[tuple[What, Found]]:
        """Ask one, and others as the policy says; the first valid answer wins, the other calls are cancelled."""
        current = self.servers.current
        if not self._resolver.knows(current):
            current = await self._resolver.expand(current)
        is_own = self.servers.configured is self.servers.current
        rest = current if is_own else await self._resolver.expand(self.servers.configured)
        servers = current if is_own else (*current, *(server for server in rest if server not in current))
        late: Collection[Address] = ()
        if avoid or not is_own:
            late = {server for server in servers if server not in current or str(server) in avoid}
        near = [server for server, channel in self._channels.items() if channel.is_open]
        limit_ms = remaining_ms()
        begun_ms = self._clock.monotonic_ms()
        share = share_ms(limit_ms, len(servers))
        method = QUESTIONS[what].method
        if wants:
            method += FRESHLY
        lookup = HedgedLookup(self._policy, servers, method, begun_ms, share, late, near)
        found = await hedge(lookup, lambda server: self._try(server, what, limit_ms, log, wants), self._clock)
        if len(lookup.asked) or lookup.hedges:  # others than the first were asked
            self.stats.hedges += lookup.hedges
            self.stats.hedges_won += lookup.hedge_won
            self.stats.cancelled += len(lookup.cancelled)
        return [] if found is None else self._found(what, found)

    def _found(self, what: What, found: Found) -> list[tuple[What, Found]]:
        if what is What.CLUSTER_ID:
            self._cluster_id = str(found.value)
        self._reap_later()
        return [(what, found)]

    async def _ask_one(
        self, server: Address, what: What, limit_ms: float, log: AttemptLog, wants: Wants = NOTHING
    ) -> Found | None:
        tried = await self._try(server, what, limit_ms, log, wants)
        return tried if isinstance(tried, Found) else None

    async def _try(
        self, server: Address, what: What, limit_ms: float, log: AttemptLog, wants: Wants
    ) -> Found | Refusal:
        name = str(server)
        log.begin(name)
        try:
            found = await self._answer_of(server, what, limit_ms, log, wants)
        except NotKnown as problem:
            self.servers.answered(server)
            log.end(name, None, str(problem))
            return Refusal.DOES_NOT_KNOW
        except HBaseError as error:
            if error.action is ErrorAction.RECONNECT:
                self._trouble(server)
            log.end(name, error)
            # A server that cannot answer as freshly as this one question wants it is as good as ever for others.
            return Refusal.DOES_NOT_KNOW if wants and error.action is not ErrorAction.RECONNECT else Refusal.FAILED
        except ProtocolError as error:
            log.end(name, None, f"answers nonsense: {error}")
            return Refusal.FAILED
        # Cancelled: the server stays under way in the log, so that the deadline's error names it.
        log.drop(name)
        self.servers.answered(server)
        return found

    async def _answer_of(self, server: Address, what: What, limit_ms: float, log: AttemptLog, wants: Wants) -> Found:
        question = QUESTIONS[what]
        deadline_ms = self._clock.monotonic_ms() + limit_ms
        try:
            value, stamp = await self._call(server, question, deadline_ms, log, wants)
        except HBaseError as error:
            if what is not What.CLUSTER_ID or wants or not _may_answer_regist(error):
                raise
            # A server that wants to know who we are tells the cluster id all the same, by the preamble.
            log.calls += 1
            left_ms = min(self._settings.rpc_timeout_ms, deadline_ms - self._clock.monotonic_ms())
            cluster_id = await fetch_cluster_id(server, left_ms, connect_timeout_ms=self._settings.connect_timeout_ms)
            if cluster_id is None:
                raise
            value, stamp = cluster_id, None
        if wants and (stamp is None or not stamp.wants_met):
            raise DoNotRetryIOException("does not say whether its answer is as new as is asked for")
        if stamp is None:
            return Found(value, str(server))
        version = Version(stamp.generation, stamp.zxid)
        age_ms = None if stamp.age_ms == float("inf") else stamp.age_ms
        return Found(value, str(server), version, age_ms, stamp.changed_zxid)

    async def _call(
        self, server: Address, question: Question, deadline_ms: float, log: AttemptLog, wants: Wants
    ) -> tuple[object, Stamp | None]:
        """One call; a kept connection that turns out to be gone is made anew once."""
        reused = server in self._channels
        while True:
            channel = await self._channel(server, deadline_ms - self._clock.monotonic_ms())
            log.calls += 1
            left_ms = min(self._settings.rpc_timeout_ms, deadline_ms - self._clock.monotonic_ms())
            try:
                response, stamp = await channel.call_stamped(
                    question.method,
                    question.request,
                    question.response_type,
                    timeout_ms=left_ms,
                    wants=attributes_of(wants) if wants else None,
                )
            except ConnectionClosedException:
                if not reused:
                    raise
                reused = False
                continue
            except CallTimeoutException:
                # Whatever holds this call up holds up the next one on the same connection too.
                self._drop(server, channel)
                raise
            finally:
                if channel in self._silent and not channel.calls_outstanding:
                    self._silent.discard(channel)
                    channel.close()
            return question.value(response), stamp

    async def _channel(self, server: Address, limit_ms: float) -> RpcChannel:
        """The connection to a server, made where there is none; callers that come meanwhile wait for the same."""
        channel = self._channels.get(server)
        if channel is not None and channel.is_open and not self._is_silent(channel):
            return channel
        async with self._connecting.setdefault(server, asyncio.Lock()):
            channel = self._channels.get(server)
            if channel is not None and channel.is_open:
                if not self._is_silent(channel):
                    return channel
                if channel.calls_outstanding:
                    self._silent.add(channel)
                else:
                    channel.close()
            channel = await RpcChannel.connect(
                server,
                SERVICE,
                user=self._settings.user,
                connect_timeout_ms=min(self._settings.connect_timeout_ms, limit_ms),
                read_timeout_ms=self._settings.read_timeout_ms,
                version=SPOKEN,
            )
            if self._closed:
                channel.close()
                raise StoppedRpcClientException("the connection was closed")
            self._channels[server] = channel
            return channel

    def _is_silent(self, channel: RpcChannel) -> bool:
        """Where answers take seconds, a second of silence says nothing: new connections would make it worse."""
        silent_ms = channel.silent_ms
        return silent_ms >= SILENT_MS_MAX and silent_ms >= self._policy.patience_ms(float("inf"))

    def _drop(self, server: Address, channel: RpcChannel) -> None:
        if self._channels.get(server) is channel:
            del self._channels[server]
        channel.close()

    def _reap_later(self) -> None:
        """Close connections that nobody has used for a while; the next look-up makes new ones."""
        self._used_ms = self._clock.monotonic_ms()
        if self._reaper is None:
            self._time_reaping(self._settings.idle_timeout_ms)

    def _time_reaping(self, wait_ms: float) -> None:
        self._reaper = asyncio.get_running_loop().call_later(wait_ms / 1000, self._reap)

    def _reap(self) -> None:
        left_ms = self._used_ms + self._settings.idle_timeout_ms - self._clock.monotonic_ms()
        if left_ms > 0:  # one timer, looked at when it fires, is cheaper than one set anew by each look-up
            self._time_reaping(left_ms)
            return
        self._reaper = None
        for server, channel in list(self._channels.items()):
            if not channel.calls_outstanding:
                self._drop(server, channel)

    def _drop_unused(self) -> None:
        known = {*self.servers.current, *self.servers.configured}
        for server, channel in list(self._channels.items()):
            if server not in known and not channel.calls_outstanding:
                self._drop(server, channel)

    # --- renewing the list --------------------------------------------------------------------------------------

    def _trouble(self, server: Address) -> None:
        self.servers.failed(server)
        self._look_again.set()

    def _start_refresher(self) -> None:
        if self._refresher is None and self.servers.next_refresh_ms() is not None:
            self._refresher = asyncio.create_task(self._refresh_forever(), name="refresh of the registry servers")

    async def _refresh_forever(self) -> None:
        while (wait_ms := self.servers.next_refresh_ms()) is not None:
            self._look_again.clear()
            if wait_ms > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_ms / 1000):
                        await self._look_again.wait()
                continue
            self.servers.refresh_begins()
            try:
                await self.refresh_servers()
            finally:
                self.servers.refresh_ended()

    async def refresh_servers(self) -> bool:
        """Ask for the list and take it over if it is not empty and one of its servers answers for our cluster."""
        log = AttemptLog(self._clock)
        budget_ms = self._settings.rpc_timeout_ms
        begun_ms = self._clock.monotonic_ms()
        answers = await self.ask(self._renewed_by, lambda: begun_ms + budget_ms - self._clock.monotonic_ms(), log)
        handed_out = _addresses(answers[0][1].value) if answers else []
        if not handed_out or set(handed_out) == set(self.servers.current):
            return False
        self._chance.shuffle(handed_out)
        checks = AttemptLog(self._clock)
        for index, server in enumerate(handed_out):
            limit_ms = share_ms(begun_ms + 2 * budget_ms - self._clock.monotonic_ms(), len(handed_out) - index)
            found = await self._ask_one(server, What.CLUSTER_ID, limit_ms, checks)
            if found is None:
                continue
            if self._cluster_id and found.value != self._cluster_id:
                logger.warning("%s is of cluster %s, not of ours: list not taken over", server, found.value)
                return False
            self.servers.replace(handed_out)
            self._drop_unused()
            logger.info("registry servers are now %s", ", ".join(map(str, handed_out)))
            return True
        logger.warning("none of the servers handed out answers, the list stays: %s", checks.error(What.CLUSTER_ID))
        self._drop_unused()
        return False


def _addresses(handed_out: object) -> list[Address]:
    """Addresses in an answer to GetMasters or GetBootstrapNodes; a port 0 is none."""
    names = [
        each.server_name if isinstance(each, RegistryMaster) else each
        for each in cast("tuple[ServerName | RegistryMaster, ...]", handed_out)
    ]
    return list(dict.fromkeys(name.address for name in names if name.port))


def _may_answer_regist(error: HBaseError) -> bool:
    """Whether a server that refuses the call is still there to be asked by the preamble."""
    return isinstance(error, ConnectionClosedException) or error.do_not_retry
