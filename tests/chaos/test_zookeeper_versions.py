"""What a version promises, against real ZooKeepers under full load.

Versions rest on an order that ZooKeeper promises: an answer that shows zxid z comes after every watch event up to z.
Three writers change, delete and create as fast as they can while connections are dropped; each published snapshot is
held against what the writers were told: with version z it must hold, or be ahead of, every change up to z.
"""

from __future__ import annotations

import asyncio
import bisect
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]

from registry.lookup.cache import RegistryCache
from registry.lookup.flight import replay
from registry.lookup.snapshot import FactState, MetaLocation, RegionServer, Snapshot
from registry.names import ServerName
from registry.wire import znode
from tests.support.faultproxy import TcpFaultProxy
from tests.support.feeds import is_complete, watched_feed
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.zookeeper import RELEASES, ZooKeeperEnsemble

pytestmark = [pytest.mark.zookeeper, pytest.mark.chaos, pytest.mark.timeout(180)]

LOAD_S = 6.0
SALT = bytes(8)
WRITERS = 3


@pytest.fixture(params=sorted(RELEASES))
def ensemble(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[ZooKeeperEnsemble]:
    started = ZooKeeperEnsemble(RELEASES[request.param](), tmp_path)
    try:
        started.start()
        yield started
    finally:
        started.close()


class Writer:
    """Changes one replica's location, and one child of rs; keeps (zxid, value) of each change as ZooKeeper told it."""

    def __init__(self, hosts: str, number: int) -> None:
        self.client: Any = cast("Any", KazooClient)(hosts=hosts, timeout=10.0)
        self.client.start(timeout=30)
        self.number = number
        self.path = f"/hbase/meta-region-server-{number}"
        self.moves: list[tuple[int, int]] = []
        """(mzxid, port)"""
        self.servers: list[tuple[int, bool]] = []
        """(zxid of creation, True)"""
        self.server = ServerName(f"w{number}", 16020, 1)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def data(self, port: int) -> bytes:
        return znode.encode_meta_location(MetaLocation(0, ServerName("h", port, 1), "OPEN"), "m:1", SALT)

    def run(self) -> None:
        child = f"/hbase/rs/{self.server}"
        _, stat = self.client.create(self.path, self.data(0), include_data=True)
        self.moves.append((stat.czxid, 0))
        port = 0
        while not self.stopped.is_set():
            port += 1
            stat = self.client.set(self.path, self.data(port))
            self.moves.append((stat.mzxid, port))
            if port % 7 == 0:
                info = znode.encode_region_server(RegionServer(self.server, 1 + port % 60000), "r", SALT)
                _, stat = self.client.create(child, info, include_data=True)
                self.servers.append((stat.czxid, True))
                time.sleep(0.002 * self.number)
                self.client.delete(child)
        self.client.stop()
        self.client.close()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(20)


def check(snapshot: Snapshot, writers: list[Writer]) -> str:
    """What the snapshot lacks although its version says that it is there; empty when it lacks nothing."""
    located = {location.replica_id: location.server_name.port for location in snapshot.meta_locations.value or ()}
    for writer in writers:
        index = bisect.bisect_right(writer.moves, (snapshot.version.zxid, 1 << 40)) - 1
        if index >= 0 and located.get(writer.number, -1) < writer.moves[index][1]:
            return f"{writer.path} is {located.get(writer.number)}, not {writer.moves[index]}, at {snapshot.version}"
    return ""


async def test_a_version_is_true_under_load(ensemble: ZooKeeperEnsemble) -> None:
    tree = await asyncio.to_thread(HBaseTreeWriter, ensemble.address)
    await asyncio.to_thread(tree.write)
    writers = [await asyncio.to_thread(Writer, ensemble.address, number) for number in range(1, WRITERS + 1)]
    proxies = [TcpFaultProxy(("127.0.0.1", server.port)) for server in ensemble.servers]
    hosts = ",".join(proxy.address for proxy in proxies)
    try:
        async with watched_feed(hosts, session_timeout_ms=4000) as watched:
            await watched.until("complete", is_complete)
            for writer in writers:
                writer.thread.start()
            until = time.monotonic() + LOAD_S
            while time.monotonic() < until:
                await asyncio.sleep(0.7)
                for proxy in proxies:
                    proxy.drop_connections()
            for writer in writers:
                await asyncio.to_thread(writer.stop)
            last = max(writer.moves[-1][0] for writer in writers)
            final = await watched.feed.fresh(timeout_ms=10_000)
            assert final.version.zxid >= last
            changes = sum(len(writer.moves) for writer in writers)
            versions = len({snapshot.version for _, snapshot in watched.seen})
            print(f"{changes} changes, {len(watched.seen)} snapshots, {versions} versions,", watched.feed.session)
            problems = [problem for _, snapshot in watched.seen if (problem := check(snapshot, writers))]
            assert not problems, problems[:5]
            located = {place.replica_id: place.server_name.port for place in final.meta_locations.value or ()}
            assert {writer.number: writer.moves[-1][1] for writer in writers}.items() <= located.items()
            assert final.meta_locations.changed_zxid == last
            names = [server.server_name.host for server in final.region_servers.value or ()]
            assert not [name for name in names if name.startswith("w")], "all have been deleted"
            assert versions > 20
            assert watched.feed.session.connects > 3
            check_replay(watched.feed.flight.lines(), final)
    finally:
        for writer in writers:
            writer.stopped.set()
        for proxy in proxies:
            proxy.close()
        await asyncio.to_thread(tree.close)


def check_replay(lines: list[str], final: Snapshot) -> None:
    """The flight recorder's lines lead to where the feed is, though its ring has long run over."""
    cache: RegistryCache | None = None
    for cache in replay(lines):
        cache.validate()
    assert cache is not None
    for (name, fact), (_, wanted) in zip(cache.snapshot.facts(), final.facts(), strict=True):
        assert (fact.state, fact.value) == (wanted.state, wanted.value), name
        assert fact.state is not FactState.UNREAD
