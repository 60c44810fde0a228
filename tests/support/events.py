"""A follower of server-sent events over a plain socket, which keeps what it was told apart: events, comments, retry."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

from registry.names import Address

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Event:
    """One event as it came; a block with nothing but a comment has no kind."""

    kind: str
    id: str
    data: dict[str, Any]
    comment: str = ""


class Follower:
    """One connection to /api/v1/events; `open` gives it with the answer's head read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.retry_ms = 0

    @classmethod
    async def open(cls, address: Address, query: str = "", **headers: str) -> Follower:
        """Ask, and read the head."""
        reader, writer = await asyncio.open_connection(address.host, address.port, limit=16 << 20)
        follower = cls(reader, writer)
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET /api/v1/events{query} HTTP/1.1\r\nhost: x\r\n{lines}\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        first, *rest = head.decode().splitlines()
        follower.status = int(first.split()[1])
        follower.headers = dict(line.split(": ", 1) for line in rest if line)
        return follower

    async def next(self) -> Event:
        """The next event or comment. Raises asyncio.IncompleteReadError where the server has closed."""
        while True:
            block = await asyncio.wait_for(self._reader.readuntil(b"\n\n"), PATIENCE_S)
            fields: dict[str, str] = {}
            for line in block.decode().strip("\n").split("\n"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            if "retry" in fields:
                self.retry_ms = int(fields["retry"])
            elif fields:
                data: dict[str, Any] = json.loads(fields.get("data", "{}"))
                return Event(fields.get("event", ""), fields.get("id", ""), data, fields.get("", ""))

    async def event(self, kind: str) -> Event:
        """The next event of a kind; others are passed over."""
        while (event := await self.next()).kind != kind:
            pass
        return event

    async def is_closed(self) -> bool:
        """Whether the server ends the connection, whatever it says before."""
        try:
            while await asyncio.wait_for(self._reader.read(1 << 20), PATIENCE_S):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Leave; a second call changes nothing."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
