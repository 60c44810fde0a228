"""What a master asks of ZooKeeper, and what comes back: plain values, so that its machines need no ZooKeeper client.

Source: org.apache.zookeeper.Op, KeeperException.Code.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from registry.lookup.snapshot import ZnodeStat

ANY_VERSION = -1
"""A delete, set or check of whatever version is there."""


@dataclass(frozen=True, slots=True)
class Create:
    """Make a znode with ACL world:anyone; its parent must exist."""

    path: str
    data: bytes = b""
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a znode without children."""

    path: str
    version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class SetData:
    """Write a znode that exists."""

    path: str
    data: bytes
    version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class Check:
    """Nothing but a condition; for use in a `Multi`."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Multi:
    """All of it or nothing, under one zxid. The reply tells of the operation that failed first."""

    operations: tuple[Create | Delete | SetData | Check, ...]


@dataclass(frozen=True, slots=True)
class Get:
    """Data and Stat; with `watch`, the next change or deletion is told, where the znode exists."""

    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Children:
    """Names of the children, without a watch."""

    path: str


Request = Create | Delete | SetData | Multi | Get | Children


class Result(enum.Enum):
    """How a request ended."""

    OK = "ok"
    NO_NODE = "no node"
    NODE_EXISTS = "node exists"
    NOT_EMPTY = "not empty"
    BAD_VERSION = "bad version"
    NO_AUTH = "no auth"
    LOST = "lost"
    """The connection went first: a write may have been carried out or not."""
    FAILED = "failed"
    """Something else; `Reply.problem` says what."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of one request."""

    result: Result
    data: bytes = b""
    stat: ZnodeStat | None = None
    """Of a `Get`."""
    children: tuple[str, ...] = ()
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.result is Result.OK
