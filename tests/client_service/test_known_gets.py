"""Gets found by their bytes: answered as the messages would be, or left to them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from regionserver.client_service import known_gets
from regionserver.client_service.known_gets import KnownGets
from regionserver.client_service.nonces import Nonces
from regionserver.client_service.reads import read_get
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.rows import RowCalls
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Durability
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import KeyType
from registry.wire.errors import HBaseError, NotServingRegionException

NOW_MS = 1_000_000
BY_NAME, BY_ENCODED = HBase_pb2.RegionSpecifier.REGION_NAME, HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME
LONG = b"t" * 130 + b",,1.aa."
NAMES = [b"t1,,1.aa.", b"t2,,1.bb.", LONG, b"hbase:meta,,1", b"gone,,1.cc."]
ROWS = [b"", b"a", b"a\0", b"b" * 40, b"c" * 200, b"r" * 40_000, b"z"]


class Server:
    """Four regions, of one family and of two, with rows of any shape."""

    def __init__(self) -> None:
        self.regions: dict[bytes, Region] = {}
        for number, name in enumerate(NAMES[:-1]):
            families = {b"f": FamilyRules(), b"g": FamilyRules(ttl_ms=1000, versions_max=3)}
            if name.startswith(b"t"):
                del families[b"g"]
            where = RegionRange("t", name.decode(), b"", b"z")
            region = self.regions[name] = Region(where, families, MemoryStore(), b"prefix%02d" % number)
            for row in (b"a", b"a\0", b"c" * 200):
                for timestamp_ms in (NOW_MS - 2000, NOW_MS - 10):
                    changes = [
                        Change(family, qualifier, timestamp_ms, KeyType.PUT, b"v%d" % timestamp_ms)
                        for family in families
                        for qualifier in (b"", b"p", b"q")
                    ]
                    put = Mutation(MutationKind.PUT, row, changes)
                    region.mutate([put], Durability.MEMORY, lambda error: None, NOW_MS)
        self.gets = KnownGets(self.region_of)
        self.rows = RowCalls(self.region_of, Nonces())

    def region_of(self, spec: HBase_pb2.RegionSpecifier) -> Region:
        if spec.value not in self.regions:
            raise NotServingRegionException("not here")
        return self.regions[spec.value]


def some_get(chance: random.Random) -> Client_pb2.GetRequest:
    request = Client_pb2.GetRequest(
        region=HBase_pb2.RegionSpecifier(type=chance.choice([BY_NAME, BY_NAME, BY_ENCODED]))
    )
    request.region.value = chance.choice(NAMES)
    get = request.get
    get.row = chance.choice(ROWS)
    for family in chance.choice([[], [b"f"], [b"f"], [b"g", b"f"], [b"no"]]):
        get.column.add(family=family, qualifier=chance.choice([[], [], [b"q"], [b"q", b"p", b""]]))
    if chance.random() < 0.5:
        get.max_versions, get.cache_blocks = chance.choice([0, 1, 1, 5]), chance.choice([True, False])
    if chance.random() < 0.2:
        get.existence_only = True
    if chance.random() < 0.1:
        get.closest_row_before = chance.choice([True, False])
    if chance.random() < 0.1:
        get.time_range.to = chance.choice([0, NOW_MS - 100, 1 << 63])
    if chance.random() < 0.1:
        get.store_limit, get.store_offset = 1, chance.choice([0, 2])
    if chance.random() < 0.1:
        get.cf_time_range.add(column_family=b"f").time_range.to = NOW_MS - 100
    if chance.random() < 0.1:
        get.attribute.add(name="a", value=bytes(chance.choice([1, 300])))
    if chance.random() < 0.05:
        get.filter.CopyFrom(Filter_pb2.Filter(name="x"))
    return request


def told(call: Callable[[], Answer | None]) -> Answer | tuple[type[HBaseError], str] | None:
    try:
        return call()
    except HBaseError as error:
        return type(error), error.message


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_those_to_the_messages(seed: int) -> None:
    chance = random.Random(seed)
    server = Server()
    known = 0
    for _ in range(3000):
        request = some_get(chance)
        form = chance.choice(list(CellForm))
        param = request.SerializeToString()
        found = told(lambda: server.gets.answer(param, form, NOW_MS))  # noqa: B023
        if found is not None:
            known += 1
            assert found == told(lambda: server.rows.get(request, form, NOW_MS))  # noqa: B023
    assert known > 1500


def test_any_bytes_are_read_as_the_message_or_left() -> None:
    """Whatever was learnt before from whatever bytes: a reading is the message's, or there is none."""
    chance = random.Random(5)
    gets = KnownGets(Server().region_of)
    goods = [some_get(chance).SerializeToString() for _ in range(60)]
    read_count = 0
    for _ in range(60_000):
        data = bytearray(chance.choice(goods))
        if len(data) > 1000:
            continue
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 2, 8, 0x0A, 0x12, 0x80, chance.randrange(256)])
        if chance.random() < 0.2:
            data = data[: chance.randrange(len(data) + 1)]
        if chance.random() < 0.1:
            data += chance.choice([b"\x0a\x01x", b"\x12\x03\x0a\x01y", b"\x08\x01", b"\x12\x00"])
        read = gets.read(bytes(data))
        if read is None:
            continue
        read_count += 1
        request = Client_pb2.GetRequest.FromString(bytes(data))
        assert request.IsInitialized()
        region, row, asked = read
        assert (region, row) == (request.region, request.get.row)
        assert asked._replace(row=row) == read_get(request.get)
    assert read_count > 10_000


def test_what_is_usual_is_known() -> None:
    """By the second time, whatever the row; a region of the system never is, nor what the message alone can tell."""
    gets = KnownGets(Server().region_of)
    for name in NAMES[:3]:
        for row in ROWS:
            request = Client_pb2.GetRequest(region=HBase_pb2.RegionSpecifier(type=BY_NAME, value=name))
            request.get.row, request.get.max_versions, request.get.cache_blocks = row, 1, True
            request.get.column.add(family=b"f")
            read = gets.read(request.SerializeToString())
            assert read is not None
            assert (read[0].value, read[1], read[2].family) == (name, row, b"f")
            request.region.value = b"hbase:meta,,1"
            assert gets.read(request.SerializeToString()) is None
            request.region.value = b"1588230740"
            assert gets.read(request.SerializeToString()) is None


def test_so_many_ways_to_ask_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_gets, "REMEMBERED_MAX", 3)
    gets = KnownGets(Server().region_of)
    request = Client_pb2.GetRequest()
    for _ in range(2):
        for number in range(10):
            request = Client_pb2.GetRequest(region=HBase_pb2.RegionSpecifier(type=BY_NAME, value=b"t%d" % number))
            request.get.row = b"r"
            request.get.column.add(family=b"f%d" % number)
            read = gets.read(request.SerializeToString())
            assert read is not None
            assert (read[0].value, read[2].family) == (b"t%d" % number, b"f%d" % number)
    assert len(gets) == 6
    request.get.column[0].qualifier.append(bytes(300))
    assert gets.read(request.SerializeToString()) is None, "what is long is not remembered"
