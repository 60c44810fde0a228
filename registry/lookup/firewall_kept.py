"""What one worker leaves for the next of the day's watch, so that a restart by the guard does not begin it anew.

One word of ASCII: ages in seconds, then the hosts that a careful answer must not forget,

    <wall s>,<watched s>,<looked at ZooKeeper s or ->[;f<host>=<first seen s ago>,<last seen s ago>]...

with `f` for who came by the façade alone and `z` for who was connected to ZooKeeper. Who came by the registry path is
not kept: it comes again. Where it would be too long nothing is kept, and the watch begins anew.
"""

from __future__ import annotations

import re

from registry.clock import Clock
from registry.lookup.visitors import WINDOW_MS, Visitors, VisitPath

CHARS_MAX = 3000
"""The guard keeps lines of 4096 bytes, and there are other words in it."""
_PATHS = {"f": VisitPath.FACADE, "z": VisitPath.ZOOKEEPER}
_HEAD = re.compile(r"(\d{1,12}),(\d{1,9}),(\d{1,9}|-)", re.ASCII)
_HOST = re.compile(r"([fz])([0-9A-Za-z.:_%-]{1,96})=(\d{1,9}),(\d{1,9})", re.ASCII)


def kept_text(visitors: Visitors, clock: Clock, looked_since_ms: float | None) -> str:
    """The word; empty where it would be too long."""
    now_ms = clock.monotonic_ms()
    since_ms = max(visitors.since_ms, visitors.forgotten_ms)

    def age_s(at_ms: float) -> int:
        return max(0, int((now_ms - at_ms) / 1000))

    looked = "-" if looked_since_ms is None else str(age_s(looked_since_ms))
    words = [f"{int(clock.wall_ms() / 1000)},{age_s(since_ms)},{looked}"]
    by_registry = visitors.registry_hosts()
    for letter, path in _PATHS.items():
        for seen in visitors.hosts(path).values():
            if path is VisitPath.FACADE and seen.host in by_registry:
                continue
            words.append(f"{letter}{seen.host}={age_s(seen.first_ms)},{age_s(seen.last_ms)}")
    text = ";".join(words)
    fits = len(text) <= CHARS_MAX and all(_HOST.fullmatch(word) for word in words[1:])
    return text if fits else ""


def take_kept(text: str, visitors: Visitors, clock: Clock) -> float | None:
    """Go on where the last worker ended; since when it had looked at ZooKeeper's connections, None where it did not.

    What is not of this form is no word of ours, and nothing is taken from it.
    """
    head, *words = text.split(";")
    ages = _HEAD.fullmatch(head)
    rows = [_HOST.fullmatch(word) for word in words]
    if ages is None or None in rows:
        return None
    now_ms, passed_s = clock.monotonic_ms(), clock.wall_ms() / 1000 - int(ages[1])
    if not 0 <= passed_s * 1000 < WINDOW_MS:
        return None  # the calendar was changed
    begun_ms = now_ms - passed_s * 1000
    visitors.since_ms = begun_ms - int(ages[2]) * 1000
    found = sorted((row for row in rows if row is not None), key=lambda row: -int(row[4]))
    for row in found:
        visitors.remember(_PATHS[row[1]], row[2], begun_ms - int(row[3]) * 1000, begun_ms - int(row[4]) * 1000)
    return None if ages[3] == "-" else begun_ms - int(ages[3]) * 1000
