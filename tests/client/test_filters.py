"""Filters built in Python: the messages of Java's classes, and what is said of wrong arguments.

filter_messages.txt is what tests/cluster/java/FilterMessages.java printed with hbase-client 2.6.4: of each filter how
it is written in Python, and class and message of Java's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import hbeacon
from hbeacon import If, Put, filters
from regionserver.filters import envelopes, parsing
from registry.client.filters import (
    Column,
    CompareOp,
    Filter,
    FilterList,
    ListOperator,
    PrefixFilter,
    RowRange,
    ValueFilter,
)
from registry.testing.cluster import Cluster
from tests.support.java import JDK_FLAGS, ClassPath, program_classes
from tests.support.processes import tool

RECORDED = Path(__file__).with_name("filter_messages.txt")
LINES = [line[2:].rpartition(" | ") for line in RECORDED.read_text(encoding="utf-8").splitlines()]
A, B, C = (PrefixFilter(each) for each in "abc")
KNOWN: dict[str, Any] = {name: getattr(filters, name) for name in filters.__all__} | {"Decimal": Decimal}


@pytest.mark.parametrize(("python", "java"), [(line[0], line[2]) for line in LINES], ids=lambda text: text[:60])
def test_the_same_is_made_as_by_java(python: str, java: str) -> None:
    name, _, message = java.partition(" ")
    built = eval(python, dict(KNOWN))
    assert eval(repr(built), dict(KNOWN)) == built, "it says how to write it"
    proto = built.to_proto()
    assert proto.name == name
    assert (proto.serialized_filter if isinstance(built, Filter) else proto.serialized_comparator).hex() == message


@pytest.mark.cluster
def test_java_still_makes_what_is_recorded() -> None:
    classes = program_classes(ClassPath("hbase-client", "2.6.4"), "FilterMessages")
    told = subprocess.run(
        [tool("java"), "-Dfile.encoding=UTF-8", *JDK_FLAGS, "-cp", classes, "FilterMessages"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=True,
    ).stdout
    assert [line for line in told.splitlines() if line.startswith("= ")] == [
        *RECORDED.read_text(encoding="utf-8").splitlines(),
        "= end",
    ]


def test_all_that_servers_know_can_be_built() -> None:
    """FilterWrapper is what Java's own server puts around filters."""
    known = {*parsing.PLAIN, *parsing.COMPARING, *parsing.OF_PARSER, *envelopes._PLAIN, *envelopes._COSTLY}  # pyright: ignore[reportPrivateUsage]
    assert known - {"FilterWrapper"} <= set(filters.__all__)
    recorded = {line[2].split(" ")[0].rpartition(".")[2] for line in LINES}
    assert known - {"FilterWrapper"} == recorded, "each is compared with Java's"


def test_lists_of_one_kind_are_one_list() -> None:
    all_ = ListOperator.MUST_PASS_ALL
    assert A & B & C == A & (B & C) == FilterList(all_, [A, B, C])
    assert FilterList(all_, [A, B, B, C]) == (A & B) & (B & C)
    assert FilterList(all_, [FilterList(ListOperator.MUST_PASS_ONE, [A, B]), C]) == (A | B) & C
    assert A | B & C == A | (B & C)
    assert FilterList(all_, []) & A == FilterList(all_, [FilterList(all_, []), A])


def test_filters_say_how_they_are_written() -> None:
    assert repr(ValueFilter("==", "x")) == "ValueFilter(op='=', comparator=BinaryComparator(value=b'x'))"
    assert repr(A & B) == "(PrefixFilter(prefix=b'a') & PrefixFilter(prefix=b'b'))"
    assert {A: 1}[PrefixFilter(b"a")] == 1


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("ValueFilter('~', 'x')", "ValueFilter: op: '~' is none of"),
        ("ValueFilter('=', 5)", "ValueFilter: comparator: a comparator, bytes or str is meant, not 5"),
        ("ValueFilter('=', None)", "not None"),
        ("ValueFilter('=', PrefixFilter('a'))", "a comparator"),
        ("PrefixFilter(5)", "PrefixFilter: prefix: bytes or str are meant, not 5"),
        ("PageFilter(-1)", "out of range"),
        ("PageFilter(True)", "a whole number is meant"),
        ("ColumnCountGetFilter(2**31)", "out of range"),
        ("ColumnPaginationFilter(1, -1)", "out of range"),
        ("ColumnPaginationFilter(1, 1.5)", "not 1.5"),
        ("LongComparator(2**63)", "out of range"),
        ("LongComparator('7')", "a whole number"),
        ("BigDecimalComparator(1.5)", "a Decimal is meant"),
        ("BigDecimalComparator(Decimal('NaN'))", "Java has no"),
        ("BinaryComponentComparator('v', -1)", "out of range"),
        ("BitComparator('v', '+')", "none of & | \\^"),
        ("RegexStringComparator(b'a')", "a str is meant"),
        ("RegexStringComparator('a', re.DOTALL)", "Java's flags"),
        ("RegexStringComparator('a', engine='PERL')", "neither JAVA nor JONI"),
        ("KeyOnlyFilter(1)", "True or False"),
        ("MultipleColumnPrefixFilter('abc')", "several are meant"),
        ("MultipleColumnPrefixFilter(['a', 'a'])", "distinct"),
        ("TimestampsFilter([-1])", "out of range"),
        ("RandomRowFilter(float('nan'))", "a number is meant"),
        ("FuzzyRowFilter([('abc', b'\\x00')])", "of one length"),
        ("FuzzyRowFilter([('a', b'?')])", "0 for bytes that are fixed"),
        ("FuzzyRowFilter([])", "at least one"),
        ("FuzzyRowFilter([('a', b'\\x00', 'c')])", "a key and its mask are meant"),
        ("MultiRowRangeFilter([('a', 'b')])", "a RowRange is meant"),
        ("MultiRowRangeFilter([])", "at least one"),
        ("RowRange('b', 'a')", "no row can be in"),
        ("RowRange('a', 'a')", "no row can be in"),
        ("SkipFilter('PrefixFilter')", "a filter is meant"),
        ("FilterList('?', [])", "FilterList: operator"),
        ("DependentColumnFilter('f', 'q', False, '=')", "or neither"),
        ("Column('f') == 'x'", "is a family"),
        ("Column('f:q') == None", "not None"),
    ],
)
def test_what_is_wrong_is_said_at_once(python: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        eval(python, {**KNOWN, "re": re})


def test_filters_are_not_joined_by_words_nor_with_what_is_none() -> None:
    with pytest.raises(TypeError, match="join filters by"):
        bool(A and B)
    with pytest.raises(TypeError):
        assert "1" < Column("f:q") < "5"  # pyright: ignore[reportGeneralTypeIssues]
    with pytest.raises(TypeError):
        A & "PrefixFilter('b')"  # type: ignore[operator]


def test_who_filters_nothing_loads_no_filters() -> None:
    code = """
import hbeacon, sys
assert "registry.client.filters" not in sys.modules
assert hbeacon.filters.PrefixFilter("a").to_proto().name
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_columns_are_compared_as_their_values_stand() -> None:
    age = Column("cf:age")
    signs = [(age < "5").op, (age <= "5").op, (age == "5").op, (age != "5").op, (age >= "5").op, (age > "5").op]
    assert signs == [CompareOp(sign) for sign in ("<", "<=", "=", "!=", ">=", ">")]
    assert (age > b"5") == (age > b"5")


def test_a_cluster_obeys_them(hbeacon_session: Cluster) -> None:
    with hbeacon.connect_blocking(hbeacon_session.uri) as connection:
        connection.admin.create_table("filtered", ["cf"])
        table = connection.table("filtered")
        for number in range(10):
            table.put(f"user-{number}", {"cf:age": str(number), "cf:name": "even" if number % 2 == 0 else "odd"})
        table.put("other", {"cf:name": "none"})

        def keys(wanted: Filter) -> list[str]:
            return [row.key.decode() for row in table.scan(filter=wanted)]

        assert keys(PrefixFilter("user-") & (Column("cf:age") < "3")) == ["user-0", "user-1", "user-2"]
        assert keys((Column("cf:age") == "1") | (Column("cf:age") >= b"8")) == ["user-1", "user-8", "user-9"]
        assert keys((Column("cf:name") == "odd") & (Column("cf:age") > "5")) == ["user-7", "user-9"]
        ranges = [RowRange("user-8"), RowRange("a", "user-0", stop_inclusive=True)]
        assert keys(filters.MultiRowRangeFilter(ranges)) == ["other", "user-0", "user-8", "user-9"]
        fuzzy = [("user-3", b"\0\0\0\0\1\0"), ("oxher", b"\0\1\0\0\0")]
        assert keys(filters.FuzzyRowFilter(fuzzy)) == ["other", "user-3"]
        assert keys(ValueFilter("=", filters.RegexStringComparator("^[45]$"))) == ["user-4", "user-5"]
        assert table.get("user-1", filter=filters.QualifierFilter("=", "age")) == {b"cf:age": b"1"}
        is_odd = If.filter(Column("cf:name") == "odd")
        assert table.check_and_mutate("user-1", is_odd, Put("user-1", {"cf:seen": "1"})).success
        assert not table.check_and_mutate("user-2", is_odd, Put("user-2", {"cf:seen": "1"})).success
