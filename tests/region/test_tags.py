"""Tags of cells, which clients with KeyValueCodecWithTags write and read, and times to live among them.

Source: HRegion#reckonDelta, #rewriteCellTags, TagUtil.
"""

from __future__ import annotations

import pytest

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Durability
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import LATEST_TIMESTAMP, KeyType, Tag, TagType, decode_cells, encode_tags

PUT, INCREMENT, APPEND = MutationKind.PUT, MutationKind.INCREMENT, MutationKind.APPEND
NOW_MS = 1000


def ttl(ttl_ms: int) -> bytes:
    return ttl_ms.to_bytes(8, "big", signed=True)


def tags(*found: int | bytes) -> bytes:
    """Times to live, and others."""
    return encode_tags(
        [Tag(TagType.TTL, ttl(each)) if isinstance(each, int) else Tag(TagType.VISIBILITY, each) for each in found]
    )


class Row:
    def __init__(self, rules: FamilyRules) -> None:
        self.region = Region(RegionRange("t", "t,,1.aa."), {b"f": rules}, MemoryStore(), b"prefix00")

    def write(
        self,
        kind: MutationKind,
        own: bytes = b"",
        *,
        own_ttl: bytes = b"",
        timestamp_ms: int = LATEST_TIMESTAMP,
        value: bytes = ttl(1),
        now_ms: int = NOW_MS,
    ) -> list[bytes]:
        """The tags of the cells that are told."""
        change = Change(b"f", b"q", timestamp_ms, KeyType.PUT, value, own)
        mutation = Mutation(kind, b"row", [change], own_ttl=own_ttl)
        _, [told] = self.region.mutate([mutation], Durability.PROCESS, lambda error: None, now_ms)
        return [each.tags for each in decode_cells(b"".join(told), with_tags=True)]

    def read(self, now_ms: int = NOW_MS) -> list[tuple[bytes, bytes]]:
        found = decode_cells(self.region.get(b"row", {}, now_ms).block, with_tags=True)
        return [(each.value, each.tags) for each in found]


@pytest.fixture(params=[FamilyRules(), FamilyRules(new_versions=True)], ids=["plain", "new version behavior"])
def row(request: pytest.FixtureRequest) -> Row:
    return Row(request.param)


def test_a_mutations_time_to_live_stands_behind_other_tags(row: Row):
    row.write(PUT, tags(b"v", 5, b"w"), own_ttl=ttl(700))
    assert row.read() == [(ttl(1), tags(b"v", b"w", 700))]
    assert row.read(NOW_MS + 701) == []


@pytest.mark.parametrize("kind", [INCREMENT, APPEND])
def test_what_is_added_to_nothing_is_told_without_tags_where_it_has_a_time_to_live(row: Row, kind: MutationKind):
    """As by a real server, which stores the tags all the same; histories have found it."""
    assert row.write(kind, tags(b"v"), own_ttl=ttl(700)) == [b""]
    assert row.read() == [(ttl(1), tags(b"v", 700))]
    assert row.write(kind, tags(b"w"), own_ttl=ttl(800)) == [tags(b"w", b"v", 800)]
    assert row.write(kind, tags(b"x")) == [tags(b"x", b"w", b"v", 800)]


def test_what_is_added_has_the_tags_of_both(row: Row):
    row.write(PUT, tags(b"old", 900))
    row.write(INCREMENT, tags(b"new"))
    assert row.read() == [(ttl(2), tags(b"new", b"old", 900))]
    row.write(INCREMENT, own_ttl=ttl(50))
    assert row.read() == [(ttl(3), tags(b"new", b"old", 50))]
    row.write(APPEND, value=b"+", own_ttl=ttl(2**62))
    assert row.read() == [(ttl(3) + b"+", tags(b"new", b"old", 2**62))]


def test_what_has_expired_when_it_is_written_hides_nothing_of_its_time(row: Row):
    row.write(PUT, value=b"stays", timestamp_ms=5)
    row.write(PUT, value=b"over", timestamp_ms=5, own_ttl=ttl(10))
    assert row.read() == [(b"stays", b"")]
    row.write(PUT, tags(10), value=b"over", timestamp_ms=5)
    assert row.read() == [(b"stays", b"")]


def test_times_to_live_wrap_as_in_java(row: Row):
    row.write(PUT, own_ttl=ttl(2**63 - 2))
    assert row.read() == []


def test_what_has_expired_takes_the_place_of_what_the_same_change_wrote_before(row: Row):
    """Two cells of one change are one in a real server's memory, the later; histories have found it."""
    row.write(PUT, value=b"before", timestamp_ms=4)
    put = [Change(b"f", b"q", 5, KeyType.PUT, b"v", b"")]
    both = [Mutation(PUT, b"row", put), Mutation(PUT, b"row", put, own_ttl=ttl(1))]
    row.region.mutate(both, Durability.PROCESS, lambda error: None, NOW_MS)
    assert row.read() == [(b"before", b"")]
    row.region.mutate(both[::-1], Durability.PROCESS, lambda error: None, NOW_MS)
    assert row.read() == [(b"v", b"")]
    row.region.mutate(both[1:], Durability.PROCESS, lambda error: None, NOW_MS)
    assert row.read() == [(b"v", b"")], "of another change: it hides nothing"
