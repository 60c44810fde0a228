"""What znodes become as answers of the client, without a ZooKeeper; with a real one in tests/chaos."""

from __future__ import annotations

import threading
import time

import pytest

from registry.client.answers import RegionLocation, RegistryMaster, What
from registry.client.attempts import AttemptLog
from registry.client.settings import ClientSettings
from registry.client.target import ZooKeeperTarget
from registry.client.zookeeper_source import ZooKeeperSource
from registry.clock import SystemClock
from registry.lookup.snapshot import FactState, Master, MetaLocation, Version, Znode
from registry.names import Address, ServerName
from registry.wire import znode
from registry.wire.errors import StoppedRpcClientException
from registry.zk.oneshot import Reading, ZooKeeperUnavailable, read_registry
from registry.zk.paths import ZNodePaths
from tests.support.scripted import hanging, refused_address, scripted_server

SALT = bytes(8)
M1, M2, RS = ServerName("m1", 16000, 1), ServerName("m2", 16000, 2), ServerName("rs", 16020, 3)
TARGET = ZooKeeperTarget((Address("zk", 2181),), "/hbase")
NAME = "zookeeper zk:2181/hbase"


def known(path: str, data: bytes = b"", children: tuple[str, ...] | None = None) -> Znode:
    return Znode(path, FactState.KNOWN, data, children=children)


def tree() -> dict[str, Znode]:
    znodes = [
        known("/hbase", children=("hbaseid", "master", "meta-region-server", "meta-region-server-1", "rs")),
        known("/hbase/hbaseid", znode.encode_cluster_id("the id", "m", SALT)),
        known("/hbase/master", znode.encode_master(Master(M1, -1), "m", SALT)),
        known("/hbase/backup-masters", children=(str(M2),)),
        known("/hbase/meta-region-server", znode.encode_meta_location(MetaLocation(0, RS, "OPEN"), "m", SALT)),
        known("/hbase/meta-region-server-1", znode.encode_meta_location(MetaLocation(1, M2, "OPENING"), "m", SALT)),
        known("/hbase/rs", children=(str(RS),)),
    ]
    return {each.path: each for each in znodes}


async def ask(
    monkeypatch: pytest.MonkeyPatch, znodes: dict[str, Znode] | ZooKeeperUnavailable, what: What
) -> tuple[dict[What, object], list[tuple[str, str]]]:
    async def read(*_: object, **__: object) -> Reading:
        if isinstance(znodes, ZooKeeperUnavailable):
            raise znodes
        return Reading(znodes, 77)

    monkeypatch.setattr("registry.client.zookeeper_source.read_registry", read)
    log = AttemptLog(SystemClock())
    found = await ZooKeeperSource(TARGET, ClientSettings()).ask(what, lambda: 1000.0, log)
    for _, each in found:
        assert (each.server, each.version, each.age_ms) == (NAME, Version(0, 77), 0.0)
    return {kind: each.value for kind, each in found}, log.error(what).by_server()


async def test_one_session_answers_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    found, problems = await ask(monkeypatch, tree(), What.CLUSTER_ID)
    assert problems == []
    assert found == {
        What.CLUSTER_ID: "the id",
        What.ACTIVE_MASTER: M1,
        What.MASTERS: (RegistryMaster(M1, True), RegistryMaster(M2, False)),
        What.META_LOCATIONS: (RegionLocation(0, RS), RegionLocation(1, M2)),
        What.BOOTSTRAP_NODES: (RS,),
    }


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/hbase/hbaseid", What.CLUSTER_ID),
        ("/hbase/master", What.ACTIVE_MASTER),
        ("/hbase/meta-region-server", What.META_LOCATIONS),
    ],
)
async def test_what_is_not_there(monkeypatch: pytest.MonkeyPatch, path: str, what: What) -> None:
    znodes = tree() | {path: Znode(path, FactState.ABSENT)}
    znodes.pop("/hbase/meta-region-server-1")
    znodes["/hbase"] = known("/hbase", children=("hbaseid", "master", "meta-region-server", "rs"))
    found, problems = await ask(monkeypatch, znodes, what)
    assert found == {}
    assert problems == [(NAME, f"{path} does not exist")]


async def test_what_may_not_be_read_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    znodes = tree() | {"/hbase/master": Znode("/hbase/master", FactState.FORBIDDEN)}
    _, problems = await ask(monkeypatch, znodes, What.ACTIVE_MASTER)
    assert "grant READ" in problems[0][1]
    found, _ = await ask(monkeypatch, znodes, What.CLUSTER_ID)
    assert What.ACTIVE_MASTER not in found
    assert found[What.MASTERS] == (RegistryMaster(M2, False),)


async def test_a_root_that_may_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = await ask(monkeypatch, tree() | {"/hbase": Znode("/hbase", FactState.FORBIDDEN)}, What.META_LOCATIONS)
    assert found[What.META_LOCATIONS] == (RegionLocation(0, RS),)


async def test_bytes_that_hbase_does_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    _, problems = await ask(
        monkeypatch, tree() | {"/hbase/master": known("/hbase/master", b"nonsense")}, What.ACTIVE_MASTER
    )
    assert "holds what HBase does not write there" in problems[0][1]


async def test_no_zookeeper(monkeypatch: pytest.MonkeyPatch) -> None:
    found, problems = await ask(monkeypatch, ZooKeeperUnavailable("zk:2181: refused"), What.CLUSTER_ID)
    assert found == {}
    assert problems == [(NAME, "zk:2181: refused")]


async def test_closed() -> None:
    source = ZooKeeperSource(TARGET, ClientSettings())
    await source.close()
    with pytest.raises(StoppedRpcClientException):
        await source.ask(What.CLUSTER_ID, lambda: 1.0, AttemptLog(SystemClock()))


async def test_a_zookeeper_that_is_not_there_or_hangs_costs_the_time_given() -> None:
    async with scripted_server(hanging) as hung:
        with refused_address() as refused:
            for address in (hung, refused):
                begin = time.monotonic()
                with pytest.raises(ZooKeeperUnavailable, match=str(address)):
                    await read_registry(str(address), ZNodePaths(), timeout_ms=400, connect_timeout_ms=300)
                assert time.monotonic() - begin < 8
    for _ in range(300):
        if not any(thread.name == "zookeeper reading" for thread in threading.enumerate()):
            return
        time.sleep(0.01)  # noqa: ASYNC251 - nothing else runs here
    raise AssertionError("the thread that read has not ended")
