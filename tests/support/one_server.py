"""A server of one region, called in its process; two of them, called in two ways, tell whether the ways are one."""

from __future__ import annotations

from collections.abc import Mapping

from regionserver.client_service.multi import MultiCalls
from regionserver.client_service.nonces import Nonces
from regionserver.client_service.results import Answer
from regionserver.client_service.rows import RowCalls
from regionserver.engine.memory import MemoryStore
from regionserver.region.region import Region, RegionRange
from regionserver.region.rules import TableRules
from regionserver.region.visible import FamilyRules
from registry.wire.errors import HBaseError
from tests.support.services import no_services


class OneServer:
    """Rows from b to y, in memory. What it answers is kept in `told`."""

    def __init__(self, families: Mapping[bytes, FamilyRules], rules: TableRules) -> None:
        where = RegionRange("t", "t,,1.aa.", b"b", b"y")
        self.region = Region(where, families, MemoryStore(), b"prefix00", rules=rules)
        self.rows = RowCalls(lambda _: self.region, Nonces())
        self.multi = MultiCalls(self.rows, lambda _: self.region, no_services)
        self.told: list[object] = []

    def tell(self, outcome: Answer | HBaseError) -> None:
        self.told.append(tuple(outcome) if isinstance(outcome, Answer) else (type(outcome), str(outcome)))

    def contents(self) -> list[tuple[bytes, bytes]]:
        return list(self.region.store.scan(b"", b"\xff" * 9))


def check_same(quick: OneServer, slow: OneServer) -> None:
    """Answers, bytes of the store and what the region has counted."""
    assert quick.told == slow.told
    assert quick.contents() == slow.contents()
    assert quick.region.counts == slow.region.counts
