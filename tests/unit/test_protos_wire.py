"""The generated messages against bytes recorded from a real HBase 2.6.4, and against peers of other versions."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import protos.hbase
from protos import generate
from protos.hbase import (
    Client_pb2,
    ClusterId_pb2,
    ClusterStatus_pb2,
    Filter_pb2,
    HBase_pb2,
    Legacy14_pb2,
    Master_pb2,
    Registry_pb2,
    Replication_pb2,
    RPC_pb2,
    ZooKeeper_pb2,
)

CLUSTER_ID = b"dec5e4d9-c8c0-4618-a767-92cb9707d79b"
MASTER = bytes.fromhex("0a09") + b"localhost" + bytes.fromhex("10fcd901 18afb4c4e99f34")
REGION_SERVER = bytes.fromhex("0a09") + b"localhost" + bytes.fromhex("1090da01 18e7ebc4e99f34")
META_NAME = bytes.fromhex("0a05") + b"hbase" + bytes.fromhex("1204") + b"meta"
META_REGION = bytes.fromhex("0801 120d") + META_NAME + bytes.fromhex("1a00 2200 2800 3000 3800")


def test_cluster_id_answer() -> None:
    """The same bytes are the answer of GetClusterId and of the registry preamble, and the payload of a znode."""
    body = bytes.fromhex("0a24") + CLUSTER_ID
    for kind in (
        Registry_pb2.GetClusterIdResponse,
        Registry_pb2.GetConnectionRegistryResponse,
        ClusterId_pb2.ClusterId,
    ):
        message = kind.FromString(body)
        assert message.cluster_id == CLUSTER_ID.decode()
        assert message.SerializeToString() == body


def test_request_header_of_a_java_client() -> None:
    """Explicit zeros and the empty trace are fields that are set."""
    body = bytes.fromhex("0800 1200 1a0c") + b"GetClusterId" + bytes.fromhex("2001 3000 38e0d403")
    header = RPC_pb2.RequestHeader.FromString(body)
    assert header.HasField("call_id")
    assert header.HasField("trace_info")
    assert header.HasField("priority")
    assert (header.call_id, header.method_name, header.request_param) == (0, "GetClusterId", True)
    assert (header.priority, header.timeout) == (0, 60000)
    assert len(body) == 0x1A
    assert header.SerializeToString() == body


def test_request_header_with_cells() -> None:
    body = bytes.fromhex("0803 1a06") + b"Mutate" + bytes.fromhex("2001 2a02081d")
    header = RPC_pb2.RequestHeader.FromString(body)
    assert header.cell_block_meta.length == 29
    assert not header.HasField("priority")
    assert header.SerializeToString() == body


def test_response_header_of_a_preamble() -> None:
    """Call id -1 travels as an unsigned number of five bytes."""
    body = bytes.fromhex("08ffffffff0f")
    header = RPC_pb2.ResponseHeader.FromString(body)
    assert header.call_id == 0xFFFFFFFF
    assert not header.HasField("exception")
    assert RPC_pb2.ResponseHeader(call_id=0xFFFFFFFF).SerializeToString() == body


def test_response_header_with_exception() -> None:
    name, text = b"org.apache.hadoop.hbase.ipc.SecurityNotEnabledException", b"security is not enabled"
    body = bytes.fromhex("08ffffffff0f 1254 0a37") + name + bytes.fromhex("1217") + text + bytes.fromhex("2800")
    header = RPC_pb2.ResponseHeader.FromString(body)
    assert header.exception.exception_class_name == name.decode()
    assert header.exception.stack_trace == text.decode()
    assert header.exception.HasField("do_not_retry")
    assert not header.exception.do_not_retry
    assert len(body) == 0x5C
    assert header.SerializeToString() == body


def test_connection_header_of_a_java_client() -> None:
    version = HBase_pb2.VersionInfo(
        version="2.6.4", url="u", revision="r", user="me", date="d", src_checksum="s", version_major=2, version_minor=6
    ).SerializeToString()
    assert version.endswith(bytes.fromhex("3802 4006"))
    codec = b"org.apache.hadoop.hbase.codec.KeyValueCodec"
    body = bytes.fromhex("0a06 0a04") + b"root" + bytes.fromhex("1211") + b"ClientMetaService"
    body += bytes.fromhex("1a2b") + codec + bytes.fromhex("2a") + bytes([len(version)]) + version
    header = RPC_pb2.ConnectionHeader.FromString(body)
    assert header.user_info.effective_user == "root"
    assert not header.user_info.HasField("real_user")
    assert header.service_name == "ClientMetaService"
    assert header.cell_block_codec_class == codec.decode()
    assert (header.version_info.version_major, header.version_info.version_minor) == (2, 6)
    assert header.SerializeToString() == body


def test_active_master_answer() -> None:
    body = bytes.fromhex("0a16") + MASTER
    message = Registry_pb2.GetActiveMasterResponse.FromString(body)
    server = message.server_name
    assert (server.host_name, server.port, server.start_code) == ("localhost", 27900, 1795249216047)
    assert message.SerializeToString() == body


def test_masters_answer() -> None:
    body = bytes.fromhex("0a1a 0a16") + MASTER + bytes.fromhex("1001")
    message = Registry_pb2.GetMastersResponse.FromString(body)
    assert [entry.is_active for entry in message.master_servers] == [True]
    assert message.master_servers[0].server_name.port == 27900
    assert len(body) == 0x1C
    assert message.SerializeToString() == body


def test_meta_locations_answer() -> None:
    body = bytes.fromhex("0a40 0a1b") + META_REGION + bytes.fromhex("1216") + REGION_SERVER
    body += bytes.fromhex("18ffffffffffffffffff01")
    message = Registry_pb2.GetMetaRegionLocationsResponse.FromString(body)
    location = message.meta_locations[0]
    assert location.region_info.region_id == 1
    assert (location.region_info.table_name.namespace, location.region_info.table_name.qualifier) == (b"hbase", b"meta")
    assert location.region_info.HasField("start_key")
    assert location.region_info.HasField("replica_id")
    assert (location.server_name.port, location.server_name.start_code) == (27920, 1795249223143)
    assert location.seq_num == -1
    assert len(body) == 0x42
    assert message.SerializeToString() == body


def test_bootstrap_nodes_answer() -> None:
    body = bytes.fromhex("0a16") + REGION_SERVER
    message = Registry_pb2.GetBootstrapNodesResponse.FromString(body)
    assert [server.port for server in message.server_name] == [27920]
    assert message.SerializeToString() == body


def test_master_znode() -> None:
    """The port of a missing web page, -1, is an unsigned number here."""
    body = bytes.fromhex("0a16") + MASTER + bytes.fromhex("1000 18ffffffff0f")
    message = ZooKeeper_pb2.Master.FromString(body)
    assert (message.master.port, message.rpc_version, message.info_port) == (27900, 0, 0xFFFFFFFF)
    assert message.SerializeToString() == body


def test_meta_znode() -> None:
    body = bytes.fromhex("0a16") + REGION_SERVER + bytes.fromhex("1000 1803")
    message = ZooKeeper_pb2.MetaRegionServer.FromString(body)
    assert message.server.host_name == "localhost"
    assert message.state == ClusterStatus_pb2.RegionState.State.OPEN
    assert message.SerializeToString() == body


def test_meta_znode_with_a_state_of_a_later_version() -> None:
    """A state without a name reads as not set and is kept."""
    body = bytes.fromhex("0a16") + REGION_SERVER + bytes.fromhex("1000 1863")
    message = ZooKeeper_pb2.MetaRegionServer.FromString(body)
    assert not message.HasField("state")
    assert message.SerializeToString() == body


def test_region_server_znode() -> None:
    """The same -1 is a signed number of ten bytes here."""
    body = bytes.fromhex("08ffffffffffffffffff01")
    message = HBase_pb2.RegionServerInfo.FromString(body)
    assert message.infoPort == -1
    assert message.SerializeToString() == body


def test_running_znode() -> None:
    body = bytes.fromhex("0a1c") + b"Sat Nov 21 08:20:29 UTC 2026"
    message = ZooKeeper_pb2.ClusterUp.FromString(body)
    assert message.start_date == "Sat Nov 21 08:20:29 UTC 2026"
    assert message.SerializeToString() == body


def test_table_znode() -> None:
    """2.x writes what 1.4 reads under another name."""
    body = bytes.fromhex("0800")
    message = ZooKeeper_pb2.DeprecatedTableState.FromString(body)
    assert message.state == ZooKeeper_pb2.DeprecatedTableState.State.ENABLED
    assert message.SerializeToString() == body
    older = ZooKeeper_pb2.Table.FromString(body)
    assert older.state == ZooKeeper_pb2.Table.State.ENABLED
    assert older.SerializeToString() == body


def test_namespace_znode() -> None:
    body = bytes.fromhex("0a07") + b"default"
    message = HBase_pb2.NamespaceDescriptor.FromString(body)
    assert message.name == b"default"
    assert message.SerializeToString() == body


def test_region_info_of_a_meta_row() -> None:
    body = bytes.fromhex("088eb9cde99f34 120d 0a07") + b"default" + bytes.fromhex("1202") + b"t1"
    body += bytes.fromhex("1a00 22016d 2800 3000 3800")
    message = HBase_pb2.RegionInfo.FromString(body)
    assert message.region_id == 1795249364110
    assert (message.table_name.qualifier, message.start_key, message.end_key) == (b"t1", b"", b"m")
    assert message.SerializeToString() == body


def test_table_state_of_a_meta_row() -> None:
    message = HBase_pb2.TableState.FromString(bytes.fromhex("0803"))
    assert message.state == HBase_pb2.TableState.State.ENABLING
    assert message.SerializeToString() == bytes.fromhex("0803")


def test_mutation_with_its_cell_outside() -> None:
    body = bytes.fromhex("0a0162 1002 4001")
    message = Client_pb2.MutationProto.FromString(body)
    assert message.mutate_type == Client_pb2.MutationProto.MutationType.PUT
    assert (message.row, message.associated_cell_count) == (b"b", 1)
    assert message.SerializeToString() == body


def test_mutation_with_its_cell_inside() -> None:
    body = bytes.fromhex("0a0161 1002 1a0e 0a0166 1209 0a0171 12027631 1864")
    message = Client_pb2.MutationProto.FromString(body)
    value = message.column_value[0].qualifier_value[0]
    assert (message.column_value[0].family, value.qualifier, value.value, value.timestamp) == (b"f", b"q", b"v1", 100)
    assert message.SerializeToString() == body


def test_get_answers() -> None:
    counted = Client_pb2.GetResponse.FromString(bytes.fromhex("0a04 1001 2000"))
    assert counted.result.associated_cell_count == 1
    assert counted.SerializeToString() == bytes.fromhex("0a04 1001 2000")
    body = bytes.fromhex("0a18 0a12 0a0162 120166 1a0171 20c801 2804 32027632 2000 2800")
    inline = Client_pb2.GetResponse.FromString(body)
    cell = inline.result.cell[0]
    assert (cell.row, cell.family, cell.qualifier, cell.timestamp, cell.value) == (b"b", b"f", b"q", 200, b"v2")
    assert inline.SerializeToString() == body


def test_multi_answers() -> None:
    body = bytes.fromhex("0a10 0a08 0801 1204 1003 2000 0a04 0802 1200 1a00")
    message = Client_pb2.MultiResponse.FromString(body)
    assert [entry.index for entry in message.regionActionResult[0].resultOrException] == [1, 2]
    assert message.HasField("regionStatistics")
    assert message.SerializeToString() == body
    body = bytes.fromhex("0a0e 0a04 0800 1200 0a04 0801 1200 1801 1001 1a00")
    message = Client_pb2.MultiResponse.FromString(body)
    assert message.regionActionResult[0].processed
    assert message.processed
    assert message.SerializeToString() == body


def test_fuzzy_row_filter() -> None:
    """2.6 says that its masks are of the second kind; 3.0.0-beta-1 does not."""
    body = bytes.fromhex("0a0a 0a03 610063 1203 ff02ff 1001")
    message = Filter_pb2.FuzzyRowFilter.FromString(body)
    assert message.is_mask_v2
    assert message.SerializeToString() == body
    assert not Filter_pb2.FuzzyRowFilter.FromString(body[:-2]).HasField("is_mask_v2")


def test_bulk_load_of_both_generations() -> None:
    """Field 4 is a token in 2.6 and a list of texts in 1.4; either is kept as bytes."""
    region = bytes.fromhex("0a05 0801 1201 72")
    older = region + bytes.fromhex("2224") + CLUSTER_ID
    message = Client_pb2.BulkLoadHFileRequest.FromString(older)
    assert list(message.fs_token) == [CLUSTER_ID]
    assert message.SerializeToString() == older
    token = Client_pb2.DelegationToken(kind="k", service="s")
    newer = region + bytes.fromhex("2206") + token.SerializeToString()
    message = Client_pb2.BulkLoadHFileRequest.FromString(newer)
    assert Client_pb2.DelegationToken.FromString(message.fs_token[0]) == token


def test_server_load_of_both_generations() -> None:
    """Field 13 is a map in 2.6 and a number in 3.0; the number is kept as an unknown field."""
    newer = ClusterStatus_pb2.ServerLoad.FromString(bytes.fromhex("6805 7006"))
    assert not newer.regionCachedInfo
    assert newer.write_requests_count == 6
    assert sorted(newer.SerializeToString()) == sorted(bytes.fromhex("6805 7006"))
    base = ClusterStatus_pb2.ServerLoad(regionCachedInfo={"r": 7})
    assert base.SerializeToString() == bytes.fromhex("6a05 0a0172 1007")


def test_cluster_status_numbers_of_both_generations() -> None:
    assert ClusterStatus_pb2.Option.UNKNOWN_SERVERS == 13
    assert ClusterStatus_pb2.Option.UNKNOWN_SERVERS_V3 == 14


def test_messages_of_1_4_under_their_own_names() -> None:
    body = bytes.fromhex("0a03 0a0173 1001")
    restore = Legacy14_pb2.RestoreSnapshotRequestLegacy14.FromString(body)
    assert restore.snapshot.name == "s"
    assert restore.restoreACL
    assert restore.SerializeToString() == body
    assert Master_pb2.RestoreSnapshotRequest.FromString(body).nonce_group == 1
    assert Master_pb2.RestoreSnapshotResponse.FromString(b"").SerializeToString() == b""
    peer = Legacy14_pb2.ReplicationPeerLegacy14(clusterkey="zk:2181:/hbase", bandwidth=9).SerializeToString()
    assert Replication_pb2.ReplicationPeer.FromString(peer).clusterkey == "zk:2181:/hbase"
    assert Replication_pb2.ReplicationPeer.FromString(peer).SerializeToString() == peer


# All messages, generically.

UNKNOWN_NUMBER = bytes.fromhex("80d30e 2a")  # field 30000, varint
UNKNOWN_BYTES = bytes.fromhex("8ad30e 03 616263")  # field 30001, length delimited
TEXT, NUMBER = "x", 1


def modules() -> list[ModuleType]:
    """All generated modules."""
    names = [info.name for info in pkgutil.iter_modules(protos.hbase.__path__) if info.name.endswith("_pb2")]
    return [importlib.import_module(f"protos.hbase.{name}") for name in names]


def descriptors() -> Iterator[Descriptor]:
    """All messages, nested ones too; not the entries of maps, which are no messages of their own."""
    waiting: list[Descriptor] = []
    for module in modules():
        file: FileDescriptor = module.DESCRIPTOR
        waiting.extend(file.message_types_by_name.values())
    while waiting:
        descriptor = waiting.pop()
        waiting.extend(descriptor.nested_types)
        if not descriptor.GetOptions().map_entry:
            yield descriptor


def fill(message: Message, depth: int) -> None:
    """Set every field, message fields down to ``depth``; required ones always."""
    shape = DescriptorProto()
    message.DESCRIPTOR.CopyToProto(shape)
    for field in shape.field:
        is_message = field.type == FieldDescriptorProto.TYPE_MESSAGE
        if is_message and depth == 0 and field.label != FieldDescriptorProto.LABEL_REQUIRED:
            continue
        declared = message.DESCRIPTOR.fields_by_name[field.name]
        target = getattr(message, field.name)
        if declared.message_type is not None and declared.message_type.GetOptions().map_entry:
            target[TEXT] = example(declared.message_type.fields_by_name["value"].type, NUMBER)
        elif is_message:
            inner = target.add() if field.label == FieldDescriptorProto.LABEL_REPEATED else target
            fill(inner, max(depth - 1, 0))
            inner.SetInParent()
        else:
            number = declared.enum_type.values[-1].number if declared.enum_type is not None else NUMBER
            value = example(field.type, number)
            if field.label == FieldDescriptorProto.LABEL_REPEATED:
                target.append(value)
            else:
                setattr(message, field.name, value)


def example(kind: int, number: int) -> str | bytes | int:
    if kind == FieldDescriptorProto.TYPE_STRING:
        return TEXT
    if kind == FieldDescriptorProto.TYPE_BYTES:
        return TEXT.encode()
    return number


ALL = {descriptor.full_name: descriptor for descriptor in descriptors()}


def test_there_are_many() -> None:
    assert len(modules()) == 39
    assert len(ALL) > 650


@pytest.mark.parametrize("name", sorted(ALL))
def test_unknown_fields_are_kept(name: str) -> None:
    kind = GetMessageClass(ALL[name])
    known = kind()
    fill(known, 2)
    assert known.IsInitialized()
    data = known.SerializeToString(deterministic=True)
    read = kind.FromString(data + UNKNOWN_NUMBER + UNKNOWN_BYTES)
    again = read.SerializeToString(deterministic=True)
    assert UNKNOWN_NUMBER in again
    assert UNKNOWN_BYTES in again
    assert len(again) == len(data) + len(UNKNOWN_NUMBER) + len(UNKNOWN_BYTES)
    assert kind.FromString(again) == read
    assert [field.name for field, _ in read.ListFields()] == [field.name for field, _ in known.ListFields()]
    read.DiscardUnknownFields()
    assert read == known


# The generator.


def test_committed_modules_are_fresh() -> None:
    assert generate.check() == []


def test_another_compiler_release_is_no_change(copy: Path) -> None:
    """Comments and order of imports vary by release; descriptors do not."""
    for name in ("ClusterId_pb2.py", "ClusterId_pb2.pyi"):
        path = copy / name
        path.write_text("# Protobuf Python Version: 99.0.0\n" + path.read_text())
    assert generate.check() == []


def test_stale_modules_are_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = copy / "ClusterId.proto"
    source.write_text(source.read_text().replace("cluster_id = 1;", "cluster_id = 1;\n  optional string other = 2;"))
    (copy / "FS_pb2.py").unlink()
    (copy / "Cell_pb2.py").write_text("DESCRIPTOR = 1\n")
    (copy / "Old_pb2.pyi").write_text("")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "protos/hbase/Cell_pb2.py: differs from its .proto file",
        "protos/hbase/ClusterId_pb2.py: differs from its .proto file",
        "protos/hbase/ClusterId_pb2.pyi: differs from its .proto file",
        "protos/hbase/FS_pb2.py: missing",
        "protos/hbase/Old_pb2.pyi: has no .proto file any more",
        "5 stale; run: python protos/generate.py",
    ]
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert not (copy / "Old_pb2.pyi").exists()


def test_modules_load_with_older_runtimes() -> None:
    """The compiler's guard against runtimes older than itself is in no module."""
    for module in modules():
        assert "_runtime_version" not in vars(module)


def test_broken_source_is_reported(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "FS.proto").write_text("nonsense")
    assert generate.main(["--check"]) == 2
    assert "FS.proto" in capsys.readouterr().err


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the definitions that the generator takes for the repository."""
    folder = tmp_path / "protos" / "hbase"
    shutil.copytree(generate.ROOT / generate.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return folder
