"""RegistryCache, one situation at a time; tests/sim throws everything at it at once."""

from __future__ import annotations

from registry.lookup.cache import RegistryCache
from registry.lookup.events import (
    Confirmed,
    Effect,
    Read,
    RecheckForbidden,
    SessionConnected,
    SessionSuspended,
    WatchFired,
    What,
    ZnodeRead,
)
from registry.lookup.snapshot import FactState, Master, MetaLocation, RegionServer, Version, ZnodeStat
from registry.names import ServerName
from registry.wire import znode
from registry.zk.paths import ZNodePaths

PATHS = ZNodePaths("/hbase")
SALT = b"12345678"
MASTER = ServerName("m1", 16000, 1)
SERVER = ServerName("r1", 16020, 2)
OTHER = ServerName("r2", 16020, 3)


def stat(mzxid: int, pzxid: int = 0, children: int = 0) -> ZnodeStat:
    return ZnodeStat(1, mzxid, 0, 0, 0, 0, 0, 0, 0, children, pzxid or mzxid)


class Driver:
    """Answers the cache's reads from a dictionary: path to data, tuple of children, FORBIDDEN, or nothing."""

    def __init__(self) -> None:
        self.cache = RegistryCache(PATHS)
        self.tree: dict[str, bytes | tuple[str, ...] | FactState] = {}
        self.zxid = 100
        self.now_ms = 1000.0
        self.epoch = 0
        self.asked: list[Read] = []

    def apply(self, event: object) -> list[Effect]:
        effects = self.cache.apply(event)  # type: ignore[arg-type]
        self.cache.validate()
        self.asked += [effect for effect in effects if isinstance(effect, Read)]
        return effects

    def connect(self, *, session_id: int = 7, answer: bool = True) -> None:
        self.epoch += 1
        self.asked.clear()
        self.apply(SessionConnected(self.epoch, session_id, self.zxid, self.now_ms))
        if answer:
            self.answer()

    def answer(self) -> None:
        while self.asked:
            self.reply(self.asked.pop(0))

    def reply(self, read: Read) -> None:
        held = self.tree.get(read.path)
        outcome, data, children, how = FactState.ABSENT, b"", None, None
        if isinstance(held, FactState):
            outcome = FactState.KNOWN if read.what is What.EXISTS else held
            how = stat(50) if read.what is What.EXISTS else None
        elif held is not None:
            outcome, how = FactState.KNOWN, stat(60)
            data = held if isinstance(held, bytes) and read.what is What.DATA else b""
            children = tuple(sorted(held)) if isinstance(held, tuple) and read.what is What.CHILDREN else None
        self.apply(
            ZnodeRead(
                self.epoch, read.ticket, read.path, read.what, outcome, self.zxid, self.now_ms, data, how, children
            )
        )

    def fire(self, *paths: str) -> None:
        for path in paths:
            self.apply(WatchFired(self.epoch, path))


def running_cluster() -> Driver:
    driver = Driver()
    driver.tree = {
        PATHS.root: ("hbaseid", "master", "meta-region-server", "backup-masters", "rs", "table"),
        PATHS.cluster_id: znode.encode_cluster_id("c-1", "m", SALT),
        PATHS.master: znode.encode_master(Master(MASTER, 16010), "m", SALT),
        PATHS.meta: znode.encode_meta_location(MetaLocation(0, SERVER, "OPEN"), "m", SALT),
        PATHS.backup_masters: ("m2,16000,5",),
        PATHS.rs: (str(SERVER),),
        f"{PATHS.rs}/{SERVER}": znode.encode_region_server(RegionServer(SERVER, 16030, "2.6.4"), "r", SALT),
        PATHS.table: ("t1", "ns:t2"),
        f"{PATHS.table}/t1": znode.encode_table_state("ENABLED", "m", SALT),
        f"{PATHS.table}/ns:t2": znode.encode_table_state("DISABLED", "m", SALT),
    }
    return driver


def test_nothing_is_said_before_it_is_read() -> None:
    snapshot = RegistryCache(PATHS).snapshot
    assert not snapshot.complete
    assert {fact.state for _, fact in snapshot.facts()} == {FactState.UNREAD}
    assert snapshot.version == Version(0, 0)


def test_all_facts_of_a_running_cluster() -> None:
    driver = running_cluster()
    driver.connect()
    snapshot = driver.cache.snapshot
    assert snapshot.complete
    assert snapshot.version == Version(0, 100)
    assert snapshot.cluster_id.value == "c-1"
    assert snapshot.active_master.value == Master(MASTER, 16010)
    assert snapshot.backup_masters.value == (ServerName("m2", 16000, 5),)
    assert snapshot.meta_locations.value == (MetaLocation(0, SERVER, "OPEN"),)
    assert snapshot.region_servers.value == (RegionServer(SERVER, 16030, "2.6.4"),)
    assert dict(snapshot.table_states.value or {}) == {"t1": "ENABLED", "ns:t2": "DISABLED"}
    assert all(not fact.problem for _, fact in snapshot.facts())
    assert snapshot.znodes[PATHS.master].data == driver.tree[PATHS.master]
    assert driver.cache.confirmed_at_ms == 1000.0


def test_known_facts_are_served_while_others_are_unread() -> None:
    driver = running_cluster()
    driver.connect(answer=False)
    for read in [read for read in driver.asked if read.path == PATHS.cluster_id]:
        driver.asked.remove(read)
        driver.reply(read)
    snapshot = driver.cache.snapshot
    assert not snapshot.complete
    assert snapshot.cluster_id.value == "c-1"
    assert snapshot.active_master.state is FactState.UNREAD
    assert snapshot.version == Version(0, 0)
    assert driver.cache.confirmed_at_ms is None


def test_absence_is_a_fact_and_has_a_watch() -> None:
    driver = Driver()
    driver.connect()
    snapshot = driver.cache.snapshot
    assert snapshot.complete
    assert {fact.state for _, fact in snapshot.facts()} == {FactState.ABSENT}
    driver.tree[PATHS.master] = znode.encode_master(Master(MASTER, -1), "m", SALT)
    driver.fire(PATHS.master)
    driver.answer()
    assert driver.cache.snapshot.active_master.value == Master(MASTER, -1)


def test_a_value_is_published_before_its_version() -> None:
    """The new master counts at once; the version waits for the other znode that is known to have changed."""
    driver = running_cluster()
    driver.connect()
    driver.fire(PATHS.master, PATHS.rs)
    driver.zxid = 110
    moved = ServerName("m2", 16000, 5)
    driver.tree[PATHS.master] = znode.encode_master(Master(moved, -1), "m", SALT)
    driver.reply(driver.asked.pop(0))
    assert driver.cache.snapshot.active_master.value == Master(moved, -1)
    assert driver.cache.snapshot.version == Version(0, 100)
    driver.answer()
    assert driver.cache.snapshot.version == Version(0, 110)


def test_a_deletion_raises_the_version_by_the_parents_pzxid() -> None:
    driver = running_cluster()
    driver.connect()
    del driver.tree[PATHS.master]
    driver.fire(PATHS.master, PATHS.root)
    master_gone, root_changed = driver.asked
    driver.asked.clear()
    driver.reply(master_gone)
    driver.answer()  # the exists that sets a watch on what is not there
    assert driver.cache.snapshot.active_master.state is FactState.ABSENT
    assert driver.cache.snapshot.version == Version(0, 100)
    driver.apply(
        ZnodeRead(
            driver.epoch,
            root_changed.ticket,
            PATHS.root,
            What.CHILDREN,
            FactState.KNOWN,
            100,
            1000.0,
            b"",
            stat(60, 123),
            ("hbaseid", "meta-region-server"),
        )
    )
    snapshot = driver.cache.snapshot
    assert snapshot.version == Version(0, 123)
    assert snapshot.active_master.changed_zxid == 123
    assert snapshot.cluster_id.changed_zxid == 60


def test_a_heartbeat_moves_version_and_age_only_when_nothing_is_dirty() -> None:
    driver = running_cluster()
    driver.connect()
    driver.apply(Confirmed(driver.epoch, 130, 2000.0))
    assert driver.cache.snapshot.version == Version(0, 130)
    assert driver.cache.confirmed_at_ms == 2000.0
    driver.fire(PATHS.meta)
    driver.apply(Confirmed(driver.epoch, 140, 3000.0))
    assert driver.cache.snapshot.version == Version(0, 130)
    assert driver.cache.confirmed_at_ms == 2000.0
    driver.answer()
    assert driver.cache.snapshot.version == Version(0, 140)
    assert driver.cache.confirmed_at_ms == 3000.0


def test_unchanged_facts_keep_their_identity() -> None:
    driver = running_cluster()
    driver.connect()
    before = driver.cache.snapshot
    driver.apply(Confirmed(driver.epoch, 130, 2000.0))
    driver.fire(PATHS.meta)
    driver.answer()
    after = driver.cache.snapshot
    assert after is not before
    assert all(new is old for (_, new), (_, old) in zip(after.facts(), before.facts(), strict=True))


def test_after_a_lost_connection_the_old_is_served_and_everything_is_read_again() -> None:
    driver = running_cluster()
    driver.connect()
    driver.apply(SessionSuspended(driver.epoch))
    assert driver.cache.snapshot.active_master.value == Master(MASTER, 16010)
    assert not driver.cache.is_clean
    driver.zxid = 105
    driver.connect(answer=False)
    assert {read.path for read in driver.asked} == set(driver.tree)
    assert driver.cache.snapshot.complete
    assert driver.cache.snapshot.version == Version(0, 100)
    driver.answer()
    assert driver.cache.snapshot.version == Version(0, 105)


def test_what_a_lost_connection_still_had_under_way_is_thrown_away() -> None:
    driver = running_cluster()
    driver.connect(answer=False)
    old = next(read for read in driver.asked if read.path == PATHS.cluster_id)
    driver.apply(SessionSuspended(driver.epoch))
    driver.connect(answer=False)
    stale = znode.encode_cluster_id("stale", "m", SALT)
    driver.apply(
        ZnodeRead(driver.epoch - 1, old.ticket, old.path, old.what, FactState.KNOWN, 1, 1.0, stale, stat(1), None)
    )
    driver.apply(WatchFired(driver.epoch - 1, PATHS.cluster_id))
    driver.apply(Confirmed(driver.epoch - 1, 999, 999_000.0))
    assert driver.cache.snapshot.cluster_id.state is FactState.UNREAD
    driver.answer()
    assert driver.cache.snapshot.cluster_id.value == "c-1"
    assert driver.cache.snapshot.version == Version(0, 100)
    assert driver.cache.confirmed_at_ms == 1000.0


def test_lower_zxids_mean_another_generation_published_whole() -> None:
    """A wiped ZooKeeper: until all is read anew, look-ups get the old snapshot, never a mixture."""
    driver = running_cluster()
    driver.connect()
    driver.apply(SessionSuspended(driver.epoch))
    driver.zxid = 9
    driver.tree = {PATHS.root: ("hbaseid",), PATHS.cluster_id: znode.encode_cluster_id("c-1", "m", SALT)}
    driver.connect(session_id=8, answer=False)
    assert "0x9 after 0x64" in driver.cache.lost_history
    driver.reply(next(driver.asked.pop(i) for i, read in enumerate(driver.asked) if read.path == PATHS.master))
    assert driver.cache.snapshot.version == Version(0, 100)
    assert driver.cache.snapshot.active_master.value == Master(MASTER, 16010)
    driver.answer()
    snapshot = driver.cache.snapshot
    assert snapshot.version.generation == 1
    assert snapshot.active_master.state is FactState.ABSENT
    assert snapshot.cluster_id.value == "c-1"
    assert not driver.cache.lost_history


def test_another_cluster_id_means_another_generation() -> None:
    driver = running_cluster()
    driver.connect()
    driver.tree[PATHS.cluster_id] = znode.encode_cluster_id("c-2", "m", SALT)
    driver.fire(PATHS.cluster_id)
    driver.answer()
    assert driver.cache.snapshot.version == Version(1, 100)
    assert driver.cache.snapshot.cluster_id.value == "c-2"


def test_what_may_not_be_read_is_a_fact_of_its_own() -> None:
    driver = running_cluster()
    driver.tree[PATHS.backup_masters] = FactState.FORBIDDEN
    driver.tree[f"{PATHS.rs}/{SERVER}"] = FactState.FORBIDDEN
    driver.connect()
    snapshot = driver.cache.snapshot
    assert snapshot.complete
    assert snapshot.version == Version(0, 100)
    assert snapshot.backup_masters.state is FactState.FORBIDDEN
    assert "/hbase/backup-masters" in snapshot.backup_masters.problem
    assert snapshot.region_servers.value == (RegionServer(SERVER),)
    assert "hbeacon.zookeeper.auth" in snapshot.region_servers.problem
    assert snapshot.forbidden_paths == (PATHS.backup_masters, f"{PATHS.rs}/{SERVER}")
    driver.tree[PATHS.backup_masters] = ("m2,16000,5",)
    driver.apply(RecheckForbidden(driver.epoch))
    driver.answer()
    assert driver.cache.snapshot.backup_masters.value == (ServerName("m2", 16000, 5),)


def test_a_server_that_does_not_even_tell_whether_it_is_there() -> None:
    """Since ZOOKEEPER-2590, `exists` needs the permission to read too."""
    driver = running_cluster()
    driver.connect(answer=False)
    for read in [read for read in driver.asked if read.path == PATHS.backup_masters]:
        driver.asked.remove(read)
        driver.apply(ZnodeRead(driver.epoch, read.ticket, read.path, read.what, FactState.FORBIDDEN, 100, 1000.0))
    exists = driver.asked.pop()
    assert (exists.path, exists.what) == (PATHS.backup_masters, What.EXISTS)
    driver.apply(ZnodeRead(driver.epoch, exists.ticket, exists.path, exists.what, FactState.FORBIDDEN, 100, 1000.0))
    driver.answer()
    assert driver.cache.snapshot.complete
    assert driver.cache.snapshot.backup_masters.state is FactState.FORBIDDEN


def test_bytes_that_hbase_does_not_write_spoil_only_their_own_fact() -> None:
    driver = running_cluster()
    driver.tree[PATHS.master] = b"\xff\x00\x00"
    driver.tree[f"{PATHS.table}/t1"] = b"PBUF\xff"
    driver.tree[PATHS.rs] = (str(SERVER), "nonsense")
    driver.tree[f"{PATHS.rs}/nonsense"] = b""
    driver.connect()
    snapshot = driver.cache.snapshot
    assert snapshot.complete
    assert snapshot.active_master.state is FactState.UNDECODABLE
    assert PATHS.master in snapshot.active_master.problem
    assert dict(snapshot.table_states.value or {}) == {"ns:t2": "DISABLED"}
    assert "/hbase/table/t1" in snapshot.table_states.problem
    assert [server.server_name for server in snapshot.region_servers.value or ()] == [SERVER]
    assert "nonsense" in snapshot.region_servers.problem
    assert snapshot.cluster_id.value == "c-1"


def test_replicas_of_meta_come_and_go() -> None:
    driver = running_cluster()
    driver.connect()
    driver.tree[PATHS.root] = ("hbaseid", "master", "meta-region-server", "meta-region-server-2")
    driver.tree[f"{PATHS.meta}-2"] = znode.encode_meta_location(MetaLocation(2, OTHER, "OPENING"), "m", SALT)
    driver.fire(PATHS.root)
    driver.answer()
    assert driver.cache.snapshot.meta_locations.value == (
        MetaLocation(0, SERVER, "OPEN"),
        MetaLocation(2, OTHER, "OPENING"),
    )
    driver.tree[PATHS.root] = ("hbaseid", "master", "meta-region-server")
    driver.fire(PATHS.root)
    driver.answer()
    assert driver.cache.snapshot.meta_locations.value == (MetaLocation(0, SERVER, "OPEN"),)
    assert f"{PATHS.meta}-2" not in driver.cache.snapshot.znodes


def test_a_late_answer_does_not_speak_for_the_next_life_of_a_znode() -> None:
    """A child goes and comes back while its read is under way: that answer is of its first life."""
    driver = running_cluster()
    driver.connect()
    child = f"{PATHS.rs}/{OTHER}"
    driver.tree[PATHS.rs] = (str(SERVER), str(OTHER))
    driver.fire(PATHS.rs)
    driver.reply(driver.asked.pop(0))
    first = driver.asked.pop(0)
    assert first.path == child
    for names in ((str(SERVER),), (str(SERVER), str(OTHER))):
        driver.tree[PATHS.rs] = names
        driver.fire(PATHS.rs)
        driver.reply(driver.asked.pop(0))
    driver.tree[child] = znode.encode_region_server(RegionServer(OTHER, 16030), "r", SALT)
    driver.reply(first)
    assert not driver.cache.is_clean
    driver.tree[child] = znode.encode_region_server(RegionServer(OTHER, 16031), "r", SALT)
    driver.answer()
    assert driver.cache.is_clean
    assert RegionServer(OTHER, 16031) in (driver.cache.snapshot.region_servers.value or ())


def test_a_watch_that_fires_under_a_read_makes_it_be_read_once_more() -> None:
    driver = running_cluster()
    driver.connect()
    driver.fire(PATHS.meta)
    first = driver.asked.pop(0)
    driver.fire(PATHS.meta)
    driver.zxid = 120
    driver.reply(first)
    assert driver.cache.snapshot.version == Version(0, 100)
    assert [read.path for read in driver.asked] == [PATHS.meta]
    driver.answer()
    assert driver.cache.snapshot.version == Version(0, 120)


def test_the_story_of_a_znode() -> None:
    driver = running_cluster()
    driver.connect()
    driver.fire(PATHS.master)
    story = driver.cache.story(PATHS.master)
    assert "SessionConnected" in story
    assert "WatchFired" in story
    assert PATHS.rs not in story


def test_a_restarted_server_answers_from_no_older_version() -> None:
    """A client that asked the worker before may not be shown an older version by the one that replaced it."""
    driver = running_cluster()
    driver.cache = RegistryCache(PATHS, Version(3, 90))
    driver.connect()
    assert driver.cache.snapshot.version == Version(3, 100)
    wiped = running_cluster()
    wiped.cache = RegistryCache(PATHS, Version(3, 5000))
    wiped.connect()
    assert wiped.cache.snapshot.version == Version(4, 100)
    assert wiped.cache.snapshot.complete


def test_what_is_not_there_may_have_gone_later_than_all_that_is_seen() -> None:
    """No Stat tells when: the snapshot is of one moment only when a later question has been answered."""
    driver = running_cluster()
    driver.connect()
    assert driver.cache.snapshot.settled
    del driver.tree[PATHS.master]
    driver.fire(PATHS.master)
    for what in (What.DATA, What.EXISTS):
        (read,) = driver.asked
        driver.asked.clear()
        assert (read.path, read.what) == (PATHS.master, what)
        gone = ZnodeRead(
            *(driver.epoch, read.ticket, read.path, what, FactState.ABSENT, driver.zxid + 1, driver.now_ms),
            zxid_after=driver.zxid + 7,
        )
        driver.apply(gone)
    snapshot = driver.cache.snapshot
    assert (snapshot.active_master.state, snapshot.version.zxid) == (FactState.ABSENT, driver.zxid + 1)
    assert not snapshot.settled
    assert [read.path for read in driver.asked] == [PATHS.root], "no heartbeat is waited for"
    driver.zxid += 7
    driver.answer()
    assert driver.cache.snapshot.settled
    assert driver.cache.snapshot.version.zxid == driver.zxid
