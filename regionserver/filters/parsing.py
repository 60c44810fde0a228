"""Filters out of their envelopes: the name of Java's class, and the message of that class. Pure.

How many filters there may be, how large and how deep within each other, is bounded here; patterns where they are
compiled. Large ones are parsed part by part, so that others have their turn in between.

Source: ProtobufUtil#toFilter; parseFrom and the constructors of each class.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import merge
from itertools import chain, islice, pairwise
from operator import attrgetter
from typing import TypeVar

from protos.hbase import Filter_pb2
from regionserver.filters import columns, comparing, rows, wrapping
from regionserver.filters.comparators import Comparator, CompareType
from regionserver.filters.envelopes import DESERIALIZATION, ILLEGAL, PACKAGE, Thrown, inner_comparator, read
from regionserver.filters.filter import Filter
from regionserver.filters.fuzzy import FuzzyKey, FuzzyRowFilter
from regionserver.filters.lists import FilterListWithAnd, FilterListWithOr
from regionserver.filters.row_ranges import MultiRowRangeFilter, RowRange, merged
from registry.java_regex.effort import Effort
from registry.wire.errors import DoNotRetryIOException, HBaseError
from registry.wire.preamble import string_binary
from registry.wire.text import lenient_text

DEPTH_MAX = 100
FILTERS_MAX = 10_000
"""In all lists of one request; a row of a fuzzy filter counts as one too."""
FILTER_BYTES_MAX = 4 << 20
"""Of the whole filter: some 100 000 ranges of rows. It is kept as long as its scan, in ten times as much memory."""
RANGES_BETWEEN_LOOKS = 200
BYTES_BETWEEN_LOOKS = 4096
"""Of rows of a fuzzy filter."""
FUZZY_KEY_BYTES = 32
"""One costs as much as that without its bytes."""
_NOT_RETRIED = "org.apache.hadoop.hbase.DoNotRetryIOException: "

Made = TypeVar("Made")
Roll = Callable[[], float]
"""A number of [0, 1), by chance."""
Steps = Generator[None, None, Filter]
"""A filter in the making; it gives where others may have their turn."""


def parse_filter(message: Filter_pb2.Filter, roll: Roll) -> Filter:
    """A filter for one scan. Raises DoNotRetryIOException."""
    return at_once(filter_steps(message, roll))


def at_once(steps: Generator[None, None, Made]) -> Made:
    """What they make, with no turn for anybody else."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: Made = end.value
            return made


def filter_steps(message: Filter_pb2.Filter, roll: Roll) -> Steps:
    """The same part by part."""
    size_bytes = len(message.serialized_filter)
    if size_bytes > FILTER_BYTES_MAX:
        raise DoNotRetryIOException(f"a filter may have {FILTER_BYTES_MAX} bytes, this one has {size_bytes}")
    parser = _Parser(roll)
    made = yield from parser.parsed(message, 1)
    made.effort = parser.effort
    return made


class _Parser:
    """Of one request."""

    def __init__(self, roll: Roll) -> None:
        self.effort = Effort()
        """Of all patterns together."""
        self._roll = roll
        self._count = 0

    def parsed(self, message: Filter_pb2.Filter, depth: int) -> Steps:
        """Raises DoNotRetryIOException."""
        if depth > DEPTH_MAX:
            raise DoNotRetryIOException(f"filters may be {DEPTH_MAX} deep within each other")
        self.count(1)
        yield
        name = lenient_text(message.name)
        stored = message.serialized_filter
        try:
            short = name.removeprefix(PACKAGE) if name.startswith(PACKAGE) else ""
            if (plain := PLAIN.get(short)) is not None:
                return plain(stored)
            if (compares := COMPARING.get(short)) is not None:
                return compares(stored, self.effort)
            if (counted := OF_PARSER.get(short)) is not None:
                return (yield from counted(self, stored, depth))
            raise Thrown(f"java.lang.ClassNotFoundException: {name}")
        except Thrown as thrown:
            raise DoNotRetryIOException(str(thrown)) from None

    def count(self, count: int) -> None:
        """So many more filters."""
        self._count += count
        if self._count > FILTERS_MAX:
            raise DoNotRetryIOException(f"a request may have {FILTERS_MAX} filters")

    def inner(self, message: Filter_pb2.Filter, depth: int) -> Steps:
        """Of a filter, which wraps what is wrong with it."""
        try:
            return (yield from self.parsed(message, depth + 1))
        except HBaseError as error:
            raise Thrown(f"{DESERIALIZATION}{_NOT_RETRIED}{error.message}") from None

    def list(self, stored: bytes, depth: int) -> Steps:
        message = read(Filter_pb2.FilterList, stored)
        filters: list[Filter] = []
        for each in message.filters:
            filters.append((yield from self.inner(each, depth)))  # noqa: PERF401
        if message.operator == Filter_pb2.FilterList.MUST_PASS_ONE:
            return FilterListWithOr(filters)
        return FilterListWithAnd(filters)

    def skip(self, stored: bytes, depth: int) -> Steps:
        return wrapping.SkipFilter((yield from self.inner(read(Filter_pb2.SkipFilter, stored).filter, depth)))

    def while_match(self, stored: bytes, depth: int) -> Steps:
        return wrapping.WhileMatchFilter(
            (yield from self.inner(read(Filter_pb2.WhileMatchFilter, stored).filter, depth))
        )

    def wrapper(self, stored: bytes, depth: int) -> Steps:
        return wrapping.FilterWrapper((yield from self.inner(read(Filter_pb2.FilterWrapper, stored).filter, depth)))

    def random_row(self, stored: bytes, _: int) -> Steps:
        yield
        return rows.RandomRowFilter(read(Filter_pb2.RandomRowFilter, stored).chance, self._roll)

    def fuzzy_row(self, stored: bytes, _: int) -> Steps:
        message = read(Filter_pb2.FuzzyRowFilter, stored)
        self.count(len(message.fuzzy_keys_data))
        if not message.fuzzy_keys_data:
            raise Thrown(ILLEGAL.removesuffix(": "))
        keys: list[FuzzyKey] = []
        left_bytes = BYTES_BETWEEN_LOOKS
        for pair in message.fuzzy_keys_data:
            if len(pair.first) != len(pair.second):
                told = f"{{{string_binary(pair.first)},{string_binary(pair.second)}}}"
                raise Thrown(f"{ILLEGAL}Fuzzy pair lengths do not match: {told}")
            keys.append(FuzzyKey(pair.first, pair.second, is_mask_v2=message.is_mask_v2))
            left_bytes -= FUZZY_KEY_BYTES + len(pair.first)
            if left_bytes < 0:
                left_bytes = BYTES_BETWEEN_LOOKS
                yield
        return FuzzyRowFilter(keys)

    def multi_row_range(self, stored: bytes, _: int) -> Steps:
        message = read(Filter_pb2.MultiRowRangeFilter, stored)
        if not message.row_range_list:
            raise Thrown(f"{ILLEGAL}No ranges found.")
        parts: list[list[RowRange]] = []
        invalid: list[RowRange] = []
        each_range = iter(message.row_range_list)
        while part := [
            RowRange(each.start_row, each.stop_row, each.start_row_inclusive, each.stop_row_inclusive)
            for each in islice(each_range, RANGES_BETWEEN_LOOKS)
        ]:
            invalid += [each for each in part if not each.is_valid]
            parts.append(sorted(part, key=_START))
            yield
        if invalid:
            told = "".join(
                f"Invalid range: start row => {each.start.decode('utf-8', 'replace')},"
                f" stop row => {each.stop.decode('utf-8', 'replace')}\n"
                for each in invalid
            )
            raise Thrown(f"{ILLEGAL}{len(invalid)} invaild ranges.\n{told}")
        ranges: list[RowRange] = []
        is_sorted = all(one[-1].start <= other[0].start for one, other in pairwise(parts))  # clients have done it
        in_order = chain.from_iterable(parts) if is_sorted else merge(*parts, key=_START)
        while part := list(islice(in_order, RANGES_BETWEEN_LOOKS)):
            ranges[-1:] = merged([*ranges[-1:], *part])
            yield
        return MultiRowRangeFilter(ranges)


_START = attrgetter("start")
OF_PARSER: dict[str, Callable[[_Parser, bytes, int], Steps]] = {
    "FilterList": _Parser.list,
    "SkipFilter": _Parser.skip,
    "WhileMatchFilter": _Parser.while_match,
    "FilterWrapper": _Parser.wrapper,
    "RandomRowFilter": _Parser.random_row,
    "FuzzyRowFilter": _Parser.fuzzy_row,
    "MultiRowRangeFilter": _Parser.multi_row_range,
}


def _compared(message: Filter_pb2.CompareFilter, effort: Effort) -> tuple[CompareType, Comparator | None]:
    comparator = inner_comparator(message.comparator, effort) if message.HasField("comparator") else None
    return CompareType(message.compare_op), comparator


def _compare_filter(
    message_class: type[
        Filter_pb2.RowFilter | Filter_pb2.FamilyFilter | Filter_pb2.QualifierFilter | Filter_pb2.ValueFilter
    ],
    made: type[comparing.CompareFilter],
) -> Callable[[bytes, Effort], Filter]:
    return lambda stored, effort: made(*_compared(read(message_class, stored).compare_filter, effort))


def _column_value(stored: bytes, effort: Effort) -> Filter:
    message = read(Filter_pb2.ColumnValueFilter, stored)
    comparator = inner_comparator(message.comparator, effort)
    compare = CompareType(message.compare_op)
    return comparing.ColumnValueFilter(message.family, message.qualifier, compare, comparator)


def _dependent_column(stored: bytes, effort: Effort) -> Filter:
    message = read(Filter_pb2.DependentColumnFilter, stored)
    family, qualifier = message.column_family, message.column_qualifier
    compare, comparator = _compared(message.compare_filter, effort)
    drops = message.drop_dependent_column
    return comparing.DependentColumnFilter(family, qualifier, compare, comparator, drops=drops)


def _single_column_value(stored: bytes, effort: Effort) -> Filter:
    message = read(Filter_pb2.SingleColumnValueFilter, stored)
    return _single(message, comparing.SingleColumnValueFilter, effort)


def _single_column_value_exclude(stored: bytes, effort: Effort) -> Filter:
    message = read(Filter_pb2.SingleColumnValueExcludeFilter, stored)
    return _single(message.single_column_value_filter, comparing.SingleColumnValueExcludeFilter, effort)


def _single(
    message: Filter_pb2.SingleColumnValueFilter, made: type[comparing.SingleColumnValueFilter], effort: Effort
) -> comparing.SingleColumnValueFilter:
    return made(
        message.column_family,
        message.column_qualifier,
        CompareType(message.compare_op),
        inner_comparator(message.comparator, effort),
        filter_if_missing=message.filter_if_missing,
        latest_version_only=message.latest_version_only,
    )


COMPARING: dict[str, Callable[[bytes, Effort], Filter]] = {
    "ColumnValueFilter": _column_value,
    "DependentColumnFilter": _dependent_column,
    "FamilyFilter": _compare_filter(Filter_pb2.FamilyFilter, comparing.FamilyFilter),
    "QualifierFilter": _compare_filter(Filter_pb2.QualifierFilter, comparing.QualifierFilter),
    "RowFilter": _compare_filter(Filter_pb2.RowFilter, comparing.RowFilter),
    "SingleColumnValueExcludeFilter": _single_column_value_exclude,
    "SingleColumnValueFilter": _single_column_value,
    "ValueFilter": _compare_filter(Filter_pb2.ValueFilter, comparing.ValueFilter),
}


def _multiple_column_prefix(stored: bytes) -> Filter:
    prefixes = read(Filter_pb2.MultipleColumnPrefixFilter, stored).sorted_prefixes
    if len(set(prefixes)) < len(prefixes):
        raise Thrown(f"{ILLEGAL}prefixes must be distinct")
    return columns.MultipleColumnPrefixFilter(prefixes)


def _column_range(stored: bytes) -> Filter:
    message = read(Filter_pb2.ColumnRangeFilter, stored)
    return columns.ColumnRangeFilter(
        message.min_column if message.HasField("min_column") else None,
        message.max_column if message.HasField("max_column") else None,
        min_inclusive=message.min_column_inclusive,
        max_inclusive=message.max_column_inclusive,
    )


def _column_count_get(stored: bytes) -> Filter:
    limit = read(Filter_pb2.ColumnCountGetFilter, stored).limit
    if limit < 0:
        raise Thrown(f"{ILLEGAL}limit be positive {limit}")
    return columns.ColumnCountGetFilter(limit)


def _column_pagination(stored: bytes) -> Filter:
    message = read(Filter_pb2.ColumnPaginationFilter, stored)
    if message.limit < 0:
        raise Thrown(f"{ILLEGAL}limit must be positive {message.limit}")
    if message.HasField("column_offset"):
        return columns.ColumnPaginationFilter(message.limit, 0, message.column_offset)
    if message.offset < 0:
        raise Thrown(f"{ILLEGAL}offset must be positive {message.offset}")
    return columns.ColumnPaginationFilter(message.limit, message.offset)


def _first_key_only(stored: bytes) -> Filter:
    read(Filter_pb2.FirstKeyOnlyFilter, stored)
    return columns.FirstKeyOnlyFilter()


def _timestamps(stored: bytes) -> Filter:
    message = read(Filter_pb2.TimestampsFilter, stored)
    for timestamp_ms in message.timestamps:
        if timestamp_ms < 0:
            raise Thrown(f"{ILLEGAL}must be positive {timestamp_ms}")
    return columns.TimestampsFilter(message.timestamps, can_hint=message.can_hint)


def _prefix(stored: bytes) -> Filter:
    message = read(Filter_pb2.PrefixFilter, stored)
    return rows.PrefixFilter(message.prefix if message.HasField("prefix") else None)


def _page(stored: bytes) -> Filter:
    page_rows = read(Filter_pb2.PageFilter, stored).page_size
    if page_rows < 0:
        raise Thrown(f"{ILLEGAL}must be positive {page_rows}")
    return rows.PageFilter(page_rows)


PLAIN: dict[str, Callable[[bytes], Filter]] = {
    "ColumnCountGetFilter": _column_count_get,
    "ColumnPaginationFilter": _column_pagination,
    "ColumnPrefixFilter": lambda stored: columns.ColumnPrefixFilter(read(Filter_pb2.ColumnPrefixFilter, stored).prefix),
    "ColumnRangeFilter": _column_range,
    "FirstKeyOnlyFilter": _first_key_only,
    "FirstKeyValueMatchingQualifiersFilter": lambda stored: columns.FirstKeyValueMatchingQualifiersFilter(
        read(Filter_pb2.FirstKeyValueMatchingQualifiersFilter, stored).qualifiers
    ),
    "InclusiveStopFilter": lambda stored: rows.InclusiveStopFilter(
        read(Filter_pb2.InclusiveStopFilter, stored).stop_row_key
    ),
    "KeyOnlyFilter": lambda stored: columns.KeyOnlyFilter(len_as_val=read(Filter_pb2.KeyOnlyFilter, stored).len_as_val),
    "MultipleColumnPrefixFilter": _multiple_column_prefix,
    "PageFilter": _page,
    "PrefixFilter": _prefix,
    "TimestampsFilter": _timestamps,
}
