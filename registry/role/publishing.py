"""From snapshots to the bytes of answers: encoded once per change, handed to the RPC door whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from registry.clock import Clock
from registry.lookup.answers import SERVICE, Answers, encode_answers
from registry.lookup.handout import HandOut, HandOutSettings, hand_out
from registry.lookup.snapshot import Snapshot
from registry.names import ServerName
from registry.wire.stamp import Stamp, encode_stamp

TURN_MS = 5000
"""Where there are more servers than are handed out, clients get another choice of them after this long."""


class Door(Protocol):
    """What the RPC server takes."""

    def set_ready(self, service: str, bodies: Mapping[str, bytes]) -> None:
        """Answer these methods from these bytes, before any queue."""
        ...

    def set_cluster_id(self, cluster_id: str | None) -> None:
        """Answer the preamble with this."""
        ...


class Source(Protocol):
    """Where snapshots come from."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest one."""
        ...

    def age_ms(self) -> float:
        """Since it was last known to be all there is; infinite before the first complete one."""
        ...


class Publisher:
    """Holds what is answered now. Belongs to the loop; nothing in it waits."""

    def __init__(
        self, door: Door, source: Source, clock: Clock, settings: HandOutSettings, first_turn: int = 0
    ) -> None:
        """`first_turn` differs between servers, so that their clients do not all get the same choice."""
        self._door = door
        self._source = source
        self._clock = clock
        self._settings = settings
        self._first_turn = first_turn
        self._speaking: frozenset[ServerName] = frozenset()
        self._refusing = False
        self.answers = Answers()
        """As published last."""
        self.hand_out = HandOut()
        """The lists in `answers`."""
        self.published: Callable[[], None] | None = None
        """Called when `answers` and `hand_out` have been made anew; for who encodes them otherwise."""

    @property
    def refusing(self) -> bool:
        """Whether look-ups are refused now."""
        return self._refusing

    def publish(self) -> None:
        """Encode the newest snapshot and answer with it from now on."""
        snapshot = self._source.snapshot
        self.hand_out = hand_out(self._settings, snapshot, self._speaking, self._turn())
        self.answers = encode_answers(snapshot, self.hand_out)
        if not self._refusing:
            self._offer()
        if self.published is not None:
            self.published()

    def set_speaking(self, speaking: frozenset[ServerName]) -> None:
        """Real servers that were seen to answer look-ups have changed."""
        if speaking != self._speaking:
            self._speaking = speaking
            self.publish()

    def set_settings(self, settings: HandOutSettings) -> None:
        """Follow a changed configuration."""
        if settings != self._settings:
            self._settings = settings
            self.publish()

    def set_refusing(self, refusing: bool) -> None:
        """Stop answering from the snapshot, or begin again; the service's handlers answer meanwhile."""
        if refusing == self._refusing:
            return
        self._refusing = refusing
        if refusing:
            self._door.set_ready(SERVICE, {})
            self._door.set_cluster_id(None)
        else:
            self._offer()

    def tick(self) -> None:
        """Give clients another choice of servers when it is time; call now and then."""
        if hand_out(self._settings, self._source.snapshot, self._speaking, self._turn()) != self.hand_out:
            self.publish()

    def stamp(self, method: str) -> bytes:
        """Version and age of an answer, as bytes for the end of its ResponseHeader."""
        snapshot = self._source.snapshot
        version = snapshot.version
        changed_zxid = self.answers.changed_zxids.get(method, 0)
        age_ms = self._source.age_ms()
        return encode_stamp(Stamp(version.generation, version.zxid, age_ms, changed_zxid, snapshot.complete))

    def _offer(self) -> None:
        self._door.set_ready(SERVICE, self.answers.bodies)
        self._door.set_cluster_id(self.answers.cluster_id)

    def _turn(self) -> int:
        return self._first_turn + int(self._clock.monotonic_ms() // TURN_MS)
