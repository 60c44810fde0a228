"""Bytes that no client sends: they cost their sender an error or its connection, and nobody else anything."""

from __future__ import annotations

import struct

import pytest

from registry.coordinator.codes import CreateMode, ErrorCode, OpCode
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE, MarshallingError, Reader
from registry.coordinator.reads import MULTI_READ_BYTES_MAX
from tests.support import zk_frames
from tests.support.coordinators import CoordinatorBench

FRAMES = {
    "create": zk_frames.create(1, "/new", b"data"),
    "create with ACL": zk_frames.create(1, "/new", b"data", acls=[ACL(1, "digest", "u:p"), *OPEN_ACL_UNSAFE]),
    "createTTL": zk_frames.create(1, "/new", b"", CreateMode.PERSISTENT_WITH_TTL, op=OpCode.CREATE_TTL, ttl_ms=1000),
    "delete": zk_frames.delete(1, "/a"),
    "setData": zk_frames.set_data(1, "/a", b"data"),
    "setACL": zk_frames.set_acl(1, "/a", OPEN_ACL_UNSAFE),
    "exists": zk_frames.with_path(1, OpCode.EXISTS, "/a", True),
    "getData": zk_frames.with_path(1, OpCode.GET_DATA, "/a", True),
    "getChildren": zk_frames.with_path(1, OpCode.GET_CHILDREN, "/a", True),
    "getChildren2": zk_frames.with_path(1, OpCode.GET_CHILDREN2, "/a", True),
    "getACL": zk_frames.with_path(1, OpCode.GET_ACL, "/a"),
    "sync": zk_frames.with_path(1, OpCode.SYNC, "/a"),
    "getEphemerals": zk_frames.with_path(1, OpCode.GET_EPHEMERALS, "/a"),
    "getAllChildrenNumber": zk_frames.with_path(1, OpCode.GET_ALL_CHILDREN_NUMBER, "/a"),
    "setWatches": zk_frames.set_watches(0, ["/a"], ["/b"], ["/c"]),
    "setWatches2": zk_frames.set_watches(0, ["/a"], ["/b"], ["/c"], ["/d"], ["/e"]),
    "addWatch": zk_frames.path_and_number(1, OpCode.ADD_WATCH, "/a", 0),
    "removeWatches": zk_frames.path_and_number(1, OpCode.REMOVE_WATCHES, "/a", 3),
    "checkWatches": zk_frames.path_and_number(1, OpCode.CHECK_WATCHES, "/a", 3),
    "auth": zk_frames.auth("digest", b"user:password"),
    "sasl": zk_frames.request(1, OpCode.SASL).buffer(b"token").payload(),
    "multi": zk_frames.multi(1, [(OpCode.CREATE, zk_frames.create_record("/new", b"", OPEN_ACL_UNSAFE, 0))]),
    "multiRead": zk_frames.multi(1, [(OpCode.GET_DATA, b"\0\0\0\x02/a\0")], OpCode.MULTI_READ),
}
LENGTHS = [-(1 << 31), -2, -1, 0, 1 << 20, (1 << 31) - 1]


@pytest.mark.parametrize("name", FRAMES)
def test_a_request_that_is_cut_anywhere_is_refused_and_changes_nothing(name: str) -> None:
    bench = CoordinatorBench()
    other = bench.client()
    other.create("/a", b"old")
    nodes = list(bench.machine.tree.dump())
    for end in range(8, len(FRAMES[name])):
        client = bench.client()
        replies = client.send(FRAMES[name][:end])
        if client.peer.is_closed:
            assert name in ("auth", "sasl")  # ZooKeeper reads these before they are requests
            assert replies == []
            continue
        assert [reply.err for reply in replies] == [ErrorCode.MARSHALLING_ERROR], end
        assert client.exists("/a").err == ErrorCode.OK
    assert list(bench.machine.tree.dump()) == nodes
    assert bench.machine.describe().watch_count == 0
    assert other.exists("/a").err == ErrorCode.OK


@pytest.mark.parametrize("name", FRAMES)
def test_a_number_turned_mad_anywhere_hurts_nobody_else(name: str) -> None:
    """Whatever four bytes become a gigantic or negative length, somebody else's connection and node stay."""
    bench = CoordinatorBench()
    other = bench.client()
    other.create("/a", b"old")
    other.create("/a/b")
    frame = FRAMES[name]
    for offset in range(8, len(frame) - 3):
        for length in LENGTHS:
            client = bench.client()
            replies = client.send(frame[:offset] + struct.pack(">i", length) + frame[offset + 4 :])
            assert replies or client.peer.is_closed
            assert client.peer.is_closed or client.exists("/").err == ErrorCode.OK
            bench.machine.lost(client.peer)
        assert other.exists("/a/b").err == ErrorCode.OK


@pytest.mark.parametrize("frame", [b"", b"\0", b"\0\0\0\1\0\0\0"])
def test_a_frame_without_a_header_closes_its_connection_alone(frame: bytes) -> None:
    bench = CoordinatorBench()
    other, client = bench.client(), bench.client()
    assert client.send(frame, zk_frames.create(1, "/a")) == []
    assert client.peer.is_closed
    assert other.exists("/a").err == ErrorCode.NO_NODE
    assert bench.client(session=client.session).exists("/a").err == ErrorCode.NO_NODE


def test_frames_may_be_views_of_a_buffer_that_is_used_again() -> None:
    bench = CoordinatorBench()
    client = bench.client()
    for frame in (zk_frames.create(1, "/a", b"data"), zk_frames.set_data(2, "/a", b"more")):
        buffer = bytearray(frame)
        bench.machine.received(client.peer, [memoryview(buffer)])
        buffer[:] = bytes(len(buffer))
        assert client.take()[0].err == 0
    bench.machine.received(client.peer, [memoryview(zk_frames.with_path(3, OpCode.GET_DATA, "/a", False))])
    assert client.take()[0].data == b"more"


def test_bad_utf8_names_no_node_and_makes_none() -> None:
    client = CoordinatorBench().client()
    bad = zk_frames.request(1, OpCode.EXISTS).buffer(b"/\xff\xfe").boolean(True).payload()
    assert client.ask(bad).err == ErrorCode.NO_NODE
    record = zk_frames.create_record("/xx", b"", OPEN_ACL_UNSAFE, 0).replace(b"/xx", b"/\xff\xfe")
    assert client.ask(zk_frames.request(2, OpCode.CREATE).raw(record).payload()).err == ErrorCode.BAD_ARGUMENTS


def test_a_multi_read_of_much_is_refused() -> None:
    client = CoordinatorBench().client()
    client.create("/a", bytes(1 << 20))
    read = (OpCode.GET_DATA, zk_frames.with_path(0, 0, "/a", False)[8:])
    fits = client.ask(zk_frames.multi(1, [read] * 10, OpCode.MULTI_READ))
    assert len(fits.multi_results()) == 10
    much = client.ask(zk_frames.multi(2, [read] * (MULTI_READ_BYTES_MAX >> 20), OpCode.MULTI_READ))
    assert (much.err, much.body) == (ErrorCode.SYSTEM_ERROR, b"")


def test_only_minus_one_is_null() -> None:
    client = CoordinatorBench().client()
    client.create("/a", b"old")
    for length in (-2, -5, -(1 << 31)):
        for frame in (zk_frames.set_data(1, "/a", b""), zk_frames.create(1, "/b", b"")):
            assert client.ask(frame[:14] + struct.pack(">i", length) + frame[18:]).err == ErrorCode.MARSHALLING_ERROR
    assert client.get_data("/a").data == b"old"


def test_null_paths_are_refused() -> None:
    client = CoordinatorBench().client()
    for op in (OpCode.EXISTS, OpCode.GET_DATA, OpCode.GET_ACL, OpCode.DELETE, OpCode.ADD_WATCH):
        frame = zk_frames.request(1, op).string(None).int32(0).payload()
        assert client.ask(frame).err == ErrorCode.MARSHALLING_ERROR
    assert client.ask(zk_frames.request(1, OpCode.SYNC).string(None).payload()).path is None
    assert client.ask(zk_frames.request(1, OpCode.GET_EPHEMERALS).string(None).payload()).children == []


def test_a_reader_refuses_counts_before_it_makes_room() -> None:
    for count, element_bytes in ((1 << 30, 4), (3, 4), (2, 12)):
        with pytest.raises(MarshallingError):
            Reader(struct.pack(">iq", count, 0)).count(element_bytes)
    assert Reader(struct.pack(">iq", -5, 0)).count(4) == 0
    assert Reader(struct.pack(">iq", 2, 0)).count(4) == 2
