"""What freshness promises, kept by feed, watcher and reader against followers that lag, lose their leader and hang up.

A state machine of Hypothesis in virtual time: whatever it writes, asks, cuts and drops, and in whatever order,

* a `fresh` answer holds every write that was acknowledged before the question, and its version says so;
* a zxid that was acknowledged is never called unreached, and one that was not is never taken for reached;
* `max_staleness` is kept, as far as the server of ZooKeeper at the other end had heard by then of what answers hold;
* versions do not go back; who asks together is answered by few reads;
* once everything is well again, everybody who still waits has an answer or a refusal, and a fresh question is met.

The faults planted at the end show that it finds what it is for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from registry.lookup.feed import ASKS_APART_MS, FeedSettings, RegistryFeed
from registry.lookup.fresh_reader import FreshReader
from registry.lookup.freshness import Refusal, Unmet, Wants
from registry.lookup.snapshot import Snapshot
from registry.names import Address, ServerName
from registry.zk import watcher as watcher_module
from tests.sim.model_ensemble import Ensemble, ModelClient
from tests.support.hbase_tree import HBaseTree
from tests.support.seeds import examples
from tests.support.virtual_loop import VirtualLoop

TREE = HBaseTree()
LIMIT_MS = 400.0
FOLLOWERS = 3
QUICK = settings(
    max_examples=examples(30),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow,),
    print_blob=True,
)
BEYOND = 1000


@dataclass(eq=False)
class Question:
    wants: Wants
    asked_at_ms: float
    acked_zxid: int
    """Of the last write that was acknowledged when it was asked."""
    task: asyncio.Task[Snapshot]


class FreshReads(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.questions: list[Question] = []
        self.masters: dict[int, int] = {}
        """zxid to the port of the master that was written."""
        self.seen: list[Any] = []
        self.began_ms = self.loop.monotonic_ms()

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        tree = {"/": b"", **{path: data for path, data, _ in TREE.znodes()}}
        self.ensemble = Ensemble(self.loop, random.Random(seed), tree, FOLLOWERS)
        self.original = watcher_module.ZooKeeperClient

        def make(_hosts: object, **options: Any) -> ModelClient:
            return ModelClient(self.ensemble, options["changed"], options["after_turn"])

        watcher_module.ZooKeeperClient = make  # type: ignore[assignment,misc]
        self.loop.run_until_complete(self._start())
        self.plant()
        self.write_master(1)
        self.loop.run_for(500.0)

    async def _start(self) -> None:
        hosts = (Address("zk", 2181),)
        self.feed = RegistryFeed(FeedSettings(hosts, session_timeout_ms=6000.0), self.loop)
        self.reader = FreshReader(self.feed, self.loop, lambda: LIMIT_MS, lambda: False)
        self.feed.subscribe(lambda snapshot: self.seen.append(snapshot.version))
        await self.feed.start()

    def plant(self) -> None:
        """A fault, in the test of this test."""

    # --- what may happen --------------------------------------------------------------------------------------------

    @rule(port=st.integers(1, 60_000))
    def write_master(self, port: int) -> None:
        zxid = self.ensemble.write("/hbase/master", TREE.master_data(ServerName("m", port, 5)))
        self.masters[zxid] = port

    @rule()
    def write_elsewhere(self) -> None:
        self.ensemble.write("/elsewhere", b"x")

    @rule(delay_ms=st.sampled_from([0.0, 0.5, 3.0, 20.0, 300.0]))
    def pass_time(self, delay_ms: float) -> None:
        self.loop.run_for(delay_ms)

    @rule(number=st.integers(0, FOLLOWERS - 1))
    def cut_off(self, number: int) -> None:
        self.ensemble.followers[number].is_cut_off = True

    @precondition(lambda self: any(follower.is_cut_off for follower in self.ensemble.followers))
    @rule()
    def heal(self) -> None:
        for follower in self.ensemble.followers:
            follower.heal()

    @rule()
    def drop(self) -> None:
        self.ensemble.clients[-1].drop_connection()

    @rule(count=st.sampled_from([1, 1, 30]))
    def ask_fresh(self, count: int) -> None:
        self._ask(Wants(fresh=True), count)

    @rule(count=st.sampled_from([1, 10]))
    def ask_for_what_was_acknowledged(self, count: int) -> None:
        self._ask(Wants(min_zxid=self.ensemble.zxid), count)

    @rule()
    def ask_for_what_was_not(self) -> None:
        self._ask(Wants(min_zxid=self.ensemble.zxid + BEYOND))

    @rule(age_ms=st.sampled_from([0.0, 5.0, 500.0]))
    def ask_for_age(self, age_ms: float) -> None:
        self._ask(Wants(max_staleness_ms=age_ms))

    @rule(moves=st.lists(st.sampled_from("wef"), min_size=4, max_size=16), longest_ms=st.sampled_from([0.5, 2.0, 6.0]))
    def bustle(self, moves: list[str], longest_ms: float) -> None:
        """Writes (w, elsewhere e) and fresh questions (f) in quick succession."""
        for number, move in enumerate(moves):
            if move == "w":
                self.write_master(number + len(self.masters))
            elif move == "e":
                self.write_elsewhere()
            else:
                self._ask(Wants(fresh=True))
            self.loop.run_for(self.ensemble.chance.uniform(0.0, longest_ms))
            self.answers_keep_their_promise()

    def _ask(self, wants: Wants, count: int = 1) -> None:
        async def meet() -> Snapshot:
            await self.reader.meet(wants)
            return self.feed.snapshot

        now_ms, acked_zxid = self.loop.monotonic_ms(), self.ensemble.zxid
        for _ in range(count):
            self.questions.append(Question(wants, now_ms, acked_zxid, self.loop.create_task(meet())))
        self.loop.run_for(0.01)

    # --- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def answers_keep_their_promise(self) -> None:
        for question in [question for question in self.questions if question.task.done()]:
            self.questions.remove(question)
            error = question.task.exception()
            if error is None:
                self._check(question, question.task.result())
                continue
            assert isinstance(error, Refusal), error
            beyond = question.wants.min_zxid > question.acked_zxid
            assert error.unmet in ({Unmet.NOT_REACHED, Unmet.SILENT} if beyond else {Unmet.SILENT}), error

    def _check(self, question: Question, snapshot: Snapshot) -> None:
        wants, zxid = question.wants, snapshot.version.zxid
        if wants.fresh:
            assert zxid >= question.acked_zxid, f"fresh at {zxid}, and {question.acked_zxid} was acknowledged"
            assert snapshot.active_master.value is not None
            port = snapshot.active_master.value.server_name.port
            since = {self.masters[at] for at in self.masters if at > question.acked_zxid}
            last = self.masters[max(at for at in self.masters if at <= question.acked_zxid)]
            assert port in since | {last}, f"{port} was not the master any more"
        assert zxid >= wants.min_zxid
        if wants.max_staleness_ms is not None:
            moment_ms = question.asked_at_ms - wants.max_staleness_ms
            heard = min(follower.zxid_at(moment_ms) for follower in self.ensemble.followers)
            # of what lies elsewhere no answer has to tell
            ours = max((at for at in self.masters if at <= heard), default=0)
            assert zxid >= ours, f"{zxid}, and all servers had heard of {ours}"

    @invariant()
    def versions_do_not_go_back(self) -> None:
        assert self.seen == sorted(self.seen)
        del self.seen[:-1]

    @invariant()
    def few_reads_answer_many(self) -> None:
        lasted_ms = self.loop.monotonic_ms() - self.began_ms
        assert self.ensemble.syncs <= 2 + lasted_ms / ASKS_APART_MS + self.feed.session.connects

    def teardown(self) -> None:
        if not hasattr(self, "feed"):
            return
        try:
            for follower in self.ensemble.followers:
                follower.heal()
            self.loop.run_for(LIMIT_MS + 3000.0)
            self.answers_keep_their_promise()
            assert not self.questions, "somebody waits for ever"
            asked, before = self.feed.leader_asked, self.ensemble.zxid
            self._ask(Wants(fresh=True), 100)
            self.loop.run_for(LIMIT_MS)
            results = [question.task.result().version.zxid for question in self.questions]
            assert min(results) >= before
            assert self.feed.leader_asked - asked <= 2, "those who ask together share"
        finally:
            watcher_module.ZooKeeperClient = self.original  # type: ignore[misc]
            for question in self.questions:
                question.task.cancel()
            self.loop.run_until_complete(self.feed.stop())
            self.loop.close()


def test_fresh_reads() -> None:
    run_machine(FreshReads, settings=QUICK)


# --- planted faults -------------------------------------------------------------------------------------------------


def skip_the_sync(machine: FreshReads) -> None:
    """Followers say that they have caught up without asking."""
    machine.ensemble.sync_is_skipped = True


def take_any_answer_for_the_leaders(machine: FreshReads) -> None:
    """What a follower answers counts as the leader's word."""
    feed: Any = machine.feed
    feed.read_at_ms = lambda: feed._cache.confirmed_at_ms or 0.0


def do_not_wait_for_the_sync(machine: FreshReads) -> None:
    """The read goes with it, stamped with what was seen before."""
    feed: Any = machine.feed
    watcher = feed._watcher

    def ask_leader() -> bool:
        if not watcher._synced or watcher._syncing:
            return False
        watcher._syncing = True
        now_ms = machine.loop.monotonic_ms()
        watcher._unanswered.append(now_ms)
        machine.ensemble.clients[-1].sync(lambda answer: watcher._answered(watcher._epoch, now_ms, answer))
        watcher._beat(now_ms)
        return True

    watcher.ask_leader = ask_leader


def read_before_the_question(machine: FreshReads) -> None:
    """Whoever asks while a read is under way is given what it brings."""
    feed: Any = machine.feed
    read_at_ms = feed.read_at_ms
    feed.read_at_ms = lambda: read_at_ms() + 8.0


PLANTS = (skip_the_sync, take_any_answer_for_the_leaders, do_not_wait_for_the_sync, read_before_the_question)


@pytest.mark.parametrize("fault", PLANTS)
def test_a_planted_fault_is_found(fault: Callable[[FreshReads], None]) -> None:
    class Broken(FreshReads):
        def plant(self) -> None:
            fault(self)

    many = settings(QUICK, max_examples=400, phases=[Phase.generate], database=None, report_multiple_bugs=False)
    with pytest.raises(AssertionError, match=r"was acknowledged|was not the master any more|had heard of|is asked for"):
        run_machine(Broken, settings=many)
