"""A region server's calls to the active master, whoever that is at the moment.

    RegionServerStartup                 once, until a master has taken this server in
    RegionServerReport                  every hbase.regionserver.msginterval, and at once where a store came or went
    ReportRegionStateTransition,        as soon as there is something to tell, again and again until it is
    ReportProcedureDone                 acknowledged, by this master or the next
    ReportRSFatalError                  when the server ends by an error

No master is no error: what clients ask is answered all the same, and the next master hears what the last one missed.

Source: HRegionServer#reportForDuty, #tryRegionServerReport, #reportRegionStateTransition;
RemoteProcedureResultReporter.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from protos.hbase import RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.hosting.reports import Report, Reports
from registry.clock import Clock
from registry.names import ServerName
from registry.rpc.client import RpcChannel
from registry.wire.errors import (
    ClockOutOfSyncException,
    ConnectException,
    DecommissionedHostRejectedException,
    HBaseError,
    YouAreDeadException,
)
from registry.wire.znode import encode_server_name

logger = logging.getLogger("regionserver")

SERVICE = "RegionServerStatusService"
USER = "hbeacon-regionserver"
SEEN_HOST = "hbase.regionserver.hostname.seen.by.master"
CONNECT_TIMEOUT_MS = 2000.0
CALL_TIMEOUT_MS = 10_000.0
"""A master that needs longer for a report hangs; the next try may meet another one."""
FATAL_TIMEOUT_MS = 1000.0
PAUSE_MS_FIRST, PAUSE_MS_MAX = 50.0, 1000.0
"""Between two tries while the master does not answer; twice as long after each."""
MISSED_MS = 3000.0
"""A master that is away for so long is worth a warning; one that hands over to the next is not."""
REPORTS_MAX = 2000
"""Transitions or results in one call, a quarter of a MiB."""

FINAL = (YouAreDeadException, ClockOutOfSyncException, DecommissionedHostRejectedException)
"""What ends the server: no other try can have another end."""

M = TypeVar("M", bound=Message)
Status = RegionServerStatus_pb2


class Unwelcome(Exception):
    """The master does not want this life of the server; `str()` says why."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """How the master is heard, for pages and metrics."""

    master: ServerName | None
    """Who is asked at the moment; None where no active master is known."""
    problem: str
    """Why the last call has failed; empty where it was answered."""
    answered_ms_ago: float
    """Infinite where no master has answered yet."""
    reports_waiting: int
    """Regions that came or went, and procedures done, of which no master has heard."""


class MasterLink:
    """One connection to the active master. Belongs to the loop."""

    def __init__(self, active: Callable[[], ServerName | None], clock: Clock, reports: Reports) -> None:
        """`active` gives the active master as ZooKeeper has it."""
        self._active = active
        self._clock = clock
        self._reports = reports
        self._channel: RpcChannel | None = None
        self._channel_of: ServerName | None = None
        self._connecting = asyncio.Lock()
        self._changed = asyncio.Event()
        self._reports_changed = asyncio.Event()
        self._answered_at_ms = float("-inf")
        self._problem = "no master has been asked yet"
        self._problem_since_ms = math.inf
        """Infinite when nobody is to be told any more."""
        reports.changed = self._reports_changed.set

    @property
    def view(self) -> LinkView:
        """How it is now."""
        ago_ms = self._clock.monotonic_ms() - self._answered_at_ms
        return LinkView(self._active(), self._problem, ago_ms, len(self._reports))

    def wake(self) -> None:
        """There is something to report at once."""
        self._changed.set()

    def wake_for_master(self) -> None:
        """There may be another master."""
        if self._active() == self._channel_of and not self._problem:
            return
        if self._channel is not None and self._active() not in (None, self._channel_of):
            self._channel.close()  # who waits for the one before asks the new one
        self._changed.set()
        self._reports_changed.set()

    async def close(self) -> None:
        """End the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
            await channel.wait_closed()

    # --- one call -------------------------------------------------------------------------------------------------

    async def call(
        self, method: str, request: Message, response_type: type[M], timeout_ms: float = CALL_TIMEOUT_MS
    ) -> M:
        """Ask the active master. Raises HBaseError, and Unwelcome where there is no use in another try."""
        try:
            channel = await self._connected()
            answer = await channel.call(method, request, response_type, timeout_ms=timeout_ms)
        except FINAL as error:
            raise Unwelcome(f"the master does not want this server: {error}") from error
        except HBaseError as error:
            self._note(str(error))
            raise
        self._answered_at_ms = self._clock.monotonic_ms()
        self._note("")
        return answer

    def _note(self, problem: str) -> None:
        now_ms = self._clock.monotonic_ms()
        if problem and not self._problem:
            logger.info("the master does not answer: %s", problem)
            self._problem_since_ms = now_ms
        elif problem and now_ms - self._problem_since_ms >= MISSED_MS:
            logger.warning("the master has not answered for %.0f s: %s", MISSED_MS / 1000, problem)
            self._problem_since_ms = math.inf
        elif self._problem and not problem:
            logger.info("the master at %s answers", self._channel_of)
        self._problem = problem

    async def _connected(self) -> RpcChannel:
        async with self._connecting:
            master = self._active()
            if master is None:
                raise ConnectException("no active master is known")
            channel = self._channel
            if channel is not None and channel.is_open and master == self._channel_of:
                return channel
            await self.close()
            self._channel_of = master
            self._channel = await RpcChannel.connect(
                master.address,
                SERVICE,
                user=USER,
                connect_timeout_ms=CONNECT_TIMEOUT_MS,
                read_timeout_ms=CALL_TIMEOUT_MS,
            )
            return self._channel

    # --- what is told ---------------------------------------------------------------------------------------------

    async def start_up(self, name: ServerName) -> None:
        """Until a master has taken this server in. Raises Unwelcome."""
        pause_ms = PAUSE_MS_FIRST
        while True:
            self._changed.clear()
            request = Status.RegionServerStartupRequest(
                port=name.port,
                server_start_code=name.start_code,
                server_current_time=int(self._clock.wall_ms()),
                use_this_hostname_instead=name.host,
            )
            try:
                answer = await self.call("RegionServerStartup", request, Status.RegionServerStartupResponse)
            except HBaseError as error:
                logger.debug("no master takes this server in yet: %s", error)
                await self._pause(pause_ms)
                pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)
                continue
            seen = {entry.name: entry.value for entry in answer.map_entries}.get(SEEN_HOST, name.host)
            if seen != name.host:
                raise Unwelcome(f"the master sees this server as {seen}, it is advertised as {name.host}")
            return

    async def report(
        self,
        make: Callable[[], Awaitable[ClusterV1_pb2.ServerReport]],
        interval_ms: Callable[[], float],
        taken: Callable[[ClusterV1_pb2.ReportTaken], Awaitable[None]],
    ) -> None:
        """Report for ever; `make` is called for each report, `taken` with its answer. Raises Unwelcome."""
        pause_ms = PAUSE_MS_FIRST
        while True:
            self._changed.clear()
            try:
                await taken(await self.call("RegionServerReport", await make(), ClusterV1_pb2.ReportTaken))
            except HBaseError:
                await self._pause(pause_ms)
                pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)
            else:
                pause_ms = PAUSE_MS_FIRST
                await self._pause(interval_ms())

    async def tell(self, name: ServerName) -> None:
        """Tell what the reports hold, for ever. Raises Unwelcome."""
        pause_ms = PAUSE_MS_FIRST
        while True:
            self._reports_changed.clear()
            if not len(self._reports):
                await self._reports_changed.wait()
                continue
            try:
                all_taken = await self._tell(name, self._reports.pending(REPORTS_MAX))
            except HBaseError:
                all_taken = False
            if all_taken:
                pause_ms = PAUSE_MS_FIRST
            else:
                await asyncio.sleep(pause_ms / 1000)
                pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)

    async def _tell(self, name: ServerName, reports: Sequence[Report]) -> bool:
        """Tell these. Whether the master has taken all of them."""
        transitions = [(report.number, report.transition) for report in reports if report.transition is not None]
        results = [(report.number, report.result) for report in reports if report.result is not None]
        early: set[int] = set()
        if transitions:
            request = Status.ReportRegionStateTransitionRequest(
                server=encode_server_name(name), transition=[transition for _, transition in transitions]
            )
            taken = await self.call("ReportRegionStateTransition", request, ClusterV1_pb2.TransitionsTaken)
            if taken.error_message:
                logger.warning("the master does not take what became of regions: %s", taken.error_message)
                return False
            refused, early = set(taken.refused), set(taken.too_early)
            for index, (number, _) in enumerate(transitions):
                if index in refused:
                    self._reports.refused(number)
                elif index not in early:
                    self._reports.acknowledged(number)
        if results:
            done = Status.ReportProcedureDoneRequest(result=[result for _, result in results])
            await self.call("ReportProcedureDone", done, Status.ReportProcedureDoneResponse)
            for number, _ in results:
                self._reports.acknowledged(number)
        return not early

    async def tell_fatal(self, name: ServerName, reason: str) -> None:
        """Tell the master why this server ends; once, and not for long."""
        request = Status.ReportRSFatalErrorRequest(server=encode_server_name(name), error_message=reason)
        try:
            await self.call("ReportRSFatalError", request, Status.ReportRSFatalErrorResponse, FATAL_TIMEOUT_MS)
        except (HBaseError, Unwelcome) as error:
            logger.info("the master has not been told why this server ends: %s", error)

    async def _pause(self, pause_ms: float) -> None:
        try:
            async with asyncio.timeout(pause_ms / 1000):
                await self._changed.wait()
        except TimeoutError:
            return
