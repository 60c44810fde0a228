"""Conditions of `Table.check_and_mutate`: what the row must hold for the mutation to be made. Pure.

    If("cf:q") == b"old"          If("cf:q") >= b"5"         If.absent("cf:q")        If.filter("PrefixFilter('a')")

A column that is not there equals nothing and is not less or greater than anything, as in HBase.

Source: org.apache.hadoop.hbase.client.CheckAndMutate.Builder, HRegion#checkAndMutateInternal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protos.hbase import Client_pb2, Comparator_pb2, HBase_pb2
from registry.client.data.messages import filter_message, time_range_message
from registry.client.data.names import Bytes, ColumnName, column, to_bytes
from registry.client.data.operations import AnyFilter, TimeRange

BINARY_COMPARATOR = "org.apache.hadoop.hbase.filter.BinaryComparator"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold; made by `If`."""

    family: bytes = b""
    qualifier: bytes = b""
    compare: HBase_pb2.CompareType = HBase_pb2.EQUAL
    """The value that is given stands on the left, as in HBase: `stored > given` is LESS."""
    value: bytes | None = None
    """Empty: that the column is not there, or empty."""
    filter: AnyFilter | None = None
    """Instead of a column: that the row has a cell that passes."""
    time_range: TimeRange | None = None
    """Of the cells that count."""

    def within(self, from_ms: int | None, to_ms: int | None) -> Condition:
        """The same, of cells whose timestamps are from the first up to, without, the second. From HBase 2.0 on."""
        return Condition(self.family, self.qualifier, self.compare, self.value, self.filter, (from_ms, to_ms))

    def message(self, row: bytes) -> Client_pb2.Condition:
        """As servers take it."""
        made = Client_pb2.Condition(row=row)
        if self.time_range is not None:
            made.time_range.CopyFrom(time_range_message(self.time_range))
        if self.filter is not None:
            made.filter.CopyFrom(filter_message(self.filter))
            return made
        comparable = Comparator_pb2.ByteArrayComparable(value=self.value or b"")
        comparator = Comparator_pb2.BinaryComparator(comparable=comparable)
        made.family, made.qualifier = self.family, self.qualifier
        made.compare_type = self.compare
        made.comparator.name = BINARY_COMPARATOR
        made.comparator.serialized_comparator = comparator.SerializeToString()
        return made


class If:
    """Begins a condition on the newest value of one column: compare it with bytes or str."""

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("_column",)

    def __init__(self, name: ColumnName) -> None:
        self._column = column(name)

    def _is(self, compare: HBase_pb2.CompareType, value: object) -> Condition:
        return _compared(self._column, compare, value)

    def __eq__(self, value: object) -> Any:
        return self._is(HBase_pb2.EQUAL, value)

    def __ne__(self, value: object) -> Any:
        return self._is(HBase_pb2.NOT_EQUAL, value)

    def __lt__(self, value: Bytes) -> Condition:
        return self._is(HBase_pb2.GREATER, value)

    def __le__(self, value: Bytes) -> Condition:
        return self._is(HBase_pb2.GREATER_OR_EQUAL, value)

    def __gt__(self, value: Bytes) -> Condition:
        return self._is(HBase_pb2.LESS, value)

    def __ge__(self, value: Bytes) -> Condition:
        return self._is(HBase_pb2.LESS_OR_EQUAL, value)

    @classmethod
    def equals(cls, name: ColumnName, value: Bytes) -> Condition:
        """As `If(name) == value`, for who wants it typed."""
        return _compared(column(name), HBase_pb2.EQUAL, value)

    @classmethod
    def absent(cls, name: ColumnName) -> Condition:
        """That the column is not there, or empty."""
        return _compared(column(name), HBase_pb2.EQUAL, b"")

    @classmethod
    def present(cls, name: ColumnName) -> Condition:
        """That the column is there and not empty. HBase 1.x says so of columns that are not there, too."""
        return _compared(column(name), HBase_pb2.NOT_EQUAL, b"")

    @classmethod
    def filter(cls, wanted: AnyFilter) -> Condition:
        """That the row has a cell that passes the filter. From HBase 2.4 on."""
        return Condition(filter=wanted)


def _compared(of: tuple[bytes, bytes], compare: HBase_pb2.CompareType, value: object) -> Condition:
    if not isinstance(value, bytes | bytearray | str):
        raise ValueError(f"a column is compared with bytes or str, not with {value!r}")
    return Condition(*of, compare, to_bytes(value))
