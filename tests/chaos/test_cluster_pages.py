"""Pages of hbeacon's own cluster in a real browser: tables, regions, what is not reachable, as it comes and goes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from protos.hbase import Master_pb2
from registry.names import Address
from tests.support.browser import Browser
from tests.support.own_cluster import OwnCluster
from tests.support.processes import tool, wait_for
from tests.support.table_calls import Step, family, play, schema

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[OwnCluster]:
    with OwnCluster(tmp_path, masters=1, region_servers=2, shared=False) as made:
        yield made.wait_ready()


@pytest.fixture
def browser(tmp_path: Path) -> Generator[Browser]:
    (tmp_path / "browser").mkdir()
    made = Browser(tmp_path / "browser")
    yield made
    made.close()


def create_orders(cluster: OwnCluster) -> None:
    """A table of four regions on the two servers."""
    request = Master_pb2.CreateTableRequest(table_schema=schema("orders", family("f")), split_keys=[b"c", b"m", b"<t>"])
    told = asyncio.run(play(Address("127.0.0.1", cluster.master_ports[0]), [Step("", "CreateTable", request)]))
    assert told[0]["procedure"] == "ok", told


def test_what_a_cluster_does_is_on_the_screen(cluster: OwnCluster, browser: Browser) -> None:
    master = cluster.masters[0]
    browser.open(f"http://{master.http}/master-status")
    browser.wait("to be live", lambda: "live" in browser.text("#live"))
    create_orders(cluster)
    browser.wait("the table", lambda: "orders ENABLED 4 4" in browser.text("#tables"))
    browser.wait("its procedure", lambda: "CreateTableProcedure orders SUCCESS" in browser.text("#tables"))
    assert browser.text("#transitions") == ""

    name = master.get_json("/health")["cluster"]["meta_server"]
    with_meta = next(n for n, port in enumerate(cluster.region_server_ports) if f",{port}," in name)
    other = 1 - with_meta
    bare = cluster.region_servers[other]
    assert bare.get_json("/health")["serving"]["regions"] == 2, "by turns"
    home = next(store for store in bare.get_json("/health")["serving"]["stores"] if store["home"])["store_id"]
    bare.process.kill()
    browser.wait(
        "its regions, and why they wait",
        lambda: browser.text("#transitions").count("data not reachable") == 2 and home in browser.text("#transitions"),
    )
    assert "orders ENABLED 4 2" in browser.text("#tables")
    assert browser.loads == 1, "nothing was reloaded"
    found = master.get_json("/health")
    assert found["status"] == "degraded"
    assert any("data not reachable" in reason for reason in found["reasons"])
    status, body = master.get("/metrics")
    assert status == 200
    assert b"hbeacon_cluster_regions_unreachable 2.0" in body
    checked = subprocess.run([tool("promtool"), "check", "metrics"], input=body, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr.decode()

    cluster.start_region_server(other).wait_ready()
    browser.wait("all to be open again", lambda: "orders ENABLED 4 4" in browser.text("#tables"))
    browser.wait("nothing in transition", lambda: browser.text("#transitions") == "")
    wait_for("the master to be well", lambda: master.get_json("/health")["status"] == "healthy" or None, 20)
    assert browser.complaints == []


def test_a_region_server_shows_its_regions_and_misses_its_master(cluster: OwnCluster, browser: Browser) -> None:
    create_orders(cluster)
    server = cluster.region_servers[0]
    browser.open(f"http://{server.http}/rs-status")
    browser.wait("its regions", lambda: browser.text("#regions").count("orders,") >= 2)
    shown = browser.text()
    assert "serves" in shown
    assert "open here" not in shown
    assert "<script" not in browser.text("#regions")
    cluster.masters[0].process.kill()
    browser.wait("to miss its master", lambda: "no active master: rows are served" in browser.text())
    assert server.get("/ready")[0] == 200
    found = server.get_json("/health")
    assert (found["status"], found["connections"]["master"]) == ("degraded", "disconnected")
    cluster.start_master(0).wait_ready()
    browser.wait("to have one again", lambda: "no active master" not in browser.text())
    status, body = server.get("/metrics")
    assert status == 200
    checked = subprocess.run([tool("promtool"), "check", "metrics"], input=body, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr.decode()
    assert browser.complaints == []
