"""What is known of a cluster at one version: immutable, swapped whole, read by every face without a lock."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from registry.names import ServerName

T_co = TypeVar("T_co", covariant=True)


class FactState(enum.Enum):
    """What ZooKeeper has told of one fact."""

    UNREAD = "unread"
    """Not read yet in this life of the process: nothing may be said of it."""
    ABSENT = "absent"
    """Read, and there is no such znode: that is an answer too."""
    FORBIDDEN = "forbidden"
    """The ACL of the znode keeps us out (NoAuth)."""
    UNDECODABLE = "undecodable"
    """Read, but the bytes are not what HBase writes there; `Fact.problem` says what is wrong."""
    KNOWN = "known"
    """Read and decoded."""


@dataclass(frozen=True, slots=True)
class ZnodeStat:
    """The Stat of a znode, all eleven fields as ZooKeeper sends them."""

    czxid: int
    mzxid: int
    ctime_ms: int
    mtime_ms: int
    version: int
    cversion: int
    aversion: int
    ephemeral_owner: int
    data_length: int
    num_children: int
    pzxid: int


@dataclass(frozen=True, slots=True)
class Znode:
    """One znode as last read: raw bytes and whole Stat, so that a ZooKeeper door can be answered from here."""

    path: str
    state: FactState
    data: bytes = b""
    stat: ZnodeStat | None = None
    children: tuple[str, ...] | None = None
    """Sorted names of the children; None when they were not asked for or may not be read."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[T_co]):
    """One thing that lookups answer, and how well it is known."""

    state: FactState
    path: str
    value: T_co | None = None
    """Set when `state` is KNOWN, None otherwise."""
    changed_zxid: int = 0
    """zxid of the last change that shaped this value; 0 while unread."""
    problem: str = ""
    """For people: why the value is missing or partly missing, with the cure where there is one."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """How new a snapshot is: comparable, never goes back on one address within a generation."""

    generation: int
    """Rises when ZooKeeper turns out to have lost its history."""
    zxid: int
    """Every change up to this zxid is in the snapshot."""


@dataclass(frozen=True, slots=True)
class Master:
    """A master as /hbase/master tells it. `info_port` is -1 where its pages are off."""

    server_name: ServerName
    info_port: int


@dataclass(frozen=True, slots=True)
class MetaLocation:
    """Where one replica of hbase:meta is. `state` is HBase's RegionState name, such as OPEN."""

    replica_id: int
    server_name: ServerName
    state: str


@dataclass(frozen=True, slots=True)
class RegionServer:
    """A live region server. `info_port` and `version` are empty where the child's data may not be read."""

    server_name: ServerName
    info_port: int = -1
    version: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts at one version.

    `complete` says that no fact is UNREAD; until then lookups answer only what is KNOWN.
    """

    version: Version
    complete: bool
    cluster_id: Fact[str]
    active_master: Fact[Master]
    backup_masters: Fact[tuple[ServerName, ...]]
    meta_locations: Fact[tuple[MetaLocation, ...]]
    """Sorted by replica id."""
    region_servers: Fact[tuple[RegionServer, ...]]
    table_states: Fact[Mapping[str, str]]
    """Table name to ENABLED, DISABLED, DISABLING or ENABLING; ABSENT on clusters that keep them in meta only."""
    znodes: Mapping[str, Znode] = field(default_factory=lambda: MappingProxyType({}))
    """Every znode behind the facts, by full path, and the others that are followed."""
    settled: bool = False
    """Nothing was waiting to be read when this was made: the znodes are what ZooKeeper held at `version.zxid`, all of
    them at that one moment. Otherwise some may be newer than the version says."""

    def facts(self) -> tuple[tuple[str, Fact[object]], ...]:
        """The facts by name, in the order in which pages show them."""
        return (
            ("cluster_id", self.cluster_id),
            ("active_master", self.active_master),
            ("backup_masters", self.backup_masters),
            ("meta_locations", self.meta_locations),
            ("region_servers", self.region_servers),
            ("table_states", self.table_states),
        )

    @property
    def forbidden_paths(self) -> tuple[str, ...]:
        """Paths of the znodes whose ACL keeps us out, sorted."""
        return tuple(sorted(path for path, znode in self.znodes.items() if znode.state is FactState.FORBIDDEN))
