"""Calls to MasterService, one after another, whose answers were recorded from a real 2.6.4 and are compared with ours.

`python -m tests.support.table_scenario HOST:PORT FILE` records the answers of the master at that address.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import HBase_pb2, Master_pb2
from registry.names import Address
from tests.support.master_calls import table_name
from tests.support.table_calls import METHODS, Pairs, Step, family, play, raw_name, schema

REGEXES = (
    *(".*", "ba.*", "default:ba.*", "hbase:.*", "B.*", "(?i)B.*", "[", "(", "ba", "bare|many", "\\Qbare\\E"),
    *("[a-c&&[b]]are", "b\\p{Alpha}re", "\\p{javaLowerCase}are", "bar++e"),
)


def _create(name: str, asked: HBase_pb2.TableSchema, *splits: bytes, nonce: int = 0) -> Step:
    request = Master_pb2.CreateTableRequest(table_schema=asked, split_keys=splits)
    if nonce:
        request.nonce_group, request.nonce = 17, nonce
    return Step(name, "CreateTable", request)


def _descriptors(name: str, *tables: str, **how: Any) -> Step:
    return Step(
        name, "GetTableDescriptors", Master_pb2.GetTableDescriptorsRequest(table_names=map(table_name, tables), **how)
    )


def _on(method: str, table: str, name: str = "", **more: Any) -> Step:
    request = GetMessageClass(METHODS[method].input_type)()
    field = "tableName" if method == "truncateTable" else "table_name"
    getattr(request, field).CopyFrom(table_name(table))
    for key, value in more.items():
        if isinstance(value, Message):
            getattr(request, key).CopyFrom(value)
        elif isinstance(value, list):
            getattr(request, key).extend(value)
        else:
            setattr(request, key, value)
    return Step(name or f"{method} {table}", method, request)


def _plain(method: str, name: str = "", **fields: Any) -> Step:
    return Step(name or method, method, GetMessageClass(METHODS[method].input_type)(**fields))


def _namespace(method: str, namespace: str, name: str = "", **values: str) -> Step:
    descriptor = HBase_pb2.NamespaceDescriptor(
        name=namespace.encode(),
        configuration=[HBase_pb2.NameStringPair(name=k.replace("__", "."), value=v) for k, v in values.items()],
    )
    return _plain(method, name or f"{method} {namespace}", namespaceDescriptor=descriptor)


def _region(method: str, value: bytes, kind: int = 1, **more: Any) -> Step:
    specifier = HBase_pb2.RegionSpecifier(type=kind, value=value)  # pyright: ignore[reportArgumentType]
    return _plain(method, f"{method} {value!r}", region=specifier, **more)


def _procedure(method: str, signature: str, instance: str, name: str = "", **values: str) -> Step:
    description = HBase_pb2.ProcedureDescription(
        signature=signature,
        instance=instance,
        configuration=[HBase_pb2.NameStringPair(name=k, value=v) for k, v in values.items()],
    )
    return _plain(method, name or f"{method} {signature} {instance}", procedure=description)


def scenario() -> Iterator[Step]:
    """All of it, on a cluster without tables of users."""
    yield from _names()
    yield from _created()
    yield from _families()
    yield from _states()
    yield from _altered()
    yield from _namespaces()
    yield from _listed()
    yield from _catalogue()
    yield from _regions()
    yield from _flushes()
    yield from _switches()


def _names() -> Iterator[Step]:
    bad = [
        (b"default", b"-bad"),
        (b"default", b".bad"),
        (b"default", b"a b"),
        (b"default", b"zookeeper"),
        (b"default", b""),
        (b"default", b"a:b"),
        (b"default", b"-ROOT-"),
        (b"default", b".META."),
        (b"default", b"a,b"),
        (b"default", "tä\U0001d4b3".encode()),
        (b"", b"t"),
        (b"n-s", b"t"),
        (b"zookeeper", b"t"),
        (b"\xff\xfe", b"t"),
        (b"default", b"t\xff"),
    ]
    for namespace, qualifier in bad:
        yield _create(f"create {namespace!r} {qualifier!r}", schema(raw_name(namespace, qualifier), family()))
    yield _create("create in an unknown namespace", schema("nowhere:t", family()))
    yield _create("create a non-ASCII name", schema("tä_Ω.1-x", family()))
    yield _on("DisableTable", "tä_Ω.1-x")
    yield _on("DeleteTable", "tä_Ω.1-x")


def _created() -> Iterator[Step]:
    yield _create("create without family", schema("none"))
    yield _create("create bare", schema("bare", family()))
    yield _descriptors("descriptor of bare", "bare")
    yield _create("create bare again", schema("bare", family()))
    yield _create("create with a nonce", schema("nonce", family()), nonce=5)
    yield _create("create with that nonce again", schema("nonce", family()), nonce=5)
    yield _create("create bare with a nonce", schema("bare", family()), nonce=6)
    yield _create("create bare with that nonce again", schema("bare", family()), nonce=6)
    yield _create("split keys", schema("split", family()), b"b", b"d", b"m")
    yield _create("split keys not in order", schema("unsorted", family()), b"d", b"b")
    yield _create("split key empty first", schema("empty1", family()), b"", b"b")
    yield _create("split key empty last", schema("empty2", family()), b"b", b"")
    yield _create(
        "many attributes",
        schema(
            "many",
            family(
                "f1",
                {"hbase.hstore.x": "y"},
                VERSIONS="3",
                TTL="86400",
                BLOOMFILTER="ROWCOL",
                COMPRESSION="NONE",
                own="ä",
                KEEP_DELETED_CELLS="TRUE",
                MIN_VERSIONS="1",
            ),
            family("f0", IN_MEMORY="true"),
            values={"DURABILITY": "SKIP_WAL", "MAX_FILESIZE": "10737418240", "own": "x", "OWNER": "me"},
        ),
        b"k",
    )
    yield _descriptors("descriptor of many", "many")
    yield _create("family twice", schema("families2", family(VERSIONS="1"), family(VERSIONS="2")))
    yield _descriptors("descriptor of families2", "families2")


def _families() -> Iterator[Step]:
    for name in (b"", b".x", b"a:b", b"a/b", b"recovered.edits", b"a\x01b", b"a b", "fä".encode()):
        yield _create(f"family {name!r}", schema("badfamily", family(name)))
    bad: list[Pairs] = [
        {"TTL": "0"},
        {"TTL": "-1"},
        {"TTL": "x"},
        {"TTL": "1 DAYS"},
        {"BLOCKSIZE": "10"},
        {"BLOCKSIZE": "17000000"},
        {"BLOCKSIZE": "x"},
        {"VERSIONS": "0"},
        {"VERSIONS": "-1"},
        {"VERSIONS": "x"},
        {"MIN_VERSIONS": "2"},
        {"MIN_VERSIONS": "-1"},
        {"REPLICATION_SCOPE": "7"},
        {"REPLICATION_SCOPE": "1"},
        {"BLOOMFILTER": "NOPE"},
        {"BLOOMFILTER": "ROWPREFIX_FIXED_LENGTH"},
        {"COMPRESSION": "NOPE"},
        {"COMPRESSION": "SNAPPY"},
        {"COMPRESSION": "GZ"},
        {"DATA_BLOCK_ENCODING": "NOPE"},
        {"DATA_BLOCK_ENCODING": "DIFF"},
        {"IN_MEMORY_COMPACTION": "NOPE"},
        {"KEEP_DELETED_CELLS": "NOPE"},
        {"DFS_REPLICATION": "-1"},
        {"IN_MEMORY": "maybe"},
        {"IS_MOB": "true"},
    ]
    for number, values in enumerate(bad):
        yield _create(f"family with {values}", schema(f"fam{number}", family(b"f", None, **values)))
    tables: list[Pairs] = [
        {"REGION_REPLICATION": "0"},
        {"REGION_REPLICATION": "x"},
        {"MAX_FILESIZE": "1024"},
        {"MAX_FILESIZE": "x"},
        {"MEMSTORE_FLUSHSIZE": "1024"},
        {"DURABILITY": "NOPE"},
        {"READONLY": "true"},
        {"SPLIT_POLICY": "no.such.Policy"},
        {"coprocessor$1": "|no.such.Coprocessor|1|"},
        {"PRIORITY": "x"},
        {"NORMALIZATION_ENABLED": "true"},
        {"MERGE_ENABLED": "false", "SPLIT_ENABLED": "false"},
    ]
    for number, values in enumerate(tables):
        yield _create(f"table with {values}", schema(f"tab{number}", family(), values=values))
    off = {"hbase.table.sanity.checks": "false"}
    yield _create("checks off, TTL 0", schema("off1", family(TTL="0"), values=off))
    yield _create("checks off, no family", schema("off2", values=off))
    yield _create("checks off, small file", schema("off3", family(), values={**off, "MAX_FILESIZE": "1024"}))


def _states() -> Iterator[Step]:
    for method in (
        "DeleteTable",
        "truncateTable",
        "EnableTable",
        "DisableTable",
        "GetTableState",
        "GetSchemaAlterStatus",
    ):
        yield _on(method, "unknown")
    for method in ("EnableTable", "DeleteTable", "truncateTable"):
        yield _on(method, "split", f"{method} while enabled")
    yield _on("GetTableState", "split", "state enabled")
    yield _on("GetSchemaAlterStatus", "split")
    yield _on("DisableTable", "split")
    yield _on("GetTableState", "split", "state disabled")
    yield _on("GetSchemaAlterStatus", "split", "alter status of a disabled table")
    yield _on("DisableTable", "split", "DisableTable while disabled")
    yield _on("EnableTable", "split")
    yield _on("DisableTable", "split", "DisableTable once more")
    yield _on("truncateTable", "split", "truncate with splits", preserveSplits=True)
    yield _on("GetTableState", "split", "state after truncate")
    yield _on("DisableTable", "split", "DisableTable after truncate")
    yield _on("truncateTable", "split", "truncate without splits")
    yield _on("GetSchemaAlterStatus", "split", "alter status after truncate")
    yield _on("DisableTable", "split", "DisableTable after truncate without splits")
    yield _on("DeleteTable", "split", "delete")
    yield _on("DeleteTable", "split", "delete again")
    yield _on("GetTableState", "split", "state of a deleted table")
    yield _descriptors("descriptor of a deleted table", "split")


def _altered() -> Iterator[Step]:
    yield _on("AddColumn", "unknown", column_families=family("g"))
    yield _on("ModifyColumn", "unknown", column_families=family("g"))
    yield _on("DeleteColumn", "unknown", column_name=b"g")
    yield _on("ModifyTable", "unknown", table_schema=schema("unknown", family()))
    yield _on("AddColumn", "bare", "add a family that is there", column_families=family("f"))
    yield _on("ModifyColumn", "bare", "modify a family that is not there", column_families=family("g"))
    yield _on("DeleteColumn", "bare", "delete a family that is not there", column_name=b"g")
    yield _on("DeleteColumn", "bare", "delete the last family", column_name=b"f")
    yield _on("AddColumn", "bare", "add a family", column_families=family("e", VERSIONS="2"))
    yield _descriptors("descriptor with two", "bare")
    yield _on("AddColumn", "bare", "add a bad family", column_families=family("h", TTL="0"))
    yield _on("ModifyColumn", "bare", "modify a family", column_families=family("e", VERSIONS="4"))
    yield _descriptors("descriptor after modify", "bare")
    yield _on("DeleteColumn", "bare", "delete a family", column_name=b"e")
    yield _descriptors("descriptor after delete", "bare")
    changed = schema("bare", family(VERSIONS="7"), values={"own": "1"})
    yield _on("ModifyTable", "bare", "modify the table", table_schema=changed)
    yield _descriptors("descriptor after modify table", "bare")
    yield _on("ModifyTable", "bare", "modify to no family", table_schema=schema("bare"))
    yield _on("ModifyTable", "bare", "modify under another name", table_schema=schema("other", family()))
    yield _on(
        "ModifyTable", "bare", "no reopen", table_schema=schema("bare", family(VERSIONS="8")), reopen_regions=False
    )
    yield _on(
        "ModifyTable",
        "bare",
        "no reopen, other families",
        table_schema=schema("bare", family("x"), family()),
        reopen_regions=False,
    )
    yield _on(
        "ModifyTable",
        "bare",
        "no reopen, replication",
        table_schema=schema("bare", family(), values={"REGION_REPLICATION": "2"}),
        reopen_regions=False,
    )
    yield _descriptors("descriptor after no reopen", "bare")
    yield _on("GetSchemaAlterStatus", "bare")
    yield _on(
        "ModifyTable", "bare", "modify to bad", table_schema=schema("bare", family(), values={"MAX_FILESIZE": "1"})
    )
    yield _on("DisableTable", "bare")
    yield _on("AddColumn", "bare", "add a family while disabled", column_families=family("d"))
    yield _on("EnableTable", "bare")
    yield _descriptors("descriptor of the enabled", "bare")


def _namespaces() -> Iterator[Step]:
    yield _plain("ListNamespaces")
    yield _plain("ListNamespaceDescriptors")
    yield _namespace("CreateNamespace", "ns1", hbase__namespace__quota__maxtables="2", own="x")
    yield _namespace("CreateNamespace", "ns1", "create ns1 again")
    yield _namespace("CreateNamespace", "default")
    for name in ("n-s", "zookeeper", "", "n:s", "nä"):
        yield _namespace("CreateNamespace", name)
    yield _namespace("CreateNamespace", "q0", hbase__namespace__quota__maxtables="0")
    yield _namespace("CreateNamespace", "q1", hbase__namespace__quota__maxregions="0")
    yield _namespace("CreateNamespace", "q2", hbase__namespace__quota__maxregions="x")
    yield _plain("GetNamespaceDescriptor", "get ns1", namespaceName="ns1")
    yield _plain("GetNamespaceDescriptor", "get unknown", namespaceName="nope")
    yield _plain("GetNamespaceDescriptor", "get default", namespaceName="default")
    yield _namespace("ModifyNamespace", "ns1", own="y")
    yield _namespace("ModifyNamespace", "nope")
    yield _namespace("ModifyNamespace", "ns1", "modify to quota 0", hbase__namespace__quota__maxtables="0")
    yield _plain("GetNamespaceDescriptor", "get ns1 again", namespaceName="ns1")
    yield _create("create ns1:t", schema("ns1:t", family()))
    yield _descriptors("descriptor of ns1:t", "ns1:t")
    yield _plain("DeleteNamespace", "delete ns1", namespaceName="ns1")
    yield _plain("DeleteNamespace", "delete nope", namespaceName="nope")
    yield _plain("DeleteNamespace", "delete default", namespaceName="default")
    yield _plain("DeleteNamespace", "delete hbase", namespaceName="hbase")
    yield _plain("ListNamespaces", "namespaces with ns1")
    yield _plain("ListTableNamesByNamespace", "names of ns1", namespaceName="ns1")
    yield _plain("ListTableDescriptorsByNamespace", "descriptors of ns1", namespaceName="ns1")
    yield _plain("ListTableNamesByNamespace", "names of nope", namespaceName="nope")
    yield _plain("ListTableDescriptorsByNamespace", "descriptors of nope", namespaceName="nope")
    yield _on("DisableTable", "ns1:t")
    yield _on("DeleteTable", "ns1:t")
    yield _plain("DeleteNamespace", "delete empty ns1", namespaceName="ns1")
    yield _plain("ListNamespaces", "namespaces without ns1")


def _listed() -> Iterator[Step]:
    yield _on("DisableTable", "nonce")
    yield _plain("GetTableNames", "all names")
    for regex in REGEXES:
        yield _plain("GetTableNames", f"names by {regex}", regex=regex)
    yield _plain("GetTableNames", "names in a namespace", namespace="default", regex=".*n.*")
    yield _plain("GetTableNames", "names in nowhere", namespace="nope")
    yield _plain("ListTableNamesByState", "enabled names", is_enabled=True)
    yield _plain("ListTableNamesByState", "disabled names", is_enabled=False)
    yield _plain("ListTableDescriptorsByState", "disabled descriptors", is_enabled=False)
    yield _descriptors("descriptors by regex", regex="ba.*|nonce")
    yield _descriptors("two, one of them unknown", "nonce", "unknown", "bare")
    yield _descriptors("of an illegal name", "-x")


def _catalogue() -> Iterator[Step]:
    meta = "hbase:meta"
    yield _descriptors("descriptor of meta", meta)
    yield _on("GetTableState", meta)
    yield _on("GetSchemaAlterStatus", meta)
    for method in ("DisableTable", "EnableTable", "DeleteTable", "truncateTable"):
        yield _on(method, meta)
    yield _create("create meta", schema(meta, family()))
    yield _on("DeleteColumn", meta, column_name=b"info")
    yield _on("DeleteColumn", meta, "delete a family that meta lacks", column_name=b"nope")
    yield _on("AddColumn", meta, "add a family that meta has", column_families=family("info"))


def _regions() -> Iterator[Step]:
    for method in ("AssignRegion", "UnassignRegion", "OfflineRegion"):
        yield _region(method, b"unknown,,1.00000000000000000000000000000000.")
        yield _region(method, b"\x00nonsense")
    yield _region("MoveRegion", b"00000000000000000000000000000000", 2)
    yield _region("MoveRegion", b"unknown,,1.00000000000000000000000000000000.", 1)
    yield _plain("getProcedureResult", "result of nothing", proc_id=999_999)
    yield _plain("AbortProcedure", "abort nothing", proc_id=999_999)


def _flushes() -> Iterator[Step]:
    yield _on("FlushTable", "bare")
    yield _on("FlushTable", "unknown")
    yield _on("FlushTable", "nonce", "flush a disabled table")
    yield _on("FlushTable", "bare", "flush a family", column_family=[b"f"])
    yield _on("FlushTable", "bare", "flush families that are not there", column_family=[b"x", b"y"])
    yield _procedure("ExecProcedure", "nope", "bare")
    yield _procedure("IsProcedureDone", "nope", "bare")
    yield _procedure("IsProcedureDone", "flush-table-proc", "bare", "asked before it began")
    yield _procedure("ExecProcedure", "flush-table-proc", "bare")
    yield _procedure("ExecProcedure", "flush-table-proc", "bare", "flush families of old", family="x,y")
    yield _procedure("ExecProcedureWithRet", "nope", "bare")


def _switches() -> Iterator[Step]:
    yield _plain("IsMasterRunning")
    yield _plain("IsMasterInMaintenanceMode")
    yield _plain("getSecurityCapabilities")
    yield _plain("IsBalancerEnabled")
    yield _plain("SetBalancerRunning", "balancer off", on=False, synchronous=True)
    yield _plain("IsBalancerEnabled", "balancer is off")
    yield _plain("Balance", "balance while off")
    yield _plain("SetBalancerRunning", "balancer on", on=True, synchronous=False)
    yield _plain("IsNormalizerEnabled")
    yield _plain("SetNormalizerRunning", "normalizer on", on=True)
    yield _plain("IsNormalizerEnabled", "normalizer is on")
    yield _plain("SetNormalizerRunning", "normalizer off", on=False)
    yield _plain("Normalize", "normalize while off")
    yield _plain("IsCatalogJanitorEnabled")
    yield _plain("EnableCatalogJanitor", "janitor off", enable=False)
    yield _plain("IsCatalogJanitorEnabled", "janitor is off")
    yield _plain("EnableCatalogJanitor", "janitor on", enable=True)
    yield _plain("RunCatalogScan")
    yield _plain("IsCleanerChoreEnabled")
    yield _plain("SetCleanerChoreRunning", "cleaner off", on=False)
    yield _plain("IsCleanerChoreEnabled", "cleaner is off")
    yield _plain("SetCleanerChoreRunning", "cleaner on", on=True)
    yield _plain("RunCleanerChore")
    for kind in (0, 1):
        yield _plain("IsSplitOrMergeEnabled", f"switch {kind}", switch_type=kind)
    yield _plain("SetSplitOrMergeEnabled", "both off", enabled=False, synchronous=True, switch_types=[0, 1])
    yield _plain("IsSplitOrMergeEnabled", "merge is off", switch_type=1)
    yield _plain("SetSplitOrMergeEnabled", "both on", enabled=True, switch_types=[1, 0])
    yield _plain("IsSnapshotCleanupEnabled")
    yield _plain("SwitchSnapshotCleanup", "clean-up off", enabled=False)
    yield _plain("IsSnapshotCleanupEnabled", "clean-up is off")
    yield _plain("SwitchSnapshotCleanup", "clean-up on", enabled=True)
    yield _plain("IsRpcThrottleEnabled")
    yield _plain("SwitchRpcThrottle", rpc_throttle_enabled=True)
    yield _plain("SwitchExceedThrottleQuota", exceed_throttle_quota_enabled=True)
    yield _plain("ListDecommissionedRegionServers")
    yield _plain("ListReplicationPeers")
    yield _plain("GetCompletedSnapshots")
    yield _plain("GetQuotaStates")
    yield _plain("GetSpaceQuotaRegionSizes")
    yield _plain("ClearDeadServers")
    yield _plain("GetUserPermissions")
    yield _plain("FlushMasterStore")
    yield _on("getLastMajorCompactionTimestamp", "bare")


def main(words: Sequence[str]) -> None:
    told = asyncio.run(play(Address.parse(words[0]), list(scenario())))
    lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in told)
    Path(words[1]).write_text(
        f'{{\n "peer": "HBase 2.6.4, active master, one region server",\n "calls": [\n{lines}\n ]\n}}\n'
    )


if __name__ == "__main__":
    main(sys.argv[1:])
