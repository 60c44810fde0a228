"""A filter, and filters of filters. Pure.

`a & b` and `a | b` are lists of filters; those of one kind become one list.

Source: org.apache.hadoop.hbase.filter.Filter, FilterList, SkipFilter, WhileMatchFilter.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from google.protobuf.message import Message

from protos.hbase import Filter_pb2
from registry.client.filters.values import PACKAGE, Checked, Made, some


class Filter(Checked):
    """What passes of a row."""

    __slots__ = ()

    def to_proto(self) -> Filter_pb2.Filter:
        """As servers take it."""
        return Filter_pb2.Filter(name=PACKAGE + type(self).__name__, serialized_filter=self.message.SerializeToString())

    def __and__(self, other: Filter) -> FilterList:
        return _joined(ListOperator.MUST_PASS_ALL, self, other)

    def __or__(self, other: Filter) -> FilterList:
        return _joined(ListOperator.MUST_PASS_ONE, self, other)

    def __bool__(self) -> NoReturn:
        raise TypeError("a filter is neither true nor false: join filters by & and |, not by `and` and `or`")


def _filter(value: object) -> Filter:
    if not isinstance(value, Filter):
        raise ValueError(f"a filter is meant, not {value!r}")
    return value


class ListOperator(enum.Enum):
    """FilterList.Operator."""

    MUST_PASS_ALL = "&"
    MUST_PASS_ONE = "|"


_LIST_OPERATOR: Made = {"made": ListOperator}
_FILTERS: Made = {"made": some(_filter)}
_FILTER: Made = {"made": _filter}


@dataclass(frozen=True, slots=True, repr=False)
class FilterList(Filter):
    """Filters of which all or one must let pass."""

    operator: ListOperator = field(metadata=_LIST_OPERATOR)
    filters: Iterable[Filter] = field(metadata=_FILTERS)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.FilterList(operator=self.operator.name, filters=[each.to_proto() for each in self.filters])

    def __repr__(self) -> str:
        filters = [repr(each) for each in self.filters]
        if len(filters) < 2:
            return f"FilterList({self.operator}, [{', '.join(filters)}])"
        return f"({f' {self.operator.value} '.join(filters)})"


def _joined(operator: ListOperator, *filters: object) -> FilterList:
    parts: list[Filter] = []
    for each in filters:
        if not isinstance(each, Filter):
            return NotImplemented
        # a list of nothing lets all pass, which its parts alone would not say
        inner = tuple(each.filters) if isinstance(each, FilterList) and each.operator is operator else ()
        parts += inner or (each,)
    return FilterList(operator, parts)


@dataclass(frozen=True, slots=True)
class SkipFilter(Filter):
    """Drops rows of which one cell does not pass."""

    filter: Filter = field(metadata=_FILTER)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.SkipFilter(filter=self.filter.to_proto())


@dataclass(frozen=True, slots=True)
class WhileMatchFilter(Filter):
    """Ends the scan with the first thing that does not pass."""

    filter: Filter = field(metadata=_FILTER)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.WhileMatchFilter(filter=self.filter.to_proto())
