"""The flight recorder: what the cache heard lately, as lines that a simulation can play again.

A line is one JSON object: `at_ms` (monotonic), `event` (the name of its class in `registry.lookup.events`) and the
fields of the event, bytes in hexadecimal, a Stat as its eleven numbers. The first line names the root. What has left
the ring is folded: of each znode the last read is kept, so that playing the lines gives the present, however long the
process has run.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields, replace
from typing import Any

from registry.clock import Clock
from registry.lookup.cache import RegistryCache
from registry.lookup.events import (
    Confirmed,
    Effect,
    Event,
    Read,
    RecheckForbidden,
    SessionConnected,
    SessionSuspended,
    WatchFired,
    What,
    ZnodeRead,
)
from registry.lookup.snapshot import FactState, ZnodeStat
from registry.zk.paths import ZNodePaths

EVENTS_MAX = 2000
"""Length of the ring."""
FOLDED_MAX = 20_000
"""Reads kept of what has left the ring; a znode needs one or two."""

KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (SessionConnected, SessionSuspended, ZnodeRead, WatchFired, Confirmed, RecheckForbidden)
}


class FlightRecorder:
    """A bounded ring; recording costs an append, the text is made when asked for."""

    def __init__(self, root: str, clock: Clock, events_max: int = EVENTS_MAX, *, others: bool = False) -> None:
        self._root = root
        self._others = others
        self._clock = clock
        self._events_max = events_max
        self._ring: deque[tuple[float, Event]] = deque()
        self._connected: tuple[float, Event] | None = None
        """The last connection that has left the ring."""
        self._folded: dict[tuple[str, What], tuple[float, Event]] = {}
        self.dropped = 0
        """Events that are in no line any more."""

    def record(self, event: Event) -> None:
        """Keep one event."""
        self._ring.append((self._clock.monotonic_ms(), event))
        if len(self._ring) > self._events_max:
            self._fold(*self._ring.popleft())

    def lines(self) -> list[str]:
        """Oldest first; `replay` reads them."""
        head: dict[str, Any] = {"root": self._root, "dropped": self.dropped}
        if self._others:
            head["others"] = True
        kept: list[tuple[float, Event]] = [] if self._connected is None else [self._connected]
        # parents first, or the cache would not know the children yet
        kept += sorted(self._folded.values(), key=_depth)
        return [json.dumps(head), *(_line(at_ms, event) for at_ms, event in (*kept, *self._ring))]

    def _fold(self, at_ms: float, event: Event) -> None:
        kept_before = len(self._folded) + (self._connected is not None)
        if isinstance(event, SessionConnected):
            self._connected = (at_ms, event)
            self._folded.clear()
        elif isinstance(event, ZnodeRead):
            if event.what is not What.EXISTS:
                self._folded.pop((event.path, What.EXISTS), None)
            self._folded.pop((event.path, event.what), None)
            self._folded[event.path, event.what] = (at_ms, event)
            if len(self._folded) > FOLDED_MAX:
                del self._folded[next(iter(self._folded))]
        self.dropped += kept_before + 1 - len(self._folded) - (self._connected is not None)


def replay(lines: Iterable[str]) -> Iterator[RegistryCache]:
    """Play recorded lines into a new cache; it is yielded after each event, always the same one.

    Tickets are those of the new cache: the recorded ones may begin anywhere. Raises ValueError on what is no line.
    """
    cache: RegistryCache | None = None
    asked: dict[tuple[str, What], int] = {}
    for line in lines:
        record = json.loads(line)
        if cache is None:
            paths = ZNodePaths(record["root"])
            cache = RegistryCache(paths, others=paths.others() if record.get("others") else ())
            continue
        event = _event(record)
        if isinstance(event, ZnodeRead):
            event = replace(event, ticket=asked.pop((event.path, event.what), 0))
        _note(asked, cache.apply(event), fresh=isinstance(event, SessionConnected))
        yield cache


def _note(asked: dict[tuple[str, What], int], effects: list[Effect], *, fresh: bool) -> None:
    if fresh:
        asked.clear()
    asked.update({(effect.path, effect.what): effect.ticket for effect in effects if isinstance(effect, Read)})


def _depth(kept: tuple[float, Event]) -> tuple[int, float]:
    return (kept[1].path.count("/") if isinstance(kept[1], ZnodeRead) else 0), kept[0]


def _line(at_ms: float, event: Event) -> str:
    record: dict[str, Any] = {"at_ms": round(at_ms, 3), "event": type(event).__name__}
    for field in fields(event):
        record[field.name] = _plain(getattr(event, field.name))
    return json.dumps(record, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, What | FactState):
        return value.value
    if isinstance(value, ZnodeStat):
        return astuple(value)
    return value


def _event(record: dict[str, Any]) -> Event:
    values = {name: value for name, value in record.items() if name not in ("at_ms", "event")}
    kind = KINDS.get(record.get("event", ""))
    if kind is None:
        raise ValueError(f"{record.get('event')!r} is no event of the flight recorder")
    if kind is ZnodeRead:
        values["what"] = What(values["what"])
        values["outcome"] = FactState(values["outcome"])
        values["data"] = bytes.fromhex(values["data"])
        values["stat"] = None if values["stat"] is None else ZnodeStat(*values["stat"])
        values["children"] = None if values["children"] is None else tuple(values["children"])
    return kind(**values)
