"""Answers and hand-out: the bytes of a real 2.6.4, and nobody handed out who would close the door."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.lookup.answers import encode_answers
from registry.lookup.handout import HandOut, HandOutMode, HandOutSettings, hand_out
from registry.lookup.snapshot import Fact, FactState, Master, MetaLocation, RegionServer, Snapshot, Version
from registry.names import Address, ServerName

MASTER = ServerName("localhost", 27900, 1795249216047)
STANDBY = ServerName("localhost", 27901, 1795249853678)
WORKER = ServerName("localhost", 27920, 1795249223143)
SNAPSHOT = Snapshot(
    version=Version(1, 50),
    complete=True,
    cluster_id=Fact(FactState.KNOWN, "/hbase/hbaseid", "9dece594-c8c0-4618-a767-92cb9707d79b", 3),
    active_master=Fact(FactState.KNOWN, "/hbase/master", Master(MASTER, -1), 4),
    backup_masters=Fact(FactState.KNOWN, "/hbase/backup-masters", (), 5),
    meta_locations=Fact(FactState.KNOWN, "/hbase", (MetaLocation(0, WORKER, "OPEN"),), 6),
    region_servers=Fact(FactState.KNOWN, "/hbase/rs", (RegionServer(WORKER),), 7),
    table_states=Fact(FactState.ABSENT, "/hbase/table"),
)
NOTHING = Snapshot(
    version=Version(0, 0),
    complete=False,
    cluster_id=Fact(FactState.UNREAD, "/hbase/hbaseid"),
    active_master=Fact(FactState.UNREAD, "/hbase/master"),
    backup_masters=Fact(FactState.UNREAD, "/hbase/backup-masters"),
    meta_locations=Fact(FactState.UNREAD, "/hbase"),
    region_servers=Fact(FactState.UNREAD, "/hbase/rs"),
    table_states=Fact(FactState.UNREAD, "/hbase/table"),
)
CLUSTER = HandOutSettings(HandOutMode.CLUSTER)
LOCALHOST = "0a09" + b"localhost".hex()
MASTER_BYTES = LOCALHOST + "10fcd901" + "18afb4c4e99f34"
WORKER_BYTES = LOCALHOST + "1090da01" + "18e7ebc4e99f34"


def test_answers_are_those_of_a_real_2_6_4_master() -> None:
    answers = encode_answers(SNAPSHOT, hand_out(CLUSTER, SNAPSHOT, frozenset()))
    region = (
        "0801" + "120d" + "0a05" + b"hbase".hex() + "1204" + b"meta".hex() + "1a00" + "2200" + "2800" + "3000" + "3800"
    )
    assert {method: body.hex() for method, body in answers.bodies.items()} == {
        "GetClusterId": "0a24" + b"9dece594-c8c0-4618-a767-92cb9707d79b".hex(),
        "GetActiveMaster": "0a16" + MASTER_BYTES,
        "GetMasters": "0a1a" + "0a16" + MASTER_BYTES + "1001",
        "GetMetaRegionLocations": "0a40" + "0a1b" + region + "1216" + WORKER_BYTES + "18ffffffffffffffffff01",
        "GetBootstrapNodes": "0a16" + WORKER_BYTES,
    }
    assert answers.cluster_id == SNAPSHOT.cluster_id.value
    assert answers.changed_zxids["GetMetaRegionLocations"] == 6


def test_what_is_not_known_is_left_out() -> None:
    answers = encode_answers(NOTHING, hand_out(CLUSTER, NOTHING, frozenset()))
    assert set(answers.bodies.values()) == {b""}
    assert answers.cluster_id is None


def test_the_active_master_comes_first_and_alone_is_marked() -> None:
    both = replace(SNAPSHOT, backup_masters=Fact(FactState.KNOWN, "/hbase/backup-masters", (STANDBY, MASTER), 5))
    handout = hand_out(CLUSTER, both, frozenset())
    assert handout.masters == (MASTER, STANDBY), "an active master that still stands among the backups is named once"
    assert handout.active_master == MASTER
    assert encode_answers(both, handout).bodies["GetMasters"].hex().endswith("1000")


def test_auto_hands_out_only_who_was_seen_to_answer() -> None:
    auto = HandOutSettings(HandOutMode.AUTO)
    assert hand_out(auto, SNAPSHOT, frozenset()) == HandOut(
        source="auto: nobody, because no real server was seen to answer ClientMetaService"
    )
    handout = hand_out(auto, SNAPSHOT, frozenset({WORKER}))
    assert (handout.masters, handout.active_master, handout.bootstrap_nodes) == ((), None, (WORKER,))


@pytest.mark.parametrize("mode", [HandOutMode.TIER, HandOutMode.AUTO])
def test_the_tier_goes_before_what_the_cluster_has(mode: HandOutMode) -> None:
    tier = (Address("a1", 16000), Address("localhost", 27900))
    handout = hand_out(HandOutSettings(mode, tier), SNAPSHOT, frozenset({MASTER, WORKER}))
    assert handout.masters == (ServerName("a1", 16000), ServerName("localhost", 27900))
    assert handout.active_master == ServerName("localhost", 27900), "an adapter on the active master's own address"
    assert set(handout.bootstrap_nodes) == set(handout.masters)
    body = encode_answers(SNAPSHOT, handout).bodies["GetMasters"]
    unknown = "18ffffffffffffffffff01"  # Java's start code -1
    assert body.hex().startswith("0a16" + "0a12" + "0a026131" + "10807d" + unknown + "1000")


def test_the_tier_comes_with_the_active_master_for_clients_that_look_for_it_there() -> None:
    """hbase-client 2.4 asks GetMasters for the active master; it hung in every call of Admin on an unmarked list."""
    tier = HandOutSettings(HandOutMode.TIER, (Address("a1", 16000),))
    handout = hand_out(tier, SNAPSHOT, frozenset({MASTER}))
    assert (handout.masters, handout.active_master) == ((MASTER, ServerName("a1", 16000)), MASTER)
    assert handout.bootstrap_nodes == (ServerName("a1", 16000),)
    silent = hand_out(tier, SNAPSHOT, frozenset({WORKER}))
    assert (silent.masters, silent.active_master) == ((ServerName("a1", 16000),), None), "it would close connections"


def test_a_large_cluster_is_sampled_and_the_sample_turns() -> None:
    workers = tuple(RegionServer(ServerName(f"w{number}", 16020, 1)) for number in range(100))
    large = replace(SNAPSHOT, region_servers=Fact(FactState.KNOWN, "/hbase/rs", workers, 7))
    samples = [hand_out(CLUSTER, large, frozenset(), turn).bootstrap_nodes for turn in range(50)]
    assert {len(sample) for sample in samples} == {10}
    assert samples[0] == hand_out(CLUSTER, large, frozenset(), 0).bootstrap_nodes, "one turn, one sample"
    named = {server for sample in samples for server in sample}
    assert len(named) > 90, "in time every server is named"
