"""Coprocessors by the names that tables and settings give them: HBase's own that are here, and installed ones.

A table names classes in attributes, `coprocessor$1` = `path|class|priority|k=v,...`. A class is a name and no more:
what it means is said by this server alone, so that no client can have code loaded that its operator did not install:

    [project.entry-points."hbeacon.coprocessors"]
    "com.example.RowCounter" = "my_package.endpoints:RowCounter"

Source: TableDescriptorBuilder (CP_HTD_ATTR_KEY_PATTERN), RegionCoprocessorHost#getTableCoprocessorAttrsFromSchema,
Coprocessor (PRIORITY_SYSTEM, PRIORITY_USER).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from protos.hbase import HBase_pb2
from registry.wire.text import lenient_text

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "hbeacon.coprocessors"
"""Of entry points: what other packages bring."""
AGGREGATE = "org.apache.hadoop.hbase.coprocessor.AggregateImplementation"
MULTI_ROW = "org.apache.hadoop.hbase.coprocessor.MultiRowMutationEndpoint"
OWN = frozenset((AGGREGATE, MULTI_ROW))

PRIORITY_SYSTEM, PRIORITY_USER = 0x7FFF_FFFF // 4, 0x7FFF_FFFF // 2
"""Of classes that settings name, and of those of tables that say none; a lower one is asked earlier."""

_ATTRIBUTE = re.compile(rb"coprocessor\$[0-9]+", re.IGNORECASE)
_PRIORITY = re.compile(r"[0-9]{1,10}")
_ARGUMENT = re.compile(r"([^=,]+)=([^=,]+)")


class Named(NamedTuple):
    """A class as a table names it."""

    name: str
    priority: int = PRIORITY_USER
    arguments: Mapping[str, str] = MappingProxyType({})


def is_coprocessor(attribute: bytes) -> bool:
    """Whether an attribute of a table names a coprocessor."""
    return _ATTRIBUTE.fullmatch(attribute) is not None


def class_of(value: bytes) -> str:
    """The class that such an attribute names; empty where it names none."""
    parts = lenient_text(value).split("|")
    return parts[1].strip() if len(parts) > 1 else ""


def classes_of(schema: HBase_pb2.TableSchema) -> Iterator[str]:
    """Those that a table names, in the order of its attributes."""
    return (named.name for named in named_of(schema))


def named_of(schema: HBase_pb2.TableSchema) -> Iterator[Named]:
    """The same with what goes with each."""
    for pair in schema.attributes:
        if is_coprocessor(pair.first):
            _, _, priority, arguments = f"{lenient_text(pair.second)}|||".split("|", 3)
            is_said = _PRIORITY.fullmatch(priority.strip()) is not None
            found = {key.strip(): value.strip() for key, value in _ARGUMENT.findall(arguments.rstrip("|"))}
            yield Named(class_of(pair.second), int(priority) if is_said else PRIORITY_USER, found)


def is_known(name: str) -> bool:
    """Whether a class of that name is here."""
    return name in OWN or name in installed()


@lru_cache(maxsize=1)
def installed() -> Mapping[str, EntryPoint]:
    """What other packages have installed, by name. Looks through all packages once: a few tens of milliseconds."""
    from importlib.metadata import entry_points  # which brings half a MiB of e-mail parsing along

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def unknown_of(names: Iterable[str]) -> list[str]:
    """Those that are not here."""
    return [name for name in names if not is_known(name)]
