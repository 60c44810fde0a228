"""What must hold of every answer, every failure and every run of the look-up simulation."""

from __future__ import annotations

from collections.abc import Sequence

from registry.client.answers import What
from registry.client.hedging.budget import HedgePool
from registry.client.questions import NotKnown
from registry.lookup.snapshot import Version
from registry.wire.stamp import Stamp, decode_stamp
from tests.sim.model_clients import Client, Question, value_of
from tests.sim.model_registry import Registry, Reply
from tests.sim.model_world import SharedZooKeeper, World

AGE_ROUNDING_MS = 1.0
PATIENCE_MS = 250.0
PATIENCE_USUALS = 4.0
"""What the client promises of one silent server: a quarter of a second, or four times what is unusual. Written down
here again, not imported: a promise that is changed with the code is none."""
SLACK_MS = 150.0
"""Of the network: two round trips, each with a hiccup."""
EXTRA_RATIO = 0.05
"""Calls beyond the needed ones."""
EXTRA_IN_A_ROW = 20


class Judge:
    """Raises AssertionError at the event that breaks a promise."""

    def __init__(
        self, world: World, zookeeper: SharedZooKeeper, servers: Sequence[Registry], clients: Sequence[Client]
    ) -> None:
        self._world = world
        self._zookeeper = zookeeper
        self._servers = servers
        self._clients = clients
        self._seen: dict[tuple[int, int], Version] = {}
        """Client and server to the version that came last."""

    # --- every answer that arrives ------------------------------------------------------------------------------

    def arrived(self, client: Client, reply: Reply, what: What) -> None:
        """Also those for which nobody waits any more."""
        stamp = stamp_of(reply)
        version = Version(stamp.generation, stamp.zxid)
        key = (client.number, reply.server)
        before = self._seen.get(key, version)
        assert version >= before, f"client {client.number}, server {reply.server}: {version} after {before}"
        self._seen[key] = version
        try:
            value = value_of(what, reply)
        except NotKnown:
            self._world.counts["not known"] += 1
            return
        self._check_truth(reply, stamp, what, value)

    def _check_truth(self, reply: Reply, stamp: Stamp, what: What, value: object) -> None:
        """Neither newer than ZooKeeper nor older than the server's own claim."""
        life = self._servers[reply.server].life_of[stamp.generation]
        now_life, now_zxid = self._zookeeper.zxid_at(reply.at_ms)
        assert (life, stamp.zxid) <= (now_life, now_zxid), f"server {reply.server} is ahead of ZooKeeper: {stamp}"
        since_ms = reply.at_ms - stamp.age_ms - AGE_ROUNDING_MS
        if stamp.age_ms > 1000:
            self._world.counts["stale answers"] += 1
        true = self._zookeeper.true_since(what, life, stamp.zxid, since_ms, reply.at_ms)
        assert value in true, f"server {reply.server} says {what.value} {value} at {stamp}, true was {true}"

    # --- every look-up that ends --------------------------------------------------------------------------------

    def ended(self, question: Question, pool: HedgePool) -> None:
        """With an answer, or without."""
        self._check_wait(question, pool)
        if question.reply is None:
            self._check_failure(question)
        elif question.wants:
            self._check_wants(question, question.reply)

    def _able(self, question: Question) -> list[Registry]:
        """Who could have answered it all the time."""
        paths = self._clients[question.client].paths
        return [
            server
            for server in self._servers
            if not paths[server.number].is_cut
            and paths[server.number].disturbed_ms < question.begun_ms
            and server.can_answer_since_ms(question.what, question.wants) < question.begun_ms
        ]

    def _check_failure(self, question: Question) -> None:
        if question.wants.min_zxid > self._zookeeper.life.zxid:
            return  # of a history that is lost: nobody will ever be there
        able = self._able(question)
        assert not able, (
            f"client {question.client}: {question.what.value} fails although server {able[0].number} could answer"
        )

    def _check_wait(self, question: Question, pool: HedgePool) -> None:
        """Whoever hangs: while one can answer, nobody waits longer than for the others' shares of patience."""
        able = self._able(question)
        if question.wants or not able:
            return
        self._world.counts["waits checked"] += 1
        others = len(self._servers) - 1
        share_ms = max(PATIENCE_MS, PATIENCE_USUALS * pool.usual_ms)
        slowest_ms = max(server.slow_ms_most for server in able)
        limit_ms = others * share_ms + 1.1 * slowest_ms + SLACK_MS
        took_ms = question.ended_ms - question.begun_ms
        assert took_ms <= limit_ms, (
            f"client {question.client}: {question.what.value} took {took_ms:.0f} ms, at most {limit_ms:.0f}"
            f" as server {able[0].number} could answer"
        )

    def _check_wants(self, question: Question, reply: Reply) -> None:
        wants, stamp = question.wants, stamp_of(reply)
        self._world.counts["wants met"] += 1
        life = self._servers[reply.server].life_of[stamp.generation]
        if wants.fresh:
            since_ms = question.begun_ms
        elif wants.max_staleness_ms is not None:
            since_ms = question.begun_ms - wants.max_staleness_ms - AGE_ROUNDING_MS
        else:
            assert life > 0 or stamp.zxid >= wants.min_zxid, f"{wants} is answered at {stamp}"
            return
        value = value_of(question.what, reply)
        true = self._zookeeper.true_since(question.what, life, 0, since_ms, reply.at_ms)
        assert value in true, f"{wants}: {question.what.value} {value} at {stamp}, true since the question: {true}"

    # --- the end ------------------------------------------------------------------------------------------------

    def over(self) -> None:
        """Nobody asks any more: nothing is left but one kept connection for each server."""
        for client in self._clients:
            assert client.calls_outstanding == 0, (
                f"client {client.number} has left {client.calls_outstanding} calls under way that nobody waits for"
            )
            for server in self._servers:
                count = client.connections(server)
                assert count <= 1, f"client {client.number} has {count} connections to server {server.number}"


def check_extra(look_ups: Sequence[Question], allowance: float = EXTRA_IN_A_ROW) -> None:
    """One call in twenty, and what may come in a row; those that win were needed."""
    extra = sum(each.calls - 1 - each.hedge_won for each in look_ups)
    allowed = allowance + EXTRA_RATIO * len(look_ups)
    assert extra <= allowed, f"{extra} extra calls for {len(look_ups)} look-ups, {allowed:.0f} allowed"


def stamp_of(reply: Reply) -> Stamp:
    """What the answer says of itself."""
    stamp = decode_stamp(reply.stamp)
    assert stamp is not None
    return stamp
