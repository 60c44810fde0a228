"""A transport that only writes down what is done to it."""

from __future__ import annotations

import asyncio
from typing import Any


class RecordingTransport(asyncio.Transport):
    """Keeps what is written; `unsent_bytes` plays a peer that does not read."""

    def __init__(self, peer: tuple[str, int] = ("127.0.0.1", 40_000)) -> None:
        super().__init__()
        self.peer = peer
        self.written: list[bytes] = []
        self.unsent_bytes = 0
        self.is_reading_paused = False
        self.is_closed = False
        self.is_aborted = False
        self.protocol: asyncio.Protocol | None = None

    def connect(self, protocol: asyncio.Protocol) -> None:
        """Begin, as a loop does."""
        self.protocol = protocol
        protocol.connection_made(self)

    @property
    def sent(self) -> bytes:
        """All that was written, in a row."""
        return b"".join(self.written)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.peer if name == "peername" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed, "nothing is written to a closed transport"
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def pause_reading(self) -> None:
        assert not self.is_reading_paused, "paused twice"
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        assert self.is_reading_paused, "resumed without a pause"
        self.is_reading_paused = False

    def is_reading(self) -> bool:
        return not self.is_reading_paused and not self.is_closed

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True

    def lose(self) -> None:
        """The connection is gone, as a loop tells."""
        self.is_closed = True
        assert self.protocol is not None
        self.protocol.connection_lost(None)
