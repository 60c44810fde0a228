"""What an order of the master means in each state of a region, and what is reported of it; pure.

    (none) --open--> OPENING --done--> WAITING --acknowledged--> SERVING
                        |failed           |refused, close           |close
                        v                 v                         v
                     (none)            CLOSING ------done-------> (none)

Orders come twice, late, and from two masters after one another. The newest decides: what is under way is finished first
and then followed by what is wanted now, and only the end of the newest order is reported. A region is served when the
master has acknowledged its opening, for then hbase:meta says so durably; until then nobody was told to ask here.

Source: AssignRegionHandler, UnassignRegionHandler; HRegionServer#submitRegionProcedure.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace

from protos.hbase import HBase_pb2, RegionServerStatus_pb2
from regionserver.hosting.reports import Report, Reports
from regionserver.hosting.schema import Described
from registry.names import ServerName
from registry.wire.region_info import RegionInfo

Transition = RegionServerStatus_pb2.RegionStateTransition
OPENED, FAILED_OPEN, CLOSED = Transition.OPENED, Transition.FAILED_OPEN, Transition.CLOSED


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A descriptor of an order, shared by all regions of its table that are opened with it."""

    message: HBase_pb2.TableSchema
    encoded: bytes
    """The message's bytes: descriptors are the same where these are."""
    described: Described | None
    refusal: str = ""
    """Why it cannot be used, where `described` is None."""


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """Open a region."""

    info: RegionInfo
    schema: TableSchema
    store_id: str
    life: int
    """Of its table; its keys begin with it."""
    open_seq_num: int
    hand_over: str = ""
    """Its rows come by this hand-over; empty: they are in the store."""
    proc_id: int = -1
    master_active_ms: int = 0
    """When the master that orders it became active, as it says: masters of ours say their epoch."""

    @property
    def region(self) -> str:
        """The encoded name."""
        return self.info.encoded_name

    def is_same_place(self, other: OpenOrder) -> bool:
        """Whether a region that was opened by one is as the other wants it."""
        return (self.store_id, self.life, self.info, self.schema.encoded) == (
            other.store_id,
            other.life,
            other.info,
            other.schema.encoded,
        )


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """Close a region."""

    region: str
    """Its encoded name."""
    hand_over: str = ""
    """Write its rows to this hand-over first; empty: they stay."""
    destination: ServerName | None = None
    """Where it goes."""
    proc_id: int = -1
    master_active_ms: int = 0
    info: RegionInfo | None = None
    """As far as the order names it: for a region that is not here."""


@dataclass(frozen=True, slots=True)
class Open:
    """To be done: open it, and say `opened` or `open_failed`."""

    order: OpenOrder


@dataclass(frozen=True, slots=True)
class Close:
    """To be done: let nobody in, hand over where asked, and say `closed`."""

    opened_as: OpenOrder
    order: CloseOrder | None
    """None: it is opened again otherwise, or was not wanted."""


@dataclass(frozen=True, slots=True)
class Serve:
    """To be done: let clients in. Needs no answer."""

    region: str


Effect = Open | Close | Serve


class Phase(enum.Enum):
    """How far a region is."""

    OPENING = "opening"
    WAITING = "waiting"
    """Open, and the master has not acknowledged it."""
    SERVING = "serving"
    CLOSING = "closing"


@dataclass(slots=True)
class _Held:
    phase: Phase
    opened_as: OpenOrder
    wanted: OpenOrder | CloseOrder | None = None
    """What follows when that which is under way has ended."""
    closing: CloseOrder | None = None


class OrderMachine:
    """The regions of one server by encoded name. Each call gives what is to be done, in this order."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._held: dict[str, _Held] = {}
        self._is_over = False

    def __len__(self) -> int:
        """Regions that are open, or on their way."""
        return len(self._held)

    def __iter__(self) -> Iterator[tuple[OpenOrder, Phase]]:
        """All of them."""
        return iter([(held.opened_as, held.phase) for held in self._held.values()])

    def phase_of(self, region: str) -> Phase | None:
        """How far a region is; None where it is not here."""
        held = self._held.get(region)
        return held.phase if held is not None else None

    def open_seq_num(self, region: str) -> int:
        """What is reported of a region that is here."""
        return self._held[region].opened_as.open_seq_num

    def holds(self, region: str, store_id: str) -> bool:
        """Whether a region of this store is open here, or is going to be."""
        held = self._held.get(region)
        if held is None:
            return False
        wanted = held.wanted
        return held.opened_as.store_id == store_id or (isinstance(wanted, OpenOrder) and wanted.store_id == store_id)

    # --- orders -----------------------------------------------------------------------------------------------------

    def order_open(self, order: OpenOrder) -> list[Effect]:
        """The master wants it open."""
        held = self._held.get(order.region)
        if held is None:
            self._reports.withdraw(order.region)
            self._held[order.region] = _Held(Phase.OPENING, order)
            return [Open(order)]
        if not held.opened_as.is_same_place(order) or held.phase is Phase.CLOSING:
            return self._want(held, order)
        # A number is never taken back: clients were told it.
        seq_num = max(order.open_seq_num, held.opened_as.open_seq_num)
        held.opened_as = replace(order, open_seq_num=seq_num)
        held.wanted = None
        if held.phase is not Phase.OPENING:
            self._tell_opened(held)
        return []

    def order_close(self, order: CloseOrder) -> list[Effect]:
        """The master wants it closed."""
        held = self._held.get(order.region)
        if held is None:
            self._tell_closed(order, order.info)
            return []
        if held.phase is Phase.CLOSING:
            held.closing, held.wanted = order, None
            return []
        return self._want(held, order)

    def _want(self, held: _Held, wanted: OpenOrder | CloseOrder) -> list[Effect]:
        """Something else than what it is now, or is becoming."""
        self._reports.withdraw(wanted.region)
        if held.phase in (Phase.OPENING, Phase.CLOSING):
            held.wanted = wanted
            return []
        return self._close(held, wanted)

    def _close(self, held: _Held, wanted: OpenOrder | CloseOrder | None) -> list[Effect]:
        held.phase = Phase.CLOSING
        held.closing = wanted if isinstance(wanted, CloseOrder) else None
        held.wanted = wanted if isinstance(wanted, OpenOrder) else None
        return [Close(held.opened_as, held.closing)]

    # --- ends of work -----------------------------------------------------------------------------------------------

    def opened(self, region: str) -> list[Effect]:
        """It is open, and nobody is let in yet."""
        held = self._held[region]
        assert held.phase is Phase.OPENING, held.phase
        if held.wanted is not None:
            return self._close(held, held.wanted)
        held.phase = Phase.WAITING
        self._tell_opened(held)
        return []

    def open_failed(self, region: str) -> list[Effect]:
        """It could not be opened; nothing is left of the attempt."""
        held = self._held.pop(region)
        assert held.phase is Phase.OPENING, held.phase
        match held.wanted:
            case None:
                order = held.opened_as
                self._tell(FAILED_OPEN, region, order.info, order.proc_id, order.master_active_ms)
                return []
            case CloseOrder() as order:
                self._tell_closed(order, held.opened_as.info)
                return []
            case OpenOrder() as order:
                return self.order_open(order)

    def closed(self, region: str) -> list[Effect]:
        """Nobody is in it any more, and what was asked of its rows is done, or failed."""
        held = self._held.pop(region)
        assert held.phase is Phase.CLOSING, held.phase
        if isinstance(held.wanted, OpenOrder):
            return self.order_open(held.wanted)
        if held.closing is not None:
            self._tell_closed(held.closing, held.opened_as.info)
        return []

    # --- answers to reports -----------------------------------------------------------------------------------------

    def acknowledged(self, report: Report) -> list[Effect]:
        """hbase:meta says what was reported."""
        held = self._held.get(report.region)
        if held is None or held.phase is not Phase.WAITING:
            return []
        held.phase = Phase.SERVING
        return [Serve(report.region)]

    def refused(self, report: Report) -> list[Effect]:
        """The master does not want an opening: nothing more is said of it."""
        held = self._held.get(report.region)
        if held is None or held.phase not in (Phase.WAITING, Phase.SERVING):
            return []
        return self._close(held, None)

    def close_all(self) -> list[Effect]:
        """The server ends: everything that is open is closed, and nothing is reported."""
        self._is_over = True
        effects: list[Effect] = []
        for held in list(self._held.values()):
            self._reports.withdraw(held.opened_as.region)
            held.wanted = None
            if held.phase in (Phase.WAITING, Phase.SERVING):
                effects += self._close(held, None)
            elif held.phase is Phase.OPENING:
                held.wanted = CloseOrder(held.opened_as.region)
        return effects

    # --- what is reported -------------------------------------------------------------------------------------------

    def _tell_opened(self, held: _Held) -> None:
        order = held.opened_as
        self._tell(OPENED, order.region, order.info, order.proc_id, order.master_active_ms, order.open_seq_num)

    def _tell_closed(self, order: CloseOrder, info: RegionInfo | None) -> None:
        self._tell(CLOSED, order.region, info, order.proc_id, order.master_active_ms)

    def _tell(
        self,
        code: Transition.TransitionCode,
        region: str,
        info: RegionInfo | None,
        proc_id: int,
        master_active_ms: int,
        open_seq_num: int | None = None,
    ) -> None:
        if self._is_over:
            return
        transition = Transition(transition_code=code, open_seq_num=open_seq_num)
        if info is not None:
            transition.region_info.append(info.message())
        if proc_id >= 0:
            transition.proc_id.append(proc_id)
        if master_active_ms:
            transition.initiating_master_active_time = master_active_ms
        self._reports.tell_transition(region, transition)
