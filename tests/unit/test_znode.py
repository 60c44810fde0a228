"""Values of znodes: bytes recorded from a real HBase 2.6.4, older forms, damaged ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import HBase_pb2, ZooKeeper_pb2
from registry.lookup.snapshot import Master, MetaLocation, RegionServer
from registry.names import ServerName
from registry.wire import znode
from registry.wire.errors import ProtocolError

SALT = bytes(range(8))
CLUSTER_ID = "dec5e4d9-c8c0-4618-a767-92cb9707d79b"
MASTER_NAME = ServerName("localhost", 27900, 1795249216047)
REGION_SERVER_NAME = ServerName("localhost", 27920, 1795249223143)

ENVELOPE = bytes.fromhex("ff 00000014") + b"master:27900" + SALT + b"PBUF"
HBASEID = ENVELOPE + bytes.fromhex("0a24") + CLUSTER_ID.encode()
MASTER = (
    ENVELOPE + bytes.fromhex("0a16 0a09") + b"localhost" + bytes.fromhex("10fcd901 18afb4c4e99f34 1000 18ffffffff0f")
)
META = ENVELOPE + bytes.fromhex("0a16 0a09") + b"localhost" + bytes.fromhex("1090da01 18e7ebc4e99f34 1000 1803")
RUNNING = ENVELOPE + bytes.fromhex("0a1c") + b"Sat Nov 21 08:20:29 UTC 2026"
TABLE_ENABLED = ENVELOPE + bytes.fromhex("0800")

Decoder = Callable[[bytes], object]
DECODERS: dict[str, tuple[bytes, Decoder]] = {
    "hbaseid": (HBASEID, znode.decode_cluster_id),
    "master": (MASTER, znode.decode_master),
    "meta": (META, lambda data: znode.decode_meta_location(data, 0)),
    "running": (RUNNING, znode.decode_cluster_up),
    "table": (TABLE_ENABLED, znode.decode_table_state),
}


def test_recorded_values() -> None:
    assert znode.decode_cluster_id(HBASEID) == CLUSTER_ID
    assert znode.decode_master(MASTER) == Master(MASTER_NAME, info_port=-1)
    assert znode.decode_meta_location(META, 0) == MetaLocation(0, REGION_SERVER_NAME, "OPEN")
    assert znode.decode_cluster_up(RUNNING) == "Sat Nov 21 08:20:29 UTC 2026"
    assert znode.decode_table_state(TABLE_ENABLED) == "ENABLED"


def test_written_values_are_the_recorded_bytes() -> None:
    writer = "master:27900"
    assert znode.encode_cluster_id(CLUSTER_ID, writer, SALT) == HBASEID
    assert znode.encode_master(Master(MASTER_NAME, -1), writer, SALT) == MASTER
    assert znode.encode_meta_location(MetaLocation(0, REGION_SERVER_NAME, "OPEN"), writer, SALT) == META
    assert znode.encode_cluster_up("Sat Nov 21 08:20:29 UTC 2026", writer, SALT) == RUNNING
    assert znode.encode_table_state("ENABLED", writer, SALT) == TABLE_ENABLED


@pytest.mark.parametrize("name", DECODERS)
def test_values_without_the_envelope_are_read_too(name: str) -> None:
    data, decode = DECODERS[name]
    assert decode(znode.unwrap(data)) == decode(data)


def test_empty_data_has_no_envelope() -> None:
    assert znode.wrap(b"", "master:16000", SALT) == b""
    assert znode.unwrap(b"") == b""


@given(
    payload=st.binary(min_size=1, max_size=300), writer=st.text(max_size=100), salt=st.binary(min_size=8, max_size=8)
)
def test_envelope_goes_round(payload: bytes, writer: str, salt: bytes) -> None:
    data = znode.wrap(payload, writer, salt)
    assert data[0] == 0xFF
    assert int.from_bytes(data[1:5], "big") == len(writer.encode()) + 8
    assert znode.unwrap(data) == payload


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\xff\x00\x00\x00",
        b"\xff\x00\x00\x00\x05abcd",
        b"\xff\x7f\xff\xff\xffabcd",
        b"\xff\xff\xff\xff\xffabcd",
        b"\xff\x00\x01\x00\x00" + bytes(70_000),
    ],
)
def test_lying_envelopes(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="envelope of a znode"):
        znode.unwrap(data)


@pytest.mark.parametrize("name", DECODERS)
def test_every_cut_is_noticed_or_tells_the_same(name: str) -> None:
    """A cut value is an error, or what is left says the same (optional fields at the end)."""
    data, decode = DECODERS[name]
    whole = decode(data)
    problems = 0
    for stop in range(len(data)):
        try:
            value = decode(data[:stop])
        except ProtocolError:
            problems += 1
            continue
        assert value == whole or name == "hbaseid", (name, stop, value)
    assert problems >= 25


@given(data=st.binary(max_size=120), name=st.sampled_from(sorted(DECODERS)), pbuf=st.booleans())
def test_any_bytes_are_a_value_or_a_protocol_error(data: bytes, name: str, pbuf: bool) -> None:
    _, decode = DECODERS[name]
    with contextlib.suppress(ProtocolError):
        decode(b"PBUF" + data if pbuf else data)


def test_cluster_id_in_the_old_plain_form() -> None:
    assert znode.decode_cluster_id(CLUSTER_ID.encode()) == CLUSTER_ID
    assert znode.decode_cluster_id(znode.wrap(CLUSTER_ID.encode(), "m", SALT)) == CLUSTER_ID
    for bad in (b"", b"\xfe\xfe", b"PBUF\x0a\x00", b"a\x00b", b"PBUF\x0a\x01\xff", b"a" * 5000):
        with pytest.raises(ProtocolError):
            znode.decode_cluster_id(bad)


def test_meta_state_that_is_missing_or_unknown_is_open() -> None:
    server = ZooKeeper_pb2.MetaRegionServer(server=znode.encode_server_name(REGION_SERVER_NAME))
    body = b"PBUF" + server.SerializeToString()
    assert znode.decode_meta_location(body, 1) == MetaLocation(1, REGION_SERVER_NAME, "OPEN")
    assert znode.decode_meta_location(body + bytes.fromhex("1863"), 1).state == "OPEN", "enum value 99 of a newer peer"
    assert znode.decode_meta_location(body + bytes.fromhex("1802"), 1).state == "OPENING"


def test_fields_of_newer_peers_change_nothing() -> None:
    for data, decode in DECODERS.values():
        assert decode(data + bytes.fromhex("ba3e 03") + b"new") == decode(data)


@pytest.mark.parametrize(
    ("child", "replica_id"),
    [
        ("meta-region-server", 0),
        ("meta-region-server-1", 1),
        ("meta-region-server-12", 12),
        ("meta-region-server-x", None),
        ("meta-region-server-", None),
        ("meta-region-server1", None),
        ("meta-region-server--1", None),
        ("meta-region-server-9999999999", None),
        ("meta-region-server-²", None),
        ("master", None),
    ],
)
def test_which_replica_a_child_tells_of(child: str, replica_id: int | None) -> None:
    assert znode.meta_replica_id(child) == replica_id


def test_region_server() -> None:
    child = str(REGION_SERVER_NAME)
    recorded = (
        bytes.fromhex("ff 0000001a") + b"regionserver:27920" + SALT + b"PBUF" + bytes.fromhex("08ffffffffffffffffff01")
    )
    assert znode.decode_region_server(child, recorded) == RegionServer(REGION_SERVER_NAME)
    assert znode.decode_region_server(child, b"") == RegionServer(REGION_SERVER_NAME), "1.x and forbidden data"
    full = RegionServer(REGION_SERVER_NAME, 16030, "2.6.4")
    data = znode.encode_region_server(full, "regionserver:27920", SALT)
    assert znode.decode_region_server(child, data) == full
    message = HBase_pb2.RegionServerInfo.FromString(znode.unwrap(data)[4:])
    assert (message.version_info.version_major, message.version_info.version_minor) == (2, 6)
    for bad in ("localhost", "localhost,x,1", "localhost,70000,1", ",1,1"):
        with pytest.raises(ProtocolError, match="server name"):
            znode.decode_region_server(bad, data)


@pytest.mark.parametrize("state", znode.TABLE_STATES)
def test_table_states(state: str) -> None:
    data = znode.encode_table_state(state, "master:16000", SALT)
    assert znode.decode_table_state(data) == state
    assert ZooKeeper_pb2.Table.FromString(znode.unwrap(data)[4:]).state == znode.TABLE_STATES.index(state)


@given(
    host=st.from_regex(r"[a-zA-Z0-9.:-]{1,60}", fullmatch=True),
    port=st.integers(0, 65535),
    start_code=st.integers(-1, (1 << 63) - 1),
)
def test_server_names_go_round(host: str, port: int, start_code: int) -> None:
    server_name = ServerName(host, port, start_code)
    sent = znode.encode_server_name(server_name)
    assert znode.decode_server_name(HBase_pb2.ServerName.FromString(sent.SerializeToString())) == server_name


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00",
        b"\x0a\x01\xff",
        b"\x0a\x01a\x10\x80\x80\x04",
        b"\x0a\x03a,b",
        b"\x0a\x03a b",
        b"\x0a\x03a\nb",
        b"\x0a\xac\x02" + b"a" * 300,
    ],
)
def test_server_names_that_are_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        znode.decode_server_name(HBase_pb2.ServerName.FromString(body))


def test_a_server_known_by_address_has_no_start_code() -> None:
    unknown = znode.encode_server_name(ServerName("a", 1, -1))
    assert unknown.start_code == (1 << 64) - 1, "Java's -1"
    assert znode.decode_server_name(unknown) == ServerName("a", 1, -1)
    assert znode.decode_server_name(HBase_pb2.ServerName(host_name="a", port=1)) == ServerName("a", 1, -1)
