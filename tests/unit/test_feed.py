"""RegistryFeed over kazoo and a real socket: that what we change in kazoo fits the kazoo that is installed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from registry.clock import SystemClock
from registry.lookup.feed import FeedSettings, RegistryFeed
from registry.lookup.snapshot import FactState, Snapshot, Version
from registry.names import Address
from tests.support.hbase_tree import CLUSTER_ID, MASTER, STANDBY, HBaseTree
from tests.support.small_zookeeper import (
    AUTH,
    CLOSE,
    EXISTS,
    GET_CHILDREN2,
    GET_DATA,
    PING,
    SYNC,
    UNKNOWN_ERROR,
    SmallZooKeeper,
)

TREE = HBaseTree()


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Generator[BlockBuster]:
    """No call on the loop may wait for a socket, a lock or a file."""
    with blockbuster_ctx() as blockbuster:
        yield blockbuster


@pytest.fixture
async def zookeeper() -> AsyncGenerator[SmallZooKeeper]:
    server = SmallZooKeeper()
    for path, data, _ in TREE.znodes():
        server.put(path, data)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def feed(zookeeper: SmallZooKeeper) -> AsyncGenerator[RegistryFeed]:
    feed = make_feed(zookeeper)
    await feed.start()
    await until(lambda: feed.snapshot.complete)
    yield feed
    await feed.stop()


def make_feed(zookeeper: SmallZooKeeper, auth: tuple[tuple[str, str], ...] = ()) -> RegistryFeed:
    settings = FeedSettings((Address("127.0.0.1", zookeeper.port),), session_timeout_ms=6000.0, auth=auth)
    return RegistryFeed(settings, SystemClock())


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_cluster_is_read(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    snapshot = feed.snapshot
    assert snapshot.cluster_id.value == CLUSTER_ID
    assert snapshot.active_master.value is not None
    assert snapshot.active_master.value.server_name == MASTER
    assert snapshot.backup_masters.value == (STANDBY,)
    assert len(snapshot.table_states.value or {}) == 2
    assert snapshot.version == Version(0, zookeeper.zxid)
    assert feed.age_ms() < 5000
    status = feed.session
    assert (status.state, status.negotiated_timeout_ms, status.connects) == ("connected", 6000.0, 1)
    assert feed.lease_ok()


async def test_changes_arrive_with_their_zxid(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    heard: list[Snapshot] = []
    unsubscribe = feed.subscribe(heard.append)
    changed = zookeeper.put("/hbase/master", TREE.master_data(STANDBY))
    await until(lambda: feed.snapshot.active_master.changed_zxid == changed)
    assert feed.snapshot.version >= Version(0, changed)
    gone = zookeeper.delete("/hbase/master")
    await until(lambda: feed.snapshot.version >= Version(0, gone))
    assert feed.snapshot.active_master.state is FactState.ABSENT
    assert feed.snapshot.active_master.changed_zxid == gone
    zookeeper.put("/hbase/master", TREE.master_data(MASTER))
    await until(lambda: feed.snapshot.active_master.value is not None)
    assert [snapshot.version for snapshot in heard] == sorted(snapshot.version for snapshot in heard)
    count = len(heard)
    unsubscribe()
    zookeeper.put("/hbase/master", TREE.master_data(STANDBY))
    await feed.fresh()
    assert len(heard) == count


async def test_nothing_but_reading_is_sent(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    await feed.fresh()
    await feed.stop()
    assert set(zookeeper.types_seen) <= {EXISTS, GET_DATA, GET_CHILDREN2, SYNC, PING, AUTH, CLOSE}
    assert zookeeper.types_seen[-1] == CLOSE


async def test_a_lost_connection_is_made_again_and_all_is_read(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    session_id = feed.session.session_id
    zookeeper.drop_connections()
    await until(lambda: feed.session.state == "suspended")
    assert feed.snapshot.complete
    zookeeper.put("/hbase/master", TREE.master_data(STANDBY))
    await until(lambda: feed.session.connects == 2 and feed.snapshot.version.zxid == zookeeper.zxid)
    assert feed.snapshot.active_master.value is not None
    assert feed.snapshot.active_master.value.server_name == STANDBY
    assert feed.session.session_id == session_id
    assert feed.session.suspensions == 1


async def test_an_expired_session_is_followed_by_another(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    session_id = feed.session.session_id
    zookeeper.expire_next = True
    zookeeper.drop_connections()
    await until(lambda: feed.session.connects == 2)
    await until(lambda: feed.session.state == "connected")
    assert feed.session.session_id != session_id
    assert feed.session.expirations == 1
    assert feed.snapshot.version.generation == 0


async def test_lost_history_is_another_generation(zookeeper: SmallZooKeeper) -> None:
    """The client has seen more than the wiped server has, so it is refused until another one takes its place."""
    zookeeper.timeout_ms = 600
    feed = make_feed(zookeeper)
    await feed.start()
    await until(lambda: feed.snapshot.complete)
    zookeeper.zxid = 3
    zookeeper.nodes.clear()
    zookeeper.drop_connections()
    await until(lambda: feed.snapshot.version.generation == 1)
    assert feed.snapshot.cluster_id.state is FactState.ABSENT
    await feed.stop()


async def test_a_credential_is_sent_and_its_refusal_told(
    zookeeper: SmallZooKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    zookeeper.refuse_auth = True
    feed = make_feed(zookeeper, auth=(("digest", "reader:secret"),))
    await feed.start()
    await until(lambda: feed.session.fatal != "")
    assert "secret" not in feed.session.fatal
    await feed.stop()
    assert AUTH in zookeeper.types_seen
    assert "Connecting to" in caplog.text, "kazoo was heard at its most talkative"
    assert "secret" not in caplog.text


async def test_what_may_not_be_read(zookeeper: SmallZooKeeper) -> None:
    zookeeper.forbidden = {"/hbase/backup-masters"}
    feed = make_feed(zookeeper)
    await feed.start()
    await until(lambda: feed.snapshot.complete)
    assert feed.snapshot.forbidden_paths == ("/hbase/backup-masters",)
    await feed.stop()


async def test_an_answer_that_kazoo_does_not_know_ends_its_thread_and_not_ours(
    feed: RegistryFeed, zookeeper: SmallZooKeeper
) -> None:
    """kazoo raises in its thread on an error code without a class, and its thread ends: another client follows."""
    zookeeper.error_for[EXISTS] = UNKNOWN_ERROR - 400
    await until(lambda: feed.session.state != "connected")
    zookeeper.error_for.clear()
    await until(lambda: feed.session.state == "connected")
    zookeeper.put("/hbase/master", TREE.master_data(STANDBY))
    await until(lambda: feed.snapshot.version.zxid == zookeeper.zxid)


async def test_fresh_is_as_far_as_the_leader_and_shared(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    for number in range(3):
        wanted = zookeeper.put("/somewhere/else", b"%d" % number)
        before, syncs = feed.leader_asked, zookeeper.types_seen.count(SYNC)
        snapshots = await asyncio.gather(*(feed.fresh() for _ in range(50)))
        assert all(snapshot.version.zxid >= wanted for snapshot in snapshots), "no watch tells of this znode"
        assert zookeeper.types_seen.count(SYNC) - syncs == feed.leader_asked - before == 1


async def test_fresh_gives_up_in_time(feed: RegistryFeed, zookeeper: SmallZooKeeper) -> None:
    await feed.fresh()
    zookeeper.drop_connections()
    await until(lambda: feed.session.state != "connected")
    await zookeeper.stop()
    with pytest.raises(TimeoutError):
        await feed.fresh(timeout_ms=100)


async def test_who_asks_while_the_leader_is_asked_gets_the_next_answer(
    feed: RegistryFeed, zookeeper: SmallZooKeeper
) -> None:
    before = feed.leader_asked
    first = asyncio.create_task(feed.fresh())
    await asyncio.sleep(0)
    late = [asyncio.create_task(feed.fresh()) for _ in range(20)]
    await asyncio.sleep(0)
    wanted = zookeeper.put("/somewhere/else")
    later = [asyncio.create_task(feed.fresh()) for _ in range(20)]
    await first
    assert {(await task).version.zxid >= wanted for task in later} == {True}
    await asyncio.gather(*late)
    assert feed.leader_asked - before <= 3


async def test_a_start_without_zookeeper_waits_for_it() -> None:
    zookeeper = SmallZooKeeper()
    await zookeeper.start()
    await zookeeper.stop()
    feed = make_feed(zookeeper)
    await feed.start()
    await asyncio.sleep(0.2)
    assert feed.session.state == "disconnected"
    assert feed.age_ms() == float("inf")
    await zookeeper.start()
    await until(lambda: feed.snapshot.complete)
    await feed.stop()
    await zookeeper.stop()


async def test_one_thread_while_it_runs_and_none_after_it(feed: RegistryFeed) -> None:
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("zookeeper")]
    assert names == ["zookeeper"]
    await feed.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "zookeeper"]


async def test_a_subscriber_that_fails_does_not_harm_the_others(
    feed: RegistryFeed, zookeeper: SmallZooKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Snapshot] = []

    def fails(snapshot: Snapshot) -> None:
        raise ValueError(snapshot.version)

    feed.subscribe(fails)
    feed.subscribe(heard.append)
    zookeeper.put("/hbase/master", TREE.master_data(STANDBY))
    await until(lambda: bool(heard))
    assert "a subscriber failed" in caplog.text
