"""Descriptors of tables: as HBase completes what clients send, and changes of families. Pure.

HBase keeps values as it gets them and writes the defaults of families in between; families are sorted by name.

Source: TableDescriptorBuilder, ColumnFamilyDescriptorBuilder (DEFAULT_VALUES), ProtobufUtil#toTableDescriptor,
StoreFileTrackerBase#updateWithTrackerConfigs; the defaults and their order as recorded from 2.6.4.
"""

from __future__ import annotations

from collections.abc import Mapping

from protos.hbase import HBase_pb2
from registry.master.tables.names import check_family_name
from registry.wire.errors import DoNotRetryIOException, InvalidFamilyOperationException, IOException
from registry.wire.gone_families import ATTRIBUTE as GONE_FAMILIES
from registry.wire.region_info import META_TABLE, table_name, table_text

Schema = HBase_pb2.TableSchema
Family = HBase_pb2.ColumnFamilySchema

SCHEMA_BYTES_MAX = 1 << 20
"""Of one descriptor: it is kept in hbase:meta, in memory, and goes with each order to open a region."""
FAMILIES_MAX = 1000

IS_META = b"IS_META"
FILE_TRACKER = (b"hbase.store.file-tracker.impl", b"DEFAULT")
"""HBase 2.6 notes it for each table that is made without."""

FAMILY_DEFAULTS: Mapping[bytes, bytes] = {
    b"INDEX_BLOCK_ENCODING": b"NONE",
    b"VERSIONS": b"1",
    b"KEEP_DELETED_CELLS": b"FALSE",
    b"DATA_BLOCK_ENCODING": b"NONE",
    b"TTL": b"2147483647",
    b"MIN_VERSIONS": b"0",
    b"REPLICATION_SCOPE": b"0",
    b"BLOOMFILTER": b"ROW",
    b"IN_MEMORY": b"false",
    b"COMPRESSION": b"NONE",
    b"BLOCKCACHE": b"true",
    b"BLOCKSIZE": b"65536",
}


def values(of: Schema | Family) -> dict[bytes, bytes]:
    """Its attributes; of two with one name the later."""
    return {pair.first: pair.second for pair in of.attributes}


def completed(table: str, sent: Schema) -> Schema:
    """The descriptor that HBase makes of what a client has sent. Raises IOException, DoNotRetryIOException."""
    if sent.ByteSize() > SCHEMA_BYTES_MAX:
        raise DoNotRetryIOException(f"The descriptor of {table} has {sent.ByteSize()} bytes, more than 1 MiB")
    if len(sent.column_families) > FAMILIES_MAX:
        raise DoNotRetryIOException(f"Table {table} has more than {FAMILIES_MAX} column families")
    attributes = {IS_META: b"true" if table == META_TABLE else b"false"}
    attributes |= {name: value for name, value in values(sent).items() if name not in (IS_META, GONE_FAMILIES)}
    attributes |= {pair.name.encode(): pair.value.encode() for pair in sent.configuration}
    families: dict[bytes, Family] = {}
    for family in sent.column_families:
        check_family_name(family.name)
        if family.name in families:
            raise IOException(f"Family '{_shown(family.name)}' already exists so cannot be added")
        families[family.name] = completed_family(family)
    return _schema(table, attributes, families)


def completed_family(sent: Family) -> Family:
    """The same of a family."""
    made = Family(name=sent.name, configuration=sent.configuration)
    for name, value in ({**FAMILY_DEFAULTS, **values(sent)}).items():
        made.attributes.add(first=name, second=value)
    return made


def as_created(schema: Schema) -> Schema:
    """With what 2.6 notes when a table is made."""
    name, value = FILE_TRACKER
    if values(schema).get(name):
        return schema
    made = Schema()
    made.CopyFrom(schema)
    made.attributes.add(first=name, second=value)
    return made


# --- families -----------------------------------------------------------------------------------------------------


def with_family(schema: Schema, family: Family) -> Schema:
    """A new family. Raises InvalidFamilyOperationException where there is one of that name."""
    families = _families(schema)
    check_family_name(family.name)
    if family.name in families:
        table = table_text(schema.table_name)
        raise InvalidFamilyOperationException(
            f"Column family '{_shown(family.name)}' in table '{table}' already exists so cannot be added"
        )
    return _schema_of(schema, families | {family.name: completed_family(family)})


def with_changed_family(schema: Schema, family: Family) -> Schema:
    """Another in place of the one of that name. Raises InvalidFamilyOperationException where there is none."""
    families = _families(schema)
    if family.name not in families:
        raise InvalidFamilyOperationException(
            f"Family '{_shown(family.name)}' does not exist, so it cannot be modified"
        )
    return _schema_of(schema, families | {family.name: completed_family(family)})


def without_family(schema: Schema, name: bytes) -> Schema:
    """One family less. Raises InvalidFamilyOperationException where it is not there, or is the only one."""
    families = _families(schema)
    if name not in families:
        raise InvalidFamilyOperationException(f"Family '{_shown(name)}' does not exist, so it cannot be deleted")
    if len(families) == 1:
        raise InvalidFamilyOperationException(
            f"Family '{_shown(name)}' is the only column family in the table, so it cannot be deleted"
        )
    del families[name]
    return _schema_of(schema, families)


def _families(schema: Schema) -> dict[bytes, Family]:
    return {family.name: family for family in schema.column_families}


def _schema_of(schema: Schema, families: Mapping[bytes, Family]) -> Schema:
    return _schema(table_text(schema.table_name), values(schema), families)


def _schema(table: str, attributes: Mapping[bytes, bytes], families: Mapping[bytes, Family]) -> Schema:
    schema = Schema(table_name=table_name(table), column_families=[families[name] for name in sorted(families)])
    for name, value in attributes.items():
        schema.attributes.add(first=name, second=value)
    return schema


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
