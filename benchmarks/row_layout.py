"""One value for a row and family, or one key for each cell: what both cost on RocksDB (ADR 0016).

    python -m benchmarks.row_layout [--rows N]

Rows of ten cells of a hundred bytes, and one large row. Times are those of this process alone, medians of five rounds,
both layouts in turns; what is told is microseconds for a row, and the ratio.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from regionserver.engine.rocksdb import RocksMemory, RocksStore
from regionserver.engine.store import Batch, Durability
from regionserver.region.family import write_cells
from regionserver.region.keys import chunk_key, family_key, plain_order
from regionserver.region.record import HEAD_BYTES, Entry, encode_record, read_entries
from registry.wire.cellblock import Cell, KeyType, encode_cell

ROUNDS = 5
CELLS, VALUE_BYTES = 10, 100
LARGE_CELLS = 100_000
LARGE_CHANGES = 200
FAMILY = b"cf"


def entries_of(row: bytes, count: int, timestamp_ms: int) -> list[Entry]:
    """Cells of one row, sorted."""
    made = [
        encode_cell(Cell(row, FAMILY, b"field%06d" % number, timestamp_ms, KeyType.PUT, bytes(VALUE_BYTES)))
        for number in range(count)
    ]
    return read_entries(b"".join(made))


def key_of(row: bytes) -> bytes:
    """The record of a row."""
    return family_key(b"prefix_8" + plain_order(row), FAMILY)


class Records:
    """What regions do."""

    name = "a record for a row"

    def write(self, store: RocksStore, batch: Batch, row: bytes, entries: list[Entry]) -> None:
        """Read, merge, put."""
        write_cells(store, batch, key_of(row), entries)

    def get(self, store: RocksStore, row: bytes) -> bytes:
        """Bytes ready to be sent."""
        record = store.get(key_of(row))
        assert record is not None
        return record[HEAD_BYTES:]

    def scan(self, store: RocksStore, lower: bytes, upper: bytes) -> int:
        """All cells of a range, joined by row."""
        return sum(len(record) - HEAD_BYTES for _, record in store.scan(lower, upper))


class Cells:
    """A key for each cell, as in HBase's own files."""

    name = "a key for a cell"

    def write(self, store: RocksStore, batch: Batch, row: bytes, entries: list[Entry]) -> None:
        """No reading."""
        del store
        record = key_of(row)
        for qualifier, negated_ms, negated_type, cell in entries:
            batch.put(chunk_key(record, qualifier, -negated_ms, -negated_type), cell)

    def get(self, store: RocksStore, row: bytes) -> bytes:
        """All keys of the row, joined."""
        record = key_of(row)
        return b"".join([cell for _, cell in store.scan(record, record[:-1] + b"\1")])

    def scan(self, store: RocksStore, lower: bytes, upper: bytes) -> int:
        """All cells of a range."""
        return sum(len(cell) for _, cell in store.scan(lower, upper))


Layout = Records | Cells


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def commit(store: RocksStore, batch: Batch) -> None:
    """As durable as HBase's default."""
    store.commit(batch, Durability.PROCESS, _committed)


def _committed(error: Exception | None) -> None:
    assert error is None


def one_round(layout: Layout, store: RocksStore, rows: list[bytes], timestamp_ms: int) -> Iterator[tuple[str, float]]:
    """Name of what was done, microseconds for a row (a change, where the row is large)."""
    loaded = [(row, entries_of(row, CELLS, timestamp_ms)) for row in rows]

    def load() -> None:
        for begin in range(0, len(loaded), 50):
            batch = Batch()
            for row, entries in loaded[begin : begin + 50]:
                layout.write(store, batch, row, entries)
            commit(store, batch)

    def change() -> None:
        for row, entries in loaded:
            batch = Batch()
            layout.write(store, batch, row, entries[3:4])
            commit(store, batch)

    yield "write new rows, 50 in a batch", timed(load) / len(rows) * 1e6
    yield "write one cell again, one by one", timed(change) / len(rows) * 1e6
    yield "read a row", timed(lambda: [layout.get(store, row) for row in rows]) / len(rows) * 1e6
    yield "scan", timed(lambda: layout.scan(store, b"prefix_8", b"prefix_9")) / len(rows) * 1e6


def large_row(layout: Layout, store: RocksStore) -> Iterator[tuple[str, float]]:
    """One row of many cells: changes of one cell, and all of it read."""
    row = b"large"
    entries = entries_of(row, LARGE_CELLS, 1)
    batch = Batch()
    layout.write(store, batch, row, entries)
    commit(store, batch)
    picked = random.Random(1).choices(entries, k=LARGE_CHANGES)

    def change() -> None:
        for entry in picked:
            batch = Batch()
            layout.write(store, batch, row, [entry])
            commit(store, batch)

    yield f"write one cell of {LARGE_CELLS}", timed(change) / LARGE_CHANGES * 1e6
    record = key_of(row)
    yield (
        "scan that row, for ten cells",
        timed(lambda: layout.scan(store, record, record[:-1] + b"\1")) / (LARGE_CELLS / CELLS) * 1e6,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a round (10000)")
    rows_count: int = parser.parse_args().rows
    chance = random.Random(1)
    figures: dict[str, dict[str, list[float]]] = {}
    for number in range(ROUNDS):
        rows = [b"user%020d" % chance.randrange(10**20) for _ in range(rows_count)]
        layouts: list[Layout] = [Records(), Cells()]
        for layout in layouts if number % 2 else layouts[::-1]:
            with tempfile.TemporaryDirectory() as directory:
                store = RocksStore(Path(directory) / "db", RocksMemory.of(256 << 20, 256 << 20))
                for name, value in [*one_round(layout, store, rows, number + 1), *large_row(layout, store)]:
                    figures.setdefault(name, {}).setdefault(layout.name, []).append(value)
                assert len(encode_record(entries_of(b"row", CELLS, 1))) > CELLS * VALUE_BYTES
                store.close()
    table = Table(title="microseconds for a row of ten cells, medians")
    for heading in ("", Records.name, Cells.name, "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, sides in figures.items():
        ours, theirs = (statistics.median(sides[side]) for side in (Records.name, Cells.name))
        table.add_row(name, f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
