"""Scanners as recorded from a real 2.6.4: call numbers, leases, and what comes after the end."""

from __future__ import annotations

import random

import pytest

from regionserver.client_service.scanners import CLOSED_MAX, Scanner, Scanners
from registry.wire.errors import (
    NotServingRegionException,
    OutOfOrderScannerNextException,
    RegionTooBusyException,
    UnknownScannerException,
)
from tests.region.test_scan_pages import abc

LEASE_MS = 1000.0


def scanners(count: int = 100) -> Scanners:
    return Scanners(7, lease_ms=LEASE_MS, scanners_max=count)


def opened(where: Scanners, now_ms: float = 0.0, region: str = "r") -> Scanner:
    filled = abc()
    return where.open(region, lambda moment: filled.scan(moment=moment), filled.store, now_ms)


def call(where: Scanners, scanner: Scanner, seq: int | None, now_ms: float = 0.0) -> None:
    begun = where.begin(scanner.scanner_id, seq, now_ms)
    assert begun is scanner
    where.end(scanner, now_ms)


def test_ids_are_of_one_life():
    first, second = opened(scanners()), opened(Scanners(8))
    assert first.scanner_id >> 32 == 7
    assert second.scanner_id >> 32 == 8
    assert 0 < opened(Scanners(2**32 - 1)).scanner_id < 2**63


def test_calls_are_numbered_from_0_where_they_are_numbered():
    where = scanners()
    scanner = opened(where)
    call(where, scanner, 0)
    call(where, scanner, 1)
    for wrong in (1, 0, 5):
        with pytest.raises(OutOfOrderScannerNextException, match=f"Expected nextCallSeq: 2 But .* client: {wrong}"):
            where.begin(scanner.scanner_id, wrong, 0.0)
    call(where, scanner, 2)
    call(where, scanner, None)
    call(where, scanner, 3)


def test_after_the_end():
    """The call with number 3 found the end. As recorded: a close without a number is fine, 4 is refused, 5 is not."""
    where = scanners()
    scanner = opened(where)
    for seq in range(4):
        call(where, scanner, seq)
    where.close(scanner, 0.0)
    assert where.begin(scanner.scanner_id, None, 0.0) is None
    with pytest.raises(OutOfOrderScannerNextException, match="Expected nextCallSeq for closed request: 5"):
        where.begin(scanner.scanner_id, 4, 0.0)
    assert where.begin(scanner.scanner_id, 5, 0.0) is None
    with pytest.raises(UnknownScannerException):
        where.begin(scanner.scanner_id, None, LEASE_MS)


def test_one_that_ended_by_an_error_is_gone():
    where = scanners()
    scanner = opened(where)
    where.close(scanner, 0.0, by_error=True)
    where.close(scanner, 0.0)
    with pytest.raises(UnknownScannerException, match=f"Unknown scanner '{scanner.scanner_id}'"):
        where.begin(scanner.scanner_id, 0, 0.0)
    assert len(where) == 0


def test_a_lease_is_renewed_by_each_call():
    where = scanners()
    away, here = opened(where), opened(where)
    for now_ms in (600.0, 1200.0, 1800.0):
        call(where, here, None, now_ms)
    with pytest.raises(UnknownScannerException, match="for longer than 1000 ms"):
        where.begin(away.scanner_id, 0, 1800.0)
    assert (len(where), where.expired_count) == (1, 1)
    where.expire(2800.0)
    assert (len(where), where.expired_count) == (0, 2)


def test_no_lease_ends_while_a_call_is_under_way():
    where = scanners()
    slow, idle = opened(where), opened(where)
    where.begin(slow.scanner_id, None, 0.0)
    where.expire(5000.0)
    assert len(where) == 1, "the idle one behind it is closed all the same"
    where.end(slow, 5000.0)
    call(where, slow, None, 5999.0)
    assert idle.scanner_id != slow.scanner_id


def test_a_region_takes_its_scanners_along():
    where = scanners()
    mine, other = opened(where, region="t,,1.aa."), opened(where, region="t,b,1.bb.")
    assert where.close_region("t,,1.aa.", 0.0) == 1
    with pytest.raises(NotServingRegionException, match=r"t,,1\.aa\. is not online"):
        where.begin(mine.scanner_id, 0, 0.0)
    call(where, other, 0)


def test_there_is_a_limit():
    where = scanners(2)
    kept = [opened(where), opened(where)]
    with pytest.raises(RegionTooBusyException, match="2 scanners are open"):
        where.check_room()
    where.close(kept[0], 0.0)
    where.check_room()


def test_what_is_remembered_is_bounded():
    where = Scanners(1, lease_ms=LEASE_MS)
    ids: list[int] = []
    filled = abc()
    scan = filled.scan()
    for _ in range(CLOSED_MAX + 10):
        scanner = where.open("r", lambda _: scan, filled.store, 0.0)
        ids.append(scanner.scanner_id)
        where.close(scanner, 0.0)
    with pytest.raises(UnknownScannerException):
        where.begin(ids[0], None, 0.0)
    assert where.begin(ids[-1], None, 0.0) is None


def test_leases_end_in_their_order_whatever_happened():
    """Against a list: who expired is known for every scanner at every moment."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    where, ends, now_ms = scanners(1000), dict[int, float](), 0.0
    kept: dict[int, Scanner] = {}
    filled = abc()
    scan = filled.scan()
    for _ in range(2000):
        now_ms += chance.random() * 100
        alive = {number for number, end_ms in ends.items() if end_ms > now_ms}
        if chance.random() < 0.4:
            scanner = where.open("r", lambda _: scan, filled.store, now_ms)
            kept[scanner.scanner_id], ends[scanner.scanner_id] = scanner, now_ms + LEASE_MS
        elif ends:
            number = chance.choice(list(ends))
            if number in alive:
                call(where, kept[number], None, now_ms)
                ends[number] = now_ms + LEASE_MS
            else:
                with pytest.raises(UnknownScannerException):
                    where.begin(number, None, now_ms)
                del ends[number]
    where.expire(now_ms)
    assert len(where) == sum(end_ms > now_ms for end_ms in ends.values())
