"""What a store says of itself, in keys that no table's rows ever have.

    [8 bytes ff]"store"              the id of the store; a database without it is not the one that the directory had
    [8 bytes ff]"region/"[encoded]   how the rows of a region came here, or left: see below
    [8 bytes ff]"clean/"[encoded]    int64 BE, in ms since 1970: when it was compacted
    [8 bytes ff]"nonce/"...          what was done that a client may ask for again: regionserver.client_service.nonces

The first eight bytes of other keys are a table's life, and no life is all ones.

A hand-over is noted by its name where it was written from (`out`) and, behind its last batch, by the id of the file
where it was taken into (`in`). So one that was ordered twice is taken once, and the leftover of a region is dropped
only while it is one: a region that has come back since is not.
"""

from __future__ import annotations

from regionserver.engine.store import Batch, View

_OURS = b"\xff" * 8
IDENTITY_KEY = _OURS + b"store"
_OUT, _IN = b"out ", b"in "


def region_key(encoded_name: str) -> bytes:
    """Where the note about a region lies."""
    return _OURS + b"region/" + encoded_name.encode()


def compacted_key(encoded_name: str) -> bytes:
    """Where it lies when a region was compacted last."""
    return _OURS + b"clean/" + encoded_name.encode()


def compacted_ms(view: View, encoded_name: str) -> int:
    """When a region was compacted last, in ms since 1970; 0: never in this store."""
    return int.from_bytes(view.get(compacted_key(encoded_name)) or b"", "big")


def note_compacted(batch: Batch, encoded_name: str, at_ms: int) -> None:
    """A region is compacted."""
    batch.put(compacted_key(encoded_name), at_ms.to_bytes(8, "big"))


def note_out(batch: Batch, encoded_name: str, hand_over: str) -> None:
    """Its rows were written to a hand-over: what is here may become a leftover."""
    batch.put(region_key(encoded_name), _OUT + hand_over.encode())


def note_in(batch: Batch, encoded_name: str, file_id: str) -> None:
    """Its rows came by a hand-over, all of them."""
    batch.put(region_key(encoded_name), _IN + file_id.encode())


def drop_notes(batch: Batch, encoded_name: str) -> None:
    """Nothing of the region is here any more."""
    forget(batch, encoded_name)
    batch.delete(compacted_key(encoded_name))


def forget(batch: Batch, encoded_name: str) -> None:
    """The region is no more, or was opened here again without having left."""
    batch.delete(region_key(encoded_name))


def was_taken(view: View, encoded_name: str, file_id: str) -> bool:
    """Whether the rows here are those of this hand-over, and what was written since."""
    return view.get(region_key(encoded_name)) == _IN + file_id.encode()


def has_left(view: View, encoded_name: str, hand_over: str = "") -> bool:
    """Whether the region left by this hand-over, or by any, and has not come back."""
    note = view.get(region_key(encoded_name))
    if note is None:
        return False
    return note == _OUT + hand_over.encode() if hand_over else note.startswith(_OUT)
