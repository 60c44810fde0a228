"""Whether a descriptor makes sense: HBase's checks and texts, before a table is made or changed. Pure.

A descriptor with `hbase.table.sanity.checks` false passes most of them. What a real server accepts and then opens no
region with, such as an encoding that does not exist, is refused here.

Source: TableDescriptorChecker; texts as recorded from 2.6.4.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping

from protos.hbase import HBase_pb2
from registry.coprocessors import class_of, is_coprocessor, is_known
from registry.master.tables.descriptors import values
from registry.wire.errors import DoNotRetryIOException, IOException
from registry.wire.region_info import META_TABLE, table_text
from registry.wire.text import lenient_text

logger = logging.getLogger("registry.master.tables")

SANITY_CHECKS = b"hbase.table.sanity.checks"
_BYPASS = f" Set {SANITY_CHECKS.decode()} to false at conf or table descriptor if you want to bypass sanity checks"

MAX_FILESIZE_MIN = 2 << 20
FLUSH_SIZE_MIN = 1 << 20
BLOCK_BYTES_MIN, BLOCK_BYTES_MAX = 1 << 10, 16 << 20

PURGE_DELETES = b"hbase.hstore.time.to.purge.deletes"
_INT, _LONG = 31, 63
_SPLIT_POLICIES = frozenset(
    f"org.apache.hadoop.hbase.regionserver.{name}"
    for name in (
        "BusyRegionSplitPolicy",
        "ConstantSizeRegionSplitPolicy",
        "DelimitedKeyPrefixRegionSplitPolicy",
        "DisabledRegionSplitPolicy",
        "IncreasingToUpperBoundRegionSplitPolicy",
        "KeyPrefixRegionSplitPolicy",
        "SteppingSplitPolicy",
    )
)
_COMPRESSION = "org.apache.hadoop.hbase.io.compress.Compression.Algorithm"
_ENUMS: Mapping[bytes, tuple[str, frozenset[str]]] = {
    **dict.fromkeys(
        (b"COMPRESSION", b"COMPRESSION_COMPACT", b"COMPRESSION_COMPACT_MAJOR", b"COMPRESSION_COMPACT_MINOR"),
        (_COMPRESSION, frozenset(("NONE", "GZ", "SNAPPY", "LZO", "LZ4", "BZIP2", "ZSTD", "LZMA", "BROTLI"))),
    ),
    b"IN_MEMORY_COMPACTION": (
        "org.apache.hadoop.hbase.MemoryCompactionPolicy",
        frozenset(("NONE", "BASIC", "EAGER", "ADAPTIVE")),
    ),
    b"DATA_BLOCK_ENCODING": (
        "org.apache.hadoop.hbase.io.encoding.DataBlockEncoding",
        frozenset(("NONE", "PREFIX", "DIFF", "FAST_DIFF", "ROW_INDEX_V1")),
    ),
    b"INDEX_BLOCK_ENCODING": (
        "org.apache.hadoop.hbase.io.encoding.IndexBlockEncoding",
        frozenset(("NONE", "PREFIX_TREE")),
    ),
    b"KEEP_DELETED_CELLS": ("org.apache.hadoop.hbase.KeepDeletedCells", frozenset(("FALSE", "TRUE", "TTL"))),
}
_DURABILITIES = frozenset(("USE_DEFAULT", "SKIP_WAL", "ASYNC_WAL", "SYNC_WAL", "FSYNC_WAL"))
_BLOOM_FILTERS = frozenset(("NONE", "ROW", "ROWCOL"))
_PREFIX_BLOOM, _PREFIX_LENGTH = "ROWPREFIX_FIXED_LENGTH", "RowPrefixBloomFilter.prefix_length"


def sanity_check(schema: HBase_pb2.TableSchema) -> None:
    """Raise IOException for what is no number, DoNotRetryIOException for what makes no sense; `schema` is complete."""
    own = values(schema)
    only_warned = own.get(SANITY_CHECKS, b"").strip().lower() == b"false"
    for problem in _problems(schema, own):
        if not only_warned:
            raise DoNotRetryIOException(problem + _BYPASS)
        logger.warning("%s: %s", table_text(schema.table_name), problem)


def check_supported(schema: HBase_pb2.TableSchema) -> None:
    """Raise DoNotRetryIOException for what HBase lets pass and no region here could be opened with."""
    table, own = table_text(schema.table_name), values(schema)
    if number(own, b"REGION_REPLICATION", 1) > 1:
        raise DoNotRetryIOException(f"There are no region replicas here: REGION_REPLICATION of {table} must be 1")
    number(own, b"hbase.server.keyvalue.maxsize", 0)
    for name in (b"hbase.hregion.keyvalue.timestamp.slop.millisecs", PURGE_DELETES):
        number(own, name, 0, _LONG)
    for family in schema.column_families:
        own = values(family)
        number(
            {pair.name.encode(): pair.value.encode() for pair in family.configuration} | own, PURGE_DELETES, 0, _LONG
        )
        for name, least in ((b"VERSIONS", 1), (b"TTL", 1), (b"MIN_VERSIONS", 0)):
            if number(own, name, least) < least:
                raise DoNotRetryIOException(
                    f"{name.decode()} of table {table}, family {_name(family)} must be at least {least}"
                )
        if problem := next(_enums({b"KEEP_DELETED_CELLS": own.get(b"KEEP_DELETED_CELLS", b"FALSE")}), ""):
            raise DoNotRetryIOException(problem)
    if problem := next(_durability(values(schema)), ""):
        raise DoNotRetryIOException(problem)


def number(own: Mapping[bytes, bytes], name: bytes, default_count: int, bits: int = _INT) -> int:
    """An attribute as Java reads a whole number. Raises IOException with Java's text."""
    value = own.get(name)
    if value is None:
        return default_count
    text = lenient_text(value)
    found = re.fullmatch(r"[+-]?[0-9]{1,30}", text)
    if found is None or not -(1 << bits) <= int(text) < 1 << bits:
        raise IOException(f'For input string: "{text}"')
    return int(text)


def _problems(schema: HBase_pb2.TableSchema, own: Mapping[bytes, bytes]) -> Iterator[str]:
    table = table_text(schema.table_name)
    size = number(own, b"MAX_FILESIZE", MAX_FILESIZE_MIN, _LONG)
    if size < MAX_FILESIZE_MIN:
        yield (
            f'MAX_FILESIZE for table descriptor or "hbase.hregion.max.filesize" ({size}) is too small, which might'
            " cause over splitting into unmanageable number of regions."
        )
    size = number(own, b"MEMSTORE_FLUSHSIZE", FLUSH_SIZE_MIN, _LONG)
    if size < FLUSH_SIZE_MIN:
        yield (
            f'MEMSTORE_FLUSHSIZE for table descriptor or "hbase.hregion.memstore.flush.size" ({size}) is too small,'
            " which might cause very frequent flushing."
        )
    yield from _classes(table, own)
    for family in schema.column_families:
        yield from _enums(values(family))
    yield from _table(schema, table, own)
    for family in schema.column_families:
        scope = number(values(family), b"REPLICATION_SCOPE", 0)
        if scope not in (0, 1):
            yield f"Replication scope for column family {_name(family)} is {scope} which is invalid."
    for family in schema.column_families:
        if not _bloom_is_well(family):
            yield "Failed to get bloom filter param"
    for family in schema.column_families:
        yield from _family(family)


def _table(schema: HBase_pb2.TableSchema, table: str, own: Mapping[bytes, bytes]) -> Iterator[str]:
    yield from _durability(own)
    number(own, b"PRIORITY", 0)
    if not schema.column_families:
        yield "Table should have at least one column family."
    if number(own, b"REGION_REPLICATION", 1) < 1:
        yield "Table region replication should be at least one."
    if table == META_TABLE and own.get(b"READONLY", b"").lower() == b"true":
        yield "Meta table can't be set as read only."


def _classes(table: str, own: Mapping[bytes, bytes]) -> Iterator[str]:
    policy = lenient_text(own.get(b"SPLIT_POLICY", b""))
    if policy and policy not in _SPLIT_POLICIES:
        yield f"Unable to load configured region split policy '{policy}' for table '{table}'"
    if table == META_TABLE:
        return
    for name, value in own.items():
        if is_coprocessor(name) and not is_known(named := class_of(value)):
            yield f"Class {named} cannot be loaded"


def _enums(own: Mapping[bytes, bytes]) -> Iterator[str]:
    for name, (java_class, known) in _ENUMS.items():
        value = lenient_text(own[name]).upper() if name in own else ""
        if value and value not in known:
            yield f"No enum constant {java_class}.{value}"


def _durability(own: Mapping[bytes, bytes]) -> Iterator[str]:
    durability = lenient_text(own.get(b"DURABILITY", b"USE_DEFAULT")).upper()
    if durability not in _DURABILITIES:
        yield f"No enum constant org.apache.hadoop.hbase.client.Durability.{durability}"


def _bloom_is_well(family: HBase_pb2.ColumnFamilySchema) -> bool:
    kind = lenient_text(values(family).get(b"BLOOMFILTER", b"ROW")).upper()
    if kind != _PREFIX_BLOOM:
        return kind in _BLOOM_FILTERS
    lengths = [pair.value for pair in family.configuration if pair.name == _PREFIX_LENGTH]
    return bool(lengths) and re.fullmatch(r"[1-9][0-9]{0,8}", lengths[-1]) is not None


def _family(family: HBase_pb2.ColumnFamilySchema) -> Iterator[str]:
    own, name = values(family), _name(family)
    if number(own, b"TTL", 1) <= 0:
        yield f"TTL for column family {name} must be positive."
    if not BLOCK_BYTES_MIN <= number(own, b"BLOCKSIZE", BLOCK_BYTES_MAX) <= BLOCK_BYTES_MAX:
        yield f"Block size for column family {name}  must be between 1K and 16MB."
    min_versions, versions = number(own, b"MIN_VERSIONS", 0), number(own, b"VERSIONS", 1)
    if min_versions < 0:
        yield f"Min versions for column family {name}  must be positive."
    if min_versions > versions:
        yield f"Min versions for column family {name} must be less than the Max versions."
    if number(own, b"DFS_REPLICATION", 0) < 0:
        yield f"HFile Replication for column family {name}  must be greater than zero."


def _name(family: HBase_pb2.ColumnFamilySchema) -> str:
    return lenient_text(family.name)
