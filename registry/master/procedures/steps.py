"""What a procedure is made of: steps, each some work on the cluster and then one write that says what comes next.

A step may be done again, by the same master or the next: its work is idempotent, and what it writes is the same. So
what a step decides (names of new regions, a life) is written before the step that uses it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

from registry.master.catalogue import Catalogue, Changes
from registry.master.procedures.locks import Lock
from registry.master.procedures.procedure import Procedure
from registry.names import ServerName
from registry.wire.region_info import RegionInfo


class Open(NamedTuple):
    """Until all of them are open."""

    regions: Sequence[RegionInfo]


class Close(NamedTuple):
    """Until all of them are closed."""

    regions: Sequence[RegionInfo]


class Reopen(NamedTuple):
    """Until all of them that are open have the table's present schema."""

    regions: Sequence[RegionInfo]


class Drop(NamedTuple):
    """Have their rows removed from their stores."""

    regions: Sequence[RegionInfo]


class Move(NamedTuple):
    """Until it is open elsewhere. The one work that may fail."""

    region: RegionInfo
    server: ServerName | None


class Flush(NamedTuple):
    """Until what these regions hold in memory is on disk; no families: all of them."""

    regions: Sequence[RegionInfo]
    families: Sequence[bytes]


class MirrorTable(NamedTuple):
    """Have ZooKeeper say what the catalogue says of the table's state."""

    table: str


class MirrorNamespace(NamedTuple):
    """Have ZooKeeper say what the catalogue says of the namespace."""

    namespace: str


Work = Open | Close | Reopen | Drop | Move | Flush | MirrorTable | MirrorNamespace

END = 0
"""Instead of a next state: all is done."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step, in the order in which its parts are done."""

    then: int
    """State after it; END where it was the last."""
    works: tuple[Work, ...] = ()
    changes: Changes = field(default_factory=Changes)
    """Written together with the procedure, which is written last."""
    after: tuple[Work, ...] = ()
    """Once that is durable, before anybody is told. A master that takes over does these for all tables."""
    parts: tuple[Message, ...] | None = None
    """What the procedure keeps from now on."""
    own: dict[str, int] | None = None
    """The same, of what HBase has no field for."""


class View(Protocol):
    """What steps are decided on."""

    @property
    def catalogue(self) -> Catalogue:
        """As it is now."""
        ...

    @property
    def now_ms(self) -> int:
        """Wall clock."""
        ...

    def take_life(self) -> int:
        """A number that no table ever had."""
        ...


class Class(Protocol):
    """A kind of procedure, under the name of HBase's class."""

    @property
    def class_name(self) -> str:
        """HBase's, with its package."""
        ...

    @property
    def source(self) -> str:
        """Under which its failures are told."""
        ...

    @property
    def first(self) -> int:
        """The state that it begins in."""
        ...

    @property
    def checked(self) -> Collection[int]:
        """States in which nothing has happened yet: an error there ends it, and it may be aborted."""
        ...

    @property
    def listens_to_abort(self) -> bool:
        """Whether an abort is taken note of outside those states too, as most of HBase's do, though nothing follows."""
        ...

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """Held from its first step to its last."""
        ...

    def step(self, procedure: Procedure, view: View) -> Step:
        """What is to be done in its state. Raises HBaseError where it may not be done, in the states `checked`."""
        ...


MASTER_PROCEDURES = "org.apache.hadoop.hbase.master.procedure."
ASSIGNMENT = "org.apache.hadoop.hbase.master.assignment."
