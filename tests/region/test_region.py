"""A region against a model that keeps every cell in a dictionary, and the cases that a model would not think of."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Durability, StoreError
from regionserver.region.conditions import CompareType, Condition
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.plain_puts import PlainPut
from regionserver.region.record import without_tags
from regionserver.region.region import Region, RegionRange, RequestCounts
from regionserver.region.rules import CELL_BYTES_MAX, USUAL, TableRules
from regionserver.region.scan import PageLimits, ScanRange, ScanShape, open_scan
from regionserver.region.visible import FamilyRules, Wanted
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, Tag, TagType, decode_cells, encode_tags
from registry.wire.errors import (
    DoNotRetryIOException,
    FailedSanityCheckException,
    NoSuchColumnFamilyException,
    ProtocolError,
    RowTooBigException,
    WrongRegionException,
)
from tests.region.test_visible import defined
from tests.support.seeds import examples

PUT, DELETE, INCREMENT, APPEND = MutationKind.PUT, MutationKind.DELETE, MutationKind.INCREMENT, MutationKind.APPEND
FAMILIES = {b"a": FamilyRules(versions_max=3), b"b": FamilyRules()}


def region(where: RegionRange | None = None, rules: TableRules | None = None) -> Region:
    where = where or RegionRange("t", "t,,1.aa.")
    return Region(where, FAMILIES, MemoryStore(), b"prefix00", rules=rules or USUAL)


def ended(error: StoreError | None) -> None:
    assert error is None


def put(family: bytes, qualifier: bytes, value: bytes = b"", timestamp_ms: int = LATEST_TIMESTAMP) -> Change:
    return Change(family, qualifier, timestamp_ms, KeyType.PUT, value)


def change(where: Region, kind: MutationKind, changes: Sequence[Change], now_ms: int = 100) -> list[list[bytes]]:
    held, made = where.mutate([Mutation(kind, b"row", changes)], Durability.PROCESS, ended, now_ms)
    assert held
    return made


def got(where: Region, wanted: dict[bytes, Wanted] | None = None, now_ms: int = 100) -> list[Cell]:
    block, count, tagged = where.get(b"row", wanted or {}, now_ms)
    found = list(decode_cells(block, with_tags=True))
    assert len(found) == count
    assert tagged or not any(each.tags for each in found)
    return found


def values(where: Region, wanted: dict[bytes, Wanted] | None = None) -> list[tuple[bytes, bytes, int, bytes]]:
    return [(each.family, each.qualifier, each.timestamp_ms, each.value) for each in got(where, wanted)]


def long(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def test_families_in_their_order_and_times_filled_in():
    where = region()
    change(where, PUT, [put(b"b", b"q", b"2"), put(b"a", b"z", b"1"), put(b"a", b"c", b"0", 7)])
    assert values(where) == [(b"a", b"c", 7, b"0"), (b"a", b"z", 100, b"1"), (b"b", b"q", 100, b"2")]
    assert values(where, {b"b": Wanted()}) == [(b"b", b"q", 100, b"2")]
    assert values(where, {b"a": Wanted((b"z",))}) == [(b"a", b"z", 100, b"1")]


def test_the_latest_version_is_deleted_and_the_one_before_shows():
    where = region()
    for number in (1, 2, 3):
        change(where, PUT, [put(b"a", b"q", b"%d" % number, number)])
    latest = Change(b"a", b"q", LATEST_TIMESTAMP, KeyType.DELETE)
    change(where, DELETE, [latest])
    assert [value for *_, value in values(where)] == [b"2"]
    change(where, DELETE, [latest, latest])
    assert values(where) == []


def test_more_latest_versions_deleted_than_there_are():
    """The one too many is a marker of now; it would hide a put of this very moment, as in HBase."""
    where = region()
    change(where, PUT, [put(b"a", b"q", b"1", 5)])
    change(where, DELETE, [Change(b"a", b"q", LATEST_TIMESTAMP, KeyType.DELETE)] * 2)
    raw = got(where, {b"a": Wanted(None, 9, raw=True)})
    assert [(each.timestamp_ms, each.key_type) for each in raw] == [(100, 8), (5, 8), (5, 4)]


def test_a_delete_without_columns_takes_the_whole_row():
    where = region()
    change(where, PUT, [put(b"a", b"q", b"old", 50), put(b"b", b"q", b"new", 60)])
    where.mutate([Mutation(DELETE, b"row", (), timestamp_ms=55)], Durability.PROCESS, ended, 100)
    assert values(where) == [(b"b", b"q", 60, b"new")]
    where.mutate([Mutation(DELETE, b"row", ())], Durability.PROCESS, ended, 100)
    assert values(where) == []


def test_increments():
    where = region()
    for expected in (5, 10):
        made = change(where, INCREMENT, [Change(b"a", b"n", LATEST_TIMESTAMP, KeyType.PUT, long(5))])
        assert [each.value for each in decode_cells(made[0][0], with_tags=True)] == [long(expected)]
    assert [(timestamp_ms, value) for _, _, timestamp_ms, value in values(where)] == [(101, long(10))]
    change(where, INCREMENT, [Change(b"a", b"n", LATEST_TIMESTAMP, KeyType.PUT, long(2**63 - 1))])
    assert values(where)[0][3] == long(-(2**63) + 9), "it wraps, as Java's long does"
    change(where, PUT, [put(b"a", b"n", b"text", 200)])
    with pytest.raises(DoNotRetryIOException, match="Field is not a long, it's 4 bytes wide"):
        change(where, INCREMENT, [Change(b"a", b"n", LATEST_TIMESTAMP, KeyType.PUT, long(1))])
    assert values(where)[0][3] == b"text"


def test_what_is_added_keeps_the_tags():
    where = region()
    tags = encode_tags([Tag(TagType.VISIBILITY, b"v")])
    change(where, PUT, [put(b"a", b"s", b"x")._replace(tags=tags)])
    change(where, APPEND, [Change(b"a", b"s", LATEST_TIMESTAMP, KeyType.PUT, b"y")])
    assert [(each.value, each.tags) for each in got(where)] == [(b"xy", tags)]
    found = where.get(b"row", {}, 100)
    assert found.tagged
    assert list(decode_cells(without_tags(found.block))) == [each._replace(tags=b"") for each in got(where)]


def test_tags_of_what_is_added_grow_until_no_cell_has_room_for_them():
    where = region()
    tags = encode_tags([Tag(77, bytes(30_000))])
    added = Change(b"a", b"s", LATEST_TIMESTAMP, KeyType.PUT, b"x", tags)
    for _ in range(2):
        change(where, APPEND, [added])
    with pytest.raises(DoNotRetryIOException, match="tagslength 90009 > 65535"):
        change(where, APPEND, [added])
    assert got(where)[0].tags == 2 * tags


def test_families_come_in_their_order_however_they_were_asked_for():
    where = region()
    change(where, PUT, [put(b"a", b"q"), put(b"b", b"q")])
    assert [family for family, *_ in values(where, {b"b": Wanted(), b"a": Wanted()})] == [b"a", b"b"]


def test_what_is_added_is_newer_than_what_was_there():
    """Where the clock has gone back, or a client has written into the future."""
    where = region()
    change(where, PUT, [put(b"a", b"s", b"x", 5000)])
    change(where, APPEND, [Change(b"a", b"s", LATEST_TIMESTAMP, KeyType.PUT, b"y")])
    assert values(where) == [(b"a", b"s", 5001, b"xy")]


def test_what_is_added_has_a_time_of_its_own_where_nothing_was_there():
    where = region()
    change(where, APPEND, [Change(b"a", b"s", 5, KeyType.PUT, b"x")])
    assert values(where) == [(b"a", b"s", 5, b"x")]
    change(where, APPEND, [Change(b"a", b"s", 7, KeyType.PUT, b"y")])
    assert values(where) == [(b"a", b"s", 100, b"xy")]


def test_an_increment_reads_within_its_time_range():
    where = region()
    change(where, PUT, [put(b"a", b"n", long(7), 10)])
    only_new = Mutation(INCREMENT, b"row", [Change(b"a", b"n", LATEST_TIMESTAMP, KeyType.PUT, long(1))], 50)
    where.mutate([only_new], Durability.PROCESS, ended, 100)
    assert values(where)[0][3] == long(1)


def test_all_of_one_change_see_the_row_before_it():
    """A delete and a put of one column at one time leave nothing; an increment does not see the put beside it."""
    where = region()
    change(where, PUT, [put(b"a", b"n", long(1), 10)])
    mutations = [
        Mutation(PUT, b"row", [put(b"a", b"x"), put(b"b", b"n", long(50))]),
        Mutation(DELETE, b"row", [Change(b"a", b"x", LATEST_TIMESTAMP, KeyType.DELETE_COLUMN)]),
        Mutation(INCREMENT, b"row", [Change(b"a", b"n", LATEST_TIMESTAMP, KeyType.PUT, long(1))]),
    ]
    held, made = where.mutate(mutations, Durability.PROCESS, ended, 100)
    assert (held, [len(cells) for cells in made]) == (True, [0, 0, 1])
    assert values(where) == [(b"a", b"n", 100, long(2)), (b"b", b"n", 100, long(50))]


def test_all_or_nothing():
    where = region()
    with pytest.raises(NoSuchColumnFamilyException, match="Column family nope does not exist in region t"):
        where.mutate(
            [Mutation(PUT, b"row", [put(b"a", b"q")]), Mutation(PUT, b"row", [put(b"nope", b"q")])],
            Durability.PROCESS, ended, 100,
        )  # fmt: skip
    with pytest.raises(DoNotRetryIOException, match=f"exceeds limit of {CELL_BYTES_MAX} bytes"):
        change(where, PUT, [put(b"a", b"q"), put(b"b", b"q", bytes(CELL_BYTES_MAX))])
    with pytest.raises(DoNotRetryIOException, match="Action's getRow must match"):
        where.mutate([Mutation(PUT, b"row", []), Mutation(PUT, b"other", [])], Durability.PROCESS, ended, 100)
    assert values(where) == []


def test_what_the_table_says():
    where = region(rules=TableRules(cell_bytes_max=1000, row_bytes_max=1500))
    with pytest.raises(DoNotRetryIOException, match="exceeds limit of 1000 bytes"):
        change(where, PUT, [put(b"a", b"q", bytes(1000))])
    change(where, PUT, [put(b"a", b"p", bytes(900), 1), put(b"a", b"q", bytes(900), 2)])
    assert len(got(where, {b"a": Wanted((b"p",))})) == 1
    with pytest.raises(RowTooBigException, match="Max row size allowed: 1500, but the row is bigger"):
        got(where, {b"a": Wanted((b"p", b"q"))})
    where.rules = TableRules(read_only=True, cell_bytes_max=0)
    with pytest.raises(DoNotRetryIOException, match="region is read only"):
        change(where, PUT, [put(b"a", b"q")])
    with pytest.raises(DoNotRetryIOException, match="region is read only"):
        where.put(Mutation(DELETE, b"row", []), Batch(), 100)
    where.rules = TableRules(cell_bytes_max=0)
    change(where, PUT, [put(b"a", b"large", bytes(CELL_BYTES_MAX + 1))])
    assert len(got(where)) == 3


def test_puts_of_a_time_too_far_ahead():
    where = region(rules=TableRules(future_ms_max=50))
    change(where, PUT, [put(b"a", b"q", timestamp_ms=150)])
    with pytest.raises(FailedSanityCheckException, match=r"out of range row/a:q/151/Put/vlen=1/seqid=0 \(too.new=50\)"):
        change(where, PUT, [put(b"a", b"p"), put(b"a", b"q", b"v", 151)])
    with pytest.raises(FailedSanityCheckException, match=r"too\.new=50"):
        where.put_quick(PlainPut(b"row", b"a", [(b"q", 151, b"v")]), Batch(), 100)
    change(where, DELETE, [Change(b"a", b"q", 999, KeyType.DELETE_COLUMN)])
    assert values(where) == []


def test_how_durable_a_change_is():
    power, process = Durability.POWER, Durability.PROCESS
    assert [TableRules().durability_of(asked) for asked in (None, Durability.LATER, power)] == [
        process, Durability.LATER, power,
    ]  # fmt: skip
    synced = TableRules(always_synced=True)
    assert [synced.durability_of(asked) for asked in (None, process, Durability.MEMORY)] == [
        power, power, Durability.MEMORY,
    ]  # fmt: skip
    assert TableRules(Durability.MEMORY, always_synced=True).durability_of(None) is Durability.MEMORY


def test_tags_that_nobody_could_read_again_are_not_written():
    """They would make every later reader of the row fail."""
    where = region()
    with pytest.raises(ProtocolError, match="tag at byte 0"):
        change(where, PUT, [put(b"a", b"q")._replace(tags=b"\0")])
    assert values(where) == []


def test_rows_of_others():
    where = region(RegionRange("t", "t,b,1.aa.", b"b", b"d"))
    for row, inside in ((b"a", False), (b"b", True), (b"c\xff", True), (b"d", False), (b"", False)):
        mutation = Mutation(PUT, row, [put(b"a", b"q")])
        if inside:
            where.get(row, {}, 100)
            where.put(mutation, Batch(), 100)
            continue
        with pytest.raises(WrongRegionException) as raised:
            where.get(row, {}, 100)
        ends = "startKey='b', getEndKey()='d'"
        assert raised.value.message.startswith(
            f"Requested row out of range for Get on HRegion t,b,1.aa., {ends}, row='"
        )
        with pytest.raises(WrongRegionException):
            where.mutate([mutation, mutation], Durability.PROCESS, ended, 100)
        with pytest.raises(WrongRegionException):
            where.mutate([Mutation(INCREMENT, row, [])], Durability.PROCESS, ended, 100)
        with pytest.raises(FailedSanityCheckException):
            where.mutate([mutation], Durability.PROCESS, ended, 100)
        with pytest.raises(FailedSanityCheckException):
            where.put(mutation, Batch(), 100)


COMPARED = {
    CompareType.LESS: "a",
    CompareType.LESS_OR_EQUAL: "ab",
    CompareType.EQUAL: "b",
    CompareType.NOT_EQUAL: "ac",
    CompareType.GREATER_OR_EQUAL: "bc",
    CompareType.GREATER: "c",
    CompareType.NO_OP: "",
}


@pytest.mark.parametrize("compare", CompareType)
def test_conditions_have_the_expected_value_on_the_left(compare: CompareType):
    where = region()
    change(where, PUT, [put(b"a", b"q", b"b"), put(b"a", b"empty")])

    def held(qualifier: bytes, expected: bytes | None) -> bool:
        return where.check(Condition(b"row", b"a", qualifier, compare, expected), 100).matches

    assert "".join(each for each in "abc" if held(b"q", each.encode())) == COMPARED[compare]
    unequal = compare is CompareType.NOT_EQUAL
    for nothing in (None, b""):
        assert held(b"missing", nothing) is not unequal
        assert held(b"q", nothing) is unequal
        assert held(b"empty", nothing) is not unequal
    assert not held(b"missing", b"b")


def test_a_condition_that_fails_changes_nothing_and_one_that_holds_is_not_older():
    where = region()
    change(where, PUT, [put(b"a", b"q", b"1", 5000)])
    new = [Mutation(PUT, b"row", [put(b"a", b"q", b"2")])]
    wrong = Condition(b"row", b"a", b"q", CompareType.EQUAL, b"x")
    assert where.mutate(new, Durability.PROCESS, ended, 100, wrong) == (False, [])
    assert [value for *_, value in values(where)] == [b"1"]
    right = Condition(b"row", b"a", b"q", CompareType.EQUAL, b"1")
    assert where.mutate(new, Durability.PROCESS, ended, 100, right)[0]
    assert values(where) == [(b"a", b"q", 5000, b"2")]


def test_only_puts_are_as_new_as_what_a_condition_has_looked_at():
    """A delete is of the server's time, and what lies in the future stays; what is added to nothing is of now, too."""
    is_there = Condition(b"row", b"a", b"q", CompareType.EQUAL, b"1")
    deletes = [
        Mutation(DELETE, b"row", []),
        Mutation(DELETE, b"row", [Change(b"a", b"q", LATEST_TIMESTAMP, KeyType.DELETE_COLUMN)]),
        Mutation(INCREMENT, b"row", [Change(b"b", b"n", LATEST_TIMESTAMP, KeyType.PUT, long(1))]),
    ]
    for each, left in zip(deletes, ([], [], [(b"b", b"n", 100, long(1))]), strict=True):
        where = region()
        change(where, PUT, [put(b"a", b"q", b"1", 5000)])
        new = Mutation(PUT, b"row", [put(b"a", b"r", b"2")])
        assert where.mutate([each, new], Durability.PROCESS, ended, 100, is_there)[0]
        assert values(where) == [(b"a", b"q", 5000, b"1"), (b"a", b"r", 5000, b"2"), *left]


def test_columns_of_a_large_row():
    """Chunks beside those asked for are not read, but what hides all of them is found."""
    where = region()
    change(where, PUT, [put(b"a", b"%06d" % number, bytes(100), 50) for number in range(3000)])
    wanted = {b"a": Wanted((b"000007", b"002999", b"nothing"))}
    assert [qualifier for _, qualifier, _, _ in values(where, wanted)] == [b"000007", b"002999"]
    change(where, PUT, [put(b"a", b"002999", b"new", 60)])
    change(where, DELETE, [Change(b"a", b"", 55, KeyType.DELETE_FAMILY)])
    assert values(where, wanted) == [(b"a", b"002999", 60, b"new")]
    assert values(where) == [(b"a", b"002999", 60, b"new")]


# --- against a model --------------------------------------------------------------------------------------------------

qualifiers = st.sampled_from([b"", b"p", b"q", b"r"])
times = st.integers(90, 99) | st.just(LATEST_TIMESTAMP)
families = st.sampled_from([b"a", b"b"])
puts = st.builds(Change, families, qualifiers, times, st.just(int(KeyType.PUT)), st.binary(max_size=3), st.just(b""))
of_columns = st.sampled_from([int(KeyType.DELETE), int(KeyType.DELETE_COLUMN)])
of_families = st.sampled_from([int(KeyType.DELETE_FAMILY), int(KeyType.DELETE_FAMILY_VERSION)])
deletes = st.builds(Change, families, qualifiers, times, of_columns, st.just(b""), st.just(b"")) | st.builds(
    Change, families, st.just(b""), times, of_families, st.just(b""), st.just(b"")
)
mutations = st.builds(Mutation, st.just(PUT), st.just(b"row"), st.lists(puts, min_size=1, max_size=6)) | st.builds(
    Mutation, st.just(DELETE), st.just(b"row"), st.lists(deletes, min_size=1, max_size=3)
)
Model = dict[tuple[bytes, bytes, int, int], Cell]


def model_write(model: Model, mutation: Mutation, now_ms: int) -> None:
    """Every cell ever written; the latest version is looked up before anything of the mutation is there."""
    before = dict(model)
    for index, each in enumerate(mutation.changes):
        timestamp_ms = now_ms if each.timestamp_ms == LATEST_TIMESTAMP else each.timestamp_ms
        if each.key_type == KeyType.DELETE and each.timestamp_ms == LATEST_TIMESTAMP:
            again = sum(other[:4] == each[:4] for other in mutation.changes[: index + 1])
            seen = model_read(before, each.family, Wanted((each.qualifier,), again))
            if len(seen) == again:
                timestamp_ms = seen[-1].timestamp_ms
        cell = Cell(b"row", each.family, each.qualifier, timestamp_ms, each.key_type, each.value)
        model[each.family, each.qualifier, timestamp_ms, each.key_type] = cell


def model_read(model: Model, family: bytes, wanted: Wanted) -> list[Cell]:
    return defined([each for key, each in model.items() if key[0] == family], FAMILIES[family], wanted)


@given(st.lists(mutations, max_size=8), st.integers(0, 2**32))
@settings(max_examples=examples(80), deadline=None)
def test_like_a_dictionary(changes: list[Mutation], seed: int):
    where, model, chance = region(), Model(), random.Random(seed)
    now_ms = 99
    for mutation in changes:
        now_ms += chance.randrange(2)
        where.mutate([mutation], Durability.PROCESS, ended, now_ms)
        model_write(model, mutation, now_ms)
        wanted = {
            family: Wanted(
                chance.choice([None, (b"q",), (b"", b"r")]), chance.randint(1, 4), chance.choice([0, 95]),
                chance.choice([200, 98]),
            )
            for family in (b"a", b"b")
        }  # fmt: skip
        assert got(where, wanted, now_ms) == [
            each for family in (b"a", b"b") for each in model_read(model, family, wanted[family])
        ]
        assert got(where, now_ms=now_ms) == [
            each for family in (b"a", b"b") for each in model_read(model, family, Wanted())
        ]


def test_what_was_asked_is_counted() -> None:
    region = Region(RegionRange("t1", "t1,,1.aa."), {b"f": FamilyRules()}, MemoryStore(), b"prefix00")
    changes = [Change(b"f", b"q", 5, KeyType.PUT, b"v")]
    for row in (b"a", b"b", b"c"):
        region.mutate([Mutation(MutationKind.PUT, row, changes)], Durability.PROCESS, lambda error: None, 9)
    region.put(Mutation(MutationKind.PUT, b"d", changes), Batch(), 9)
    region.get(b"a", {}, 9)
    for expected in (b"v", b"w"):
        condition = Condition(b"a", b"f", b"q", CompareType.EQUAL, expected)
        region.mutate([Mutation(MutationKind.PUT, b"a", changes)], Durability.PROCESS, lambda error: None, 9, condition)
    scan = open_scan(region, ScanRange(), ScanShape({b"f": Wanted()}), 9)
    scan.page(PageLimits())
    assert region.counts == RequestCounts(reads_count=4, writes_count=5, checks_passed_count=1, checks_failed_count=1)
