"""RegistryCache against a model ZooKeeper: whatever happens in whatever order, its snapshots tell no lie.

Checked after each step: `validate`; versions never go back; everything in a snapshot of version (g, z) is what the
tree held at z or at a later moment of the same history. At the end, with everything delivered, the snapshot equals the
tree and its version is the tree's.

The seed is the parameter of the test. HBEACON_SEEDS=5000 runs more of them; HBEACON_SEED=17 runs one.
"""

from __future__ import annotations

import random
import uuid

import pytest

from registry.lookup.cache import RegistryCache
from registry.lookup.events import Publish, RecheckForbidden
from registry.lookup.snapshot import FactState, Master, MetaLocation, RegionServer, Snapshot, Version
from registry.names import ServerName
from registry.wire import znode
from registry.zk.paths import ZNodePaths
from tests.sim.model_zookeeper import ModelZooKeeper, Node
from tests.support.seeds import seeds

PATHS = ZNodePaths("/hbase")
SALT = b"\0" * 8
STEPS = 1200
SEEDS = seeds(75)


class Simulation:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.zookeeper = ModelZooKeeper()
        self.cache = RegistryCache(PATHS, others=PATHS.others() if seed % 2 else ())
        self.version = Version(0, 0)
        self.life_of: dict[int, int] = {}
        self.published = 0
        self.calm = True
        """Few changes, so that reads catch up with them."""

    # --- what may happen ----------------------------------------------------------------------------------------

    def step(self) -> None:
        chance, zk = self.random.random(), self.zookeeper
        zk.now_ms += self.random.randint(0, 50)
        calm = self.calm
        if chance < (0.004 if calm else 0.12):
            self.change()
        elif chance < 0.40:
            zk.answer_one()
        elif chance < 0.65:
            zk.receive_one()
        elif chance < 0.93:
            self.take()
        elif chance < 0.97:
            zk.heartbeat()
        elif chance < 0.98:
            zk.loop.append(RecheckForbidden(zk.epoch))
        elif chance < 0.983:
            self.calm = not calm
        elif chance < 0.987:
            zk.connect(new_session=self.random.random() < 0.5)
        elif chance < 0.990:
            zk.disconnect()
        elif chance < 0.993:
            self.lose_history()

    def lose_history(self) -> None:
        self.zookeeper.disconnect()
        self.drain()
        if self.cache.snapshot.complete and self.cache.snapshot.version.zxid > 10:
            self.zookeeper.wipe()
            for _ in range(self.random.randint(0, 3)):
                self.change()
            self.zookeeper.connect()

    def change(self) -> None:
        zk, rng = self.zookeeper, self.random
        server = ServerName(f"h{rng.randint(1, 3)}", 16020, rng.randint(1, 3))
        choice = rng.randint(0, 13)
        if choice == 0:
            zk.create(PATHS.root)
        elif choice == 1:
            cluster_id = zk.life.number
            self.put(PATHS.cluster_id, znode.encode_cluster_id(str(uuid.UUID(int=cluster_id)), "m", SALT))
        elif choice == 2:
            self.put(PATHS.master, znode.encode_master(Master(server, 16010), "m", SALT))
        elif choice in (3, 4):
            path = PATHS.meta + rng.choice(("", "-1", "-2"))
            self.put(path, znode.encode_meta_location(MetaLocation(0, server, "OPEN"), "m", SALT))
        elif choice == 5:
            zk.create(PATHS.backup_masters, readable=rng.random() < 0.7)
            zk.create(f"{PATHS.backup_masters}/{server}")
        elif choice in (6, 7):
            zk.create(PATHS.rs)
            data = znode.encode_region_server(RegionServer(server, 16030), "r", SALT)
            self.put(f"{PATHS.rs}/{server}", data, readable=rng.random() < 0.8)
        elif choice == 8:
            zk.create(PATHS.table)
            self.put(f"{PATHS.table}/t{rng.randint(1, 4)}", znode.encode_table_state("ENABLED", "m", SALT))
        elif choice == 9 and zk.life.nodes:
            zk.delete(rng.choice(sorted(zk.life.nodes)[2:] or [PATHS.root]))
        elif choice == 10 and rng.random() < 0.1:
            zk.delete(PATHS.root)
        elif choice == 10:
            self.put(PATHS.master, b"\xffnonsense")
        elif choice in (11, 12):
            self.change_others(server)
        else:
            zk.noise()

    def change_others(self, server: ServerName) -> None:
        zk, rng = self.zookeeper, self.random
        zk.create(f"{PATHS.root}/draining", readable=rng.random() < 0.8)
        zk.create(f"{PATHS.root}/draining/{server}")
        if rng.random() < 0.5:
            self.put(f"{PATHS.root}/running", rng.randbytes(3))
            zk.create("/elsewhere")

    def put(self, path: str, data: bytes, *, readable: bool = True) -> None:
        if path in self.zookeeper.life.nodes:
            self.zookeeper.set(path, data)
        else:
            self.zookeeper.create(path, data, readable=readable)

    # --- the loop -----------------------------------------------------------------------------------------------

    def take(self) -> None:
        if not self.zookeeper.loop:
            return
        effects = self.cache.apply(self.zookeeper.loop.popleft())
        self.zookeeper.carry_out(effects)
        self.cache.validate()
        before = self.version
        if any(isinstance(effect, Publish) for effect in effects) or self.cache.snapshot.version != before:
            self.check(self.cache.snapshot)

    def drain(self) -> None:
        zk = self.zookeeper
        while zk.requests or zk.wire or zk.loop:
            zk.answer_one()
            zk.receive_one()
            self.take()

    def check(self, snapshot: Snapshot) -> None:
        self.published += 1
        version = snapshot.version
        assert version >= self.version, f"{version} after {self.version}"
        self.version = version
        assert snapshot.complete or not snapshot.settled
        if not snapshot.complete:
            return
        life = self.zookeeper.lives[self.life_of.setdefault(version.generation, self.zookeeper.life.number)]
        trees = life.trees_from(version.zxid)
        for path, known in snapshot.znodes.items():
            if known.state is FactState.UNREAD:
                continue
            assert any(
                (path not in tree)
                if known.state is FactState.ABSENT
                else path in tree
                and (known.state is FactState.FORBIDDEN or tree[path].data == known.data or known.children is not None)
                and (known.children is None or known.children == life.children(path, tree))
                for tree in trees
            ), f"{path} was never {known} from zxid {version.zxid} on\n{self.cache.story(path)}"
        if snapshot.settled:
            self.check_settled(snapshot, life.tree_at(version.zxid))

    def check_settled(self, snapshot: Snapshot, tree: dict[str, Node]) -> None:
        """All of it is the tree of that one zxid, which is what the façade rests on."""
        for path, known in snapshot.znodes.items():
            assert (path in tree) == (known.state is not FactState.ABSENT), f"{path}: {known}"
            if known.state is FactState.KNOWN and known.stat is not None:
                assert (known.stat.czxid, known.stat.mzxid) == (tree[path].czxid, tree[path].mzxid), f"{path}: {known}"
                assert known.children is not None or known.data == tree[path].data
                assert known.children is None or known.stat.pzxid == tree[path].pzxid

    def finish(self) -> None:
        """Connect, deliver everything, confirm: then nothing may be missing."""
        self.zookeeper.connect()
        self.drain()
        self.zookeeper.noise()  # seen by no watch: only the second heartbeat can tell of it
        for _ in range(2):
            self.zookeeper.now_ms += 1
            self.zookeeper.heartbeat()
            self.drain()
        snapshot, life = self.cache.snapshot, self.zookeeper.life
        assert self.cache.is_clean
        assert snapshot.complete
        assert snapshot.settled
        assert snapshot.version.zxid == life.zxid
        assert self.cache.confirmed_at_ms == self.zookeeper.now_ms
        for path, known in snapshot.znodes.items():
            node = life.nodes.get(path)
            if node is None:
                assert known.state is FactState.ABSENT, path
            elif known.state is not FactState.FORBIDDEN:
                assert known.state is FactState.KNOWN, path
                assert known.stat is not None
                assert known.stat.pzxid == node.pzxid or known.children is None
                assert known.children is not None or known.data == node.data
            else:
                assert not node.readable
        members = {path for path in life.nodes if path.startswith((PATHS.rs + "/", PATHS.table + "/"))}
        readable = {path for path in members if life.nodes[path.rpartition("/")[0]].readable}
        assert readable <= set(snapshot.znodes)
        for name, fact in snapshot.facts():
            assert 0 < fact.changed_zxid <= snapshot.version.zxid, f"{name}: {fact}"


@pytest.mark.parametrize("seed", SEEDS)
def test_snapshots_tell_no_lie(seed: int) -> None:
    simulation = Simulation(seed)
    simulation.zookeeper.create(PATHS.root)
    for _ in range(simulation.random.randint(0, 40)):
        simulation.change()
    simulation.zookeeper.connect()
    for _ in range(STEPS):
        simulation.step()
    simulation.finish()
    assert simulation.published
