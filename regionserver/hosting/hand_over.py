"""A region on its way from one store to another: all its rows in one file, whole or not there.

    [uint32 size][uint32 CRC-32][payload]     frames, integers big-endian; the CRC is of the payload
    H{json}                                   first: format, id, region, life, version that wrote it
    D[uint32 size][key][uint32 size][value]   rows in the order of keys, as often as it takes; keys without their life
    E{json}                                   last: how many frames of rows there were, and their bytes

A file without its last frame is none. The id is new each time, so that a hand-over that was written again under the
same name is not taken for the one that was read before. The file is written beside its name, synced and renamed.

Rows are read from the store, and put into it, on the loop in slices of a millisecond or so; files are for threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from regionserver.engine.store import Batch, Durability, Store
from regionserver.hosting.committing import commit
from regionserver.hosting.ranges import LIFE_BYTES, Range
from regionserver.hosting.reserved import forget, note_in, note_out, was_taken
from registry.durable import sync_directory
from registry.version import VERSION

FORMAT = 1
SLICE_BYTES = 256 << 10
"""Read or written by the loop before others have their turn; more where one value is larger."""
FRAME_BYTES_MAX = 1 << 30
"""What a length may say: the largest cell that a table may allow, with room."""
KEPT_S = 24 * 3600.0
"""A hand-over that nobody has dropped by then is a copy that nobody wants."""

_HEAD = struct.Struct(">II")
_SIZE = struct.Struct(">I")
_ROWS, _FIRST, _LAST = b"D", b"H", b"E"
Item = tuple[bytes, bytes]


class HandOverError(Exception):
    """A hand-over that cannot be written or used; `str()` names it and says why."""


# --- writing ----------------------------------------------------------------------------------------------------------


async def write_hand_over(path: Path, rows: Range, store: Store) -> int:
    """Write all rows of a closed region to a file; how many bytes of keys and values they were.

    The store notes that they have left. Raises HandOverError, StoreError; then there is no such file.
    """
    snapshot = store.snapshot()
    try:
        file = await asyncio.to_thread(_create, path)
        try:
            total = await _write_frames(file, rows, snapshot.scan(rows.lower, rows.upper))
            batch = Batch()
            note_out(batch, rows.region, path.name)
            await commit(store, batch, Durability.PROCESS)
            await asyncio.to_thread(_finish, file, path)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise HandOverError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        snapshot.close()
    return total


async def _write_frames(file: BinaryIO, rows: Range, items: Iterator[Item]) -> int:
    said = {"format": FORMAT, "id": str(uuid.uuid4()), "region": rows.region, "written_by": VERSION}
    frame = _FIRST + json.dumps({**said, "life": rows.life.hex()}).encode()
    frames_count = frames_bytes = total = 0
    while True:
        await asyncio.to_thread(file.write, _HEAD.pack(len(frame), zlib.crc32(frame)) + frame)
        if frame.startswith(_LAST):
            return total
        pieces: list[bytes] = [_ROWS]
        slice_bytes = 0
        for key, value in items:
            short = key[LIFE_BYTES:]
            pieces += (_SIZE.pack(len(short)), short, _SIZE.pack(len(value)), value)
            slice_bytes += len(short) + len(value)
            if slice_bytes >= SLICE_BYTES:
                break
        total += slice_bytes
        if len(pieces) > 1:
            frame = b"".join(pieces)
            frames_count += 1
            frames_bytes += len(frame)
        else:
            frame = _LAST + json.dumps({"frames": frames_count, "bytes": frames_bytes}).encode()


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # one of the same name is of an earlier try: better none than that
    sync_directory(path.parent)
    return _fresh(path).open("wb")


def _finish(file: BinaryIO, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    _fresh(path).replace(path)
    sync_directory(path.parent)


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".new")


# --- reading ----------------------------------------------------------------------------------------------------------


async def take_hand_over(path: Path, rows: Range, store: Store) -> int:
    """Put the rows of a file in the place of what the store has of a region; how many bytes of keys and values.

    Nothing is changed where the file is missing or damaged anywhere. What was taken once is not taken again, so that
    rows written since are safe: 0 then. Raises HandOverError, StoreError; a part may be there then, and the next try
    begins by removing it.
    """
    try:
        taken_id = await asyncio.to_thread(_verify, path, rows)
        if was_taken(store, rows.region, taken_id):
            return 0
        cleared = Batch()
        cleared.clear(rows.lower, rows.upper)
        forget(cleared, rows.region)
        await commit(store, cleared, Durability.PROCESS)
        file = await asyncio.to_thread(path.open, "rb")
        with file:
            total = await _take_frames(file, rows, store)
        await asyncio.to_thread(store.flush)  # synced in a thread: the loop would wait for the log
        noted = Batch()
        note_in(noted, rows.region, taken_id)
        await commit(store, noted, Durability.POWER)
    except OSError as error:
        raise HandOverError(f"{path} cannot be read: {error.strerror or error}") from None
    except HandOverError as error:
        raise HandOverError(f"{path} {error}") from None
    return total


async def _take_frames(file: BinaryIO, rows: Range, store: Store) -> int:
    total = 0
    while (frame := await asyncio.to_thread(_read_frame, file)) is not None:
        if frame.startswith(_ROWS):
            batch = Batch()
            total += _load(frame, rows, batch)
            await commit(store, batch, Durability.PROCESS)
            await asyncio.sleep(0)
    return total


def _verify(path: Path, rows: Range) -> str:
    """Read all of it, and give its id. Others run meanwhile: no row is looked at."""
    with path.open("rb") as file:
        first = _told(_read_frame(file), _FIRST)
        if first.get("format") != FORMAT:
            raise HandOverError(f"is of format {first.get('format')}, written by hbeacon {first.get('written_by')}")
        if (first.get("region"), first.get("life")) != (rows.region, rows.life.hex()):
            raise HandOverError(f"is of region {first.get('region')}, life {first.get('life')}")
        frames_count = frames_bytes = 0
        while (frame := _read_frame(file)) is not None and frame.startswith(_ROWS):
            frames_count += 1
            frames_bytes += len(frame)
        last = _told(frame, _LAST)
        if (last.get("frames"), last.get("bytes")) != (frames_count, frames_bytes) or file.read(1):
            raise HandOverError("is not what its end says")
        return str(first.get("id"))


def _read_frame(file: BinaryIO) -> bytes | None:
    """The next one whole; None at the end of the file. Raises HandOverError."""
    head = file.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise HandOverError("is cut off")
    size, checksum = _HEAD.unpack(head)
    if not 0 < size <= FRAME_BYTES_MAX:
        raise HandOverError(f"is damaged: a frame of {size} bytes")
    if size > os.fstat(file.fileno()).st_size:
        raise HandOverError("is cut off")
    frame = file.read(size)
    if len(frame) < size:
        raise HandOverError("is cut off")
    if zlib.crc32(frame) != checksum:
        raise HandOverError("is damaged: a checksum differs")
    return frame


def _load(frame: bytes, rows: Range, batch: Batch) -> int:
    """Add the rows of a frame to a batch; their bytes. Raises HandOverError."""
    at, stop, total = 1, len(frame), 0
    life, lower, upper = rows.life, rows.lower, rows.upper
    try:
        while at < stop:
            (key_bytes,) = _SIZE.unpack_from(frame, at)
            value_at = at + 4 + key_bytes
            (value_bytes,) = _SIZE.unpack_from(frame, value_at)
            end = value_at + 4 + value_bytes
            key = life + frame[at + 4 : value_at]
            if end > stop or not lower <= key < upper:
                raise HandOverError("is damaged: a value reaches beyond its frame, or a key beyond its region")
            batch.put(key, frame[value_at + 4 : end])
            total += key_bytes + value_bytes
            at = end
    except struct.error:
        raise HandOverError("is damaged: a length is cut off") from None
    return total


def _told(frame: bytes | None, kind: bytes) -> dict[str, object]:
    if frame is None or not frame.startswith(kind):
        raise HandOverError("is cut off" if frame is None else "is no hand-over")
    try:
        told: object = json.loads(frame[1:])
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise HandOverError("is damaged: it does not say what it is")
    return cast("dict[str, object]", told)


# --- the rest ---------------------------------------------------------------------------------------------------------


def remove_hand_over(path: Path) -> None:
    """Delete one; it need not be there. Raises HandOverError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise HandOverError(f"{path} cannot be removed: {error.strerror or error}") from None


def sweep(directory: Path, now_s: float) -> Sequence[str]:
    """Delete what nobody has asked for in a day, such as of a master that ended in between: their names.

    That is safe: a region whose hand-over is gone is opened again where its rows still are.
    """
    swept: list[str] = []
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_mtime < now_s - KEPT_S:
                    path.unlink()
                    swept.append(path.name)
    return sorted(swept)
