"""NEW_VERSION_BEHAVIOR: what was written later decides, before and after clean-up, in small rows and in chunks.

Histories are held against what they would leave if each change were cleaned up after at once: there a marker removes
what it hides, and then nothing but the newest versions stays. That is what the attribute promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Durability
from regionserver.filters.columns import ColumnPrefixFilter
from regionserver.filters.filter import Filter
from regionserver.region import cleaning_in_order, record, written_order
from regionserver.region.cleaning import RegionCleaning
from regionserver.region.filtered_reads import filtered_get
from regionserver.region.keys import family_key
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.record import FORMAT, FORMAT_IN_ORDER, Mark, head_of
from regionserver.region.region import Region, RegionRange
from regionserver.region.scan import PageLimits, ScanRange, ScanShape, open_scan
from regionserver.region.visible import FamilyRules, KeepDeleted, Wanted
from registry.wire.cellblock import Cell, KeyType, Tag, TagType, decode_cells, encode_tags
from tests.support.seeds import examples

NEW = FamilyRules(versions_max=1, new_versions=True)
PUT, DELETE, DELETE_COLUMN = KeyType.PUT, KeyType.DELETE, KeyType.DELETE_COLUMN
DELETE_FAMILY, DELETE_FAMILY_VERSION = KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION
NOW_MS = 1000
ALL = Wanted(versions_max=99)


class Rows:
    """A region of one family and its store."""

    def __init__(self, rules: FamilyRules = NEW) -> None:
        self.store = MemoryStore()
        self.become(rules)

    def become(self, rules: FamilyRules) -> None:
        self.region = Region(RegionRange("t", "t,,1.aa."), {b"f": rules}, self.store, b"prefix00")

    def write(self, *changes: Change) -> None:
        kind = MutationKind.PUT if changes[0].key_type == PUT else MutationKind.DELETE
        mutation = Mutation(kind, b"row", changes)
        self.region.mutate([mutation], Durability.PROCESS, lambda error: None, NOW_MS)

    def put(self, qualifier: bytes, *times: int, value: bytes = b"") -> None:
        for timestamp_ms in times:
            self.write(Change(b"f", qualifier, timestamp_ms, PUT, value or b"%d" % timestamp_ms))

    def delete(self, kind: KeyType, timestamp_ms: int, qualifier: bytes = b"") -> None:
        self.write(Change(b"f", qualifier, timestamp_ms, kind))

    def clean(self, slice_bytes: int = 1 << 20, now_ms: int = NOW_MS) -> int:
        passed = RegionCleaning(self.region)
        while passed.slice(now_ms, slice_bytes):
            pass
        return passed.cells_dropped_count

    def seen(self, wanted: Wanted = ALL) -> list[str]:
        found = cells_of(self.region.get(b"row", {b"f": wanted}, NOW_MS).block)
        shape = ScanShape({b"f": wanted})
        scan = open_scan(self.region, ScanRange(), shape, NOW_MS)
        page = scan.page(PageLimits())
        assert cells_of(b"".join(page.blocks)) == found, "a Get and a scan tell the same"
        return [told(each) for each in found]

    def raw(self) -> list[str]:
        page = open_scan(self.region, ScanRange(), ScanShape({b"f": replace(ALL, raw=True)}), NOW_MS).page(PageLimits())
        return [told(each) for each in cells_of(b"".join(page.blocks))]

    @property
    def records(self) -> list[bytes]:
        return [value for _, value in self.store.scan(b"prefix00", b"prefix01")]


def cells_of(block: bytes) -> list[Cell]:
    return list(decode_cells(block, with_tags=True))


def told(each: Cell) -> str:
    kind = "" if each.key_type == PUT else f"!{each.key_type}"
    return f"{each.qualifier.decode()}@{each.timestamp_ms}{kind}"


def test_a_put_behind_a_marker_is_seen_whatever_its_time_is():
    rows = Rows()
    rows.put(b"a", 5)
    rows.delete(DELETE_COLUMN, 9, b"a")
    assert rows.seen() == []
    rows.put(b"a", 4)
    assert rows.seen() == ["a@4"]
    for kind in (DELETE_FAMILY, DELETE_FAMILY_VERSION, DELETE):
        rows.delete(kind, 4, b"a" if kind == DELETE else b"")
        assert rows.seen() == []
        rows.put(b"a", 4)
        assert rows.seen() == ["a@4"]
    assert rows.clean() > 0
    assert rows.seen() == rows.raw() == ["a@4"]
    before = Rows(FamilyRules())
    before.delete(DELETE_COLUMN, 9, b"a")
    before.put(b"a", 4)
    assert before.seen() == []


def test_what_was_beyond_the_versions_does_not_come_back():
    rows = Rows(replace(NEW, versions_max=2))
    rows.put(b"a", 1, 2, 3)
    rows.delete(DELETE, 3, b"a")
    assert rows.seen() == ["a@2"], "and not the first, which HBase shows without the attribute until it compacts"
    rows.put(b"a", 1)
    assert rows.seen() == ["a@2", "a@1"], "written again"
    rows.clean()
    assert rows.seen() == ["a@2", "a@1"]


def test_versions_of_one_change_count_each():
    rows = Rows(replace(NEW, versions_max=2))
    rows.write(*(Change(b"f", b"a", timestamp_ms, PUT) for timestamp_ms in (1, 3, 4)))
    rows.delete(DELETE, 3, b"a")
    assert rows.seen() == ["a@4"]


def test_of_two_of_one_time_the_later():
    rows = Rows(replace(NEW, versions_max=3))
    rows.put(b"a", 7, value=b"first")
    rows.put(b"a", 7, value=b"second")
    found = rows.region.get(b"row", {b"f": ALL}, NOW_MS)
    assert [each.value for each in cells_of(found.block)] == [b"second"]
    rows.delete(DELETE, 7, b"a")
    assert rows.seen() == []
    assert rows.raw() == ["a@7!8", "a@7"], "each once"


def test_a_marker_hides_puts_of_its_own_change():
    rows = Rows()
    mutations = [
        Mutation(MutationKind.DELETE, b"row", [Change(b"f", b"a", 5, DELETE_COLUMN)]),
        Mutation(MutationKind.PUT, b"row", [Change(b"f", b"a", 5, PUT), Change(b"f", b"b", 5, PUT)]),
    ]
    for _ in range(2):
        rows.region.mutate(mutations, Durability.PROCESS, lambda error: None, NOW_MS)
        assert rows.seen() == ["b@5"]


def test_versions_out_of_the_time_range_are_versions():
    rows = Rows()
    rows.put(b"a", 3, 9)
    assert rows.seen(replace(ALL, to_ms=5)) == []
    rows.put(b"b", 9, 3)
    assert rows.seen(replace(ALL, to_ms=5)) == []


def test_columns_without_a_name_are_like_others():
    rows = Rows(replace(NEW, versions_max=3))
    rows.put(b"", 8, 3, 1)
    rows.delete(DELETE_FAMILY, 2)
    rows.delete(DELETE, 8)
    assert rows.seen() == ["@3"]
    rows.put(b"", 2)
    assert rows.seen() == ["@3", "@2"]


def test_deleted_cells_that_are_kept():
    rows = Rows(FamilyRules(2, keep_deleted=KeepDeleted.TRUE, new_versions=True))
    rows.put(b"a", 1, 2)
    rows.delete(DELETE_COLUMN, 4, b"a")
    for _ in range(2):
        assert rows.seen() == []
        assert rows.seen(replace(ALL, to_ms=4)) == ["a@2", "a@1"]
        rows.clean()
    rows.put(b"a", 5, 6)
    rows.clean()
    assert rows.raw() == ["a@6", "a@5"], "two have come behind the marker"


def test_markers_that_are_to_stay_for_a_while():
    rows = Rows(replace(NEW, markers_stay_ms=10))
    rows.put(b"a", 950, 985)
    rows.put(b"b", 985)
    rows.delete(DELETE_COLUMN, 989, b"a")
    rows.delete(DELETE_COLUMN, 990, b"b")
    rows.delete(DELETE_FAMILY, 995)
    rows.clean()
    assert rows.raw() == ["@995!14", "b@990!12"]


def test_time_to_live():
    rows = Rows(FamilyRules(9, 1, 100, new_versions=True))
    rows.put(b"a", NOW_MS - 300, NOW_MS - 200)
    rows.put(b"b", NOW_MS - 200, NOW_MS - 50)
    assert rows.seen() == ["a@800", "b@950"]
    rows.clean()
    assert rows.raw() == ["a@800", "b@950"]


def test_a_time_to_live_of_a_cell_counts_until_it_is_over():
    rows = Rows()
    tags = encode_tags([Tag(TagType.TTL, (100).to_bytes(8, "big"))])
    rows.put(b"a", 800)
    rows.write(Change(b"f", b"a", 950, PUT, b"short", tags))
    assert rows.seen() == ["a@950"]
    rows.clean()
    later = rows.region.get(b"row", {b"f": ALL}, NOW_MS + 51)
    assert [told(each) for each in cells_of(later.block)] == ["a@800"]


def test_of_three_puts_of_one_version_each_replaces_the_one_before():
    """The first two counted as two versions where a marker came before the third, and an older put was hidden.

    What a clean-up between them left of them was one, so that it changed what was seen.
    """
    for cleaned in (False, True):
        rows = Rows(replace(NEW, versions_max=2))
        rows.put(b"a", 1, 4)
        rows.put(b"a", 4)
        if cleaned:
            rows.clean()
        rows.delete(DELETE_FAMILY_VERSION, 2)
        rows.put(b"a", 4)
        assert rows.seen() == ["a@4", "a@1"]


def test_with_a_filter_versions_are_counted_before_it():
    rows = Rows(replace(NEW, versions_max=2))
    rows.put(b"a", 1, 2)
    rows.put(b"b", 1)
    asked: Filter = ColumnPrefixFilter(b"a")
    found = filtered_get(rows.region, b"row", {b"f": Wanted()}, asked, NOW_MS)
    assert [told(each) for each in cells_of(found.block)] == ["a@2"]


def test_rows_that_were_written_once_are_kept_like_all_others():
    rows = Rows()
    rows.put(b"a", 1)
    assert [each[0] for each in rows.records] == [FORMAT]
    rows.put(b"b", 1)
    assert [each[0] for each in rows.records] == [FORMAT_IN_ORDER]
    assert head_of(rows.records[0]).marks == Mark.IN_ORDER


def test_the_attribute_comes_and_goes():
    rows = Rows(FamilyRules(3))
    rows.put(b"a", 1, 2)
    rows.delete(DELETE, 1, b"a")
    rows.become(replace(NEW, versions_max=3))
    assert rows.seen() == ["a@2"], "nothing is known of what came first"
    rows.put(b"a", 1)
    assert rows.seen() == ["a@2", "a@1"]
    rows.put(b"a", 1)
    rows.become(FamilyRules(3))
    assert rows.seen() == ["a@2"]
    assert rows.raw() == ["a@2", "a@1!8", "a@1"]
    rows.put(b"b", 1)
    assert [each[0] for each in rows.records] == [FORMAT]
    assert rows.raw() == ["a@2", "a@1!8", "a@1", "b@1"]


# --- histories --------------------------------------------------------------------------------------------------------

Step = tuple[Change, ...] | str
COLUMNS = (b"", b"a", b"b", b"c")
TIMES = (1, 2, 3, 4, 5)


class Promised:
    """What is seen if every change is cleaned up after at once."""

    def __init__(self, versions_max: int) -> None:
        self._versions_max = versions_max
        self.columns: dict[bytes, dict[int, bytes]] = {}

    def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.key_type == PUT:
                self.columns.setdefault(change.qualifier, {})[change.timestamp_ms] = change.value
        for change in changes:
            if change.key_type == PUT:
                continue
            is_of_family = change.key_type in (DELETE_FAMILY, DELETE_FAMILY_VERSION)
            is_of_version = change.key_type in (DELETE, DELETE_FAMILY_VERSION)
            for qualifier, versions in self.columns.items():
                for timestamp_ms in list(versions):
                    reaches = timestamp_ms == change.timestamp_ms or (
                        not is_of_version and timestamp_ms < change.timestamp_ms
                    )
                    if reaches and (is_of_family or qualifier == change.qualifier):
                        del versions[timestamp_ms]
        for versions in self.columns.values():
            for timestamp_ms in sorted(versions, reverse=True)[self._versions_max :]:
                del versions[timestamp_ms]

    def seen(self, wanted: Wanted) -> list[tuple[bytes, int, bytes]]:
        return [
            (qualifier, timestamp_ms, versions[timestamp_ms])
            for qualifier, versions in sorted(self.columns.items())
            for timestamp_ms in [
                each for each in sorted(versions, reverse=True) if wanted.from_ms <= each < wanted.to_ms
            ][: wanted.versions_max]
            if wanted.columns is None or qualifier in wanted.columns
        ]


def changes_of(kinds: Sequence[KeyType]) -> st.SearchStrategy[tuple[Change, ...]]:
    """One change: of versions one by one, or of all up to a time. Both together HBase does not keep apart."""

    def made(parts: tuple[KeyType, bytes, int, int]) -> Change:
        kind, qualifier, timestamp_ms, number = parts
        of_family = kind in (DELETE_FAMILY, DELETE_FAMILY_VERSION)
        return Change(b"f", b"" if of_family else qualifier, timestamp_ms, kind, b"%d" % number if kind == PUT else b"")

    drawn = st.tuples(st.sampled_from(COLUMNS), st.sampled_from(TIMES), st.integers(0, 99))
    puts = st.lists(drawn, min_size=1, max_size=3, unique_by=lambda each: each[:2]).map(
        lambda parts: tuple(made((PUT, *part)) for part in parts)
    )
    marker = st.tuples(st.sampled_from(kinds), drawn).map(lambda parts: (made((parts[0], *parts[1])),))
    return puts | puts | marker


steps = st.sampled_from([(DELETE, DELETE_FAMILY_VERSION), (DELETE_COLUMN, DELETE_FAMILY)]).flatmap(
    lambda kinds: st.lists(changes_of(kinds) | changes_of(kinds) | changes_of(kinds) | st.just("clean"), max_size=25)
)
many_wanted = st.builds(
    Wanted,
    st.none() | st.sampled_from([(b"",), (b"a",), (b"a", b"c")]),
    st.integers(1, 3),
    st.sampled_from([0, 2]),
    st.sampled_from([4, 1 << 62]),
)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (record, written_order):
        monkeypatch.setattr(module, "CHUNK_BYTES", 60)
        monkeypatch.setattr(module, "CHUNK_BYTES_MAX", 120)
    monkeypatch.setattr("regionserver.region.family.CHUNK_BYTES_MAX", 120)


def played(history: Sequence[Step], versions_max: int, slice_bytes: int) -> Iterator[tuple[Rows, Promised]]:
    rows, promised = Rows(replace(NEW, versions_max=versions_max)), Promised(versions_max)
    for step in history:
        if isinstance(step, str):
            rows.clean(slice_bytes)
        else:
            rows.write(*step)
            promised.write(step)
        yield rows, promised


def check(rows: Rows, promised: Promised, wanted: Wanted) -> None:
    found = cells_of(rows.region.get(b"row", {b"f": wanted}, NOW_MS).block)
    assert [(each.qualifier, each.timestamp_ms, each.value) for each in found] == promised.seen(wanted)
    rows.seen(wanted)


@settings(max_examples=examples(40), deadline=None)
@given(steps, st.integers(1, 3), many_wanted)
def test_a_history_leaves_what_is_promised(history: list[Step], versions_max: int, wanted: Wanted):
    for rows, promised in played(history, versions_max, 1 << 20):
        check(rows, promised, wanted)


@pytest.mark.usefixtures("small_chunks")
@settings(max_examples=examples(50), deadline=None)
@given(steps, st.integers(1, 3), many_wanted, st.sampled_from([100, 300, 1 << 20]), st.sampled_from([40, 200, 1 << 20]))
def test_in_chunks_too(history: list[Step], versions_max: int, wanted: Wanted, whole_bytes: int, slice_bytes: int):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cleaning_in_order, "FAMILY_BYTES_WHOLE", whole_bytes)
        for rows, promised in played([*history, "clean"], versions_max, slice_bytes):
            check(rows, promised, wanted)
            event(f"chunks: {min(len(rows.records), 4)}")


MIXED = (PUT, PUT, PUT, PUT, DELETE, DELETE_COLUMN, DELETE_FAMILY, DELETE_FAMILY_VERSION)
many_rules = st.builds(
    FamilyRules, st.integers(1, 3), st.integers(0, 1), st.sampled_from([1 << 62, NOW_MS - 3]),
    st.sampled_from(KeepDeleted), st.just(True),
)  # fmt: skip


@pytest.mark.usefixtures("small_chunks")
@settings(max_examples=examples(50), deadline=None)
@given(st.lists(changes_of(MIXED[4:]), max_size=20), st.data(), many_rules, many_wanted, st.booleans())
def test_nobody_notices_a_clean_up(
    history: list[tuple[Change, ...]], data: st.DataObject, rules: FamilyRules, wanted: Wanted, small: bool
):
    """Of all markers together, with times to live and deleted cells that are kept: with clean-ups and without."""
    cleaned, kept = Rows(rules), Rows(rules)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cleaning_in_order, "FAMILY_BYTES_WHOLE", 100 if small else 1 << 20)
        for change in history:
            cleaned.write(*change)
            kept.write(*change)
            if data.draw(st.integers(0, 4)) == 0 and cleaned.clean(data.draw(st.sampled_from([40, 1 << 20]))):
                event("something went")
            if rules.versions_min == 0 or rules.ttl_ms == 1 << 62:
                assert cleaned.seen(wanted) == kept.seen(wanted)


def test_the_number_of_the_last_change_outlives_the_attribute(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("regionserver.region.family.CHUNK_BYTES_MAX", 120)
    monkeypatch.setattr(written_order, "CHUNK_BYTES", 60)
    monkeypatch.setattr(written_order, "CHUNK_BYTES_MAX", 120)
    rows = Rows(replace(NEW, versions_max=3))
    for name in (b"m", b"n", b"o", b"p"):
        rows.put(name, 1, 2, 3)
    rows.delete(DELETE_COLUMN, 9, b"p")
    assert len(rows.records) > 2
    rows.become(FamilyRules(3))
    rows.delete(DELETE_FAMILY, 1)
    first = rows.store.get(family_key(b"prefix00row\0\0", b"f"))
    assert first is not None
    assert first[0] == FORMAT_IN_ORDER
    rows.become(replace(NEW, versions_max=3))
    rows.put(b"p", 5)
    assert "p@5" in rows.seen(), "later than the marker in a chunk that was not written in between"


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("cleaned", [False, True])
def test_what_is_deleted_while_the_attribute_is_away_does_not_come_back_with_it(
    monkeypatch: pytest.MonkeyPatch, cleaned: bool
):
    """A row in chunks, of which a delete writes but one: those that it leaves say that they were written before."""
    monkeypatch.setattr("regionserver.region.cleaning.FAMILY_BYTES_WHOLE", 1)
    rows = Rows(replace(NEW, versions_max=3))
    for name in (b"m", b"n", b"o", b"p"):
        rows.put(name, 1, 2, 3)
    rows.put(b"n", 2, value=b"again")
    rows.become(FamilyRules(3))
    rows.delete(DELETE_FAMILY, 2)
    rows.delete(DELETE_COLUMN, 9, b"n")
    rows.put(b"p", 4)
    rows.put(b"p", 1)
    if cleaned:
        assert rows.clean() > 0
        assert len(rows.records) > 2
    assert rows.seen() == ["m@3", "o@3", "p@4", "p@3"]
    rows.become(replace(NEW, versions_max=3))
    later = [] if cleaned else ["p@1"]  # than the marker; clean-up has gone by times
    assert rows.seen() == ["m@3", "o@3", "p@4", "p@3", *later]
    rows.put(b"n", 1)
    assert rows.seen() == ["m@3", "n@1", "o@3", "p@4", "p@3", *later]


@pytest.mark.parametrize("new_versions", [False, True])
def test_of_a_large_family_that_has_expired_nothing_is_left(new_versions: bool):
    rows = Rows(FamilyRules(ttl_ms=10, new_versions=new_versions))
    for number in range(100):
        rows.put(b"c%03d" % number, NOW_MS, value=bytes(4000))
    for _ in range(2):
        rows.clean(now_ms=NOW_MS + 11)
    assert rows.records == []
