"""Dead cells: who reads the newest state never notices that they went, and what is left does not grow."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from regionserver.engine.grouped import GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Durability, Store, StoreBusy, StoreError
from regionserver.region import cleaning, dead
from regionserver.region.cleaning import RegionCleaning
from regionserver.region.dead import every_marker, living, no_marker
from regionserver.region.family import read_cells
from regionserver.region.keys import family_key
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.newest_cell import NewestCell
from regionserver.region.record import Entry, encode_record, merged
from regionserver.region.region import Region, RegionRange
from regionserver.region.scan import PageLimits, ScanRange, ScanShape, open_scan
from regionserver.region.visible import FOR_EVER_MS, FamilyRules, KeepDeleted, Wanted, visible
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, decode_cells
from tests.region.cells import cell, cells, entries
from tests.region.test_visible import NOW_MS, many_rules, many_wants, stored_cells
from tests.support.seeds import examples

PUT, DELETE, DELETE_COLUMN = KeyType.PUT, KeyType.DELETE, KeyType.DELETE_COLUMN
DELETE_FAMILY, DELETE_FAMILY_VERSION = KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION


def left(stored: Sequence[Cell], rules: FamilyRules | None = None, *, markers_go: bool = True) -> list[str]:
    found = living(
        merged((), entries(stored)), rules or FamilyRules(), NOW_MS, every_marker if markers_go else no_marker
    )
    return [
        f"{each.qualifier.decode()}@{each.timestamp_ms}" + (f"!{each.key_type}" if each.key_type != PUT else "")
        for each in cells(found)
    ]


def test_versions_beyond_those_that_are_kept():
    stored = [cell(q, t) for q in (b"a", b"b") for t in (1, 2, 3)]
    assert left(stored) == ["a@3", "b@3"]
    assert left(stored, FamilyRules(2)) == ["a@3", "a@2", "b@3", "b@2"]


def test_what_markers_hide_goes_and_then_the_markers():
    stored = [cell(b"", 2, DELETE_FAMILY), cell(b"a", 1), cell(b"a", 3), cell(b"b", 4, DELETE_COLUMN), cell(b"b", 4)]
    assert left(stored) == ["a@3"]
    assert left(stored, markers_go=False) == ["@2!14", "a@3", "b@4!12"]


def test_markers_under_another_go_wherever_they_lie():
    """A row that is written and deleted again and again keeps one marker of each kind."""
    stored = [cell(b"", t, DELETE_FAMILY) for t in (1, 2, 5)]
    stored += [cell(b"a", t, kind) for t in (4, 6, 7) for kind in (DELETE, DELETE_COLUMN)]
    assert left(stored, markers_go=False) == ["@5!14", "a@7!12"]
    assert left([cell(b"a", 3, DELETE), cell(b"a", 2, DELETE_COLUMN)], markers_go=False) == ["a@3!8", "a@2!12"]


def test_markers_that_are_to_stay_for_a_while():
    """They hide what comes later with an older time."""
    stored = [
        cell(b"a", 95, DELETE_COLUMN),
        cell(b"b", 94, DELETE_COLUMN),
        cell(b"b", 93),
        cell(b"", 95, DELETE_FAMILY),
    ]
    assert left(stored, FamilyRules(markers_stay_ms=5)) == ["@95!14"]
    assert left(stored[:3], FamilyRules(markers_stay_ms=5)) == ["a@95!12"]
    assert left(stored) == []


def test_deleted_cells_that_are_kept():
    kept = FamilyRules(2, keep_deleted=KeepDeleted.TRUE)
    stored = [cell(b"a", t) for t in (1, 2, 3)] + [cell(b"a", 3, DELETE_COLUMN)]
    assert left(stored, kept) == ["a@3!12", "a@3", "a@2"]
    assert left([cell(b"a", 3, DELETE_COLUMN), cell(b"a", 4)], kept) == ["a@4"], "it hides nothing"
    over = [cell(b"a", 50, DELETE_COLUMN), cell(b"a", 40), cell(b"a", 99, DELETE_COLUMN), cell(b"a", 98)]
    assert left(over, FamilyRules(2, 1, 10, KeepDeleted.TTL)) == ["a@99!12", "a@98"]


def test_who_was_deleted_and_is_kept_does_not_push_others_out():
    """HBase counts it as a version, and the one before is lost when it compacts."""
    stored = [cell(b"a", 1), cell(b"a", 2), cell(b"a", 2, DELETE)]
    assert left(stored, FamilyRules(1, keep_deleted=KeepDeleted.TRUE)) == ["a@2!8", "a@2", "a@1"]


def test_time_to_live():
    stored = [cell(b"a", NOW_MS - age) for age in (0, 10, 11, 50)] + [cell(b"b", 1, DELETE_COLUMN)]
    assert left(stored, FamilyRules(9, ttl_ms=10), markers_go=False) == ["a@100", "a@90"]
    assert left(stored, FamilyRules(9, 3, 10)) == ["a@100", "a@90", "a@89"]


def test_what_expires_on_its_own_makes_nothing_else_dead():
    """Behind it the older version is seen again."""
    stored = [cell(b"a", 99, ttl_ms=5), cell(b"a", 98), cell(b"a", 97), cell(b"b", 90, ttl_ms=5)]
    assert left(stored) == ["a@99", "a@98"]


@given(st.lists(stored_cells, max_size=25), many_rules, many_wants, st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_nobody_notices(stored: list[Cell], rules: FamilyRules, wanted: Wanted, markers_go: bool):
    before = merged((), entries(stored))
    after = living(before, rules, NOW_MS, every_marker if markers_go else no_marker)
    newest = replace(wanted, to_ms=FOR_EVER_MS, columns=None if rules.versions_min else wanted.columns)
    seen = list(visible(before, rules, newest, NOW_MS))
    assert list(visible(after, rules, newest, NOW_MS)) == seen
    assert list(living(after, rules, NOW_MS, every_marker if markers_go else no_marker)) == list(after)
    if len(after) < len(before):
        event("something went")
    gone = set(before) - set(after)
    assert not gone & set(visible(before, rules, Wanted(None, rules.versions_max), NOW_MS))


# --- when it is written -----------------------------------------------------------------------------------------------

RULES = {b"a": FamilyRules(versions_max=3), b"b": FamilyRules()}
PREFIX = b"prefix00"


def region_on(store: Store) -> Region:
    return Region(RegionRange("t", "t,,1.aa."), RULES, store, PREFIX)


def ended(error: StoreError | None) -> None:
    assert error is None


def mutate(where: Region, kind: MutationKind, changes: Sequence[Change], now_ms: int, row: bytes = b"row") -> None:
    where.mutate([Mutation(kind, row, changes)], Durability.PROCESS, ended, now_ms)


def stored(where: Region, of_family: bytes, row: bytes = b"row") -> list[Entry]:
    key = family_key(where.row_key(row), of_family)
    first = where.store.get(key)
    return list(read_cells(where.store, key, first)) if first is not None else []


def newest(where: Region, row: bytes = b"row", now_ms: int = 10**6) -> list[Cell]:
    wanted = {name: Wanted(None, 9) for name in RULES}
    return list(decode_cells(where.get(row, wanted, now_ms).block, with_tags=True))


@pytest.mark.parametrize("neighbours", [0, 3000])
def test_counters_do_not_grow(neighbours: int):
    """Neither alone nor in a row of many chunks; and the changes stay cheap."""
    where = region_on(MemoryStore())
    filling = [Change(b"b", b"%06d" % number, 1, PUT, bytes(100)) for number in range(neighbours)]
    if filling:
        mutate(where, MutationKind.PUT, filling, 1)
    one = [Change(b"b", b"001500x", LATEST_TIMESTAMP, PUT, (1).to_bytes(8, "big"))]
    for number in range(3000):
        mutate(where, MutationKind.INCREMENT, one, 1000 + number)
    [found] = [each for each in newest(where) if each.qualifier == b"001500x"]
    assert found.value == (3000).to_bytes(8, "big")
    assert len(stored(where, b"b")) < neighbours + 200


def test_large_cells_that_are_written_again_and_again():
    where = region_on(MemoryStore())
    for number in range(20):
        mutate(where, MutationKind.PUT, [Change(b"b", b"q", number, PUT, bytes(100_000))], 1000)
    assert len(stored(where, b"b")) == 1


def test_a_queue_does_not_grow():
    """Columns that are put and deleted."""
    where = region_on(MemoryStore())
    for number in range(2000):
        mutate(where, MutationKind.PUT, [Change(b"b", b"q", LATEST_TIMESTAMP, PUT, b"")], 10 * number + 1)
        mutate(where, MutationKind.DELETE, [Change(b"b", b"q", LATEST_TIMESTAMP, DELETE_COLUMN)], 10 * number + 5)
    assert len(stored(where, b"b")) < 70
    assert newest(where) == []


many_changes = st.lists(
    st.builds(
        Change, st.sampled_from([b"a", b"b"]), st.sampled_from([b"", b"p", b"q"]), st.integers(1, 60),
        st.sampled_from([PUT, PUT, PUT, DELETE_COLUMN]), st.binary(max_size=2), st.just(b""),
    )
    | st.builds(
        Change, st.sampled_from([b"a", b"b"]), st.just(b""), st.integers(1, 60), st.just(DELETE_FAMILY), st.just(b""),
        st.just(b""),
    ),
    max_size=40,
)  # fmt: skip


@given(many_changes)
@settings(max_examples=examples(60), deadline=None)
def test_like_a_region_that_keeps_everything(changes: list[Change]):
    """Deletes of single versions left out: behind them older versions may be seen that are gone here, as in HBase."""
    before = dead.LOOKED_AT_CELLS
    cleaned, keeps = region_on(MemoryStore()), region_on(MemoryStore())
    for change in changes:
        kind = MutationKind.PUT if change.key_type == PUT else MutationKind.DELETE
        try:
            dead.LOOKED_AT_CELLS = 2
            mutate(cleaned, kind, [change], 1000)
            dead.LOOKED_AT_CELLS = 10**9
            mutate(keeps, kind, [change], 1000)
        finally:
            dead.LOOKED_AT_CELLS = before
        assert newest(cleaned) == newest(keeps)


# --- a pass over a region ---------------------------------------------------------------------------------------------


def clean(where: Region, now_ms: int = 10**6) -> RegionCleaning:
    passed = RegionCleaning(where)
    while passed.slice(now_ms):
        pass
    return passed


def test_a_pass_takes_what_is_dead_and_open_scans_keep_it():
    where = region_on(MemoryStore())
    for row in (b"a", b"b", b"c"):
        for number in range(5):
            mutate(where, MutationKind.PUT, [Change(b"b", b"q", number, PUT, b"%d" % number)], 1000, row)
    mutate(where, MutationKind.DELETE, [Change(b"b", b"q", 9, DELETE_COLUMN)], 1000, b"b")
    shape = ScanShape({b"b": Wanted(None, 9, raw=True)})
    scan = open_scan(where, ScanRange(), shape, 1000)
    passed = clean(where)
    assert (passed.done, passed.records_read_count, passed.cells_dropped_count) == (True, 3, 4 + 6 + 4)
    assert [len(stored(where, b"b", row)) for row in (b"a", b"b", b"c")] == [1, 0, 1]
    assert scan.page(PageLimits()).counts == [5, 6, 5]
    scan.close()
    assert open_scan(where, ScanRange(), shape, 1000).page(PageLimits()).counts == [1, 1]
    assert not clean(where).cells_dropped_count


@given(st.lists(stored_cells, min_size=1, max_size=12), many_rules, st.booleans(), st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_a_record_is_cleaned_as_its_cells_are(drawn: list[Cell], rules: FamilyRules, puts_alone: bool, long_ago: bool):
    """Where that can be told without a look at them, too."""
    rules = replace(rules, new_versions=False)
    if puts_alone:
        drawn = [each for each in drawn if each.key_type == PUT and not each.tags]
    cells_stored = merged((), entries(drawn))
    if not cells_stored:
        return
    now_ms = NOW_MS + (10**6 if long_ago else 0)
    where = region_on(MemoryStore())
    where.families = {b"b": rules}
    key = family_key(where.row_key(b"row"), b"b")
    where.store.commit(Batch([(key, encode_record(cells_stored))]), Durability.PROCESS, ended)
    kept = living(cells_stored, rules, now_ms, every_marker)
    passed = clean(where, now_ms)
    assert stored(where, b"b") == list(kept)
    assert passed.cells_dropped_count == len(cells_stored) - len(kept)
    event("all went" if not kept else "some went" if len(kept) < len(cells_stored) else "none went")


def test_a_marker_that_expires_on_its_own_stays_with_all_that_have():
    """That nothing of it is to be dropped can only be told by its cells: no client of HBase can write one."""
    where = region_on(MemoryStore())
    where.families = {b"b": FamilyRules(ttl_ms=10)}
    key = family_key(where.row_key(b"row"), b"b")
    written = merged((), entries([cell(b"a", 1), cell(b"a", 1, DELETE_COLUMN, ttl_ms=5)]))
    for each, dropped_count in ((written, 0), (written[1:], 1)):
        where.store.commit(Batch([(key, encode_record(each))]), Durability.PROCESS, ended)
        where.newest = NewestCell()  # it is not to go unread
        assert clean(where, NOW_MS).cells_dropped_count == dropped_count


def test_a_large_family_in_slices():
    """Columns of many chunks, versions over their borders, a marker of all of them, and single markers."""
    where = region_on(MemoryStore())
    for number in range(0, 6000, 500):
        puts = [Change(b"b", b"%06d" % each, 5, PUT, bytes(100)) for each in range(number, number + 500)]
        mutate(where, MutationKind.PUT, puts, 1000)
    mutate(where, MutationKind.PUT, [Change(b"b", b"003000", t, PUT, bytes(5000)) for t in range(10, 40)], 1000)
    mutate(where, MutationKind.DELETE, [Change(b"b", b"%06d" % n, 9, DELETE_COLUMN) for n in range(4000, 4500)], 1000)
    before = newest(where)
    assert len(before) == 5500
    passed = RegionCleaning(where)
    slices = 1
    while passed.slice(1000, 32 * 1024):
        slices += 1
        assert newest(where) == before
    assert slices > 10
    assert newest(where) == before
    assert len(stored(where, b"b")) < 5500 + 100
    mutate(where, MutationKind.DELETE, [Change(b"b", b"", 9, DELETE_FAMILY)], 1000)
    assert len(newest(where)) == 1
    clean(where)
    assert len(stored(where, b"b")) == 2, "with the marker of a family that was large"
    clean(where)
    assert [each[1] for each in stored(where, b"b")] == [-39]
    mutate(where, MutationKind.PUT, [Change(b"b", b"0", 7, PUT, b"")], 1000)
    assert len(newest(where)) == 2


def test_a_store_that_is_busy():
    class Busy(MemoryStore):
        busy = False

        def commit(self, batch: Batch, durability: Durability, committed: object) -> None:
            if self.busy:
                raise StoreBusy("busy")
            super().commit(batch, durability, committed)  # type: ignore[arg-type]

    store = Busy()
    where = region_on(store)
    for number in range(3):
        mutate(where, MutationKind.PUT, [Change(b"b", b"q", number, PUT)], 1000)
    store.busy = True
    passed = clean(where)
    assert (passed.done, passed.cells_dropped_count, passed.slices_refused_count) == (True, 0, 1)
    store.busy = False
    assert clean(where).cells_dropped_count == 2


@pytest.mark.parametrize("grouped", [False, True])
def test_slices_among_writes(grouped: bool, monkeypatch: pytest.MonkeyPatch):
    """Whoever writes between the slices, and whatever the size of families."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    monkeypatch.setattr(cleaning, "FAMILY_BYTES_WHOLE", 20_000)
    where = region_on(GroupedStore(MemoryStore(), lambda call: None) if grouped else MemoryStore())
    passed = RegionCleaning(where)
    for _ in range(600):
        row, of_family = b"%d" % chance.randrange(3), chance.choice([b"a", b"b"])
        kind = chance.choice([PUT, PUT, PUT, DELETE, DELETE_COLUMN, DELETE_FAMILY])
        changes = [
            Change(of_family, b"" if kind == DELETE_FAMILY else b"%d" % chance.randrange(20), chance.randrange(1, 500),
                   kind, bytes(chance.choice([0, 0, 2000])) if kind == PUT else b"")
            for _ in range(chance.randrange(1, 5))
        ]  # fmt: skip
        mutate(where, MutationKind.PUT if kind == PUT else MutationKind.DELETE, changes, 1000, row)
        for _ in range(chance.randrange(3)):
            seen = [newest(where, b"%d" % each) for each in range(3)]
            if not passed.slice(1000, chance.choice([1, 3000, 10**6])):
                passed = RegionCleaning(where)
            assert [newest(where, b"%d" % each) for each in range(3)] == seen
