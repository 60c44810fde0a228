"""Who is connected to ZooKeeper itself: the word cons, members of the cluster, and everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from registry.lookup.snapshot import Snapshot
from registry.lookup.visitors import Visitors, VisitPath
from registry.lookup.zookeeper_users import BECOMES_MEMBER_MS, Connected, NotTold, ZooKeeperUsers
from registry.names import Address
from registry.zk.cons import address_text, ask_connections, parse_connections, resolve
from tests.support.clock import ManualClock
from tests.support.status import small_snapshot, unread_snapshot

ZK1, ZK2 = Address("zk1", 2181), Address("zk2", 2181)
LOOK_MS = 10_000.0
NAMES = {
    "m1.example.org": ["10.0.0.1"],
    "m2.example.org": ["10.0.0.2"],
    **{f"rs{number}.example.org": [f"10.0.1.{number}", f"fd00::{number}"] for number in range(3)},
    "10.0.0.99": ["10.0.0.99"],
}


class World:
    """An ensemble of two servers, told who is connected where."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.visitors = Visitors(self.clock)
        self.snapshot: Snapshot = small_snapshot()
        self.hosts: dict[Address, list[str] | NotTold] = {ZK1: [], ZK2: []}
        self.names = dict(NAMES)
        self.interval_ms = LOOK_MS
        self.friends: list[str] = []
        self.resolutions = 0
        self.restart(None)

    def restart(self, looked_since_ms: float | None) -> None:
        self.users = ZooKeeperUsers(
            (ZK1, ZK2),
            self.ask,
            self.resolve,
            self.clock,
            self.visitors,
            lambda: self.snapshot,
            lambda: self.friends,
            lambda: self.interval_ms,
            looked_since_ms,
        )

    async def ask(self, server: Address, timeout_ms: float) -> Connected:
        hosts = self.hosts[server]
        if isinstance(hosts, NotTold):
            raise hosts
        return Connected(frozenset((host, 40_000 + place) for place, host in enumerate(hosts)), "10.0.0.99")

    async def resolve(self, name: str) -> Collection[str]:
        self.resolutions += 1
        if name not in self.names:
            raise OSError("no such host")
        return self.names[name]

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.users.look()
            self.clock.advance(LOOK_MS)

    @property
    def outsiders(self) -> set[str]:
        return set(self.visitors.hosts(VisitPath.ZOOKEEPER))


async def test_members_are_no_outsiders_under_any_of_their_addresses() -> None:
    world = World()
    world.hosts[ZK1] = ["10.0.0.1", "10.0.1.0", "fd00::2", "10.0.0.99"]
    world.hosts[ZK2] = ["10.0.0.2", "10.0.7.7"]
    await world.look(10)
    assert world.outsiders == {"10.0.7.7"}
    world.friends = ["10.0.8.8"]
    world.names["10.0.8.8"] = ["10.0.8.8"]
    world.hosts[ZK1] = ["10.0.8.8"]
    await world.look(10)
    assert world.outsiders == {"10.0.7.7"}


async def test_who_is_connected_before_it_is_a_member_is_waited_for() -> None:
    world = World()
    world.hosts[ZK1] = ["10.0.1.7", "10.0.7.7"]
    await world.look(3)
    assert world.outsiders == set(), "both may be about to register"
    servers = world.snapshot.region_servers
    assert servers.value is not None
    first = servers.value[0]
    new = replace(first, server_name=replace(first.server_name, host="rs7.example.org"))
    world.names["rs7.example.org"] = ["10.0.1.7"]
    world.snapshot = replace(world.snapshot, region_servers=replace(servers, value=(*servers.value, new)))
    await world.look(int(BECOMES_MEMBER_MS / LOOK_MS))
    assert world.outsiders == {"10.0.7.7"}
    world.snapshot = small_snapshot()
    await world.look(20)
    assert world.outsiders == {"10.0.7.7"}, "who was a member may take its time to leave"


async def test_a_short_connection_is_counted_though_it_is_gone_when_the_wait_is_over() -> None:
    world = World()
    world.hosts[ZK1] = ["10.0.7.7"]
    await world.look()
    world.hosts[ZK1] = []
    await world.look(int(BECOMES_MEMBER_MS / LOOK_MS) + 3)
    (seen,) = world.visitors.hosts(VisitPath.ZOOKEEPER).values()
    assert (seen.host, seen.count) == ("10.0.7.7", 1)


async def test_how_long_each_server_has_told() -> None:
    world = World()
    begun_ms = world.clock.monotonic_ms()
    await world.look(3)
    assert [(row.server, row.since_ms) for row in world.users.looks()] == [
        ("zk1:2181", begun_ms),
        ("zk2:2181", begun_ms),
    ]
    world.hosts[ZK2] = NotTold("cons is not executed because it is not in the whitelist.")
    await world.look()
    row = world.users.looks()[1]
    assert (row.since_ms, row.problem) == (None, "cons is not executed because it is not in the whitelist.")
    world.hosts[ZK2] = []
    again_ms = world.clock.monotonic_ms()
    await world.look(2)
    assert [row.since_ms for row in world.users.looks()] == [begun_ms, again_ms]
    world.clock.advance(3_600_000)
    stopped_until_ms = world.clock.monotonic_ms()
    await world.look()
    assert [row.since_ms for row in world.users.looks()] == [stopped_until_ms] * 2, "it was not looked for an hour"


async def test_nobody_is_judged_before_the_members_are_known() -> None:
    world = World()
    world.snapshot = unread_snapshot()
    world.hosts[ZK1] = ["10.0.1.0"]
    await world.look(10)
    assert world.outsiders == set()
    assert world.users.looks()[0].problem == "the members of the cluster are not known yet"
    assert world.users.looked_since_ms() is None


async def test_a_restart_goes_on_where_the_last_worker_looked_if_it_can_look_soon() -> None:
    world = World()
    since_ms = world.clock.monotonic_ms() - 3_600_000
    world.restart(since_ms)
    world.snapshot = unread_snapshot()
    await world.look()
    world.snapshot = small_snapshot()
    await world.look()
    assert world.users.looked_since_ms() == since_ms
    world.restart(since_ms)
    world.snapshot = unread_snapshot()
    await world.look(10)
    world.snapshot = small_snapshot()
    begun_ms = world.clock.monotonic_ms()
    await world.look()
    assert world.users.looked_since_ms() == begun_ms, "ZooKeeper was away for too long"


async def test_names_are_resolved_now_and_then_and_what_fails_is_told() -> None:
    world = World()
    del world.names["rs1.example.org"]
    await world.look()
    assert world.users.unresolved() == {"rs1.example.org"}
    resolutions = world.resolutions
    await world.look(3)
    assert world.resolutions == resolutions + 3, "only what failed is tried again"
    world.names["rs1.example.org"] = ["10.0.1.1"]
    await world.look()
    assert world.users.unresolved() == set()
    world.clock.advance(700_000)
    world.names = {}
    world.hosts[ZK1] = ["10.0.1.1"]
    await world.look(20)
    assert world.outsiders == set(), "what was known of a name is kept where nothing newer is to be had"


async def test_switched_off_it_asks_nobody_and_on_it_does() -> None:
    world = World()
    world.interval_ms = 0.0
    assert world.users.looks() == ()
    task = asyncio.create_task(world.users.run())
    await asyncio.sleep(0.01)
    assert world.resolutions == 0
    task.cancel()
    world.interval_ms = 10.0
    task = asyncio.create_task(world.users.run())
    async with asyncio.timeout(5):
        while not world.users.looks()[0].since_ms:
            await asyncio.sleep(0.001)
    world.interval_ms = 0.0
    await asyncio.sleep(0.05)
    world.interval_ms = 10.0
    assert world.users.looks()[0].since_ms is None, "the watch was broken"
    task.cancel()


CONS = """\
 /127.0.0.1:41846[1](queued=0,recved=12,sent=12,sid=0x10000a,lop=PING,est=1,to=30000)
 /0:0:0:0:0:0:0:1:52806[0](queued=0,recved=1,sent=0)
 /0:0:0:0:0:ffff:a00:7:52807[1](queued=0,recved=1,sent=0)
 /fe80:0:0:0:1:2:3:4%eth0:99[1](queued=0,recved=1,sent=0)

"""


def test_the_answer_to_cons() -> None:
    assert parse_connections(CONS) == {
        ("127.0.0.1", 41846),
        ("::1", 52806),
        ("10.0.0.7", 52807),
        ("fe80::1:2:3:4", 99),
    }
    for refusal in (
        "cons is not executed because it is not in the whitelist.\n",
        "This ZooKeeper instance is not currently serving requests\n",
        "",
    ):
        with pytest.raises(NotTold):
            parse_connections(refusal)
    assert address_text("::ffff:10.0.0.7") == "10.0.0.7"


@asynccontextmanager
async def answering(answer: bytes, *, hangs: bool = False) -> AsyncGenerator[Address]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readexactly(4))
        writer.write(answer)
        await writer.drain()
        if hangs:
            await reader.read()  # until the client has had enough
        writer.close()

    asked: list[bytes] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
        assert asked == [b"cons"]
        await asyncio.sleep(0.01)  # the other side of the connection ends too
    finally:
        server.close()


async def test_over_a_socket() -> None:
    async with answering(CONS.encode()) as address:
        told = await ask_connections(address, 5000)
        assert (len(told.connections), told.own_host) == (4, "127.0.0.1")
    async with answering(b"", hangs=True) as address:
        with pytest.raises(NotTold, match="within 50 ms"):
            await ask_connections(address, 50)
    with pytest.raises(NotTold, match=r"111|refused"):
        await ask_connections(Address("127.0.0.1", 1), 1000)
    assert "127.0.0.1" in await resolve("localhost")
