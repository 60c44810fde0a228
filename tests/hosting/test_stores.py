"""The stores of a machine: each server has its own, and takes over those of the dead; a slow one is killed first."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from protos.hbeacon.ClusterV1_pb2 import ReachedStore
from regionserver.engine.place import OWNER_FILE, Owner, process_started
from regionserver.engine.store import Batch, Durability, StoreError, StoreNotUsable
from regionserver.hosting.committing import commit
from regionserver.hosting.stores import MEMORY, Stores, kill_owner
from registry.durable import read_line
from registry.locked import take_lock
from tests.hosting.owner import key_of

ROOT = Path(__file__).parents[2]
WAIT_S = 20.0


def opened(data_dir: Path, name: str = "") -> Stores:
    stores = Stores(data_dir)
    stores.open_home()
    stores.set_server(name)
    return stores


def reach(stores: Stores) -> dict[str, tuple[str, str]]:
    return {each.store_id: (ReachedStore.Reach.Name(each.reach), each.owner) for each in stores.reached()}


class Writer:
    """The process of tests.hosting.owner, and what it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.home = process.stdout.readline().strip()
        self.acknowledged = -1
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.acknowledged = int(line)

    def await_acknowledged(self, number: int) -> None:
        ends_s = time.monotonic() + WAIT_S
        while self.acknowledged < number:
            assert time.monotonic() < ends_s, self.acknowledged
            time.sleep(0.01)

    def ended(self) -> None:
        """All that it has ever said was read."""
        self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)


@contextmanager
def writer(data_dir: Path, name: str) -> Generator[Writer]:
    command = [sys.executable, "-m", "tests.hosting.owner", str(data_dir), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            yield Writer(process)
        finally:
            process.kill()


async def numbers_of(stores: Stores, store_id: str) -> list[int]:
    store = stores.get(store_id)
    assert store is not None
    return [int(value) for _, value in store.scan(key_of(0), key_of(99_999_999))]


# --- homes ------------------------------------------------------------------------------------------------------


async def test_each_has_its_own_and_the_lowest_free_one_is_taken(tmp_path: Path):
    first, second = opened(tmp_path, "a,1,1"), opened(tmp_path, "b,1,1")
    assert {path.name for path in (tmp_path / "stores").iterdir()} == {"1", "2", "lock"}
    ids = first.home, second.home
    assert reach(first) == {ids[0]: ("OPEN", "a,1,1"), ids[1]: ("OWNED", "b,1,1")}
    first.close()
    assert reach(second) == {ids[0]: ("FREE", "a,1,1"), ids[1]: ("OPEN", "b,1,1")}
    assert [each.home for each in second.reached()] == [True, False]
    third = opened(tmp_path, "c,1,1")
    assert third.home == ids[0]
    for stores in (second, third):
        stores.close()


async def test_one_whose_owner_has_not_yet_said_who_it_is_is_passed_over(tmp_path: Path):
    """Two that start together on a busy machine: the lock comes first, and the name may come much later."""
    first = tmp_path / "stores" / "1"
    first.mkdir(parents=True)
    lock = take_lock(first / OWNER_FILE, 0)
    try:
        stores = opened(tmp_path)
        assert [each.place.directory.name for each in stores if each.place is not None] == ["2"]
        stores.close()
    finally:
        os.close(lock)


def test_those_that_start_at_once_have_one_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However long each looks: what another makes meanwhile is neither taken nor held for a stranger's."""

    def look(path: Path) -> str | None:
        time.sleep(0.002)
        line = read_line(path)
        time.sleep(0.002)
        return line

    monkeypatch.setattr("regionserver.engine.place.read_line", look)
    all_stores = [Stores(tmp_path) for _ in range(6)]
    with ThreadPoolExecutor(len(all_stores)) as threads:
        homes = list(threads.map(Stores.open_home, all_stores))
    assert len(set(homes)) == len(homes)
    places = [each.place.directory.name for stores in all_stores for each in stores if each.place is not None]
    assert sorted(places) == ["1", "2", "3", "4", "5", "6"]
    for stores in all_stores:
        stores.close()


async def test_one_says_what_it_knows_of_its_cluster(tmp_path: Path):
    def told(stores: Stores) -> list[tuple[bool, tuple[int, int] | None]]:
        return [
            (each.in_cluster, (each.meta_epoch, each.meta_open_seq_num) if each.HasField("meta_epoch") else None)
            for each in stores.reached()
        ]

    first = opened(tmp_path)
    assert told(first) == [(False, None)]
    await first.mark_cluster()
    assert told(first) == [(True, None)]
    await first.mark_meta(first.home, (5, 2))
    await first.mark_cluster()
    second = opened(tmp_path)
    assert told(first) == [(True, (5, 2)), (False, None)]
    assert told(second) == [(False, None), (True, (5, 2))]
    await first.unmark_meta(first.home)
    assert told(second) == [(False, None), (True, None)]
    await first.mark_meta(first.home, (5, 3))
    first.close()
    assert told(second) == [(False, None), (True, (5, 3))], "it is there when nobody has it open"
    again = opened(tmp_path)
    assert told(again) == [(True, (5, 3)), (False, None)]
    again.close()
    (tmp_path / "stores" / "1" / "cluster").write_text("?")
    assert told(second) == [(False, None), (True, None)], "one that cannot be read knew something"
    (tmp_path / "stores" / "1" / "cluster").write_text('{"format": 2, "meta": [9, 9]}')
    assert told(second) == [(False, None), (True, None)], "what a newer hbeacon says is not half understood"
    second.close()


async def test_a_free_one_is_opened_on_order_once(tmp_path: Path):
    first = opened(tmp_path)
    batch = Batch()
    batch.put(b"\0" * 8 + b"row", b"value")
    store = first.get(first.home)
    assert store is not None
    await commit(store, batch, Durability.PROCESS)
    second = opened(tmp_path, "b,1,1")
    with pytest.raises(StoreNotUsable, match="in use by process"):
        await second.open(first.home)
    first.close()
    both = await asyncio.gather(second.open(first.home), second.open(first.home))
    assert both[0] is both[1]
    assert both[0].get(b"\0" * 8 + b"row") == b"value"
    assert reach(second)[first.home] == ("OPEN", "b,1,1")
    assert len(second) == 2
    with pytest.raises(StoreNotUsable, match="has no store nowhere"):
        await second.open("nowhere")
    second.close()


async def test_in_memory():
    stores = Stores(None, MEMORY)
    stores.open_home()
    assert reach(stores) == {stores.home: ("OPEN", "")}
    assert stores.hand_overs is None
    with pytest.raises(StoreNotUsable, match="in memory only"):
        await stores.open("other")
    stores.close()


def test_a_newer_format_stops_the_start_and_changes_nothing(tmp_path: Path):
    opened(tmp_path).close()
    path = tmp_path / "stores" / "1" / "format"
    said = {**json.loads(path.read_text()), "format": 2, "written_by": "9.0"}
    path.write_text(json.dumps(said))
    before = sorted((str(each), each.stat().st_mtime_ns) for each in tmp_path.rglob("*"))
    with pytest.raises(StoreNotUsable, match=r"is of format 2, written by hbeacon 9\.0, and this one knows 1"):
        opened(tmp_path)
    assert sorted((str(each), each.stat().st_mtime_ns) for each in tmp_path.rglob("*")) == before


def test_a_database_that_was_lost_is_not_opened_empty(tmp_path: Path):
    opened(tmp_path).close()
    shutil.rmtree(tmp_path / "stores" / "1" / "db")
    with pytest.raises(StoreNotUsable, match="its database was lost"):
        opened(tmp_path)
    with pytest.raises(StoreNotUsable, match="its database was lost"):
        opened(tmp_path)


def test_the_database_of_another_store(tmp_path: Path):
    first, second = opened(tmp_path), opened(tmp_path)
    first.close()
    second.close()
    shutil.rmtree(tmp_path / "stores" / "1" / "db")
    shutil.copytree(tmp_path / "stores" / "2" / "db", tmp_path / "stores" / "1" / "db")
    with pytest.raises(StoreNotUsable, match=f"another's: store {first.home} is expected, it says {second.home}"):
        opened(tmp_path)


def test_a_first_start_that_was_cut_off_before_the_database_was_founded(tmp_path: Path):
    stores = opened(tmp_path)
    stores.close()
    for name in ("founded", "db"):
        path = tmp_path / "stores" / "1" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = opened(tmp_path)
    assert again.home == stores.home
    again.close()


async def test_who_owns_a_broken_store_hears_of_it(tmp_path: Path):
    heard: list[StoreError] = []
    stores = Stores(tmp_path, broken=heard.append)
    stores.open_home()
    opening = next(iter(stores))
    below = cast("Any", opening.store)._store

    class Failing:
        def __init__(self, database: object) -> None:
            self.database = database

        def write(self, *_args: object) -> None:
            raise RuntimeError("IO error: No space left on device")

        put = write

        def __getattr__(self, name: str) -> object:
            return getattr(self.database, name)

    below._database = Failing(below._database)
    with pytest.raises(StoreError, match="No space left"):
        await commit(opening.store, Batch([(b"k", b"v")]), Durability.PROCESS)
    assert [type(error).__name__ for error in heard] == ["StoreBroken"]
    stores.close()


# --- dead owners ----------------------------------------------------------------------------------------------------


async def test_what_a_killed_server_acknowledged_is_taken_over(tmp_path: Path):
    with writer(tmp_path, "dead,16020,1") as dead:
        dead.await_acknowledged(200)
        stores = opened(tmp_path, "b,16020,2")
        assert reach(stores)[dead.home] == ("OWNED", "dead,16020,1")
        dead.process.kill()
        dead.ended()
        assert reach(stores)[dead.home] == ("FREE", "dead,16020,1")
        await stores.open(dead.home)
        numbers = await numbers_of(stores, dead.home)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > dead.acknowledged
        stores.close()


async def test_a_stopped_server_is_killed_before_its_store_is_taken(tmp_path: Path):
    """It never writes again, whatever continues it."""
    with writer(tmp_path, "hung,16020,1") as hung:
        hung.await_acknowledged(50)
        hung.process.send_signal(signal.SIGSTOP)
        stores = opened(tmp_path, "b,16020,2")
        with pytest.raises(StoreNotUsable, match=f"in use by process {hung.process.pid} hung,16020,1"):
            await stores.open(hung.home, frozenset({"hung,16020,2", "other,16020,1"}))
        store = await stores.open(hung.home, frozenset({"hung,16020,1"}))
        hung.process.send_signal(signal.SIGCONT)
        hung.ended()
        assert hung.process.returncode == -signal.SIGKILL
        numbers = await numbers_of(stores, hung.home)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > hung.acknowledged
        await commit(store, Batch([(key_of(99_999), b"99999")]), Durability.PROCESS)
        assert await numbers_of(stores, hung.home) == [*numbers, 99_999]
        stores.close()


async def test_a_running_server_that_the_master_holds_for_dead(tmp_path: Path):
    """It was cut off from ZooKeeper and does not know yet; what it has acknowledged is there."""
    with writer(tmp_path, "cut-off,16020,1") as owner:
        owner.await_acknowledged(50)
        stores = opened(tmp_path, "b,16020,2")
        await stores.open(owner.home, frozenset({"cut-off,16020,1"}))
        owner.ended()
        numbers = await numbers_of(stores, owner.home)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > owner.acknowledged
        stores.close()


def test_another_process_with_the_number_of_a_dead_one_is_left_alone():
    with subprocess.Popen(["sleep", "60"]) as process:
        started = process_started(process.pid)
        assert started is not None
        kill_owner(Owner(process.pid, started - 1, "dead,1,1"))
        assert process.poll() is None
        kill_owner(Owner(process.pid, started, "dead,1,1"))
        assert process.wait(WAIT_S) == -signal.SIGKILL
    kill_owner(Owner(process.pid, started, "dead,1,1"))
