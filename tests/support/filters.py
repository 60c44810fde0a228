"""Filters and comparators as clients send them, and trees of them drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message
from hypothesis import strategies as st

from protos.hbase import Comparator_pb2, Filter_pb2, HBase_pb2
from regionserver.filters.row_ranges import RowRange, merged

PACKAGE = "org.apache.hadoop.hbase.filter."
DOTALL = 32
BITWISE = (
    Comparator_pb2.BitComparator.AND,
    Comparator_pb2.BitComparator.OR,
    Comparator_pb2.BitComparator.XOR,
)
LESS, LESS_OR_EQUAL, EQUAL, NOT_EQUAL, GREATER_OR_EQUAL, GREATER, NO_OP = range(7)


def envelope(message: Message, name: str = "") -> Filter_pb2.Filter:
    """A filter: the class is called as its message."""
    name = name or PACKAGE + type(message).__name__
    return Filter_pb2.Filter(name=name, serialized_filter=message.SerializeToString())


def comparator(message: Message) -> Comparator_pb2.Comparator:
    """The same of a comparator."""
    name = PACKAGE + type(message).__name__
    return Comparator_pb2.Comparator(name=name, serialized_comparator=message.SerializeToString())


def _comparable(value: bytes) -> Comparator_pb2.ByteArrayComparable:
    return Comparator_pb2.ByteArrayComparable(value=value)


def binary(value: bytes) -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.BinaryComparator(comparable=_comparable(value)))


def binary_prefix(value: bytes) -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.BinaryPrefixComparator(comparable=_comparable(value)))


def component(value: bytes, offset: int) -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.BinaryComponentComparator(value=value, offset=offset))


def long(number: int) -> Comparator_pb2.Comparator:
    value = _comparable(number.to_bytes(8, "big", signed=True))
    return comparator(Comparator_pb2.LongComparator(comparable=value))


def big_decimal(unscaled: int, scale: int = 0) -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.BigDecimalComparator(comparable=_comparable(decimal_bytes(unscaled, scale))))


def decimal_bytes(unscaled: int, scale: int = 0) -> bytes:
    """Bytes.toBytes(BigDecimal)."""
    size_bytes = unscaled.bit_length() // 8 + 1
    return scale.to_bytes(4, "big", signed=True) + unscaled.to_bytes(size_bytes, "big", signed=True)


def bit(value: bytes, combined_by: Comparator_pb2.BitComparator.BitwiseOp) -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.BitComparator(comparable=_comparable(value), bitwise_op=combined_by))


def null() -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.NullComparator())


def substring(text: str) -> Comparator_pb2.Comparator:
    return comparator(Comparator_pb2.SubstringComparator(substr=text))


def regex(pattern: str, flags: int = DOTALL, charset: str = "UTF-8", engine: str = "JAVA") -> Comparator_pb2.Comparator:
    return comparator(
        Comparator_pb2.RegexStringComparator(pattern=pattern, pattern_flags=flags, charset=charset, engine=engine)
    )


def compared(compare: int, with_: Comparator_pb2.Comparator | None) -> Filter_pb2.CompareFilter:
    return Filter_pb2.CompareFilter(compare_op=HBase_pb2.CompareType.Name(compare), comparator=with_)


def listed(*filters: Filter_pb2.Filter, one: bool = False) -> Filter_pb2.Filter:
    """A FilterList; `one`: MUST_PASS_ONE."""
    operator = Filter_pb2.FilterList.MUST_PASS_ONE if one else Filter_pb2.FilterList.MUST_PASS_ALL
    return envelope(Filter_pb2.FilterList(operator=operator, filters=filters))


def single_column(
    family: bytes,
    qualifier: bytes,
    compare: int,
    with_: Comparator_pb2.Comparator,
    *,
    missing: bool = False,
    latest: bool = True,
) -> Filter_pb2.SingleColumnValueFilter:
    return Filter_pb2.SingleColumnValueFilter(
        column_family=family,
        column_qualifier=qualifier,
        compare_op=HBase_pb2.CompareType.Name(compare),
        comparator=with_,
        filter_if_missing=missing,
        latest_version_only=latest,
    )


# --- drawn ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """Filters about these rows, columns, values and times."""

    rows: Sequence[bytes]
    families: Sequence[bytes]
    qualifiers: Sequence[bytes]
    values: Sequence[bytes]
    times_ms: Sequence[int]
    prefix: bytes = b""
    """Of all rows."""
    ranges_apart: bool = False
    """Three ranges of rows are merged, as Java's client sends them: where more than two overlap a real server may take
    the end of the last for one that is inside."""

    def filters(self, depth: int = 3) -> st.SearchStrategy[Filter_pb2.Filter]:
        """One by itself as often as a few side by side, or some within each other."""
        single = _Trees(self.single())
        return _one_of((single, single, _Trees(self._pair()), _Trees(self._trees(depth))))

    def _pair(self) -> st.SearchStrategy[Filter_pb2.Filter]:
        some = st.lists(self.single(), min_size=2, max_size=3)
        return st.tuples(some, st.booleans()).map(lambda drawn: listed(*drawn[0], one=drawn[1]))

    def _trees(self, depth: int) -> st.SearchStrategy[Filter_pb2.Filter]:
        return st.recursive(self.single(), self._around, max_leaves=depth * 2)

    def _around(self, inner: st.SearchStrategy[Filter_pb2.Filter]) -> st.SearchStrategy[Filter_pb2.Filter]:
        some = st.lists(inner, max_size=4)
        return st.one_of(
            st.tuples(some, st.booleans()).map(lambda drawn: listed(*drawn[0], one=drawn[1])),
            st.tuples(some, st.booleans()).map(lambda drawn: listed(*drawn[0], one=drawn[1])),
            inner.map(lambda each: envelope(Filter_pb2.SkipFilter(filter=each))),
            inner.map(lambda each: envelope(Filter_pb2.WhileMatchFilter(filter=each))),
            inner.map(lambda each: envelope(Filter_pb2.FilterWrapper(filter=each))),
        )

    def single(self) -> st.SearchStrategy[Filter_pb2.Filter]:
        """Each of those that stand by themselves."""
        kinds = (_Trees(self._of_rows()), _Trees(self._of_columns()), _Trees(self._comparing()))
        return _one_of((*kinds, *kinds[1:]))

    def comparators(self, parts: Sequence[bytes]) -> st.SearchStrategy[Comparator_pb2.Comparator]:
        """Those that can compare any value, and say less, the same and more of some."""
        part = st.sampled_from(parts)
        begins = sorted({each[: max(len(self.prefix), len(each) - 1)] for each in parts if each[:1] == self.prefix[:1]})
        begin = st.sampled_from(begins or [b"", b"v"])
        text = st.sampled_from(["a", "B", "v", "1", "q", "", "alu"])
        patterns = st.sampled_from(["a", "^a", "[^v]$", "(v|1).*", "^$", "x*", "q|p", r"\bv", "(?i)VAL", "."])
        return st.one_of(
            part.map(binary),
            part.map(binary),
            begin.map(binary_prefix),
            st.tuples(part, st.sampled_from(BITWISE)).map(lambda drawn: bit(*drawn)),
            st.just(null()),
            text.map(substring),
            st.tuples(patterns, st.sampled_from([DOTALL, DOTALL | 2, 0, 8])).map(lambda drawn: regex(*drawn)),
        )

    def _compared(self, parts: Sequence[bytes]) -> st.SearchStrategy[Filter_pb2.CompareFilter]:
        return st.tuples(st.integers(LESS, NO_OP), self.comparators(parts)).map(lambda drawn: compared(*drawn))

    def _comparing(self) -> st.SearchStrategy[Filter_pb2.Filter]:
        of_values, family, qualifier = (
            self.comparators(self.values),
            st.sampled_from(self.families),
            st.sampled_from(self.qualifiers),
        )
        single = st.tuples(family, qualifier, st.integers(LESS, GREATER), of_values, st.booleans(), st.booleans()).map(
            lambda drawn: single_column(*drawn[:4], missing=drawn[4], latest=drawn[5])
        )
        return st.one_of(
            self._compared(self.rows).map(lambda each: envelope(Filter_pb2.RowFilter(compare_filter=each))),
            self._compared(self.families).map(lambda each: envelope(Filter_pb2.FamilyFilter(compare_filter=each))),
            self._compared(self.qualifiers).map(lambda each: envelope(Filter_pb2.QualifierFilter(compare_filter=each))),
            self._compared(self.values).map(lambda each: envelope(Filter_pb2.ValueFilter(compare_filter=each))),
            single.map(envelope),
            single.map(
                lambda each: envelope(Filter_pb2.SingleColumnValueExcludeFilter(single_column_value_filter=each))
            ),
            st.tuples(family, qualifier, self._compared(self.values)).map(
                lambda drawn: envelope(
                    Filter_pb2.ColumnValueFilter(
                        family=drawn[0],
                        qualifier=drawn[1],
                        compare_op=drawn[2].compare_op,
                        comparator=drawn[2].comparator,
                    )
                )
            ),
            st.tuples(family, qualifier, self._compared(self.values), st.booleans(), st.booleans()).map(
                lambda drawn: envelope(
                    Filter_pb2.DependentColumnFilter(
                        column_family=drawn[0],
                        column_qualifier=drawn[1],
                        compare_filter=drawn[2] if drawn[4] else compared(NO_OP, None),
                        drop_dependent_column=drawn[3],
                    )
                )
            ),
        )

    def _of_rows(self) -> st.SearchStrategy[Filter_pb2.Filter]:
        row = st.sampled_from(self.rows)
        begin = st.tuples(row, st.integers(1, 2)).map(lambda drawn: drawn[0][: len(self.prefix) + drawn[1]])
        ranges = st.tuples(row, row, st.booleans(), st.booleans()).map(_row_range)
        return st.one_of(
            begin.map(lambda each: envelope(Filter_pb2.PrefixFilter(prefix=each))),
            row.map(lambda each: envelope(Filter_pb2.InclusiveStopFilter(stop_row_key=each))),
            st.integers(0, 4).map(lambda each: envelope(Filter_pb2.PageFilter(page_size=each))),
            st.sampled_from([-1.0, 2.0]).map(lambda each: envelope(Filter_pb2.RandomRowFilter(chance=each))),
            st.lists(ranges, min_size=1, max_size=3).map(
                lambda each: envelope(Filter_pb2.MultiRowRangeFilter(row_range_list=self._ranges(each)))
            ),
            st.tuples(st.lists(row.flatmap(self._fuzzy_pair), min_size=1, max_size=3), st.booleans()).map(
                lambda drawn: envelope(Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=drawn[0], is_mask_v2=drawn[1]))
            ),
        )

    def _ranges(self, ranges: list[Filter_pb2.RowRange]) -> list[Filter_pb2.RowRange]:
        if not self.ranges_apart or len(ranges) < 3:
            return ranges
        return [
            Filter_pb2.RowRange(
                start_row=each.start,
                start_row_inclusive=each.start_inclusive,
                stop_row=each.stop,
                stop_row_inclusive=each.stop_inclusive,
            )
            for each in merged(
                RowRange(each.start_row, each.stop_row, each.start_row_inclusive, each.stop_row_inclusive)
                for each in ranges
            )
        ]

    def _fuzzy_pair(self, row: bytes) -> st.SearchStrategy[HBase_pb2.BytesBytesPair]:
        length = len(row) - len(self.prefix)
        return st.lists(st.sampled_from([0, 1]), min_size=length, max_size=length).map(
            lambda mask: HBase_pb2.BytesBytesPair(first=row, second=bytes(len(self.prefix)) + bytes(mask))
        )

    def _of_columns(self) -> st.SearchStrategy[Filter_pb2.Filter]:
        qualifier = st.sampled_from(self.qualifiers)
        times = st.lists(st.sampled_from(self.times_ms), max_size=3)
        some = st.lists(qualifier, max_size=3, unique=True)
        return st.one_of(
            qualifier.map(lambda each: envelope(Filter_pb2.ColumnPrefixFilter(prefix=each[:1]))),
            some.map(lambda each: envelope(Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=each))),
            st.tuples(st.none() | qualifier, st.booleans(), st.none() | qualifier, st.booleans()).map(
                lambda drawn: envelope(
                    Filter_pb2.ColumnRangeFilter(
                        min_column=drawn[0],
                        min_column_inclusive=drawn[1],
                        max_column=drawn[2],
                        max_column_inclusive=drawn[3],
                    )
                )
            ),
            st.integers(0, 4).map(lambda each: envelope(Filter_pb2.ColumnCountGetFilter(limit=each))),
            st.tuples(st.integers(0, 3), st.integers(0, 2)).map(
                lambda drawn: envelope(Filter_pb2.ColumnPaginationFilter(limit=drawn[0], offset=drawn[1]))
            ),
            st.tuples(st.integers(0, 3), qualifier).map(
                lambda drawn: envelope(Filter_pb2.ColumnPaginationFilter(limit=drawn[0], column_offset=drawn[1]))
            ),
            st.just(envelope(Filter_pb2.FirstKeyOnlyFilter())),
            some.map(lambda each: envelope(Filter_pb2.FirstKeyValueMatchingQualifiersFilter(qualifiers=each))),
            st.booleans().map(lambda each: envelope(Filter_pb2.KeyOnlyFilter(len_as_val=each))),
            st.tuples(times, st.booleans()).map(
                lambda drawn: envelope(Filter_pb2.TimestampsFilter(timestamps=drawn[0], can_hint=drawn[1]))
            ),
        )


class _Trees:
    """Told by its name: all that may be drawn would fill pages."""

    def __init__(self, any_of: st.SearchStrategy[Filter_pb2.Filter]) -> None:
        self.any_of = any_of

    def __repr__(self) -> str:
        return "trees of filters"


@st.composite
def _one_of(draw: st.DrawFn, some: Sequence[_Trees]) -> Filter_pb2.Filter:
    """Each as often as the others: `st.one_of` would take what is within them one by one."""
    return draw(some[draw(st.integers(0, len(some) - 1))].any_of)


def _row_range(drawn: tuple[bytes, bytes, bool, bool]) -> Filter_pb2.RowRange:
    one, other, start_inclusive, stop_inclusive = drawn
    start, stop = min(one, other), max(one, other)
    return Filter_pb2.RowRange(
        start_row=start,
        start_row_inclusive=start_inclusive or start == stop,
        stop_row=stop,
        stop_row_inclusive=stop_inclusive or start == stop,
    )
