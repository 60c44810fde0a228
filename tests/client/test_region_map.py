"""What is known of a table's regions, against a list that is searched from end to end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.client.data.region_map import Region, RegionMap
from registry.names import Address, ServerName
from tests.support.seeds import examples

KEYS = [b"", b"a", b"a0", b"b", b"c", b"d", b"e", b"f\xff", b"\xff"]
SERVERS = [ServerName("s", port, 1) for port in (1, 2, 3)]


@st.composite
def regions(draw: st.DrawFn) -> Region:
    start = draw(st.sampled_from(KEYS))
    end = draw(st.sampled_from([b"", *(key for key in KEYS if key > start)]))
    number = draw(st.integers(1, 3))
    return Region(b"t,%b,%d" % (start, number), start, end, draw(st.sampled_from(SERVERS)), draw(st.integers(0, 3)))


class Model:
    """The same, slowly."""

    def __init__(self) -> None:
        self.regions: list[Region] = []

    def add(self, region: Region) -> None:
        for known in self.regions:
            if known.name == region.name and known.start_key == region.start_key and known.seq_num > region.seq_num:
                return
        self.regions = [known for known in self.regions if not _overlap(known, region)]
        self.regions.append(region)

    def find(self, row: bytes) -> Region | None:
        return next((region for region in self.regions if region.has(row)), None)

    def find_before(self, key: bytes) -> Region | None:
        if not key:
            return next((region for region in self.regions if not region.end_key), None)
        for region in self.regions:
            if region.start_key < key and (not region.end_key or key <= region.end_key):
                return region
        return None


def _overlap(one: Region, other: Region) -> bool:
    return (not one.end_key or other.start_key < one.end_key) and (not other.end_key or one.start_key < other.end_key)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), regions()),
            st.tuples(st.just("remove"), st.integers(0, 9)),
            st.tuples(st.just("server"), st.sampled_from(SERVERS)),
        ),
        max_size=25,
    )
)
@settings(max_examples=examples(150), deadline=None)
def test_it_knows_what_the_list_knows(steps: list[tuple[str, object]]) -> None:
    known, model = RegionMap(), Model()
    for what, argument in steps:
        if isinstance(argument, Region):
            known.add(argument)
            model.add(argument)
        elif isinstance(argument, ServerName):
            gone = [region for region in model.regions if region.address == argument.address]
            assert known.remove_server(argument.address) == len(gone), what
            model.regions = [region for region in model.regions if region not in gone]
        elif isinstance(argument, int) and model.regions:
            region = model.regions[argument % len(model.regions)]
            assert known.remove(region)
            model.regions.remove(region)
            assert not known.remove(region)
        assert sorted(region.start_key for region in known) == [region.start_key for region in known]
        assert set(known) == set(model.regions)
        for key in KEYS:
            for row in (key, key + b"\0", key + b"5"):
                assert known.find(row) is model.find(row)
            assert known.find_before(key) is model.find_before(key)


def test_a_region_that_was_forgotten_is_another_than_its_successor() -> None:
    known = RegionMap()
    old = Region(b"t,,1", b"", b"", SERVERS[0])
    known.add(old)
    known.add(Region(b"t,,1", b"", b"", SERVERS[1], 7))
    assert not known.remove(old), "an error of the old place says nothing of the new"
    assert known.remove_server(Address("s", 1)) == 0
    assert len(known) == 1
