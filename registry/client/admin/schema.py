"""What a table is made of, as callers say it and as messages have it. Pure.

Attributes are HBase's own, by HBase's names: {"VERSIONS": 3, "TTL": 86400}. Values are text on the wire, whatever they
are here.

Source: TableDescriptorBuilder, ColumnFamilyDescriptorBuilder, NamespaceDescriptor; ProtobufUtil#toTableSchema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from protos.hbase import HBase_pb2
from registry.client.data.names import Bytes, to_bytes
from registry.wire.cellblock import FAMILY_BYTES_MAX
from registry.wire.region_info import table_name, table_text
from registry.wire.text import lenient_text

AttributeValue: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, AttributeValue]
Families: TypeAlias = Mapping[str, Attributes | None] | Iterable[str]
"""Families with their attributes, or their names alone."""

FAMILY_DEFAULTS: Mapping[str, str] = {
    "VERSIONS": "1",
    "MIN_VERSIONS": "0",
    "TTL": "2147483647",
    "KEEP_DELETED_CELLS": "FALSE",
    "BLOCKSIZE": "65536",
    "BLOCKCACHE": "true",
    "IN_MEMORY": "false",
    "BLOOMFILTER": "ROW",
    "COMPRESSION": "NONE",
    "DATA_BLOCK_ENCODING": "NONE",
    "REPLICATION_SCOPE": "0",
}
"""What Java's builder writes into every family that is made; 1.x reads numbers there unasked."""


@dataclass(frozen=True, slots=True)
class TableDescriptor:
    """A table as the master describes it."""

    name: str
    families: dict[str, dict[str, str]]
    """Family to its attributes: VERSIONS, TTL, COMPRESSION, ..."""
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    """Of the table: DURABILITY, READONLY, MAX_FILESIZE, ..."""
    configuration: dict[str, str] = field(default_factory=dict[str, str])

    def message(self) -> HBase_pb2.TableSchema:
        """As servers take it. Raises ValueError."""
        if not self.families:
            raise ValueError(f"table {self.name} has no family: a table has one at least")
        return HBase_pb2.TableSchema(
            table_name=table_name(self.name),
            attributes=_pairs(self.attributes),
            column_families=[family_message(name, attributes) for name, attributes in self.families.items()],
            configuration=_strings(self.configuration),
        )


def descriptor_of(message: HBase_pb2.TableSchema) -> TableDescriptor:
    """What a message describes; configuration of families counts as their attributes."""
    return TableDescriptor(
        table_text(message.table_name),
        {
            lenient_text(family.name): {
                **_texts(family.attributes),
                **{pair.name: pair.value for pair in family.configuration},
            }
            for family in message.column_families
        },
        _texts(message.attributes),
        {pair.name: pair.value for pair in message.configuration},
    )


def families_of(families: Families) -> dict[str, dict[str, str]]:
    """Families with their attributes as text. Raises ValueError."""
    if isinstance(families, str):
        raise ValueError(f"families={families!r}: write a list of names, or {{name: attributes}}")
    found: dict[str, dict[str, str]] = {}
    for name in families:
        attributes = cast("Attributes | None", families[name]) if isinstance(families, Mapping) else None
        plain = name.removesuffix(":")  # as many write them
        if not 0 < len(plain.encode()) <= FAMILY_BYTES_MAX or ":" in plain:
            raise ValueError(f"{name!r} is no name of a family: 1 to {FAMILY_BYTES_MAX} bytes, no colon")
        found[plain] = texts_of(attributes or {})
    return found


def new_families(families: Families) -> dict[str, dict[str, str]]:
    """The same for families that are to be made. Raises ValueError."""
    return {name: {**FAMILY_DEFAULTS, **given} for name, given in families_of(families).items()}


def texts_of(attributes: Attributes) -> dict[str, str]:
    """Values as HBase writes them: true and false, numbers without more."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in attributes.items()}


def family_message(name: str, attributes: Mapping[str, str]) -> HBase_pb2.ColumnFamilySchema:
    """One family."""
    return HBase_pb2.ColumnFamilySchema(name=name.encode(), attributes=_pairs(attributes))


def namespace_message(name: str, configuration: Attributes) -> HBase_pb2.NamespaceDescriptor:
    """One namespace."""
    return HBase_pb2.NamespaceDescriptor(name=name.encode(), configuration=_strings(texts_of(configuration)))


def configuration_of(message: HBase_pb2.NamespaceDescriptor) -> dict[str, str]:
    """What a namespace is configured with."""
    return {pair.name: pair.value for pair in message.configuration}


def split_keys(splits: Iterable[Bytes]) -> list[bytes]:
    """Where regions begin but for the first, in order. Raises ValueError."""
    keys = sorted(to_bytes(split) for split in splits)
    if len(set(keys)) != len(keys) or b"" in keys:
        raise ValueError("split keys are all different, and not empty")
    return keys


def _pairs(attributes: Mapping[str, str]) -> list[HBase_pb2.BytesBytesPair]:
    return [HBase_pb2.BytesBytesPair(first=name.encode(), second=value.encode()) for name, value in attributes.items()]


def _strings(configuration: Mapping[str, str]) -> list[HBase_pb2.NameStringPair]:
    return [HBase_pb2.NameStringPair(name=name, value=value) for name, value in configuration.items()]


def _texts(pairs: Iterable[HBase_pb2.BytesBytesPair]) -> dict[str, str]:
    return {lenient_text(pair.first): lenient_text(pair.second) for pair in pairs}
