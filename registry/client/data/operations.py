"""What can be done to a row, as callers say it: plain values, checked when they are made. Pure.

They are what `Table.batch` and `Table.mutate_row` take; `Table.put`, `Table.get` and the like make them of their
arguments.

Source: org.apache.hadoop.hbase.client.Put, Delete, Get, Increment, Append, RowMutations, Durability.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, SupportsIndex, TypeAlias

from protos.hbase import Filter_pb2
from registry.client.data.names import Bytes, ColumnName, several

INT64_MAX = (1 << 63) - 1
VERSIONS_MAX = 0x7FFF_FFFF
"""All versions that there are: HBase's readAllVersions."""


def is_whole(value: object, value_min: int = 0) -> bool:
    """Whether it is a whole number of 64 bits, `value_min` at least."""
    return isinstance(value, SupportsIndex) and value_min <= value.__index__() <= INT64_MAX


class Durability(enum.IntEnum):
    """When a write is acknowledged; the numbers of MutationProto.Durability."""

    USE_DEFAULT = 0
    """As the table says."""
    SKIP_WAL = 1
    """Before it is in any log: a crash loses it."""
    ASYNC_WAL = 2
    """Before the log is written."""
    SYNC_WAL = 3
    """When the log is written."""
    FSYNC_WAL = 4
    """When the log is on the disk."""


class HasFilterMessage(Protocol):
    """A filter that was built in Python."""

    def to_proto(self) -> Filter_pb2.Filter:
        """As servers take it."""
        ...


AnyFilter: TypeAlias = Filter_pb2.Filter | HasFilterMessage | str | bytes
"""A message, an object that makes one, or text in HBase's filter language."""
TimeRange: TypeAlias = tuple[int | None, int | None]
"""Timestamps from the first up to, without, the second, in ms; None is without bound."""


@dataclass(frozen=True, slots=True)
class Get:
    """Read a row, or some columns of it."""

    row: Bytes
    columns: Iterable[ColumnName] | None = None
    """Columns and families; None: all."""
    versions: int = 1
    """Of each column, newest first."""
    time_range: TimeRange | None = None
    filter: AnyFilter | None = None
    cache_blocks: bool = True


@dataclass(frozen=True, slots=True)
class Put:
    """Write cells of a row."""

    row: Bytes
    values: Mapping[ColumnName, Bytes]
    timestamp: int | None = None
    """In ms; None: the server's time."""
    ttl_ms: int | None = None
    """How long the cells live; None: as long as their family says."""
    durability: Durability = Durability.USE_DEFAULT

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"no columns to put into row {self.row!r}")


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a row, families or columns of it."""

    row: Bytes
    columns: Iterable[ColumnName] | None = None
    """Columns and families; None: the row."""
    timestamp: int | None = None
    """What is not newer than this goes (`versions="all"`), or what is exactly of this time (`"latest"`)."""
    versions: Literal["all", "latest"] = "all"
    """All versions, or one: the newest where no time is given, which only columns can have."""
    ttl_ms: int | None = None
    durability: Durability = Durability.USE_DEFAULT

    def __post_init__(self) -> None:
        if self.versions not in ("all", "latest"):
            raise ValueError(f"versions={self.versions!r}: write 'all' or 'latest'")
        several(self.columns)


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to counters: values of eight bytes, big-endian; what is not there counts as 0."""

    row: Bytes
    amounts: Mapping[ColumnName, int]
    time_range: TimeRange | None = None
    """Of the values that are added to."""
    ttl_ms: int | None = None
    durability: Durability = Durability.USE_DEFAULT

    def __post_init__(self) -> None:
        if not self.amounts:
            raise ValueError(f"no columns to increment in row {self.row!r}")
        for name, amount in self.amounts.items():
            if not is_whole(amount, -INT64_MAX - 1):
                raise ValueError(f"{name!r}: {amount} is no number of 64 bits")


@dataclass(frozen=True, slots=True)
class Append:
    """Lengthen values: what is given is put behind what is there."""

    row: Bytes
    values: Mapping[ColumnName, Bytes]
    ttl_ms: int | None = None
    durability: Durability = Durability.USE_DEFAULT

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"no columns to append to in row {self.row!r}")


Mutation: TypeAlias = Put | Delete | Increment | Append


@dataclass(frozen=True, slots=True)
class RowMutations:
    """Several mutations of one row, all or none: nobody sees some of them."""

    row: Bytes
    mutations: tuple[Mutation, ...]

    def __init__(self, row: Bytes, mutations: Iterable[Mutation]) -> None:
        object.__setattr__(self, "row", row)
        object.__setattr__(self, "mutations", tuple(mutations))
        if not self.mutations:
            raise ValueError(f"no mutations of row {row!r}")


Operation: TypeAlias = Get | Mutation | RowMutations
