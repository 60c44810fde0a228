"""Snapshots beside a running loop: of one moment, in short pieces, and gone without harm when they cannot be."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from registry.clock import SystemClock
from registry.coordinator.journal import Journal, JournalSettings
from registry.coordinator.journal.files import DirectoryFiles, WritableFile
from registry.coordinator.journal.keeper import SnapshotKeeper
from tests.support.coordinators import CoordinatorBench, MemoryLog
from tests.support.processes import wait_for

CLOCK = SystemClock()


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
    last_ms = CLOCK.monotonic_ms()
    while not making.done():
        await asyncio.sleep(0)
        now_ms = CLOCK.monotonic_ms()
        pauses.append(now_ms - last_ms)
        last_ms = now_ms
    await making
    journal.close()
    pauses.sort()
    assert pauses[-len(pauses) // 100] < 20, f"longest: {pauses[-5:]}"


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
