"""Files that are written: whole or not at all, and nothing that is no file is replaced by one."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.cli import transfers
from registry.cli.main import main
from registry.transfer.files import written


def write(name: Path, data: bytes = b"new", *, overwrite: bool = True) -> None:
    with written(str(name), overwrite=overwrite) as file:
        file.write(data)


@pytest.mark.parametrize("name", ["f", "f.gz"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    def fail() -> None:
        with written(str(tmp_path / name), overwrite=False) as file:
            file.write(b"some")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_a_link_goes_on_naming_its_file(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    link.symlink_to("file")
    with pytest.raises(FileExistsError):
        write(link, overwrite=False)
    write(link)
    assert link.is_symlink()
    assert file.read_text() == "new"


@pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
def test_a_pipe_is_written_to(tmp_path: Path, name: str) -> None:
    pipe, found = tmp_path / name, list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write(pipe, overwrite=False)
    reader.join(20)
    assert (gzip.decompress(found[0]) if name.endswith(".gz") else found[0]) == b"new"
    assert pipe.is_fifo()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        write(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "none" / "file")
    assert caught.value.filename == str(tmp_path / "none" / "file")


@pytest.fixture
def kept_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("interrupts", [signal.default_int_handler, signal.SIG_IGN])
def test_who_is_told_to_end_cleans_up(tmp_path: Path, number: signal.Signals, interrupts: Any) -> None:
    """Also in the background of a script, where Ctrl-C is ignored: TERM went by way of SIGINT, and nothing ended."""
    signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, interrupts)

    async def work() -> int:
        with written(str(tmp_path / "f"), overwrite=False) as file:
            file.write(b"half")
            os.kill(os.getpid(), number)
            await asyncio.sleep(20)
        return 0

    with pytest.raises(KeyboardInterrupt):
        transfers.ended("export", work())
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("kept_signals")
def test_nohup_is_obeyed() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def work() -> int:
        return 0

    assert transfers.ended("export", work()) == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("words", [("export", "t", "{tmp}/f"), ("import", "/dev/null", "t")])
def test_a_cluster_that_is_not_there_is_not_waited_for(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "REACH_TIMEOUT_MS", 100.0)
    assert main([*(word.format(tmp=tmp_path) for word in words), "127.0.0.1:1"]) == 1
    told, which, _ = capsys.readouterr().err.split("\n")
    assert "1 server asked; 127.0.0.1:1: " in told
    assert f"hbeacon {words[0]}: is this the cluster? Another is named by a URI" in which
    assert not [*tmp_path.iterdir()]
