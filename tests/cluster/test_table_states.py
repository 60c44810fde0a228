"""States of tables from the hbase:meta of a real HBase 2.6.4 that mirrors none of them to ZooKeeper."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, cast

import pytest
from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]
from kazoo.exceptions import NoNodeError  # pyright: ignore[reportMissingTypeStubs]

from protos.hbase import HBase_pb2
from registry.client.channels import Channels
from registry.client.locate import Locator, RegistryLocator
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import Scanner
from registry.client.settings import ClientSettings
from registry.client.table_states import TableStatesFollower, read_table_states
from registry.clock import SystemClock
from registry.config.settings import Settings, load_settings
from registry.lookup.feed import FeedSettings, RegistryFeed
from registry.names import Address
from registry.role.tables import TableStatesPart
from registry.wire.errors import TableExistsException
from tests.support.adapters import AdapterProcess
from tests.support.hbase import HBaseCluster, znode_message
from tests.support.master_calls import MasterCalls
from tests.support.processes import wait_for
from tests.support.real_cluster import RealClusters
from tests.support.registry import connection_to
from tests.support.rpc import eventually
from tests.support.zookeeper import ZooKeeperServer, debian

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

INTERVAL_MS = 200
NOT_MIRRORED = {"hbase.mirror.table.state.to.zookeeper": "false"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[HBaseCluster]:
    directory = tmp_path_factory.mktemp("not-mirrored")
    zookeeper = ZooKeeperServer(debian(), directory / "zookeeper")
    zookeeper.start()
    started = HBaseCluster(directory / "hbase", zookeeper.address, masters=1, settings=NOT_MIRRORED)
    try:
        started.wait_ready()
        wait_for("the master to be initialised", lambda: asyncio.run(_makes_tables(started)), 90, 0.5)
        yield started
    finally:
        started.close()
        zookeeper.close()


async def _makes_tables(cluster: HBaseCluster) -> bool:
    try:
        async with MasterCalls.connected(master_of(cluster)) as master:
            await master.create("first")
    except TableExistsException:
        return True  # made by a call before, whose answer came too late
    except Exception as error:  # noqa: BLE001 - whatever it says, it is not ready; the time-out tells the last state
        print(f"{type(error).__name__} {error}")
        return False
    return True


def master_of(cluster: HBaseCluster) -> Address:
    return Address(cluster.bind, cluster.master_ports[0])


@asynccontextmanager
async def scanning(locator: Locator) -> AsyncGenerator[Scanner]:
    own = ClientSettings()
    channels = Channels(own)
    scanner = Scanner(locator, channels, own, SystemClock(), random.Random(1))
    try:
        yield scanner
    finally:
        await scanner.close()
        await channels.close()


def settings() -> Settings:
    return load_settings({"hbeacon.tables.interval_ms": str(INTERVAL_MS)}, environ={})


class Watched:
    """A feed and a follower, and every mapping that the follower gave out."""

    def __init__(self, cluster: HBaseCluster) -> None:
        self.feed = RegistryFeed(FeedSettings((Address.parse(cluster.zookeeper),), root=cluster.parent), SystemClock())
        self._tasks: list[asyncio.Task[None]] = []
        own = settings()
        self.part = TableStatesPart(
            self.feed,
            lambda: own,
            SystemClock(),
            lambda work, name: self._tasks.append(asyncio.create_task(work, name=name)),
        )
        self.seen: list[Mapping[str, str] | None] = []

    @property
    def follower(self) -> TableStatesFollower:
        return self.part.follower

    async def __aenter__(self) -> Self:
        await self.part.start()
        await self.feed.start()
        self.follower.subscribe(lambda: self.seen.append(self.follower.states))
        self.follower.set_wanted(True)
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.part.stop()
        await self.feed.stop()

    def states_of(self, table: str) -> list[str]:
        """What was seen of one table, each state once in a row."""
        found: list[str] = []
        for states in self.seen:
            state = (states or {}).get(table, "")
            if not found or found[-1] != state:
                found.append(state)
        return found

    async def state(self, table: str, wanted: str) -> None:
        await eventually(lambda: (self.follower.states or {}).get(table, "") == wanted, within_ms=10_000)


async def test_states_follow_what_is_done_to_a_table(cluster: HBaseCluster) -> None:
    async with MasterCalls.connected(master_of(cluster)) as master, Watched(cluster) as watched:
        await watched.state("hbase:meta", "ENABLED")
        await eventually(lambda: watched.feed.snapshot.complete, within_ms=10_000)
        assert not watched.feed.snapshot.table_states.value, "ZooKeeper has none: that is what this is for"
        await watched.state("first", "ENABLED")
        states = watched.follower.states
        assert states is not None
        assert states["hbase:namespace"] == states["first"] == "ENABLED"
        await master.create("second", (b"m",))
        await watched.state("second", "ENABLED")
        await master.disable("second")
        await watched.state("second", "DISABLED")
        await master.enable("second")
        await watched.state("second", "ENABLED")
        await master.disable("second")
        await master.delete("second")
        await watched.state("second", "")
        passed = watched.states_of("second")
        for moment in ("ENABLED", "DISABLED"):
            assert moment in passed
        assert set(passed) <= {"", "ENABLING", "ENABLED", "DISABLING", "DISABLED"}
        view = watched.follower.view()
        assert (view.failures, view.problem) == (0, "")
        await eventually(lambda: watched.follower.age_ms() < 10 * INTERVAL_MS)


async def test_answers_cut_anywhere_are_the_same_rows(cluster: HBaseCluster) -> None:
    async with (
        connection_to(master_of(cluster)) as registry,
        scanning(RegistryLocator(registry)) as scanner,
    ):
        whole = await scanner.read_all(Scan(META_REGION), timeout_ms=10_000)
        assert len(whole) >= 4
        for cut in (
            Scan(META_REGION, answer_bytes_max=1),
            Scan(META_REGION, answer_bytes_max=300),
            Scan(META_REGION, batch_cells=4),
            Scan(META_REGION, rows_per_call=1),
            Scan(META_REGION, rows_max=len(whole), rows_per_call=2),
        ):
            assert await scanner.read_all(cut, timeout_ms=10_000) == whole, cut
        backwards = await scanner.read_all(Scan(META_REGION, reversed=True, answer_bytes_max=1), timeout_ms=10_000)
        assert backwards == whole[::-1]
        behind = Scan(META_REGION, start_row=whole[1].key, include_start_row=False)
        assert await scanner.read_all(behind, timeout_ms=10_000) == whole[2:]
        assert "first" in await read_table_states(scanner)


async def test_an_old_cluster_has_no_states_in_meta_and_the_same_rows(clusters: RealClusters) -> None:
    """HBase 1.4.14: its states are in ZooKeeper alone."""
    async with scanning(SentTo(clusters.old)) as scanner:
        async with asyncio.timeout(60):  # a new cluster makes its first table when it is up
            while not (whole := await scanner.read_all(Scan(META_REGION), timeout_ms=30_000)) or not whole[-1].value(
                b"info", b"seqnumDuringOpen"
            ):
                await asyncio.sleep(0.2)
        assert any(row.key.startswith(b"hbase:namespace,,") for row in whole), "and tables of other tests"
        assert whole[0].value(b"info", b"regioninfo")
        for cut in (Scan(META_REGION, answer_bytes_max=1), Scan(META_REGION, rows_max=len(whole), rows_per_call=1)):
            assert await scanner.read_all(cut, timeout_ms=10_000) == whole, cut
        behind = Scan(META_REGION, start_row=whole[0].key, include_start_row=False)
        assert await scanner.read_all(behind, timeout_ms=10_000) == whole[1:]
        assert await read_table_states(scanner) == {}


class SentTo:
    """A locator that believes what ZooKeeper told a client of its own."""

    def __init__(self, cluster: HBaseCluster) -> None:
        self._witness = cluster.witness

    async def locate(self) -> Address:
        host, port, _ = self._witness.meta.last().split(",")
        return Address(host, int(port))

    def refused(self, address: Address) -> None:
        raise AssertionError(f"{address} has refused")


async def test_an_old_client_sees_tables_that_zookeeper_has_not(cluster: HBaseCluster, tmp_path: Path) -> None:
    adapter = AdapterProcess(
        "adapter",
        tmp_path / "adapter.log",
        zookeeper=f"{cluster.zookeeper}{cluster.parent}",
        rpc="127.0.0.1:0",
        settings={"hbeacon.facade.address": "127.0.0.1:0", "hbeacon.tables.interval_ms": str(INTERVAL_MS)},
    )
    try:
        await asyncio.to_thread(adapter.wait_ready)
        (word,) = (word for word in adapter.lines[0].split() if word.startswith("facade="))
        async with MasterCalls.connected(master_of(cluster)) as master:
            await master.create("third")
            await asyncio.to_thread(_sees, word.removeprefix("facade="), cluster, "third", "ENABLED")
            await master.disable("third")
            await asyncio.to_thread(_sees, word.removeprefix("facade="), cluster, "third", "DISABLED")
        shown = await asyncio.to_thread(adapter.get, "/metrics")
        assert b"hbeacon_meta_table_states_wanted 1.0" in shown[1]
        page = await asyncio.to_thread(adapter.get, "/")
        assert b"states were read from hbase:meta" in page[1]
    finally:
        await asyncio.to_thread(adapter.close)


def _sees(facade: str, cluster: HBaseCluster, table: str, wanted: str) -> None:
    """Until /hbase/table/<table> says so, to a client of ZooKeeper's protocol."""
    client = cast("Any", KazooClient(hosts=facade))
    client.start(timeout=10)

    def state() -> str:
        try:
            data, _ = client.get(f"{cluster.parent}/table/{table}")
        except NoNodeError:
            return ""
        return HBase_pb2.TableState.State.Name(HBase_pb2.TableState.FromString(znode_message(data)).state)

    try:
        wait_for(f"{table} to be {wanted}", lambda: state() == wanted, 15, 0.1)
    finally:
        client.stop()
        client.close()


async def test_the_follower_goes_where_meta_goes(cluster: HBaseCluster) -> None:
    """The region server that holds hbase:meta is killed: the states are read from the next one, and never lost."""
    async with Watched(cluster) as watched:
        await watched.state("first", "ENABLED")
        holder = cluster.witness.meta.last()
        cluster.kill(int(holder.split(",")[1]))
        await eventually(lambda: cluster.witness.meta.last() not in ("", holder), within_ms=90_000)
        readings = watched.follower.view().readings
        await eventually(lambda: watched.follower.view().readings > readings + 2, within_ms=60_000)
        await eventually(lambda: watched.follower.age_ms() < 10 * INTERVAL_MS)
        assert {"hbase:meta", "first"} <= set(watched.follower.states or ())
        assert all("first" in (states or {}) for states in watched.seen)
