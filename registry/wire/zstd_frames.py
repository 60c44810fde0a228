"""How much a zstd stream can hold at most, read from its frames and blocks without decompressing anything.

    frame:  [28 b5 2f fd][descriptor][window 0-1][dictionary 0-4][content size 0-8] block... [checksum 0 or 4]
    block:  [24 bits little-endian: last 1, type 2, size 21][content]

A frame may leave out the size of its content, as streams of Java do; a block never holds more than 128 KiB.

Source: RFC 8878, section 3.1.
"""

from __future__ import annotations

from registry.wire.errors import ProtocolError

FRAME_MAGIC = 0xFD2F_B528
SKIPPABLE_MAGIC = 0x184D_2A50
"""The last four bits may be any."""
BLOCK_BYTES_MAX = 128 * 1024
FRAMES_MAX = 64
"""Java writes one."""
BLOCKS_MAX = 65_536
"""Of a frame; those of compressors are full."""

_MAGIC_BYTES = 4
_CHECKSUM_BYTES = 4
_BLOCK_HEADER_BYTES = 3
_DICTIONARY_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_RLE, _COMPRESSED, _RESERVED = 1, 2, 3


def plain_bytes_bound(packed: bytes, *, frames_max: int = FRAMES_MAX, blocks_max: int = BLOCKS_MAX) -> int:
    """No fewer bytes than come out of the stream. Raises ProtocolError.

    The exact number where frames tell it; else up to 128 KiB more for each block that is not full.
    """
    total = at = 0
    for _ in range(frames_max):
        if at >= len(packed):
            break
        magic = _number(packed, at, _MAGIC_BYTES)
        if magic & ~0xF == SKIPPABLE_MAGIC:
            at += 2 * _MAGIC_BYTES + _number(packed, at + _MAGIC_BYTES, _MAGIC_BYTES)
            continue
        if magic != FRAME_MAGIC:
            raise _bad(f"no zstd frame at byte {at}")
        announced, has_checksum, at = _frame_header(packed, at + _MAGIC_BYTES)
        held, at = _blocks(packed, at, blocks_max)
        total += held if announced is None else min(held, announced)
        at += _CHECKSUM_BYTES if has_checksum else 0
    if at != len(packed):
        raise _bad("the last zstd frame is cut off" if at > len(packed) else f"more than {frames_max} zstd frames")
    return total


def _frame_header(packed: bytes, at: int) -> tuple[int | None, bool, int]:
    """The size of the content where it is told, whether a checksum follows the blocks, and where these begin."""
    descriptor = _number(packed, at, 1)
    is_single = bool(descriptor & 0x20)
    at += 1 if is_single else 2  # the window, where it is not the content itself
    at += _DICTIONARY_BYTES[descriptor & 3]
    size_bytes = _CONTENT_SIZE_BYTES[descriptor >> 6] or int(is_single)
    announced = None
    if size_bytes:
        announced = _number(packed, at, size_bytes) + (256 if size_bytes == 2 else 0)
    return announced, bool(descriptor & 4), at + size_bytes


def _blocks(packed: bytes, at: int, blocks_max: int) -> tuple[int, int]:
    """How much the blocks from `at` on hold at most, and where they end."""
    held = 0
    for _ in range(blocks_max):
        header = _number(packed, at, _BLOCK_HEADER_BYTES)
        kind, size = header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > BLOCK_BYTES_MAX:
            raise _bad(f"no zstd block at byte {at}")
        at += _BLOCK_HEADER_BYTES + (1 if kind == _RLE else size)
        held += BLOCK_BYTES_MAX if kind == _COMPRESSED else size
        if header & 1:
            return held, at
    raise _bad(f"more than {blocks_max} zstd blocks in a frame")


def _number(packed: bytes, at: int, count_bytes: int) -> int:
    if at + count_bytes > len(packed):
        raise _bad("the last zstd frame is cut off")
    return int.from_bytes(packed[at : at + count_bytes], "little")


def _bad(what: str) -> ProtocolError:
    return ProtocolError(f"compressed cell block: {what}", kind="compression")
