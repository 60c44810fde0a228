"""The descriptor of hbase:meta: as a 2.6.4 was recorded to show it to clients, and as its region is opened with.

Source: FSTableDescriptors#createMetaTableDescriptorBuilder of 2.6, TableDescriptorBuilder#toString of its meta.
"""

from __future__ import annotations

from protos.hbase import HBase_pb2
from registry.master.meta_rows import HIDDEN
from registry.wire.region_info import META_TABLE, table_name

COPROCESSOR = b"|org.apache.hadoop.hbase.coprocessor.MultiRowMutationEndpoint|536870911|"
FILE_TRACKER = (b"hbase.store.file-tracker.impl", b"DEFAULT")
_USUAL = {
    "INDEX_BLOCK_ENCODING": "NONE",
    "VERSIONS": "3",
    "KEEP_DELETED_CELLS": "FALSE",
    "DATA_BLOCK_ENCODING": "ROW_INDEX_V1",
    "TTL": "2147483647",
    "MIN_VERSIONS": "0",
    "REPLICATION_SCOPE": "0",
    "BLOOMFILTER": "ROWCOL",
    "IN_MEMORY": "true",
    "COMPRESSION": "NONE",
    "BLOCKCACHE": "true",
    "BLOCKSIZE": "8192",
}
_FAMILIES = {
    b"info": _USUAL,
    b"rep_barrier": _USUAL | {"VERSIONS": "2147483647", "BLOCKSIZE": "65536"},
    b"table": _USUAL,
}


def meta_schema(*, hidden: bool = False) -> HBase_pb2.TableSchema:
    """What describes hbase:meta; `hidden` adds the family that only masters see."""
    schema = HBase_pb2.TableSchema(table_name=table_name(META_TABLE))
    schema.attributes.add(first=b"IS_META", second=b"true")
    schema.attributes.add(first=b"coprocessor$1", second=COPROCESSOR)
    schema.attributes.add(first=FILE_TRACKER[0], second=FILE_TRACKER[1])
    families = _FAMILIES | ({HIDDEN: _USUAL | {"VERSIONS": "1"}} if hidden else {})
    for name, attributes in sorted(families.items()):
        family = schema.column_families.add(name=name)
        for key, value in attributes.items():
            family.attributes.add(first=key.encode(), second=value.encode())
    return schema
