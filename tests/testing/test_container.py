"""The image for tests: what it runs, run here, for there is nothing here that builds images."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from pathlib import Path

import pytest

import hbeacon
from registry.dev.plan import plan_of
from registry.names import Address
from tests.support.dev import DevProcess
from tests.support.tested_pytest import ROOT

IMAGE = (ROOT / "deploy" / "container" / "testing" / "Containerfile").read_text()


def words(instruction: str) -> list[str]:
    return json.loads(re.findall(rf"^{instruction} (\[.*\])$", IMAGE, re.MULTILINE)[0])


def variables() -> dict[str, str]:
    return dict(re.findall(r"^ +(HBEACON_\w+)=(\S+)", IMAGE, re.MULTILINE))


def test_it_opens_the_ports_that_it_exposes() -> None:
    flags = dict(zip(words("CMD")[::2], words("CMD")[1::2], strict=True))
    zookeeper, rpc, http = (Address.parse(flags[name]) for name in ("--zookeeper-listen", "--rpc", "--http"))
    plan = plan_of(zookeeper, rpc, http, int(flags["--masters"]), region_servers_count=int(flags["--regionservers"]))
    doors = [each for server in (*plan.masters, *plan.region_servers) for each in (server.rpc, server.http) if each]
    assert {each.host for each in (plan.zookeeper, *doors)} == {"0.0.0.0"}
    (exposed,) = re.findall(r"^EXPOSE (.*)$", IMAGE, re.MULTILINE)
    assert [int(text) for text in exposed.split()] == [plan.zookeeper.port, *(each.port for each in doors)]


@pytest.mark.chaos
def test_what_it_runs_is_a_cluster_that_clients_reach_by_its_advertised_name(tmp_path: Path) -> None:
    assert words("ENTRYPOINT") == ["hbeacon", "dev"]
    dev = DevProcess(tmp_path / "log", *words("CMD"), env={**os.environ, **variables()})
    try:
        dev.wait_ready()
        ports = [text.rpartition(":")[2] for text in dev.masters]
        with hbeacon.connect_blocking(f"hbase+rpc://localhost:{ports[0]}") as found:
            meta = found.meta_locations(timeout_ms=10_000).value[0].server_name
            assert meta is not None
            assert str(meta.address) == f"localhost:{dev.region_servers[0].rpartition(':')[2]}"
        page = dev.http[0].rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/api/v1/faults", timeout=10) as answer:
            assert json.load(answer)["enabled"]
        check = words("  CMD")[-1].replace("16010", page).replace("timeout=1", "timeout=10")
        exec(compile(check, "HEALTHCHECK", "exec"), {})
    finally:
        dev.process.stop()
