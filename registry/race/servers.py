"""The servers of a race: processes on free ports, some of them stopped in mid-life (SIGSTOP): that is how one hangs.

A stopped process keeps its connections and its listening socket: the kernel goes on accepting, and nobody answers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from types import TracebackType
from typing import Self

from registry.names import Address
from registry.race.server import HOST

START_S_MAX = 20.0
END_S_MAX = 5.0


class RaceServers:
    """Started by `async with`, ended with it."""

    def __init__(self, count: int) -> None:
        self.addresses: tuple[Address, ...] = ()
        self._count = count
        self._processes: list[Process] = []
        self._hung: list[Process] = []

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(START_S_MAX):
                for _ in range(self._count):
                    words = [sys.executable, "-m", "registry.race.server"]
                    self._processes.append(await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE))
                self.addresses = tuple([await _address(process) for process in self._processes])
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    def hang(self, count: int) -> None:
        """Have so many of them hung from now on, and the others going."""
        for process in self._hung:
            os.kill(process.pid, signal.SIGCONT)
        self._hung = self._processes[:count]
        for process in self._hung:
            os.kill(process.pid, signal.SIGSTOP)

    async def _end(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
        async with asyncio.timeout(END_S_MAX):
            for process in self._processes:
                await process.wait()


async def _address(process: Process) -> Address:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line.strip().isdigit():
        raise OSError("a server of the race ended before it served")
    return Address(HOST, int(line))
