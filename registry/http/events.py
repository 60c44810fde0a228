"""Server-sent events: what changes is encoded once and written to everybody who follows.

A stream is a number of named sections. Who comes gets them all, then those that change:

    id: 5f0c9a1e-41
    event: change
    data: {"now": ..., "active_master": {...}}

A subscriber whose socket takes no more is left alone until it does, and then gets what it missed: the changes where
they are still kept, otherwise everything as it is now. So the most that waits for one is a single message, however
long it does not read; and after STALLED_S it is dropped.

A subscriber is a protocol of the loop and nothing else: no task, no HTTP parser. Its socket is taken over from the
HTTP server once the request has been read.

Source: WHATWG HTML, section "Server-sent events".
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

SUBSCRIBERS_PER_TURN = 16
"""How many are written to in one turn of the loop, some 0.15 ms; then look-ups have theirs."""
CHANGES_KEPT = 32
CHANGES_KEPT_BYTES_MAX = 256 * 1024
"""Changes that a late or returning subscriber can be given one by one; beyond, it gets everything."""
STALLED_S = 10.0
"""One that has read nothing of what waits for it for so long, or up to a heartbeat longer, is dropped."""
WRITE_BUFFER_BYTES = 64 * 1024
"""More than this waiting in a transport is `does not read`."""
RETRY_MS = (1000, 4000)
"""Who loses its connection comes back after a time between these, so that a restart is no stampede."""
REQUEST_BYTES_MAX = 16 * 1024
"""What a subscriber may still say; nobody has anything to say."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a stream as it is now."""

    json: str
    """Its value, encoded, on one line."""
    key: str = ""
    """What is compared to tell a change, where it is not the value itself."""


class Stream:
    """The newest state of all sections, and the last changes; encoded once for all who follow."""

    def __init__(self, name: str, boot: str) -> None:
        """`boot` differs between the lives of a server: numbers begin anew with each."""
        self.name = name
        self.number = 0
        """Of the latest change."""
        self.subscribers: dict[Subscriber, None] = {}
        self._boot = boot
        self._sections: dict[str, Section] = {}
        self._whole: bytes | None = None
        self._changes: deque[tuple[int, bytes]] = deque()
        self._changes_bytes = 0

    def update(self, sections: Mapping[str, Section], always: Mapping[str, str] | None = None) -> bool:
        """Take the sections as they are now; whether anything changed. `always` is told with each change only."""
        changed = {
            name: section.json
            for name, section in sections.items()
            if name not in self._sections
            or (self._sections[name].key or self._sections[name].json) != (section.key or section.json)
        }
        self._sections.update(sections)
        self._whole = None
        if not changed:
            return False
        self.number += 1
        change = self._encode("change", {**(always or {}), **changed})
        self._changes.append((self.number, change))
        self._changes_bytes += len(change)
        while len(self._changes) > CHANGES_KEPT or self._changes_bytes > CHANGES_KEPT_BYTES_MAX:
            self._changes_bytes -= len(self._changes.popleft()[1])
        return True

    def whole(self) -> bytes:
        """Everything as it was at the latest change."""
        if self._whole is None:
            self._whole = self._encode("snapshot", {name: section.json for name, section in self._sections.items()})
        return self._whole

    def since(self, number: int) -> bytes:
        """What who has been told up to `number` lacks: changes where they are kept, or everything. 0: told nothing."""
        if number == 0:
            return self.whole()
        if number == self.number:
            return b""
        if number == self.number - 1 and self._changes:
            return self._changes[-1][1]
        if self._changes and self._changes[0][0] <= number + 1 <= self.number:
            return b"".join(change for at, change in self._changes if at > number)
        return self.whole()

    def number_of(self, last_event_id: str) -> int:
        """The number in the id of an event of this life of the server; 0 of another's, or where it is none."""
        boot, _, number = last_event_id.rpartition("-")
        known = boot == self._boot and number.isascii() and number.isdecimal() and len(number) < 19
        return int(number) if known and int(number) <= self.number else 0

    def _encode(self, event: str, sections: Mapping[str, str]) -> bytes:
        data = ",".join(f'"{name}":{value}' for name, value in sections.items())
        return f"id: {self._boot}-{self.number}\nevent: {event}\ndata: {{{data}}}\n\n".encode()


class Subscriber(asyncio.Protocol):
    """One who follows a stream; its transport was another protocol's before."""

    __slots__ = (
        "_ignored_bytes",
        "_left",
        "_transport",
        "behind_since_s",
        "is_behind",
        "number",
        "peer_host",
        "stream",
    )

    def __init__(
        self, transport: asyncio.Transport, stream: Stream, peer_host: str, left: Callable[[Subscriber], None]
    ) -> None:
        self.stream = stream
        self.peer_host = peer_host
        self.number = 0
        """Of the latest change that was written."""
        self.is_behind = False
        """It does not read."""
        self.behind_since_s = 0.0
        self._transport = transport
        self._left = left
        self._ignored_bytes = 0

    def begin(self, head: bytes, number: int) -> None:
        """Answer the request and tell what `number` lacks."""
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.number = self.stream.number
        retry_ms = random.randint(*RETRY_MS)
        self._transport.write(b"%bretry: %d\n\n%b" % (head, retry_ms, self.stream.since(number)))

    def tell(self) -> None:
        """Write what it lacks, where it reads."""
        stream = self.stream
        if not self.is_behind and self.number != stream.number and not self._transport.is_closing():
            missing = stream.since(self.number)
            self.number = stream.number
            self._transport.write(missing)

    def beat(self, heartbeat: bytes) -> None:
        """Write a sign of life, after what it still lacks: what that tells may be newer."""
        self.tell()
        if not self.is_behind and not self._transport.is_closing():
            self._transport.write(heartbeat)

    def drop(self) -> None:
        """Close now."""
        self._transport.abort()

    def end(self) -> None:
        """Close when what is written has been sent."""
        self._transport.close()

    # --- the transport's calls -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Whatever comes is not read; too much of it ends the connection."""
        self._ignored_bytes += len(data)
        if self._ignored_bytes > REQUEST_BYTES_MAX:
            self.drop()

    def pause_writing(self) -> None:
        """The peer does not read as fast as things change."""
        self.is_behind = True
        self.behind_since_s = asyncio.get_running_loop().time()

    def resume_writing(self) -> None:
        """It has read: tell it where things stand."""
        self.is_behind = False
        self.tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc  # a reset is as good an end as any
        self._left(self)


@dataclass(frozen=True, slots=True)
class SubscriberLimits:
    """How many may follow at once."""

    total_max: int = 6000
    """Some 4 KiB and a file descriptor each."""
    per_peer_max: int = 1000
    """From one IP address, so that one machine cannot take all places."""


@dataclass(slots=True)
class EventStats:
    """Counters since the start."""

    accepted: int = 0
    refused: int = 0
    dropped: int = 0
    """Did not read."""
    changes: int = 0
    """Encoded, of all streams."""
    told_s: float = 0.0
    """How long the latest change took until it was written to all."""


class Hub:
    """All who follow, and the walk that tells them. Belongs to the loop."""

    def __init__(self, limits: SubscriberLimits) -> None:
        self.limits = limits
        self.stats = EventStats()
        self._by_peer: Counter[str] = Counter()
        self._count = 0
        self._walking: deque[Subscriber] = deque()
        """Who is still to be told of a change."""
        self._beating: deque[tuple[Subscriber, bytes, int]] = deque()
        """Who is still to be sent a heartbeat; changes go first."""
        self._turn: asyncio.Handle | None = None
        self._again: set[Stream] = set()
        self._walk_begun_s = 0.0

    def __len__(self) -> int:
        """How many follow now."""
        return self._count

    def refusal(self, peer_host: str) -> str:
        """Why one more from this peer is not taken; empty where it is."""
        if self._count >= self.limits.total_max:
            return f"{self.limits.total_max} follow already"
        if self._by_peer[peer_host] >= self.limits.per_peer_max:
            return f"{self.limits.per_peer_max} of {peer_host} follow already"
        return ""

    def join(
        self, transport: asyncio.Transport, stream: Stream, peer_host: str, head: bytes, last_event_id: str
    ) -> None:
        """Take a transport over, and tell it everything, or what came after `last_event_id`."""
        subscriber = Subscriber(transport, stream, peer_host, self._left)
        transport.set_protocol(subscriber)
        stream.subscribers[subscriber] = None
        self._by_peer[peer_host] += 1
        self._count += 1
        self.stats.accepted += 1
        if not transport.is_reading():
            transport.resume_reading()  # or nobody would see that it leaves
        subscriber.begin(head, stream.number_of(last_event_id))

    def tell(self, stream: Stream) -> None:
        """A stream has changed: walk through its subscribers, some in each turn of the loop."""
        self.stats.changes += 1
        if self._walking:
            self._again.add(stream)
        else:
            self._begin([stream])
            self._go_on()

    def beat(self, stream: Stream, heartbeat: bytes) -> None:
        """Send a heartbeat, and drop those who have not read for too long."""
        self._beating.extend((subscriber, heartbeat, stream.number) for subscriber in stream.subscribers)
        self._go_on()

    def close(self, streams: list[Stream]) -> None:
        """The server stops."""
        for stream in streams:
            for subscriber in tuple(stream.subscribers):
                subscriber.end()

    def _begin(self, streams: Iterable[Stream]) -> None:
        self._walking.extend(subscriber for stream in streams for subscriber in stream.subscribers)
        self._walk_begun_s = asyncio.get_running_loop().time()

    def _go_on(self) -> None:
        if self._turn is None:
            self._walk()

    def _walk(self) -> None:
        """One turn; all in one would keep look-ups waiting for tens of milliseconds."""
        walking, beating = self._walking, self._beating
        tells = bool(walking)
        for _ in range(SUBSCRIBERS_PER_TURN):
            if walking:
                walking.popleft().tell()
            elif beating:
                self._beat(*beating.popleft())
            else:
                break
        loop = asyncio.get_running_loop()
        if tells and not walking:
            self.stats.told_s = loop.time() - self._walk_begun_s
            if self._again:
                streams, self._again = self._again, set()
                self._begin(streams)
        self._turn = loop.call_soon(self._walk) if walking or beating else None

    def _beat(self, subscriber: Subscriber, heartbeat: bytes, number: int) -> None:
        if subscriber.is_behind and subscriber.behind_since_s < asyncio.get_running_loop().time() - STALLED_S:
            self.stats.dropped += 1
            subscriber.drop()
        elif subscriber.stream.number == number:
            subscriber.beat(heartbeat)
        else:
            subscriber.tell()  # a sign of life too, and newer than what the heartbeat would tell

    def _left(self, subscriber: Subscriber) -> None:
        del subscriber.stream.subscribers[subscriber]
        self._count -= 1
        if self._by_peer[subscriber.peer_host] > 1:
            self._by_peer[subscriber.peer_host] -= 1
        else:
            del self._by_peer[subscriber.peer_host]
