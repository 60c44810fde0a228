"""A region server's calls to masters that come, go, refuse and hang: real sockets, scripted masters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from protos.hbase import RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.hosting.reports import Report, Reports
from regionserver.link import SEEN_HOST, SERVICE, MasterLink, Unwelcome
from registry.clock import SystemClock
from registry.names import ServerName
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import Call, Handled, ServiceTable
from registry.wire.errors import (
    ClockOutOfSyncException,
    HBaseError,
    PleaseHoldException,
    ServerNotRunningYetException,
    YouAreDeadException,
)
from registry.wire.znode import encode_server_name
from tests.support.rpc import eventually

Status = RegionServerStatus_pb2
ME = ServerName("rs1", 16020, 7)


class ScriptedMaster:
    """Answers as told: an error for each of the next calls, then well."""

    def __init__(self) -> None:
        self.errors: list[HBaseError] = []
        self.seen_host = ""
        self.silent = False
        self.calls: list[tuple[str, object]] = []
        self.refused: list[int] = []
        self.too_early: list[int] = []
        self.problem = ""
        self.gate = asyncio.Event()
        self.name = ServerName("", 0)
        table = ServiceTable()
        for method, request_type, answer in (
            ("RegionServerStartup", Status.RegionServerStartupRequest, self.start_up),
            ("RegionServerReport", ClusterV1_pb2.ServerReport, lambda: b""),
            ("ReportRegionStateTransition", Status.ReportRegionStateTransitionRequest, self.transitions),
            ("ReportProcedureDone", Status.ReportProcedureDoneRequest, lambda: b""),
            ("ReportRSFatalError", Status.ReportRSFatalErrorRequest, lambda: b""),
        ):
            table.add(SERVICE, method, request_type, self.handler(method, answer))
        self.server = RpcServer(RpcServerSettings(), table, SystemClock())

    def handler(self, method: str, answer: Callable[[], Handled]) -> Callable[[Call], Awaitable[Handled]]:
        async def handle(call: Call) -> Handled:
            self.calls.append((method, call.request))
            if self.silent:
                await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            return answer()

        return handle

    def start_up(self) -> Handled:
        answer = Status.RegionServerStartupResponse()
        if self.seen_host:
            answer.map_entries.add(name=SEEN_HOST, value=self.seen_host)
        return answer

    def transitions(self) -> Handled:
        return ClusterV1_pb2.TransitionsTaken(
            error_message=self.problem or None, refused=self.refused, too_early=self.too_early
        )

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)


@asynccontextmanager
async def scripted_masters(count: int = 1) -> AsyncGenerator[list[ScriptedMaster]]:
    masters = [ScriptedMaster() for _ in range(count)]
    try:
        for number, master in enumerate(masters):
            address = await master.server.start("127.0.0.1", 0)
            master.name = ServerName("127.0.0.1", address.port, number)
        yield masters
    finally:
        for master in masters:
            master.gate.set()
            await master.server.stop()


class Linked:
    """A link, and which master it is told to be active."""

    def __init__(self, active: ServerName | None) -> None:
        self.active = active
        self.reports = Reports()
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        self.founded: list[bool] = []
        self.reports.when_acknowledged = self.note_acknowledged
        self.reports.when_refused = self.note_refused
        self.link = MasterLink(lambda: self.active, SystemClock(), self.reports)
        self.tasks: list[asyncio.Task[None]] = []

    def note_acknowledged(self, report: Report) -> None:
        self.acknowledged.append(report.number)

    def note_refused(self, report: Report) -> None:
        self.refused.append(report.number)

    def opened(self, region: str) -> None:
        code = Status.RegionStateTransition.OPENED
        self.reports.tell_transition(region, Status.RegionStateTransition(transition_code=code, open_seq_num=2))

    def reporting(self, interval_ms: float = 60_000) -> asyncio.Task[None]:
        async def make() -> ClusterV1_pb2.ServerReport:
            return ClusterV1_pb2.ServerReport(server=encode_server_name(ME))

        async def taken(answer: ClusterV1_pb2.ReportTaken) -> None:
            self.founded.append(answer.founded)

        task = asyncio.create_task(self.link.report(make, lambda: interval_ms, taken))
        self.tasks.append(task)
        return task

    def telling(self) -> asyncio.Task[None]:
        task = asyncio.create_task(self.link.tell(ME))
        self.tasks.append(task)
        return task


@asynccontextmanager
async def linked(master: ScriptedMaster | None) -> AsyncGenerator[Linked]:
    made = Linked(master.name if master is not None else None)
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, Unwelcome):
                await task
        await made.link.close()


async def test_who_starts_waits_for_a_master_that_takes_it_in() -> None:
    async with scripted_masters() as (master,), linked(None) as one:
        started = asyncio.create_task(one.link.start_up(ME))
        await asyncio.sleep(0.05)
        assert not started.done(), "no master is known yet"
        master.errors = [
            PleaseHoldException("Master is initializing"),
            ServerNotRunningYetException("Server is not running yet"),
        ]
        one.active = master.name
        one.link.wake_for_master()
        await asyncio.wait_for(started, 5)
        assert master.count("RegionServerStartup") == 3
        _, request = master.calls[-1]
        assert isinstance(request, Status.RegionServerStartupRequest)
        assert (request.port, request.server_start_code, request.use_this_hostname_instead) == (16020, 7, "rs1")
        assert not one.link.view.problem


@pytest.mark.parametrize("error", [YouAreDeadException("you are dead"), ClockOutOfSyncException("skew")], ids=str)
async def test_what_no_other_try_can_mend_ends_it(error: HBaseError) -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        master.errors = [error]
        with pytest.raises(Unwelcome, match=error.message):
            await asyncio.wait_for(one.link.start_up(ME), 5)
        master.errors = [error]
        with pytest.raises(Unwelcome):
            await asyncio.wait_for(one.reporting(), 5)


async def test_a_master_that_sees_another_name() -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        master.seen_host = "rs1.example.com"
        with pytest.raises(Unwelcome, match=r"sees this server as rs1.example.com, it is advertised as rs1"):
            await asyncio.wait_for(one.link.start_up(ME), 5)


async def test_reports_come_by_the_clock_and_at_once_when_woken() -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        one.reporting(30)
        await eventually(lambda: master.count("RegionServerReport") >= 3)
    async with scripted_masters() as (master,), linked(master) as one:
        one.reporting()
        await eventually(lambda: master.count("RegionServerReport") == 1)
        await asyncio.sleep(0.05)
        assert master.count("RegionServerReport") == 1
        one.link.wake()
        await eventually(lambda: master.count("RegionServerReport") == 2)


async def test_the_next_master_is_asked_at_once_while_the_last_one_hangs() -> None:
    async with scripted_masters(2) as (first, second), linked(first) as one:
        first.silent = True
        one.reporting()
        one.opened("aa")
        one.telling()
        await eventually(lambda: len(first.calls) == 2)
        assert one.link.view.reports_waiting == 1
        one.active = second.name
        one.link.wake_for_master()
        await eventually(lambda: second.count("RegionServerReport") == 1)
        await eventually(lambda: one.acknowledged == [1])
        assert one.link.view.master == second.name
        assert not one.link.view.problem
        assert one.link.view.answered_ms_ago < 5000


async def test_the_death_of_all_masters_is_survived() -> None:
    async with scripted_masters(2) as (first, second), linked(first) as one:
        report = one.reporting(20)
        tell = one.telling()
        await eventually(lambda: first.count("RegionServerReport") > 1)
        await first.server.stop()
        one.active = None
        one.link.wake_for_master()
        await eventually(lambda: bool(one.link.view.problem))
        one.opened("aa")
        await asyncio.sleep(0.1)
        assert not report.done()
        assert not tell.done()
        assert one.link.view.master is None
        one.active = second.name
        one.link.wake_for_master()
        await eventually(lambda: second.count("RegionServerReport") > 0 and one.acknowledged == [1])


async def test_what_became_of_regions_is_told_until_it_is_taken() -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        one.telling()
        master.problem = "the catalogue cannot be written"
        one.opened("aa")
        await eventually(lambda: master.count("ReportRegionStateTransition") >= 2)
        assert one.acknowledged == []
        master.problem = ""
        await eventually(lambda: one.acknowledged == [1])
        master.refused, master.too_early = [0], [2]
        for region in ("bb", "cc", "dd"):
            one.opened(region)
        await eventually(lambda: one.acknowledged == [1, 3])
        assert one.refused == [2]
        assert [report.region for report in one.reports.pending()] == ["dd"]
        master.refused = master.too_early = []
        await eventually(lambda: one.acknowledged == [1, 3, 4])


async def test_a_region_that_changed_again_while_its_report_was_away_is_told_anew() -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        master.silent = True
        one.opened("aa")
        one.telling()
        await eventually(lambda: master.count("ReportRegionStateTransition") == 1)
        code = Status.RegionStateTransition.CLOSED
        one.reports.tell_transition("aa", Status.RegionStateTransition(transition_code=code))
        master.silent = False
        master.gate.set()
        await eventually(lambda: one.acknowledged == [2])
        _, request = master.calls[-1]
        assert isinstance(request, Status.ReportRegionStateTransitionRequest)
        assert [each.transition_code for each in request.transition] == [code]


async def test_results_of_procedures_are_told_beside_transitions() -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        one.opened("aa")
        one.reports.tell_result(Status.RemoteProcedureResult(proc_id=9, status=Status.RemoteProcedureResult.SUCCESS))
        one.telling()
        await eventually(lambda: one.acknowledged == [1, 2])
        assert [method for method, _ in master.calls] == ["ReportRegionStateTransition", "ReportProcedureDone"]


async def test_a_fatal_error_is_told_once_and_not_for_long() -> None:
    async with scripted_masters() as (master,), linked(master) as one:
        await one.link.tell_fatal(ME, "a store failed")
        _, request = master.calls[-1]
        assert isinstance(request, Status.ReportRSFatalErrorRequest)
        assert request.error_message == "a store failed"
        master.errors = [YouAreDeadException("dead")]
        await one.link.tell_fatal(ME, "again")
        one.active = None
        await one.link.tell_fatal(ME, "and again")
