"""Orders that come twice, late, out of order and after a crash: the newest decides, and its end is reported."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from protos.hbase import HBase_pb2, RegionServerStatus_pb2
from regionserver.hosting.order_machine import (
    CLOSED,
    FAILED_OPEN,
    OPENED,
    Close,
    CloseOrder,
    Effect,
    Open,
    OpenOrder,
    OrderMachine,
    Phase,
    Serve,
    TableSchema,
)
from regionserver.hosting.reports import Report, Reports
from registry.names import ServerName
from registry.wire.region_info import RegionInfo
from tests.support.seeds import examples

INFOS = [RegionInfo("t", b"", b"m", 1), RegionInfo("t", b"m", b"", 1)]
SCHEMAS = [TableSchema(HBase_pb2.TableSchema(), b"one", None), TableSchema(HBase_pb2.TableSchema(), b"two", None)]


def opening(info: RegionInfo = INFOS[0], **changed: object) -> OpenOrder:
    return replace(OpenOrder(info, SCHEMAS[0], "home", 1, 2), **changed)  # pyright: ignore[reportArgumentType]


class Desk:
    """The machine with its reports; the test does the work."""

    def __init__(self) -> None:
        self.reports = Reports()
        self.machine = OrderMachine(self.reports)
        self.reports.when_acknowledged = lambda report: self.then(self.machine.acknowledged(report))
        self.reports.when_refused = lambda report: self.then(self.machine.refused(report))
        self.work: dict[str, Open | Close] = {}
        self.served: set[str] = set()

    def then(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Serve(region):
                    assert self.machine.phase_of(region) is Phase.SERVING
                    assert region not in self.work
                    self.served.add(region)
                case Open(order):
                    assert order.region not in self.work, "one thing at a time"
                    assert order.region not in self.served
                    self.work[order.region] = effect
                case Close(opened_as, _):
                    assert opened_as.region not in self.work, "one thing at a time"
                    self.served.discard(opened_as.region)
                    self.work[opened_as.region] = effect

    def finish(self, region: str, *, fails: bool = False) -> None:
        match self.work.pop(region):
            case Close():
                self.then(self.machine.closed(region))
            case Open():
                self.then(self.machine.open_failed(region) if fails else self.machine.opened(region))

    def told(self, region: str) -> RegionServerStatus_pb2.RegionStateTransition | None:
        found = [report.transition for report in self.reports.pending() if report.region == region]
        assert len(found) <= 1, "only the newest is told"
        return found[0] if found else None

    def report(self, region: str) -> Report:
        return next(report for report in self.reports.pending() if report.region == region)


def opened(desk: Desk, order: OpenOrder) -> None:
    desk.then(desk.machine.order_open(order))
    desk.finish(order.region)
    desk.reports.acknowledged(desk.report(order.region).number)


def test_a_region_is_served_after_the_acknowledgment():
    desk, order = Desk(), opening(proc_id=7, open_seq_num=5, master_active_ms=99)
    desk.then(desk.machine.order_open(order))
    assert desk.told(order.region) is None
    desk.finish(order.region)
    told = desk.told(order.region)
    assert told is not None
    assert (told.transition_code, told.open_seq_num, list(told.proc_id)) == (OPENED, 5, [7])
    assert told.initiating_master_active_time == 99
    assert RegionInfo.from_message(told.region_info[0]) == order.info
    assert not desk.served
    desk.reports.acknowledged(desk.report(order.region).number)
    assert desk.served == {order.region}
    assert not desk.reports


def test_what_is_open_is_reported_again_and_goes_on_being_served():
    desk = Desk()
    opened(desk, opening(proc_id=1, open_seq_num=5))
    desk.then(desk.machine.order_open(opening(proc_id=2, open_seq_num=4)))
    told = desk.told(INFOS[0].encoded_name)
    assert told is not None
    assert (told.transition_code, told.open_seq_num, list(told.proc_id)) == (OPENED, 5, [2])
    assert desk.served
    assert not desk.work


def test_another_descriptor_or_store_is_a_closing_and_an_opening():
    for order in (opening(schema=SCHEMAS[1]), opening(store_id="other"), opening(life=2)):
        desk = Desk()
        opened(desk, opening())
        desk.then(desk.machine.order_open(order))
        assert isinstance(desk.work[order.region], Close)
        desk.finish(order.region)
        assert desk.work[order.region] == Open(order)
        assert desk.told(order.region) is None, "the master asked for an opening"


def test_closing_what_is_not_there():
    desk = Desk()
    info = INFOS[0]
    desk.then(desk.machine.order_close(CloseOrder(info.encoded_name, proc_id=3, info=info)))
    told = desk.told(info.encoded_name)
    assert told is not None
    assert (told.transition_code, list(told.proc_id)) == (CLOSED, [3])
    desk.reports.acknowledged(desk.report(info.encoded_name).number)
    assert not desk.reports


def test_a_closing_that_comes_while_it_opens():
    desk, region = Desk(), INFOS[0].encoded_name
    desk.then(desk.machine.order_open(opening()))
    desk.then(desk.machine.order_close(CloseOrder(region, "h", ServerName("b", 1, 2), proc_id=4)))
    desk.finish(region)
    assert desk.told(region) is None
    work = desk.work[region]
    assert isinstance(work, Close)
    assert work.order is not None
    assert work.order.hand_over == "h"
    desk.finish(region)
    told = desk.told(region)
    assert told is not None
    assert told.transition_code == CLOSED
    assert desk.machine.phase_of(region) is None


def test_an_opening_that_fails():
    desk, region = Desk(), INFOS[0].encoded_name
    desk.then(desk.machine.order_open(opening(proc_id=8)))
    desk.finish(region, fails=True)
    told = desk.told(region)
    assert told is not None
    assert (told.transition_code, list(told.proc_id)) == (FAILED_OPEN, [8])
    assert desk.machine.phase_of(region) is None


def test_an_opening_that_the_master_does_not_want():
    desk, region = Desk(), INFOS[0].encoded_name
    desk.then(desk.machine.order_open(opening()))
    desk.finish(region)
    desk.reports.refused(desk.report(region).number)
    assert isinstance(desk.work[region], Close)
    desk.finish(region)
    assert not desk.reports
    assert not desk.served


def test_the_acknowledgment_of_an_opening_that_was_overtaken():
    """The report was on its way when the order to close came."""
    desk, region = Desk(), INFOS[0].encoded_name
    desk.then(desk.machine.order_open(opening()))
    desk.finish(region)
    number = desk.report(region).number
    desk.then(desk.machine.order_close(CloseOrder(region)))
    desk.reports.acknowledged(number)
    assert not desk.served
    desk.finish(region)
    desk.reports.acknowledged(number)
    told = desk.told(region)
    assert told is not None
    assert told.transition_code == CLOSED


def test_the_end_of_the_server_reports_nothing():
    desk = Desk()
    opened(desk, opening())
    desk.then(desk.machine.order_open(opening(INFOS[1])))
    desk.then(desk.machine.close_all())
    for info in INFOS:
        desk.finish(info.encoded_name)
    desk.finish(INFOS[1].encoded_name)
    assert not len(desk.machine)
    assert not desk.served


ORDERS_KEPT = 30


class Life(RuleBasedStateMachine):
    """A master that repeats itself and a network that keeps what it likes; the newest order received is what counts."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[OpenOrder | CloseOrder] = []
        self.proc_id = 0
        self.begin()

    def begin(self) -> None:
        self.desk = Desk()
        self.newest: dict[str, OpenOrder | CloseOrder] = {}
        self.given_up: set[str] = set()
        """Refused by the master, or failed, as it was told; since the newest order."""

    @rule()
    def crash(self) -> None:
        self.begin()

    def receive(self, order: OpenOrder | CloseOrder) -> None:
        self.newest[order.region] = order
        self.given_up.discard(order.region)
        machine = self.desk.machine
        self.desk.then(machine.order_open(order) if isinstance(order, OpenOrder) else machine.order_close(order))

    @rule(info=st.sampled_from(INFOS), schema=st.sampled_from(SCHEMAS), store=st.sampled_from(["home", "other"]))
    def send_open(self, info: RegionInfo, schema: TableSchema, store: str) -> None:
        self.proc_id += 1
        order = OpenOrder(info, schema, store, 1, 1 + self.proc_id, proc_id=self.proc_id)
        self.sent.append(order)
        self.receive(order)

    @rule(info=st.sampled_from(INFOS), hand_over=st.sampled_from(["", "h1", "h2"]))
    def send_close(self, info: RegionInfo, hand_over: str) -> None:
        self.proc_id += 1
        order = CloseOrder(info.encoded_name, hand_over, proc_id=self.proc_id, info=info)
        self.sent.append(order)
        self.receive(order)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.receive(data.draw(st.sampled_from(self.sent[-ORDERS_KEPT:])))

    @precondition(lambda self: self.desk.work)
    @rule(data=st.data(), fails=st.booleans())
    def work_ends(self, data: st.DataObject, fails: bool) -> None:
        region = data.draw(st.sampled_from(sorted(self.desk.work)))
        self.desk.finish(region, fails=fails)
        told = self.desk.told(region)
        if told is not None and told.transition_code == FAILED_OPEN:
            self.given_up.add(region)

    @precondition(lambda self: len(self.desk.reports) > 0)
    @rule(data=st.data(), wanted=st.booleans())
    def report_is_answered(self, data: st.DataObject, wanted: bool) -> None:
        report = data.draw(st.sampled_from(list(self.desk.reports.pending())))
        assert report.transition is not None
        if wanted or report.transition.transition_code != OPENED:
            self.desk.reports.acknowledged(report.number)
        else:
            self.given_up.add(report.region)
            self.desk.reports.refused(report.number)

    @invariant()
    def only_the_newest_is_told(self) -> None:
        for report in self.desk.reports.pending():
            assert report.transition is not None
            newest = self.newest[report.region]
            assert list(report.transition.proc_id) == [newest.proc_id]
            if report.transition.transition_code == CLOSED:
                assert isinstance(newest, CloseOrder)
            else:
                assert isinstance(newest, OpenOrder)

    @invariant()
    def what_is_served_is_open_here(self) -> None:
        for region in self.desk.served:
            assert self.desk.machine.phase_of(region) is Phase.SERVING
            assert region not in self.desk.work
        for region in self.desk.work:
            assert self.desk.machine.phase_of(region) in (Phase.OPENING, Phase.CLOSING)

    def teardown(self) -> None:
        """When all work succeeds and everything is acknowledged, the newest order is how it is."""
        for _ in range(4):
            for region in list(self.desk.work):
                self.desk.finish(region)
            for report in self.desk.reports.pending():
                self.desk.reports.acknowledged(report.number)
        assert not self.desk.work
        places = {order.region: (order, phase) for order, phase in self.desk.machine}
        for region, newest in self.newest.items():
            if isinstance(newest, CloseOrder):
                assert region not in places
            elif region in places:
                assert places[region][0].is_same_place(newest)
                assert places[region][1] is Phase.SERVING
                assert region in self.desk.served
            else:
                assert region in self.given_up, "an order to open is not forgotten"


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=examples(30), stateful_step_count=30, deadline=None)
