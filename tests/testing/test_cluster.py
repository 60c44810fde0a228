"""A cluster of a test: its rows, its time, its faults, its snapshots, its deaths."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import hbeacon as client
from registry.testing.cluster import Cluster
from registry.testing.zygote import ClusterError
from registry.wire.errors import CallTimeoutException, HBaseError
from tests.support.processes import accepts, wait_for
from tests.support.tested_rows import Tables

Start = Callable[..., Cluster]


@pytest.fixture(scope="module")
def cluster(hbeacon_start: Start) -> Cluster:
    """One for all tests here that leave it as it was."""
    return hbeacon_start()


@pytest.fixture
def clean(cluster: Cluster) -> Cluster:
    """The same, empty and without faults."""
    cluster.faults.clear()
    return cluster


def test_it_is_a_cluster_that_clients_find(clean: Cluster) -> None:
    with clean.connect_blocking() as found:
        assert found.cluster_id(timeout_ms=5000).value == clean.cluster_id
        assert str(found.active_master(timeout_ms=5000).value.address) == clean.masters[0]
    zookeeper = f"hbase+zk://{clean.zookeeper}{clean.znode_parent}"
    with client.connect_blocking(zookeeper) as found:
        assert found.cluster_id(timeout_ms=5000).value == clean.cluster_id


async def test_it_is_connected_to_in_a_loop_too(clean: Cluster) -> None:
    async with clean.connect() as found:
        assert (await found.cluster_id(timeout_ms=5000)).value == clean.cluster_id


def test_other_clients_get_a_file_or_variables(clean: Cluster, tmp_path: Path) -> None:
    def properties(path: Path) -> dict[str, str]:
        found = ET.parse(path).getroot()
        return {str(each.findtext("name")): str(each.findtext("value")) for each in found}

    by_registry = properties(clean.hbase_site(tmp_path / "conf"))
    assert by_registry["hbase.client.bootstrap.servers"] == ",".join([*clean.masters, *clean.region_servers])
    by_zookeeper = properties(clean.hbase_site(tmp_path / "old.xml", registry="zookeeper"))
    assert f"{by_zookeeper['hbase.zookeeper.quorum']}:{by_zookeeper['hbase.zookeeper.property.clientPort']}" == (
        clean.zookeeper
    )
    environ = clean.environ
    assert environ["PATH"] == os.environ["PATH"]
    assert properties(Path(environ["HBASE_CONF_DIR"]) / "hbase-site.xml") == by_registry
    with client.connect_blocking(conf_dir=environ["HBASE_CONF_DIR"]) as found:
        assert found.cluster_id(timeout_ms=5000).value == clean.cluster_id


def test_cells_expire_as_its_calendar_goes_on_and_scanners_do_not(clean: Cluster) -> None:
    tables = Tables(clean)
    tables.create("ageing", TTL="3600")
    tables.create("lasting")
    for table in ("ageing", "lasting"):
        tables.put(table, b"row", b"value")
    tables.put("lasting", b"row2", b"value")
    before = clean.now
    assert tables.scan_across("lasting", lambda: clean.advance(minutes=59)) == [b"row", b"row2"], (
        "its lease is a minute"
    )
    assert tables.get("ageing", b"row") == b"value"
    clean.advance(minutes=2)
    assert tables.get("ageing", b"row") is None
    assert tables.get("lasting", b"row") == b"value"
    assert 61 * 60 <= (clean.now - before).total_seconds() < 61 * 60 + 60
    tables.put("ageing", b"row", b"written in that hour")
    assert tables.get("ageing", b"row") == b"written in that hour"
    with pytest.raises(ValueError, match="never goes back"):
        clean.advance(hours=-1)


def test_faults_are_met_by_calls_of_their_methods_alone(clean: Cluster) -> None:
    tables = Tables(clean)
    tables.create("faulty")
    tables.put("faulty", b"row", b"value")
    with clean.fault("delay", methods="Get", delay_ms=300, on="regionserver") as slow:
        began_s = time.monotonic()
        assert tables.get("faulty", b"row") == b"value"
        assert time.monotonic() - began_s > 0.29
        assert (slow.applied, slow.matched) == (1, 1)
        assert [each.partition(" by ")[0] for each in clean.faults] == ["regionserver0: delay"]
    assert not len(clean.faults)
    with clean.fault("hang", methods="Get", count=1), pytest.raises(CallTimeoutException):
        tables.get("faulty", b"row", timeout_ms=200)
    with clean.fault("reset", methods="Mutate", count=1), pytest.raises(HBaseError):
        tables.put("faulty", b"row", b"other")
    assert tables.get("faulty", b"row") == b"value", "what is reset is not run"
    with clean.fault("drop", methods="Mutate", count=1), pytest.raises(HBaseError):
        tables.put("faulty", b"row", b"other")
    assert tables.get("faulty", b"row") == b"other", "what is dropped is run, and its answer lost"
    assert clean.faults.applied == {"delay": 1, "hang": 1, "reset": 1, "drop": 1}


def test_a_fault_that_no_server_can_have_is_refused(clean: Cluster) -> None:
    with pytest.raises(ClusterError, match="no method here is called 'Gett'; did you mean Get"):
        clean.fault("hang", methods="Gett", on="regionserver")
    with pytest.raises(ClusterError, match="'hangs' is not a kind of fault; did you mean hang"):
        clean.fault("hangs")
    with pytest.raises(ValueError, match="'regionserver7' is no process"):
        clean.fault("hang", on="regionserver7")


def test_the_same_test_meets_the_same_faults(clean: Cluster, hbeacon_start: Start) -> None:
    def seeds(seed: int) -> list[int]:
        other = hbeacon_start(seed=seed, region_servers=0)
        found = [other.fault("refuse", probability=0.5).seed for _ in range(3)]
        other.close()
        return found

    assert seeds(7) == seeds(7) != seeds(8)


def test_stale_look_ups_stay_as_they_were(hbeacon_start: Start) -> None:
    settings = {"zookeeper.session.timeout": 1000}
    with hbeacon_start(masters=2, region_servers=0, settings=settings) as cluster:
        active = cluster.active_master
        number = int(active.removeprefix("master"))
        standby = f"master{1 - number}"
        uri = f"hbase+rpc://{cluster.masters[1 - number]}"
        with cluster.fault("stale", on=standby), client.connect_blocking(uri) as asked:
            before = asked.active_master(timeout_ms=5000).value
            cluster.kill(active, restart=False)
            wait_for("the other master", lambda: _is_active(cluster, standby), 30)
            asked.refresh()
            assert asked.active_master(timeout_ms=5000).value == before
            cluster.faults.clear()
            asked.refresh()
            assert str(asked.active_master(timeout_ms=5000).value.address) == cluster.masters[1 - number]


def _is_active(cluster: Cluster, process: str) -> bool:
    try:
        return cluster.active_master == process
    except ClusterError:
        return False


def test_a_restore_brings_back_tables_and_rows_and_nothing_else(cluster: Cluster) -> None:
    tables = Tables(cluster)
    empty = cluster.snapshot()
    tables.create_namespace("ns")
    tables.create("kept", splits=[b"m"])
    tables.create("ns:gone")
    tables.create("off")
    for row in (b"a", b"b", b"z"):
        tables.put("kept", row, b"first")
    tables.put("ns:gone", b"row", b"value")
    tables.put("off", b"row", b"value")
    tables.disable("off")
    full = cluster.snapshot()
    assert {"kept", "ns:gone", "off"} <= set(full.tables)

    tables.put("kept", b"a", b"second")
    tables.put("kept", b"new", b"row")
    tables.delete("ns:gone")
    tables.create("later")
    cluster.restore(full)
    assert [tables.get("kept", row) for row in (b"a", b"b", b"z", b"new")] == [b"first", b"first", b"first", None]
    assert tables.get("ns:gone", b"row") == b"value"
    assert tables.names() == full.tables

    cluster.restore(empty)
    assert tables.names() == empty.tables
    cluster.restore(full)
    assert [tables.get("kept", row) for row in (b"a", b"b", b"z", b"new")] == [b"first", b"first", b"first", None]
    assert tables.get("ns:gone", b"row") == b"value"
    assert cluster.snapshot().catalogue["tables"] == full.catalogue["tables"], "one of them is disabled"
    cluster.restore(empty)


def test_versions_and_deletes_come_back_as_they_were(cluster: Cluster) -> None:
    tables = Tables(cluster)
    before = cluster.snapshot()
    tables.create("versions", VERSIONS="3")
    for value in (b"1", b"2", b"3"):
        tables.put("versions", b"row", value)
    kept = cluster.snapshot()
    files = {path.name: path.read_bytes() for path in kept.directory.rglob("*") if path.is_file()}
    tables.put("versions", b"row", b"4")
    cluster.restore(kept)
    again = cluster.snapshot()
    assert {path.name: path.read_bytes() for path in again.directory.rglob("*") if path.is_file()} == files
    cluster.restore(before)


def test_a_snapshot_of_another_cluster_is_refused(cluster: Cluster, hbeacon_start: Start) -> None:
    with hbeacon_start() as other:
        theirs = other.snapshot()
    with pytest.raises(ClusterError, match="another cluster's"):
        cluster.restore(theirs)
    with hbeacon_start(region_servers=0) as other, pytest.raises(ClusterError, match="has no tables"):
        other.snapshot()


def test_a_killed_region_server_comes_back_with_its_rows(hbeacon_start: Start) -> None:
    with hbeacon_start(engine="rocksdb") as cluster:
        tables = Tables(cluster)
        tables.create("t")
        tables.put("t", b"row", b"value")
        kept, pid = cluster.snapshot(), cluster.pids["rs0"]
        cluster.kill("regionserver0")
        cluster.wait_ready()
        assert cluster.pids["rs0"] not in (0, pid)
        assert tables.get("t", b"row") == b"value"
        tables.put("t", b"row", b"other")
        cluster.restore(kept)
        assert tables.get("t", b"row") == b"value"


def test_a_killed_process_stays_down_where_it_is_asked_to(hbeacon_start: Start) -> None:
    with hbeacon_start(region_servers=0) as cluster:
        cluster.kill("master0", restart=False)
        assert cluster.pids["master0"] == 0
        assert not accepts("127.0.0.1", int(cluster.masters[0].rpartition(":")[2]))
        cluster.start("master0")
        cluster.wait_ready()
        assert cluster.pids["master0"]


def test_a_stopped_process_neither_answers_nor_ends(hbeacon_start: Start) -> None:
    with hbeacon_start(region_servers=0) as cluster:
        pid = cluster.pids["master0"]
        with cluster.stopped("master0"), cluster.connect_blocking() as found:
            with pytest.raises(client.HBaseError):
                found.cluster_id(timeout_ms=300)
            began_s = time.monotonic()
            with pytest.raises(ClusterError, match="master0 stands still"):
                cluster.fault("delay", delay_ms=1)
            with pytest.raises(ClusterError, match="master0 stands still"):
                cluster.wait_ready(0.1)
            assert time.monotonic() - began_s < 30, "nobody waits for an answer"
        with cluster.connect_blocking() as found:
            assert found.cluster_id(timeout_ms=10_000).value == cluster.cluster_id
        assert cluster.pids["master0"] == pid


def test_rows_in_memory_are_not_killed_by_mistake(clean: Cluster) -> None:
    with pytest.raises(ClusterError, match='engine="rocksdb"'):
        clean.kill("regionserver0")


def test_logs_are_told_apart(clean: Cluster) -> None:
    assert any("master initialised" in line for line in clean.logs.of("master0"))
    assert any("is registered" in line for line in clean.logs.of("regionserver0"))


def test_nothing_is_left_of_one_that_was_closed(hbeacon_start: Start) -> None:
    cluster = hbeacon_start()
    pids, directory, log = cluster.pids.values(), cluster.directory, cluster.logs.path
    conf = Path(cluster.environ["HBASE_CONF_DIR"])
    ports = [int(text.rpartition(":")[2]) for text in (cluster.zookeeper, *cluster.masters, *cluster.region_servers)]
    assert all(accepts("127.0.0.1", port) for port in ports)
    cluster.close()
    assert not any(accepts("127.0.0.1", port) for port in ports)
    assert not [path for path in (directory, log, conf) if path.exists()]
    assert "master initialised" in str(cluster.logs), "what it said can still be read"
    wait_for("the end of its processes", lambda: not any(_runs(pid) for pid in pids), 10)
    with pytest.raises(ClusterError, match="closed"):
        cluster.advance(hours=1)


def _runs(pid: int) -> bool:
    """Whether it is there and no remains that its parent has yet to look at."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
