"""A region as users' code sees it from its thread: each method is a turn of the loop, or several.

What is written passes by all hooks; it is in a batch of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from regionserver.client_service.rows import as_hbase
from regionserver.endpoints.api import Columns
from regionserver.engine.store import StoreError
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region
from regionserver.region.scan import Page, PageLimits, RegionScan, ScanRange, ScanShape, open_scan
from regionserver.region.visible import VERSIONS_ALL, Wanted
from registry.clock import Clock
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, decode_cells
from registry.wire.errors import HBaseError

A = TypeVar("A")

PAGE_RESULTS_MAX, PAGE_BYTES = 500, 256 * 1024
"""What a scan of an endpoint holds at one time."""
PAGE_MS = 2.0
"""What it takes of a turn of the loop."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a call works on, looked at on the loop."""

    region: Region
    check: Callable[[], None]
    """Raises where the region is not this server's any more."""
    clock: Clock


class Asking(Protocol):
    """The call that a view belongs to."""

    place: Place
    scans: set[RegionScan]
    """Open ones; they belong to the loop."""
    is_over: bool

    def ask(self, work: Callable[[Future[A]], None]) -> A:
        """Have the loop do it, which sets the future or raises."""
        ...

    def ask_now(self, work: Callable[[], A]) -> A:
        """The same of what is done when it returns."""
        ...


class View:
    """Implements RegionView for one call."""

    # ruff: noqa: D102  as in RegionView

    def __init__(self, call: Asking) -> None:
        self._call = call
        self._region = call.place.region

    @property
    def name(self) -> str:
        return self._region.where.name

    @property
    def table(self) -> str:
        return self._region.where.table

    @property
    def start_key(self) -> bytes:
        return self._region.where.start_key

    @property
    def end_key(self) -> bytes:
        return self._region.where.end_key

    def get(self, row: bytes, columns: Columns | None = None, *, versions_max: int = 1) -> list[Cell]:
        wanted = self._wanted(columns, versions_max)
        clock = self._call.place.clock
        block = self._call.ask_now(lambda: self._region.get(row, wanted, int(clock.wall_ms())).block)
        return list(decode_cells(block, with_tags=True))

    def scan(
        self, start_row: bytes = b"", stop_row: bytes = b"", columns: Columns | None = None, *, versions_max: int = 1
    ) -> Iterator[tuple[bytes, list[Cell]]]:
        shape = ScanShape(self._wanted(columns, versions_max))
        scan = self._call.ask_now(lambda: self._open(ScanRange(start_row, stop_row), shape))
        try:
            while True:
                page = self._call.ask_now(lambda: self._page(scan))
                cells = decode_cells(b"".join(page.blocks), with_tags=True)
                for count in page.counts:
                    row = [next(cells) for _ in range(count)]
                    yield row[0].row, row
                if not page.more_in_region:
                    break
        finally:
            if not self._call.is_over:
                self._call.ask_now(lambda: self._close(scan))

    def put(
        self, row: bytes, values: Mapping[tuple[bytes, bytes], bytes], *, timestamp_ms: int = LATEST_TIMESTAMP
    ) -> None:
        changes = [
            Change(family, qualifier, timestamp_ms, KeyType.PUT, value) for (family, qualifier), value in values.items()
        ]
        self._change(Mutation(MutationKind.PUT, row, changes))

    def delete(self, row: bytes, columns: Columns | None = None) -> None:
        changes: list[Change] = []
        if columns is not None and not any(names is None or names for names in columns.values()):
            return  # a delete that names nothing is one of the whole row
        for family, qualifiers in (columns or {}).items():
            if qualifiers is None:
                changes.append(Change(family, b"", LATEST_TIMESTAMP, KeyType.DELETE_FAMILY))
            else:
                changes += [Change(family, name, LATEST_TIMESTAMP, KeyType.DELETE_COLUMN) for name in qualifiers]
        self._change(Mutation(MutationKind.DELETE, row, changes))

    def _change(self, mutation: Mutation) -> None:
        region, place = self._region, self._call.place

        def change(told: Future[None]) -> None:
            def committed(error: StoreError | None) -> None:
                try:
                    if error is not None:
                        raise error
                    place.check()
                except (HBaseError, StoreError) as refused:
                    told.set_exception(as_hbase(refused))
                else:
                    told.set_result(None)

            region.mutate([mutation], region.rules.durability_of(None), committed, int(place.clock.wall_ms()))

        self._call.ask(change)

    def _wanted(self, columns: Columns | None, versions_max: int) -> dict[bytes, Wanted]:
        chosen: Mapping[bytes, Sequence[bytes] | None] = columns or dict.fromkeys(self._region.families)
        versions_max = min(max(versions_max, 1), VERSIONS_ALL)
        return {
            family: Wanted(None if names is None else tuple(sorted(set(names))), versions_max)
            for family, names in chosen.items()
        }

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _open(self, rows: ScanRange, shape: ScanShape) -> RegionScan:
        scan = open_scan(self._region, rows, shape, int(self._call.place.clock.wall_ms()))
        self._call.scans.add(scan)
        return scan

    def _page(self, scan: RegionScan) -> Page:
        clock = self._call.place.clock
        until_ms = clock.monotonic_ms() + PAGE_MS
        return scan.page(
            PageLimits(PAGE_RESULTS_MAX, bytes_max=PAGE_BYTES, is_turn_over=lambda: clock.monotonic_ms() >= until_ms)
        )

    def _close(self, scan: RegionScan) -> None:
        self._call.scans.discard(scan)
        scan.close()
