"""Snapshots beside a running loop: of one moment, in short pieces, and gone without harm when they cannot be."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from registry.coordinator.journal import Journal, JournalSettings
from registry.coordinator.journal.files import DirectoryFiles, WritableFile
from registry.coordinator.journal.keeper import SnapshotKeeper
from tests.support.coordinators import CoordinatorBench, MemoryLog
from tests.support.processes import wait_for


def begun(directory: Path, settings: JournalSettings) -> tuple[Journal, list[bytes], list[bytes]]:
    journal, recovered = Journal.open(directory, settings)
    read = list(recovered.snapshot_records), list(recovered.transactions)
    journal.begin()
    return journal, *read


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class Numbers:
    """A machine whose state is all the records it was given; a dump is of the moment it was asked for."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.records: list[bytes] = []
        self.dumps_open = 0

    def write(self, count: int) -> None:
        for _ in range(count):
            record = b"%d" % (self.journal.last_zxid + 1)
            self.journal.append(self.journal.last_zxid + 1, record)
            self.records.append(record)
        self.journal.commit()

    def dump(self) -> Iterator[bytes]:
        self.dumps_open += 1
        records = self._dumped(self.records.copy())
        next(records)
        return records

    def _dumped(self, records: list[bytes]) -> Generator[bytes, None, None]:
        try:
            yield b""
            yield from records
        finally:
            self.dumps_open -= 1


async def test_a_snapshot_is_of_the_moment_it_was_begun(tmp_path: Path) -> None:
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False))
    machine = Numbers(journal)
    machine.write(5000)
    making = asyncio.create_task(SnapshotKeeper(journal, machine.dump).make())
    await asyncio.sleep(0)
    writes = 0
    while not making.done():
        machine.write(3)
        writes += 3
        await asyncio.sleep(0)
    figures = await making
    assert (figures.zxid, figures.record_count) == (5000, 5000)
    assert (tmp_path / "snapshot-0000000000001388").stat().st_size == figures.file_bytes
    assert writes > 100
    assert journal.records_since_snapshot == writes
    journal.close()
    journal, snapshot, transactions = begun(tmp_path, JournalSettings())
    journal.close()
    assert snapshot == machine.records[:5000]
    assert transactions == machine.records[5000:]


async def test_the_loop_hardly_notices(tmp_path: Path) -> None:
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False))
    machine = Numbers(journal)
    machine.write(1)
    machine.records = [bytes(150)] * 50_000
    making = asyncio.create_task(SnapshotKeeper(journal, machine.dump).make())
    pauses: list[float] = []
    last_s = time.thread_time()  # of the processor: what else this machine does is not its fault
    while not making.done():
        await asyncio.sleep(0)
        now_s = time.thread_time()
        pauses.append(now_s - last_s)
        last_s = now_s
    await making
    journal.close()
    assert len(pauses) > 100
    assert max(pauses) < 0.020


async def test_it_runs_when_the_journal_has_grown(tmp_path: Path) -> None:
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False, snapshot_records=10, snapshots_kept=1))
    machine = Numbers(journal)
    running = asyncio.create_task(SnapshotKeeper(journal, machine.dump, look_s=0.01).run())
    machine.write(10)
    await asyncio.sleep(0.05)
    assert names(tmp_path) == ["journal-0000000000000000", "lock"]
    machine.write(1)
    await asyncio.to_thread(wait_for, "a snapshot", lambda: journal.snapshot_zxid == 11, 10)
    machine.write(12)
    await asyncio.to_thread(wait_for, "another", lambda: journal.snapshot_zxid == 23, 10)
    assert names(tmp_path) == ["journal-0000000000000017", "lock", "snapshot-0000000000000017"]
    running.cancel()
    await asyncio.wait([running])
    journal.close()


class NotedFiles(DirectoryFiles):
    """Notes what happens to snapshots, in its order."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.notes: list[str] = []

    def create(self, name: str) -> WritableFile:
        file = super().create(name)
        return NotedFile(file, self.notes) if name.startswith("snapshot") else file

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        self.notes.append(f"{old} -> {new}")

    def remove(self, name: str) -> None:
        super().remove(name)
        self.notes.append(f"removed {name}")

    def sync_names(self) -> None:
        super().sync_names()
        self.notes.append("names synced")


class NotedFile:
    def __init__(self, file: WritableFile, notes: list[str]) -> None:
        self.file = file
        self.notes = notes

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.notes.append("written")

    def sync(self) -> None:
        self.file.sync()
        self.notes.append("synced")

    def close(self) -> None:
        self.file.close()


async def test_nothing_is_named_before_it_is_synced_or_removed_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.coordinator.journal.log.DirectoryFiles", NotedFiles)
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False))
    machine = Numbers(journal)
    machine.write(700)
    await SnapshotKeeper(journal, machine.dump).make()
    journal.close()
    assert isinstance(journal.files, NotedFiles)
    name = "snapshot-00000000000002bc"
    assert journal.files.notes[2:] == [
        *["written"] * 4,  # header, two frames, footer
        "synced",
        f"{name}.tmp -> {name}",
        "names synced",
        "removed journal-0000000000000000",
    ]


class FullFiles(DirectoryFiles):
    """No snapshot fits."""

    is_full = True

    def create(self, name: str) -> WritableFile:
        if self.is_full and name.startswith("snapshot"):
            super().create(name).close()
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(name)


async def test_no_room_for_a_snapshot_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registry.coordinator.journal.log.DirectoryFiles", FullFiles)
    monkeypatch.setattr("registry.coordinator.journal.keeper.RETRY_S", 0.02)
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False, snapshot_records=10))
    machine = Numbers(journal)
    machine.write(11)
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(SnapshotKeeper(journal, machine.dump, look_s=0.01).run())
        await asyncio.to_thread(wait_for, "a warning", lambda: bool(caplog.records), 10)
    assert caplog.messages[0] == f"no snapshot in {tmp_path}: No space left on device; the journal grows on"
    machine.write(1)
    assert isinstance(journal.files, FullFiles)
    journal.files.is_full = False
    await asyncio.to_thread(wait_for, "a snapshot", lambda: journal.snapshot_zxid == 12, 10)
    assert machine.dumps_open == 0
    running.cancel()
    await asyncio.wait([running])
    journal.close()
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


async def test_a_snapshot_that_is_given_up_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False))
    machine = Numbers(journal)
    machine.write(20_000)
    making = asyncio.create_task(SnapshotKeeper(journal, machine.dump).make())
    await asyncio.sleep(0.02)
    making.cancel()
    await asyncio.wait([making])
    assert making.cancelled()
    assert machine.dumps_open == 0
    machine.write(1)
    journal.close()
    journal, snapshot, transactions = begun(tmp_path, JournalSettings())
    journal.close()
    assert (snapshot, transactions) == ([], machine.records)


async def test_a_real_machine_is_dumped_again_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.coordinator.journal.log.DirectoryFiles", FullFiles)
    journal, _, _ = begun(tmp_path, JournalSettings(fsync=False))
    bench = CoordinatorBench(log=cast("MemoryLog", journal))
    client = bench.client()
    for number in range(1200):
        client.create(f"/n{number}", b"before")
    keeper = SnapshotKeeper(journal, bench.machine.dump)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            await keeper.make()
    assert isinstance(journal.files, FullFiles)
    journal.files.is_full = False
    making = asyncio.create_task(keeper.make())
    for number in range(1200):
        client.set_data(f"/n{number}", b"after")
        client.delete(f"/n{number - 1}")
        bench.machine.commit()
        await asyncio.sleep(0)
    figures = await making
    bench.machine.commit()
    assert figures.record_count > 1200
    journal.close()
    journal, recovered = Journal.open(tmp_path)
    again = CoordinatorBench()
    again.machine.restore(recovered.snapshot_records, recovered.transactions)
    journal.close()
    assert recovered.transaction_count
    assert list(again.machine.dump()) == list(bench.machine.dump())
