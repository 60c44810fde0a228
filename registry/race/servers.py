"""The servers of a race: processes on free ports that can be hung, slowed down, killed and counted.

One hangs by SIGSTOP: a stopped process keeps its connections and its listening socket; the kernel goes on accepting,
and nobody answers. Behind a guard it is killed and replaced within about a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from types import TracebackType
from typing import Any, Self

import registry.guard
from registry.names import Address
from registry.race.cases import Condition, Slow
from registry.race.server import HOST

START_S_MAX = 20.0
ANSWER_S_MAX = 20.0
END_S_MAX = 5.0


class RaceServer:
    """One of them. Belongs to the loop."""

    def __init__(self, *, guarded: bool) -> None:
        self.port = 0
        self.pid = 0
        """Of the server itself; with a guard another one after each replacement."""
        self._guarded = guarded
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._serving = asyncio.Event()
        self._answers: asyncio.Queue[str] = asyncio.Queue()

    async def start(self) -> None:
        """Start it, on its old port if it had one. Raises OSError, TimeoutError."""
        server = [sys.executable, "-m", "registry.race.server", str(self.port)]
        guard = [sys.executable, "-I", "-S", registry.guard.__file__] if self._guarded else []
        # What a guard says of hung workers is what the race is about.
        errors = DEVNULL if self._guarded else None
        self._serving.clear()
        self._process = await asyncio.create_subprocess_exec(*guard, *server, stdin=PIPE, stdout=PIPE, stderr=errors)
        self._reader = asyncio.create_task(self._read(self._process))
        await self.serving()

    async def serving(self) -> None:
        """Until it serves: after its start, or after its guard has replaced it."""
        async with asyncio.timeout(START_S_MAX):
            await self._serving.wait()
        if not self.pid:
            raise OSError("a server of the race ended before it served")

    def hang(self) -> None:
        """Nothing is answered from now on."""
        if self._guarded:
            self._serving.clear()
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Go on after `hang`; a guard does that by itself."""
        if not self._guarded:
            os.kill(self.pid, signal.SIGCONT)

    async def say(self, command: str) -> str:
        """One command of registry.race.server; gives its answer. Raises TimeoutError."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        async with asyncio.timeout(ANSWER_S_MAX):
            return await self._answers.get()

    async def counts(self) -> dict[str, Any]:
        """What it has taken and answered since its start."""
        return json.loads((await self.say("count")).removeprefix("counts "))

    async def kill(self) -> None:
        """End it at once, as kill -9 does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            async with asyncio.timeout(END_S_MAX):
                await self._process.wait()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
            self._reader = None

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while line := (await process.stdout.readline()).decode().strip():
            if line.startswith("serving "):
                self.port, self.pid = map(int, line.split()[1:])
                self._serving.set()
            else:
                self._answers.put_nowait(line)
        self.pid = 0
        self._serving.set()


class RaceServers:
    """Started by `async with`, ended with it."""

    def __init__(self, count: int, *, guarded: bool = False) -> None:
        self.each = [RaceServer(guarded=guarded) for _ in range(count)]
        self._hung: list[RaceServer] = []

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where they are."""
        return tuple(Address(HOST, server.port) for server in self.each)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(server.start() for server in self.each))
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def become(self, condition: Condition, seed: int = 0) -> None:
        """Have that be wrong with them from now on, and nothing else. Raises OSError, TimeoutError."""
        for server in self._hung:
            server.wake()
            await server.serving()
        for number, server in enumerate(self.each):
            await server.say("plain")
            if condition.slow is not None and (condition.slow.everywhere or number == 0):
                await server.say(_delay(condition.slow, seed + number))
        self._hung = self.each[: condition.hung]
        for server in self._hung:
            server.hang()

    async def _end(self) -> None:
        await asyncio.gather(*(server.kill() for server in self.each))


def _delay(slow: Slow, seed: int) -> str:
    return f"delay {slow.delay_ms} {slow.percent} {seed}"
