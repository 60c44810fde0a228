"""Filters that no client sends, or one that means harm: made from a seed, some of them right, some damaged."""

from __future__ import annotations

import random
from collections.abc import Callable

from google.protobuf.message import DecodeError

from protos.hbase import Comparator_pb2, Filter_pb2, HBase_pb2
from tests.support import filters as f
from tests.support.hostile import damaged

EXPLOSIVE = (
    "(a+)+$",
    "(a|a)*b",
    "(a*)*(a*)*c",
    "(.*)(.*)(.*)(.*)(.*)[0-9]$",
    "((a{1,40}){1,40})x",
    "(){1000}" * 20,
    "(((){1000}){1000}){1000}x",
    "(a|b)*a(a|b){900}c",
    "[a-z]{0,999}[0-9]",
    "(?x)a # comment \n{2,3}b",
    "(?iu)[\\p{L}&&[^a-z]]{1,200}ß",
    "[" + "a-z" * 300 + "]+$",
    "[" + "a&&" * 200 + "a]",
    "[^" * 45 + "a" + "]" * 45,
    "(" * 49 + "a*" + ")*" * 49,
    "(?:x?){500}x{500}",
    "|".join("a" * each for each in range(1, 60)),
    r"(a)\1",
    r"(?<=a)b",
    "(?>a*)a",
    "a**",
    "{2}{3}",
    "[[:alpha:]]",
    "\\",
    "[",
    "(?",
    "\\x{110000}",
    "\\p{Nothing}",
    "\\Q" + "a" * 1900,
    "\ud7ff\u0000\U0010ffff",
    "x{0,2147483648}",
    "x{99999999999999999999}",
    "a" * 2001,
)
CHARSETS = (
    "",
    "UTF-8",
    "utf_16",
    "ISO-8859-1",
    "cp1252",
    "no-such",
    "\0",
    "idna",
    "rot13",
    "zlib",
    "x" * 300,
    "UTF-7",
    "é",
)
FLAGS = (0, 32, 2, 4, 8, 16, 64, 127, 128, 1 << 30, -1)
NAMES = (
    "",
    "PageFilter",
    "org.apache.hadoop.hbase.filter.",
    "org.apache.hadoop.hbase.filter.Filter",
    "org.apache.hadoop.hbase.filter.FilterBase",
    "org.apache.hadoop.hbase.filter.BinaryComparator",
    "java.lang.Runtime",
    "x" * 10_000,
    "org.apache.hadoop.hbase.filter.../PageFilter",
)
NUMBERS = (0, 1, 2, -1, 2**31 - 1, -(2**31))


class HostileFilters:
    """Of one seed. Rows, columns and values are those that are there, and others."""

    def __init__(self, rng: random.Random, rows: list[bytes], qualifiers: list[bytes], values: list[bytes]) -> None:
        self._rng = rng
        self._rows = [*rows, b"", b"\xff" * 40]
        self._qualifiers = [*qualifiers, b"none"]
        self._values = [*values, b"\x80"]

    def filter(self) -> Filter_pb2.Filter:
        """Any; about half of them are right."""
        rng = self._rng
        kind = rng.randrange(12)
        if kind < 6:
            return self._tree(rng.randrange(4))
        if kind < 8:
            return self._large()
        if kind < 9:
            return self._deep()
        if kind < 10:
            return Filter_pb2.Filter(name=rng.choice(NAMES), serialized_filter=self._tree(1).serialized_filter)
        made = self._tree(rng.randrange(3))
        if kind < 11:  # the message of another class
            return Filter_pb2.Filter(name=self._leaf().name, serialized_filter=made.serialized_filter)
        _, data = next(damaged(made, rng, 1))
        try:
            return Filter_pb2.Filter.FromString(data)
        except DecodeError:  # not even that; what is in it may be damaged, too
            inner = bytearray(made.serialized_filter or b"\0")
            inner[rng.randrange(len(inner))] ^= 1 << rng.randrange(8)
            return Filter_pb2.Filter(name=made.name, serialized_filter=bytes(inner))

    def _tree(self, depth: int) -> Filter_pb2.Filter:
        rng = self._rng
        if depth == 0 or rng.random() < 0.3:
            return self._leaf()
        match rng.randrange(5):
            case 0:
                return f.envelope(Filter_pb2.SkipFilter(filter=self._tree(depth - 1)))
            case 1:
                return f.envelope(Filter_pb2.WhileMatchFilter(filter=self._tree(depth - 1)))
            case 2:
                return f.envelope(Filter_pb2.FilterWrapper(filter=self._tree(depth - 1)))
            case _:
                some = [self._tree(depth - 1) for _ in range(rng.randrange(5))]
                return f.listed(*some, one=rng.random() < 0.5)

    def _leaf(self) -> Filter_pb2.Filter:
        makers: list[Callable[[], Filter_pb2.Filter]] = [
            self._comparing,
            self._comparing,
            self._comparing,
            self._of_rows,
            self._of_columns,
        ]
        return self._rng.choice(makers)()

    def _comparing(self) -> Filter_pb2.Filter:
        rng = self._rng
        compare = rng.randrange(7)
        with_ = self.comparator()
        of = f.compared(compare, with_ if rng.random() < 0.95 else None)
        qualifier = rng.choice(self._qualifiers)
        single = f.single_column(b"f", qualifier, compare, with_, missing=rng.random() < 0.5, latest=rng.random() < 0.5)
        name = f.envelope(single)
        return rng.choice(
            [
                f.envelope(Filter_pb2.RowFilter(compare_filter=of)),
                f.envelope(Filter_pb2.FamilyFilter(compare_filter=of)),
                f.envelope(Filter_pb2.QualifierFilter(compare_filter=of)),
                f.envelope(Filter_pb2.ValueFilter(compare_filter=of)),
                f.envelope(Filter_pb2.ValueFilter(compare_filter=of)),
                name,
                f.envelope(Filter_pb2.SingleColumnValueExcludeFilter(single_column_value_filter=single)),
                f.envelope(
                    Filter_pb2.ColumnValueFilter(
                        family=b"f", qualifier=qualifier, compare_op=of.compare_op, comparator=with_
                    )
                ),
                f.envelope(
                    Filter_pb2.DependentColumnFilter(
                        column_family=b"f",
                        column_qualifier=qualifier,
                        compare_filter=of,
                        drop_dependent_column=rng.random() < 0.5,
                    )
                ),
            ]
        )

    def comparator(self) -> Comparator_pb2.Comparator:
        """Any."""
        rng = self._rng
        part = rng.choice(rng.choice([self._rows, self._qualifiers, self._values]))
        match rng.randrange(11):
            case 0 | 1:
                return f.binary(part)
            case 2:
                return f.binary_prefix(part[: rng.randrange(3)])
            case 3:
                return f.component(part, abs(rng.choice(NUMBERS)) >> 1)
            case 4:
                return f.bit(part, rng.choice(f.BITWISE))
            case 5:
                return f.substring(rng.choice(["a", "", "B", "\u0130", "ß" * 100, "a" * 50_000]))
            case 6:
                return f.null() if rng.random() < 0.5 else f.long(rng.choice(NUMBERS))
            case 7:
                digits = rng.choice([1, 10, 10_000])
                return f.big_decimal(rng.randrange(10**digits), rng.choice(NUMBERS))
            case 8:
                return Comparator_pb2.Comparator(name=rng.choice(NAMES), serialized_comparator=part)
            case _:
                pattern = rng.choice(EXPLOSIVE) if rng.random() < 0.7 else self._pattern()
                flags, charset = rng.choice(FLAGS) if rng.random() < 0.4 else 32, rng.choice(CHARSETS)
                return f.regex(
                    pattern, flags, charset if rng.random() < 0.3 else "", rng.choice(["JAVA", "JONI", "", "RE2"])
                )

    def _pattern(self) -> str:
        tokens = (
            "a",
            "b",
            ".",
            "*",
            "+",
            "?",
            "(",
            ")",
            "|",
            "[",
            "]",
            "^",
            "$",
            "{1,9}",
            "{2}",
            "\\",
            "&&",
            "-",
            "\\d",
            "(?i)",
        )
        return "".join(self._rng.choice(tokens) for _ in range(self._rng.randrange(1, 30)))

    def _of_rows(self) -> Filter_pb2.Filter:
        rng = self._rng
        row = rng.choice(self._rows)
        return rng.choice(
            [
                f.envelope(Filter_pb2.PrefixFilter(prefix=row[: rng.randrange(4)])),
                f.envelope(Filter_pb2.PrefixFilter()),
                f.envelope(Filter_pb2.InclusiveStopFilter(stop_row_key=row)),
                f.envelope(Filter_pb2.PageFilter(page_size=rng.choice([*NUMBERS, 3]))),
                f.envelope(Filter_pb2.RandomRowFilter(chance=rng.choice([-1.0, 2.0]))),
                self._ranges(rng.randrange(5)),
                self._fuzzy(rng.randrange(4)),
            ]
        )

    def _ranges(self, count: int) -> Filter_pb2.Filter:
        rng = self._rng
        ranges: list[Filter_pb2.RowRange] = []
        for _ in range(count):
            ends = sorted([rng.choice(self._rows) + bytes(rng.randrange(3)), rng.choice(self._rows)])
            if rng.random() < 0.002:
                ends.reverse()
            ranges.append(
                Filter_pb2.RowRange(
                    start_row=ends[0],
                    start_row_inclusive=rng.random() < 0.8,
                    stop_row=ends[1],
                    stop_row_inclusive=ends[0] == ends[1] or rng.random() < 0.5,
                )
            )
        return f.envelope(Filter_pb2.MultiRowRangeFilter(row_range_list=ranges))

    def _fuzzy(self, count: int) -> Filter_pb2.Filter:
        rng = self._rng
        pairs: list[HBase_pb2.BytesBytesPair] = []
        for _ in range(count):
            row = rng.choice(self._rows)
            mask = bytes(rng.choice((0, 1)) for _ in row)
            if rng.random() < 0.02:
                mask = rng.choice([mask + b"\0", bytes(rng.randrange(256) for _ in row), mask.replace(b"\1", b"\2")])
            pairs.append(HBase_pb2.BytesBytesPair(first=row, second=mask))
        return f.envelope(Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=pairs, is_mask_v2=rng.random() < 0.5))

    def _of_columns(self) -> Filter_pb2.Filter:
        rng = self._rng
        one, other = rng.choice(self._qualifiers), rng.choice(self._qualifiers)
        number, another = rng.choice([*NUMBERS, 3]), rng.choice([*NUMBERS, 3])
        times = [rng.choice([0, 1, 2, 3, -1, 2**63 - 1]) for _ in range(rng.randrange(4))]
        return rng.choice(
            [
                f.envelope(Filter_pb2.ColumnPrefixFilter(prefix=one[:1])),
                f.envelope(Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=[one, other])),
                f.envelope(
                    Filter_pb2.ColumnRangeFilter(
                        min_column=one,
                        min_column_inclusive=number > 0,
                        max_column=other,
                        max_column_inclusive=another > 0,
                    )
                ),
                f.envelope(Filter_pb2.ColumnCountGetFilter(limit=number)),
                f.envelope(Filter_pb2.ColumnPaginationFilter(limit=number, offset=another)),
                f.envelope(Filter_pb2.ColumnPaginationFilter(limit=number, column_offset=one)),
                f.envelope(Filter_pb2.FirstKeyOnlyFilter()),
                f.envelope(Filter_pb2.FirstKeyValueMatchingQualifiersFilter(qualifiers=[one])),
                f.envelope(Filter_pb2.KeyOnlyFilter(len_as_val=number > 0)),
                f.envelope(Filter_pb2.TimestampsFilter(timestamps=times, can_hint=number > 0)),
            ]
        )

    def _large(self) -> Filter_pb2.Filter:
        """Many of something."""
        rng = self._rng
        many = rng.choice([50, 400, 1500, 10_001] if rng.random() < 0.9 else [9_990])
        match rng.randrange(7):
            case 0:
                return f.listed(*[self._leaf() for _ in range(20)] * (min(many, 400) // 20), one=rng.random() < 0.5)
            case 1:
                return self._ranges(many * rng.choice([1, 4]))
            case 2:
                return self._fuzzy(many)
            case 3:
                regexes = [
                    f.envelope(Filter_pb2.ValueFilter(compare_filter=f.compared(2, f.regex(each))))
                    for each in EXPLOSIVE[:14]
                ]
                return f.listed(*regexes * 5, one=rng.random() < 0.5)
            case 4:
                row = bytes(rng.choice(b"abc") for _ in range(30_000))
                pairs = [HBase_pb2.BytesBytesPair(first=row, second=bytes(30_000)) for _ in range(many // 50)]
                return f.envelope(Filter_pb2.FuzzyRowFilter(fuzzy_keys_data=pairs))
            case 5:
                substring = f.compared(2, f.substring("b" * 30))
                return f.listed(
                    *[f.envelope(Filter_pb2.ValueFilter(compare_filter=substring))] * min(many, 400), one=True
                )
            case _:
                prefixes = [b"%06d" % each for each in range(many)]
                return f.envelope(Filter_pb2.MultipleColumnPrefixFilter(sorted_prefixes=prefixes))

    def _deep(self) -> Filter_pb2.Filter:
        rng = self._rng
        made = self._leaf()
        for _ in range(rng.choice([30, 95, 98, 99, 100, 1000])):
            match rng.randrange(4):
                case 0:
                    made = f.envelope(Filter_pb2.SkipFilter(filter=made))
                case 1:
                    made = f.envelope(Filter_pb2.FilterWrapper(filter=made))
                case 2:
                    made = f.listed(made, one=rng.random() < 0.5)
                case _:
                    made = f.envelope(Filter_pb2.WhileMatchFilter(filter=made))
        return made
