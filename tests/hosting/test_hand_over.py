"""A region's rows in a file: all of them or none, and never taken twice."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from regionserver.engine.grouped import GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Committed, Durability, Store, StoreBusy
from regionserver.hosting.committing import commit
from regionserver.hosting.hand_over import (
    KEPT_S,
    SLICE_BYTES,
    HandOverError,
    remove_hand_over,
    sweep,
    take_hand_over,
    write_hand_over,
)
from regionserver.hosting.ranges import Range
from regionserver.hosting.reserved import has_left, region_key

LIFE = (7).to_bytes(8, "big")
ROWS = Range("abc", LIFE + b"d", LIFE + b"m")
INSIDE = {LIFE + b"d": b"first", LIFE + b"e\0\0f\0": b"x" * 100, LIFE + b"lzz": b""}
OUTSIDE = {LIFE + b"c": b"before", LIFE + b"m": b"behind", (8).to_bytes(8, "big") + b"e": b"another life"}


def store_of(content: dict[bytes, bytes]) -> Store:
    store = MemoryStore()
    store.commit(Batch(list(content.items())), Durability.PROCESS, lambda _error: None)
    return GroupedStore(store, lambda call: asyncio.get_running_loop().call_soon(call))


def content_of(store: Store, rows: Range = ROWS) -> dict[bytes, bytes]:
    return dict(store.scan(rows.lower, rows.upper))


async def handed_over(path: Path, content: dict[bytes, bytes], rows: Range = ROWS) -> Store:
    store = store_of(content)
    await write_hand_over(path, rows, store)
    return store


async def handed_over_to(path: Path) -> None:
    await handed_over(path, INSIDE)


async def test_there_and_back(tmp_path: Path):
    path = tmp_path / "hand-over" / "h1"
    source = await handed_over(path, INSIDE | OUTSIDE)
    assert content_of(source) == INSIDE, "they stay until the range is dropped"
    assert has_left(source, "abc", "h1")
    target = store_of({LIFE + b"e": b"leftover", **OUTSIDE})
    assert await take_hand_over(path, ROWS, target) == sum(len(key) - 8 + len(value) for key, value in INSIDE.items())
    assert content_of(target) == INSIDE
    assert not has_left(target, "abc")
    assert [name.name for name in path.parent.iterdir()] == ["h1"]
    for key, value in OUTSIDE.items():
        assert target.get(key) == value


async def test_rows_written_since_are_not_undone(tmp_path: Path):
    """The order to take it comes again when the region has been served already."""
    await handed_over(tmp_path / "h1", INSIDE)
    target = store_of({})
    await take_hand_over(tmp_path / "h1", ROWS, target)
    batch = Batch()
    batch.put(LIFE + b"e", b"acknowledged")
    await commit(target, batch, Durability.PROCESS)
    assert await take_hand_over(tmp_path / "h1", ROWS, target) == 0
    assert content_of(target) == INSIDE | {LIFE + b"e": b"acknowledged"}


async def test_one_that_was_written_again_under_its_name(tmp_path: Path):
    """The first was taken and not wanted after all; the region was written to where it had stayed."""
    await handed_over(tmp_path / "h1", INSIDE)
    target = store_of({})
    await take_hand_over(tmp_path / "h1", ROWS, target)
    newer = {LIFE + b"k": b"newer"}
    await handed_over(tmp_path / "h1", newer)
    assert await take_hand_over(tmp_path / "h1", ROWS, target) > 0
    assert content_of(target) == newer


async def test_one_of_its_name_is_gone_before_the_new_one_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    await handed_over(tmp_path / "h1", INSIDE)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HandOverError, match=r"h1 cannot be written: No space left on device"):
        await handed_over(tmp_path / "h1", {LIFE + b"k": b"newer"})
    monkeypatch.undo()
    assert not (tmp_path / "h1").exists()
    with pytest.raises(HandOverError, match="cannot be read"):
        await take_hand_over(tmp_path / "h1", ROWS, store_of({}))


async def test_an_empty_region(tmp_path: Path):
    await handed_over(tmp_path / "h1", OUTSIDE)
    target = store_of(INSIDE)
    assert await take_hand_over(tmp_path / "h1", ROWS, target) == 0
    assert content_of(target) == {}


@pytest.mark.parametrize("step", [1, 7, 64])
async def test_damage_anywhere_is_found_and_changes_nothing(tmp_path: Path, step: int, rng: random.Random):
    path = tmp_path / "h1"
    await handed_over(path, INSIDE)
    whole = path.read_bytes()
    kept = {LIFE + b"f": b"kept"}
    for at in range(rng.randrange(step), len(whole), step):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged if step > 1 else whole[:at])
        target = store_of(kept)
        with pytest.raises(HandOverError, match="h1 "):
            await take_hand_over(path, ROWS, target)
        assert content_of(target) == kept, at
    path.write_bytes(whole + b"\0")
    with pytest.raises(HandOverError, match="h1 "):
        await take_hand_over(path, ROWS, store_of(kept))


async def test_one_of_another_region_or_life(tmp_path: Path):
    await handed_over(tmp_path / "h1", INSIDE)
    with pytest.raises(HandOverError, match="is of region abc, life 0000000000000007"):
        await take_hand_over(tmp_path / "h1", Range("abd", ROWS.lower, ROWS.upper), store_of({}))
    other = (9).to_bytes(8, "big")
    with pytest.raises(HandOverError, match="is of region abc"):
        await take_hand_over(tmp_path / "h1", Range("abc", other + b"d", other + b"m"), store_of({}))
    with pytest.raises(HandOverError, match="a key beyond its region"):
        await take_hand_over(tmp_path / "h1", Range("abc", LIFE + b"dd", LIFE + b"m"), store_of({}))


async def test_large_ones_in_slices(tmp_path: Path, rng: random.Random):
    """Others have their turns, and memory holds a slice."""
    content = {LIFE + b"e%06d" % number: rng.randbytes(rng.randrange(4000)) for number in range(1000)}
    content[LIFE + b"f"] = rng.randbytes(5 * SLICE_BYTES)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await handed_over(tmp_path / "h1", content)
    target = store_of({})
    await take_hand_over(tmp_path / "h1", ROWS, target)
    task.cancel()
    assert content_of(target) == content
    assert turns > 2 * sum(map(len, content.values())) // (2 * SLICE_BYTES)


class Busy(GroupedStore):
    """Takes nothing three times out of four."""

    calls = 0

    def commit(self, batch: Batch, durability: Durability, committed: Committed) -> None:
        self.calls += 1
        if self.calls % 4:
            raise StoreBusy("memory: busy")
        super().commit(batch, durability, committed)


async def test_a_busy_store_is_asked_again(tmp_path: Path):
    await handed_over(tmp_path / "h1", INSIDE)
    target = Busy(MemoryStore(), lambda call: asyncio.get_running_loop().call_soon(call))
    await take_hand_over(tmp_path / "h1", ROWS, target)
    assert content_of(target) == INSIDE


def test_what_nobody_asks_for_is_removed(tmp_path: Path):
    for name in ("old", "older.new", "new"):
        asyncio.run(handed_over_to(tmp_path / name))
    now_s = (tmp_path / "new").stat().st_mtime
    for name in ("old", "older.new"):
        os.utime(tmp_path / name, (now_s - KEPT_S - 10, now_s - KEPT_S - 10))
    assert sweep(tmp_path, now_s) == ["old", "older.new"]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert sweep(tmp_path / "none", now_s) == []
    remove_hand_over(tmp_path / "new")
    remove_hand_over(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_the_notes_of_stores_are_beyond_all_lives():
    assert region_key("abc") > ((1 << 64) - 2).to_bytes(8, "big") + b"\xff" * 100
