"""The directory of `hbeacon dev`: one at a time, one format, nothing of others', nothing left of a temporary one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from registry.dev import data_dir
from registry.dev.data_dir import DataDir, DataDirError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_dir, "LOCK_WAIT_S", 0.05)


def test_a_new_directory_is_made_private_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    made = DataDir.open(str(path))
    assert (path / "format").read_text() == "hbeacon dev 1\n"
    assert path.stat().st_mode & 0o777 == 0o700
    assert made.coordinator.is_dir()
    assert (made.cluster_id(), made.founded_before, made.temporary) == ("", False, False)
    (path / "cluster-id").write_text(json.dumps({"format": 1, "cluster_id": "abc", "founded": True}))
    assert made.cluster_id() == "abc"
    made.close()
    again = DataDir.open(str(path))
    assert again.founded_before
    again.close()


def test_two_never_share_one(tmp_path: Path) -> None:
    first = DataDir.open(str(tmp_path))
    with pytest.raises(DataDirError, match=rf"{tmp_path} is in use by hbeacon dev \(pid {os.getpid()}\): stop that"):
        DataDir.open(str(tmp_path))
    first.close()
    DataDir.open(str(tmp_path)).close()


def test_the_lock_is_held_as_long_as_a_child_lives(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import os, sys, time
        from registry.dev.data_dir import DataDir
        made = DataDir.open(sys.argv[1])
        if os.fork() == 0:
            made.close()  # changes nothing here
            print("ready", flush=True)
            sys.stdin.read()
        os._exit(0)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.wait(10)
        with pytest.raises(DataDirError, match="is in use by"):
            DataDir.open(str(tmp_path))
        process.stdin.close()
        process.stdout.read()  # until the child has ended
    DataDir.open(str(tmp_path)).close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hbeacon dev 2", "is of format 2, and this version of hbeacon knows 1: use a newer hbeacon"),
        ("hbeacon dev x", "is damaged: it says 'hbeacon dev x'"),
        ("", "is damaged: it says ''"),
    ],
)
def test_another_format_stops_with_one_line(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "format").write_text(text)
    with pytest.raises(DataDirError, match=sentence) as caught:
        DataDir.open(str(tmp_path))
    assert "\n" not in str(caught.value)
    (tmp_path / "format").write_text("hbeacon dev 1\n")
    DataDir.open(str(tmp_path)).close()  # and the lock was let go


def test_a_directory_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(DataDirError, match=r"was not made by `hbeacon dev` and holds letters.txt: name an empty"):
        DataDir.open(str(tmp_path))
    assert not (tmp_path / "format").exists()


def test_a_first_start_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "format.new").write_text("hbea")
    DataDir.open(str(tmp_path)).close()
    assert (tmp_path / "format").read_text() == "hbeacon dev 1\n"


def test_a_path_that_is_no_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match="cannot be used: File exists"):
        DataDir.open(str(tmp_path / "file"))


def test_a_temporary_directory_goes_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_dir.tempfile, "tempdir", str(tmp_path))
    made = DataDir.open("")
    assert made.temporary
    assert made.path.parent == tmp_path
    (made.coordinator / "journal").write_text("state")
    made.close()
    made.close()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_one_left_behind_goes_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_dir.tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "hbeacon-dev-left"
    DataDir(left, temporary=False).close()
    (left / "coordinator" / "journal").write_text("state")
    of_others = tmp_path / "hbeacon-dev-notes"
    of_others.mkdir()
    target = tmp_path / "target"
    DataDir(target, temporary=False).close()
    (tmp_path / "hbeacon-dev-link").symlink_to(target)
    running = DataDir.open("")
    made = DataDir.open("")
    assert not left.exists()
    assert of_others.exists()
    assert (target / "format").exists()
    assert running.path.exists()
    made.close()
    running.close()
