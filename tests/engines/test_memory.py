"""The memory engine keeps the contract, and keeps nothing that nobody can see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch
from tests.engines.contract import StoreContract, commit, everything, put


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        store = MemoryStore()
        yield store
        store.close()


def test_old_values_go_with_the_last_moment_that_sees_them():
    store = MemoryStore()
    for number in range(100):
        put(store, a=str(number) * 1000)
    assert store.size_bytes(b"", b"z") < 3000
    snapshot = store.snapshot()
    commit(store, Batch([(b"a", b"new")]))
    assert store.size_bytes(b"", b"z") > 2000
    snapshot.close()
    assert store.size_bytes(b"", b"z") == len(b"a" + b"new")
    commit(store, Batch([(b"a", None)]))
    assert everything(store) == []
    assert store.size_bytes(b"", b"z") == 0
