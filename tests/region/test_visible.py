"""What a reader sees, held against the definitions: what hides, what expires, what counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from regionserver.region.record import encode_record, head_of, merged, newest_of
from regionserver.region.visible import (
    FamilyRules,
    KeepDeleted,
    Wanted,
    all_are_visible,
    newest_are_visible,
    visible,
)
from registry.wire.cellblock import Cell, KeyType
from tests.region.cells import cell, cells, entries
from tests.support.seeds import examples

NOW_MS = 100
PUT, DELETE, DELETE_COLUMN = KeyType.PUT, KeyType.DELETE, KeyType.DELETE_COLUMN
DELETE_FAMILY, DELETE_FAMILY_VERSION = KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION


def seen(stored: Sequence[Cell], wanted: Wanted | None = None, rules: FamilyRules | None = None) -> list[str]:
    """`qualifier@timestamp` of what is seen; markers with their type."""
    found = visible(merged((), entries(stored)), rules or FamilyRules(), wanted or Wanted(), NOW_MS)
    return [
        f"{each.qualifier.decode()}@{each.timestamp_ms}" + (f"!{each.key_type}" if each.key_type != PUT else "")
        for each in cells(found)
    ]


def test_the_newest_of_each_column():
    assert seen([cell(b"a", 1), cell(b"a", 2), cell(b"b", 1)]) == ["a@2", "b@1"]


def test_versions_are_limited_by_reader_and_family():
    stored = [cell(b"a", number) for number in range(9)]
    assert seen(stored, Wanted(versions_max=3), FamilyRules(versions_max=5)) == ["a@8", "a@7", "a@6"]
    assert seen(stored, Wanted(versions_max=9), FamilyRules(versions_max=2)) == ["a@8", "a@7"]


def test_four_kinds_of_markers():
    stored = [cell(q, t) for q in (b"", b"a", b"b") for t in (1, 2, 3)]
    all_versions, rules = Wanted(versions_max=9), FamilyRules(versions_max=9)
    left = {
        DELETE: ["@3", "@2", "@1", "a@3", "a@1", "b@3", "b@2", "b@1"],
        DELETE_COLUMN: ["@3", "@2", "@1", "a@3", "b@3", "b@2", "b@1"],
    }
    for kind, expected in left.items():
        assert seen([*stored, cell(b"a", 2, kind)], all_versions, rules) == expected
    assert seen([*stored, cell(b"", 2, DELETE_FAMILY)], all_versions, rules) == ["@3", "a@3", "b@3"]
    of_version = seen([*stored, cell(b"", 2, DELETE_FAMILY_VERSION)], all_versions, rules)
    assert of_version == ["@3", "@1", "a@3", "a@1", "b@3", "b@1"]


def test_a_marker_hides_what_is_written_later_with_an_older_time():
    """HBase's well-known surprise, until the marker is cleaned up."""
    assert seen([cell(b"a", 5, DELETE_COLUMN), cell(b"a", 4)]) == []


def test_what_was_hidden_does_not_count_as_a_version():
    assert seen([cell(b"a", 3), cell(b"a", 3, DELETE), cell(b"a", 2)]) == ["a@2"]


def test_versions_are_counted_within_the_time_range():
    stored = [cell(b"a", number) for number in (1, 2, 3)]
    assert seen(stored, Wanted(to_ms=3)) == ["a@2"]
    assert seen(stored, Wanted(from_ms=3)) == ["a@3"]
    assert seen(stored, Wanted(from_ms=4)) == []


def test_deleted_cells_that_are_kept():
    """Who reads the time before the marker sees what it hides; who reads to the end does not."""
    stored = [cell(b"a", 1), cell(b"a", 5, DELETE_COLUMN)]
    kept = FamilyRules(keep_deleted=KeepDeleted.TRUE)
    assert seen(stored, Wanted(to_ms=5), kept) == ["a@1"]
    assert seen(stored, Wanted(to_ms=5)) == []
    assert seen(stored, Wanted(), kept) == []


def test_time_to_live():
    stored = [cell(b"a", NOW_MS - age) for age in (0, 10, 11, 50)]
    everything, ten = Wanted(versions_max=9), FamilyRules(versions_max=9, ttl_ms=10)
    assert seen(stored, everything, ten) == ["a@100", "a@90"]
    assert seen(stored, everything, FamilyRules(9, 3, 10)) == ["a@100", "a@90", "a@89"]
    assert seen([cell(b"a", 95, ttl_ms=5), cell(b"b", 95, ttl_ms=4)], everything) == ["a@95"]


def test_one_expired_cell_more_where_columns_are_named():
    """Real servers give it: the tracker of named columns looks at the expiry after it has counted the cell in."""
    stored = [cell(b"a", 100), cell(b"a", 50), cell(b"a", 40)]
    rules = FamilyRules(9, 1, 10)
    assert seen(stored, Wanted(versions_max=9), rules) == ["a@100"]
    assert seen(stored, Wanted((b"a",), 9), rules) == ["a@100", "a@50"]


def test_named_columns_with_expired_cells_within_the_least_number():
    stored = [cell(b"a", number) for number in (100, 50, 40, 30)]
    assert seen(stored, Wanted((b"a",), 9), FamilyRules(9, 2, 10)) == ["a@100", "a@50"]


def test_a_marker_of_one_column_hides_nothing_of_the_next():
    stored = [cell(b"a", 5, DELETE), cell(b"b", 6, DELETE), cell(b"b", 5), cell(b"c", 5)]
    assert seen(stored, Wanted(versions_max=9), FamilyRules(9)) == ["b@5", "c@5"]


def test_raw():
    stored = [cell(b"", 3, DELETE_FAMILY), cell(b"a", 5), cell(b"a", 4, DELETE), cell(b"a", 4), cell(b"a", 1)]
    assert seen(stored, Wanted(versions_max=9, raw=True)) == ["@3!14", "a@5", "a@4!8", "a@4", "a@1"]
    assert seen(stored, Wanted(versions_max=1, raw=True)) == ["@3!14", "a@5", "a@4!8"]
    assert seen(stored, Wanted(versions_max=9, raw=True), FamilyRules(ttl_ms=1)) == [
        "@3!14", "a@5", "a@4!8", "a@4", "a@1",
    ]  # fmt: skip


# --- against the definition -------------------------------------------------------------------------------------------


def defined(stored: Sequence[Cell], rules: FamilyRules, wanted: Wanted) -> list[Cell]:
    """Said in whole sentences instead of one pass: slow, and without the order of looking."""
    oldest_ms = NOW_MS - rules.ttl_ms
    markers = [
        each
        for each in stored
        if each.key_type != PUT
        and (rules.versions_min > 0 or each.timestamp_ms >= oldest_ms)
        and not (rules.keep_deleted is not KeepDeleted.FALSE and each.timestamp_ms >= wanted.to_ms)
    ]

    def is_hidden(put: Cell) -> bool:
        return any(
            (m.key_type == DELETE_FAMILY and put.timestamp_ms <= m.timestamp_ms)
            or (m.key_type == DELETE_FAMILY_VERSION and put.timestamp_ms == m.timestamp_ms)
            or (m.key_type == DELETE_COLUMN and m.qualifier == put.qualifier and put.timestamp_ms <= m.timestamp_ms)
            or (m.key_type == DELETE and m.qualifier == put.qualifier and put.timestamp_ms == m.timestamp_ms)
            for m in markers
        )

    there = sorted(
        (
            each
            for each in stored
            if each.key_type == PUT
            and not is_hidden(each)
            and wanted.from_ms <= each.timestamp_ms < wanted.to_ms
            and (wanted.columns is None or each.qualifier in wanted.columns)
        ),
        key=lambda each: (each.qualifier, -each.timestamp_ms),
    )
    result: list[Cell] = []
    for _, group in groupby(there, key=lambda each: each.qualifier):
        versions = list(group)[: min(wanted.versions_max, rules.versions_max)]
        fresh = sum(each.timestamp_ms >= oldest_ms for each in versions)
        enough = max(fresh, rules.versions_min)
        if wanted.columns is not None and rules.versions_min and fresh >= rules.versions_min:
            enough += 1  # see above
        result += versions[:enough]
    return result


stored_cells = st.builds(
    cell,
    st.sampled_from([b"", b"a", b"ab", b"b"]),
    st.integers(90, 100) | st.integers(0, 3),
    st.sampled_from([PUT, PUT, PUT, PUT, DELETE, DELETE_COLUMN]),
) | st.builds(cell, st.just(b""), st.integers(90, 100), st.sampled_from([DELETE_FAMILY, DELETE_FAMILY_VERSION]))
many_rules = st.builds(
    FamilyRules,
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([3, 8, (1 << 63) - 1]),
    st.sampled_from(KeepDeleted),
)
many_wants = st.builds(
    Wanted,
    st.none() | st.sets(st.sampled_from([b"", b"a", b"b", b"x"]), min_size=1).map(lambda names: tuple(sorted(names))),
    st.integers(1, 4),
    st.sampled_from([0, 92, 95]),
    st.sampled_from([(1 << 63) - 1, 96, 99]),
)


@given(st.lists(stored_cells, max_size=25), many_rules, many_wants)
@settings(max_examples=examples(150), deadline=None)
@example([cell(b"a", 95), cell(b"a", 96, DELETE)], FamilyRules(3), Wanted(None, 3))
def test_as_defined(stored: list[Cell], rules: FamilyRules, wanted: Wanted):
    unique = {(each.qualifier, each.timestamp_ms, each.key_type): each for each in stored}
    kept = merged((), entries(stored))
    found = cells(visible(kept, rules, wanted, NOW_MS))
    assert found == defined(list(unique.values()), rules, wanted)
    if kept and all_are_visible(head_of(encode_record(kept)), rules, wanted, NOW_MS):
        event("answered as it is")
        assert found == cells(kept)


plain_cells = st.dictionaries(st.sampled_from([b"", b"a", b"ab", b"b"]), st.integers(90, 100), min_size=1).map(
    lambda times: [cell(qualifier, timestamp_ms) for qualifier, timestamp_ms in times.items()]
)


@given(plain_cells, many_rules, st.sampled_from([0, 0, 90, 91, 95]), st.sampled_from([1000, 1000, 100, 101, 96]))
def test_what_is_answered_as_it_is(stored: list[Cell], rules: FamilyRules, from_ms: int, to_ms: int):
    """Never wrongly; and not rarely: where all cells lie in the range and none is too old, it is so."""
    kept, wanted = merged((), entries(stored)), Wanted(None, 1, from_ms, to_ms)
    found = list(visible(kept, rules, wanted, NOW_MS))
    if all_are_visible(head_of(encode_record(kept)), rules, wanted, NOW_MS):
        assert found == kept
    elif not rules.versions_min:
        assert found != kept


put_cells = st.lists(
    st.builds(cell, st.sampled_from([b"", b"a", b"ab", b"b"]), st.integers(90, 100)), min_size=1, max_size=12
)


@given(put_cells, many_rules, st.integers(1, 3), st.sampled_from([0, 0, 90, 95]), st.sampled_from([1000, 101, 96]))
@settings(max_examples=examples(120), deadline=None)
def test_what_is_answered_without_older_versions(
    stored: list[Cell], rules: FamilyRules, versions_max: int, from_ms: int, to_ms: int
):
    """Never wrongly; and always where older versions are all that is passed over."""
    kept, wanted = merged((), entries(stored)), Wanted(None, versions_max, from_ms, to_ms)
    record = encode_record(kept)
    found = list(visible(kept, rules, wanted, NOW_MS))
    newest = [next(iter(group)) for _, group in groupby(kept, key=lambda entry: entry[0])]
    if newest_are_visible(head_of(record), rules, wanted, NOW_MS):
        event("without older versions")
        assert found == newest
        assert newest_of(record) == (b"".join(entry[3] for entry in newest), len(newest))
    elif len(newest) < len(kept) and from_ms == 0 and to_ms == 1000 and rules.ttl_ms > NOW_MS:
        assert versions_max > 1
        assert rules.versions_max > 1


def test_markers_tags_and_all_that_is_asked_for_are_looked_at():
    plain = merged((), entries([cell(b"a", 1), cell(b"a", 2), cell(b"b", 1)]))
    marked = merged(plain, entries([cell(b"b", 2, DELETE)]))
    rules, head = FamilyRules(), head_of(encode_record(plain))
    assert newest_are_visible(head, rules, Wanted(), NOW_MS)
    assert not newest_are_visible(head_of(encode_record(marked)), rules, Wanted(), NOW_MS)
    assert not newest_are_visible(head_of(encode_record(plain, more=True)), rules, Wanted(), NOW_MS)
    for wanted in (Wanted((b"a",)), Wanted(raw=True), Wanted(from_ms=2), Wanted(to_ms=2), Wanted(cells_skipped=1)):
        assert not newest_are_visible(head, rules, wanted, NOW_MS)
    assert not newest_are_visible(head, rules, Wanted(cells_max=2), NOW_MS)
    assert not newest_are_visible(head, FamilyRules(ttl_ms=98), Wanted(), NOW_MS)
