"""What `hbeacon coordinator --data-dir` says of a directory that it cannot use, and what it does with a torn one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from registry.coordinator.journal import Journal, JournalSettings
from registry.coordinator.journal.format import HEADER_BYTES, JOURNAL_MAGIC, FileHeader, file_name
from registry.coordinator.transactions import Failed, Transaction, encode
from registry.version import VERSION
from tests.support.coordinators import CoordinatorBench, MemoryLog
from tests.support.zookeeper import HOST, four_letters
from tests.unit.test_coordinator_process import Command

NODES = 20


@pytest.fixture
def commands() -> Iterator[list[Command]]:
    made: list[Command] = []
    yield made
    for each in made:
        each.kill()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with a session and some nodes, each in a commit of its own."""
    journal, recovered = Journal.open(tmp_path, JournalSettings(fsync=False))
    assert list(recovered.snapshot_records) + list(recovered.transactions) == []
    journal.begin()
    bench = CoordinatorBench(log=cast("MemoryLog", journal))
    client = bench.client()
    for number in range(NODES):
        client.create(f"/n{number}", b"x" * 100)
        bench.machine.commit()
    journal.close()
    return tmp_path


def newer(path: Path) -> str:
    header = FileHeader(JOURNAL_MAGIC, 7, b"mark", NODES + 1, True, "9.9.9")
    path.with_name(file_name("journal", NODES + 1)).write_bytes(header.encode())
    return f"{file_name('journal', NODES + 1)} has format 7, written by hbeacon 9.9.9; this is hbeacon {VERSION}"


def damaged(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 200] ^= 1
    path.write_bytes(content)
    return f"{path} has a wrong checksum at byte "


def missing(path: Path) -> str:
    path.rename(path.with_name(file_name("journal", 3)))
    return f"{path.with_name(file_name('journal', 3))} is another file under this name"


def of_another_machine(path: Path) -> str:
    """Whole files whose transactions make no sense."""
    journal, recovered = Journal.open(path.parent, JournalSettings(fsync=False))
    assert sum(1 for _ in recovered.transactions) == NODES + 1
    journal.begin()
    journal.append(NODES + 2, encode(Transaction(NODES + 2, 0, 0, Failed(-101)))[:-1])
    journal.close()
    return "0x15"


@pytest.mark.parametrize("spoil", [newer, damaged, missing, of_another_machine])
def test_unusable_data_ends_it_with_one_line(commands: list[Command], data: Path, spoil: Callable[[Path], str]) -> None:
    (journal,) = data.glob("journal-*")
    sentence = spoil(journal)
    before = {path: path.read_bytes() for path in data.iterdir() if path.name != "lock"}
    command = Command("--data-dir", str(data), "--listen", f"{HOST}:0")
    commands.append(command)
    code, errors = command.end()
    assert code == 4, errors
    (line,) = [line for line in errors.splitlines() if "INFO" not in line]
    assert line.startswith("hbeacon coordinator: ")
    assert sentence in line
    assert str(data) in line
    assert {path: path.read_bytes() for path in data.iterdir() if path.name != "lock"} == before


def test_a_torn_tail_is_cut_and_all_before_it_served(commands: list[Command], data: Path) -> None:
    (journal,) = data.glob("journal-*")
    content = journal.read_bytes()
    journal.write_bytes(content[:-50])
    command = Command("--data-dir", str(data), "--listen", f"{HOST}:0")
    commands.append(command)
    port = command.ready_port()
    assert f"Zxid: {NODES:#x}" in four_letters(port, "srvr")
    code, errors = command.end(signal.SIGTERM)
    assert code == 0
    assert f"{journal}: cut " in errors
    assert "bytes of a commit that was never finished" in errors
