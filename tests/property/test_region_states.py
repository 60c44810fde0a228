"""The machine of region states against servers that crash, repeat, delay and answer late.

A server here does what it was told at any later time, says so as often as it likes, and serves what was acknowledged.
Rows are durable when the test says so, or never, where the master dies first and another begins with what was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protos.hbase import ClusterStatus_pb2
from registry.master.catalogue import RegionRow, RegionState
from registry.master.held import Batch, Code, Goal, Order, Transition, Verdict
from registry.master.live_servers import FREE, OPEN, OWNED, LiveServers, Reached
from registry.master.placement import NOT_REACHABLE, Placement
from registry.master.region_states import RegionStates
from registry.names import ServerName
from registry.wire.region_info import RegionInfo
from tests.support.seeds import examples

REGIONS = [RegionInfo("t", b"%d" % each, b"", 1) for each in range(3)]
NAMES = [info.encoded_name for info in REGIONS]
WANTS = ("open", "close", "reopen", "move", "move")


@dataclass
class Server:
    """One life of a region server."""

    name: ServerName
    home: str
    orders: list[Order] = field(default_factory=list[Order])
    """Told, and not done."""
    open: dict[str, Order] = field(default_factory=dict[str, Order])
    serving: dict[str, str] = field(default_factory=dict[str, str])
    """Region to store."""
    reports: list[Transition] = field(default_factory=list[Transition])
    stores: set[str] = field(default_factory=set[str])


class Cluster(RuleBasedStateMachine):
    """One master after another, three regions, up to three servers."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0.0
        self.next_id = 0
        self.start_code = 0
        self.meta: dict[str, RegionRow] = {info.encoded_name: RegionRow(info, 1) for info in REGIONS}
        self.servers: list[Server] = []
        self.dead: list[Server] = []
        self.rows: dict[tuple[str, str], int] = {}
        """Store and region to what was written there."""
        self.written = dict.fromkeys(NAMES, 0)
        self.handed_over: dict[str, int] = {}
        self.new_master()
        self.come()
        self.come()
        self.states.want_open(NAMES)
        self.all_goes_well(5)

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id

    # --- the master ---------------------------------------------------------------------------------------------

    @rule()
    def new_master(self) -> None:
        self.live = LiveServers()
        self.placement = Placement(self.live)
        self.states = RegionStates(self.placement, self._id)
        self.batch: Batch | None = None
        self.waiting: list[tuple[Server, Transition]] = []
        """Reports that are acknowledged when all that is changed is written."""
        for row in self.meta.values():
            self.states.put(row, Goal.AS_IS if row.state is RegionState.CLOSED else Goal.OPEN)
        for name in {name for row in self.meta.values() for name in (row.sn, row.server) if name}:
            if all(server.name != name for server in self.servers):
                self.live.died(name, 0.0)
                self.states.died(name)
        for server in self.servers:
            self._meet(server)

    def _meet(self, server: Server) -> None:
        self.live.seen([each.name for each in self.servers], self.now_ms)
        self.live.met(server.name)
        self._report_stores()
        before = self.states.on(server.name)
        for name in self.states.met(server.name, list(server.serving), before):
            server.serving.pop(name, None)
            server.open.pop(name, None)
        self.states.look_again()

    def _report_stores(self) -> None:
        owners = {store: server for server in self.servers for store in server.stores}
        owned_by_dead = {store: server for server in self.dead for store in server.stores}
        stores = {store for store, _ in self.rows} | {server.home for server in [*self.servers, *self.dead]}
        for server in self.servers:
            reached = [
                Reached(
                    store,
                    OPEN
                    if owners.get(store) is server
                    else OWNED
                    if store in owners or store in owned_by_dead
                    else FREE,
                    store == server.home,
                    str((owners.get(store) or owned_by_dead.get(store) or server).name),
                )
                for store in sorted(stores)
            ]
            self.live.report(server.name, reached, ClusterStatus_pb2.ServerLoad(), self.now_ms)

    def _reach(self, server: Server, owner: Server | None, *, is_owned: bool) -> int:
        return OPEN if owner is server else OWNED if is_owned else FREE

    @rule()
    def advance(self) -> None:
        self.now_ms += 50
        self.states.advance(self.now_ms)
        for server in self.servers:
            orders = self.states.outbox.orders(server.name, 2)
            server.orders += orders
            self.states.outbox.sent(server.name, orders)

    @rule()
    def begin_to_write(self) -> None:
        if self.batch is None and self.states.is_dirty:
            self.batch = self.states.take_changes(2)

    @rule(is_answered=st.booleans())
    def write(self, is_answered: bool) -> None:
        if self.batch is None:
            return
        self.meta |= {row.info.encoded_name: row for _, row in self.batch.rows}
        if is_answered:
            self.states.written(self.batch)
            self.batch = None
            if not self.states.is_dirty:
                waiting, self.waiting = self.waiting, []
                for server, told in waiting:
                    self._acknowledge(server, told)

    @rule(name=st.sampled_from(NAMES), what=st.sampled_from(WANTS), where=st.integers(0, 2))
    def want(self, name: str, what: str, where: int) -> None:
        if what == "open":
            self.states.want_open([name])
        elif what == "close":
            self.states.want_closed([name])
        elif what == "reopen":
            self.states.want_reopen([name])
        elif self.servers and self.states.held[name].row.state is RegionState.OPEN:
            self.states.want_move(name, self.servers[where % len(self.servers)].name)

    # --- servers ------------------------------------------------------------------------------------------------

    @rule()
    def come(self) -> None:
        if len(self.servers) < 3:
            self.start_code += 1
            server = Server(ServerName("rs", 16020 + self.start_code, self.start_code), f"s{self.start_code}")
            server.stores.add(server.home)
            self.servers.append(server)
            self._meet(server)

    @rule(which=st.integers(0, 2))
    def die(self, which: int) -> None:
        if self.servers:
            server = self.servers.pop(which % len(self.servers))
            self.dead.append(server)
            self.live.died(server.name, 0.0)
            self.states.died(server.name)
            self._report_stores()
            self.states.look_again()

    @rule(which=st.integers(0, 2), number=st.integers(0, 3), is_repeated=st.booleans(), fails=st.booleans())
    def do(self, which: int, number: int, is_repeated: bool, fails: bool) -> None:
        if not self.servers or not (orders := self.servers[which % len(self.servers)].orders):
            return
        server = self.servers[which % len(self.servers)]
        order = orders[0] if is_repeated else orders.pop(0)
        name = order.info.encoded_name
        if not order.opens:
            held = server.open.pop(name, None)
            server.serving.pop(name, None)
            if order.hand_over and held is not None and not fails:
                self.handed_over[order.hand_over] = self.rows.get((held.store_id, name), 0)
            self._tell(server, Transition(Code.CLOSED, name, order_ids=(order.order_id,)))
            return
        if name in server.open and server.open[name].store_id == order.store_id:
            server.open[name] = order
        elif fails or not self._open(server, order):
            self._tell(server, Transition(Code.FAILED_OPEN, name, order_ids=(order.order_id,)))
            return
        server.serving.pop(name, None)
        self._tell(server, Transition(Code.OPENED, name, order.open_seq_num, (order.order_id,)))

    def _open(self, server: Server, order: Order) -> bool:
        name = order.info.encoded_name
        if any(order.store_id in other.stores for other in self.servers if other is not server):
            return False
        if name in server.open:
            server.open.pop(name)
            server.serving.pop(name, None)
        if order.hand_over:
            if order.hand_over not in self.handed_over:
                return False
            self.rows[order.store_id, name] = self.handed_over[order.hand_over]
        for other in self.dead:
            other.stores.discard(order.store_id)  # taken from it
        server.stores.add(order.store_id)
        server.open[name] = order
        self._report_stores()
        self.states.look_again()
        return True

    def _tell(self, server: Server, told: Transition) -> None:
        server.reports = [other for other in server.reports if other.region != told.region] + [told]

    @rule(which=st.integers(0, 2), number=st.integers(0, 3))
    def report(self, which: int, number: int) -> None:
        if not self.servers or not (reports := self.servers[which % len(self.servers)].reports):
            return
        server = self.servers[which % len(self.servers)]
        told = reports[number % len(reports)]
        if self.states.reported(server.name, told) is Verdict.REFUSED:
            server.reports.remove(told)
            server.open.pop(told.region, None)
            server.serving.pop(told.region, None)
        elif self.states.is_dirty or self.batch is not None:
            self.waiting.append((server, told))
        else:
            self._acknowledge(server, told)

    def _acknowledge(self, server: Server, told: Transition) -> None:
        if server not in self.servers or told not in server.reports:
            return
        server.reports.remove(told)
        order = server.open.get(told.region)
        if told.code is Code.OPENED and order is not None and order.order_id in told.order_ids:
            server.serving[told.region] = order.store_id
            assert self.rows.get((order.store_id, told.region), 0) == self.written[told.region]

    @rule(which=st.integers(0, 2))
    def client_writes(self, which: int) -> None:
        if self.servers:
            for name, store in self.servers[which % len(self.servers)].serving.items():
                self.written[name] += 1
                self.rows[store, name] = self.rows.get((store, name), 0) + 1

    @rule(rounds=st.integers(1, 3))
    def go_on(self, rounds: int) -> None:
        """Rules are drawn evenly, and this is most of what happens."""
        self.all_goes_well(rounds)

    @rule(rounds=st.integers(1, 8))
    def all_goes_well(self, rounds: int) -> None:
        """For a while."""
        for _ in range(rounds):
            self.now_ms += 1000
            self._report_stores()
            self.states.look_again()
            self.advance()
            self.begin_to_write()
            self.write(is_answered=True)
            for which, server in enumerate(self.servers):
                for _ in list(server.orders):
                    self.do(which, 0, is_repeated=False, fails=False)
                for _ in list(server.reports):
                    self.report(which, 0)
                self.client_writes(which)

    # --- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def one_serves_and_meta_knows_the_store(self) -> None:
        serving = [(name, store) for server in self.servers for name, store in server.serving.items()]
        assert len({name for name, _ in serving}) == len(serving)
        for name, store in serving:
            assert self.meta[name].store == store

    def teardown(self) -> None:
        """When nothing fails any more, all that is wanted is so in the end."""
        if not self.servers:
            self.come()
        for _ in range(20):
            self.now_ms += 60_000
            self.states.remind(self.now_ms)
            self.all_goes_well(10)
        for name in NAMES:
            held = self.states.held[name]
            assert not held.problem.startswith(NOT_REACHABLE), held
            assert held.is_settled, held
            assert (held.row.state is RegionState.OPEN) == any(name in server.serving for server in self.servers)


@pytest.mark.parametrize("rounds", range(4))
@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("then", ["close", "move", "the destination of another move dies"])
def test_what_is_wanted_of_a_region_that_is_on_its_way_to_another_store(rounds: int, steps: int, then: str):
    """It opened there without its rows where it was to be closed before its order had left."""
    cluster = Cluster()
    cluster.come()
    name = NAMES[0]
    here = next(index for index, server in enumerate(cluster.servers) if name in server.serving)
    there, elsewhere = (index for index in range(3) if index != here)
    cluster.want(name, "move", there)
    cluster.all_goes_well(rounds)
    for step in [cluster.advance, cluster.begin_to_write, lambda: cluster.write(is_answered=True)][:steps]:
        step()
    if then == "close":
        cluster.want(name, "close", 0)
    else:
        cluster.states.want_move(name, cluster.servers[elsewhere].name)
        if then != "move":
            cluster.die(elsewhere)
    cluster.one_serves_and_meta_knows_the_store()
    cluster.teardown()
    cluster.states.want_open([name])
    cluster.teardown()
    cluster.one_serves_and_meta_knows_the_store()
    assert any(name in server.serving for server in cluster.servers)


Cluster.TestCase.settings = settings(max_examples=examples(30), stateful_step_count=50, deadline=None)
test_regions = Cluster.TestCase
