"""Masters as processes: who acts is told by those who act (tests.support.master_probe), whatever is done to them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.adapters import AdapterProcess
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.faultproxy import TcpFaultProxy
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.look_ups import LookUps
from tests.support.master_probe import FILE_VARIABLE, acts, check
from tests.support.netns import ClientNamespace
from tests.support.processes import free_ports, wait_for
from tests.support.rpc import CLUSTER_ID
from tests.support.zookeeper import ZooKeeperServer, debian

pytestmark = [pytest.mark.zookeeper, pytest.mark.chaos]

HOST = "127.0.0.1"
TIMEOUT_MS = 2000


class Coordination(Protocol):
    """A real ZooKeeper, or hbeacon's coordinator."""

    port: int

    @property
    def address(self) -> str: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...
    def wipe(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture(params=["zookeeper", "coordinator"])
def coordination(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Coordination]:
    directory = tmp_path_factory.mktemp("coordination")
    if request.param == "zookeeper":
        server: Coordination = ZooKeeperServer(debian(), directory)
    else:
        server = CoordinatorProcess(directory)
    server.start()
    yield server
    server.close()


class Masters:
    """Some masters of one cluster, whose id is the one that tests.support.look_ups asks for."""

    def __init__(self, directory: Path, zookeeper: str) -> None:
        self.probe = directory / "acts"
        self.all: list[AdapterProcess] = []
        self._directory = directory
        self._zookeeper = zookeeper

    def start(
        self,
        *,
        zookeeper: str = "",
        rpc: str = f"{HOST}:0",
        timeout_ms: int = TIMEOUT_MS,
        http: str = f"{HOST}:0",
        guard: bool = False,
        enter: Sequence[str] = (),
    ) -> AdapterProcess:
        name = f"master{len(self.all)}"
        data = self._directory / f"{name}.data"
        data.mkdir()
        row = {"format": 1, "cluster_id": CLUSTER_ID, "founded": False}
        (data / "cluster-id").write_text(json.dumps(row))
        made = AdapterProcess(
            name,
            self._directory / f"{name}.log",
            zookeeper=zookeeper or self._zookeeper,
            rpc=rpc,
            http=http,
            guard=guard,
            settings={"zookeeper.session.timeout": str(timeout_ms), "hbeacon.data.dir": str(data)},
            command=("tests.support.master_probe", "master"),
            env={FILE_VARIABLE: str(self.probe)},
            enter=enter,
        )
        self.all.append(made)
        return made

    def start_ready(self, count: int) -> None:
        """Start so many, and wait until one acts and the others answer."""
        for _ in range(count):
            self.start()
        for master in self.all:
            master.wait_ready()
        self.wait_acting()

    def wait_acting(
        self, *others_than: AdapterProcess, since_ms: float = 0.0, timeout_s: float = 10.0
    ) -> AdapterProcess:
        """Who acts, once it is another than these; a line of its own later than `since_ms` proves it."""
        not_these = {other.process.pid for other in others_than}

        def acting() -> AdapterProcess | None:
            done = acts(self.probe)
            last = done[-1] if done else None
            if last is None or last.pid in not_these or last.at_ms <= since_ms:
                return None
            return next((master for master in self.all if master.process.pid == last.pid), None)

        return wait_for("a master that acts", acting, timeout_s, 0.02)

    def others(self, one: AdapterProcess) -> list[AdapterProcess]:
        return [master for master in self.all if master is not one and master.process.running]

    def first_act_ms(self, pid: int, after_ms: float) -> float:
        return next(act.at_ms for act in acts(self.probe) if act.pid == pid and act.at_ms > after_ms)


@pytest.fixture
def masters(coordination: Coordination, tmp_path: Path) -> Generator[Masters]:
    made = Masters(tmp_path, coordination.address)
    yield made
    for master in made.all:
        master.close()


def now_ms() -> float:
    return time.monotonic() * 1000


def role(master: AdapterProcess) -> dict[str, Any]:
    """What the master says of itself."""
    return master.get_json("/health")["election"]


def test_a_dead_master_is_followed_within_the_session_time_out_and_a_second(masters: Masters) -> None:
    masters.start_ready(3)
    active = masters.wait_acting()
    with LookUps(masters.others(active)[0].rpc_address[1]) as look_ups:
        killed_ms = now_ms()
        active.process.kill()
        following = masters.wait_acting(active)
    took_ms = masters.first_act_ms(following.process.pid, killed_ms) - killed_ms
    slowest_ms = max(look_ups.took_ms)
    print(f"handed over after {took_ms:.0f} ms; slowest of {len(look_ups.took_ms)} look-ups {slowest_ms:.1f} ms")
    assert took_ms <= TIMEOUT_MS + 1000
    assert slowest_ms < 1000
    check(masters.probe)


def test_a_master_that_stood_still_acts_no_more(masters: Masters) -> None:
    masters.start_ready(2)
    active = masters.wait_acting()
    other = masters.others(active)[0]
    with LookUps(other.rpc_address[1]):
        active.freeze()
        frozen_ms = now_ms()
        assert masters.wait_acting(active) is other
        took_ms = masters.first_act_ms(other.process.pid, frozen_ms) - frozen_ms
        assert took_ms <= TIMEOUT_MS + 1000
        active.thaw()
        thawed_ms = now_ms()
        wait_for("the standby", lambda: role(active)["role"] == "standby", 10.0)
    done = check(masters.probe)
    assert not [act for act in done if act.pid == active.process.pid and act.at_ms > thawed_ms]
    assert role(active)["lives"] == 2, "it is another candidate, with another start code"
    assert role(other)["role"] == "active"


def test_a_master_that_stands_still_for_a_moment_stays(masters: Masters) -> None:
    masters.start_ready(2)
    active = masters.wait_acting()
    epoch = role(active)["epoch"]
    active.freeze()
    time.sleep(TIMEOUT_MS / 1000 / 2)
    active.thaw()
    assert masters.wait_acting(since_ms=now_ms()) is active
    assert role(active)["epoch"] == epoch
    check(masters.probe)


def test_masters_outlive_a_restart_of_zookeeper(masters: Masters, coordination: Coordination) -> None:
    masters.start_ready(2)
    with LookUps(masters.all[0].rpc_address[1]):
        coordination.kill()
        time.sleep(TIMEOUT_MS / 1000)
        assert not [act for act in acts(masters.probe) if act.at_ms > now_ms() - TIMEOUT_MS / 4], "the lease is over"
        coordination.start()
        started_ms = now_ms()
        masters.wait_acting(since_ms=started_ms, timeout_s=TIMEOUT_MS / 1000 + 3)
    check(masters.probe)


@pytest.mark.parametrize("how", ["black_hole", "cut"])
def test_a_partitioned_master_stops_before_another_begins(
    masters: Masters, coordination: Coordination, how: str
) -> None:
    proxy = TcpFaultProxy((HOST, coordination.port))
    try:
        behind = masters.start(zookeeper=proxy.address).wait_ready()
        assert masters.wait_acting() is behind
        other = masters.start().wait_ready()
        with LookUps(behind.rpc_address[1]):
            getattr(proxy, how)()
            cut_ms = now_ms()
            assert masters.wait_acting(behind) is other
            last_ms = max(act.at_ms for act in acts(masters.probe) if act.pid == behind.process.pid)
            assert last_ms - cut_ms <= TIMEOUT_MS * 2 / 3 + 200
            assert masters.first_act_ms(other.process.pid, cut_ms) > last_ms
            assert role(behind)["acting"] is False
            proxy.heal()
            wait_for("the standby", lambda: role(behind)["role"] == "standby", 20.0)
        check(masters.probe)
    finally:
        proxy.close()


def test_a_master_whose_network_is_cut_stops_before_another_begins(
    masters: Masters, coordination: Coordination
) -> None:
    """Packets vanish: no reset, no answer, and what TCP holds back comes when the other one has long been elected."""
    namespace = ClientNamespace()
    proxy = TcpFaultProxy((HOST, coordination.port), host=namespace.server_address)
    try:
        inside = f"{namespace.client_address}:0"
        behind = masters.start(zookeeper=proxy.address, rpc=inside, http=inside, enter=namespace.enter).wait_ready()
        assert masters.wait_acting() is behind
        other = masters.start().wait_ready()
        with LookUps(other.rpc_address[1]):
            namespace.cut()
            cut_ms = now_ms()
            assert masters.wait_acting(behind) is other
            last_ms = max(act.at_ms for act in acts(masters.probe) if act.pid == behind.process.pid)
            assert last_ms - cut_ms <= TIMEOUT_MS * 2 / 3 + 200
            took_ms = masters.first_act_ms(other.process.pid, cut_ms) - cut_ms
            print(f"cut: the one acted for {last_ms - cut_ms:.0f} ms, the other after {took_ms:.0f} ms")
            assert took_ms <= TIMEOUT_MS + 1000
            namespace.heal()
            wait_for("the standby", lambda: behind.get("/livez")[0] == 200 and role(behind)["role"] == "standby", 30.0)
        check(masters.probe)
    finally:
        proxy.close()
        namespace.close()


def test_a_stop_hands_over_at_once(masters: Masters) -> None:
    masters.start_ready(2)
    active = masters.wait_acting()
    other = masters.others(active)[0]
    stopped_ms = now_ms()
    os.kill(active.process.pid, signal.SIGTERM)
    assert masters.wait_acting(active) is other
    assert masters.first_act_ms(other.process.pid, stopped_ms) - stopped_ms < TIMEOUT_MS / 2
    assert active.process.popen.wait(10) == 0
    check(masters.probe)


def test_the_next_life_at_one_address_does_not_wait_for_the_session(masters: Masters) -> None:
    rpc = f"{HOST}:{free_ports(HOST, 1)[0]}"
    first = masters.start(rpc=rpc, timeout_ms=10_000).wait_ready()
    assert masters.wait_acting() is first
    first.process.kill()
    killed_ms = now_ms()
    second = masters.start(rpc=rpc, timeout_ms=10_000)
    assert masters.wait_acting(first) is second
    assert now_ms() - killed_ms < 6000
    check(masters.probe)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_under_a_guard_nobody_waits_for_the_session(masters: Masters, how: signal.Signals) -> None:
    """The next worker removes what the last one left; itself or the standby acts then, whoever is first."""
    masters.start(timeout_ms=10_000, guard=True).wait_ready()
    masters.start(timeout_ms=10_000).wait_ready()
    hung = wait_for("an act", lambda: next(iter(acts(masters.probe)), None), 10).pid
    hurt_ms = now_ms()
    os.kill(hung, how)
    later = wait_for("another's act", lambda: next((a for a in acts(masters.probe) if a.pid != hung), None), 12, 0.02)
    took_ms = later.at_ms - hurt_ms
    print(f"{how.name}: acts again after {took_ms:.0f} ms")
    assert took_ms < 6000, "less than the session time-out"
    check(masters.probe)


def test_a_foreign_cluster_is_left_alone(masters: Masters, coordination: Coordination) -> None:
    tree = HBaseTreeWriter(coordination.address)
    tree.write()
    before = tree.client.get_children("/hbase")
    master = masters.start()
    assert master.process.popen.wait(20) == 4
    line = master.process.log.read_text().splitlines()[-1]
    assert line.startswith("hbeacon master: /hbase belongs to an HBase cluster")
    assert "hbeacon adapter" in line
    assert tree.client.get_children("/hbase") == before
    tree.close()


def test_a_wiped_zookeeper_is_founded_again_with_the_same_id(masters: Masters, coordination: Coordination) -> None:
    masters.start_ready(2)
    assert masters.all[0].get_json("/health")["cluster_id"] == CLUSTER_ID
    coordination.kill()
    coordination.wipe()
    coordination.start()
    tree = HBaseTreeWriter(coordination.address)
    wait_for("a master", lambda: tree.client.exists("/hbase/master"), 20)
    assert CLUSTER_ID.encode() in tree.client.get("/hbase/hbaseid")[0]
    tree.close()
