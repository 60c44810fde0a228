"""The journal's files as bytes, what a start makes of them, and who may have the directory."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from registry.coordinator.journal import DataNotUsable, Journal, JournalFailed, JournalSettings
from registry.coordinator.journal.files import DirectoryFiles
from registry.coordinator.journal.format import (
    HEADER_BYTES,
    JOURNAL_MAGIC,
    SNAPSHOT_MAGIC,
    FileHeader,
    decode_header,
    encode_frame,
    file_name,
    parse_name,
)
from registry.coordinator.journal.snapshots import SnapshotEncoder, keep_snapshot, temporary_name
from registry.version import VERSION

MARK = b"\x01\x02\x03\x04"


def open_and_read(directory: Path, settings: JournalSettings | None = None) -> tuple[Journal, list[bytes], list[bytes]]:
    """A journal that has begun, the records of the snapshot, the transactions."""
    journal, recovered = Journal.open(directory, settings or JournalSettings(fsync=False))
    try:
        snapshot, transactions = list(recovered.snapshot_records), list(recovered.transactions)
    except DataNotUsable:
        journal.close()
        raise
    journal.begin()
    return journal, snapshot, transactions


def fill(directory: Path, first: int, last: int, *, each: int = 1) -> None:
    journal, _, _ = open_and_read(directory)
    for zxid in range(first, last + 1):
        journal.append(zxid, f"record {zxid}".encode())
        if zxid % each == 0:
            journal.commit()
    journal.close()


def snapshot(journal: Journal, records: list[bytes], kept: int = 3) -> None:
    zxid = journal.roll()
    encoder = SnapshotEncoder(zxid, records, os.urandom)
    file = journal.files.create(temporary_name(zxid))
    for piece in encoder.pieces():
        file.write(piece)
    file.sync()
    file.close()
    keep_snapshot(journal.files, zxid, kept)
    journal.snapshot_was_kept(encoder.figures)


def journals(directory: Path) -> list[Path]:
    return sorted(directory.glob("journal-*"))


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_a_header_is_these_128_bytes() -> None:
    header = FileHeader(JOURNAL_MAGIC, 1, MARK, 0x1234, True, "0.1.0")
    data = header.encode()
    start = bytes.fromhex("4842434e4a524e4c 00000001 01020304 0000000000001234 01") + b"0.1.0".ljust(32, b"\0")
    assert data == start.ljust(124, b"\0") + zlib.crc32(start.ljust(124, b"\0")).to_bytes(4, "big")
    assert decode_header(data + b"more") == header
    assert decode_header(data[:-1]) is None
    assert decode_header(b"\0" * HEADER_BYTES) is None


def test_a_frame_is_these_bytes() -> None:
    payload = (7).to_bytes(8, "big") + (3).to_bytes(4, "big") + b"abc"
    checked = (7).to_bytes(8, "big") + (1).to_bytes(4, "big")
    checksum = zlib.crc32(checked + payload).to_bytes(4, "big")
    assert encode_frame(MARK, 7, 1, payload) == MARK + b"\0\0\0\x0f" + checksum + checked + payload


def test_names_sort_as_their_zxids() -> None:
    assert file_name("journal", 0x2A) == "journal-000000000000002a"
    assert parse_name("snapshot-000000000000002a") == ("snapshot", 42)
    for other in ("journal-2a", "journal-000000000000002a.tmp", "journal-000000000000002A", "lock", "log.1"):
        assert parse_name(other) is None


# --- a start ----------------------------------------------------------------------------------------------------------


def test_records_come_back_over_starts_and_snapshots(tmp_path: Path) -> None:
    fill(tmp_path, 1, 5, each=2)
    journal, before, transactions = open_and_read(tmp_path)
    assert (before, transactions) == ([], [f"record {zxid}".encode() for zxid in range(1, 6)])
    journal.append(6, b"six")
    snapshot(journal, [b"state of six", b""])
    journal.append(7, b"seven")
    journal.close()
    journal, before, transactions = open_and_read(tmp_path)
    assert (before, transactions) == ([b"state of six", b""], [b"seven"])
    assert (journal.last_zxid, journal.snapshot_zxid, journal.records_since_snapshot) == (7, 6, 1)
    journal.close()
    assert [path.name for path in journals(tmp_path)] == [file_name("journal", 6), file_name("journal", 7)]


def test_starts_without_writes_leave_no_files_behind(tmp_path: Path) -> None:
    fill(tmp_path, 1, 3)
    for _ in range(3):
        fill(tmp_path, 1, 0)
    assert [path.name for path in journals(tmp_path)] == [file_name("journal", 0), file_name("journal", 3)]


def test_a_torn_tail_is_cut_with_a_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 1, 3)
    (path,) = journals(tmp_path)
    whole = path.read_bytes()
    for tail in (b"\0" * 700, whole[HEADER_BYTES:-1], os.urandom(90), whole[HEADER_BYTES : HEADER_BYTES + 1]):
        for each in journals(tmp_path):
            each.unlink()
        path.write_bytes(whole + tail)
        caplog.clear()
        if tail.startswith(whole[HEADER_BYTES : HEADER_BYTES + 30]):  # older frames again: no crash does that
            with pytest.raises(DataNotUsable, match="transaction 0x1 follows 0x3"):
                open_and_read(tmp_path)
            assert path.read_bytes() == whole + tail
            continue
        with caplog.at_level(logging.WARNING):
            journal, _, transactions = open_and_read(tmp_path)
        journal.close()
        assert len(transactions) == 3
        assert path.read_bytes() == whole
        (record,) = caplog.records
        assert f"{path}: cut {len(tail)} bytes of a commit that was never finished" in record.getMessage()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 1, 3)
    for magic, name in ((JOURNAL_MAGIC, file_name("journal", 3)), (SNAPSHOT_MAGIC, file_name("snapshot", 3))):
        newer = tmp_path / name
        newer.write_bytes(FileHeader(magic, 2, MARK, 3, True, "9.9").encode() + b"whatever it is")
        before = content(tmp_path)
        with pytest.raises(DataNotUsable) as refused:
            open_and_read(tmp_path)
        assert str(refused.value) == (
            f"{newer} has format 2, written by hbeacon 9.9; this is hbeacon {VERSION}, which reads formats up to 1:"
            " start a newer hbeacon on this directory"
        )
        assert content(tmp_path) == before
        newer.unlink()


def test_damage_is_refused_and_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 1, 3)
    (path,) = journals(tmp_path)
    whole = path.read_bytes()
    for at in (3, 20, HEADER_BYTES, HEADER_BYTES + 6, HEADER_BYTES + 40):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :])
        before = content(tmp_path)
        with pytest.raises(DataNotUsable, match=rf"^{path} has a wrong checksum at byte [^\n]*$"):
            open_and_read(tmp_path)
        assert content(tmp_path) == before


def test_missing_files_are_missed(tmp_path: Path) -> None:
    fill(tmp_path, 1, 3)
    fill(tmp_path, 4, 6)
    fill(tmp_path, 7, 9)
    first, middle, _ = journals(tmp_path)
    kept = middle.read_bytes()
    middle.unlink()
    with pytest.raises(DataNotUsable, match=rf"^{tmp_path} lacks transactions 0x4 to 0x6 between"):
        open_and_read(tmp_path)
    middle.write_bytes(kept)
    first.unlink()
    with pytest.raises(DataNotUsable, match=rf"^{tmp_path} lacks transactions 0x1 to 0x3: journal-0+3 begins after"):
        open_and_read(tmp_path)


def test_an_older_end_of_another_journal_is_no_part_of_this_one(tmp_path: Path) -> None:
    fill(tmp_path, 1, 6)
    fill(tmp_path, 7, 9)
    first, second = journals(tmp_path)
    second.rename(tmp_path / file_name("journal", 4))
    with pytest.raises(DataNotUsable, match="is another file under this name"):
        open_and_read(tmp_path)
    header = decode_header(first.read_bytes())
    assert header is not None
    (tmp_path / file_name("journal", 4)).write_bytes(header._replace(zxid=4).encode())
    with pytest.raises(DataNotUsable, match="begins before its forerunner ends"):
        open_and_read(tmp_path)


def test_a_snapshot_has_to_be_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.coordinator.journal.snapshots.FRAME_RECORDS_MAX", 1)
    journal, _, _ = open_and_read(tmp_path)
    journal.append(1, b"one")
    snapshot(journal, [b"first", b"second"])
    journal.close()
    path = tmp_path / file_name("snapshot", 1)
    whole = path.read_bytes()
    frame_bytes = 24 + 12 + len(b"first")
    frames = HEADER_BYTES, HEADER_BYTES + frame_bytes, HEADER_BYTES + 2 * frame_bytes + 1
    for damaged in (
        whole[:-1],
        whole[: frames[2]],  # no footer
        whole[: frames[1]] + whole[frames[2] :],  # a record less than the footer says
        whole[: frames[0]] + whole[frames[1] :],
        whole + b"\0",
        whole[:200] + b"?" + whole[201:],
        b"",
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataNotUsable, match=rf"^{path} "):
            open_and_read(tmp_path)
        assert path.read_bytes() == damaged
    path.rename(tmp_path / "put away")  # as the line says; the journal before it is gone here, as nothing older is kept
    with pytest.raises(DataNotUsable, match="lacks transactions 0x1 to 0x1"):
        open_and_read(tmp_path)


def test_older_snapshots_are_a_way_back(tmp_path: Path) -> None:
    journal, _, _ = open_and_read(tmp_path)
    for zxid in range(1, 6):
        journal.append(zxid, b"%d" % zxid)
        snapshot(journal, [b"state %d" % zxid], kept=2)
    journal.close()
    assert sorted(path.name for path in tmp_path.glob("snapshot-*")) == [file_name("snapshot", of) for of in (4, 5)]
    (tmp_path / file_name("snapshot", 5)).unlink()
    journal, before, transactions = open_and_read(tmp_path)
    journal.close()
    assert (before, transactions) == ([b"state 4"], [b"5"])


def test_left_over_temporary_files_go(tmp_path: Path) -> None:
    fill(tmp_path, 1, 1)
    for name in (temporary_name(1), file_name("journal", 1) + ".tmp", "notes.tmp"):
        (tmp_path / name).write_bytes(b"half of something")
    fill(tmp_path, 2, 2)
    assert [path.name for path in tmp_path.glob("*.tmp")] == ["notes.tmp"]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_nothing_is_written_before_all_has_been_read(tmp_path: Path) -> None:
    fill(tmp_path, 1, 3)
    before = content(tmp_path)
    journal, recovered = Journal.open(tmp_path)
    next(recovered.transactions)
    with pytest.raises(AssertionError, match="read to its end"):
        journal.begin()
    journal.append(4, b"four")
    with pytest.raises(AssertionError, match="begin comes before"):
        journal.commit()
    journal.close()
    assert content(tmp_path) == before


def test_zxids_rise(tmp_path: Path) -> None:
    journal, _, _ = open_and_read(tmp_path)
    journal.append(5, b"")
    for zxid in (5, 4):
        with pytest.raises(ValueError, match="follows 0x5"):
            journal.append(zxid, b"")
    journal.close()


def test_a_turn_too_large_for_memory_is_committed_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.coordinator.journal.log.PENDING_BYTES_MAX", 1000)
    journal, _, _ = open_and_read(tmp_path, JournalSettings(segment_bytes=3000))
    for zxid in range(1, 41):
        journal.append(zxid, bytes(300))
    assert len(journals(tmp_path)) == 4
    journal.close()
    journal, _, transactions = open_and_read(tmp_path)
    assert transactions == [bytes(300)] * 40
    journal.close()


def test_a_snapshot_is_wanted_when_the_journal_outgrows_settings_and_tree(tmp_path: Path) -> None:
    settings = JournalSettings(fsync=False, snapshot_records=2, snapshot_bytes=10_000)
    journal, _, _ = open_and_read(tmp_path, settings)
    zxids = iter(range(1, 1000))

    def write(count: int, size: int = 1) -> bool:
        for _ in range(count):
            journal.append(next(zxids), bytes(size))
        journal.commit()
        return journal.wants_snapshot()

    assert [write(2), write(1)] == [False, True]
    snapshot(journal, [b"node"] * 10)
    assert [journal.wants_snapshot(), write(10), write(1)] == [False, False, True]
    snapshot(journal, [b"node"])
    assert [write(1, 9000), write(1, 2000)] == [False, True]
    journal.close()


def test_after_a_failed_write_nothing_is_promised_any_more(tmp_path: Path) -> None:
    """A real full disk: /dev/full refuses every write."""
    journal, _, _ = open_and_read(tmp_path)
    journal.append(1, b"one")
    journal.commit()
    full = os.open("/dev/full", os.O_WRONLY)
    file = vars(journal)["_file"]
    os.dup2(full, file._descriptor)
    os.close(full)
    journal.append(2, b"two")
    for _ in range(2):
        with pytest.raises(JournalFailed, match="cannot be written: No space left on device"):
            journal.commit()
    with pytest.raises(JournalFailed):
        journal.roll()
    journal.close()
    journal, _, transactions = open_and_read(tmp_path)
    journal.close()
    assert transactions == [b"one"]


# --- the directory ----------------------------------------------------------------------------------------------------


def test_two_never_share_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "on the way"
    journal, _, _ = open_and_read(directory)
    other = DirectoryFiles(directory)
    with pytest.raises(DataNotUsable) as refused:
        other.lock(wait_s=0.05)
    assert str(refused.value) == f"{directory} is in use by another coordinator (process {os.getpid()})"
    journal.close()
    other.lock(wait_s=0)
    other.unlock()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_the_lock_of_a_dying_process_is_waited_for(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom registry.coordinator.journal.files import DirectoryFiles\n"
        "DirectoryFiles(sys.argv[1]).lock()\nprint('locked', flush=True)\ntime.sleep(0.3)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        mine = DirectoryFiles(tmp_path)
        mine.lock(wait_s=20)
        mine.unlock()


def test_a_directory_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataNotUsable, match=r"^[^\n]*/file/below: Not a directory$"):
        Journal.open(tmp_path / "file" / "below")
