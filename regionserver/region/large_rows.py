"""What is seen of a row and family that is kept in chunks: those that need no look are given as they lie.

A chunk says by its marks what it has of its own. Two that follow each other may share a column, whose older versions
the second has then: where the bytes of the second's first column are not in the first, they do not. Delete markers may
hide what any later chunk has, so behind the first of them every cell is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regionserver.region.record import (
    HEAD_BYTES,
    Entry,
    Head,
    Mark,
    first_column,
    head_of,
    newest_of,
)
from regionserver.region.visible import FamilyRules, Wanted, all_are_visible, newest_are_visible, visible
from regionserver.region.written_order import entries_of

PIECE_BYTES = 8 * 1024
"""Of what was looked into cell by cell, told at once; a larger cell is told alone."""

Piece = tuple[bytes, int, bool]
"""A cell block, how many cells it has, and whether some of them may have tags."""


def visible_pieces(records: Iterator[bytes], rules: FamilyRules, wanted: Wanted, now_ms: int) -> Iterator[Piece]:
    """The cells that are seen of a family's records, in their order; no piece is empty."""
    run = _Run(records, in_order=rules.new_versions)
    if wanted.is_cut:  # cells are counted over all of it, and what is behind the last is not read
        run.is_endless = True
        yield from _in_pieces(visible(run.entries(), rules, wanted, now_ms), run)
        return
    while run.record is not None:
        if not run.goes_on:
            record, head = run.record, run.head
            if not head.cells_count:
                run.advance()
                continue
            if all_are_visible(head, rules, wanted, now_ms):
                yield record[HEAD_BYTES:], head.cells_count, False
                run.advance()
                continue
            if newest_are_visible(head, rules, wanted, now_ms):
                yield *newest_of(record), False
                run.advance()
                continue
        yield from _in_pieces(visible(run.entries(), rules, wanted, now_ms), run)


def _in_pieces(entries: Iterable[Entry], run: _Run) -> Iterator[Piece]:
    cells: list[bytes] = []
    size_bytes = 0
    for entry in entries:
        cells.append(entry[3])
        size_bytes += len(entry[3])
        if size_bytes >= PIECE_BYTES:
            yield b"".join(cells), len(cells), run.is_tagged
            cells, size_bytes = [], 0
    if cells:
        yield b"".join(cells), len(cells), run.is_tagged


class _Run:
    """Records of which the next is known."""

    def __init__(self, records: Iterator[bytes], *, in_order: bool) -> None:
        self._records = records
        self._in_order = in_order
        self._following = next(records, None)
        self.record: bytes | None = None
        self.head = Head(0, 0, 0, 0)
        """Of the record, as if there were no more chunks."""
        self.goes_on = False
        """Whether the next record may begin with the last column of this one."""
        self.is_endless = False
        """Whether what a cell is judged by may lie in any chunk before it."""
        self.is_tagged = False
        """Whether a record that `entries` has read has tags."""
        self.advance()

    def advance(self) -> None:
        """The next record."""
        record = self.record = self._following
        if record is None:
            return
        marks, *rest = head_of(record)
        self.head = Head(marks & ~Mark.MORE, *rest)
        following = self._following = next(self._records, None)
        if following is None:
            self.goes_on = False
        elif self.head.cells_count == 1:  # it may have megabytes
            self.goes_on = first_column(following) == first_column(record)
        else:
            self.goes_on = first_column(following) in record

    def entries(self) -> Iterator[Entry]:
        """All cells that have to be judged together; then the record is the one behind them."""
        more = True
        while more and self.record is not None:
            self.is_tagged = self.is_tagged or bool(self.head.marks & Mark.TAGS)
            self.is_endless = self.is_endless or bool(self.head.marks & Mark.MARKERS)
            yield from entries_of(self.record, in_order=self._in_order)
            more = self.is_endless or self.goes_on
            self.advance()
