"""What watchers are told: the newest picture and its last change, each encoded once; pure.

Only these two are kept, so a reader that is slow costs nothing: who has seen the state before the last change gets the
change, who has missed more gets all of the newest state.
"""

from __future__ import annotations

from protos.hbeacon import RegistryV1_pb2 as pb
from registry.grpcface.picture import FACTS, Picture, encode_kind

_SNAPSHOT = encode_kind(pb.WatchRegistryResponse.SNAPSHOT)
_CHANGE = encode_kind(pb.WatchRegistryResponse.CHANGE)
_HEARTBEAT = encode_kind(pb.WatchRegistryResponse.HEARTBEAT)

NOTHING_SEEN = 0
"""Number of who has not been told anything."""


class Board:
    """States are numbered from 1; a state changes when a fact does, not when only its version moves on."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        """The newest one."""
        self.number = NOTHING_SEEN + 1
        """Of the newest state."""
        self.encodings = 0
        """How often an event was encoded, so far."""
        self._change = b""
        self._snapshot = b""
        self._heartbeat = b""

    def put(self, picture: Picture) -> bool:
        """Take a new picture; whether watchers have to be told now."""
        before, self.picture = self.picture, picture
        self._snapshot = self._heartbeat = b""
        changed = [name for name in FACTS if picture.fields[name] != before.fields[name]]
        lost_history = picture.version.generation != before.version.generation
        if not changed and picture.complete == before.complete and not lost_history:
            return False
        self.number += 1
        self._change = self._encoded(picture.encode(changed) + _CHANGE)
        return True

    def event_after(self, seen: int) -> bytes:
        """What brings somebody who has seen state `seen` to the newest one, but for its age."""
        if seen == self.number - 1 and self._change:
            return self._change
        if not self._snapshot:
            self._snapshot = self._encoded(self.picture.encode() + _SNAPSHOT)
        return self._snapshot

    def heartbeat(self) -> bytes:
        """That nothing has changed up to the version of the newest picture, but for its age."""
        if not self._heartbeat:
            self._heartbeat = self._encoded(self.picture.head + _HEARTBEAT)
        return self._heartbeat

    def _encoded(self, event: bytes) -> bytes:
        self.encodings += 1
        return event
