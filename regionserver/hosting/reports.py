"""What a region server has to tell the master until it is acknowledged: regions that came or went, procedures done.

Pure. Of each region only the newest is kept: an opening that was followed by a closing is nobody's concern any more.

Source: ReportRegionStateTransition and ReportProcedureDone of RegionServerStatus.proto; RemoteProcedureResultReporter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from protos.hbase import RegionServerStatus_pb2


@dataclass(frozen=True, slots=True)
class Report:
    """One thing to tell; exactly one of the two messages."""

    number: int
    """Of this report, in the order in which they came."""
    region: str = ""
    """Encoded name, of a transition."""
    transition: RegionServerStatus_pb2.RegionStateTransition | None = None
    result: RegionServerStatus_pb2.RemoteProcedureResult | None = None


class Reports:
    """Those of one server. Belongs to its loop.

    `pending` gives what to send, oldest first; the link answers for each number by `acknowledged` or `refused`, in any
    order and as often as it likes; what is neither is pending still. Numbers are never used again.
    """

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Report] = {}
        self._of_region: dict[str, int] = {}
        self.changed: Callable[[], object] = lambda: None
        """Called when there is something new to tell; the link sets it."""
        self.when_acknowledged: Callable[[Report], object] = lambda _report: None
        self.when_refused: Callable[[Report], object] = lambda _report: None

    def __len__(self) -> int:
        """How much waits."""
        return len(self._waiting)

    def pending(self, reports_max: int | None = None) -> Sequence[Report]:
        """What is not acknowledged yet, oldest first."""
        return list(islice(self._waiting.values(), reports_max))

    def tell_transition(self, region: str, transition: RegionServerStatus_pb2.RegionStateTransition) -> None:
        """Of a region; what was to be told of it before is not told any more."""
        self.withdraw(region)
        self._number += 1
        self._of_region[region] = self._number
        self._waiting[self._number] = Report(self._number, region, transition)
        self.changed()

    def tell_result(self, result: RegionServerStatus_pb2.RemoteProcedureResult) -> None:
        """Of a procedure that is done."""
        self._number += 1
        self._waiting[self._number] = Report(self._number, result=result)
        self.changed()

    def withdraw(self, region: str) -> None:
        """Tell nothing of a region: something else is under way with it."""
        number = self._of_region.pop(region, None)
        if number is not None:
            del self._waiting[number]

    def acknowledged(self, number: int) -> None:
        """The master has it, durably."""
        report = self._done(number)
        if report is not None:
            self.when_acknowledged(report)

    def refused(self, number: int) -> None:
        """The master does not want it: an opening that it never ordered, or has given up."""
        report = self._done(number)
        if report is not None:
            self.when_refused(report)

    def _done(self, number: int) -> Report | None:
        report = self._waiting.pop(number, None)
        if report is not None and report.region:
            del self._of_region[report.region]
        return report
