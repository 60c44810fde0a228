"""Filters out of their envelopes: the name of Java's class, and the message of that class. Pure.

How many filters there may be, and how deep within each other, is bounded here; patterns where they are compiled.

Source: ProtobufUtil#toFilter; parseFrom and the constructors of each class.
"""

from __future__ import annotations

from collections.abc import Callable

from protos.hbase import Filter_pb2, HBase_pb2
from regionserver.filters import columns, comparing, rows, wrapping
from regionserver.filters.comparators import Comparator, CompareType
from regionserver.filters.envelopes import DESERIALIZATION, ILLEGAL, PACKAGE, Thrown, inner_comparator, read
from regionserver.filters.filter import Filter
from regionserver.filters.fuzzy import FuzzyKey, FuzzyRowFilter
from regionserver.filters.lists import FilterListWithAnd, FilterListWithOr
from regionserver.filters.row_ranges import MultiRowRangeFilter, RowRange, merged
from registry.wire.errors import DoNotRetryIOException, HBaseError
from registry.wire.preamble import string_binary
from registry.wire.text import lenient_text

DEPTH_MAX = 100
FILTERS_MAX = 10_000
"""In all lists of one request; a row of a fuzzy filter counts as one too."""
_NOT_RETRIED = "org.apache.hadoop.hbase.DoNotRetryIOException: "

Roll = Callable[[], float]
"""A number of [0, 1), by chance."""


def parse_filter(message: Filter_pb2.Filter, roll: Roll) -> Filter:
    """A filter for one scan. Raises DoNotRetryIOException."""
    return _Parser(roll).parsed(message, 1)


class _Parser:
    """Of one request."""

    def __init__(self, roll: Roll) -> None:
        self._roll = roll
        self._count = 0

    def parsed(self, message: Filter_pb2.Filter, depth: int) -> Filter:
        """Raises DoNotRetryIOException."""
        if depth > DEPTH_MAX:
            raise DoNotRetryIOException(f"filters may be {DEPTH_MAX} deep within each other")
        self.count(1)
        name = lenient_text(message.name)
        stored = message.serialized_filter
        try:
            short = name.removeprefix(PACKAGE) if name.startswith(PACKAGE) else ""
            if (plain := PLAIN.get(short)) is not None:
                return plain(stored)
            if (counted := OF_PARSER.get(short)) is not None:
                return counted(self, stored, depth)
            raise Thrown(f"java.lang.ClassNotFoundException: {name}")
        except Thrown as thrown:
            raise DoNotRetryIOException(str(thrown)) from None

    def count(self, count: int) -> None:
        """So many more filters."""
        self._count += count
        if self._count > FILTERS_MAX:
            raise DoNotRetryIOException(f"a request may have {FILTERS_MAX} filters")

    def inner(self, message: Filter_pb2.Filter, depth: int) -> Filter:
        """Of a filter, which wraps what is wrong with it."""
        try:
            return self.parsed(message, depth + 1)
        except HBaseError as error:
            raise Thrown(f"{DESERIALIZATION}{_NOT_RETRIED}{error.message}") from None

    def list(self, stored: bytes, depth: int) -> Filter:
        message = read(Filter_pb2.FilterList, stored)
        filters = [self.inner(each, depth) for each in message.filters]
        if message.operator == Filter_pb2.FilterList.MUST_PASS_ONE:
            return FilterListWithOr(filters)
        return FilterListWithAnd(filters)

    def skip(self, stored: bytes, depth: int) -> Filter:
        return wrapping.SkipFilter(self.inner(read(Filter_pb2.SkipFilter, stored).filter, depth))

    def while_match(self, stored: bytes, depth: int) -> Filter:
        return wrapping.WhileMatchFilter(self.inner(read(Filter_pb2.WhileMatchFilter, stored).filter, depth))

    def wrapper(self, stored: bytes, depth: int) -> Filter:
        return wrapping.FilterWrapper(self.inner(read(Filter_pb2.FilterWrapper, stored).filter, depth))

    def random_row(self, stored: bytes, _: int) -> Filter:
        return rows.RandomRowFilter(read(Filter_pb2.RandomRowFilter, stored).chance, self._roll)

    def fuzzy_row(self, stored: bytes, _: int) -> Filter:
        message = read(Filter_pb2.FuzzyRowFilter, stored)
        self.count(len(message.fuzzy_keys_data))
        for pair in message.fuzzy_keys_data:
            if len(pair.first) != len(pair.second):
                told = f"{{{string_binary(pair.first)},{string_binary(pair.second)}}}"
                raise Thrown(f"{ILLEGAL}Fuzzy pair lengths do not match: {told}")
        if not message.fuzzy_keys_data:
            raise Thrown(ILLEGAL.removesuffix(": "))
        v2 = message.is_mask_v2
        return FuzzyRowFilter([FuzzyKey(pair.first, pair.second, is_mask_v2=v2) for pair in message.fuzzy_keys_data])


OF_PARSER: dict[str, Callable[[_Parser, bytes, int], Filter]] = {
    "FilterList": _Parser.list,
    "SkipFilter": _Parser.skip,
    "WhileMatchFilter": _Parser.while_match,
    "FilterWrapper": _Parser.wrapper,
    "RandomRowFilter": _Parser.random_row,
    "FuzzyRowFilter": _Parser.fuzzy_row,
}


def _compared(message: Filter_pb2.CompareFilter) -> tuple[CompareType, Comparator | None]:
    comparator = inner_comparator(message.comparator) if message.HasField("comparator") else None
    return _operator(message.compare_op), comparator


def _operator(compare: HBase_pb2.CompareType) -> CompareType:
    return CompareType(compare)


def _compare_filter(
    message_class: type[
        Filter_pb2.RowFilter | Filter_pb2.FamilyFilter | Filter_pb2.QualifierFilter | Filter_pb2.ValueFilter
    ],
    made: type[comparing.CompareFilter],
) -> Callable[[bytes], Filter]:
    return lambda stored: made(*_compared(read(message_class, stored).compare_filter))


def _column_value(stored: bytes) -> Filter:
    message = read(Filter_pb2.ColumnValueFilter, stored)
    comparator = inner_comparator(message.comparator)
    return comparing.ColumnValueFilter(message.family, message.qualifier, _operator(message.compare_op), comparator)


def _dependent_column(stored: bytes) -> Filter:
    message = read(Filter_pb2.DependentColumnFilter, stored)
    family, qualifier = message.column_family, message.column_qualifier
    compare, comparator = _compared(message.compare_filter)
    drops = message.drop_dependent_column
    return comparing.DependentColumnFilter(family, qualifier, compare, comparator, drops=drops)


def _single_column_value(stored: bytes) -> Filter:
    message = read(Filter_pb2.SingleColumnValueFilter, stored)
    return _single(message, comparing.SingleColumnValueFilter)


def _single_column_value_exclude(stored: bytes) -> Filter:
    message = read(Filter_pb2.SingleColumnValueExcludeFilter, stored)
    return _single(message.single_column_value_filter, comparing.SingleColumnValueExcludeFilter)


def _single(
    message: Filter_pb2.SingleColumnValueFilter, made: type[comparing.SingleColumnValueFilter]
) -> comparing.SingleColumnValueFilter:
    return made(
        message.column_family,
        message.column_qualifier,
        _operator(message.compare_op),
        inner_comparator(message.comparator),
        filter_if_missing=message.filter_if_missing,
        latest_version_only=message.latest_version_only,
    )


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


def _multi_row_range(stored: bytes) -> Filter:
    message = read(Filter_pb2.MultiRowRangeFilter, stored)
    ranges = [
        RowRange(each.start_row, each.stop_row, each.start_row_inclusive, each.stop_row_inclusive)
        for each in message.row_range_list
    ]
    if not ranges:
        raise Thrown(f"{ILLEGAL}No ranges found.")
    invalid = [each for each in ranges if not each.is_valid]
    if invalid:
        told = "".join(
            f"Invalid range: start row => {each.start.decode('utf-8', 'replace')},"
            f" stop row => {each.stop.decode('utf-8', 'replace')}\n"
            for each in invalid
        )
        raise Thrown(f"{ILLEGAL}{len(invalid)} invaild ranges.\n{told}")
    return MultiRowRangeFilter(merged(ranges))


PLAIN: dict[str, Callable[[bytes], Filter]] = {
    "ColumnCountGetFilter": _column_count_get,
    "ColumnPaginationFilter": _column_pagination,
    "ColumnPrefixFilter": lambda stored: columns.ColumnPrefixFilter(read(Filter_pb2.ColumnPrefixFilter, stored).prefix),
    "ColumnRangeFilter": _column_range,
    "ColumnValueFilter": _column_value,
    "DependentColumnFilter": _dependent_column,
    "FamilyFilter": _compare_filter(Filter_pb2.FamilyFilter, comparing.FamilyFilter),
    "FirstKeyOnlyFilter": _first_key_only,
    "FirstKeyValueMatchingQualifiersFilter": lambda stored: columns.FirstKeyValueMatchingQualifiersFilter(
        read(Filter_pb2.FirstKeyValueMatchingQualifiersFilter, stored).qualifiers
    ),
    "InclusiveStopFilter": lambda stored: rows.InclusiveStopFilter(
        read(Filter_pb2.InclusiveStopFilter, stored).stop_row_key
    ),
    "KeyOnlyFilter": lambda stored: columns.KeyOnlyFilter(len_as_val=read(Filter_pb2.KeyOnlyFilter, stored).len_as_val),
    "MultiRowRangeFilter": _multi_row_range,
    "MultipleColumnPrefixFilter": _multiple_column_prefix,
    "PageFilter": _page,
    "PrefixFilter": _prefix,
    "QualifierFilter": _compare_filter(Filter_pb2.QualifierFilter, comparing.QualifierFilter),
    "RowFilter": _compare_filter(Filter_pb2.RowFilter, comparing.RowFilter),
    "SingleColumnValueExcludeFilter": _single_column_value_exclude,
    "SingleColumnValueFilter": _single_column_value,
    "TimestampsFilter": _timestamps,
    "ValueFilter": _compare_filter(Filter_pb2.ValueFilter, comparing.ValueFilter),
}
