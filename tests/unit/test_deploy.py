"""What deploy/ names exists in the code: metrics of the rules, settings of the environment files, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy import demo
from registry.config.keys import KEYS
from registry.exits import BAD_SETTING, REFUSED

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "hbeacon-adapter@.service"
VARIABLE = re.compile(r"\b(?:HBEACON|HBASE|ZOOKEEPER)_[A-Z_]+\b")
OF_THE_IMAGE = {"HBASE_CONF_DIR"}
"""Variables that are no settings."""


def test_alert_rules_name_metrics_that_exist() -> None:
    rules = (DEPLOY / "prometheus" / "hbeacon.rules.yml").read_text()
    pattern = r"\b(?:hbeacon|process|server|assignment_manager)_\w+"
    named = set(re.findall(pattern, " ".join(re.findall(r"expr: (.*)", rules))))
    # tests/unit/test_http_metrics.py holds that list to what is exposed
    exposed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    missing = named - exposed
    assert named
    assert not missing


@pytest.mark.parametrize(
    "name",
    [
        "systemd/adapter.env",
        "systemd/coordinator.env",
        "systemd/master.env",
        "systemd/regionserver.env",
        "container/Containerfile",
        "container/testing/Containerfile",
        "container/compose.yaml",
    ],
)
def test_variables_are_settings(name: str) -> None:
    known = {key.environment_name for key in KEYS.values()} | OF_THE_IMAGE
    named = set(VARIABLE.findall((DEPLOY / name).read_text()))
    assert named
    assert named <= known


def test_settings_named_in_the_proxy_sample_exist() -> None:
    named = set(re.findall(r"\bhbeacon\.[a-z_.]+[a-z_]", (DEPLOY / "haproxy" / "haproxy.cfg").read_text()))
    assert named
    assert named <= set(KEYS)


def test_the_unit_does_not_restart_what_will_fail_again() -> None:
    lines = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert lines["RestartPreventExitStatus"] == str(BAD_SETTING)
    assert lines["Type"] == "notify"
    assert lines["NotifyAccess"] == "all", "READY=1 comes from the worker, and the main process is the guard"


@pytest.mark.parametrize("role", ["coordinator", "master"])
def test_units_of_what_has_data_do_not_restart_on_foreign_data(role: str) -> None:
    unit = (DEPLOY / "systemd" / f"hbeacon-{role}@.service").read_text()
    lines = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert lines["RestartPreventExitStatus"] == f"{BAD_SETTING} {REFUSED}"
    assert lines["ExecStart"].endswith(f" {role} --conf /etc/hbeacon/%i --data-dir ${{STATE_DIRECTORY}}")
    assert lines["StateDirectory"] == f"hbeacon-{role}/%i"
    assert lines["EnvironmentFile"] == f"/etc/hbeacon/%i/{role}.env"
    assert ("NotifyAccess" in lines) == (role == "master"), (
        "with a guard the worker tells, which is not the main process"
    )


def test_region_servers_of_a_machine_are_one_user_with_one_directory_and_ports_of_their_own() -> None:
    unit = (DEPLOY / "systemd" / "hbeacon-regionserver@.service").read_text()
    lines = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert lines["RestartPreventExitStatus"] == f"{BAD_SETTING} {REFUSED}"
    assert lines["ExecStart"].endswith(" regionserver --conf /etc/hbeacon --data-dir ${STATE_DIRECTORY}")
    assert lines["Environment"] == "HBEACON_RPC_ADDRESS=0.0.0.0:1602%i HBEACON_HTTP_ADDRESS=0.0.0.0:1603%i"
    assert (lines["User"], lines["StateDirectory"]) == ("hbeacon", "hbeacon-regionserver")
    assert "DynamicUser" not in lines, "who takes a store over must be able to read it, and to kill who hangs"
    assert set(VARIABLE.findall(lines["Environment"])) <= {key.environment_name for key in KEYS.values()}


def test_the_demo_says_what_to_run_where_it_may_not_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(demo.shutil, "which", {"apt-get": "/usr/bin/apt-get"}.get)
    with pytest.raises(demo.DemoError, match="as root, run:  apt-get install --no-install-recommends zookeeper"):
        demo.install_packages(["zookeeper"])


def test_the_first_show_needs_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "ready_here", lambda: True)
    monkeypatch.setattr(demo, "ZOOKEEPER_JAR", tmp_path / "zookeeper.jar")
    assert demo.missing_packages("dev") == []
    assert demo.missing_packages("adapter") == ["zookeeper"]


def test_the_demo_shows_what_a_failed_command_printed() -> None:
    with pytest.raises(demo.DemoError, match=r"trying it failed:\nE: Unable to locate"):
        demo.run("trying it", ["sh", "-c", "echo 'E: Unable to locate package zookeeper'; exit 100"])


@pytest.mark.parametrize(
    ("script", "words", "environment", "sentence"),
    [
        ("start", ["0"], {}, "N=0: write a number from 1 to 64"),
        ("start", ["3", "4"], {}, "one number, or none"),
        ("start", ["--all"], {}, "--all is not known; --help tells what is"),
        ("start", [], {"BASE_PORT": "x"}, "BASE_PORT=x: write a number from 1 to"),
        ("start", [], {"SERVER_ID": "one"}, "SERVER_ID=one: write a number from 1 to 9999"),
        ("start", [], {"BIND_PORT": "16023"}, "give its SERVER_ID too"),
        ("stop", ["now"], {}, "now is not known"),
        ("stop", [], {"STOP_TIMEOUT_S": "-1"}, "STOP_TIMEOUT_S=-1: write a number from 0"),
    ],
)
def test_a_wrong_word_to_the_scripts_is_one_line_and_starts_nothing(
    tmp_path: Path, script: str, words: list[str], environment: dict[str, str], sentence: str
) -> None:
    where = {name: str(tmp_path / name) for name in ("PID_DIR", "LOG_DIR", "DATA_DIR")}
    done = subprocess.run(
        [str(DEPLOY / f"{script}-distributed-cluster.sh"), *words],
        env={"PATH": os.environ["PATH"], **where, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["start", "stop"])
def test_help_names_every_variable_that_the_scripts_read(script: str) -> None:
    done = subprocess.run(
        [str(DEPLOY / f"{script}-distributed-cluster.sh"), "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    text = (DEPLOY / f"{script}-distributed-cluster.sh").read_text()
    read = set(re.findall(r"\$\{([A-Z_]+):-", text)) - {"HBEACON_REGISTRY_SERVERS", "HBEACON_REGISTRY_HANDOUT"}
    assert read
    assert all(name in done.stdout for name in read), read


def test_a_server_whose_program_is_being_replaced_is_not_taken_for_one_that_has_ended(tmp_path: Path) -> None:
    """While exec is under way /proc tells no environment; once a busy machine's start said "coordinator has ended"."""
    replaced = tmp_path / "replaced"
    replaced.write_text('#!/bin/sh\nexec "$0"\n')
    replaced.chmod(0o755)
    pid_file = tmp_path / "it.pid"
    environment = {"DISTRIBUTED_CLUSTER_PID_FILE": str(pid_file), "PATH": os.defpath}
    with subprocess.Popen([replaced], env=environment) as process:
        pid_file.write_text(f"{process.pid}\n")
        try:
            asks = "for ((n = 0; n < 300; n++)); do pid_of it >/dev/null || exit 1; done"
            assert _shared_part(asks, tmp_path) == 0
        finally:
            process.kill()
        assert _shared_part("pid_of it", tmp_path) == 1, "a zombie"
    assert _shared_part("pid_of it", tmp_path) == 1, "nobody"
    pid_file.write_text(f"{os.getpid()}\n")
    assert _shared_part("pid_of it", tmp_path) == 1, "another's number"


def _shared_part(script: str, pid_dir: Path) -> int:
    """How commands end behind what the scripts share."""
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; source {DEPLOY / 'distributed-cluster.bash'}; {script}"],
        env={**os.environ, "PID_DIR": str(pid_dir)},
        stdout=subprocess.DEVNULL,
        timeout=50,
        check=False,
    ).returncode
