"""Stock Java clients write, read and scan while servers of hbeacon's own cluster die, stand still and come back.

What happens when comes from a seed, the parameter of the test; `python -m tests.sim.campaign "data path"` runs many.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.support.adapters import AdapterProcess
from tests.support.data_load import PATIENT, Ingest, Registers
from tests.support.java import ClientError, JavaClient
from tests.support.own_cluster import OwnCluster
from tests.support.porcupine import verdict_on_rows
from tests.support.processes import wait_for
from tests.support.real_cluster import registry_settings
from tests.support.seeds import seeds
from tests.support.stories import zookeeper_settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEEDS = seeds(1)
KILLS = int(os.environ.get("HBEACON_KILLS", "6"))


def names_of(cluster: OwnCluster) -> list[str]:
    """host,port,startcode of the region servers, by their numbers."""
    return [server.get_json("/health")["serving"]["server_name"] for server in cluster.region_servers]


def test_no_master_for_a_while(cluster: OwnCluster, tmp_path: Path) -> None:
    """Connected clients go on, new ones find their way through region servers and ZooKeeper, nothing is moved after."""
    load = Ingest("listed", tmp_path / "ingest.log", zookeeper_settings(cluster.zookeeper, "2.6.4"))
    java = JavaClient("2.6.4", tmp_path / "client.log")
    try:
        load.wait_for_line("ready", 60)
        load.wait_grown("acked", "read", "scans")
        java.open("before", registry_settings("MasterRegistry", cluster.master_addresses))
        java.do("create", "before", "t")
        java.do("put", "before", "t", "row", "value")
        places = {table: java.do("places", "before", table).value for table in ("listed", "t")}
        assert len({place.split(" ")[0] for place in places["listed"].values()}) == 2, "regions on both servers"

        for master in cluster.masters:
            master.close()
        for server in cluster.region_servers:
            wait_for(
                f"`no active master` in /health of {server.process.name}",
                lambda server=server: b"no active master" in server.get("/health")[1],
                30,
            )
        load.wait_grown("acked", "read", "scans")
        assert java.do("get", "before", "t", "row").value == "value"
        java.open("servers", registry_settings("RpcConnectionRegistry", cluster.region_server_addresses))
        java.open("zookeeper", zookeeper_settings(cluster.zookeeper, "2.6.4"))
        for name in ("servers", "zookeeper"):
            java.do("put", name, "t", name, name)
            assert java.do("get", name, "t", "row").value == "value"
            assert java.do("scan", name, "t").value["row"] == "value"

        cluster.start_master(0).wait_ready()
        for server in cluster.region_servers:
            wait_for(
                f"/health of {server.process.name} to be well again",
                lambda server=server: b"no active master" not in server.get("/health")[1],
                30,
            )
        java.open("after", registry_settings("MasterRegistry", f"{cluster.masters[0].rpc}"))
        java.do("create", "after", "made-by-the-new-master")
        for table, before in places.items():
            assert java.do("places", "after", table).value == before, "no region was opened again"
        counts = load.stop()
        assert counts["failed"] == counts["failed-reads"] == 0, counts
    finally:
        java.close()
        load.close()


def test_data_out_of_reach_is_never_opened_empty(tmp_path: Path) -> None:
    """Two region servers with data of their own: what the dead one held waits for it, and is whole when it returns."""
    with (
        OwnCluster(tmp_path / "cluster", shared=False) as cluster,
        closing(JavaClient("2.6.4", tmp_path / "client.log")) as java,
    ):
        cluster.wait_ready()
        java.open("c", zookeeper_settings(cluster.zookeeper, "2.6.4") | {"hbase.client.operation.timeout": "4000"})
        tables = [f"t{number}" for number in range(6)]
        for table in tables:
            java.do("create", "c", table)
            java.do("put", "c", table, "row", table)
        home = {table: int(java.do("locate", "c", table).value.split(",")[1]) for table in tables}
        meta_port = int(java.do("locate", "c", "hbase:meta").value.split(",")[1])
        dead = next(n for n, port in enumerate(cluster.region_server_ports) if port != meta_port)
        gone = [table for table in tables if home[table] == cluster.region_server_ports[dead]]
        there = [table for table in tables if table not in gone]
        assert gone, f"all tables are on one server: {home}"

        cluster.region_servers[dead].close()
        wait_for("regions whose data is not reachable", lambda: unreachable(cluster) >= len(gone), 30)
        for table in there:
            assert java.do("get", "c", table, "row").value == table
        for asked in [java.submit("get", "c", table, "row") for table in gone]:
            # neither a value nor an empty row: the region is nowhere
            with pytest.raises(ClientError):
                asked.result(20)

        cluster.start_region_server(dead).wait_ready()
        java.open("later", zookeeper_settings(cluster.zookeeper, "2.6.4"))
        for table in tables:
            assert java.do("get", "later", table, "row").value == table


def unreachable(cluster: OwnCluster) -> int:
    """How many regions stay in transition because of it, as the active master says in /health and on its page."""
    for master in cluster.masters:
        told = master.get_json("/health").get("cluster")
        if told is not None:
            found = sum("not reachable" in row["reason"] for row in told["transitions"])
            assert not found or b"not reachable" in master.get("/master-status")[1]
            return found
    return 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_list_has_no_holes_whatever_happens_to_servers(cluster: OwnCluster, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    settings = zookeeper_settings(cluster.zookeeper, "2.6.4")
    load = Ingest("listed", tmp_path / "ingest.log", settings, moves_ms=chance.randrange(300, 1200), seed=seed)
    try:
        load.wait_for_line("ready", 60)
        load.wait_grown("acked", "read", "scans", by=50)
        for what in chance.sample(["kill", "stop", "masters too", "both"], 4):
            number = chance.randrange(2)
            server = cluster.region_servers[number]
            print(f"seed {seed}: {what}, region server {number}")
            time.sleep(chance.uniform(0, 0.7))
            if what == "kill":
                server.close()
                load.wait_grown("acked", "read")
                cluster.start_region_server(number).wait_ready()
            elif what == "stop":
                # longer than its session: its regions are opened elsewhere, and it must not write when it goes on
                before = deaths(cluster)
                server.process.signal(signal.SIGSTOP)
                wait_for("its death is known", lambda before=before: deaths(cluster) > before, 30)
                load.wait_grown("acked", "read")
                server.process.signal(signal.SIGCONT)
                wait_for(f"the end of {server.process.name}", lambda server=server: not server.process.running, 30)
                server.close()
                cluster.start_region_server(number).wait_ready()
            elif what == "masters too":
                for each in cluster.masters:
                    each.close()
                server.close()
                cluster.start_region_server(number)
                for master in range(len(cluster.masters)):
                    cluster.start_master(master)
            else:
                for each in cluster.region_servers:
                    each.close()
                for each in range(len(cluster.region_servers)):
                    cluster.start_region_server(each)
            load.wait_grown("acked", "read", "scans")
        counts = load.stop()
        assert counts["moves"] > 0, counts
        assert counts["failed"] == 0, f"operations given up after a minute: {counts}, see {load.process.log}"
    finally:
        load.close()


def deaths(cluster: OwnCluster) -> int:
    """Lives of region servers that masters have seen the end of."""
    return sum(master.process.log.read_text().count(" is dead; ") for master in cluster.masters)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_process_is_killed_at_any_moment(cluster: OwnCluster, tmp_path: Path, seed: int) -> None:
    """SIGKILL, also of one that has just begun, or of two at once: what was acknowledged is there, whole.

    Increments and appends whose answer was lost are sent again by the client, with their nonce, to whoever has the
    region then: each counts once.
    """
    chance = random.Random(seed)
    settings = zookeeper_settings(cluster.zookeeper, "2.6.4")
    load = Ingest("listed", tmp_path / "ingest.log", settings, counters=3, seed=seed)
    starts: dict[str, Callable[[], object]] = {
        "coordinator": partial(cluster.coordinator.start, wait=False),
        **{f"master {number}": partial(cluster.start_master, number) for number in range(2)},
        **{f"region server {number}": partial(cluster.start_region_server, number) for number in range(2)},
    }
    kills: dict[str, Callable[[], object]] = {
        "coordinator": cluster.coordinator.kill,
        **{f"master {number}": lambda number=number: cluster.masters[number].close() for number in range(2)},
        **{
            f"region server {number}": lambda number=number: cluster.region_servers[number].close()
            for number in range(2)
        },
    }
    victims = [name for name in kills for _ in range(3 if name.startswith("region") else 1)]
    try:
        load.wait_for_line("ready", 60)
        load.wait_grown("acked", "read", "counted", by=50)
        for _ in range(KILLS):
            time.sleep(chance.expovariate(1 / 0.8))
            chosen = set(chance.sample(victims, chance.choice((1, 1, 2))))
            print(f"seed {seed}: {sorted(chosen)}")
            for name in sorted(chosen):
                kills[name]()
            time.sleep(chance.choice((0, 0, chance.uniform(0, 1.5))))
            for name in sorted(chosen):
                starts[name]()
        cluster.wait_ready(60)
        load.wait_grown("acked", "read", "scans", "counted")
        counts = load.stop()
        assert counts["failed"] == 0, f"operations given up after a minute: {counts}, see {load.process.log}"
    finally:
        load.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_single_rows_are_linearizable_under_faults(cluster: OwnCluster, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    settings = zookeeper_settings(cluster.zookeeper, "2.6.4") | {"hbase.client.pause": "30"}
    load = Registers("registers", tmp_path / "registers.log", settings, threads=6, rows=40, seed=seed)
    java = JavaClient("2.6.4", tmp_path / "client.log")
    try:
        load.wait_for_line("ready", 60)
        java.open("c", zookeeper_settings(cluster.zookeeper, "2.6.4") | PATIENT)
        numbers = chance.sample((0, 1), 2)
        for number, what in zip(numbers, chance.sample(("kill", "stop"), 2), strict=True):
            for name in chance.sample(names_of(cluster), 2):
                time.sleep(chance.uniform(0.3, 1.1))
                java.do("move", "c", "registers", name)
            print(f"seed {seed}: {what}, region server {number}")
            server = cluster.region_servers[number]
            if what == "kill":
                server.close()
            else:
                server.process.signal(signal.SIGSTOP)
            wait_for("another server that has it", lambda name=server: taken_over(java, name), 30)
            time.sleep(1)
            server.close()
            cluster.start_region_server(number).wait_ready()
        history = load.stop()
    finally:
        java.close()
        load.close()
    known = Counter(each["kind"] for each in history if each["return"] >= 0)
    assert min(known[kind] for kind in ("read", "write", "cas", "increment")) > 50, known
    assert verdict_on_rows(history) == "ok", f"not linearizable, see {tmp_path}"


def taken_over(java: JavaClient, server: AdapterProcess) -> bool:
    """Whether no region of the registers is said to be on that server any more."""
    return all(
        f",{server.rpc_address[1]}," not in place for place in java.do("places", "c", "registers").value.values()
    )
