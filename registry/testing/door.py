"""A server's door for the test that owns it: a Unix socket in the cluster's directory, a JSON object a line.

    {"do": NAME, ...}            a request
    {"ok": ANSWER}               or {"error": SENTENCE}; then the next request may come

Only the test's own user can reach it. There is none in servers that were not started for a test.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from registry.faults.machine import FaultRow
from registry.faults.rules import BadFault, parse_rule
from registry.role.part import Part
from registry.role.server import RoleServer
from registry.testing.places import within_reach
from registry.wire.errors import HBaseError

logger = logging.getLogger("registry.testing")

LINE_BYTES_MAX = 64 << 20
"""Of a request: a catalogue of many tables is long."""
BY = "the test"

Handler = Callable[[Mapping[str, Any]], Awaitable[object]]


class CannotDo(Exception):
    """Why a request is not done, in a sentence for the test."""


class TestDoor(Part):
    """The door as a part of a server; who makes it adds handlers."""

    __test__ = False

    def __init__(self, server: RoleServer, path: Path) -> None:
        self._server = server
        self._path = path
        self._door: asyncio.AbstractServer | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.handlers: dict[str, Handler] = {
            "fault": self._fault,
            "faults": self._faults,
            "remove fault": self._remove_fault,
            "clear faults": self._clear_faults,
        }

    async def start(self) -> None:
        """Open it; an earlier life may have left its socket behind."""
        self._path.unlink(missing_ok=True)
        with within_reach(self._path) as name:
            self._door = await asyncio.start_unix_server(self._serve, name, limit=LINE_BYTES_MAX)

    async def stop(self) -> None:
        """Close it."""
        if self._door is not None:
            self._door.close()
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the test has ended
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, request: Mapping[str, Any]) -> dict[str, object]:
        try:
            return {"ok": await self.handlers[request["do"]](request)}
        except (CannotDo, BadFault, HBaseError) as error:
            return {"error": str(error)}
        except Exception as error:
            logger.exception("%s failed", request.get("do"))
            return {"error": f"{type(error).__name__}: {error}"}

    # --- faults -------------------------------------------------------------------------------------------------------

    async def _fault(self, request: Mapping[str, Any]) -> object:
        faults = self._server.faults
        assert faults is not None, "they are enabled in clusters of tests"
        return fault_row(faults.add(parse_rule(request["rule"]), BY))

    async def _faults(self, request: Mapping[str, Any]) -> object:
        del request
        faults = self._server.faults
        assert faults is not None
        applied = {kind.value: count for kind, count in faults.applied.items()}
        return {"set": [fault_row(row) for row in faults.rows()], "applied": applied}

    async def _remove_fault(self, request: Mapping[str, Any]) -> object:
        assert self._server.faults is not None
        return self._server.faults.remove(request["number"], BY)

    async def _clear_faults(self, request: Mapping[str, Any]) -> object:
        del request
        assert self._server.faults is not None
        return self._server.faults.clear(BY)


def fault_row(row: FaultRow) -> dict[str, object]:
    """A fault that is set, as the test sees it."""
    return {
        "number": row.number,
        "kind": row.rule.kind.value,
        "sentence": str(row.rule),
        "seed": row.rule.seed,
        "matched": row.matched,
        "applied": row.applied,
    }
