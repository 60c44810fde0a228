"""Filters of the cells of a row. Pure.

Source: org.apache.hadoop.hbase.filter, the classes of these names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.message import Message

from protos.hbase import Filter_pb2
from registry.client.data.names import Bytes, to_bytes
from registry.client.filters.filter import Filter
from registry.client.filters.values import (
    BYTES,
    BYTES_OR_NONE,
    COUNT,
    FLAG,
    INT32_MAX,
    INT64_MAX,
    Made,
    given_bytes,
    some,
    whole,
)


def _prefixes(values: object) -> tuple[bytes, ...]:
    prefixes = some(given_bytes)(values)
    if len(set(prefixes)) < len(prefixes):
        raise ValueError("prefixes must be distinct")
    return tuple(sorted(prefixes))


def _distinct(values: object) -> tuple[bytes, ...]:
    return tuple(sorted(set(some(given_bytes)(values))))


def _times(values: object) -> tuple[int, ...]:
    return tuple(sorted(set(some(whole(0, INT64_MAX))(values))))


def _offset(value: object) -> int | bytes:
    return whole(0, INT32_MAX)(value) if isinstance(value, int) else given_bytes(value)


_PREFIXES: Made = {"made": _prefixes}
_DISTINCT: Made = {"made": _distinct}
_TIMES: Made = {"made": _times}
_OFFSET: Made = {"made": _offset}


@dataclass(frozen=True, slots=True)
class ColumnPrefixFilter(Filter):
    """Columns whose qualifiers begin with this."""

    prefix: Bytes = field(metadata=BYTES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.ColumnPrefixFilter(prefix=to_bytes(self.prefix))


@dataclass(frozen=True, slots=True)
class MultipleColumnPrefixFilter(Filter):
    """Columns whose qualifiers begin with one of these."""

    prefixes: Iterable[Bytes] = field(metadata=_PREFIXES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=map(to_bytes, self.prefixes))


@dataclass(frozen=True, slots=True)
class ColumnRangeFilter(Filter):
    """Columns from one qualifier to another; None is without bound."""

    min_column: Bytes | None = field(default=None, metadata=BYTES_OR_NONE)
    min_column_inclusive: bool = field(default=True, metadata=FLAG)
    max_column: Bytes | None = field(default=None, metadata=BYTES_OR_NONE)
    max_column_inclusive: bool = field(default=False, metadata=FLAG)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.ColumnRangeFilter(
            min_column=None if self.min_column is None else to_bytes(self.min_column),
            min_column_inclusive=self.min_column_inclusive,
            max_column=None if self.max_column is None else to_bytes(self.max_column),
            max_column_inclusive=self.max_column_inclusive,
        )


@dataclass(frozen=True, slots=True)
class ColumnCountGetFilter(Filter):
    """As many cells of a row at most. For Gets; a scan ends where there are more."""

    limit: int = field(metadata=COUNT)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.ColumnCountGetFilter(limit=self.limit)


@dataclass(frozen=True, slots=True)
class ColumnPaginationFilter(Filter):
    """As many columns of each row, from one on: its number, or its qualifier."""

    limit: int = field(metadata=COUNT)
    offset: int | Bytes = field(default=0, metadata=_OFFSET)

    @property
    def message(self) -> Message:
        """See Checked."""
        if isinstance(self.offset, int):
            return Filter_pb2.ColumnPaginationFilter(limit=self.limit, offset=self.offset)
        return Filter_pb2.ColumnPaginationFilter(limit=self.limit, column_offset=to_bytes(self.offset))


@dataclass(frozen=True, slots=True)
class FirstKeyOnlyFilter(Filter):
    """The first cell of each row: for who counts rows."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.FirstKeyOnlyFilter()


@dataclass(frozen=True, slots=True)
class FirstKeyValueMatchingQualifiersFilter(Filter):
    """Each row up to the first cell of one of these columns. HBase 3 has it no more."""

    qualifiers: Iterable[Bytes] = field(metadata=_DISTINCT)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.FirstKeyValueMatchingQualifiersFilter(qualifiers=map(to_bytes, self.qualifiers))


@dataclass(frozen=True, slots=True)
class KeyOnlyFilter(Filter):
    """Cells without their values, or with the lengths of them in four bytes."""

    len_as_val: bool = field(default=False, metadata=FLAG)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.KeyOnlyFilter(len_as_val=self.len_as_val)


@dataclass(frozen=True, slots=True)
class TimestampsFilter(Filter):
    """Cells of exactly these times, in ms."""

    timestamps: Iterable[int] = field(metadata=_TIMES)
    can_hint: bool = field(default=False, metadata=FLAG)
    """The server may jump; it may then pass over marks of deletion, as HBase says."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.TimestampsFilter(timestamps=self.timestamps, can_hint=self.can_hint)
