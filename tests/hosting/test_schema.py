"""Descriptors as Java writes them: what a region goes by, and what is refused."""

from __future__ import annotations

import pytest

from protos.hbase import HBase_pb2
from regionserver.engine.store import Durability
from regionserver.hosting.schema import described
from regionserver.region.rules import CELL_BYTES_MAX, TableRules
from regionserver.region.visible import FOR_EVER_MS, VERSIONS_ALL, FamilyRules, KeepDeleted
from registry.wire.errors import DoNotRetryIOException
from registry.wire.region_info import table_name


def schema(family: dict[str, str] | None = None, **table: str) -> HBase_pb2.TableSchema:
    message = HBase_pb2.TableSchema(table_name=table_name("ns:t"))
    for name, value in table.items():
        message.attributes.add(first=name.encode(), second=value.encode())
    made = message.column_families.add(name=b"f")
    for name, value in (family or {}).items():
        made.attributes.add(first=name.encode(), second=value.encode())
    return message


def test_what_is_not_said():
    found = described(schema())
    assert (found.table, found.families) == ("ns:t", {b"f": FamilyRules()})
    assert found.rules == TableRules()
    assert found.rules.durability is Durability.PROCESS
    assert described(schema(), TableRules(always_synced=True, cell_bytes_max=5)).rules.cell_bytes_max == 5


def test_what_java_writes():
    """As a 2.6.4 shell creates {NAME => 'f'}: every attribute with its default."""
    java = {
        "INDEX_BLOCK_ENCODING": "NONE",
        "VERSIONS": "1",
        "KEEP_DELETED_CELLS": "FALSE",
        "DATA_BLOCK_ENCODING": "NONE",
        "TTL": "2147483647",
        "MIN_VERSIONS": "0",
        "REPLICATION_SCOPE": "0",
        "BLOOMFILTER": "ROW",
        "IN_MEMORY": "false",
        "COMPRESSION": "NONE",
        "BLOCKCACHE": "true",
        "BLOCKSIZE": "65536",
    }
    found = described(schema(java, IS_META="false", MAX_FILESIZE="10737418240", DURABILITY="USE_DEFAULT"))
    assert found.families == {b"f": FamilyRules()}
    assert found.rules == TableRules()


def test_what_is_heeded():
    family = {"VERSIONS": "2147483647", "MIN_VERSIONS": "2", "TTL": "60", "KEEP_DELETED_CELLS": "ttl"}
    found = described(schema(family, DURABILITY="fsync_wal", READONLY="TRUE"))
    assert found.families[b"f"] == FamilyRules(VERSIONS_ALL, 2, 60_000, KeepDeleted.TTL)
    assert (found.rules.durability, found.rules.read_only) == (Durability.POWER, True)
    assert described(schema({"NEW_VERSION_BEHAVIOR": "true"})).families[b"f"] == FamilyRules(new_versions=True)
    assert described(schema({"TTL": "-1"})).families[b"f"].ttl_ms == FOR_EVER_MS
    assert described(schema({"TTL": "FOREVER"})).families[b"f"].ttl_ms == FOR_EVER_MS
    assert not described(schema(READONLY="yes")).rules.read_only, "as Java's Boolean has it"


def test_how_long_markers_stay_and_how_far_ahead_puts_may_be():
    stay, slop = "hbase.hstore.time.to.purge.deletes", "hbase.hregion.keyvalue.timestamp.slop.millisecs"
    message = schema({}, COMPACTION_ENABLED="false", **{stay: "5000", slop: "700"})
    assert described(message).families[b"f"].markers_stay_ms == 5000
    assert (described(message).rules.is_compacted, described(message).rules.future_ms_max) == (False, 700)
    message.column_families[0].configuration.add(name=stay, value="9")
    assert described(message).families[b"f"].markers_stay_ms == 9
    assert described(schema(None, **{slop: str(FOR_EVER_MS)})).rules == TableRules()


def test_what_the_server_says_of_tables_that_do_not():
    server = TableRules(future_ms_max=60, markers_stay_ms=7, on_demand=False)
    stay, slop = "hbase.hstore.time.to.purge.deletes", "hbase.hregion.keyvalue.timestamp.slop.millisecs"
    found = described(schema(), server)
    assert (found.rules, found.families[b"f"].markers_stay_ms) == (server, 7)
    on_demand = {"hbase.hregion.scan.loadColumnFamiliesOnDemand": "true"}
    found = described(schema(None, **{stay: "0", slop: "5"}, **on_demand), server)
    assert (found.rules.future_ms_max, found.rules.on_demand, found.families[b"f"].markers_stay_ms) == (5, True, 0)
    assert described(schema(None, **{slop: str(FOR_EVER_MS)}), server).rules.future_ms_max is None
    assert described(schema({stay: "9"}), server).families[b"f"].markers_stay_ms == 9
    meta = schema()
    meta.table_name.CopyFrom(table_name("hbase:meta"))
    assert described(meta, server).rules.future_ms_max is None, "its times run ahead of the clock"


@pytest.mark.parametrize("place", ["attributes", "configuration"])
def test_the_size_of_cells(place: str):
    message = schema()
    if place == "attributes":
        message.attributes.add(first=b"hbase.server.keyvalue.maxsize", second=b"0")
    else:
        message.configuration.add(name="hbase.server.keyvalue.maxsize", value="0")
    assert described(message).rules.cell_bytes_max == 0
    assert described(schema()).rules.cell_bytes_max == CELL_BYTES_MAX


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERSIONS", "0"),
        ("VERSIONS", "many"),
        ("VERSIONS", "2147483648"),
        ("VERSIONS", "9" * 5000),
        ("MIN_VERSIONS", "-1"),
        ("TTL", "0"),
        ("TTL", "-2"),
        ("TTL", "1 DAY"),
        ("KEEP_DELETED_CELLS", "maybe"),
    ],
)
def test_what_a_family_cannot_be(name: str, value: str):
    with pytest.raises(DoNotRetryIOException, match=rf"{name} of table ns:t, family f cannot be '{value[:40]}"):
        described(schema({name: value}))


def test_what_a_table_cannot_be():
    with pytest.raises(DoNotRetryIOException, match="DURABILITY of table ns:t cannot be 'EVER'"):
        described(schema(DURABILITY="EVER"))
    with pytest.raises(DoNotRetryIOException, match="at least one column family"):
        described(HBase_pb2.TableSchema(table_name=table_name("t")))
    nameless = schema()
    nameless.column_families.add(name=b"a\0b")
    with pytest.raises(DoNotRetryIOException, match="Family name"):
        described(nameless)
