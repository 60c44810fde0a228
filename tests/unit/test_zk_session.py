"""A session of a writer against a coordinator in a process of its own: requests, watches, the lease, and the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import pytest

from registry.clock import SystemClock
from registry.names import Address
from registry.zk.requests import Check, Children, Create, Delete, Get, Multi, Reply, Request, Result, SetData
from registry.zk.session import ZooKeeperSession
from registry.zk.watcher import WatcherSettings
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.faultproxy import TcpFaultProxy
from tests.support.rpc import eventually

TIMEOUT_MS = 1200.0


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Generator[CoordinatorProcess]:
    made = CoordinatorProcess(
        tmp_path_factory.mktemp("coordinator"), keep=False, settings={"hbase.zookeeper.property.tickTime": "100"}
    )
    made.start()
    yield made
    made.close()


class Owner:
    """Writes down what it hears."""

    def __init__(self, address: str) -> None:
        self.heard: list[str] = []
        self.clock = SystemClock()
        settings = WatcherSettings((Address.parse(address),), session_timeout_ms=TIMEOUT_MS)
        self.session = ZooKeeperSession(settings, self.clock, self)
        self.session.start()

    def connected(self) -> None:
        self.heard.append("connected")

    def suspended(self, reason: str) -> None:
        self.heard.append("suspended")

    def ended(self, reason: str) -> None:
        self.heard.append(f"ended: {reason}")

    def refused(self, reason: str) -> None:
        self.heard.append(f"refused: {reason}")

    def fired(self, path: str) -> None:
        self.heard.append(f"fired {path}")

    async def until(self, text: str, timeout_s: float = 10.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not any(text in one for one in self.heard):
                await asyncio.sleep(0.01)

    async def ask(self, request: Request) -> Reply:
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.session.ask(request, replied.set_result)
        return await asyncio.wait_for(replied, 5)

    def holds(self) -> bool:
        return self.session.lease.holds(self.clock.monotonic_ms())


@asynccontextmanager
async def owner(address: str) -> AsyncGenerator[Owner]:
    made = Owner(address)
    try:
        await made.until("connected")
        yield made
    finally:
        await made.session.discard()


async def test_requests_and_their_ends(coordinator: CoordinatorProcess) -> None:
    async with owner(coordinator.address) as one:
        results = [
            (await one.ask(request)).result
            for request in (
                Create("/r", b"x"),
                Create("/r"),
                Create("/none/child"),
                Create("/r/child"),
                Delete("/r"),
                Delete("/r/child", 5),
                SetData("/r", b"y", 0),
                SetData("/r", b"z", 0),
                Delete("/r/child"),
                Get("/r/child"),
            )
        ]
        assert results == [
            Result.OK,
            Result.NODE_EXISTS,
            Result.NO_NODE,
            Result.OK,
            Result.NOT_EMPTY,
            Result.BAD_VERSION,
            Result.OK,
            Result.BAD_VERSION,
            Result.OK,
            Result.NO_NODE,
        ]
        reply = await one.ask(Get("/r"))
        assert reply.data == b"y"
        assert reply.stat is not None
        assert (reply.stat.version, reply.stat.ephemeral_owner) == (1, 0)
        assert "r" in (await one.ask(Children("/"))).children


async def test_a_multi_is_done_whole_or_not_at_all(coordinator: CoordinatorProcess) -> None:
    async with owner(coordinator.address) as one:
        done = await one.ask(Multi((Create("/m", b"1"), Create("/m/e", ephemeral=True), SetData("/m", b"2"))))
        assert done.ok
        ephemeral = (await one.ask(Get("/m/e"))).stat
        assert ephemeral is not None
        assert ephemeral.ephemeral_owner == one.session.session_id
        refused = await one.ask(Multi((Create("/m/other"), Check("/m", 7), Delete("/m/e"))))
        assert refused.result is Result.BAD_VERSION, "the one that failed, not those that were rolled back with it"
        assert (await one.ask(Get("/m/other"))).result is Result.NO_NODE
        assert (await one.ask(Multi((Check("/m", 1), Delete("/m/e"))))).ok


async def test_a_watch_fires_once(coordinator: CoordinatorProcess) -> None:
    async with owner(coordinator.address) as one, owner(coordinator.address) as other:
        await one.ask(Create("/w"))
        await one.ask(Get("/w", watch=True))
        await other.ask(SetData("/w", b"1"))
        await one.until("fired /w")
        await other.ask(SetData("/w", b"2"))
        await one.ask(Get("/w"))
        assert one.heard.count("fired /w") == 1


async def test_the_end_removes_ephemerals_at_once(coordinator: CoordinatorProcess) -> None:
    async with owner(coordinator.address) as other:
        async with owner(coordinator.address) as one:
            await one.ask(Create("/e", ephemeral=True))
            await other.ask(Get("/e", watch=True))
        await other.until("fired /e", 0.5)
        assert not one.holds()
        assert "suspended" not in one.heard[-1], "nothing is heard of a session that was discarded"


@pytest.mark.chaos
async def test_the_lease_ends_by_itself_and_the_session_once(coordinator: CoordinatorProcess) -> None:
    proxy = TcpFaultProxy(("127.0.0.1", coordinator.port))
    try:
        async with owner(proxy.address) as one:
            assert one.holds()
            await asyncio.sleep(TIMEOUT_MS / 1000 * 1.5)
            await eventually(one.holds)  # it beats: without that the session has ended, and this never holds again
            one.heard.clear()
            await asyncio.to_thread(proxy.black_hole)
            silent_ms = one.clock.monotonic_ms()
            await one.until("suspended")  # the connection is dropped, so that another server would be tried
            assert not one.session.lease.holds(silent_ms + TIMEOUT_MS * 2 / 3), "over well before the session"
            await eventually(lambda: not one.holds())
            await asyncio.sleep(TIMEOUT_MS / 1000)
            await asyncio.to_thread(proxy.heal)
            await one.until("ended")
            await asyncio.sleep(0.3)
            assert "connected" not in one.heard, "no second session in the name of the first"
            assert len([text for text in one.heard if text.startswith("ended")]) == 1
            assert not one.session.is_connected
    finally:
        await asyncio.to_thread(proxy.close)


@pytest.mark.chaos
async def test_a_loop_that_hangs_keeps_no_session(coordinator: CoordinatorProcess) -> None:
    """kazoo's thread goes on, and must not let ZooKeeper believe that somebody is there."""
    async with owner(coordinator.address) as one:
        time.sleep(TIMEOUT_MS / 1000 * 2 + 0.5)  # noqa: ASYNC251 - the loop hangs, which is the point
        assert not one.holds()
        await one.until("ended: ZooKeeper has ended the session", 5)


async def test_a_short_cut_keeps_the_session(coordinator: CoordinatorProcess) -> None:
    proxy = TcpFaultProxy(("127.0.0.1", coordinator.port))
    try:
        async with owner(proxy.address) as one:
            session_id = one.session.session_id
            await one.ask(Create("/kept", ephemeral=True))
            await asyncio.to_thread(proxy.drop_connections)
            await one.until("suspended")
            one.heard.clear()
            await one.until("connected")
            stat = (await one.ask(Get("/kept"))).stat
            assert stat is not None
            assert stat.ephemeral_owner == one.session.session_id == session_id
            assert one.holds()
    finally:
        await asyncio.to_thread(proxy.close)


@pytest.mark.chaos
async def test_a_session_that_stays_away_is_given_up(coordinator: CoordinatorProcess) -> None:
    proxy = TcpFaultProxy(("127.0.0.1", coordinator.port))
    try:
        async with owner(proxy.address) as one:
            await asyncio.to_thread(proxy.cut)
            await one.until("ended: no connection for", TIMEOUT_MS / 1000 * 3)
    finally:
        await asyncio.to_thread(proxy.close)
