"""What the registry says while its ZooKeeper is restarted, wiped, cut off, slow or electing.

The invariants: versions never go back within a generation, what was known stays served, staleness is told, and when
ZooKeeper is back everything is read again.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from registry.lookup.snapshot import FactState
from registry.names import ServerName
from tests.support.faultproxy import TcpFaultProxy
from tests.support.feeds import WatchedFeed, is_complete, knows_master, knows_meta, watched_feed
from tests.support.hbase_tree import STANDBY, WORKER, HBaseTree, HBaseTreeWriter
from tests.support.zookeeper import RELEASES, ZooKeeperEnsemble, ZooKeeperServer, debian

pytestmark = [pytest.mark.zookeeper, pytest.mark.chaos, pytest.mark.timeout(180)]

OTHER = ServerName("localhost", 27922, 1795249999999)
SESSION_TIMEOUT_MS = 2000.0


@pytest.fixture
def proxy(zookeeper: ZooKeeperServer) -> Generator[TcpFaultProxy]:
    proxy = TcpFaultProxy(("127.0.0.1", zookeeper.port), record=True)
    yield proxy
    proxy.close()


@pytest_asyncio.fixture
async def behind_proxy(tree: HBaseTreeWriter, proxy: TcpFaultProxy) -> AsyncGenerator[WatchedFeed]:
    async with watched_feed(proxy.address, session_timeout_ms=SESSION_TIMEOUT_MS) as watched:
        await watched.until("complete", is_complete)
        yield watched


async def test_restart(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """Served from memory while it is away, marked with a growing age; caught up when it is back."""
    async with watched_feed(zookeeper.address, session_timeout_ms=SESSION_TIMEOUT_MS) as watched:
        before = await watched.until("complete", is_complete)
        await asyncio.to_thread(zookeeper.kill)
        await watched.until_state("suspended", lambda feed: feed.session.state != "connected")
        await asyncio.sleep(0.5)
        assert watched.feed.snapshot.meta_locations == before.meta_locations
        assert watched.feed.age_ms() > 400
        await asyncio.to_thread(zookeeper.start)
        await watched.until_state("connected", lambda feed: feed.session.state == "connected", 30)
        await asyncio.to_thread(tree.client.retry, tree.move_meta, OTHER)
        await watched.until("moved", knows_meta(OTHER))
        # the news are answered at once; the version follows when everything else has been read again too
        after = await watched.until("a higher version", lambda snapshot: snapshot.version > before.version)
        assert after.version.generation == before.version.generation
        await watched.until_state("young again", lambda feed: feed.age_ms() < 2000)


async def test_wiped(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """A ZooKeeper that has lost its history is another generation, though its zxids start anew."""
    async with watched_feed(zookeeper.address, session_timeout_ms=SESSION_TIMEOUT_MS) as watched:
        before = await watched.until("complete", is_complete)
        await asyncio.to_thread(tree.close)
        await asyncio.to_thread(zookeeper.kill)
        zookeeper.wipe()
        await asyncio.to_thread(zookeeper.start)
        anew = await asyncio.to_thread(
            HBaseTreeWriter, zookeeper.address, HBaseTree(cluster_id="another-cluster", meta=(OTHER,))
        )
        await asyncio.to_thread(anew.write)
        after = await watched.until(
            "the new cluster", lambda snapshot: snapshot.cluster_id.value == "another-cluster", 30
        )
        await watched.until("its meta", knows_meta(OTHER))
        assert after.version.generation > before.version.generation
        await asyncio.to_thread(anew.close)


async def test_black_hole_is_noticed_by_our_own_lease(
    behind_proxy: WatchedFeed, proxy: TcpFaultProxy, tree: HBaseTreeWriter
) -> None:
    """No FIN, no answer: within two thirds of the time-out the lease is over, long before kazoo could say LOST."""
    feed = behind_proxy.feed
    assert feed.lease_ok()
    proxy.black_hole()
    held_s = start = time.monotonic()
    moving = asyncio.create_task(asyncio.to_thread(tree.move_meta, OTHER))
    while (now := time.monotonic()) < start + 5 and feed.lease_ok():
        held_s = now  # taken before the question, so that no stall makes it longer
        await asyncio.sleep(0.01)
    assert held_s - start <= SESSION_TIMEOUT_MS / 1000 * 2 / 3 + 0.05
    assert not feed.lease_ok()
    await moving
    assert not knows_meta(OTHER)(feed.snapshot), "what cannot be seen is not known"
    assert knows_meta(WORKER)(feed.snapshot), "look-ups go on"
    await asyncio.sleep(SESSION_TIMEOUT_MS / 1000 * 2.5)  # the session is over, and so is the client
    assert feed.age_ms() > SESSION_TIMEOUT_MS
    proxy.heal()
    await behind_proxy.until("caught up", knows_meta(OTHER))
    await behind_proxy.until_state("lease", lambda feed: feed.lease_ok())


async def test_session_expired(behind_proxy: WatchedFeed, proxy: TcpFaultProxy, tree: HBaseTreeWriter) -> None:
    """Connections are refused until ZooKeeper has ended the session; the next one starts with reading everything."""
    first_session = behind_proxy.feed.session.session_id
    proxy.cut()
    await asyncio.sleep(SESSION_TIMEOUT_MS / 1000 * 2)
    await asyncio.to_thread(tree.elect, STANDBY)
    proxy.heal()
    after = await behind_proxy.until("the new master", knows_master(STANDBY))
    assert behind_proxy.feed.session.session_id != first_session
    assert after.version.generation == behind_proxy.seen[0][1].version.generation


async def test_short_disconnections_lose_no_change(
    behind_proxy: WatchedFeed, proxy: TcpFaultProxy, tree: HBaseTreeWriter
) -> None:
    """Watches die with each connection: what happens between two connections is found by reading again."""
    for number in range(8):
        server = ServerName("localhost", 28000 + number, 1)
        proxy.drop_connections()
        await asyncio.to_thread(tree.move_meta, server)
        await behind_proxy.until(f"move {number}", knows_meta(server))


async def test_slow_zookeeper(behind_proxy: WatchedFeed, proxy: TcpFaultProxy, tree: HBaseTreeWriter) -> None:
    """200 ms each way delay the news and nothing else."""
    proxy.delay(200)
    mzxid = await asyncio.to_thread(tree.move_meta, OTHER)
    snapshot = await behind_proxy.until("moved", knows_meta(OTHER))
    assert snapshot.meta_locations.changed_zxid == mzxid
    await behind_proxy.until("complete up to the change", lambda snapshot: snapshot.version.zxid >= mzxid)
    assert behind_proxy.feed.session.state == "connected"


async def test_deletion_raises_the_version(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    async with watched_feed(zookeeper.address) as watched:
        before = await watched.until("complete", is_complete)
        await asyncio.to_thread(tree.remove_master)
        after = await watched.until("no master", lambda snapshot: snapshot.active_master.state is FactState.ABSENT)
        after = await watched.until("a higher version", lambda snapshot: snapshot.version > before.version)
        assert after.active_master.value is None
        await asyncio.to_thread(tree.elect, STANDBY)
        elected = await watched.until("elected", knows_master(STANDBY))
        assert elected.version >= after.version
        await watched.until("and gone from the backups", lambda snapshot: snapshot.backup_masters.value == ())


@pytest.mark.parametrize("release", sorted(RELEASES))
async def test_ensemble_loses_its_leader(release: str, tmp_path: Path) -> None:
    """Whoever we are connected to: news come again as soon as there is a leader, and versions never go back."""
    ensemble = ZooKeeperEnsemble(RELEASES[release](), tmp_path)
    try:
        await asyncio.to_thread(ensemble.start)
        tree = await asyncio.to_thread(HBaseTreeWriter, ensemble.address)
        await asyncio.to_thread(tree.write)
        async with watched_feed(ensemble.address, session_timeout_ms=SESSION_TIMEOUT_MS) as watched:
            await watched.until("complete", is_complete)
            for number in range(2):
                leader = await asyncio.to_thread(ensemble.leader)
                await asyncio.to_thread(leader.kill)
                server = ServerName("localhost", 28100 + number, 1)
                await asyncio.to_thread(tree.client.retry, tree.move_meta, server)
                await watched.until(f"{release}: change {number} after the election", knows_meta(server), 30)
                await asyncio.to_thread(leader.start)
        await asyncio.to_thread(tree.close)
    finally:
        ensemble.close()


async def test_first_of_the_list_is_dead(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter, tmp_path: Path) -> None:
    """An ensemble list whose first member refuses or swallows does not keep us from the others."""
    silent = TcpFaultProxy(("127.0.0.1", zookeeper.port))
    silent.black_hole()
    try:
        start = time.monotonic()
        async with watched_feed(f"127.0.0.1:1,{silent.address},{zookeeper.address}") as watched:
            await watched.until("complete", is_complete)
        assert time.monotonic() - start < 15
    finally:
        silent.close()


async def test_zookeeper_comes_after_us(tmp_path: Path) -> None:
    """A start without ZooKeeper waits and knows nothing; it does not end."""
    server = ZooKeeperServer(debian(), tmp_path)
    async with watched_feed(server.address, session_timeout_ms=SESSION_TIMEOUT_MS) as watched:
        await asyncio.sleep(1)
        assert not watched.feed.snapshot.complete
        assert watched.feed.age_ms() == float("inf")
        await asyncio.to_thread(server.start)
        try:
            tree = await asyncio.to_thread(HBaseTreeWriter, server.address)
            await asyncio.to_thread(tree.write)
            await watched.until("complete", lambda snapshot: knows_meta(WORKER)(snapshot) and snapshot.complete, 30)
            await asyncio.to_thread(tree.close)
        finally:
            server.close()


async def test_change_arrives_fast(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """Printed, not asserted: speed is the benchmarks' business; that each of 200 changes arrives is asserted."""
    async with watched_feed(zookeeper.address) as watched:
        await watched.until("complete", is_complete)
        taken_ms: list[float] = []
        for number in range(200):
            server = ServerName("localhost", 28000 + number, 1)
            await asyncio.to_thread(tree.move_meta, server)
            answered = time.monotonic()
            await watched.until("moved", knows_meta(server))
            taken_ms.append((watched.seen[-1][0] - answered) * 1000)
        taken_ms.sort()
        print(f"after ZooKeeper's answer: median {statistics.median(taken_ms):.2f} ms, p99 {taken_ms[197]:.2f} ms")
