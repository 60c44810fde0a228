"""The election's flight recorder: what the present and the last candidate heard, as lines that can be played again.

A line is one JSON object: `at_ms` (monotonic), `heard` (the method of Candidate, or `life` for a new one) and what came
with it, bytes in hexadecimal, a Stat as its eleven numbers. A candidate hears a few things for each connection.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

from registry.clock import Clock
from registry.lookup.snapshot import ZnodeStat
from registry.master.election import Candidate, Effect, Standing
from registry.wire.znode import decode_master
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Reply, Result

LINES_MAX = 1000
"""Kept of one candidate: several hundred connections."""


class ElectionFlight:
    """Two bounded rings; the text is made when asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: deque[dict[str, Any]] = deque()
        self._present: deque[dict[str, Any]] = deque(maxlen=LINES_MAX)

    def life(self, standing: Standing, session_id: int) -> None:
        """A new candidate."""
        self._last, self._present = self._present, deque(maxlen=LINES_MAX)
        self._add(
            "life",
            root=standing.paths.root,
            data=standing.data.hex(),
            mark=standing.mark_data.hex(),
            mark_path=standing.mark_path,
            session_id=session_id,
        )

    def heard(self, what: str, text: str = "") -> None:
        """`connected`, `suspended`, `fired` with the path, `session_ended` with the reason."""
        self._add(what, text=text)

    def answered(self, ticket_number: int, reply: Reply) -> None:
        """A reply to the candidate."""
        stat = list(astuple(reply.stat)) if reply.stat else None
        self._add(
            "answered",
            ticket=ticket_number,
            result=reply.result.name,
            data=reply.data.hex(),
            stat=stat,
            children=reply.children,
        )

    def lines(self) -> list[str]:
        """Of the last candidate, then of the present one."""
        return [json.dumps(row) for row in (*self._last, *self._present)]

    def _add(self, heard: str, **values: Any) -> None:
        self._present.append({"at_ms": round(self._clock.monotonic_ms(), 3), "heard": heard, **values})


def replay(lines: Iterable[str]) -> tuple[Candidate, list[Effect]]:
    """The last candidate that the lines tell of, and every effect that it gave. Raises ValueError without a `life`."""
    candidate: Candidate | None = None
    effects: list[Effect] = []
    for line in lines:
        row = json.loads(line)
        heard = row["heard"]
        if heard == "life":
            data = bytes.fromhex(row["data"])
            mark = bytes.fromhex(row["mark"])
            standing = Standing(ZNodePaths(row["root"]), decode_master(data), data, row["mark_path"], mark)
            candidate, effects = Candidate(standing, row["session_id"]), []
        elif candidate is None:
            raise ValueError(f"{heard!r} comes before any life")
        elif heard == "answered":
            stat = ZnodeStat(*row["stat"]) if row["stat"] else None
            reply = Reply(Result[row["result"]], bytes.fromhex(row["data"]), stat, tuple(row.get("children", ())))
            effects += candidate.answered(row["ticket"], reply)
        elif heard in ("fired", "session_ended"):
            effects += getattr(candidate, heard)(row["text"])
        else:
            effects += getattr(candidate, heard)()
    if candidate is None:
        raise ValueError("no life is told of")
    return candidate, effects
