"""What a client can ask a registry, and what an answer tells besides the value.

Source: org.apache.hadoop.hbase.client.ConnectionRegistry, HRegionLocation.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

from registry.lookup.snapshot import Version
from registry.names import ServerName

T_co = TypeVar("T_co", covariant=True)


class What(enum.Enum):
    """The questions; the values are names for people and for JSON."""

    __hash__ = object.__hash__  # of the one object that each is: Enum's hashes the name, in Python, for each look-up

    CLUSTER_ID = "cluster_id"
    ACTIVE_MASTER = "active_master"
    MASTERS = "masters"
    META_LOCATIONS = "meta_locations"
    BOOTSTRAP_NODES = "bootstrap_nodes"


@dataclass(frozen=True, slots=True)
class RegistryMaster:
    """One master and whether it is the active one."""

    server_name: ServerName
    is_active: bool


@dataclass(frozen=True, slots=True)
class RegionLocation:
    """Where one replica of hbase:meta is; `server_name` is None while it is on no server, `seq_num` -1 if unknown."""

    replica_id: int
    server_name: ServerName | None
    seq_num: int = -1


@dataclass(frozen=True, slots=True)
class Answer(Generic[T_co]):
    """The value, who gave it, how new it is and what it cost. Times are those of the look-up that found it."""

    what: What
    value: T_co
    server: str
    """`host:port` of the server that answered, or `zookeeper host:port,...`."""
    version: Version | None = None
    """Every change up to this version is in the value; None from servers that do not tell, as HBase's own."""
    age_ms: float | None = None
    """How old the server's knowledge was when it answered; None where it does not tell."""
    changed_zxid: int | None = None
    """zxid of the change that made the value what it is; None where the server does not tell."""
    calls: int = 1
    """Calls and preambles sent to find it, failed ones included."""
    elapsed_ms: float = 0.0
    cached: bool = False
    """Whether this came from the connection's cache, without asking anybody."""
    number: int = 0
    """Which look-up of its connection found it; `Connection.stale` recognises the answer by it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source knows after one question: the value before the connection makes an Answer of it."""

    value: object
    server: str
    version: Version | None = None
    age_ms: float | None = None
    changed_zxid: int | None = None
