"""Answers of one connection that belong into one write: each write is a system call, and costs as much as a look-up.

Whoever answers several calls in one go gathers: a batch of calls that was read at once, or what a commit has kept
waiting. The order of answers means nothing to clients, and none waits beyond the turn of the loop that it is made in.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

FRAMES_MAX = 64
FRAME_BYTES_MAX = 16 * 1024
"""What is larger gains nothing by company; so at most a MiB is held back."""


class GatheringProtocol(asyncio.Protocol, ABC):
    """A protocol whose answers may wait for each other. Belongs to its loop."""

    __slots__ = ("_gathered",)

    def __init__(self) -> None:
        self._gathered: list[bytes] | None = None
        """Frames that wait for the end of the turn; None where each goes at once."""

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Write now."""

    def _gather(self) -> None:
        """Frames that come from now on wait for `_send_gathered`."""
        if self._gathered is None:
            self._gathered = []

    def _write_gathered(self, frame: bytes, *, is_alone: bool) -> None:
        """Write a frame at once where it `is_alone`, else with those that come in this turn of the loop."""
        gathered = self._gathered
        if gathered is None:
            if is_alone:
                self._write(frame)
                return
            gathered = self._gathered = []
            asyncio.get_running_loop().call_soon(self._send_gathered)
        gathered.append(frame)
        if len(frame) > FRAME_BYTES_MAX or len(gathered) >= FRAMES_MAX:
            self._gathered = []
            self._write(b"".join(gathered))

    def _send_gathered(self) -> None:
        """Write what waits; what comes later goes at once again."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
