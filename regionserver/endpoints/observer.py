"""What users write observers with: a class with hooks that are called before and after what clients do to a region.

    class Audit(Observer):
        def pre_delete(self, c: ObserverContext, delete: Mutation) -> None:
            if c.user != "admin":
                raise AccessDeniedException(f"{c.user} may not delete {delete.row!r}")

Hooks are named as RegionObserver's are, and what one does not override costs its table nothing. They come in threads,
many at one time; one instance serves a region. What a hook raises is told to the client whose call it is: an HBaseError
as it is, anything else as DoNotRetryIOException. What a hook is given it may change in place.

Source: RegionObserver, ObserverContext, MiniBatchOperationInProgress of 2.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from protos.hbase import Client_pb2
from regionserver.endpoints.api import Columns, RegionView
from regionserver.region.conditions import Condition
from regionserver.region.mutations import MutationKind
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType
from registry.wire.errors import AccessDeniedException, DoNotRetryIOException, HBaseError

__all__ = [
    "LATEST_TIMESTAMP",
    "AccessDeniedException",
    "Cell",
    "CheckAndMutate",
    "DoNotRetryIOException",
    "Get",
    "HBaseError",
    "KeyType",
    "MiniBatch",
    "Mutation",
    "MutationKind",
    "Observer",
    "ObserverContext",
    "RegionView",
    "Scan",
]

Get: TypeAlias = Client_pb2.Get
Scan: TypeAlias = Client_pb2.Scan
"""What clients ask, as HBase's own messages."""

BYPASSABLE = frozenset({"pre_get", "pre_put", "pre_delete", "pre_increment", "pre_append", "pre_check_and_mutate"})
"""As in HBase 2; others have something to let happen."""


@dataclass(slots=True)
class Mutation:
    """What is to be done to one row: of it the cells may be changed, and without any nothing is done."""

    kind: MutationKind
    row: bytes
    cells: list[Cell]
    """What is written, to be changed in place. A delete of a whole row has one for each family; of increments and
    appends these are what is added. A time may be LATEST_TIMESTAMP, the server's time when it is written."""
    attributes: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """What the client has said with Mutation.setAttribute."""

    @classmethod
    def put(
        cls, row: bytes, values: Mapping[tuple[bytes, bytes], bytes], *, timestamp_ms: int = LATEST_TIMESTAMP
    ) -> Mutation:
        """Of values by family and qualifier."""
        made = cls(MutationKind.PUT, row, [])
        for (family, qualifier), value in values.items():
            made.set(family, qualifier, value, timestamp_ms=timestamp_ms)
        return made

    @classmethod
    def delete(cls, row: bytes, columns: Columns, *, timestamp_ms: int = LATEST_TIMESTAMP) -> Mutation:
        """Of all versions of columns, or of whole families."""
        cells: list[Cell] = []
        for family, qualifiers in columns.items():
            if qualifiers is None:
                cells.append(Cell(row, family, b"", timestamp_ms, KeyType.DELETE_FAMILY, b""))
            else:
                cells += [Cell(row, family, name, timestamp_ms, KeyType.DELETE_COLUMN, b"") for name in qualifiers]
        return cls(MutationKind.DELETE, row, cells)

    def get(self, family: bytes, qualifier: bytes) -> bytes | None:
        """The value that it has of a column; None where it has none."""
        for cell in self.cells:
            if cell.family == family and cell.qualifier == qualifier:
                return cell.value
        return None

    def set(self, family: bytes, qualifier: bytes, value: bytes, *, timestamp_ms: int = LATEST_TIMESTAMP) -> None:
        """Write this value of a column, of a put, in place of what was to be written."""
        self.cells[:] = [each for each in self.cells if (each.family, each.qualifier) != (family, qualifier)]
        self.cells.append(Cell(self.row, family, qualifier, timestamp_ms, KeyType.PUT, value))


@dataclass(slots=True)
class MiniBatch:
    """Mutations that are written together, while nobody else writes their rows."""

    operations: Sequence[Mutation]
    added: dict[int, list[Mutation]] = field(default_factory=dict[int, "list[Mutation]"])
    """By the place of the operation that they go with."""

    def add_operations(self, index: int, mutations: Iterable[Mutation]) -> None:
        """Puts and deletes of rows of this region that are written with that operation, or neither is.

        Source: MiniBatchOperationInProgress#addOperationsFromCP.
        """
        if not 0 <= index < len(self.operations):
            raise IndexError(f"there are {len(self.operations)} operations, and none is {index}")
        self.added.setdefault(index, []).extend(mutations)


@dataclass(slots=True)
class CheckAndMutate:
    """Mutations of a row under a condition."""

    condition: Condition
    mutations: Sequence[Mutation]
    processed: bool = False
    """Whether it held, told to the client; for a hook to say that bypasses."""


class ObserverContext:
    """Who calls, and where."""

    def __init__(self, region: RegionView, user: str, address: str, arguments: Mapping[str, str], *, hook: str) -> None:
        self.region = region
        """To read and write, passing by all hooks; what is written there is not atomic with the operation."""
        self.user = user
        """The name that the client's connection has said; nobody has proved it."""
        self.address = address
        """Of the client's host."""
        self.arguments = arguments
        """What the table's attribute says behind the class: k=v,k=v."""
        self.is_bypassed = False
        self._hook = hook

    def bypass(self) -> None:
        """Have neither the operation nor other hooks of it; its client gets what the results are then."""
        if self._hook not in BYPASSABLE:
            raise RuntimeError(f"{self._hook} does not support 'bypass'")
        self.is_bypassed = True


class Observer:
    """Hooks of the regions of tables that name its class. Override some.

    Before: raise to refuse, change what is given, or `c.bypass()`. After: what was done stays done whatever is raised.
    """

    # --- the region ---

    def post_open(self, c: ObserverContext) -> None:
        """The region is served here now; calls may be first."""

    def post_close(self, c: ObserverContext) -> None:
        """The region is not served here any more, and cannot be asked."""

    # --- reading ---

    def pre_get(self, c: ObserverContext, get: Get, results: list[Cell]) -> None:
        """A Get, existence or not; its results where it is bypassed."""

    def post_get(self, c: ObserverContext, get: Get, results: list[Cell]) -> None:
        """What it has found."""

    def pre_scanner_open(self, c: ObserverContext, scan: Scan) -> None:
        """A Scan comes to this region."""

    def post_scanner_next(self, c: ObserverContext, scan: Scan, results: list[list[Cell]]) -> None:
        """Rows of one answer, or parts of large ones, in the scan's order; those left are told."""

    # --- writing ---

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        """Each put, whichever way it comes."""

    def post_put(self, c: ObserverContext, put: Mutation) -> None:
        """It is written."""

    def pre_delete(self, c: ObserverContext, delete: Mutation) -> None:
        """Each delete."""

    def post_delete(self, c: ObserverContext, delete: Mutation) -> None:
        """It is written."""

    def pre_increment(self, c: ObserverContext, increment: Mutation, results: list[Cell]) -> None:
        """Each increment; its results where it is bypassed."""

    def post_increment(self, c: ObserverContext, increment: Mutation, results: list[Cell]) -> None:
        """What it has left."""

    def pre_append(self, c: ObserverContext, append: Mutation, results: list[Cell]) -> None:
        """Each append; its results where it is bypassed."""

    def post_append(self, c: ObserverContext, append: Mutation, results: list[Cell]) -> None:
        """What it has left."""

    def pre_check_and_mutate(self, c: ObserverContext, check: CheckAndMutate) -> None:
        """Before the hooks of its mutations; the condition is judged behind all of them."""

    def post_check_and_mutate(self, c: ObserverContext, check: CheckAndMutate) -> None:
        """`check.processed`: whether it was done."""

    def pre_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        """Mutations that are about to be written, their rows locked: what is read of these now is so when they are."""

    def post_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        """They are written, and their rows still locked."""
