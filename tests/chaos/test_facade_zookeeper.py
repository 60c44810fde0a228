"""The façade over real ZooKeepers: the same bytes, the same events, one session for all, and an end of history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.names import ServerName
from tests.support.facade_views import NO_AUTH, NO_NODE, Wires, asked, differences, facades, until_events
from tests.support.hbase_tree import STANDBY, HBaseTreeWriter
from tests.support.processes import wait_for
from tests.support.zk_wire import WireConnection
from tests.support.zookeeper import RELEASES, ZooKeeperServer, debian, four_letters

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(180)]

META, MASTER, RS, TABLE = "/hbase/meta-region-server", "/hbase/master", "/hbase/rs", "/hbase/table"
OTHER = ServerName("elsewhere", 16020, 7)
CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4


@pytest.fixture
def wires() -> Iterator[Wires]:
    made = Wires()
    yield made
    made.close()


@pytest.fixture(params=sorted(RELEASES))
def zookeeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ZooKeeperServer]:
    server = ZooKeeperServer(RELEASES[request.param](), tmp_path)
    server.start()
    yield server
    server.close()


def watch_all(connection: WireConnection) -> None:
    """Watches on data, children and absence."""
    for path in ("/hbase", META, MASTER, RS, TABLE, "/hbase/backup-masters", "/hbase/running", "/hbase/draining"):
        connection.call("getData", path, True)
        connection.call("getChildren", path, True)
    for path in (f"{META}-1", f"{RS}/{OTHER}", f"{TABLE}/t1", "/hbase/root-region-server"):
        connection.call("exists", path, True)


STEPS: dict[str, Callable[[HBaseTreeWriter], object]] = {
    "meta moves": lambda tree: tree.move_meta(OTHER),
    "a replica comes": lambda tree: tree.client.create(f"{META}-1", tree.tree.meta_data(OTHER, 1)),
    "the master goes": lambda tree: tree.remove_master(),
    "another master comes": lambda tree: tree.elect(STANDBY),
    "a region server comes": lambda tree: tree.client.create(f"{RS}/{OTHER}", b"", ephemeral=True),
    "a region server goes": lambda tree: tree.client.delete(f"{RS}/{OTHER}"),
    "a table is made": lambda tree: tree.client.create(f"{TABLE}/t1", b"\0"),
    "a table is disabled": lambda tree: tree.client.set(f"{TABLE}/t1", b"\1"),
    "tables go": lambda tree: tree.client.delete(TABLE, recursive=True),
    "one is decommissioned": lambda tree: tree.client.create(f"/hbase/draining/{OTHER}", b""),
    "the balancer has a state": lambda tree: tree.client.create("/hbase/balancer", b"\2"),
    "the cluster stops": lambda tree: tree.client.delete("/hbase/running"),
}


def test_bytes_stats_and_events_are_the_real_ones(
    wires: Wires, zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path
) -> None:
    real, watching = wires.connected(zookeeper.address), wires.connected(zookeeper.address)
    with facades(tmp_path, zookeeper.address, count=1) as (door,):
        facade, looking = wires.connected(door.facade), wires.connected(door.facade)
        assert not differences(real, facade)
        for name, change in STEPS.items():
            for connection in (watching, looking):
                watch_all(connection)
            change(tree)
            assert not differences(real, facade), name
            count = 1 if name != "a table is disabled" else 0
            theirs, ours = until_events([watching, looking], count)
            if name in ("another master comes", "tables go"):  # several changes in one step: the net change is told
                assert {path for _, path in ours} <= {path for _, path in theirs}, name
                assert ours, name
            else:
                assert ours == theirs, name
            # the net of several changes may leave a watch that the real one has spent: both begin anew
            watching, looking = wires.connected(zookeeper.address), wires.connected(door.facade)


def test_errors_are_the_real_ones(
    wires: Wires, zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path
) -> None:
    """A client of the real one that may only read gets the same refusals."""
    everybody = [(1, "world", "anyone")]
    real = wires.connected(zookeeper.address)
    for path in (META, "/hbase"):
        assert asked(real, "setACL", path, everybody, -1).err == 0
    assert tree.tree.root == "/hbase"
    with facades(tmp_path, zookeeper.address, count=1) as (door,):
        facade = wires.connected(door.facade)
        opened = [(31, "world", "anyone")]
        for op, *args in (
            ("create", "/hbase/new", b"", opened, 0),
            ("create2", "/hbase/new-", b"", opened, 3),
            ("create", "/hbase/no/where", b"", opened, 0),
            ("create", "/hbase//x", b"", opened, 0),
            ("delete", META, -1),
            ("delete", "/zookeeper", -1),
            ("delete", "/", -1),
            ("create", "relative", b"", opened, 0),
            ("setData", "/hbase//x", b"", -1),
            ("delete", "/hbase/no/where", -1),
            ("setData", META, b"", -1),
            ("setData", "/hbase/no", b"", -1),
            ("setACL", META, opened, -1),
            ("multi", [("check", META, 0), ("setData", META, b"", -1), ("delete", META, -1)]),
            ("multi", [("check", META, 9), ("setData", META, b"", -1)]),
            ("getData", "/hbase/root-region-server", False),
            ("getChildren", "/hbase/no", True),
        ):
            theirs, ours = asked(real, op, *args), asked(facade, op, *args)
            assert (ours.err, ours.body) == (theirs.err, theirs.body), (op, args)
        for path in ("/zookeeper", "/zookeeper/config", "/hbase/splitWAL"):
            assert asked(facade, "getData", path, False).err == NO_AUTH


def test_a_crowd_costs_one_session(
    wires: Wires, zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path
) -> None:
    def connections() -> int:
        line = next(line for line in four_letters(zookeeper.port, "srvr").splitlines() if "Connections" in line)
        return int(line.split()[-1])

    before = connections()
    with facades(tmp_path, zookeeper.address, count=1) as (door,):
        crowd = [wires.connected(door.facade) for _ in range(300)]
        for each in crowd:
            asked(each, "getData", META, True)
        assert connections() == before + 1
        tree.move_meta(OTHER)
        assert until_events(crowd, 1) == [[(CHANGED, META)]] * len(crowd)


def test_an_outage_is_not_seen_and_a_wiped_zookeeper_ends_sessions(wires: Wires, tmp_path: Path) -> None:
    zookeeper = ZooKeeperServer(debian(), tmp_path)
    zookeeper.start()
    try:
        tree = HBaseTreeWriter(zookeeper.address)
        tree.write()
        for number in range(50):
            tree.move_meta(ServerName("moving", 16020, number))
        with facades(tmp_path, zookeeper.address, zookeeper__session__timeout="2000") as (first, second):
            client = wires.open(first.facade)
            granted = client.connect(5000)
            assert granted is not None
            last = asked(client, "getData", META, True)
            tree.close()
            asked(client, "sync", "/")
            zookeeper.kill()
            assert asked(client, "getData", META, True).body == last.body
            assert client.call("sync", "/") is None, "there is no leader who could be asked"
            zookeeper.wipe()
            zookeeper.start()
            tree = HBaseTreeWriter(zookeeper.address)
            tree.write()

            def is_expired(address: str) -> bool:
                again = wires.open(address).connect(5000, granted.session_id, granted.password, last.zxid)
                return again is not None and not again.session_id

            for door in (first, second):
                wait_for("the session to have ended", lambda door=door: is_expired(door.facade), 60)
                anew = wires.connected(door.facade)
                assert asked(anew, "getData", META, False).zxid < last.zxid
                assert asked(anew, "getData", "/hbase/nothing", False).err == NO_NODE
            tree.close()
    finally:
        zookeeper.close()
