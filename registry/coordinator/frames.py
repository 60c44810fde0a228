"""ZooKeeper's frames: a signed int32 length, big end first, then so many bytes; the same in both directions.

Pure. Source: NIOServerCnxn.readLength, BinaryInputArchive.checkLength.
"""

from __future__ import annotations

import struct

LENGTH_BYTES = 4

_unpack_length = struct.Struct(">i").unpack_from


class LenError(Exception):
    """A frame announces a length that is negative or more than the limit: what follows cannot be told apart."""

    def __init__(self, length: int) -> None:
        super().__init__(f"Len error {length}")
        self.length = length


def split_frames(data: bytes, at: int, length_max: int, count_max: int, into: list[bytes]) -> int:
    """Append the payloads of whole frames from offset `at` on, at most `count_max` of them; gives where they end.

    Raises LenError where the next frame's length is out of bounds; `into` holds what came before it then.
    """
    last = len(data) - LENGTH_BYTES
    append = into.append
    while at <= last:
        (length,) = _unpack_length(data, at)
        if length < 0 or length > length_max:
            raise LenError(length)
        start = at + LENGTH_BYTES
        end = start + length
        if end > last + LENGTH_BYTES:
            break
        append(data[start:end])
        at = end
        count_max -= 1
        if not count_max:
            break
    return at


def bytes_wanted(data: bytes, length_max: int) -> int:
    """How many bytes there must be for the frame at the beginning of `data` to be worth another look.

    That is its length; where the length is out of bounds, as little as there is already.
    """
    if len(data) < LENGTH_BYTES:
        return LENGTH_BYTES
    (length,) = _unpack_length(data)
    return LENGTH_BYTES + length if 0 <= length <= length_max else LENGTH_BYTES
