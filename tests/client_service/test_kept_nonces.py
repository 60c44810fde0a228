"""Nonces outlive the server: who opens its stores next knows what was done, and nothing that was not."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.multi import MultiCalls
from regionserver.client_service.nonces import GRACE_MS, Nonce, Nonces, Seen, drop_kept, kept_key, read_kept
from regionserver.client_service.results import Answer, CellForm
from regionserver.client_service.rows import RowCalls
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Committed, Durability, StoreBusy
from regionserver.hosting.stores import Stores
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import decode_cells
from registry.wire.errors import HBaseError
from tests.support.services import no_services

GROUP = 2**64 - 1
INCREMENT, APPEND, PUT = (
    Client_pb2.MutationProto.INCREMENT,
    Client_pb2.MutationProto.APPEND,
    Client_pb2.MutationProto.PUT,
)
FIVE = (5).to_bytes(8, "big")
NOW_MS = 1_795_000_000_000


class BusyStore(MemoryStore):
    busy = False

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if self.busy:
            raise StoreBusy("memory: busy")
        super().commit(batch, durability, committed)


class Life:
    """One server after another on the same store."""

    def __init__(self, store: MemoryStore, nonces: Nonces | None = None) -> None:
        region = Region(RegionRange("t1", "t1,,1.aa."), {b"f": FamilyRules()}, store, b"prefix00")
        self.nonces = Nonces() if nonces is None else nonces
        self.nonces.inherit(read_kept(store))
        self._rows = RowCalls(lambda _: region, self.nonces)
        self._multi = MultiCalls(self._rows, lambda _: region, no_services)
        self._times = count(NOW_MS)

    def change(self, kind: Client_pb2.MutationProto.MutationType, nonce: int, *, held: bool | None = None) -> bytes:
        """Its answer; `held`: there is a condition, that the row has a value or has none."""
        request = Client_pb2.MutateRequest(nonce_group=GROUP, mutation=_mutation(kind, nonce))
        if held is not None:
            request.condition.CopyFrom(_condition(HBase_pb2.NOT_EQUAL if held else HBase_pb2.EQUAL))
        replies: list[Answer | HBaseError] = []
        self._rows.mutate(request, iter(()), CellForm.BLOCK, next(self._times), replies.append)
        [reply] = replies
        assert isinstance(reply, Answer), reply
        return b"".join(cell.value for cell in decode_cells(reply.cells))

    def change_row(self, nonce: int) -> None:
        """A put and an increment together."""
        request = Client_pb2.MultiRequest(nonceGroup=GROUP)
        part = request.regionAction.add(atomic=True)
        part.region.value = b"t1"
        part.action.add(index=0, mutation=_mutation(Client_pb2.MutationProto.PUT, 0, b"other"))
        part.action.add(index=1, mutation=_mutation(INCREMENT, nonce))
        replies: list[Answer | HBaseError] = []
        for _ in self._multi.steps(request, iter(()), CellForm.BLOCK, next(self._times), replies.append, lambda: False):
            pass
        [reply] = replies
        assert isinstance(reply, Answer), reply

    def value(self) -> int:
        request = Client_pb2.GetRequest()
        request.region.value, request.get.row = b"t1", b"r"
        request.get.column.add(family=b"f", qualifier=[b"q"])
        [cell] = decode_cells(self._rows.get(request, CellForm.BLOCK, next(self._times)).cells)
        return int.from_bytes(cell.value, "big")


def _mutation(
    kind: Client_pb2.MutationProto.MutationType, nonce: int, qualifier: bytes = b"q"
) -> Client_pb2.MutationProto:
    made = Client_pb2.MutationProto(row=b"r", mutate_type=kind, nonce=nonce)
    made.column_value.add(family=b"f").qualifier_value.add(qualifier=qualifier, value=FIVE)
    return made


def _condition(compare: HBase_pb2.CompareType) -> Client_pb2.Condition:
    made = Client_pb2.Condition(row=b"r", family=b"f", qualifier=b"q", compare_type=compare)
    made.comparator.name = "org.apache.hadoop.hbase.filter.NullComparator"
    return made


def test_what_came_before_a_crash_is_not_done_again_after_it():
    store = MemoryStore()
    first = Life(store)
    assert first.change(INCREMENT, 1) == FIVE
    second = Life(store)
    assert second.change(INCREMENT, 1) == FIVE, "what is there now"
    assert second.change(INCREMENT, 2) == (10).to_bytes(8, "big")
    third = Life(store)
    third.change(INCREMENT, 1)
    third.change(INCREMENT, 2)
    assert third.value() == 10
    third.change(INCREMENT, 0)
    assert Life(store).change(INCREMENT, 0) == (20).to_bytes(8, "big"), "without a nonce each counts"


def test_appends_and_changes_of_a_row_too():
    store = MemoryStore()
    Life(store).change_row(7)
    for _ in range(2):
        Life(store).change_row(7)
    assert Life(store).value() == 5
    Life(store).change(APPEND, 8)
    assert Life(store).change(APPEND, 8) == FIVE + FIVE


def test_what_was_not_done_may_be_done_after_a_crash():
    store = BusyStore()
    life = Life(store)
    life.change(INCREMENT, 1, held=True)
    store.busy = True
    request = Client_pb2.MutateRequest(nonce_group=GROUP, mutation=_mutation(INCREMENT, 1))
    replies: list[Answer | HBaseError] = []
    region = Region(RegionRange("t1", "t1,,1.aa."), {b"f": FamilyRules()}, store, b"prefix00")
    RowCalls(lambda _: region, life.nonces).mutate(request, iter(()), CellForm.BLOCK, NOW_MS, replies.append)
    assert isinstance(replies[0], HBaseError)
    store.busy = False
    assert read_kept(store) == {}
    Life(store).change(INCREMENT, 1, held=False)
    assert Life(store).value() == 5


def test_they_are_known_for_half_an_hour_and_then_dropped():
    store = BusyStore()
    Life(store).change(INCREMENT, 1)
    ends_ms = NOW_MS + GRACE_MS
    heir = Nonces()
    heir.inherit(read_kept(store))
    assert heir.begin((GROUP, 1), ends_ms - 1) is Seen.DONE
    assert heir.begin((GROUP - 1, 1), ends_ms - 1) is Seen.NEW, "another client's"
    drop_kept(store, heir.forgotten_ms(ends_ms - 1))
    assert read_kept(store) == {(GROUP, 1): NOW_MS}
    assert heir.begin((GROUP, 1), ends_ms) is Seen.NEW
    store.busy = True
    drop_kept(store, heir.forgotten_ms(ends_ms + 1))
    assert read_kept(store), "the next time, then"
    store.busy = False
    drop_kept(store, heir.forgotten_ms(ends_ms + 1))
    assert read_kept(store) == {}
    assert Life(store).value() == 5, "and nothing else"


def test_they_are_known_for_as_long_as_the_server_says():
    store = MemoryStore()
    Life(store).change(INCREMENT, 1)
    heir = Life(store, Nonces(grace_ms=10))
    assert heir.nonces.begin((GROUP, 1), NOW_MS + 9) is Seen.DONE
    assert heir.nonces.begin((GROUP, 1), NOW_MS + 10) is Seen.NEW
    drop_kept(store, heir.nonces.forgotten_ms(NOW_MS + 11))
    assert read_kept(store) == {}


def test_what_comes_again_is_done_again_where_nobody_asks():
    store = MemoryStore()
    Life(store).change(INCREMENT, 1)
    life = Life(store, Nonces(is_enabled=False))
    assert life.change(INCREMENT, 1) == (10).to_bytes(8, "big")
    life.change(INCREMENT, 1)
    life.change_row(2)
    life.change_row(2)
    assert life.value() == 25
    assert len(life.nonces) == 0
    assert list(read_kept(store)) == [(GROUP, 1)], "and nothing is kept for the next"


def test_the_newest_are_known_where_there_are_too_many():
    store = MemoryStore()
    batch = Batch()
    for number in range(10):
        batch.put(kept_key((3, number), NOW_MS + number), b"")
    store.commit(batch, Durability.PROCESS, lambda _error: None)
    assert list(read_kept(store, 3)) == [(3, 9), (3, 8), (3, 7)]
    nonces = Nonces(nonces_max=2)
    for number in range(3):
        nonces.begin((3, number), NOW_MS + number)
        nonces.end((3, number), NOW_MS + number, succeeded=True)
    drop_kept(store, nonces.forgotten_ms(NOW_MS + 3))
    assert len(read_kept(store)) == 10, "what began with the one that was forgotten stays"
    nonces.begin((3, 3), NOW_MS + 3)
    nonces.end((3, 3), NOW_MS + 3, succeeded=True)
    drop_kept(store, nonces.forgotten_ms(NOW_MS + 4))
    assert min(read_kept(store)) == (3, 1), "a store keeps no more than is remembered"


async def test_who_opens_a_store_is_told(tmp_path: Path):
    stores = Stores(tmp_path)
    home = stores.open_home()
    store = stores.get(home)
    assert store is not None
    batch = Batch()
    batch.put(kept_key((3, 4), NOW_MS), b"")
    store.commit(batch, Durability.PROCESS, lambda _error: None)
    told: list[dict[Nonce, float]] = []
    other = Stores(tmp_path, inherit=lambda done: told.append(dict(done)))
    other.open_home()
    stores.close()
    await other.open(home)
    other.close()
    again = Stores(tmp_path, inherit=lambda done: told.append(dict(done)))
    assert again.open_home() == home
    again.close()
    assert told == [{}, {(3, 4): NOW_MS}, {(3, 4): NOW_MS}]
