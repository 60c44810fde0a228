"""`hbeacon shell` against a cluster of its own, as a user runs it."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from registry.cli.main import main
from registry.shell import session
from registry.shell.output import TextOutput
from registry.shell.prompt import ShellCompleter, coloured
from registry.shell.session import WORDS
from registry.testing.cluster import Cluster

Shell = Callable[..., tuple[str, str]]


class Input(io.BytesIO):
    """What is typed into it."""

    name = "<stdin>"


ATTRIBUTES = ("a.b", "MAX_FILESIZE", "OWNER", "PRIORITY", "READONLY")


@pytest.fixture
def shell(hbeacon_session: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Standard output and standard error of one run, in this process."""

    def run(*words: str, stdin: str = "", code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Input(stdin.encode())))
        ended = main(["shell", hbeacon_session.uri, *words])
        told = capsys.readouterr()
        assert ended == code, told
        return told.out, told.err

    return run


def records(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_table_from_its_first_day_to_its_last(shell: Shell, tmp_path: Path) -> None:
    commands, splits = tmp_path / "commands.txt", tmp_path / "splits.txt"
    splits.write_text("g\n\\x70\n")
    commands.write_text(
        f"""
        create_namespace 'shop', {{'owner' => 'ada', 'town' => 'Rome'}}
        alter_namespace 'shop', METHOD => 'unset', NAME => 'town'
        create 'shop:users', {{NAME => 'cf', VERSIONS => 3}}, 'old', SPLITS_FILE => '{splits}'
        """
        """
        put 'shop:users', 'ada', 'cf:name', "Ada\\x00", 1000   # text and a byte
        put shop:users bob cf:name Bob
        put 'shop:users', 'ada', 'cf:name', 'Ada L.'
        incr 'shop:users', 'ada', 'cf:visits', 5
        append 'shop:users', 'bob', 'cf:name', 'by'
        get 'shop:users', 'ada', {COLUMN => 'cf:name', VERSIONS => 3}
        scan 'shop:users', {
          COLUMNS => ['cf:visits:toLong', 'cf:name'], FILTER => "ValueFilter(!=, 'binary:no')"}
        delete 'shop:users', 'ada', 'cf:name'
        get 'shop:users', 'ada', 'cf:name'
        count 'shop:users'
        alter 'shop:users', {NAME => 'cf', TTL => 9999}, {NAME => 'new'}, 'delete' => 'old', OWNER => 'eve'
        alter 'shop:users', MAX_FILESIZE => '10 GB', PRIORITY => 7; alter 'shop:users', CONFIGURATION => {'a.b' => 1}
        alter 'shop:users', {METHOD => 'table_att_unset', NAME => ['OWNER', 'PRIORITY']}, {
          METHOD => 'table_conf_unset', NAME => 'a.b'}, READONLY => false
        """
    )
    out, err = shell(str(commands))
    assert err == ""
    assert "Created table shop:users" in out
    assert "COUNTER VALUE = 5" in out
    assert "CURRENT VALUE = Bobby" in out
    assert "timestamp=1970-01-01T00:00:01Z, value=Ada\\x00" in out
    assert re.search(
        r" ada +column=cf:visits, timestamp=\S+, value=5\n bob +column=cf:name, .*value=Bobby\n2 row\(s\)", out
    )
    assert out.count("value=Ada\\x00") == 2, "deleting the newest version brings the one before back"

    (described,) = records(shell("--json", "-e", "describe 'shop:users'")[0])
    assert sorted(described["families"]) == ["cf", "new"]
    assert described["families"]["cf"]["TTL"] == "9999"
    assert described["families"]["cf"]["VERSIONS"] == "3"
    changed = {name: each for name, each in described["attributes"].items() if name in ATTRIBUTES}
    assert changed == {"MAX_FILESIZE": "10737418240", "READONLY": "false"}
    (namespace,) = records(shell("--json", "-e", "describe_namespace 'shop'")[0])
    assert namespace["configuration"] == {"owner": "ada"}
    regions = records(shell("--json", "-e", "list_regions 'shop:users'")[0])
    assert [(each["start_key"], each["end_key"]) for each in regions] == [("", "g"), ("g", "p"), ("p", "")]

    out, _ = shell(
        "-e",
        "deleteall 'shop:users', {ROWPREFIXFILTER => 'b'}; truncate 'shop:users'; disable 'shop:users'",
        "-e",
        "drop 'shop:users'\ndrop_namespace 'shop'\nexists 'shop:users'",
    )
    assert "1 row(s)" in out
    assert "Table shop:users does not exist" in out


def test_json_has_a_line_for_each_row_and_nothing_else(shell: Shell) -> None:
    shell(
        "-e",
        "create 'json', 'f'",
        "-e",
        "put json a f:x 1 77",
        "-e",
        "put 'json', \"b\\xff\", 'f:', ''",
    )
    out, _ = shell("--json", "-e", "scan json")
    first, second = records(out)
    assert first == {"row": "a", "cells": [{"column": "f:x", "timestamp": 77, "value": "1"}]}
    assert second["row"] == "b\\xFF"
    assert records(shell("--json", "-e", "count json")[0]) == [{"rows": 2}]
    (status,) = records(shell("--json", "-e", "status")[0])
    assert len(status["servers"]) >= 1
    assert status["dead_servers"] == []


def test_rows_of_a_prefix_are_deleted_or_columns_of_them(
    hbeacon_session: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    puts = [f"put pre {row} f:{name} {row}" for row in ("a1", "a2", "b1") for name in ("x", "y")]

    def left(*commands: str, code: int = 0) -> dict[str, list[str]]:
        each = [word for command in (*commands, "scan pre") for word in ("-e", command)]
        assert main(["shell", hbeacon_session.uri, "--json", *each]) == code
        found = records(capsys.readouterr().out)
        return {row["row"]: [cell["column"] for cell in row["cells"]] for row in found if "row" in row}

    both = ["f:x", "f:y"]
    assert left("create 'pre', 'f'", *puts) == {"a1": both, "a2": both, "b1": both}
    assert left("deleteall 'pre', {ROWPREFIXFILTER => 'a'}, 'f:x'") == {"a1": ["f:y"], "a2": ["f:y"], "b1": both}
    assert left("deleteall 'pre', {ROWPREFIXFILTER => 'b', CACHE => 1}, 'f:y', 5")["b1"] == both
    assert left("deleteall 'pre', {ROWPREFIXFILTER => ''}", code=1) == {}, "the scan behind it is not done"
    assert left("deleteall 'pre', {ROWPREFIXFILTER => 'a'}") == {"b1": both}
    assert left("deleteall 'pre', 'b1', 'f:x'") == {"b1": ["f:y"]}
    assert left("put pre r f:x v -5", code=1) == {}, "no time before 1970"
    assert main(["shell", hbeacon_session.uri, "--json", "-e", "get_counter pre r f:x"]) == 0
    assert records(capsys.readouterr().out) == [{"counter_value": None}]


def test_status_of_a_cluster(hbeacon_session: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", hbeacon_session.uri]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^1 active master, \d+ backup masters, [1-9]\d* servers, 0 dead", out)
    assert "regions=" in out
    assert main(["status", hbeacon_session.uri, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["active_master"]
    assert main(["status", "hbase+rpc://127.0.0.1:1", "--timeout", "0.05"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_what_cannot_be_done_is_said_and_ends_the_run(shell: Shell) -> None:
    out, err = shell("-e", "scan 'nowhere'", "-e", "version", code=1)
    assert err == "ERROR: TableNotFoundException: nowhere\n"
    assert "hbeacon" not in out, "what follows a failed command is not done"
    out, err = shell("-e", "list 'x.*'; scan 'nowhere'; version", code=1)
    assert "0 row(s)" in out
    assert "hbeacon" not in out, "nor in its line"
    out, err = shell("--keep-going", "-e", "scan 'nowhere'; version; exit; whoami", code=1)
    assert "hbeacon" in out
    assert "auth" not in out
    out, err = shell("-e", "version; put 'x", code=1)
    assert "at character 14 of: version; put 'x" in err
    assert out == "", "a line that cannot be read is not begun"
    _, err = shell("-e", "create 'unset', 'f'; alter 'unset', METHOD => 'table_att_unset', NAME => 'OWNR'", code=1)
    assert err == "ERROR: table unset has no attribute 'OWNR'\n"
    out, err = shell(
        "--keep-going",
        stdin="putt 'x'\nput 'x'\nscan 'x', {LIMT => 1}\nlist_regions 'x', {A => 1}\nlist '*'\nversion\n",
        code=1,
    )
    assert "did you mean put?" in err
    assert "write it so:  put 'TABLE', 'ROW', 'cf:q', 'VALUE'" in err
    assert "LIMT is no option here: there are COLUMN," in err
    assert "A is no option here: there are none" in err
    assert "such as abc.*: Dangling meta character '*' near index 0" in err
    assert "hbeacon" in out
    _, err = shell(stdin="version\n\nput 'x\n", code=1)
    assert "at character 5 of: put 'x: the input ends within a command\nin line 3 of <stdin>" in err


@pytest.mark.parametrize("line", ["list", "scan 't'", "put t r f:q v"])
def test_who_is_not_there_is_asked_by_one_row_of_tries(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ("--set", "hbase.client.retries.number=2", "--set", "hbase.client.pause=5")
    assert main(["shell", "127.0.0.1:1", *quick, "-e", line]) == 1
    told = capsys.readouterr().err
    tries = r"failed after 1 attempt .*; 127.0.0.1:1: connection refused \(asked 3 times\)\n"
    assert re.search(rf"^ERROR: \w+: .* {tries}is this the cluster\? Another is named by a URI", told), told


def test_who_is_waited_for_is_said_on_a_terminal(
    shell: Shell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "WAIT_S", 0.0)
    said = "waiting for 127.0.0.1:1 ..."
    words = ("shell", "127.0.0.1:1", "--set", "hbase.client.retries.number=0", "-e", "list")
    assert main([*words]) == 1
    assert said not in capsys.readouterr().err, "nobody looks"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main([*words]) == 1
    assert capsys.readouterr().err.startswith(f"\r{said}\r{' ' * len(said)}\rERROR: Retries")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    out, _ = shell("-e", "list 'x.*'")
    assert re.match(r"\rwaiting for .* \.\.\.\r +\r\S*TABLE", out), "wiped before anything is printed"


def test_lines_of_a_pipe_are_answered_one_by_one(hbeacon_session: Cluster) -> None:
    command = [sys.executable, "-m", "registry.cli.main", "shell", hbeacon_session.uri, "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word, key in (("version", "hbeacon"), ("whoami", "user")):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            assert key in json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_cluster_and_a_file_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe is a file, a list of hosts that is longer than names of files are is none."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("whoami\n",))
    writer.start()
    hosts = ",".join(f"host{number}.example" for number in range(30))
    assert main(["shell", "-e", "version", hosts, str(pipe), "--json"]) == 0
    writer.join()
    first, second = records(capsys.readouterr().out)
    assert "hbeacon" in first
    assert second["auth"] == "SIMPLE"
    assert main(["shell", "here:1", "there:1"]) == 2
    assert "here:1 there:1: one cluster and one file" in capsys.readouterr().err


def test_every_word_says_how_it_is_written() -> None:
    for word in WORDS:
        assert word.sentence in WORDS.help()
        assert all(example.startswith(word.name) for example in word.examples), word


def test_help_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "127.0.0.1:1", "--json", "-e", "help", "-e", "help 'scan'"]) == 0
    *every, scan = records(capsys.readouterr().out)
    assert sorted(word["word"] for word in every) == WORDS.names()
    assert scan["examples"][0] == "scan 'TABLE'"


def test_the_page_lists_every_word() -> None:
    page = (Path(__file__).parents[2] / "docs" / "shell.md").read_text()
    listed = [word for line in page.splitlines() if line.startswith("| ") for word in line.split("|")[2].split(", ")]
    assert sorted(word.strip() for word in listed[2:]) == WORDS.names()


def test_words_tables_and_options_are_completed() -> None:
    completer = ShellCompleter(lambda: ["users", "uses", "x"])

    def offered(text: str) -> list[str]:
        return [each.text for each in completer.get_completions(Document(text), CompleteEvent())]

    assert offered("sc") == ["scan"]
    assert offered("put 't', 'r', 'f:q', 'a;b'; sc") == ["scan"]
    assert offered("scan 'us") == ["users'", "uses'"]
    assert offered("scan us") == ["'users'", "'uses'"]
    assert offered("list 'us") == []
    assert offered("scan 'users', {ROWP") == ["ROWPREFIXFILTER"]
    assert offered("help tr") == ["truncate", "truncate_preserve"]


def test_keys_are_cut_on_a_terminal_alone() -> None:
    for width, lines in ((0, [f" {'k' * 99} v"]), (60, [f" {'k' * 20} v", *[f" {'k' * 20}"] * 3, f" {'k' * 19}"])):
        to = io.StringIO()
        TextOutput(to, width).record({"A": "k" * 99, "B": "v"})
        assert to.getvalue().splitlines() == lines


def test_colours_change_no_character() -> None:
    for line in ("scan 't', {LIMIT => 10}", 'put "a', "x y 1 Z"):
        assert "".join(part[1] for part in coloured(line)) == line
    assert ("ansigreen", "'t'") in coloured("scan 't', {LIMIT => 10}")


@pytest.mark.timeout(60)
def test_at_a_prompt(hbeacon_session: Cluster, tmp_path: Path) -> None:
    """A terminal: a command over two lines, completion by Tab, history on the disk, Ctrl-D."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    command = [sys.executable, "-m", "registry.cli.main", "shell", hbeacon_session.uri]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        ends = time.monotonic() + 30
        while text not in seen:
            assert time.monotonic() < ends, f"{text!r} was not printed: {seen[-2000:]!r}"
            if select.select([leader], [], [], 0.2)[0]:
                seen += os.read(leader, 4096).decode("utf-8", "replace")
        seen = seen[seen.index(text) + len(text) :]

    try:
        until("hbeacon>")
        os.write(leader, b"create 'typed', {NAME =>\r")
        until("...")
        os.write(leader, b"'f'}\r")
        until("Created table typed")
        until("hbeacon>")
        os.write(leader, b"vers\t")
        until("ion")  # a slow terminal has vers already
        os.write(leader, b"\r")
        until("speaks HBase")
        until("hbeacon>")
        os.write(leader, b"\x04")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert "create 'typed'" in (tmp_path / "hbeacon" / "shell-history").read_text()
