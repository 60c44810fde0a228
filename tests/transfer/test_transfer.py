"""`hbeacon export` and `hbeacon import` against a cluster: what goes out comes in again, or it is said."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hbeacon
from hbeacon import connect_blocking
from registry.cli.main import main
from registry.client.data.operations import VERSIONS_MAX
from registry.testing.cluster import Cluster

ROOT = Path(__file__).parents[2]
Command = Callable[..., str]


@pytest.fixture
def connection(hbeacon_session: Cluster) -> Iterator[hbeacon.BlockingConnection]:
    with hbeacon.connect_blocking(hbeacon_session.uri) as hbase:
        yield hbase


@pytest.fixture
def command(hbeacon_session: Cluster, capsys: pytest.CaptureFixture[str]) -> Command:
    """One run, in this process; gives standard error."""

    def run(word: str, *words: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        ended = main([word, *map(str, words), hbeacon_session.uri])
        told = capsys.readouterr().err
        assert ended == code, told
        return told

    return run


def new_table(hbase: hbeacon.BlockingConnection, *, versions: int = 5) -> hbeacon.BlockingTable:
    name = f"transfer-{uuid.uuid4().hex}"
    hbase.admin.create_table(name, {"cf": {"VERSIONS": versions}, "d": {"VERSIONS": versions}}, splits=["m"])
    return hbase.table(name)


def history(table: hbeacon.BlockingTable) -> None:
    """Versions, every kind of delete, keys and values of any bytes, rows in both regions."""
    binary = bytes(range(256))
    for timestamp in (100, 200, 300):
        table.put("ada", {"cf:name": f"v{timestamp}", ("cf", binary[:80]): binary, "d:": ""}, timestamp=timestamp)
    table.put(b"\x00\xff\\x41", {"d:q:r": b"\\"}, timestamp=7)
    with table.batch_writer() as writer:
        for number in range(300):
            writer.put(f"row{number:03}", {"cf:n": number.to_bytes(8, "big"), "cf:t": f"text {number}"}, timestamp=50)
    table.delete("ada", ["cf:name"], timestamp=200)
    table.delete("row001", ["cf:n"], timestamp=50, versions="latest")
    table.delete("row002", ["cf"], timestamp=60)
    table.delete("row003", [("cf",)], timestamp=50, versions="latest")
    table.put("row002", {"cf:n": "again"}, timestamp=61)


def everything(table: hbeacon.BlockingTable) -> list[hbeacon.Cell]:
    return [cell for row in table.scan(raw=True, versions=VERSIONS_MAX) for cell in row.cells]


def newest(table: hbeacon.BlockingTable) -> dict[bytes, dict[bytes, bytes]]:
    return {row.key: dict(row) for row in table.scan()}


@pytest.mark.parametrize(
    ("name", "flags"),
    [("t.jsonl", ()), ("t.jsonl.gz", ("--base64",)), ("t.parquet", ())],
    ids=["text", "base64", "parquet"],
)
def test_a_table_goes_out_and_comes_in_again(
    connection: hbeacon.BlockingConnection, command: Command, tmp_path: Path, name: str, flags: tuple[str, ...]
) -> None:
    first, second, third = new_table(connection), new_table(connection), f"made-{uuid.uuid4().hex}"
    history(first)
    file = tmp_path / name
    told = command("export", first.name, file, "--raw", *flags)
    cells = everything(first)
    assert {cell.key_type for cell in cells} == {4, 8, 10, 12, 14}
    assert f"302 rows, {len(cells)} cells" in told
    assert [each.name for each in tmp_path.iterdir()] == [name], "nothing is left beside it"
    for target in (second.name, third):
        told = command("import", file, target, *(("--create",) if target == third else ()))
        assert f"302 rows, {len(cells)} cells" in told
        assert everything(connection.table(target)) == cells
        assert newest(connection.table(target)) == newest(first)
    assert f"made table {third}" in told
    assert connection.admin.describe(third).families == connection.admin.describe(first.name).families
    assert [region.start_key for region in connection.table(third).regions()] == [b"", b"m"]


def test_families_are_made_as_the_file_tells_though_they_have_no_rows(
    connection: hbeacon.BlockingConnection, command: Command, tmp_path: Path
) -> None:
    table = new_table(connection)
    file = tmp_path / "t.jsonl"
    file.write_text('{"table": "t", "families": {"cf": {"VERSIONS": "9"}, "new": {"VERSIONS": "7"}}}\n')
    command("import", file, table.name)
    assert "new" not in connection.admin.describe(table.name).families
    assert f"made family new of table {table.name}" in command("import", file, table.name, "--create")
    families = connection.admin.describe(table.name).families
    assert {name: each["VERSIONS"] for name, each in families.items()} == {"cf": "5", "d": "5", "new": "7"}
    assert "made" not in command("import", file, table.name, "--create")


def test_some_of_a_table(connection: hbeacon.BlockingConnection, command: Command, tmp_path: Path) -> None:
    table = new_table(connection)
    history(table)
    file = tmp_path / "some.jsonl"

    def rows(*flags: str) -> dict[str, list[tuple[str, int]]]:
        command("export", table.name, file, "--overwrite", *flags)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert lines[0]["table"] == table.name
        return {line["row"]: [(cell["column"], cell["timestamp"]) for cell in line["cells"]] for line in lines[1:]}

    assert [*rows("--prefix", "row01", "--limit", "3")] == ["row010", "row011", "row012"]
    assert [*rows("--start", r"\x00\xFF", "--stop", "row001")] == [r"\x00\xFF\x5Cx41", "ada", "row000"]
    assert rows("--filter", "PrefixFilter('ada')", "--column", "cf:name", "--versions", "all") == {
        "ada": [("cf:name", 300)]
    }
    assert rows("--since", "60", "--until", "62") == {"row002": [("cf:n", 61)]}


def test_typed_columns(connection: hbeacon.BlockingConnection, command: Command, tmp_path: Path) -> None:
    from registry.transfer.parquet import parquet

    table, second = new_table(connection), new_table(connection)
    history(table)
    file = tmp_path / "wide.parquet"
    types = ("--types", "row=utf8", "--types", "cf:n=int64", "--types", "cf:t=utf8")
    told = command("export", table.name, file, "--prefix", "row", *types, code=1)
    assert "row 'row002', column cf:n: 'again' is no int64 (5 bytes, where 8 are a value)" in told
    assert not [*tmp_path.iterdir()]
    command("export", table.name, file, "--filter", "PrefixFilter('row01')", *types)
    found = parquet.read_table(str(file))
    assert found.column_names == ["row", "cf:n", "cf:t"]
    assert found.to_pylist()[3] == {"row": "row013", "cf:n": 13, "cf:t": "text 13"}
    assert "10 rows, 20 cells" in command("import", file, second.name)
    assert newest(second) == {key: row for key, row in newest(table).items() if key.startswith(b"row01")}


BAD = [
    b'{"row": "a", "cells": [{"column": "cf:q", "timestamp": 5, "value": "1"}]}\n',
    b'{"row": "b", "cells": [{"column": "cf:q", "val": "1"}]}\n',
    b"\n",
    b'{"row": "c", "cells": [{"column": "no:q", "value": "1"}]}\n',
    (
        b'{"row": "d", "cells": [{"column": "cf:q", "timestamp": 5, "value": "1"},'
        b' {"column": "cf:q", "timestamp": 4, "value": "0"}]}\n'
    ),
    b'{"row": "e", "cells": [{"colu',
]


def test_bad_lines(connection: hbeacon.BlockingConnection, command: Command, tmp_path: Path) -> None:
    table = new_table(connection, versions=1)
    file = tmp_path / "bad.jsonl"
    file.write_bytes(b"".join(BAD))
    why = "hbeacon import: line 2: unknown val: there are column, timestamp, type, value\n"
    assert command("import", file, table.name, "--quiet", code=1) == why
    told = command("import", file, table.name, code=1)
    came, _, rest = told.partition(why)
    assert re.fullmatch(
        r"import .*: ended early, 1 rows, .*; 1 writes are acknowledged, and it can be begun anew\n", came
    )
    assert not rest
    assert [*newest(table)] == [b"a"], "what was read before is written"
    told = command("import", file, table.name, "--skip-bad", code=5)
    assert [*newest(table)] == [b"a", b"d"]
    assert re.findall(r"^hbeacon import: (line \d+): (.{10}).*: left out$", told, re.MULTILINE) == [
        ("line 2", "unknown va"),
        ("line 4", "table tran"),
        ("line 6", "no JSON: U"),
    ]
    assert "3 bad ones left out; 1 cells are more VERSIONS of their column than its family keeps" in told
    file.write_bytes(b"".join((BAD[0], BAD[3], BAD[4])))
    told = command("import", file, table.name, "--new-timestamps", "--create")
    assert "made family no of table" in told
    assert "1 older versions left out" in told
    assert newest(table)[b"c"] == {b"no:q": b"1"}
    assert table.get("a").timestamp("cf:q") > 5  # type: ignore[union-attr]


def test_files_that_end_too_early(connection: hbeacon.BlockingConnection, command: Command, tmp_path: Path) -> None:
    table = new_table(connection)
    packed = gzip.compress(b"".join(BAD[0].replace(b'"a"', b'"%06d"' % number) for number in range(2000)))
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-20])
    assert "end-of-stream" in command("import", tmp_path / "cut.jsonl.gz", table.name, code=1)
    (tmp_path / "text.jsonl.gz").write_bytes(BAD[0])
    assert "line 1: Not a gzipped file" in command("import", tmp_path / "text.jsonl.gz", table.name, code=1)
    (tmp_path / "text.parquet").write_bytes(BAD[0])
    assert "no Parquet" in command("import", tmp_path / "text.parquet", table.name, code=1)
    assert "No such file" in command("import", tmp_path / "none.jsonl", table.name, code=1)


def test_what_is_said_before_anything_is_done(
    command: Command, connection: hbeacon.BlockingConnection, tmp_path: Path
) -> None:
    table = new_table(connection)
    file = tmp_path / "t.jsonl"
    file.write_text("mine")
    assert "t.jsonl: is there already (--overwrite replaces it)" in command("export", table.name, file, code=1)
    assert file.read_text() == "mine"
    assert "TableNotFound" in command("export", "nothing", tmp_path / "n.jsonl", code=1)
    assert "'a:b:c' is no name of a table" in command("export", "a:b:c", tmp_path / "n.jsonl", code=1)
    assert "is a directory" in command("export", table.name, tmp_path, "--overwrite", code=1)
    assert "TableNotFoundException: nothing: --create makes it\n" in command("import", file, "nothing", code=1)
    assert "--types is of Parquet" in command("export", table.name, "x.jsonl", "--types", "cf:n=int64", code=2)
    assert "write COLUMN=TYPE" in command("export", table.name, "x.parquet", "--types", "cf:n", code=2)
    assert "'int65' is no type" in command(
        "export", table.name, tmp_path / "x.parquet", "--types", "cf:n=int65", code=1
    )
    assert "name a plain file" in command("export", table.name, "-", "--format", "parquet", code=2)
    assert r"write \x5C" in command("export", table.name, "x.jsonl", "--start", "\\", code=2)
    assert "--versions 0.5" in command("export", table.name, "x.jsonl", "--versions", "0.5", code=2)
    assert "a prefix stands" in command("export", table.name, "x.jsonl", "--start", "a", "--prefix", "b", code=2)
    assert [each.name for each in tmp_path.iterdir()] == ["t.jsonl"]


def test_through_a_pipe_and_with_a_bar(hbeacon_session: Cluster, connection: hbeacon.BlockingConnection) -> None:
    first, second = new_table(connection), new_table(connection)
    history(first)
    ours, theirs = pty.openpty()
    line = f"{sys.executable} -m registry.cli.main export {first.name} - {hbeacon_session.uri}"
    line += f" | {sys.executable} -m registry.cli.main import - {second.name} {hbeacon_session.uri}"
    done = subprocess.run(line, shell=True, cwd=ROOT, stderr=theirs, stdout=subprocess.PIPE, timeout=50, check=False)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, b""), shown
    assert "\x1b[" in shown, "a bar"
    assert f"export {first.name}: 301 rows" in shown
    assert f"import {second.name}: 301 rows" in shown
    assert newest(first) == newest(second)


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_the_page_does_what_it_shows(hbeacon: Cluster, tmp_path: Path) -> None:
    """Its commands run one after the other, as a reader would type them."""
    page = (ROOT / "docs" / "import-export.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    (tmp_path / "hbeacon").write_text(f'#!/bin/sh\nexec {sys.executable} -m registry.cli.main "$@"\n')
    (tmp_path / "hbeacon").chmod(0o755)
    environment = os.environ | hbeacon.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    with connect_blocking(hbeacon.uri) as connection:
        connection.admin.create_table("users", {"cf": {"VERSIONS": 3}})
        connection.table("users").put("user-ada", {"cf:name": "Ada", "cf:visits": bytes(8)})
        connection.table("users").put("user-bob", {"cf:name": "Bob"})
        done = subprocess.run(
            ["bash", "-ec", "\n".join(blocks)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "2\n"
        found = newest(connection.table("users"))
        assert [*found] == [b"user-ada", b"user-bob", b"user-eve"]
        assert newest(connection.table("users2")) == newest(connection.table("users3")) == found
