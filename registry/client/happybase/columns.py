"""Columns and families as Thrift's callers name them, and what they are called in HBase. Pure.

Source: CellUtil#parseColumn, ThriftUtilities#colDescFromThrift and #colDescFromHbase, Hbase.thrift.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from registry.client.data.names import REMEMBERED_MAX, ColumnName

TTL_S_MAX = 0x7FFF_FFFF


class _Option(NamedTuple):
    attribute: str
    """Of the family, as HBase's descriptor names it; empty: taken, and without any effect, as in the Thrift server."""
    default: Any
    """Of the Thrift structure: not the default of a family that is made in Java."""


OPTIONS: Mapping[str, _Option] = {
    "max_versions": _Option("VERSIONS", 3),
    "compression": _Option("COMPRESSION", "NONE"),
    "in_memory": _Option("IN_MEMORY", False),
    "bloom_filter_type": _Option("BLOOMFILTER", "NONE"),
    "bloom_filter_vector_size": _Option("", 0),
    "bloom_filter_nb_hashes": _Option("", 0),
    "block_cache_enabled": _Option("BLOCKCACHE", False),
    "time_to_live": _Option("TTL", TTL_S_MAX),
}
"""Of `Connection.create_table`, by name."""


def as_bytes(value: Any, what: str = "input") -> bytes:
    """Text as UTF-8. Raises TypeError."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"{what} must be text or bytes, not {type(value).__name__}")


def column_parts(name: bytes | str) -> tuple[bytes, bytes | None]:
    """Behind the first colon is the qualifier, which may be empty; without a colon the whole family is meant."""
    family, colon, qualifier = as_bytes(name, "a column").partition(b":")
    return family, qualifier if colon else None


def column(name: bytes | str) -> ColumnName:
    """The same as hbeacon's client takes it. Raises TypeError."""
    return _column(as_bytes(name, "a column"))


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def _column(name: bytes) -> ColumnName:
    family, qualifier = column_parts(name)
    return (family,) if qualifier is None else (family, qualifier)


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def whole_column(name: bytes | str) -> ColumnName:
    """A column that is written. Raises ValueError for a family."""
    found = column(name)
    if len(found) == 1:
        raise ValueError(f"column {name!r} has no qualifier: write 'family:qualifier', or 'family:'")
    return found


def columns(names: Sequence[bytes | str] | None) -> list[ColumnName] | None:
    """None, and no names, are all columns. Raises TypeError for what is neither list nor tuple."""
    if names is not None and not isinstance(names, list | tuple):
        raise TypeError("'columns' must be a tuple or list")
    return [column(name) for name in names or ()] or None


def family_attributes(options: Mapping[str, Any] | None) -> dict[str, str]:
    """Attributes of a family that is to be made. Raises TypeError for an option that Thrift has not."""
    given = dict(options or {})
    if unknown := given.keys() - OPTIONS.keys():
        raise TypeError(f"{', '.join(sorted(unknown))}: families have {', '.join(OPTIONS)}")
    made: dict[str, str] = {}
    for name, (attribute, default) in OPTIONS.items():
        value = given.get(name)
        if attribute:
            made[attribute] = _attribute(default if value is None else value)
    made["COMPRESSION"] = made["COMPRESSION"].upper()
    if int(made["TTL"]) <= 0:
        made["TTL"] = str(TTL_S_MAX)
    return made


def family_options(family: bytes, attributes: Mapping[str, str]) -> dict[str, Any]:
    """A family as `Table.families` tells it, from its attributes; what is not set has HBase's defaults."""
    ttl = attributes.get("TTL", str(TTL_S_MAX))
    return {
        "name": family + b":",
        "max_versions": int(attributes.get("VERSIONS", "1")),
        "compression": attributes.get("COMPRESSION", "NONE").encode(),
        "in_memory": attributes.get("IN_MEMORY", "false").lower() == "true",
        "bloom_filter_type": attributes.get("BLOOMFILTER", "ROW").encode(),
        "bloom_filter_vector_size": 0,
        "bloom_filter_nb_hashes": 0,
        "block_cache_enabled": attributes.get("BLOCKCACHE", "true").lower() == "true",
        "time_to_live": TTL_S_MAX if ttl.upper() == "FOREVER" else int(ttl),
    }


def _attribute(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(value).lower() if isinstance(value, bool) else str(value)
