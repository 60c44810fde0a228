"""`hbeacon dev` end to end: found, killed in parts and as a whole, stopped, started again. Needs no Java."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from registry.config.hadoop_xml import read_properties
from registry.names import ServerName
from registry.wire.znode import decode_cluster_id
from tests.support.dev import ROOT, DevProcess
from tests.support.processes import accepts, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

READY_S_MAX = 20.0
"""On a busy machine with everything else of the tests; docs/track-record.md tells what it takes on a quiet one."""
SESSION_S = 3.0
HANDED_OVER_S = SESSION_S + 1.0

Start = Callable[..., DevProcess]


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    made: list[DevProcess] = []

    def started(*flags: str, region_servers: int = 0) -> DevProcess:
        """Without region servers unless they matter: there is one core for each, and other tests wait."""
        temporary = tmp_path / "tmp"
        temporary.mkdir(exist_ok=True)
        words = (*flags, "--regionservers", str(region_servers))
        made.append(DevProcess(tmp_path / f"dev-{len(made)}.log", *words, env={"TMPDIR": str(temporary)}))
        return made[-1]

    yield started
    for dev in made:
        dev.process.stop()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def elected(dev: DevProcess, asked: int, wanted: Callable[[ServerName], bool], timeout_s: float) -> ServerName:
    """The active master that master number `asked` answers, once it is a wanted one."""

    def answer() -> ServerName | None:
        active = dev.active(asked)
        return active if active is not None and wanted(active) else None

    return wait_for(f"a new active master in the answers of master {asked}", answer, timeout_s)


@contextlib.contextmanager
def kazoo(dev: DevProcess) -> Generator[Any]:
    """A client of the coordinator."""
    client: Any = KazooClient(dev.zookeeper)
    client.start(10)
    try:
        yield client
    finally:
        client.stop()
        client.close()


def known_cluster_id(dev: DevProcess) -> str:
    """As ZooKeeper's path tells it."""
    with kazoo(dev) as client:
        return decode_cluster_id(client.get("/hbase/hbaseid")[0])


def test_one_command_is_a_cluster_and_ctrl_c_leaves_nothing(start: Start, tmp_path: Path) -> None:
    dev = start(region_servers=2).wait_ready(READY_S_MAX)
    assert dev.lines[0].startswith(f"hbeacon dev ready zookeeper={dev.zookeeper} masters=")
    assert len(set(dev.ports())) == 9
    assert known_cluster_id(dev) == dev.cluster_id
    actives = {dev.active(number) for number in (0, 1)}
    assert len(actives) == 1
    assert None not in actives
    uri = "hbase+rpc://" + ",".join(dev.masters)
    looked = look_up(uri)
    assert looked.returncode == 0, looked.stderr
    assert dev.cluster_id in looked.stdout, looked.stderr
    wait_for("the one that stands by to have registered", lambda: all_of(dev.masters, look_up(uri).stdout), 20)
    assert any(address.replace(":", ",") in looked.stdout for address in dev.region_servers), "hbase:meta is open"
    assert look_up("hbase+rpc://" + ",".join(dev.region_servers)).returncode == 0, "they are registry servers too"
    data, pids = dev.data_dir, dev.pids()
    assert data.parent == tmp_path / "tmp"
    assert len(pids) == 6
    dev.process.signal(signal.SIGINT)
    assert dev.process.popen.wait(15) == 0
    assert all(map(is_gone, pids))
    assert not any(accepts("127.0.0.1", port) for port in dev.ports())
    assert not list((tmp_path / "tmp").iterdir())


def all_of(addresses: Sequence[str], text: str) -> bool:
    return all(address.replace(":", ",") in text for address in addresses)


def look_up(uri: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "registry.cli.main", "lookup", uri]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_without_region_servers_a_cluster_is_found_and_has_no_meta(start: Start) -> None:
    dev = start().wait_ready(READY_S_MAX)
    looked = look_up("hbase+rpc://" + ",".join(dev.masters))
    assert looked.stderr.count("was not found") == 1, looked.stderr
    assert "knows no location of hbase:meta" in looked.stderr
    assert "regionservers" not in dev.lines[0]


def test_kill_9_of_region_servers_is_survived_and_told(start: Start, tmp_path: Path) -> None:
    flags = ("--data-dir", str(tmp_path / "data"))
    dev = start(*flags, region_servers=2).wait_ready(READY_S_MAX)
    for page in dev.region_server_pages:
        wait_for(f"{page} to be ready", lambda page=page: status(page, "/ready") == 200, 20)
        assert status(page, "/rs-status") == 200
        found = health(page)
        assert (found["storage_connection"], found["serving"]["registered"]) == ("connected", True)
    assert sum(health(page)["serving"]["regions"] for page in dev.region_server_pages) == 1, "hbase:meta"
    before = [dev.pid(f"rs{number}") for number in (0, 1)]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    for number, page in enumerate(dev.region_server_pages):
        wait_for(f"another rs{number}", lambda number=number: dev.pid(f"rs{number}") not in before, 10)
        wait_for(f"{page} to be ready again", lambda page=page: status(page, "/ready") == 200, 30)
    uri = "hbase+rpc://" + ",".join(dev.masters)
    wait_for("hbase:meta to be open again", lambda: look_up(uri).returncode == 0 or None, 30)
    stores = {store["store_id"] for page in dev.region_server_pages for store in health(page)["serving"]["stores"]}
    assert len(stores) == 2, "the next life takes the rows of the last, and makes no new place"
    pids = dev.pids()
    dev.kill_all()
    wait_for("the end of all", lambda: all(map(is_gone, pids)), 10)
    again = start(*flags, region_servers=2).wait_ready(READY_S_MAX + SESSION_S)
    assert again.cluster_id == dev.cluster_id
    assert look_up("hbase+rpc://" + ",".join(again.masters)).returncode == 0


def test_the_page_of_the_active_master_tells_of_region_servers_and_of_who_is_missing(start: Start) -> None:
    dev = start(region_servers=1).wait_ready(READY_S_MAX)
    active = dev.number_of(elected(dev, 0, lambda _: True, 5))
    cluster = health(dev.http[active])["cluster"]
    assert cluster["initialized"]
    assert cluster["region_servers"] == 1
    assert health(dev.http[1 - active])["cluster"] is None, "who stands by leads nothing"
    os.kill(dev.pid("master0"), signal.SIGSTOP)
    os.kill(dev.pid("master1"), signal.SIGSTOP)
    page = dev.region_server_pages[0]
    alone = wait_for(
        "a region server to miss its master",
        lambda: found if (found := health(page))["status"] == "degraded" else None,
        SESSION_S + 20,
    )
    print(alone["reasons"])
    assert status(page, "/ready") == 200, "its rows are served all the same"
    for number in (0, 1):
        os.kill(dev.pid(f"master{number}"), signal.SIGCONT)
    wait_for("a master to lead again", lambda: any(map(leads, dev.http)), SESSION_S + 20)
    wait_for("it to be well again", lambda: health(page)["status"] == "healthy" or None, 20)


def leads(page: str) -> bool:
    cluster = health(page)["cluster"]
    return cluster is not None and cluster["initialized"]


def status(page: str, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{page}{path}", timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def health(page: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{page}/health", timeout=10) as answer:
        return json.load(answer)


def test_ctrl_c_in_a_terminal_reaches_the_parent_alone(start: Start) -> None:
    """The terminal signals its foreground group; the roles have groups of their own, and end in order."""
    dev = start().wait_ready(READY_S_MAX)
    assert [os.getpgid(pid) for pid in dev.pids()] == dev.pids()
    os.killpg(dev.process.pid, signal.SIGINT)
    assert dev.process.popen.wait(15) == 0
    assert "ERROR" not in dev.process.tail()


def test_kill_9_of_the_active_master_hands_over_and_look_ups_go_on(start: Start) -> None:
    dev = start().wait_ready(READY_S_MAX)
    first = elected(dev, 0, lambda _: True, 5)
    victim = dev.number_of(first)
    other = 1 - victim
    pid = dev.pid(f"master{victim}")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    assert dev.active(other) is not None, "the other one answers all the while"
    second = elected(dev, other, lambda active: active != first, HANDED_OVER_S)
    assert second.start_code > first.start_code or second.address != first.address
    took_s = time.monotonic() - began
    assert took_s < HANDED_OVER_S
    # the one that was killed is there again, on its port, and agrees
    elected(dev, victim, lambda active: active == second, 10)
    assert dev.pid(f"master{victim}") != pid


def test_a_stopped_active_master_loses_its_place(start: Start) -> None:
    dev = start().wait_ready(READY_S_MAX)
    first = elected(dev, 0, lambda _: True, 5)
    victim = dev.number_of(first)
    other = 1 - victim
    pid = dev.pid(f"master{victim}")
    os.kill(pid, signal.SIGSTOP)
    second = elected(dev, other, lambda active: active != first, HANDED_OVER_S + 1.0)
    assert second.address != first.address
    os.kill(pid, signal.SIGCONT)
    elected(dev, victim, lambda active: active == second, 15)


def test_under_a_guard_a_stopped_role_is_replaced(start: Start) -> None:
    """Its clients see a reset, and who is started in its place answers on the same port and agrees."""
    dev = start("--guard", "on").wait_ready(READY_S_MAX)
    first = elected(dev, 0, lambda _: True, 5)
    victim = dev.number_of(first)
    pid = dev.pid(f"master{victim}")
    host, _, port = dev.masters[victim].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"Reg")
        time.sleep(0.2)
        os.kill(pid, signal.SIGSTOP)
        stopped_s = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        print(f"reset after {time.monotonic() - stopped_s:.2f} s")
        assert time.monotonic() - stopped_s < 6
    second = elected(dev, 1 - victim, lambda active: active != first, HANDED_OVER_S + 2)
    elected(dev, victim, lambda active: active == second, 15)
    assert dev.pid(f"master{victim}") != pid
    coordinator = dev.pid("coordinator")
    os.kill(coordinator, signal.SIGSTOP)
    wait_for("another coordinator", lambda: dev.pid("coordinator") != coordinator, 10)
    assert known_cluster_id(dev) == dev.cluster_id, "its journal tells what the last one knew"


def test_kill_9_of_the_coordinator_is_survived(start: Start) -> None:
    dev = start().wait_ready(READY_S_MAX)
    active = elected(dev, 0, lambda _: True, 5)
    os.kill(dev.pid("coordinator"), signal.SIGKILL)
    assert dev.active(0) == active, "look-ups go on without it"
    wait_for("the coordinator's port", lambda: accepts("127.0.0.1", dev.ports()[0]), 10)
    assert known_cluster_id(dev) == dev.cluster_id
    for number in (0, 1):
        elected(dev, number, lambda _: True, 15)


def test_a_data_directory_holds_the_cluster_over_starts(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = start("--data-dir", str(data)).wait_ready(READY_S_MAX)
    assert "(new)" in first.row("cluster id")
    with kazoo(first) as client:
        client.create("/mine", b"kept")
    assert first.process.stop() == 0
    assert data.is_dir()
    second = start("--data-dir", str(data)).wait_ready(READY_S_MAX)
    assert second.cluster_id == first.cluster_id == known_cluster_id(second)
    assert "(as in the runs before)" in second.row("cluster id")
    with kazoo(second) as client:
        assert client.get("/mine")[0] == b"kept"


def test_kill_9_of_everything_at_once_loses_no_identity(start: Start, tmp_path: Path) -> None:
    flags = ("--data-dir", str(tmp_path / "data"))
    first = start(*flags).wait_ready(READY_S_MAX)
    before = elected(first, 0, lambda _: True, 5)
    pids = first.pids()
    first.kill_all()
    wait_for("the end of all", lambda: all(map(is_gone, pids)), 10)
    second = start(*flags).wait_ready(READY_S_MAX)
    assert second.cluster_id == first.cluster_id == known_cluster_id(second)
    # the sessions of the dead are over soon, and a master of this life is active
    after = elected(second, 0, lambda active: active != before, HANDED_OVER_S + 2.0)
    assert str(after.address) in second.masters


def test_a_parent_that_is_killed_takes_all_with_it(start: Start) -> None:
    dev = start().wait_ready(READY_S_MAX)
    pids = dev.pids()
    os.kill(dev.process.pid, signal.SIGKILL)
    wait_for("the end of all", lambda: all(map(is_gone, pids)), 10)
    assert not any(accepts("127.0.0.1", port) for port in dev.ports())


def test_two_never_share_a_data_directory(start: Start, tmp_path: Path) -> None:
    flags = ("--data-dir", str(tmp_path / "data"))
    first = start(*flags).wait_ready(READY_S_MAX)
    second = start(*flags)
    assert second.process.popen.wait(15) == 4
    assert f"is in use by hbeacon dev (pid {first.process.pid})" in second.process.tail(1)
    assert first.active(0) is not None


def test_a_taken_port_ends_the_start_and_names_its_flag(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "registry.cli.main", "dev", "--data-dir", str(tmp_path / "data")),
                *("--rpc", "127.0.0.1:0", "--http", "off", "--zookeeper-listen", f"127.0.0.1:{port}"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "choose another with --zookeeper-listen HOST:PORT" in done.stderr
    assert not (tmp_path / "data").exists()


def test_files_for_java_clients_are_written(start: Start, tmp_path: Path) -> None:
    dev = start("--write-conf", str(tmp_path / "conf"), "--masters", "3").wait_ready(READY_S_MAX)
    assert len(dev.masters) == 3
    by_rpc = {item.name: item.value for item in read_properties(tmp_path / "conf" / "hbase-site.xml")}
    assert by_rpc["hbase.client.bootstrap.servers"] == ",".join(dev.masters)
    by_zookeeper = {
        item.name: item.value for item in read_properties(tmp_path / "conf" / "zookeeper" / "hbase-site.xml")
    }
    assert by_zookeeper["hbase.zookeeper.property.clientPort"] == str(dev.ports()[0])


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.35, 0.5, 0.7, 0.9])
def test_ctrl_c_at_any_moment_of_the_start_leaves_nothing(start: Start, tmp_path: Path, after_s: float) -> None:
    dev = start()
    time.sleep(after_s)
    pids = dev.pids()
    dev.process.signal(signal.SIGINT)
    code = dev.process.popen.wait(15)
    # Before its first line of Python: the signal itself, or Python's own word for it while it reads its site.
    in_python = code == 1 and "init_import_site" in dev.process.log.read_text()
    assert in_python or code in (0, 130, -signal.SIGINT), dev.process.tail()
    assert all(map(is_gone, pids))
    assert not list((tmp_path / "tmp").iterdir())
    assert "Traceback" not in dev.process.tail() or code != 0


def test_damaged_data_ends_it_with_one_line_and_stays_as_it_was(start: Start, tmp_path: Path) -> None:
    flags = ("--data-dir", str(tmp_path / "data"))
    assert start(*flags).wait_ready(READY_S_MAX).process.stop() == 0
    journal = max((tmp_path / "data" / "coordinator").iterdir(), key=lambda path: path.stat().st_size)
    damaged = bytearray(journal.read_bytes())
    damaged[len(damaged) // 3] ^= 0x40
    journal.write_bytes(damaged)
    second = start(*flags)
    assert second.process.popen.wait(15) == 4
    told = second.process.log.read_text()
    assert "hbeacon coordinator: " in told
    assert "Traceback" not in told
    assert journal.read_bytes() == damaged


def test_another_clusters_id_beside_the_journal_ends_it(start: Start, tmp_path: Path) -> None:
    """Two data directories mixed by hand: nothing is founded again, nothing is overwritten."""
    flags = ("--data-dir", str(tmp_path / "data"))
    first = start(*flags).wait_ready(READY_S_MAX)
    assert first.process.stop() == 0
    path = tmp_path / "data" / "cluster-id"
    other = path.read_text().replace(first.cluster_id, "11111111-2222-3333-4444-555555555555")
    path.write_text(other)
    second = start(*flags)
    assert second.process.popen.wait(20) == 4
    assert first.cluster_id in second.process.log.read_text()
    assert path.read_text() == other
