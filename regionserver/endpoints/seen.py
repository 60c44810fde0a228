"""Mutations and cells as observers see and change them, and back. What users' code has made is looked at in its thread.

Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from regionserver.client_service.writes import MutationAsked
from regionserver.endpoints.observer import Mutation
from regionserver.region.mutations import Change, MutationKind
from regionserver.region.mutations import Mutation as Written
from regionserver.region.region import Found
from registry.wire.cellblock import Cell, KeyType, decode_cells, decode_tags, encode_cell
from registry.wire.errors import DoNotRetryIOException, HBaseError, ProtocolError
from registry.wire.text import lenient_text

_DELETES = frozenset({KeyType.DELETE, KeyType.DELETE_COLUMN, KeyType.DELETE_FAMILY, KeyType.DELETE_FAMILY_VERSION})


@dataclass(slots=True, eq=False)
class Operation:
    """One mutation that a client asks for, and what becomes of it."""

    asked: MutationAsked
    seen: Mutation
    results: list[Cell] = field(default_factory=list[Cell])
    """Of an increment or append."""
    is_bypassed: bool = False
    """A hook has done it."""
    made: Sequence[bytes] = ()
    """The cells that its client is told."""
    error: HBaseError | None = None

    @property
    def kind(self) -> MutationKind:
        """What its client asks for."""
        return self.seen.kind

    @property
    def is_to_do(self) -> bool:
        """Whether it is to be written, or was."""
        return self.error is None and not self.is_bypassed

    def read_back(self) -> None:
        """Take over what hooks have made of it. Raises DoNotRetryIOException."""
        self.asked = replace(self.asked, mutation=written(self.seen, self.asked.mutation))


def operation_of(asked: MutationAsked, families: Iterable[bytes]) -> Operation:
    """A mutation before its hooks; one of a whole row names all families."""
    mutation = asked.mutation
    changes = mutation.changes
    if mutation.kind is MutationKind.DELETE and not changes:
        of_row = mutation.timestamp_ms
        changes = [Change(family, b"", of_row, KeyType.DELETE_FAMILY) for family in families]
    cells = [Cell(mutation.row, *each) for each in changes]
    attributes = {lenient_text(each.name): each.value for each in asked.attributes}
    return Operation(asked, Mutation(mutation.kind, mutation.row, cells, attributes))


def written(seen: Mutation, of: Written | None = None) -> Written:
    """A mutation that is to be written; `of`: what it was before. Raises DoNotRetryIOException."""
    if of is None:
        if seen.kind not in (MutationKind.PUT, MutationKind.DELETE):
            raise DoNotRetryIOException(f"an observer adds puts and deletes, not {seen.kind!r}")
        of = Written(seen.kind, seen.row, ())
    kind, row = of.kind, of.row
    changes: list[Change] = []
    for cell in seen.cells:
        check_cell(cell)
        if cell.row != row:
            raise DoNotRetryIOException("an observer has made a cell of another row than its mutation's")
        if (cell.key_type in _DELETES) != (kind is MutationKind.DELETE) or cell.key_type not in (
            KeyType.PUT,
            *_DELETES,
        ):
            raise DoNotRetryIOException(f"an observer has made a cell of type {cell.key_type} in a {kind.name.lower()}")
        changes.append(Change(*cell[1:]))
    return replace(of, changes=changes) if changes else nothing_of(of)


def nothing_of(mutation: Written) -> Written:
    """Of its row, and writes nothing: a delete without a cell would be one of the whole row."""
    return Written(MutationKind.PUT, mutation.row, ())


def check_cell(cell: Cell) -> bytes:
    """The cell's bytes. Raises DoNotRetryIOException for what is none."""
    try:
        made = encode_cell(Cell(*cell), with_tags=True)
        for _ in decode_tags(cell.tags):
            pass
    except (AssertionError, AttributeError, TypeError, ValueError, OverflowError, struct.error, ProtocolError) as error:
        raise DoNotRetryIOException(f"an observer has made what is no cell: {error}") from None
    return made


def in_order(results: Iterable[Cell]) -> list[bytes]:
    """Cells of one row as clients look for them: by column, the newest first."""
    made = [(each.family, each.qualifier, -each.timestamp_ms, -each.key_type, check_cell(each)) for each in results]
    return [cell for *_, cell in sorted(made)]


def found_of(cells: Sequence[bytes]) -> Found:
    """What a Get has found."""
    return Found(b"".join(cells), len(cells), tagged=True)


def cells_of(block: bytes) -> list[Cell]:
    """For hooks to change."""
    return list(decode_cells(block, with_tags=True))
