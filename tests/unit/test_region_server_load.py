"""What a region server reports of its regions."""

from __future__ import annotations

from protos.hbase import HBase_pb2
from regionserver.engine.memory import MemoryStore
from regionserver.hosting.hosted import Hosted
from regionserver.hosting.schema import described
from regionserver.load import MIB, Loads
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.region_info import RegionInfo, table_name
from tests.support.clock import ManualClock


class SizedStore(MemoryStore):
    """As large as it says; each look takes a while."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.size = 3 * MIB
        self.looks = 0

    def size_bytes(self, lower: bytes, upper: bytes) -> int:
        self.looks += 1
        self.clock.advance(1.0)
        return self.size


def hosted(number: int, store: MemoryStore) -> Hosted:
    info = RegionInfo("t1", b"%03d" % number, b"%03d" % (number + 1), 7)
    schema = HBase_pb2.TableSchema(table_name=table_name("t1"))
    schema.column_families.add(name=b"f")
    where = RegionRange("t1", str(info), info.start_key, info.end_key)
    region = Region(where, {b"f": FamilyRules()}, store, b"prefix00")
    return Hosted(info, region, described(schema), schema, "store", 5, 0.0)


def test_a_report_counts_and_looks_at_sizes_by_turns() -> None:
    clock = ManualClock()
    store = SizedStore(clock)
    online = [hosted(number, store) for number in range(5)]
    loads = Loads(clock)
    online[0].region.counts.reads_count = 4
    online[0].region.counts.writes_count = 2
    clock.advance(2000)
    load = loads.server_load(online, 100, 16030)
    assert (load.number_of_requests, load.total_number_of_requests, load.info_server_port) == (49, 100, 16030)
    assert [each.region_specifier.value for each in load.region_loads] == [each.info.name for each in online]
    assert (load.region_loads[0].read_requests_count, load.region_loads[0].write_requests_count) == (4, 2)
    assert load.region_loads[0].complete_sequence_id == 5
    assert store.looks == 2, "the rest has its turn with the next reports"
    sizes = [each.storefile_size_MB for each in load.region_loads]
    while 0 in sizes:
        clock.advance(1000)
        sizes = [each.storefile_size_MB for each in loads.server_load(online, 100, -1).region_loads]
    assert sizes == [3] * 5
    assert store.looks <= 6
    store.size = 9 * MIB
    for _ in range(4):
        sizes = [each.storefile_size_MB for each in loads.server_load(online, 100, -1).region_loads]
    assert sizes == [9] * 5
    online[0].region.counts.reads_count = 6
    assert loads.region_load(online[0]).read_requests_count == 6


def test_regions_that_have_left_are_forgotten_and_a_closed_store_is_no_trouble() -> None:
    clock = ManualClock()
    store = SizedStore(clock)
    online = [hosted(number, store) for number in range(2)]
    loads = Loads(clock)
    for _ in range(3):
        loads.server_load(online, 0, -1)
    assert loads.size_bytes(online[0].info.encoded_name) == 3 * MIB
    for _ in range(3):
        assert len(loads.server_load(online[1:], 0, -1).region_loads) == 1
    assert loads.size_bytes(online[0].info.encoded_name) is None
    closed = hosted(7, MemoryStore())
    closed.region.store.close()
    assert len(loads.server_load([closed], 0, -1).region_loads) == 1
