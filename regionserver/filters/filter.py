"""What a filter is asked of each row and cell, and what it may say. Pure.

Of a row its key is asked first, then each of its cells, and when all are read its cells together; then the filter is
reset. A filter may say how far to go on without asking it, down to a cell that it names.

Source: org.apache.hadoop.hbase.filter.Filter, FilterBase, HintingFilter.
"""

from __future__ import annotations

import enum
import struct

from regionserver.filters.whole_rows import Plan
from registry.java_regex.effort import Effort
from registry.wire.cellblock import KeyType
from registry.wire.errors import IOException

Place = tuple[bytes, bytes, bytes, int, int]
"""Where a cell is: row, family, qualifier, timestamp and key type, both negated so that places sort as cells do."""
BEFORE_ALL_MS = (1 << 63) - 1
"""The timestamp of a place before all cells of a column."""
OLDEST_MS = -(1 << 63)

_LENGTHS = struct.Struct(">iii")  # cell, key, value
_KEY_AT = _LENGTHS.size


class ReturnCode(enum.Enum):
    """What becomes of a cell, and of those behind it."""

    INCLUDE = enum.auto()
    INCLUDE_AND_NEXT_COL = enum.auto()
    """It is taken, older versions of its column are not."""
    SKIP = enum.auto()
    NEXT_COL = enum.auto()
    NEXT_ROW = enum.auto()
    """Nothing more of this row's family; families behind it are asked about."""
    SEEK_NEXT_USING_HINT = enum.auto()
    """Nothing before the place that `next_cell_hint` gives."""
    INCLUDE_AND_SEEK_NEXT_ROW = enum.auto()


INCLUDED = frozenset((ReturnCode.INCLUDE, ReturnCode.INCLUDE_AND_NEXT_COL, ReturnCode.INCLUDE_AND_SEEK_NEXT_ROW))


class NothingSaid(IOException):
    """A filter has no code for a cell: HBase goes on with null, and ends where somebody looks at that."""


class SeenCell:
    """A cell that a filter is asked about."""

    __slots__ = ("data", "family", "key_type", "qualifier", "row", "timestamp_ms")

    def __init__(self, row: bytes, family: bytes, qualifier: bytes, timestamp_ms: int, key_type: int, data: bytes):
        self.row = row
        self.family = family
        self.qualifier = qualifier
        self.timestamp_ms = timestamp_ms
        self.key_type = key_type
        self.data = data
        """All of it, as a cell block has it."""

    @property
    def value(self) -> bytes:
        """What it holds."""
        _, key_bytes, value_bytes = _LENGTHS.unpack_from(self.data)
        return self.data[_KEY_AT + key_bytes : _KEY_AT + key_bytes + value_bytes]

    @property
    def place(self) -> Place:
        """Where it is among others."""
        return self.row, self.family, self.qualifier, -self.timestamp_ms, -self.key_type

    def with_value(self, value: bytes) -> SeenCell:
        """It with another value and without tags."""
        _, key_bytes, _ = _LENGTHS.unpack_from(self.data)
        lengths = _LENGTHS.pack(8 + key_bytes + len(value), key_bytes, len(value))
        data = lengths + self.data[_KEY_AT : _KEY_AT + key_bytes] + value
        return SeenCell(self.row, self.family, self.qualifier, self.timestamp_ms, self.key_type, data)


def first_on_row(row: bytes) -> Place:
    """Before all cells of a row."""
    return row, b"", b"", -BEFORE_ALL_MS, -KeyType.MAXIMUM


def first_on_column(cell: SeenCell, qualifier: bytes) -> Place:
    """Before all cells of a column of that row and family."""
    return cell.row, cell.family, qualifier, -BEFORE_ALL_MS, -KeyType.MAXIMUM


class Filter:
    """One that lets everything through. A filter belongs to one scan and has state."""

    has_filter_row = False
    """A row is judged when all of it is read: then no limit may cut it."""
    outlives_row = False
    """What it hears of cells may matter to later rows, too, so it has to be asked also of rows that are dropped."""
    may_end = False
    """`filter_all_remaining` may come true between two cells."""
    is_hinting = False
    """A list asks it for its hint also of cells that others drop."""
    weight = 1
    """How many filters it is."""
    is_reversed = False
    effort: Effort | None = None
    """What its comparators may cost together, where it came as a message."""

    def set_reversed(self) -> None:
        """The scan goes downwards."""
        self.is_reversed = True

    def reset(self) -> None:
        """The next row begins."""

    def filter_all_remaining(self) -> bool:
        """Whether nothing more passes, whatever comes."""
        return False

    def filter_row_key(self, row: bytes) -> bool:  # noqa: ARG002
        """Whether a row is dropped by its key."""
        return self.filter_all_remaining()

    def filter_cell(self, cell: SeenCell) -> ReturnCode:  # noqa: ARG002
        """What becomes of a cell."""
        return ReturnCode.INCLUDE

    def transform_cell(self, cell: SeenCell) -> SeenCell:
        """What is given instead of a cell that passed."""
        return cell

    def filter_row_cells(self, cells: list[SeenCell]) -> None:
        """Take out of the cells of a row that passed."""

    def filter_row(self) -> bool:
        """Whether the row that was read is dropped."""
        return False

    def has_hint_at(self, cell: SeenCell) -> bool:
        """Whether it would jump from a cell that another filter of a list drops."""
        return self.filter_cell(cell) is ReturnCode.SEEK_NEXT_USING_HINT

    def next_cell_hint(self, cell: SeenCell) -> Place | None:  # noqa: ARG002
        """Where to go on; None: at the next cell."""
        return None

    def is_family_essential(self, family: bytes) -> bool:  # noqa: ARG002
        """Whether it judges by this family; others are read of rows that passed."""
        return True

    def plan(self) -> Plan | None:
        """How it judges rows at once; None: cell by cell."""
        return None
