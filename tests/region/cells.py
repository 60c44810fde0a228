"""Cells of one row and family, for tests."""

from __future__ import annotations

from collections.abc import Iterable

from regionserver.region.record import Entry, read_entries
from registry.wire.cellblock import Cell, KeyType, Tag, TagType, decode_cell, encode_cell, encode_tags

ROW, FAMILY = b"row", b"cf"


def cell(qualifier: bytes, timestamp_ms: int, kind: int = KeyType.PUT, value: bytes = b"", ttl_ms: int = -1) -> Cell:
    tags = encode_tags([Tag(TagType.TTL, ttl_ms.to_bytes(8, "big"))]) if ttl_ms >= 0 else b""
    return Cell(ROW, FAMILY, qualifier, timestamp_ms, kind, value, tags)


def entries(cells: Iterable[Cell]) -> list[Entry]:
    return read_entries(b"".join(encode_cell(each, with_tags=True) for each in cells))


def cells(found: Iterable[Entry]) -> list[Cell]:
    return [decode_cell(memoryview(entry[3]), 0, with_tags=True)[0] for entry in found]
