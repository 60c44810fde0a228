"""One connection of a ZooKeeper door: bytes of a transport to frames for the machine, and its frames to one write.

Everything happens on the loop. An idle connection is this object and its transport.

Source: NIOServerCnxn.doIO, readPayload, checkFourLetterWord.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from registry.coordinator.door import Door
from registry.coordinator.frames import LENGTH_BYTES, LenError, bytes_wanted, split_frames
from registry.coordinator.handshake import CONNECT_REQUEST_BYTES_MAX

LOG = logging.getLogger("registry.coordinator")

FIRST_FRAME = 1
"""No ConnectRequest has come yet."""
PIECES = 2
"""A frame has come in part."""
PEER_DOES_NOT_READ = 4
PEER_HAD_ITS_TURN = 8
CLOSED = 16
"""Bits of `DoorConnection.state`; 0 is the usual one, in which what arrives is whole requests, and welcome."""

IPV4_MAPPED = "::ffff:"
"""How an IPv4 client looks to a socket that takes both; ACLs and limits know it without."""

BATCH_FRAMES = 16
"""Requests handed to the machine at once; after each batch it is seen how much there is to write."""
BATCH_BYTES = 1 << 20
"""Who has so much to be written after a batch waits for the end of the turn with the rest of its requests."""
TURN_FRAMES = 256
"""What one connection gets of one turn, about two milliseconds; then the others come."""

HEADER_BYTES = 8
"""xid and opcode of a request: what `cons` tells of the last one."""


class DoorConnection(asyncio.Protocol):
    """Implements machine_protocol.Peer."""

    __slots__ = (
        "_door", "_out", "_pieces", "_pieces_bytes", "_transport", "_wanted_bytes", "is_connected", "last_header",
        "packets_received", "packets_sent", "peer_host", "since_ms", "state",
    )  # fmt: skip

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport
        """Set when the connection is made."""
        self._out: list[bytes] = []
        """Frames of this turn."""
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._wanted_bytes = LENGTH_BYTES
        """As many must be in `_pieces` for it to be worth a look."""
        self.peer_host = ""
        self.state = FIRST_FRAME
        self.is_connected = False
        """Whether the machine knows of it."""
        self.since_ms = 0.0
        """When it was accepted."""
        self.packets_received = 0
        self.packets_sent = 0
        self.last_header = b""

    # --- the transport's calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        door = self._door
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        peer = transport.get_extra_info("peername")
        self.peer_host = peer[0].removeprefix(IPV4_MAPPED) if peer else ""
        refusal = door.refusal(self.peer_host)
        if refusal:
            self.state = CLOSED
            if not door.stats.connections_refused:
                LOG.warning("connection refused: %s; later ones are only counted", refusal)
            door.stats.connections_refused += 1
            transport.abort()
            return
        self.since_ms = door.clock.monotonic_ms()
        door.opened(self, self.peer_host)

    def data_received(self, data: bytes) -> None:
        """Hand whole requests to the machine and keep the rest."""
        door = self._door
        door.stats.bytes_received += len(data)
        if not self.state:
            self._requests(data)
        elif not self.state & CLOSED:
            self._collect(data)

    def pause_writing(self) -> None:
        """The peer does not read as fast as it asks: stop reading from it."""
        door = self._door
        self._hold(PEER_DOES_NOT_READ)
        door.slow[self] = door.clock.monotonic_ms()
        self._hold_unsent(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The peer has read: go on with what it sent meanwhile."""
        self._door.slow.pop(self, None)
        self._door.unsent.release(self)
        self._let_go(PEER_DOES_NOT_READ)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc  # a reset is as good an end as any
        door = self._door
        self.state |= CLOSED
        self._out.clear()
        self._pieces.clear()
        door.closed(self, self.peer_host)
        if self.is_connected:
            self.is_connected = False
            if not door.turn_open:
                door.open_turn()
            door.machine.lost(self)

    # --- machine_protocol.Peer -----------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Queue a frame for the end of this turn."""
        if self.state & CLOSED:
            return
        out = self._out
        door = self._door
        if not out:
            door.dirty.append(self)
            if not door.turn_open:
                door.open_turn()
        out.append(frame)
        door.queued_bytes += len(frame)

    def close(self) -> None:
        """Close at the end of this turn, after what was queued."""
        if self.state & CLOSED:
            return
        door = self._door
        if not self._out:
            door.dirty.append(self)
            if not door.turn_open:
                door.open_turn()
        self.state |= CLOSED
        self._drop_pieces()

    # --- the door's calls ----------------------------------------------------------------------------------------

    def flush(self) -> int:
        """Write what was queued, all in one piece; gives how many frames that were."""
        out = self._out
        transport = self._transport
        count = len(out)
        if count:
            self._out = []
            self.packets_sent += count
            paused = self.state & PEER_DOES_NOT_READ
            transport.write(out[0] if count == 1 else b"".join(out))
            if paused:
                self._write_late()
        if self.state & CLOSED:
            transport.close()
            if transport.get_write_buffer_size():
                self._door.slow.setdefault(self, self._door.clock.monotonic_ms())
        return count

    def abort(self) -> None:
        """Close now; what is not sent is lost."""
        self.state |= CLOSED
        self._out.clear()
        self._drop_pieces()
        self._transport.abort()

    def close_slow_reader(self) -> None:
        """It took too long, or too much waits for it."""
        self._door.slow.pop(self, None)
        self._door.stats.slow_readers_closed += 1
        LOG.info("%s does not read its answers: closed", self.peer_host)
        self.abort()

    @property
    def peer_name(self) -> str:
        """Host and port for people, in Java's form: `/127.0.0.1:40000`."""
        peer = self._transport.get_extra_info("peername")
        return f"/{self.peer_host}:{peer[1]}" if peer else "null"

    @property
    def interest_ops(self) -> int:
        """What is waited for: 1 to read, 4 to write. Source: SelectionKey, shown by `cons`."""
        reading = 0 if self.state & (PEER_DOES_NOT_READ | PEER_HAD_ITS_TURN | CLOSED) else 1
        return reading | (4 if self._transport.get_write_buffer_size() else 0)

    # --- input ---------------------------------------------------------------------------------------------------

    def _requests(self, data: bytes) -> None:
        """Requests of an established connection; what is left of them is kept."""
        door = self._door
        if not door.turn_open:
            door.open_turn()
        at = taken = 0
        while True:
            frames: list[bytes] = []
            bad = ""  # the sentence, not the error: that one would hold this frame, and be held by it
            try:
                at = split_frames(data, at, door.limits.frame_bytes_max, BATCH_FRAMES, frames)
            except LenError as error:
                bad = str(error)
            count = len(frames)
            if count:
                self.packets_received += count
                door.stats.packets_received += count
                self.last_header = frames[-1][:HEADER_BYTES]
                try:
                    door.machine.received(self, frames)
                except Exception:
                    LOG.exception("a request from %s failed: its connection is closed", self.peer_name)
                    self.abort()
            if self.state & CLOSED:
                return
            if bad:
                self._bad_bytes(bad)
                return
            if count < BATCH_FRAMES:
                break
            taken += count
            if door.queued_bytes > door.limits.turn_bytes_max:
                door.end_turn()
                door.open_turn()
            if taken >= TURN_FRAMES or self.state or self._has_much_to_write():
                self._end_turn()
                break
        if at < len(data):
            self._keep(data[at:] if at else data)

    def _first(self, data: bytes) -> bytes:
        """The first frame, or a four-letter word in its place; gives what follows it once it is whole."""
        door = self._door
        if len(data) < LENGTH_BYTES:
            return data
        word = door.words.known(data[:LENGTH_BYTES])
        if word:
            self.packets_received += 1
            door.stats.packets_received += 1
            self._drop_pieces()
            self._transport.write(door.words.answer(word))
            self.state |= CLOSED
            self._transport.close()
            return b""
        frames: list[bytes] = []
        try:
            at = split_frames(data, 0, CONNECT_REQUEST_BYTES_MAX, 1, frames)
        except LenError as error:
            self._bad_bytes(str(error))
            return b""
        if not frames:
            return data
        del door.strangers[self]
        self.packets_received += 1
        door.stats.packets_received += 1
        self.state &= ~FIRST_FRAME
        if not door.turn_open:
            door.open_turn()
        try:
            self.is_connected = door.machine.connected(self, frames[0])
        except Exception:
            LOG.exception("the first frame from %s failed: the connection is closed", self.peer_name)
        if not self.is_connected:
            self.abort()
            return b""
        return data[at:]

    def _collect(self, data: bytes) -> None:
        """Bytes that are not simply requests: a first frame, the middle of a frame, or more than the peer's turn."""
        if self._pieces:
            self._pieces.append(data)
            self._pieces_bytes += len(data)
            if self.state & (PEER_DOES_NOT_READ | PEER_HAD_ITS_TURN) or self._pieces_bytes < self._wanted_bytes:
                self._hold_pieces()
                return
            data = b"".join(self._pieces)
            self._drop_pieces()
        elif self.state & (PEER_DOES_NOT_READ | PEER_HAD_ITS_TURN):
            self._keep(data)
            return
        if self.state & FIRST_FRAME:
            data = self._first(data)
            if self.state & FIRST_FRAME or self.state & CLOSED:
                if data:
                    self._keep(data)
                return
        if data:
            self._requests(data)

    def _keep(self, data: bytes) -> None:
        """Keep the beginning of a frame, or requests that have to wait, until more comes or the peer is let go."""
        if self.state & CLOSED:
            return
        self.state |= PIECES
        self._pieces = [data]
        self._pieces_bytes = len(data)
        self._wanted_bytes = bytes_wanted(data, self._door.limits.frame_bytes_max)
        self._hold_pieces()

    def _hold_pieces(self) -> None:
        for hog in self._door.received.hold(self, self._pieces_bytes):
            self._door.stats.slow_writers_closed += 1
            LOG.info("%s holds too much with unfinished requests: closed", hog.peer_host)
            hog.abort()

    def _drop_pieces(self) -> None:
        if self._pieces:
            self.state &= ~PIECES
            self._pieces = []
            self._pieces_bytes = 0
            self._door.received.release(self)

    def _bad_bytes(self, sentence: str) -> None:
        """What follows cannot be told apart: close, as ZooKeeper does."""
        LOG.info("%s: %s; the connection is closed", self.peer_name, sentence)
        self._door.stats.bad_bytes_closed += 1
        self.close()

    # --- back-pressure -------------------------------------------------------------------------------------------

    def _hold(self, reason: int) -> None:
        self.state |= reason
        if not self.state & CLOSED and self._transport.is_reading():
            self._transport.pause_reading()

    def _has_much_to_write(self) -> bool:
        # the door's sum comes first: it is at hand
        return self._door.queued_bytes > BATCH_BYTES and sum(map(len, self._out)) > BATCH_BYTES

    def _end_turn(self) -> None:
        self._hold(PEER_HAD_ITS_TURN)
        self._door.loop.call_soon(self._let_go, PEER_HAD_ITS_TURN)

    def _let_go(self, reason: int) -> None:
        """One reason less; with none left, go on with what was received, and read again."""
        self.state &= ~reason
        if self.state & (PEER_DOES_NOT_READ | PEER_HAD_ITS_TURN | CLOSED):
            return
        if self._pieces and self._pieces_bytes >= self._wanted_bytes:
            data = b"".join(self._pieces)
            self._drop_pieces()
            self._requests(data)
        if not self.state & (PEER_DOES_NOT_READ | PEER_HAD_ITS_TURN | CLOSED) and not self._transport.is_reading():
            self._transport.resume_reading()

    def _write_late(self) -> None:
        """More was written to a peer that had not read what there was; it is not read from, so these are events."""
        waiting_bytes = self._transport.get_write_buffer_size()
        if waiting_bytes > self._door.limits.write_buffer_bytes_max:
            self.close_slow_reader()
        else:
            self._hold_unsent(waiting_bytes)

    def _hold_unsent(self, waiting_bytes: int) -> None:
        for slow in self._door.unsent.hold(self, waiting_bytes):
            slow.close_slow_reader()
