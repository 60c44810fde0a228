"""Check-and-mutate: whether a column holds what a client expects, or a filter leaves something of the row.

The operator has the EXPECTED value on its left: LESS is true where the expected value is less than the stored one. In
filters it is the other way round.

Source: HRegion#checkAndMutateInternal, #matches; CompareOperator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regionserver.filters.comparators import CompareType
from regionserver.region.record import Entry
from regionserver.region.visible import FOR_EVER_MS, Wanted
from registry.wire.cellblock import decode_cell

if TYPE_CHECKING:
    from regionserver.region.region import Region


@dataclass(frozen=True, slots=True)
class Condition:
    """What is expected of the newest cell of one column."""

    row: bytes
    family: bytes
    qualifier: bytes
    compare: CompareType
    expected: bytes | None
    """None: there is no such column; an empty value says the same, or that it is empty."""
    from_ms: int = 0
    to_ms: int = FOR_EVER_MS
    judge: Callable[[Region, int], Checked] | None = None
    """Of a condition by a filter: judges the whole row at a time, and columns and values say nothing."""

    @property
    def wanted(self) -> Wanted:
        """What has to be read for it."""
        return Wanted((self.qualifier,), 1, self.from_ms, self.to_ms)


@dataclass(frozen=True, slots=True)
class Checked:
    """How it came out."""

    matches: bool
    timestamp_ms: int = 0
    """Of the cell that was looked at, so that a put that follows is not older; 0 where there was none."""


def check(condition: Condition, found: Sequence[Entry]) -> Checked:
    """Judge the visible cells of that column, at most one."""
    compare, expected = condition.compare, condition.expected
    if not found:
        return Checked(not expected and compare is not CompareType.NOT_EQUAL)
    cell = decode_cell(memoryview(found[0][3]), 0, with_tags=True)[0]
    if not expected:
        return Checked((not cell.value) == (compare is not CompareType.NOT_EQUAL), cell.timestamp_ms)
    return Checked(_holds(compare, expected, cell.value), cell.timestamp_ms)


def _holds(compare: CompareType, expected: bytes, stored: bytes) -> bool:
    match compare:
        case CompareType.LESS:
            return expected < stored
        case CompareType.LESS_OR_EQUAL:
            return expected <= stored
        case CompareType.EQUAL:
            return expected == stored
        case CompareType.NOT_EQUAL:
            return expected != stored
        case CompareType.GREATER_OR_EQUAL:
            return expected >= stored
        case CompareType.GREATER:
            return expected > stored
        case CompareType.NO_OP:
            return False
