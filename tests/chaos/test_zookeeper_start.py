"""Starting, and finding another server, when ZooKeeper is partly or wholly away: nothing waits, nothing blocks."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from registry.clock import SystemClock
from registry.lookup.feed import FeedSettings, RegistryFeed
from registry.lookup.snapshot import FactState
from registry.names import Address, ServerName
from tests.support.feeds import is_complete, knows_meta, watched_feed
from tests.support.hbase_tree import WORKER, HBaseTree, HBaseTreeWriter
from tests.support.zookeeper import RELEASES, ZooKeeperEnsemble, ZooKeeperServer

pytestmark = [pytest.mark.zookeeper, pytest.mark.chaos, pytest.mark.timeout(180)]

OTHER = ServerName("localhost", 27922, 1795249999999)


@contextmanager
def swallowed() -> Generator[str]:
    """An address that takes connections into a full backlog and says nothing, as a machine behind a firewall does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for filler in fillers:
                filler.close()


async def test_the_loop_never_blocks(zookeeper: ZooKeeperServer, tree: HBaseTreeWriter) -> None:
    """kazoo was made for threads: no call of it on the loop may wait for a lock, a socket or a thread."""
    with blockbuster_ctx():
        feed = RegistryFeed(FeedSettings((Address.parse(zookeeper.address),), session_timeout_ms=2000.0), SystemClock())
        await feed.start()
        async with asyncio.timeout(20):
            while not feed.snapshot.complete:
                await asyncio.sleep(0.01)
        moved = asyncio.to_thread(tree.move_meta, OTHER)
        await moved
        snapshot = await feed.fresh()
        assert knows_meta(OTHER)(snapshot)
        await asyncio.to_thread(zookeeper.kill)
        async with asyncio.timeout(20):
            while feed.session.state == "connected":
                await asyncio.sleep(0.01)
        await feed.stop()


async def test_the_name_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    asking: list[threading.Thread] = []

    def resolve(*_: object, **_named: object) -> None:
        asking.append(threading.current_thread())
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with watched_feed("zookeeper.invalid:2181") as watched:
        await watched.until_state("the resolver to be asked", lambda _: len(asking) > 1)
        assert threading.current_thread() not in asking, "the resolver is asked on another thread"
        assert watched.feed.session.state == "disconnected"
        assert not watched.feed.snapshot.complete


async def test_a_dead_name_and_a_silent_machine_do_not_hide_the_third(
    zookeeper: ZooKeeperServer, tree: HBaseTreeWriter
) -> None:
    """kazoo by itself would wait a session time-out for the silent one; here it is a second."""
    with swallowed() as silent:
        start = time.monotonic()
        hosts = f"zookeeper.invalid:2181,{silent},127.0.0.1:1,{zookeeper.address}"
        async with watched_feed(hosts, session_timeout_ms=40_000) as watched:
            await watched.until("complete", is_complete, 10)
        assert time.monotonic() - start < 6


async def test_a_hung_server_of_three_is_left(tmp_path: Path) -> None:
    """SIGSTOP: the connection stays, nobody answers. We go on with another server, in the same session."""
    ensemble = ZooKeeperEnsemble(RELEASES["3.8"](), tmp_path)
    try:
        await asyncio.to_thread(ensemble.start)
        tree = await asyncio.to_thread(HBaseTreeWriter, ensemble.address)
        await asyncio.to_thread(tree.write)
        leader = await asyncio.to_thread(ensemble.leader)
        followers = [server for server in ensemble.servers if server is not leader]
        hosts = ",".join(server.address for server in followers)
        async with watched_feed(hosts, session_timeout_ms=6000) as watched:
            await watched.until("complete", is_complete)
            session_id = watched.feed.session.session_id
            for server in followers:
                await asyncio.to_thread(server.pause)
                await asyncio.sleep(4)
                assert watched.feed.age_ms() < 2500, f"the other server answers: {watched.feed.session}"
                await asyncio.to_thread(server.resume)
            await asyncio.to_thread(tree.client.retry, tree.move_meta, OTHER)
            await watched.until("moved", knows_meta(OTHER), 20)
            assert watched.feed.session.session_id == session_id
            assert watched.feed.session.suspensions >= 1
        await asyncio.to_thread(tree.close)
    finally:
        ensemble.close()


async def test_wiped_and_written_anew_with_the_same_cluster_id(
    zookeeper: ZooKeeperServer, tree: HBaseTreeWriter
) -> None:
    """A restored backup: same cluster, lower zxids. A client that has seen more is refused until it is replaced."""
    async with watched_feed(zookeeper.address, session_timeout_ms=2000) as watched:
        await watched.until("complete", is_complete)
        for number in range(20):
            await asyncio.to_thread(tree.move_meta, ServerName("localhost", 28000 + number, 1))
        before = await watched.feed.fresh()
        await asyncio.to_thread(tree.close)
        await asyncio.to_thread(zookeeper.kill)
        zookeeper.wipe()
        await asyncio.to_thread(zookeeper.start)
        anew = await asyncio.to_thread(HBaseTreeWriter, zookeeper.address, HBaseTree(meta=(OTHER,)))
        await asyncio.to_thread(anew.write)
        after = await watched.until("its meta", knows_meta(OTHER), 30)
        assert after.version.generation == before.version.generation + 1
        assert after.version.zxid < before.version.zxid
        assert after.cluster_id.value == before.cluster_id.value
        await asyncio.to_thread(anew.close)


async def test_an_empty_zookeeper_is_complete_and_knows_nothing(zookeeper: ZooKeeperServer) -> None:
    async with watched_feed(zookeeper.address) as watched:
        snapshot = await watched.until("complete", is_complete)
        assert {fact.state for _, fact in snapshot.facts()} == {FactState.ABSENT}
        tree = await asyncio.to_thread(HBaseTreeWriter, zookeeper.address)
        await asyncio.to_thread(tree.write)
        await watched.until("all of it", knows_meta(WORKER))
        await asyncio.to_thread(tree.close)


async def test_an_unknown_scheme_is_refused_for_good(zookeeper: ZooKeeperServer) -> None:
    async with watched_feed(zookeeper.address, auth=(("no-such-scheme", "user:secret"),)) as watched:
        await watched.until_state("fatal", lambda feed: feed.session.fatal != "", 10)
        assert "hbeacon.zookeeper.auth" in watched.feed.session.fatal
        assert "secret" not in watched.feed.session.fatal
