"""States of tables from the hbase:meta of a real HBase 2.6.4 that mirrors none of them to ZooKeeper."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator, Mapping
from typing import Self

import pytest

from registry.client.channels import Channels
from registry.client.locate import RegistryLocator
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import Scanner
from registry.client.settings import ClientSettings
from registry.client.table_states import TableStatesFollower, read_table_states
from registry.clock import SystemClock
from registry.config.settings import Settings, load_settings
from registry.lookup.feed import FeedSettings, RegistryFeed
from registry.names import Address
from registry.role.tables import TableStatesPart
from tests.support.hbase import HBaseCluster
from tests.support.master_calls import MasterCalls
from tests.support.processes import wait_for
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
    except Exception as error:  # noqa: BLE001 - whatever it says, it is not ready; the time-out tells the last state
        print(f"{type(error).__name__} {error}")
        return False
    return True


def master_of(cluster: HBaseCluster) -> Address:
    return Address(cluster.bind, cluster.master_ports[0])


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
        assert view.age_ms < 10 * INTERVAL_MS


async def test_answers_cut_anywhere_are_the_same_rows(cluster: HBaseCluster) -> None:
    own = ClientSettings()
    channels = Channels(own)
    async with connection_to(master_of(cluster)) as registry:
        scanner = Scanner(RegistryLocator(registry), channels, own, SystemClock(), random.Random(1))
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
        await scanner.close()
    await channels.close()


async def test_the_follower_goes_where_meta_goes(cluster: HBaseCluster) -> None:
    """The region server that holds hbase:meta is killed: the states are read from the next one, and never lost."""
    async with Watched(cluster) as watched:
        await watched.state("first", "ENABLED")
        holder = cluster.witness.meta.last()
        cluster.kill(int(holder.split(",")[1]))
        await eventually(lambda: cluster.witness.meta.last() not in ("", holder), within_ms=90_000)
        readings = watched.follower.view().readings
        await eventually(lambda: watched.follower.view().readings > readings + 2, within_ms=60_000)
        assert watched.follower.age_ms() < 10 * INTERVAL_MS
        assert {"hbase:meta", "first"} <= set(watched.follower.states or ())
        assert all("first" in (states or {}) for states in watched.seen)
