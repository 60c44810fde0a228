"""The one command: what it says, how fast it says it, and its exit codes."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from registry.cli.adapter import guard_wanted
from registry.cli.flags import SERVER_FLAGS, add_server_flags, flags_of, parser
from registry.cli.main import COMMANDS, main
from registry.client.connect import ConnectRequest
from registry.config.keys import KEYS
from registry.config.settings import BadSetting
from registry.names import Address
from tests.unit.test_config_files import site

ROOT = Path(__file__).parent.parent.parent


def modules_of(*words: str) -> set[str]:
    """Modules that a command has loaded when it is over."""
    code = f"import sys; from registry.cli.main import main; main({list(words)!r}); print(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_next_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    modules = modules_of("--help")
    assert not modules & {"argparse", "asyncio", "kazoo", "google.protobuf", "fastapi", "registry.config.settings"}
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in COMMANDS:
        assert f"\n  {word} " in text
    assert "exit codes" in text


def test_commands_load_what_they_need_and_no_more() -> None:
    modules = modules_of("config", "hbase.masters")
    assert not modules & {"asyncio", "kazoo", "google.protobuf", "fastapi", "defusedxml"}


def test_no_command_and_a_wrong_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["adaptr"]) == 2
    assert "did you mean adapter?" in capsys.readouterr().err


@pytest.mark.parametrize("closing", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_go_nowhere(closing: str) -> None:
    line = f"{sys.executable} -m registry.cli.main shell -e version {closing}"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_standard_output_is_said() -> None:
    command = [sys.executable, "-u", "-m", "registry.cli.main", "version"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "hbeacon version: No space left on device\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hbeacon ")


def test_config_shows_values_and_origins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site(tmp_path, **{"hbase.masters": "a:1", "hbeacon.zookeeper.auth": "digest:u:hunter2", "some.other": "x"})
    argv = ["config", "--conf", str(tmp_path), "--rpc", "0.0.0.0:16000", "--set", "hbase.client.pause=50", "--json"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    rows = json.loads(text)
    assert rows["hbase.masters"] == {
        "value": "a:1",
        "origin": f"{tmp_path}/hbase-site.xml:4",
        "meaning": KEYS["hbase.masters"].sentence,
    }
    assert (rows["hbeacon.rpc.address"]["origin"], rows["hbase.client.pause"]["origin"]) == ("--rpc", "--set")
    assert rows["hbase.rpc.timeout"]["origin"] == "default"
    assert rows["some.other"]["value"] == "x"
    assert "hunter2" not in text
    assert set(KEYS) <= set(rows)
    assert main(["config", "--conf", str(tmp_path), "--set-only"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["config", "no.such.key"]) == 1


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--rpc", "nowhere"], ["hbeacon.rpc.address", "'nowhere'", "--rpc", "port is missing"]),
        (["--set", "hbase.rpc.timeout=1m"], ["hbase.rpc.timeout", "'1m'", "--set", "plain milliseconds"]),
        (["--set", "novalue"], ["novalue", "KEY=VALUE"]),
        (["--conf", "/no/such/dir"], ["--conf", "/no/such/dir", "no such directory"]),
        (["--zookeeper", "/hbase"], ["--zookeeper", "zk1:2181/hbase"]),
        (["--guard", "maybe"], ["hbeacon.guard", "write on or off"]),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(
    argv: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", *argv]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    for part in parts:
        assert part in lines[0]


def test_zookeeper_flag_sets_quorum_and_znode() -> None:
    made = parser("x", "")
    add_server_flags(made)
    flags = flags_of(made.parse_args(["--zookeeper", "a:1,b:2/hbase-secure", "--set", "zookeeper.znode.parent=/other"]))
    assert flags.values == {"hbase.zookeeper.quorum": "a:1,b:2", "zookeeper.znode.parent": "/hbase-secure"}
    assert flags_of(made.parse_args(["--zookeeper", "a"])).values == {"hbase.zookeeper.quorum": "a"}
    assert {key for key, _, _ in SERVER_FLAGS.values()} <= set(KEYS)
    with pytest.raises(BadSetting):
        flags_of(made.parse_args(["--set", "=x"]))


REGISTRY = {
    "snapshot": {"generation": 1, "zxid": 5},
    "cluster_id": {"state": "known", "problem": "", "value": "abc"},
    "active_master": {"state": "absent", "problem": "nobody leads", "value": None},
    "region_servers": {"state": "known", "problem": "", "value": [{"server_name": "rs1,16020,1", "version": "2.6.4"}]},
}


FIREWALL = {
    "verdict": "no",
    "sentence": "No: 1 host that is no member of the cluster connected to ZooKeeper in the last day (10.0.0.9).",
    "watching_since": "2026-11-20T08:00:00.000Z",
    "zookeeper_hosts": [{"host": "10.0.0.9", "last_seen": "2026-11-21T08:00:00.000Z"}],
    "facade_only": [{"host": f"old-{number}", "last_seen": "2026-11-21T07:00:00.000Z"} for number in range(30)],
    "blind_spots": ["A weekly job may not have been seen."],
}


class _Server(BaseHTTPRequestHandler):
    ready = True
    old = False
    election: dict[str, Any] | None = None
    reasons: Sequence[str] = ()

    def do_GET(self) -> None:
        """Answers as an adapter does."""
        bodies: dict[str, tuple[int, Any]] = {
            "/readyz?verbose": (200 if self.ready else 503, "[+] cluster-id ok\n[-] active-master: none"),
            "/health": (200, json.dumps({"status": "healthy", "election": self.election, "reasons": self.reasons})),
            "/api/v1/registry": (200, json.dumps(REGISTRY)),
            "/api/v1/firewall": (404, "{}") if self.old else (200, json.dumps(FIREWALL)),
        }
        status, body = bodies[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{made.server_address[1]}"
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def test_status_prints_what_the_server_says(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert main(["status", server]) == 0
    text = capsys.readouterr().out
    assert f"http://{server}: ready, healthy" in text
    assert "  cluster_id: abc" in text
    assert "  active_master: absent (nobody leads)" in text
    assert "  region_servers: 1\n    rs1,16020,1 version=2.6.4" in text
    assert main(["status", "--set", f"hbeacon.http.address={server}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[f"http://{server}"]["registry"] == REGISTRY
    for part in (
        f"  may ZooKeeper be firewalled: {FIREWALL['sentence']} (watching since 2026-11-20T08:00:00.000Z)",
        "    connected to ZooKeeper: 10.0.0.9, last seen 2026-11-21T08:00:00.000Z",
        "    by the façade alone: old-19, last seen",
        "    by the façade alone: and 10 more",
        "    not seen: A weekly job",
    ):
        assert part in text
    monkeypatch.setattr(_Server, "old", True)
    assert main(["status", server]) == 0
    assert "firewalled" not in capsys.readouterr().out, "a server of an earlier version does not know"
    monkeypatch.setattr(_Server, "reasons", ["clients are let down on purpose: hang of Regist, seed 7 (fault 1)"])
    assert main(["status", server]) == 0
    assert "healthy\n  clients are let down on purpose: hang of Regist" in capsys.readouterr().out
    monkeypatch.setattr(_Server, "ready", False)
    assert main(["status", server, "127.0.0.1:1"]) == 1
    text = capsys.readouterr().out
    assert "NOT READY" in text
    assert "active-master: none" in text
    assert "refused" in text


@pytest.mark.parametrize(
    ("argv", "environ", "wanted"),
    [
        ([], {}, True),
        (["--help"], {}, False),
        (["--guard", "off"], {}, False),
        (["--guard=OFF"], {}, False),
        (["--set", "hbeacon.guard=false"], {}, False),
        ([], {"HBEACON_GUARD": "off"}, False),
        (["--guard", "on"], {"HBEACON_GUARD": "off"}, True),
        (["--guard", "perhaps"], {}, True),
    ],
)
def test_the_guard_is_decided_on_before_anything_is_loaded(
    argv: list[str], environ: dict[str, str], wanted: bool
) -> None:
    assert guard_wanted(argv, environ) is wanted


def test_status_of_the_cluster_that_is_configured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where no server is at the address of the settings, and none is named."""
    asked: list[tuple[str, object]] = []

    def answered(request: ConnectRequest, commands: list[str], *, as_json: bool) -> int:
        asked.append((request.uri, request.evaluate()[1].servers))
        print("1 active master")
        assert (commands, as_json) == (["status 'detailed'"], False)
        return 0

    monkeypatch.setattr("registry.cli.shell.do", answered)
    monkeypatch.setenv("HBASE_CONF_DIR", str(tmp_path))
    nobody = ("status", "--set", "hbeacon.http.address=127.0.0.1:1")
    assert main([*nobody]) == 1
    assert capsys.readouterr().out == "http://127.0.0.1:1: Connection refused\n", "no cluster is configured"
    file = "<configuration><property><name>hbase.masters</name><value>m1:16000</value></property></configuration>"
    (tmp_path / "hbase-site.xml").write_text(file)
    assert main([*nobody]) == 1, "the server itself is not there"
    told = "http://127.0.0.1:1: Connection refused\n\nThe cluster of these settings:\n1 active master\n"
    assert capsys.readouterr().out == told
    assert main([*nobody, "--json"]) == 1
    assert [*json.loads(capsys.readouterr().out)] == ["http://127.0.0.1:1"]
    assert main(["status", "127.0.0.1:1"]) == 1, "who names a server is told of it"
    assert asked == [("", (Address("m1", 16000),))]


def test_status_of_what_is_no_server_of_ours(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        assert main(["status", f"127.0.0.1:{httpd.server_port}", "127.0.0.1:1"]) == 1
        httpd.shutdown()
        thread.join()
    other, nobody = capsys.readouterr().out.split("\n\n")
    assert other.endswith("is no server of hbeacon; of HBase the masters are asked: hbeacon status hbase+rpc://HOST")
    assert nobody == "http://127.0.0.1:1: Connection refused\n"
    with pytest.raises(SystemExit) as caught:
        main(["status", "hbase+rpc://m1", "m2"])
    assert caught.value.code == 2
    assert "a cluster is asked alone" in capsys.readouterr().err


def test_status_tells_a_masters_place(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"role": "active", "server_name": "m1,16000,1", "active_master": "m1,16000,1", "acting": True, "epoch": 12}
    for changed, line in (
        ({}, "  election: active as m1,16000,1, epoch 0xc, acts\n"),
        (
            {"acting": False, "why_not": "is late"},
            "  election: active as m1,16000,1, epoch 0xc, does not act: is late\n",
        ),
        ({"role": "standby"}, "  election: standby as m1,16000,1, active master m1,16000,1\n"),
    ):
        monkeypatch.setattr(_Server, "election", place | changed)
        assert main(["status", server]) == 0
        assert line in capsys.readouterr().out
    monkeypatch.setattr(_Server, "election", None)
    assert main(["status", server]) == 0
    assert "election" not in capsys.readouterr().out
