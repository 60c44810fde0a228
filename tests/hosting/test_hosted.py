"""Regions by their names, what clients hear of those that are not here, and what waits to be told the master."""

from __future__ import annotations

import pytest

from protos.hbase import HBase_pb2, RegionServerStatus_pb2
from regionserver.engine.memory import MemoryStore
from regionserver.hosting.hosted import MOVED_MS, Hosted, HostedRegions, encoded_name_of
from regionserver.hosting.read_orders import info_of_name
from regionserver.hosting.reports import Report, Reports
from regionserver.hosting.schema import described
from regionserver.region.region import Region, RegionRange
from registry.names import ServerName
from registry.wire.errors import (
    NotServingRegionException,
    RegionMovedException,
    RegionOpeningException,
)
from registry.wire.region_info import META, RegionInfo
from tests.hosting.desk import infos, schema, specifier
from tests.support.clock import ManualClock

HERE = ServerName("host", 16020, 5)
FIRST, SECOND = infos(2)


def hosted(info: RegionInfo) -> Hosted:
    read = described(schema())
    region = Region(RegionRange(info.table, str(info)), read.families, MemoryStore(), bytes(8))
    return Hosted(info, region, read, schema(), "store", 2, 0.0)


def test_regions_are_found_by_either_name():
    regions = HostedRegions(HERE, ManualClock())
    regions.serve(hosted(FIRST))
    encoded = HBase_pb2.RegionSpecifier(
        type=HBase_pb2.RegionSpecifier.ENCODED_REGION_NAME, value=FIRST.encoded_name.encode()
    )
    found = regions.region_of(specifier(FIRST))
    assert regions.region_of(encoded) is found
    other = HBase_pb2.RegionSpecifier(
        type=HBase_pb2.RegionSpecifier.REGION_NAME, value=b"whatever,,1." + FIRST.encoded_name.encode() + b"."
    )
    assert regions.region_of(other) is found, "HBase looks at the encoded name alone"
    assert regions.hosted_of(encoded).info == FIRST
    assert [each.info for each in regions.online()] == [FIRST]
    regions.withdraw(FIRST.encoded_name)
    for spec in (encoded, other, specifier(FIRST)):
        with pytest.raises(NotServingRegionException):
            regions.region_of(spec)


def test_meta_by_its_names():
    regions = HostedRegions(HERE, ManualClock())
    regions.serve(hosted(META))
    assert regions.region_of(specifier(META))
    assert encoded_name_of(b"hbase:meta,,1") == "1588230740"


def test_what_clients_hear():
    clock = ManualClock()
    regions = HostedRegions(HERE, clock)
    with pytest.raises(NotServingRegionException) as refused:
        regions.region_of(specifier(FIRST))
    assert refused.value.message == f"{FIRST} is not online on host,16020,5"
    regions.opening(FIRST.encoded_name)
    with pytest.raises(RegionOpeningException) as refused:
        regions.region_of(specifier(FIRST))
    assert refused.value.message == f"Region {FIRST} is opening on host,16020,5"
    regions.withdraw(FIRST.encoded_name)
    regions.moved(FIRST.encoded_name, ServerName("there", 1, 2), 7)
    with pytest.raises(RegionMovedException, match=r"hostname=there port=1 startCode=2\. As of locationSeqNum=7\."):
        regions.region_of(specifier(FIRST))
    clock.advance(MOVED_MS)
    with pytest.raises(NotServingRegionException) as refused:
        regions.region_of(specifier(FIRST))
    assert not isinstance(refused.value, RegionMovedException)


def test_a_move_to_a_later_life_of_this_server_sends_nobody_away():
    regions = HostedRegions(HERE, ManualClock())
    regions.moved(FIRST.encoded_name, ServerName("host", 16020, 6), 7)
    with pytest.raises(NotServingRegionException) as refused:
        regions.region_of(specifier(FIRST))
    assert not isinstance(refused.value, RegionMovedException)


def test_what_a_name_says():
    for info in (FIRST, SECOND, META, RegionInfo("ns:t", b"a,b\xff.", b"", 12, replica_id=3)):
        found = info_of_name(info.name)
        assert found is not None
        assert (found.name, found.encoded_name) == (info.name, info.encoded_name)
    assert info_of_name(FIRST.encoded_name.encode()) is None
    assert info_of_name(b"") is None


def transition(number: int) -> RegionServerStatus_pb2.RegionStateTransition:
    return RegionServerStatus_pb2.RegionStateTransition(
        transition_code=RegionServerStatus_pb2.RegionStateTransition.OPENED, proc_id=[number]
    )


def test_reports_stay_until_they_are_acknowledged():
    reports, answered = Reports(), list[Report]()
    changes: list[None] = []
    reports.changed = lambda: changes.append(None)
    reports.when_acknowledged = answered.append
    reports.tell_transition("a", transition(1))
    reports.tell_result(
        RegionServerStatus_pb2.RemoteProcedureResult(
            proc_id=4, status=RegionServerStatus_pb2.RemoteProcedureResult.SUCCESS
        )
    )
    reports.tell_transition("b", transition(2))
    assert len(changes) == len(reports) == 3
    first, second, third = reports.pending()
    assert [first.region, second.region, third.region] == ["a", "", "b"]
    assert second.result is not None
    assert reports.pending(1) == [first]
    reports.acknowledged(second.number)
    reports.acknowledged(second.number)
    assert reports.pending() == [first, third]
    assert answered == [second]


def test_of_a_region_the_newest_is_told():
    reports, answered = Reports(), list[Report]()
    reports.when_refused = answered.append
    reports.tell_transition("a", transition(1))
    (old,) = reports.pending()
    reports.tell_transition("a", transition(2))
    (new,) = reports.pending()
    reports.refused(old.number)
    assert reports.pending() == [new]
    reports.refused(new.number)
    assert answered == [new]
    reports.tell_transition("a", transition(3))
    reports.withdraw("a")
    reports.withdraw("a")
    assert len(reports) == 0
