"""One region in the hands of the active master: its row, what is wanted of it, and what it was told. Values alone.

Source: RegionStateNode, TransitRegionStateProcedure, RegionStateTransition of RegionServerStatus.proto.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from registry.master.catalogue import RegionRow, RegionState
from registry.names import ServerName
from registry.wire.region_info import RegionInfo


class Goal(enum.Enum):
    """What somebody wants of a region."""

    OPEN = "open"
    CLOSED = "closed"
    AS_IS = "as it is"
    """Nobody has said yet: a procedure that goes on after a takeover will."""


class Code(enum.Enum):
    """What a region server reports."""

    OPENED = "OPENED"
    FAILED_OPEN = "FAILED_OPEN"
    CLOSED = "CLOSED"


class Verdict(enum.Enum):
    """What becomes of a report."""

    TAKEN = "taken"
    """To be acknowledged once everything that is changed by now was written."""
    REFUSED = "refused"
    """An opening that is not wanted: the server must not serve it."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of a report."""

    code: Code
    region: str
    """Encoded name."""
    open_seq_num: int = 0
    order_ids: tuple[int, ...] = ()
    """Of the order that it answers, where the server says so."""


@dataclass(slots=True)
class Held:
    """One region: its row as it is meant to be, and what goes on with it."""

    row: RegionRow
    goal: Goal = Goal.AS_IS
    since_ms: float = 0.0
    """When its state last changed."""
    written: RegionRow | None = None
    """What hbase:meta has for certain; None: nothing."""
    version: int = 0
    """Of `row`; rises with each change."""
    written_version: int = -1
    order_id: int = 0
    """Of the order that was given for this OPENING or CLOSING; 0: none yet."""
    to_store: str = ""
    """Of this OPENING."""
    open_seq_num: int = 0
    """Given with the last order to open."""
    destination: ServerName | None = None
    """Where it is to move."""
    hand_over: str = ""
    """By which its rows go there, from the order to close until it is open."""
    reopen: bool = False
    """Close it once more, for it is open with an old schema."""
    problem: str = ""
    """Why it is not where it should be, for people."""
    move_problem: str = ""
    """Why the last move came to nothing."""
    failures: int = 0
    retry_at_ms: float = 0.0
    avoid: set[ServerName] = field(default_factory=set[ServerName])

    @property
    def is_settled(self) -> bool:
        """It is as it should be, and written."""
        if self.version != self.written_version or self.reopen or self.destination is not None:
            return False
        if self.goal is Goal.OPEN:
            return self.row.state is RegionState.OPEN
        return self.goal is Goal.AS_IS or self.row.state is RegionState.CLOSED

    @property
    def in_transition(self) -> bool:
        """Whether people look for it among those."""
        if self.row.state in (RegionState.OPENING, RegionState.CLOSING):
            return True
        return self.goal is Goal.OPEN and self.row.state is not RegionState.OPEN


@dataclass(frozen=True, slots=True)
class Order:
    """What one server is told to do with one region."""

    order_id: int
    info: RegionInfo
    opens: bool
    life: int = 0
    store_id: str = ""
    open_seq_num: int = 0
    is_fresh: bool = False
    hand_over: str = ""
    destination: ServerName | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are written together."""

    rows: list[tuple[RegionRow | None, RegionRow]]
    """What hbase:meta has for certain, and what it is to have."""
    versions: dict[str, int]
