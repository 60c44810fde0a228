"""Regions that users' observers watch: calls of clients go another way than those for plain regions.

Who looks up a region for a client's call gets a plain one, or `Watched` is raised: no way to rows can forget that there
are observers, and none of those that go to plain regions looks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from protos.hbase import Client_pb2
from regionserver.client_service.multi_answer import Part
from regionserver.client_service.results import CellForm
from regionserver.client_service.writes import MutationAsked
from regionserver.region.conditions import Condition
from regionserver.region.region import Region
from registry.rpc.services import Call
from registry.wire.cellblock import Cell
from registry.wire.errors import HBaseError


class Client(NamedTuple):
    """Whose call it is, as observers see it."""

    user: str = ""
    """As its connection has said."""
    address: str = ""


class RowChanged(NamedTuple):
    """What became of mutations of a row."""

    held: bool
    """Whether its condition held; true where there was none."""
    made: Sequence[Sequence[bytes]]
    """For each mutation the cells that it left, of increments and appends."""
    is_written: bool = True
    """False where observers have answered in its place: who comes again with a nonce is for them again."""
    error: HBaseError | None = None
    """What its client is told in place of that, though it is done."""


ChangeRow = Callable[
    [Region, Sequence[MutationAsked], Condition | None, int, bytes, Callable[[RowChanged | HBaseError], None]], None
]
"""How one row is changed, as `rows.change_row` does it."""
OwnCells = Sequence[tuple[Client_pb2.Action, Sequence[Cell]]]


class WatchedCalls(Protocol):
    """How calls are done there."""

    def change_row(self, client: Client) -> ChangeRow:
        """Mutations of a row for that client."""
        ...

    def get(self, call: Call, request: Client_pb2.GetRequest, form: CellForm) -> None:
        """Answer a Get that is kept."""
        ...

    def scan(self, call: Call, request: Client_pb2.ScanRequest, form: CellForm, is_late: Callable[[], bool]) -> None:
        """Open a scan that is kept, and answer it. `is_late`: whether the client should hear something by now."""
        ...

    def multi(self, part: Part, own: OwnCells, nonce_group: int, form: CellForm, client: Client) -> None:
        """Actions of a Multi one by one, with their cells of the block; the part is one that is awaited."""
        ...


class Watched(Exception):
    """The region that is looked for has observers."""

    def __init__(self, region: Region, calls: WatchedCalls) -> None:
        super().__init__(f"{region.where.name} has observers")
        self.region = region
        """As clients see it."""
        self.calls = calls
