"""Group commit keeps the contract of what is below, and nobody reads what may yet be refused."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regionserver.engine.grouped import WAITING_BYTES_MAX, GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Batch, Committed, Durability, Store, StoreBroken, StoreBusy, StoreError
from tests.engines.contract import Content, StoreContract, everything


class Below(MemoryStore):
    """Counts batches, and fails when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[Batch, Durability]] = []
        self.busy = self.broken = False

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        if self.busy:
            raise StoreBusy("memory: busy")
        self.batches.append((batch, durability))
        if self.broken:
            committed(StoreBroken("memory: broken"))
        else:
            super().commit(batch, durability, committed)


class Turns:
    """A loop of which the test ends the turns."""

    def __init__(self) -> None:
        self.called: list[Callable[[], None]] = []
        self.below = Below()
        self.store = GroupedStore(self.below, self.called.append)
        self.ends: list[StoreError | None] = []

    def put(self, key: bytes, value: bytes, durability: Durability = Durability.PROCESS) -> None:
        self.store.commit(Batch([(key, value)]), durability, self.ends.append)

    def end(self) -> None:
        called, self.called[:] = list(self.called), []
        for each in called:
            each()


class Turning(GroupedStore):
    """Its turn ends after each commit."""

    def __init__(self, below: Store) -> None:
        self.called: list[Callable[[], None]] = []
        super().__init__(below, self.called.append)

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        super().commit(batch, durability, committed)
        while self.called:
            self.called.pop()()


class TestOverMemory(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[GroupedStore]:
        store = Turning(MemoryStore())
        yield store
        store.close()


class TestOverRocks(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[GroupedStore]:
        store = Turning(RocksStore(tmp_path / "db", RocksMemory.of(8 << 20, 8 << 20)))
        yield store
        store.close()


def test_a_turn_is_one_batch_as_durable_as_the_most_that_was_asked():
    turns = Turns()
    turns.put(b"a", b"1")
    turns.put(b"b", b"1", Durability.POWER)
    turns.put(b"a", b"2", Durability.MEMORY)
    assert (turns.ends, turns.below.batches) == ([], [])
    turns.end()
    [(batch, durability)] = turns.below.batches
    assert (sorted(batch.changes), durability) == ([(b"a", b"2"), (b"b", b"1")], Durability.POWER)
    assert turns.ends == [None] * 3
    turns.put(b"c", b"3")
    turns.end()
    assert turns.below.batches[1][1] is Durability.PROCESS
    turns.end()
    assert len(turns.below.batches) == 2


def test_readers_see_what_is_committed_and_changes_are_made_from_what_waits():
    """Nobody is told of a value that may yet be refused or lost."""
    turns = Turns()
    turns.put(b"a", b"1")
    assert turns.store.uncommitted.get(b"a") == b"1"
    assert list(turns.store.uncommitted.scan(b"", b"z")) == [(b"a", b"1")]
    assert turns.ends == []
    assert turns.store.get(b"other") is None
    assert turns.ends == [], "whoever reads something else makes nobody hurry"
    assert turns.store.get(b"a") == b"1"
    assert turns.ends == [None]
    turns.put(b"a", b"2")
    assert everything(turns.store.snapshot()) == [(b"a", b"2")]
    turns.put(b"a", b"3")
    assert everything(turns.store) == [(b"a", b"3")]
    assert turns.ends == [None] * 3


@pytest.mark.parametrize("kind", [StoreBusy, StoreBroken])
def test_everyone_in_a_group_hears_of_its_failure(kind: type[StoreError]):
    turns = Turns()
    turns.put(b"a", b"1")
    turns.end()
    turns.below.busy, turns.below.broken = kind is StoreBusy, kind is StoreBroken
    turns.put(b"a", b"2")
    turns.put(b"b", b"2")
    assert turns.store.get(b"a") == b"1", "the reader hears what there is"
    assert [type(error) for error in turns.ends] == [type(None), kind, kind]
    turns.below.busy = turns.below.broken = False
    assert turns.store.uncommitted.get(b"a") == b"1"
    turns.end()
    assert everything(turns.store) == [(b"a", b"1")]


def test_one_who_fails_at_the_end_takes_nobody_along(caplog: pytest.LogCaptureFixture):
    turns = Turns()

    def fails(error: StoreError | None) -> None:
        raise ValueError("planted")

    turns.store.commit(Batch([(b"a", b"1")]), Durability.PROCESS, fails)
    turns.put(b"b", b"1")
    turns.end()
    assert turns.ends == [None]
    assert "planted" in caplog.text


def test_ranges_are_cleared_in_their_place():
    turns = Turns()
    turns.put(b"a", b"1")
    turns.store.commit(Batch([(b"b", b"2")], [(b"a", b"z")]), Durability.PROCESS, turns.ends.append)
    turns.put(b"c", b"3")
    turns.end()
    assert everything(turns.store) == [(b"b", b"2"), (b"c", b"3")]


def test_what_waits_is_bounded():
    turns = Turns()
    for number in range(10):
        turns.put(b"%d" % number, bytes(WAITING_BYTES_MAX // 3))
    assert len(turns.below.batches) == 3
    turns.end()
    assert turns.ends == [None] * 10


def test_closing_writes_what_waits():
    turns = Turns()
    turns.put(b"a", b"1")
    turns.store.close()
    assert turns.ends == [None]
    turns.end()
    with pytest.raises(StoreError, match="closed"):
        turns.put(b"b", b"1")


def test_against_a_dictionary():
    """Reads, ranges and refusals at any moment: `uncommitted` has what waits, the store what is over."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    turns = Turns()
    over, waiting = Content(), dict[bytes, bytes | None]()

    def settle() -> None:
        if not turns.below.busy:
            for key, value in waiting.items():
                if value is None:
                    over.pop(key, None)
                else:
                    over[key] = value
        waiting.clear()

    for _ in range(3000):
        turns.below.busy = chance.random() < 0.2
        key = b"%02d" % chance.randrange(30)
        lower, upper = sorted((b"%02d" % chance.randrange(30), b"%02d" % chance.randrange(30)))
        reverse = chance.random() < 0.5
        match chance.randrange(6):
            case 0 | 1:
                value = chance.choice([None, b"%d" % chance.randrange(1000)])
                turns.store.commit(Batch([(key, value)]), Durability.PROCESS, turns.ends.append)
                waiting[key] = value
            case 2:
                newest = {**over, **waiting}
                assert turns.store.uncommitted.get(key) == newest.get(key)
                found = turns.store.uncommitted.scan(lower, upper, reverse=reverse)
                expected = [(each, value) for each, value in newest.items() if value is not None]
                assert list(found) == sorted([e for e in expected if lower <= e[0] < upper], reverse=reverse)
            case 3:
                if key in waiting:
                    settle()
                assert turns.store.get(key) == over.get(key)
            case 4:
                settle()
                found = turns.store.scan(lower, upper, reverse=reverse)
                assert list(found) == sorted([e for e in over.items() if lower <= e[0] < upper], reverse=reverse)
            case _:
                settle()
                turns.end()
