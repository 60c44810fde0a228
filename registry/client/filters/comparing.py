"""Filters that compare. Pure.

What is there stands on the left of the operator; for bytes and str a BinaryComparator is made.

Source: org.apache.hadoop.hbase.filter: CompareFilter and those derived from it, SingleColumnValueFilter,
SingleColumnValueExcludeFilter, ColumnValueFilter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from protos.hbase import Filter_pb2
from registry.client.data.names import Bytes, ColumnName, column, to_bytes
from registry.client.filters.comparators import COMPARATOR, COMPARATOR_OR_NONE, AnyComparator, comparator_message
from registry.client.filters.filter import Filter
from registry.client.filters.values import BYTES, FLAG, OP, OP_OR_NONE, CompareOp, Operator, compare_type


@dataclass(frozen=True, slots=True)
class _Compares(Filter):
    op: Operator = field(metadata=OP)
    comparator: AnyComparator = field(metadata=COMPARATOR)

    def _compare(self) -> Filter_pb2.CompareFilter:
        return Filter_pb2.CompareFilter(
            compare_op=compare_type(self.op), comparator=comparator_message(self.comparator)
        )


@dataclass(frozen=True, slots=True)
class RowFilter(_Compares):
    """Rows by their keys."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.RowFilter(compare_filter=self._compare())


@dataclass(frozen=True, slots=True)
class FamilyFilter(_Compares):
    """Cells by their families."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.FamilyFilter(compare_filter=self._compare())


@dataclass(frozen=True, slots=True)
class QualifierFilter(_Compares):
    """Cells by their qualifiers."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.QualifierFilter(compare_filter=self._compare())


@dataclass(frozen=True, slots=True)
class ValueFilter(_Compares):
    """Cells by their values."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.ValueFilter(compare_filter=self._compare())


@dataclass(frozen=True, slots=True)
class DependentColumnFilter(Filter):
    """Cells whose timestamps a cell of this column has too, in the same row."""

    family: Bytes = field(metadata=BYTES)
    qualifier: Bytes = field(metadata=BYTES)
    drop_dependent_column: bool = field(default=False, metadata=FLAG)
    """Without the cells of that column themselves."""
    op: Operator | None = field(default=None, metadata=OP_OR_NONE)
    comparator: AnyComparator | None = field(default=None, metadata=COMPARATOR_OR_NONE)
    """Of the values of that column; None: whatever they are."""

    def __post_init__(self) -> None:
        Filter.__post_init__(self)
        if (self.op is None) != (self.comparator is None):
            raise ValueError("DependentColumnFilter: an operator and a comparator, or neither")

    @property
    def message(self) -> Message:
        """See Checked."""
        compare = Filter_pb2.CompareFilter(compare_op=compare_type(self.op or CompareOp.NO_OP))
        if self.comparator is not None:
            compare.comparator.CopyFrom(comparator_message(self.comparator))
        return Filter_pb2.DependentColumnFilter(
            compare_filter=compare,
            column_family=to_bytes(self.family),
            column_qualifier=to_bytes(self.qualifier),
            drop_dependent_column=self.drop_dependent_column,
        )


@dataclass(frozen=True, slots=True)
class ColumnValueFilter(Filter):
    """Cells of one column, by their values."""

    family: Bytes = field(metadata=BYTES)
    qualifier: Bytes = field(metadata=BYTES)
    op: Operator = field(metadata=OP)
    comparator: AnyComparator = field(metadata=COMPARATOR)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.ColumnValueFilter(
            family=to_bytes(self.family),
            qualifier=to_bytes(self.qualifier),
            compare_op=compare_type(self.op),
            comparator=comparator_message(self.comparator),
        )


@dataclass(frozen=True, slots=True)
class SingleColumnValueFilter(Filter):
    """Whole rows by the value of one column, which has to be among those that are read."""

    family: Bytes = field(metadata=BYTES)
    qualifier: Bytes = field(metadata=BYTES)
    op: Operator = field(metadata=OP)
    comparator: AnyComparator = field(metadata=COMPARATOR)
    filter_if_missing: bool = field(default=False, metadata=FLAG)
    """Without rows that do not have the column; they pass unless this is said, as in HBase."""
    latest_version_only: bool = field(default=True, metadata=FLAG)

    def _single(self) -> Filter_pb2.SingleColumnValueFilter:
        return Filter_pb2.SingleColumnValueFilter(
            column_family=to_bytes(self.family),
            column_qualifier=to_bytes(self.qualifier),
            compare_op=compare_type(self.op),
            comparator=comparator_message(self.comparator),
            filter_if_missing=self.filter_if_missing,
            latest_version_only=self.latest_version_only,
        )

    @property
    def message(self) -> Message:
        """See Checked."""
        return self._single()


@dataclass(frozen=True, slots=True)
class SingleColumnValueExcludeFilter(SingleColumnValueFilter):
    """The same rows, without that column."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.SingleColumnValueExcludeFilter(single_column_value_filter=self._single())


class Column:
    """Begins a comparison: `Column("cf:age") >= b"18"` are rows that have the column, with such a newest value."""

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("_column",)

    def __init__(self, name: ColumnName) -> None:
        self._column = column(name)

    def _is(self, op: str, value: Any) -> SingleColumnValueFilter:
        return SingleColumnValueFilter(*self._column, op, value, filter_if_missing=True)

    def __eq__(self, value: object) -> Any:
        return self._is("=", value)

    def __ne__(self, value: object) -> Any:
        return self._is("!=", value)

    def __lt__(self, value: AnyComparator) -> SingleColumnValueFilter:
        return self._is("<", value)

    def __le__(self, value: AnyComparator) -> SingleColumnValueFilter:
        return self._is("<=", value)

    def __gt__(self, value: AnyComparator) -> SingleColumnValueFilter:
        return self._is(">", value)

    def __ge__(self, value: AnyComparator) -> SingleColumnValueFilter:
        return self._is(">=", value)
