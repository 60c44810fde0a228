"""`hbeacon master` with one more duty: whoever acts says so in a file. `... master_probe master FLAGS`.

A line, written whole: monotonic milliseconds, epoch, process id. The duty holds its token for a while and has it
checked before each line, so that what stands between two lines (SIGSTOP, a partition) stands in the middle of an
action. Nothing of the master but its list of duties is changed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from registry.cli import master as command
from registry.master.duties import Duty
from registry.master.epoch import Token
from registry.master.server import Master

FILE_VARIABLE = "HBEACON_TEST_PROBE"
LINES = 100
PAUSE_S = 0.005


@dataclass(frozen=True)
class Act:
    """One effect of an acting master."""

    at_ms: float
    epoch: int
    pid: int


def acts(path: Path) -> list[Act]:
    """All that was done, in the order of time."""
    rows = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
    return sorted((Act(float(at), int(epoch), int(pid)) for at, epoch, pid in rows), key=lambda act: act.at_ms)


def check(path: Path) -> list[Act]:
    """Invariant 3, and that nobody acts once somebody of a higher epoch has."""
    done = acts(path)
    owners: dict[int, int] = {}
    highest = 0
    for act in done:
        assert owners.setdefault(act.epoch, act.pid) == act.pid, f"two masters act as 0x{act.epoch:x}"
        assert act.epoch >= highest, f"0x{act.epoch:x} acts after 0x{highest:x}"
        highest = act.epoch
    return done


def _probe(path: str) -> Duty:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    async def duty(token: Token) -> None:
        for _ in range(LINES):
            token.check()
            os.write(file, f"{time.monotonic() * 1000:.3f} {token.epoch} {os.getpid()}\n".encode())
            await asyncio.sleep(PAUSE_S)

    return duty


class _Probed(Master):
    def make_duties(self) -> list[Duty]:
        return [*super().make_duties(), _probe(os.environ[FILE_VARIABLE])]


if __name__ == "__main__":
    from registry.master import server

    server.Master = _Probed
    sys.exit(command.run(sys.argv[2:]))
