"""Clients that hop between façades of one changing cluster: they see what was there, never go back, and miss nothing.

Checked at every reply: its zxid is none below what the client has seen, and its body is what the coordinator held at
exactly that zxid. At the end, with everything delivered, each client knows all it watches as it is, though it has read
again only what a watch told it to.

Clients are as ZooKeeper's Java client is: they keep their watches over a lost connection, hand them to the next server
with the last zxid that they have seen, and lose what was on its way. The seed is the parameter of the test;
HBEACON_SEEDS=2000 runs more of them; HBEACON_SEED=17 runs one.
"""

from __future__ import annotations

import bisect
import random

import pytest

from registry.coordinator.codes import ErrorCode, EventType
from registry.coordinator.jute import ConnectResponse
from registry.names import ServerName
from tests.support import zk_frames
from tests.support.coordinators import Client
from tests.support.facades import FollowedFacade, HBaseUpstream, children_of
from tests.support.hbase_tree import HBaseTree
from tests.support.seeds import seeds
from tests.support.zk_frames import Reply

STEPS = 500
SEEDS = seeds(25)
SERVERS = tuple(ServerName(f"h{number}", 16020, number) for number in range(3))
DATA_PATHS = (
    "/hbase/balancer",
    "/hbase/master",
    "/hbase/meta-region-server",
    "/hbase/meta-region-server-1",
    "/hbase/running",
    *(f"/hbase/rs/{server}" for server in SERVERS),
    *(f"/hbase/table/t{number}" for number in range(2)),
    "/hbase/backup-masters/h1,16000,1",
    "/hbase/draining/h1,16020,1",
)
DIRECTORIES = ("/hbase", "/hbase/rs", "/hbase/table", "/hbase/backup-masters", "/hbase/draining")

Seen = tuple[int, object]
"""Error and body."""
Tree = dict[tuple[str, str], Seen]


class World:
    """The coordinator, and what each path held at each zxid."""

    def __init__(self, rng: random.Random) -> None:
        self.random = rng
        self.upstream = HBaseUpstream(HBaseTree(workers=SERVERS[:2], tables=()))
        self.zxids: list[int] = []
        self.trees: list[Tree] = []
        self.remember()

    def change(self) -> None:
        rng, writer = self.random, self.upstream.writer
        chance = rng.random()
        if chance < 0.08:
            directory = rng.choice(("/hbase/table", "/hbase/draining"))
            listed = writer.get_children(directory)
            if listed.err:
                writer.create(directory)
            else:
                for name in listed.children:
                    writer.delete(f"{directory}/{name}")
                    self.remember()
                writer.delete(directory)
        elif chance < 0.16:
            writer.create("/hbase/splitWAL/task", flags=2)  # nobody here sees it
        else:
            path = rng.choice(DATA_PATHS)
            how = rng.random()
            if how < 0.35:
                writer.delete(path)
            elif writer.set_data(path, rng.randbytes(3)).err != ErrorCode.OK:
                writer.create(path, rng.randbytes(3))
        self.remember()

    def remember(self) -> None:
        """Of this moment."""
        writer = self.upstream.writer
        tree: Tree = {}
        for path in DATA_PATHS:
            reply = writer.get_data(path)
            tree["data", path] = reply.err, reply.body
        for path in DIRECTORIES:
            reply = writer.get_children(path)
            tree["children", path] = reply.err, children_of(reply) if not reply.err else b""
        self.zxids.append(self.upstream.zxid)
        self.trees.append(tree)

    def at(self, zxid: int) -> Tree:
        return self.trees[bisect.bisect_right(self.zxids, zxid) - 1]


class Hopper:
    """A client as Java's is, with all that it knows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client: Client | None = None
        self.session: ConnectResponse | None = None
        self.last_zxid = 0
        self.known: Tree = {}
        self.watched: dict[str, set[str]] = {"data": set(), "exist": set(), "children": set()}
        self.hops = self.told = 0

    def hop(self, door: FollowedFacade) -> None:
        """Lose the connection, and what was on its way, and try another server."""
        self.drop()
        client = door.client(self.session, self.last_zxid)
        if not client.is_accepted:
            return
        assert client.session is not None
        assert client.session.session_id, "a session is known everywhere"
        self.client, self.session = client, client.session
        self.hops += 1
        if any(self.watched.values()):
            frame = zk_frames.set_watches(
                self.last_zxid, self.watched["data"], self.watched["exist"], self.watched["children"]
            )
            assert self.ask(frame).err == ErrorCode.OK

    def drop(self) -> None:
        if self.client is not None:
            self.client.machine.lost(self.client.peer)
            self.take(self.client.events)  # what has arrived; the rest is lost
        self.client = None

    def ask(self, frame: bytes) -> Reply:
        """One reply; it tells nothing older than what is known. Events are taken in their place."""
        assert self.client is not None
        reply = self.client.ask(frame)
        assert reply.zxid >= self.last_zxid, f"zxid {reply.zxid} after {self.last_zxid}"
        self.last_zxid = reply.zxid
        return reply

    def read(self, kind: str, path: str) -> None:
        """Read and watch, and hold the answer against the tree of its zxid."""
        assert self.client is not None
        xid = self.client.xid()
        op = zk_frames.OpCode.GET_DATA if kind == "data" else zk_frames.OpCode.GET_CHILDREN2
        reply = self.ask(zk_frames.with_path(xid, op, path, True))
        if reply.err == ErrorCode.NO_NODE:
            again = self.ask(zk_frames.with_path(self.client.xid(), zk_frames.OpCode.EXISTS, path, True))
            assert again.err == ErrorCode.NO_NODE, "nothing happens between two requests"
            self.watched["exist"].add(path)
        else:
            self.watched[kind].add(path)
        seen = reply.err, (children_of(reply) if kind == "children" else reply.body) if not reply.err else b""
        assert seen == self.world.at(reply.zxid)[kind, path], f"{kind} of {path} at {reply.zxid}"
        self.known[kind, path] = seen

    def look(self) -> None:
        """Take what has come, and read again what it tells of."""
        if self.client is None:
            return
        self.take(self.client.take_events())
        for kind, path in self.unwatched():
            self.read(kind, path)

    def take(self, events: list[tuple[EventType, str]]) -> None:
        """Watches that have fired are spent."""
        for event, path in events:
            self.told += 1
            if event != EventType.NODE_CHILDREN_CHANGED:
                self.watched["data"].discard(path)
                self.watched["exist"].discard(path)
            if event in (EventType.NODE_CHILDREN_CHANGED, EventType.NODE_DELETED):
                self.watched["children"].discard(path)

    def unwatched(self) -> list[tuple[str, str]]:
        """Known once, and told to have changed since."""
        exist = self.watched["exist"]
        return [(kind, path) for kind, path in self.known if path not in self.watched[kind] and path not in exist]


class Simulation:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(self.random)
        machine, clock = self.world.upstream.machine, self.world.upstream.clock
        self.doors = [FollowedFacade(machine, clock, name=number).follow() for number in range(3)]
        self.hoppers = [Hopper(self.world) for _ in range(4)]

    def step(self) -> None:
        rng = self.random
        chance = rng.random()
        door, hopper = rng.choice(self.doors), rng.choice(self.hoppers)
        if chance < 0.10:
            self.world.change()
        elif chance < 0.35:
            door.send_one()
        elif chance < 0.65:
            door.take_one()
        elif chance < 0.70:
            door.heartbeat()
        elif chance < 0.71:
            door.connect()
        elif chance < 0.73:
            door.pump()
        elif chance < 0.80 or hopper.client is None:
            hopper.hop(door)
        elif chance < 0.90:
            hopper.look()
        elif rng.random() < 0.7:
            hopper.read("data", rng.choice(DATA_PATHS))
        else:
            hopper.read("children", rng.choice(DIRECTORIES))

    def finish(self) -> None:
        for door in self.doors:
            door.connect()
            door.pump()
        for hopper in self.hoppers:
            if hopper.client is None:
                hopper.hop(self.random.choice(self.doors))
            assert hopper.client is not None
            for _ in range(3):
                hopper.look()
            now = self.world.trees[-1]
            for what, seen in hopper.known.items():
                assert seen == now[what], what


@pytest.mark.parametrize("seed", SEEDS)
def test_clients_miss_nothing_wherever_they_go(seed: int) -> None:
    simulation = Simulation(seed)
    for _ in range(STEPS):
        simulation.step()
    simulation.finish()
    assert sum(hopper.hops for hopper in simulation.hoppers) > 4
    assert sum(hopper.told for hopper in simulation.hoppers) > 4
