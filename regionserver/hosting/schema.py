"""A table's descriptor as its regions need it: families with their rules, and what holds for all rows.

Attributes are Java's: names in capitals, values as text. What is not named there is another part's business, or has no
meaning here (MAX_FILESIZE, BLOOMFILTER, COMPRESSION and so on: the engine has its own).

Source: ColumnFamilyDescriptorBuilder, TableDescriptorBuilder, HStore#determineTTLFromFamily, KeepDeletedCells,
Durability, HRegion#getEffectiveDurability.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from protos.hbase import HBase_pb2
from regionserver.engine.store import Durability
from regionserver.region.rules import USUAL, TableRules
from regionserver.region.visible import FOR_EVER_MS, VERSIONS_ALL, FamilyRules, KeepDeleted
from registry.wire.errors import DoNotRetryIOException
from registry.wire.gone_families import gone_families
from registry.wire.region_info import META_TABLE, table_text

TTL_FOREVER_S = 0x7FFF_FFFF
"""Java's Integer.MAX_VALUE, FOREVER in a shell; -1 means the same."""
TIMESTAMP_SLOP = b"hbase.hregion.keyvalue.timestamp.slop.millisecs"
PURGE_DELETES = b"hbase.hstore.time.to.purge.deletes"
ON_DEMAND = b"hbase.hregion.scan.loadColumnFamiliesOnDemand"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DURABILITIES: Mapping[str, Durability | None] = {
    "USE_DEFAULT": None,
    "SKIP_WAL": Durability.MEMORY,
    "ASYNC_WAL": Durability.LATER,
    "SYNC_WAL": Durability.PROCESS,
    "FSYNC_WAL": Durability.POWER,
}

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Described:
    """What a table's descriptor says to its regions."""

    table: str
    families: Mapping[bytes, FamilyRules]
    """Those that are served; none where all have to be removed first."""
    rules: TableRules = USUAL
    gone: frozenset[bytes] = frozenset()
    """Families that were deleted and may still have cells in the region."""


def described(schema: HBase_pb2.TableSchema, server: TableRules = USUAL) -> Described:
    """Read a descriptor; what it does not say is as the server says.

    Raises DoNotRetryIOException that names the attribute and its value.
    """
    table = table_text(schema.table_name)
    values = {pair.first: pair.second for pair in schema.attributes}
    values.update((pair.name.encode(), pair.value.encode()) for pair in schema.configuration)
    if table == META_TABLE:
        server = replace(server, future_ms_max=None)  # the master writes it with times that run ahead of the clock
    purge_deletes = values.get(PURGE_DELETES, str(server.markers_stay_ms).encode())
    families: dict[bytes, FamilyRules] = {}
    for family in schema.column_families:
        if not family.name or b"\0" in family.name:
            raise DoNotRetryIOException(f"Family name {family.name[:64]!r} of table {table} is not one")
        families[family.name] = family_rules(table, family, purge_deletes)
    if not families:
        raise DoNotRetryIOException("Table should have at least one column family.")
    gone = gone_families(schema)
    for name in gone & families.keys():
        del families[name]  # made again: served once what was in it is gone, and the descriptor says so
    durability = _read(values, b"DURABILITY", None, _durability, table)
    rules = replace(
        server,
        durability=server.durability if durability is None else durability,
        read_only=_read(values, b"READONLY", server.read_only, _boolean, table),
        cell_bytes_max=_read(values, b"hbase.server.keyvalue.maxsize", server.cell_bytes_max, _integer, table),
        is_compacted=_read(values, b"COMPACTION_ENABLED", True, _boolean, table),
        future_ms_max=_read(values, TIMESTAMP_SLOP, server.future_ms_max, _slop_ms, table),
        on_demand=_read(values, ON_DEMAND, server.on_demand, _boolean, table),
    )
    return Described(table, dict(sorted(families.items())), rules, gone)


def family_rules(table: str, family: HBase_pb2.ColumnFamilySchema, purge_deletes: bytes = b"0") -> FamilyRules:
    """Read the descriptor of one family; `purge_deletes`: how long markers stay, in ms, where it does not say.

    Raises DoNotRetryIOException.
    """
    values = {PURGE_DELETES: purge_deletes}
    values.update((pair.name.encode(), pair.value.encode()) for pair in family.configuration)
    values.update((pair.first, pair.second) for pair in family.attributes)
    where = f"{table}, family {family.name.decode('utf-8', 'replace')}"
    versions_max = _read(values, b"VERSIONS", 1, _versions_max, where)
    versions_min = _read(values, b"MIN_VERSIONS", 0, _versions_min, where)
    ttl_s = _read(values, b"TTL", TTL_FOREVER_S, _ttl_s, where)
    keep_deleted = _read(values, b"KEEP_DELETED_CELLS", KeepDeleted.FALSE, _keep_deleted, where)
    ttl_ms = FOR_EVER_MS if ttl_s in (TTL_FOREVER_S, -1) else ttl_s * 1000
    new_versions = _read(values, b"NEW_VERSION_BEHAVIOR", False, _boolean, where)
    markers_stay_ms = max(_read(values, PURGE_DELETES, 0, _integer, where), 0)
    return FamilyRules(versions_max, versions_min, ttl_ms, keep_deleted, new_versions, markers_stay_ms)


def _read(
    values: Mapping[bytes, bytes], name: bytes, default: _Value, read: Callable[[str], _Value], where: str
) -> _Value:
    value = values.get(name)
    if value is None:
        return default
    text = value.decode("utf-8", "replace")
    try:
        return read(text.strip())
    except (ValueError, KeyError):
        raise DoNotRetryIOException(f"{name.decode()} of table {where} cannot be {text[:80]!r}") from None


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _slop_ms(text: str) -> int | None:
    number = _integer(text)
    return None if number == FOR_EVER_MS else number


def _versions_max(text: str) -> int:
    number = _integer(text)
    if not 0 < number <= VERSIONS_ALL:
        raise ValueError(text)
    return number


def _versions_min(text: str) -> int:
    number = _integer(text)
    if not 0 <= number <= VERSIONS_ALL:
        raise ValueError(text)
    return number


def _ttl_s(text: str) -> int:
    number = TTL_FOREVER_S if text.upper() == "FOREVER" else _integer(text)
    if number == 0 or not -1 <= number <= TTL_FOREVER_S:
        raise ValueError(text)
    return number


def _keep_deleted(text: str) -> KeepDeleted:
    return KeepDeleted[text.upper()]


def _durability(text: str) -> Durability | None:
    return _DURABILITIES[text.upper()]


def _boolean(text: str) -> bool:
    """As Java's Boolean.valueOf: whatever is not true is false."""
    return text.lower() == "true"
