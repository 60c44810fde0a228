"""A store's directory: its identity stays, one owner at a time, and nothing of others is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regionserver.engine.place import FORMAT_FILE, StorePlace, owner_of, process_started
from regionserver.engine.store import StoreNotUsable

ROOT = Path(__file__).parents[2]


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def test_the_id_stays(tmp_path: Path):
    place = StorePlace(tmp_path / "a" / "store", "rocksdb", "host,16020,1")
    first = place.store_id
    assert place.database.is_dir()
    place.close()
    (tmp_path / "a").rename(tmp_path / "b")
    again = StorePlace(tmp_path / "b" / "store", "rocksdb")
    assert again.store_id == first
    again.close()
    other = StorePlace(tmp_path / "c", "rocksdb")
    assert other.store_id != first
    other.close()


def test_one_owner_and_its_name(tmp_path: Path):
    place = StorePlace(tmp_path / "s", "rocksdb", "host,16020,1")
    with pytest.raises(StoreNotUsable, match=rf"in use by process {os.getpid()} host,16020,1"):
        StorePlace(tmp_path / "s", "rocksdb", wait_s=0.05)
    place.set_server("h,1,2")
    owner = owner_of(tmp_path / "s")
    assert owner is not None
    assert (owner.pid, owner.server, owner.is_alive) == (os.getpid(), "h,1,2", True)
    place.close()
    StorePlace(tmp_path / "s", "rocksdb").close()


def test_an_owner_that_was_killed(tmp_path: Path):
    """Its lock is free at once, and its name stays readable: the next owner knows whom it follows."""
    code = (
        "import sys, time; from pathlib import Path; from regionserver.engine.place import StorePlace\n"
        "place = StorePlace(Path(sys.argv[1]), 'rocksdb', 'dead,16020,1'); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "s")], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        owner = owner_of(tmp_path / "s")
        assert owner is not None
        assert owner.is_alive, "stopped, and still there"
        with pytest.raises(StoreNotUsable, match="in use"):
            StorePlace(tmp_path / "s", "rocksdb", wait_s=0.05)
        process.kill()
    owner = owner_of(tmp_path / "s")
    assert owner is not None
    assert (owner.pid, owner.server, owner.is_alive) == (process.pid, "dead,16020,1", False)
    StorePlace(tmp_path / "s", "rocksdb").close()


def test_a_pid_that_is_anothers_by_now():
    assert process_started(os.getpid()) != process_started(1)
    assert process_started(2**22 + 1) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"name": "hbeacon region store", "format": 2, "engine": "rocksdb", "store_id": "x"}', "newer"),
        ('{"name": "hbeacon region store", "format": 1, "engine": "other", "store_id": "x"}', "engine other"),
        ('{"name": "something", "format": 1, "engine": "rocksdb", "store_id": "x"}', "no region store"),
        ('{"name": "hbeacon region store", "format": "1", "engine": "rocksdb", "store_id": "x"}', "no region store"),
        ("[]", "damaged"),
        ("", "damaged"),
        ("{", "damaged"),
        ('{"name": "hbeacon region store"}', "damaged"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_not_touched(tmp_path: Path, line: str, said: str):
    (tmp_path / FORMAT_FILE).write_text(line)
    before = content(tmp_path)
    with pytest.raises(StoreNotUsable, match=said):
        StorePlace(tmp_path, "rocksdb")
    assert content(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == [FORMAT_FILE]


def test_a_directory_of_somebody_else(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreNotUsable, match=r"holds thesis\.tex"):
        StorePlace(tmp_path, "rocksdb")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_first_start_that_was_cut_off(tmp_path: Path):
    (tmp_path / "owner").write_bytes(b"")
    (tmp_path / "format.new").write_bytes(b'{"na')
    place = StorePlace(tmp_path, "rocksdb")
    line = json.loads((tmp_path / FORMAT_FILE).read_text())
    assert line["store_id"] == place.store_id
    assert line["format"] == 1
    place.close()


def test_a_place_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreNotUsable, match=r"file/store cannot be used"):
        StorePlace(tmp_path / "file" / "store", "rocksdb")
