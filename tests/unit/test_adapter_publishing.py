"""Snapshots become answers once per change, and are withdrawn while they must not be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from protos.hbase import Registry_pb2
from registry.lookup.handout import HandOutMode, HandOutSettings
from registry.lookup.snapshot import Fact, FactState, Master, RegionServer, Snapshot, Version
from registry.names import Address, ServerName
from registry.role.kept import Kept
from registry.role.publishing import TURN_MS, Publisher
from registry.wire.stamp import Stamp, decode_stamp
from tests.support.clock import ManualClock

MASTER = ServerName("m1", 16000, 1)


def snapshot(servers_count: int = 3, zxid: int = 7) -> Snapshot:
    servers = tuple(RegionServer(ServerName(f"rs{index}", 16020, 1)) for index in range(servers_count))
    return Snapshot(
        version=Version(1, zxid),
        complete=True,
        cluster_id=Fact(FactState.KNOWN, "/hbase/hbaseid", "the-cluster", 3),
        active_master=Fact(FactState.KNOWN, "/hbase/master", Master(MASTER, 16010), 5),
        backup_masters=Fact(FactState.KNOWN, "/hbase/backup-masters", (), 2),
        meta_locations=Fact(FactState.KNOWN, "/hbase/meta-region-server", (), 6),
        region_servers=Fact(FactState.KNOWN, "/hbase/rs", servers, 7),
        table_states=Fact(FactState.ABSENT, "/hbase/table"),
    )


class FakeDoor:
    def __init__(self) -> None:
        self.ready: Mapping[str, bytes] = {}
        self.cluster_id: str | None = None
        self.offers = 0

    def set_ready(self, service: str, bodies: Mapping[str, bytes]) -> None:
        assert service == "ClientMetaService"
        self.ready = bodies
        self.offers += 1

    def set_cluster_id(self, cluster_id: str | None) -> None:
        self.cluster_id = cluster_id


class FakeSource:
    def __init__(self, value: Snapshot) -> None:
        self.snapshot = value

    def age_ms(self) -> float:
        return 250.0


def nodes(door: FakeDoor) -> list[str]:
    answer = Registry_pb2.GetBootstrapNodesResponse.FromString(door.ready["GetBootstrapNodes"])
    return [name.host_name for name in answer.server_name]


def publisher(settings: HandOutSettings, source: FakeSource) -> tuple[Publisher, FakeDoor, ManualClock]:
    door, clock = FakeDoor(), ManualClock()
    return Publisher(door, source, clock, settings), door, clock


def test_a_snapshot_is_offered_whole() -> None:
    made, door, _ = publisher(HandOutSettings(HandOutMode.CLUSTER), FakeSource(snapshot()))
    made.publish()
    assert door.cluster_id == "the-cluster"
    assert sorted(nodes(door)) == ["rs0", "rs1", "rs2"]
    assert set(door.ready) == {
        "GetClusterId",
        "GetActiveMaster",
        "GetMasters",
        "GetMetaRegionLocations",
        "GetBootstrapNodes",
    }


def test_what_must_not_be_given_is_withdrawn_and_comes_back() -> None:
    source = FakeSource(snapshot())
    made, door, _ = publisher(HandOutSettings(), source)
    made.publish()
    made.set_refusing(True)
    assert (dict(door.ready), door.cluster_id, made.refusing) == ({}, None, True)
    source.snapshot = replace(snapshot(), cluster_id=Fact(FactState.KNOWN, "/hbase/hbaseid", "another", 9))
    made.publish()
    assert door.cluster_id is None, "a change must not end the refusal"
    made.set_refusing(False)
    assert door.cluster_id == "another"
    offers = door.offers
    made.set_refusing(False)
    assert door.offers == offers


def test_speakers_and_configuration_change_the_lists_at_once() -> None:
    made, door, _ = publisher(HandOutSettings(), FakeSource(snapshot()))
    made.publish()
    assert nodes(door) == []
    made.set_speaking(frozenset({ServerName("rs1", 16020, 1)}))
    assert nodes(door) == ["rs1"]
    made.set_settings(HandOutSettings(HandOutMode.AUTO, (Address("beacon1", 16000),)))
    assert nodes(door) == ["beacon1"]


def test_large_clusters_hand_out_another_choice_now_and_then() -> None:
    made, door, clock = publisher(HandOutSettings(HandOutMode.CLUSTER, node_limit=3), FakeSource(snapshot(50)))
    made.publish()
    first, offers = nodes(door), door.offers
    made.tick()
    assert door.offers == offers
    seen = set(first)
    for _ in range(20):
        clock.advance(TURN_MS)
        made.tick()
        assert len(nodes(door)) == 3
        seen |= set(nodes(door))
    assert len(seen) > 20


def test_the_stamp_tells_version_age_and_last_change() -> None:
    made, _, _ = publisher(HandOutSettings(), FakeSource(snapshot(zxid=70)))
    made.publish()
    assert decode_stamp(made.stamp("GetActiveMaster")) == Stamp(1, 70, 250.0, 5, True)
    assert decode_stamp(made.stamp("NoSuchMethod")) == Stamp(1, 70, 250.0, 0, True)


def test_what_a_worker_leaves_is_read_by_the_next() -> None:
    kept = Kept(16000, 16010, Version(2, 0x1234567890), 2181)
    assert Kept.parse(kept.text()) == kept
    watched = Kept(16000, 16010, Version(2, 0x1234567890), 2181, "1795000000,60,-;f10.0.0.1=60,5")
    assert Kept.parse(watched.text()) == watched
    for text in ("", "16000 16010", "a b c d e", "1 2 3 4", "1 2 3 4 5", "1 2 3 4 5 6 7 8"):
        assert Kept.parse(text) == Kept()
