"""Short scans answered where they arrive: as others would be, or left to those with nothing done."""

from __future__ import annotations

import random
from typing import Any

import pytest

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.scanners import Scanners
from regionserver.client_service.scans import ScanCalls
from regionserver.door import AT_ONCE_ROWS_MAX, ClientDoor
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Durability
from regionserver.gate import Gate
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import KeyType
from registry.wire.errors import HBaseError
from registry.wire.header import KEY_VALUE_CODEC, ConnectionInfo
from registry.zk.lease import Lease
from tests.support.clock import ManualClock
from tests.support.region_door import META, NAME, TABLE, spec

NOW_MS = 1_000_000
INFO = ConnectionInfo("ClientService", cell_block_codec=KEY_VALUE_CODEC)
ROWS = [b"row%02d" % number for number in range(60)]


def filled() -> Region:
    """Rows that are taken as they lie, rows that are looked into, and rows without a visible cell."""
    families = {b"f": FamilyRules(), b"g": FamilyRules(ttl_ms=1000, versions_max=3)}
    region = Region(RegionRange("t1", TABLE.decode()), families, MemoryStore(), b"prefix00")
    for number, row in enumerate(ROWS):
        for timestamp_ms in (NOW_MS - 2000, NOW_MS - 10)[: 1 + number % 2]:
            changes = [
                Change(family, qualifier, timestamp_ms, KeyType.PUT, b"%d" % number * 20)
                for family in (b"f", b"g")[: 1 + number % 3]
                for qualifier in (b"", b"p", b"q")
            ]
            region.mutate(
                [Mutation(MutationKind.PUT, row, changes)], Durability.MEMORY, lambda error: None, timestamp_ms
            )
        if number % 7 == 0:
            changes = [Change(b"f", b"", NOW_MS, KeyType.DELETE_FAMILY)]
            region.mutate([Mutation(MutationKind.DELETE, row, changes)], Durability.MEMORY, lambda error: None, NOW_MS)
    return region


def any_scan(chance: random.Random) -> Client_pb2.ScanRequest:
    request = Client_pb2.ScanRequest(
        region=spec(),
        number_of_rows=chance.choice([1, 2, 5, 40, 128]),
        client_handles_partials=chance.random() < 0.8,
        client_handles_heartbeats=chance.random() < 0.8,
        close_scanner=chance.random() < 0.3,
        track_scan_metrics=chance.random() < 0.3,
    )
    scan = request.scan
    if chance.random() < 0.6:
        request.limit_of_rows = chance.choice([1, 2, 5, 41])
    if chance.random() < 0.8:
        scan.start_row = chance.choice(ROWS)
        scan.include_start_row = chance.random() < 0.8
    if chance.random() < 0.3:
        scan.stop_row = chance.choice(ROWS)
    for family in chance.choice([(), (b"f",), (b"g",), (b"f", b"g"), (b"f", b"none")]):
        column = scan.column.add(family=family)
        column.qualifier.extend(chance.choice([(), (), (b"p",)]))
    scan.reversed = chance.random() < 0.1
    scan.max_versions = chance.choice([1, 1, 3])
    if chance.random() < 0.2:
        scan.batch_size = 2
    if chance.random() < 0.3:
        scan.max_result_size = chance.choice([1, 300, 5000])
    return request


def outcome(answer: Answer | HBaseError) -> object:
    return (type(answer), str(answer)) if isinstance(answer, HBaseError) else answer


@pytest.mark.parametrize("seed", range(3))
def test_the_same_as_call_by_call(seed: int) -> None:
    chance, region = random.Random(seed), filled()
    quick, slow = (ScanCalls(Scanners(7), lambda spec: region) for _ in range(2))
    for _ in range(300):
        request, form = any_scan(chance), chance.choice(list(CellForm))
        outcomes: list[object] = []
        try:
            found = quick.at_once(request, form, NOW_MS, NOW_MS, lambda: False)
            assert found is not None
            outcomes.append(outcome(found))
        except HBaseError as error:
            outcomes.append(outcome(error))
        try:
            outcomes.append(outcome(slow.answer(request, form, NOW_MS)))
        except HBaseError as error:
            outcomes.append(outcome(error))
        assert outcomes[0] == outcomes[1], request


def test_what_takes_longer_is_taken_back() -> None:
    region, scanners = filled(), Scanners(7)
    calls = ScanCalls(scanners, lambda spec: region)
    request = Client_pb2.ScanRequest(region=spec(), scan=Client_pb2.Scan(), number_of_rows=50)
    assert calls.at_once(request, CellForm.BLOCK, NOW_MS, NOW_MS, lambda: True) is None
    assert (len(scanners), len(scanners._moments)) == (0, 0)  # pyright: ignore[reportPrivateUsage]
    assert region.counts.reads_count == 0, "the call reads them again"
    assert calls.answer(request, CellForm.BLOCK, NOW_MS).cells
    assert region.counts.reads_count > 0


class Door:
    """ClientService without a connection."""

    def __init__(self) -> None:
        self.clock, region = ManualClock(), filled()
        self.gate, self.lease = Gate(self.clock), Lease()
        self.scanners = Scanners(7)
        self.lease.granted(30_000)
        self.lease.answered(self.clock.monotonic_ms())
        self.gate.open(NAME, self.lease)
        self.door = ClientDoor(
            self.gate, lambda spec: region, self.scanners, self.clock, lambda epoch: None, lambda function: None
        )

    def tried(self, request: Client_pb2.ScanRequest) -> tuple[bytes, bytes] | None:
        return self.door._scan_at_once(request.SerializePartialToString(), INFO)  # pyright: ignore[reportPrivateUsage]


def opens(**fields: Any) -> Client_pb2.ScanRequest:
    asked: dict[str, Any] = {"region": spec(), "scan": Client_pb2.Scan(), "number_of_rows": 3, **fields}
    return Client_pb2.ScanRequest(**asked)


def test_a_short_scan_is_answered_at_once() -> None:
    door = Door()
    answer = door.tried(opens())
    assert answer is not None
    response = Client_pb2.ScanResponse.FromString(answer[0])
    assert response.more_results_in_region
    assert (len(response.cells_per_result), len(door.scanners)) == (3, 1), "it stays open"
    door.tried(opens(limit_of_rows=3))
    assert len(door.scanners) == 1


@pytest.mark.parametrize(
    "request_",
    [
        opens(number_of_rows=AT_ONCE_ROWS_MAX + 1),
        opens(number_of_rows=0),
        opens(region=spec(META)),
        Client_pb2.ScanRequest(scanner_id=7 << 32 | 1, number_of_rows=3),
        opens(region=HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME)),
        opens(scan=Client_pb2.Scan(column=[Client_pb2.Column(family=b"none")])),
    ],
    ids=["many rows", "no rows", "system", "next", "no region", "no family"],
)
def test_others_are_left_to_their_calls(request_: Client_pb2.ScanRequest) -> None:
    door = Door()
    assert door.tried(request_) is None
    assert not len(door.scanners)


def test_bytes_that_are_no_request_are_left_to_who_refuses_them() -> None:
    door = Door()
    for param in (b"", b"\x0a", b"\x0a\x05ab", b"\xff" * 9):
        assert door.door._scan_at_once(param, INFO) is None  # pyright: ignore[reportPrivateUsage]


def test_nothing_is_answered_without_the_lease() -> None:
    door = Door()
    door.clock.advance(30_000)
    assert door.tried(opens()) is None
    assert not len(door.scanners)


def test_a_scan_that_goes_beyond_its_turn_is_left_to_its_call() -> None:
    door = Door()
    door.clock.step_ms = 1.5
    door.lease.granted(1e9)
    assert door.tried(opens(number_of_rows=100)) is None
    assert not len(door.scanners)
