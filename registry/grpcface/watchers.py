"""The streams of WatchRegistry: who waits, who is woken when, and how much that may cost the loop.

A stream holds the number of the state it has been told, and nothing else: what it is sent next is made when it can
take it, from the board. Wakes are spread over turns of the loop, so that look-ups are answered in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from registry.grpcface.board import NOTHING_SEEN, Board
from registry.grpcface.picture import Picture, encode_age

WAKES_PER_TURN = 2
"""Streams told in one turn of the loop; each costs some 0.1 ms of gRPC, and a look-up waits for one turn. With eight a
thousand streams were told no sooner, and look-ups meanwhile had twice the p99 (benchmarks/subscribers.py)."""


class TooManyStreams(Exception):
    """The limit of this server."""


class Watcher:
    """One stream, between two of its messages."""

    __slots__ = ("_watchers", "heard_beat", "seen", "waiting")

    def __init__(self, watchers: Watchers, number: int) -> None:
        """`number`: of the last heartbeat, which is not for it."""
        self._watchers = watchers
        self.seen = NOTHING_SEEN
        """Number of the state it was told last."""
        self.heard_beat = number
        self.waiting: asyncio.Future[None] | None = None
        """Set while it has been told everything."""

    async def next(self) -> bytes | None:
        """The next message for it, waited for; None when the streams end."""
        watchers = self._watchers
        while not watchers.is_closed:
            message = watchers.message_for(self)
            if message is not None:
                return message
            self.waiting = asyncio.get_running_loop().create_future()
            try:
                await self.waiting
            finally:
                self.waiting = None
        return None


class Watchers:
    """All streams of one server; belongs to one loop."""

    def __init__(self, picture: Picture, age_ms: Callable[[], float], *, streams_max: int, heartbeat_ms: float) -> None:
        self.board = Board(picture)
        self.is_closed = False
        self.streams_max = streams_max
        self.told = 0
        """Messages handed to streams, so far."""
        self._age_ms = age_ms
        self._heartbeat_ms = heartbeat_ms
        self._beat = 0
        self._streams: set[Watcher] = set()
        self._to_wake: deque[Watcher] = deque()
        self._waking: asyncio.Handle | None = None
        self._beating: asyncio.TimerHandle | None = None
        self._event: bytes = b""
        self._age: bytes = b""
        self._message: bytes = b""
        """The message made last, of event and age: streams woken together get the same bytes."""

    def start(self) -> None:
        """Begin with heartbeats."""
        loop = asyncio.get_running_loop()
        self._beating = loop.call_later(self._heartbeat_ms / 1000, self._next_beat)

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        if self._beating is not None:
            self._beating.cancel()
        if self._waking is not None:
            self._waking.cancel()
        for watcher in self._streams:
            _wake(watcher)

    @property
    def streams_count(self) -> int:
        """Streams that are open."""
        return len(self._streams)

    def join(self) -> Watcher:
        """A new stream; it ends with `leave`. Raises TooManyStreams."""
        if len(self._streams) >= self.streams_max:
            raise TooManyStreams(f"{self.streams_max} streams are open already (hbeacon.grpc.streams_max)")
        watcher = Watcher(self, self._beat)
        self._streams.add(watcher)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """The stream is over."""
        self._streams.discard(watcher)

    def put(self, picture: Picture) -> None:
        """Tell everybody what has changed, if anything has."""
        if self.board.put(picture):
            self._wake_all()

    def message_for(self, watcher: Watcher) -> bytes | None:
        """What it has to be told now, with the age of this moment; None while there is nothing."""
        board = self.board
        if watcher.seen != board.number:
            event = board.event_after(watcher.seen)
            watcher.seen = board.number
        elif watcher.heard_beat != self._beat:
            event = board.heartbeat()
        else:
            return None
        watcher.heard_beat = self._beat
        self.told += 1
        age = encode_age(self._age_ms())
        if event is not self._event or age != self._age:
            self._event, self._age, self._message = event, age, event + age
        return self._message

    def _next_beat(self) -> None:
        self._beat += 1
        self._wake_all()
        self.start()

    def _wake_all(self) -> None:
        """Whoever waits is woken in its turn; whoever is being written to looks by itself when that is done."""
        self._to_wake = deque(self._streams)
        if self._waking is None:
            self._wake_some()

    def _wake_some(self) -> None:
        self._waking = None
        woken = 0
        while self._to_wake and woken < WAKES_PER_TURN:
            woken += _wake(self._to_wake.popleft())
        if self._to_wake:
            self._waking = asyncio.get_running_loop().call_soon(self._wake_some)


def _wake(watcher: Watcher) -> bool:
    waiting = watcher.waiting
    if waiting is None or waiting.done():
        return False
    waiting.set_result(None)
    return True
