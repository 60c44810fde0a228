"""Calls of users' endpoints, each in a thread of its own, for a limited time.

    loop: start ─────────────────────────────────────► told once: the answer, what was raised, or that it took too long
            thread: call ── asks for a row ──┐      ▲
    loop:                     reads, answers ┘ ...  └ end

User code may block, raise or never end; all of that is its client's loss alone. When its time is over the client is
told and EndpointTimeout is raised in the thread: at once in Python code, at the end of a call into C, where it may hang
for ever. Such a thread counts, so that a class has only so many of them, and then it is refused.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from regionserver.client_service.rows import as_hbase
from regionserver.endpoints.api import Columns, EndpointTimeout, RegionView
from regionserver.engine.store import StoreError
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region
from regionserver.region.scan import Page, PageLimits, RegionScan, ScanRange, ScanShape, open_scan
from regionserver.region.visible import VERSIONS_ALL, Wanted
from registry.clock import Clock
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, decode_cells
from registry.wire.errors import DoNotRetryIOException, HBaseError, RegionTooBusyException

logger = logging.getLogger("regionserver.endpoints")

T = TypeVar("T")
Told = Callable[[bytes | HBaseError], None]

RUNNING_MAX = 8
"""Threads of one class; one that hangs has all of them in the end, and others have theirs."""
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


class Threads:
    """Those of one server. Belongs to its loop."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}

    def start(
        self, name: str, work: Callable[[RegionView], bytes], place: Place, timeout_ms: float, told: Told
    ) -> None:
        """Run `work` of that class; `told` hears of its end, or that it took too long, whichever is first."""
        running = self._running.get(name, 0)
        if running >= RUNNING_MAX:
            told(RegionTooBusyException(f"{running} calls of {name} run here and do not end"))
            return
        self._running[name] = running + 1

        def ended() -> None:
            self._running[name] -= 1

        _Running(name, work, place, timeout_ms, told, ended).start()

    def running(self, name: str) -> int:
        """How many calls of that class have not ended."""
        return self._running.get(name, 0)


class _Running:
    """One call."""

    def __init__(
        self,
        name: str,
        work: Callable[[RegionView], bytes],
        place: Place,
        timeout_ms: float,
        told: Told,
        ended: Callable[[], None],
    ) -> None:
        self.name = name
        self.place = place
        self.scans: set[RegionScan] = set()
        """Open ones; they belong to the loop."""
        self.is_over = False
        self._work = work
        self._timeout_ms = timeout_ms
        self._told = told
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + timeout_ms / 1000
        self._timer = self._loop.call_at(self._until, self._late)
        self._thread = threading.Thread(target=self._run, name=f"endpoint {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def ask(self, work: Callable[[Future[T]], None]) -> T:
        """Have the loop do it, which sets the future or raises."""
        asked: Future[T] = Future()

        def do() -> None:
            try:
                if self.is_over:
                    raise EndpointTimeout
                self.place.check()
                work(asked)
            except (HBaseError, StoreError) as error:
                asked.set_exception(as_hbase(error))
            except (Exception, EndpointTimeout) as error:  # noqa: BLE001  it is for the thread that waits
                asked.set_exception(error)

        if self.is_over:
            raise EndpointTimeout
        self._loop.call_soon_threadsafe(do)
        try:
            return asked.result(max(0.0, self._until - self._loop.time()) + 1)
        except TimeoutError:
            raise EndpointTimeout from None

    def ask_now(self, work: Callable[[], T]) -> T:
        """The same of what is done when it returns."""

        def do(asked: Future[T]) -> None:
            asked.set_result(work())

        return self.ask(do)

    def _run(self) -> None:
        outcome: bytes | HBaseError
        try:
            outcome = self._work(_View(self))
            if not isinstance(outcome, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  it is a user's
                raise TypeError(f"{self.name} answers bytes, not {type(outcome).__name__}")
        except HBaseError as error:
            outcome = error
        except EndpointTimeout:
            outcome = self._too_long()
        except Exception as error:
            logger.exception("endpoint %s", self.name)
            outcome = DoNotRetryIOException(f"endpoint {self.name} threw {type(error).__name__}: {error}")
        try:
            self._loop.call_soon_threadsafe(self._over, outcome)
        except RuntimeError:
            logger.debug("endpoint %s ended after its server", self.name)

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _late(self) -> None:
        self._tell(self._too_long())
        if self._thread.ident is not None and self._thread.is_alive():
            logger.warning("endpoint %s did not end within %d ms", self.name, self._timeout_ms)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(EndpointTimeout)
            )

    def _over(self, outcome: bytes | HBaseError) -> None:
        self._timer.cancel()
        self._ended()
        self._tell(outcome)

    def _tell(self, outcome: bytes | HBaseError) -> None:
        if self.is_over:
            return
        self.is_over = True
        for scan in self.scans:
            scan.close()
        self.scans.clear()
        self._told(outcome)

    def _too_long(self) -> HBaseError:
        return DoNotRetryIOException(f"endpoint {self.name} did not end within {self._timeout_ms:.0f} ms")


class _View:
    """Implements RegionView for one call."""

    def __init__(self, running: _Running) -> None:
        self._running = running
        self._region = running.place.region

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
        clock = self._running.place.clock
        block = self._running.ask_now(lambda: self._region.get(row, wanted, int(clock.wall_ms())).block)
        return list(decode_cells(block, with_tags=True))

    def scan(
        self, start_row: bytes = b"", stop_row: bytes = b"", columns: Columns | None = None, *, versions_max: int = 1
    ) -> Iterator[tuple[bytes, list[Cell]]]:
        shape = ScanShape(self._wanted(columns, versions_max))
        scan = self._running.ask_now(lambda: self._open(ScanRange(start_row, stop_row), shape))
        try:
            while True:
                page = self._running.ask_now(lambda: self._page(scan))
                cells = decode_cells(b"".join(page.blocks), with_tags=True)
                for count in page.counts:
                    row = [next(cells) for _ in range(count)]
                    yield row[0].row, row
                if not page.more_in_region:
                    break
        finally:
            if not self._running.is_over:
                self._running.ask_now(lambda: self._close(scan))

    def put(
        self, row: bytes, values: Mapping[tuple[bytes, bytes], bytes], *, timestamp_ms: int = LATEST_TIMESTAMP
    ) -> None:
        changes = [
            Change(family, qualifier, timestamp_ms, KeyType.PUT, value) for (family, qualifier), value in values.items()
        ]
        self._change(Mutation(MutationKind.PUT, row, changes))

    def delete(self, row: bytes, columns: Columns | None = None) -> None:
        changes: list[Change] = []
        for family, qualifiers in (columns or {}).items():
            if qualifiers is None:
                changes.append(Change(family, b"", LATEST_TIMESTAMP, KeyType.DELETE_FAMILY))
            else:
                changes += [Change(family, name, LATEST_TIMESTAMP, KeyType.DELETE_COLUMN) for name in qualifiers]
        self._change(Mutation(MutationKind.DELETE, row, changes))

    def _change(self, mutation: Mutation) -> None:
        region, place = self._region, self._running.place

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

        self._running.ask(change)

    def _wanted(self, columns: Columns | None, versions_max: int) -> dict[bytes, Wanted]:
        chosen: Mapping[bytes, Sequence[bytes] | None] = columns or dict.fromkeys(self._region.families)
        versions_max = min(max(versions_max, 1), VERSIONS_ALL)
        return {
            family: Wanted(None if names is None else tuple(sorted(set(names))), versions_max)
            for family, names in chosen.items()
        }

    # --- on the loop ------------------------------------------------------------------------------------------------

    def _open(self, rows: ScanRange, shape: ScanShape) -> RegionScan:
        scan = open_scan(self._region, rows, shape, int(self._running.place.clock.wall_ms()))
        self._running.scans.add(scan)
        return scan

    def _page(self, scan: RegionScan) -> Page:
        clock = self._running.place.clock
        until_ms = clock.monotonic_ms() + PAGE_MS
        return scan.page(
            PageLimits(PAGE_RESULTS_MAX, bytes_max=PAGE_BYTES, is_turn_over=lambda: clock.monotonic_ms() >= until_ms)
        )

    def _close(self, scan: RegionScan) -> None:
        self._running.scans.discard(scan)
        scan.close()
