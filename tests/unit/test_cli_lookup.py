"""`hbeacon lookup`: table, JSON, exit codes, and an error that names every server."""

from __future__ import annotations

import json
import time

import pytest

from registry.cli import lookup
from registry.cli.main import main
from registry.config.values import BadSetting
from registry.wire.stamp import Stamp
from tests.support.registry import CLUSTER_ID, MASTER, META, bodies
from tests.support.scripted import answering, hanging, refused_address
from tests.unit.test_client_blocking import server_thread


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HBASE_CONF_DIR", "HBASE_MASTERS", "HBASE_CLIENT_BOOTSTRAP_SERVERS", "HBASE_CLIENT_RETRIES_NUMBER"):
        monkeypatch.delenv(name, raising=False)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    with server_thread(answering(bodies(), stamp=Stamp(2, 0x4D2, 15.0, 7))) as address:
        assert lookup.run([f"hbase+rpc://{address}"]) == 0
    out = capsys.readouterr().out
    for text in (CLUSTER_ID, f"{MASTER} (active)", f"replica 0: {META}", str(address), "2:0x4d2", "15 ms", "hedged"):
        assert text in out
    assert "(none handed out)" in out


@pytest.mark.parametrize("flags", [["--masters"], ["--policy", "fanout"], ["--set"]])
def test_json(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with server_thread(answering(bodies(), stamp=Stamp(2, 1234, 15.0, 7))) as address:
        if flags == ["--masters"]:
            words = ["--masters", str(address)]
        elif flags == ["--set"]:
            words = ["--set", f"hbase.client.bootstrap.servers={address}"]
        else:
            words = [str(address), *flags]
        assert lookup.run([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["found"] is True
    assert report["policy"] == ("fanout" if "fanout" in flags else "hedged")
    assert report["cluster_id"]["value"] == CLUSTER_ID
    assert report["active_master"]["value"] == str(MASTER)
    assert report["masters"]["value"] == [{"server_name": str(MASTER), "is_active": True}]
    assert report["meta_locations"]["value"] == [{"replica_id": 0, "server_name": str(META), "seq_num": -1}]
    assert report["bootstrap_nodes"]["value"] == []
    for name in ("cluster_id", "meta_locations"):
        assert report[name]["server"] == str(address)
        assert report[name]["version"] == {"generation": 2, "zxid": 1234}
        assert (report[name]["age_ms"], report[name]["changed_zxid"], report[name]["calls"]) == (15.0, 7, 1)
        assert report[name]["elapsed_ms"] > 0


def test_how_new_it_has_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--fresh", "--max-staleness", "250", "--min-zxid", "0x4d2", "--generation", "2"]
    with server_thread(answering(bodies(), stamp=Stamp(2, 1234, 15.0, 7, wants_met=True))) as address:
        assert lookup.run([str(address), *words]) == 0
    assert "2:0x4d2" in capsys.readouterr().out
    with server_thread(answering(bodies())) as address:
        assert lookup.run([str(address), "--fresh"]) == 1
    assert "does not say whether its answer is as new as is asked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--min-zxid", "soon"], ["--max-staleness", "-1"], ["--generation", "1.5"], ["--min-zxid", ""]]
)
def test_how_new_in_words_that_are_no_numbers(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert lookup.run(["127.0.0.1:1", *words]) == 2
    assert words[0].strip("-").replace("-", "_") in capsys.readouterr().err


def test_nothing_reachable(capsys: pytest.CaptureFixture[str]) -> None:
    with server_thread(hanging) as hung, refused_address() as refused:
        begin = time.monotonic()
        assert lookup.run([f"{hung},{refused}", "--timeout", "300"]) == 1
        assert time.monotonic() - begin < 10
    printed = capsys.readouterr()
    assert printed.out == "", "no table of nothing"
    lines = printed.err.splitlines()
    assert sum(str(hung) in line for line in lines) == 1
    assert f"  {refused}: connection refused" in lines
    assert any("not answered within" in line or "no answer yet" in line for line in lines)


def test_nothing_reachable_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with refused_address() as refused:
        assert lookup.run([str(refused), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["found"] is False
    assert report["active_master"]["servers"] == [{"server": str(refused), "problem": "connection refused"}]


def test_a_cluster_without_an_active_master(capsys: pytest.CaptureFixture[str]) -> None:
    with server_thread(answering(bodies(master=None))) as address:
        assert lookup.run([str(address)]) == 1
    printed = capsys.readouterr()
    assert CLUSTER_ID in printed.out
    assert "not found" in printed.out
    assert f"  {address}: knows no active master" in printed.err.splitlines()


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "soon"])
@pytest.mark.parametrize("words", [["lookup"], ["shell"], ["status"], ["export", "t", "f"], ["import", "f", "t"]])
def test_a_timeout_that_is_none(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--timeout", text])
    assert caught.value.code == 2
    assert f"--timeout: {text!r} is no number above 0" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--policy", "guess"], ["a", "b"], ["--nonsense"]])
def test_bad_command_lines(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        lookup.run(words)
    assert caught.value.code == 2


@pytest.mark.parametrize("words", [["http://a:1"], ["a:x"], ["--masters", ""], ["--set", "hbase.rpc.timeout=soon"]])
def test_bad_settings_are_left_to_the_command(words: list[str]) -> None:
    with pytest.raises(BadSetting):
        lookup.run(words)
