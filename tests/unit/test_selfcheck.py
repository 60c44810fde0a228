"""The self-check: differences count only when they last, and only speakers are handed out."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from registry.lookup.agreement import Agreement, PeerAnswers
from registry.lookup.selfcheck import NotSpoken, SelfCheck, SelfCheckSettings
from registry.lookup.snapshot import (
    Fact,
    FactState,
    Master,
    MetaLocation,
    RegionServer,
    Snapshot,
    Version,
)
from registry.lookup.speakers import SILENT_FIRST_MS, UNREACHED_FIRST_MS, Probe, Speakers
from registry.names import Address, ServerName
from tests.support.clock import ManualClock

MASTER = ServerName("m1", 16000, 100)
BACKUP = ServerName("m2", 16000, 200)
WORKER = ServerName("w1", 16020, 300)
PEER = Address("adapter", 16000)
SNAPSHOT = Snapshot(
    version=Version(1, 50),
    complete=True,
    cluster_id=Fact(FactState.KNOWN, "/hbase/hbaseid", "id-1", 3),
    active_master=Fact(FactState.KNOWN, "/hbase/master", Master(MASTER, 16010), 4),
    backup_masters=Fact(FactState.KNOWN, "/hbase/backup-masters", (BACKUP,), 5),
    meta_locations=Fact(FactState.KNOWN, "/hbase", (MetaLocation(0, WORKER, "OPEN"),), 6),
    region_servers=Fact(FactState.KNOWN, "/hbase/rs", (RegionServer(WORKER),), 7),
    table_states=Fact(FactState.ABSENT, "/hbase/table"),
)
SAME = PeerAnswers("id-1", MASTER, {0: WORKER})


def test_equal_answers_are_no_difference() -> None:
    agreement = Agreement()
    agreement.compare(PEER, SAME, SNAPSHOT, 0.0, 1000.0)
    assert agreement.rows(9000.0) == ()


def test_a_difference_lasts_from_its_first_sight_until_it_is_mended() -> None:
    agreement = Agreement()
    other = replace(SAME, meta_locations={0: ServerName("w2", 16020, 301)})
    agreement.compare(PEER, other, SNAPSHOT, 0.0, 1000.0)
    agreement.compare(PEER, other, SNAPSHOT, 0.0, 2000.0)
    (row,) = agreement.rows(2500.0)
    assert (row.method, row.seconds, row.peer_behind) == ("GetMetaRegionLocations", 1.5, False)
    assert (row.ours, row.theirs) == ("0=w1,16020,300", "0=w2,16020,301")
    agreement.compare(PEER, SAME, SNAPSHOT, 0.0, 3000.0)
    assert agreement.rows(3000.0) == ()


def test_what_we_may_not_say_cannot_differ() -> None:
    agreement = Agreement()
    unread = replace(SNAPSHOT, cluster_id=Fact(FactState.UNREAD, "/hbase/hbaseid"))
    agreement.compare(PEER, replace(SAME, cluster_id="id-2"), unread, 0.0, 0.0)
    assert agreement.rows(9999.0) == ()


def test_absence_is_compared() -> None:
    agreement = Agreement()
    absent = replace(SNAPSHOT, active_master=Fact(FactState.ABSENT, "/hbase/master"))
    agreement.compare(PEER, SAME, absent, 0.0, 0.0)
    assert [row.method for row in agreement.rows(1.0)] == ["GetActiveMaster"]


def test_a_peer_that_admits_to_be_older_is_at_fault_itself() -> None:
    agreement = Agreement()
    older = replace(SAME, cluster_id="id-0", version=Version(1, 40), age_ms=60_000.0)
    agreement.compare(PEER, older, SNAPSHOT, 10.0, 0.0)
    assert agreement.rows(1.0)[0].peer_behind
    newer = replace(older, version=Version(1, 60), age_ms=1.0)
    agreement.compare(PEER, newer, SNAPSHOT, 10.0, 1.0)
    assert not agreement.rows(1.0)[0].peer_behind


def test_a_server_before_the_service_is_asked_seldom_and_a_starting_one_often() -> None:
    speakers = Speakers()
    speakers.follow([MASTER, WORKER])
    assert set(speakers.due(0.0)) == {MASTER, WORKER}
    assert not speakers.note(MASTER, Probe.CLOSED, 0.0)
    assert not speakers.note(WORKER, Probe.UNREACHED, 0.0)
    assert speakers.due(UNREACHED_FIRST_MS) == (WORKER,)
    assert not speakers.note(WORKER, Probe.UNREACHED, UNREACHED_FIRST_MS)
    assert speakers.due(UNREACHED_FIRST_MS * 2) == (), "the pause doubles"
    assert MASTER in speakers.due(SILENT_FIRST_MS)
    assert speakers.note(WORKER, Probe.ANSWERED, SILENT_FIRST_MS)
    assert speakers.speaking() == {WORKER}


def test_a_new_life_of_a_server_is_asked_at_once() -> None:
    speakers = Speakers()
    speakers.follow([MASTER])
    speakers.note(MASTER, Probe.CLOSED, 0.0)
    upgraded = replace(MASTER, start_code=101)
    speakers.follow([upgraded])
    assert speakers.due(1.0) == (upgraded,)
    assert not speakers.note(MASTER, Probe.ANSWERED, 2.0), "an answer of the old life is nobody's"


async def test_silence_of_one_peer_delays_no_other() -> None:
    """Asked each turn: a hung adapter, an old master, a region server that speaks and one that differs."""
    hung = Address("hung", 1)
    asked: list[Address] = []

    async def ask(address: Address, timeout_ms: float) -> PeerAnswers:
        asked.append(address)
        if address == hung:
            await asyncio.sleep(3600)
        if address == BACKUP.address:
            raise NotSpoken("connection closed")
        if address == MASTER.address:
            raise ConnectionRefusedError("refused")
        return replace(SAME, cluster_id="id-2") if address == PEER else SAME

    clock = ManualClock()
    speakers: list[frozenset[ServerName]] = []
    own = Address("me", 16000)
    settings = SelfCheckSettings(1.0, 1000.0, (hung, PEER, own), frozenset({own}))
    check = SelfCheck(settings, ask, clock, lambda: (SNAPSHOT, 0.0), speakers.append)
    check.start()
    async with asyncio.timeout(5):
        while asked.count(PEER) < 5:
            await asyncio.sleep(0.001)
    assert asked.count(hung) == 1, "one open question to a peer at a time"
    assert asked.count(BACKUP.address) == 1, "an old server is not pestered"
    assert own not in asked
    assert check.speaking() == {WORKER}
    assert speakers == [frozenset({WORKER})]
    assert [(row.peer, row.method) for row in check.disagreements()] == [(str(PEER), "GetClusterId")]
    check.set_peers((hung,))
    assert check.disagreements() == ()
    await check.stop()
