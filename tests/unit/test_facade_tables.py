"""Table nodes that ZooKeeper does not have: what a client 1.x sees of states that hbase:meta keeps."""

from __future__ import annotations

import pytest

from registry.coordinator.codes import ErrorCode, EventType
from registry.wire.znode import decode_table_state
from tests.support import zk_frames
from tests.support.coordinators import Client
from tests.support.facades import FollowedFacade, HBaseUpstream

TABLE = "/hbase/table"
CREATED, DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
CHANGED, CHILDREN = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED


def state_of(client: Client, table: str) -> str | None:
    """As ZKTableStateClientSideReader reads it."""
    reply = client.get_data(f"{TABLE}/{table}")
    return None if reply.err == ErrorCode.NO_NODE else decode_table_state(reply.data or b"")


@pytest.fixture(params=["absent", "empty"])
def upstream(request: pytest.FixtureRequest) -> HBaseUpstream:
    """HBase 3 has no such directory, 2.x without the mirror an empty one."""
    made = HBaseUpstream(leave_out=("table",))
    if request.param == "empty":
        made.writer.create(TABLE)
    return made


@pytest.fixture
def door(upstream: HBaseUpstream) -> FollowedFacade:
    return FollowedFacade(upstream.machine, upstream.clock).follow()


def test_states_of_meta_are_shown_where_zookeeper_has_none(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client = door.client()
    assert door.facade.wants_tables
    assert state_of(client, "t1") is None
    door.facade.show_tables({"t1": "ENABLED", "ns:t2": "DISABLED", "odd": "NEVER HEARD OF"})
    assert [state_of(client, name) for name in ("t1", "ns:t2", "hbase:meta", "odd")] == [
        "ENABLED",
        "DISABLED",
        "ENABLED",
        None,
    ]
    assert client.get_children(TABLE).children == ["hbase:meta", "ns:t2", "t1"]
    assert client.get_children(TABLE).stat.num_children == 3
    root = client.get_children("/hbase")
    assert "table" in root.children
    assert root.stat.num_children == len(root.children)
    assert client.exists(f"{TABLE}/t1").stat.data_length == len(client.get_data(f"{TABLE}/t1").data or b"")
    assert client.create(f"{TABLE}/t3").err == ErrorCode.NO_AUTH


def test_changes_of_state_are_told_and_stats_never_go_back(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    client = door.client()
    client.get_children("/hbase", watch=True)
    client.exists(f"{TABLE}/t1", watch=True)
    door.facade.show_tables({"t1": "ENABLED"})
    told = client.take_events()
    assert (CREATED, f"{TABLE}/t1") in told
    assert ((CHILDREN, "/hbase") in told) == (upstream.writer.exists(TABLE).err == ErrorCode.NO_NODE)
    first = client.stat(f"{TABLE}/t1")
    client.get_data(f"{TABLE}/t1", watch=True)
    client.get_children(TABLE, watch=True)
    upstream.writer.set_data("/hbase/running", b"")
    door.pump()
    door.facade.show_tables({"t1": "DISABLING"})
    door.facade.show_tables({"t1": "DISABLED"})  # at the same zxid
    assert client.take_events() == [(CHANGED, f"{TABLE}/t1")]
    second = client.stat(f"{TABLE}/t1")
    assert second.czxid == first.czxid
    assert first.mzxid < second.mzxid <= upstream.zxid
    assert second.version == 2
    listed = client.stat(TABLE)
    door.facade.show_tables({"t2": "ENABLED"})
    assert client.take_events() == [(CHILDREN, TABLE)]
    assert client.stat(TABLE).cversion == listed.cversion + 2
    assert client.exists(f"{TABLE}/t1").err == ErrorCode.NO_NODE


def test_a_client_that_comes_from_another_facade_looks_again(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    """The other one heard of the change at another zxid, so zxids say nothing here."""
    other = FollowedFacade(upstream.machine, upstream.clock, name=2).follow()
    other.facade.show_tables({"t1": "ENABLED"})
    door.facade.show_tables({"t1": "DISABLED"})
    client = other.client()
    client.get_data(f"{TABLE}/t1", watch=True)
    upstream.writer.set_data("/hbase/running", b"")
    other.pump()
    door.pump()
    last = client.exists("/").zxid
    moved = door.client(client.session, last)
    moved.send(zk_frames.set_watches(last, data=[f"{TABLE}/t1", f"{TABLE}/t2"], exist=[f"{TABLE}/t3"], child=[TABLE]))
    assert set(moved.take_events()) == {(CHANGED, f"{TABLE}/t1"), (DELETED, f"{TABLE}/t2"), (CHILDREN, TABLE)}


def test_what_zookeeper_has_is_shown_as_soon_as_it_has_it(upstream: HBaseUpstream, door: FollowedFacade) -> None:
    door.facade.show_tables({"t1": "ENABLED", "t2": "ENABLED"})
    client = door.client()
    client.get_data(f"{TABLE}/t2", watch=True)
    upstream.writer.create(TABLE)
    upstream.writer.create(f"{TABLE}/t1", b"real")
    door.pump()
    assert not door.facade.wants_tables
    assert client.take_events() == [(DELETED, f"{TABLE}/t2")]
    assert client.get_data(f"{TABLE}/t1").body == upstream.writer.get_data(f"{TABLE}/t1").body
    assert client.get_children("/hbase").stat == upstream.writer.get_children("/hbase").stat
    door.facade.show_tables({"t1": "DISABLED"})
    assert client.get_data(f"{TABLE}/t1").data == b"real"
    upstream.writer.delete(f"{TABLE}/t1")
    door.pump()
    assert state_of(client, "t1") == "DISABLED"


def test_without_states_nothing_is_made_up(door: FollowedFacade) -> None:
    client = door.client()
    door.facade.show_tables(None)
    assert client.exists(f"{TABLE}/hbase:meta").err == ErrorCode.NO_NODE


def test_real_tables_are_left_alone() -> None:
    upstream = HBaseUpstream()
    door = FollowedFacade(upstream.machine, upstream.clock).follow()
    client = door.client()
    assert not door.facade.wants_tables
    before = client.get_children(TABLE).body
    door.facade.show_tables({"t1": "DISABLED"})
    assert client.get_children(TABLE).body == before
