"""The live page in a real browser: what changes is on the screen without a reload, and nothing complains."""

from __future__ import annotations

import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from registry.names import ServerName
from tests.support import registry_probe
from tests.support.adapters import AdapterProcess
from tests.support.browser import Browser
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import free_ports

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

EVIL = "<img/src/onerror=alert(1)>"


@pytest.fixture
def coordinator(tmp_path: Path) -> Generator[CoordinatorProcess]:
    server = CoordinatorProcess(tmp_path, keep=False)
    server.start()
    yield server
    server.close()


@pytest.fixture
def tree(coordinator: CoordinatorProcess) -> Generator[HBaseTreeWriter]:
    writer = HBaseTreeWriter(coordinator.address)
    writer.write()
    yield writer
    writer.close()


@pytest.fixture
def adapter(tmp_path: Path, coordinator: CoordinatorProcess, tree: HBaseTreeWriter) -> Generator[AdapterProcess]:
    del tree  # it has to be there first
    rpc_port, http_port = free_ports("127.0.0.1", 2)  # of no client: one test starts it again at the same
    process = AdapterProcess(
        "live",
        tmp_path / "adapter.log",
        zookeeper=coordinator.address,
        rpc=f"127.0.0.1:{rpc_port}",
        http=f"127.0.0.1:{http_port}",
        guard=False,
    )
    try:
        yield process.wait_ready()
    finally:
        process.close()


@pytest.fixture
def browser(tmp_path: Path) -> Generator[Browser]:
    window = Browser(tmp_path)
    try:
        yield window
    finally:
        window.close()


def follow(browser: Browser, adapter: AdapterProcess) -> None:
    browser.open(f"http://{adapter.http}/")
    browser.wait("the page to follow", lambda: browser.text("#live") == "live")
    browser.evaluate("window.marked = 'not reloaded'")


def test_changes_are_on_the_screen_without_a_reload(
    browser: Browser, adapter: AdapterProcess, tree: HBaseTreeWriter
) -> None:
    follow(browser, adapter)
    assert str(tree.tree.master) in browser.text('[data-live="answers"]')
    # another active master, and meta on another server
    other = ServerName("other-master.example.org", 16000, 1_795_000_000_777)
    tree.elect(other)
    browser.wait("the new master", lambda: str(other) in browser.text('[data-live="answers"]'))
    moved = ServerName("other-worker.example.org", 16020, 1_795_000_000_778)
    zxid = tree.move_meta(moved)
    browser.wait("the new place of meta", lambda: f"{moved} OPEN" in browser.text('[data-live="answers"]'))
    assert f"0x{zxid:x}" in browser.text('[data-live="answers"]'), "with its version"
    # what a peer says is text and stays text when it comes as an event
    tree.move_meta(replace(moved, host=EVIL))
    browser.wait("the strange name", lambda: EVIL in browser.text('[data-live="answers"]'))
    assert browser.evaluate("document.images.length") == 0
    # who is asking, by what path, and the picture
    before = browser.evaluate("document.querySelectorAll('polyline.p50').length")
    assert before == 0, "nobody has asked"
    for _ in range(3):
        registry_probe.active_master(adapter.rpc_address)
    browser.wait("who asked", lambda: "127.0.0.1" in browser.text('[data-live="clients"]'))
    browser.wait("the picture", lambda: browser.evaluate("document.querySelectorAll('polyline.p50').length") > 0)
    browser.wait("the count by path", lambda: "RPC connection 3" in browser.text('[data-live="activity"]'))
    # ages move between two changes, by themselves
    age = "document.querySelector('header time').textContent"
    first = browser.evaluate(age)
    browser.wait("the age to move", lambda: browser.evaluate(age) != first)
    # on a telephone nothing sticks out
    browser.call("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
    browser.wait("the width", lambda: browser.evaluate("document.documentElement.scrollWidth") <= 400)
    assert browser.evaluate("window.marked") == "not reloaded"
    assert (browser.loads, browser.complaints) == (1, [])


def test_the_page_of_a_master_follows_its_election(
    browser: Browser, coordinator: CoordinatorProcess, tmp_path: Path
) -> None:
    masters = [
        AdapterProcess(
            name,
            tmp_path / f"{name}.log",
            zookeeper=f"{coordinator.address}/hbeacon",
            rpc="127.0.0.1:0",
            guard=False,
            settings={"zookeeper.session.timeout": "6000"},
            command=("registry.cli.main", "master"),
        )
        for name in ("one", "two")
    ]
    try:
        for master in masters:
            master.wait_ready(60)

        def role(master: AdapterProcess) -> str:
            return str(master.get_json("/health")["election"]["role"])

        browser.wait("an active master", lambda: sorted(map(role, masters)) == ["active", "standby"], 60)
        active, standby = sorted(masters, key=role)
        follow(browser, standby)
        assert browser.text(".pills").startswith("standby")
        active.process.popen.send_signal(signal.SIGKILL)
        browser.wait("the other to act", lambda: browser.text(".pills").startswith("active"), 60)
        browser.wait("what it says of itself", lambda: "This master active, acts" in browser.text("main"))
        lease = "document.querySelector('[data-live=election] [data-tick=down]').textContent"
        first = browser.evaluate(lease)
        browser.wait("the lease to move", lambda: browser.evaluate(lease) != first)
        assert browser.evaluate("document.title").startswith("hbeacon master")
        assert browser.evaluate("window.marked") == "not reloaded"
        assert browser.complaints == []
    finally:
        for master in masters:
            master.close()


def test_trouble_comes_up_by_itself_and_goes(
    browser: Browser, adapter: AdapterProcess, coordinator: CoordinatorProcess
) -> None:
    follow(browser, adapter)
    assert browser.evaluate("document.title").startswith("hbeacon adapter")
    coordinator.pause()
    try:
        browser.wait("the session to be away", lambda: "zookeeper suspended" in browser.text(".pills"), 60)
        assert "degraded" in browser.text(".pills")
    finally:
        coordinator.resume()
    browser.wait("the session to be back", lambda: "zookeeper connected" in browser.text(".pills"), 60)
    assert browser.evaluate("window.marked") == "not reloaded"
    assert browser.complaints == []


def test_a_page_whose_server_is_gone_says_so_and_comes_back(
    browser: Browser, adapter: AdapterProcess, coordinator: CoordinatorProcess, tmp_path: Path
) -> None:
    follow(browser, adapter)
    rpc, http = adapter.rpc, adapter.http
    adapter.process.popen.send_signal(signal.SIGKILL)
    browser.wait("the page to say so", lambda: "not connected" in browser.text("#live"), 60)
    assert browser.evaluate("document.body.classList.contains('stale')")
    again = AdapterProcess(
        "again", tmp_path / "again.log", zookeeper=coordinator.address, rpc=rpc, http=http, guard=False
    )
    try:
        again.wait_ready()
        browser.wait("the page to follow again", lambda: browser.text("#live") == "live", 60)
        assert not browser.evaluate("document.body.classList.contains('stale')")
        assert browser.evaluate("window.marked") == "not reloaded"
        assert all("net::ERR" in line for line in browser.complaints), "that the server was away, and nothing else"
    finally:
        again.close()


def test_without_scripts_the_page_is_whole_and_reloads_itself(browser: Browser, adapter: AdapterProcess) -> None:
    browser.open(f"http://{adapter.http}/", scripts=False)
    document = browser.document()
    for part in ("May ZooKeeper be firewalled now?", "every 5 s", "GetActiveMaster", "<svg", "Clients of the last day"):
        assert part in document, part
    browser.wait("the page to reload itself", lambda: browser.loads >= 2, 60)
    assert browser.complaints == []


def test_every_other_page_is_without_complaints(browser: Browser, adapter: AdapterProcess) -> None:
    for path in ("/master-status", "/?refresh=off", "/logLevel", "/logLevel?log=registry", "/nothing-here"):
        browser.complaints.clear()
        browser.open(f"http://{adapter.http}{path}")
        expected = [line for line in browser.complaints if "404" not in line]
        assert expected == [], path
    assert "Answers" not in browser.text()


def test_the_policy_runs_no_other_script(browser: Browser, adapter: AdapterProcess) -> None:
    """What would get past the escaping still could not run."""
    follow(browser, adapter)
    browser.evaluate(
        "window.evil = 0; document.querySelector('main').innerHTML = '<img src=x onerror=\"window.evil = 1\">';"
        "const s = document.createElement('script'); s.textContent = 'window.evil = 2'; document.body.append(s)"
    )
    browser.wait("the policy to say so", lambda: len(browser.complaints) >= 2)
    assert browser.evaluate("window.evil") == 0
    assert any("Content Security Policy" in line for line in browser.complaints)
