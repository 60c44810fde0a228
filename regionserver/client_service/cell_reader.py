"""The cell block of a request, read from its beginning: cell by cell, or a whole put of a shape that is known."""

from __future__ import annotations

from collections.abc import Iterator

from regionserver.region.shapes import Shaped, Shapes
from registry.wire.cellblock import Cell, decode_cell

_SHAPES = Shapes()
"""Clients send puts of few shapes, whichever connection they come on."""


class CellReader(Iterator[Cell]):
    """Gives the cells one by one. Raises ProtocolError that names the byte at which a bad cell begins."""

    def __init__(self, block: bytes | memoryview, *, with_tags: bool = False) -> None:
        """`with_tags`: KeyValueCodecWithTags."""
        self._block = block
        self._view = memoryview(block)
        self.at = 0
        """Where the next cell begins."""
        self._with_tags = with_tags

    def __next__(self) -> Cell:
        if self.at >= len(self._view):
            raise StopIteration
        cell, self.at = decode_cell(self._view, self.at, with_tags=self._with_tags)
        return cell

    def find_put(self, count: int) -> Shaped | None:
        """The next `count` cells as one put; None where they have to be read one by one."""
        return _SHAPES.find(self._block, self.at, count)

    def pass_over(self, put: Shaped) -> None:
        """Its cells are taken."""
        self.at += put.shape.size_bytes
