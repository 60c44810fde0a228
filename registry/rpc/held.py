"""Why a connection is not read from, and how it goes on: bits, each taken away by whoever has set it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod

from registry.rpc.gathered import GatheringProtocol

PEER_DOES_NOT_READ = 1
PEER_HAS_CALLS = 2
PEER_HAD_ITS_TURN = 4
SERVER_DRAINS = 8

RESUMED_BYTES_MAX = 1 << 20
"""Up to so many held-back bytes are looked at again as usual calls; beyond, it is a large request that is coming in."""


class HeldProtocol(GatheringProtocol):
    """A protocol that may keep its peer waiting. Belongs to its loop."""

    __slots__ = ("_transport", "held", "is_open")

    def __init__(self) -> None:
        super().__init__()
        self._transport: asyncio.Transport
        """Set when the connection is made."""
        self.held = 0
        """Not read from, for these reasons."""
        self.is_open = False
        """Whether it can be written to: not before it was let in, and not when it is being closed."""

    @abstractmethod
    def _go_on(self) -> None:
        """Take what was received and not taken."""

    def _hold(self, reason: int) -> None:
        if self._transport.is_reading():
            self._transport.pause_reading()
        self.held |= reason

    def _end_turn(self) -> None:
        self._hold(PEER_HAD_ITS_TURN)
        asyncio.get_running_loop().call_soon(self._let_go, PEER_HAD_ITS_TURN)

    def _let_go(self, reason: int) -> None:
        """One reason less; with none left, go on with what was received, and read again."""
        self.held &= ~reason
        if self.held or not self.is_open:
            return
        self._go_on()
        if not self.held and self.is_open:
            self._transport.resume_reading()
