"""`hbeacon dev` as a user starts it: a process, its lines, its children."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.probe import RegistryProbe
from registry.names import Address, ServerName
from tests.support.processes import ManagedProcess, children, wait_for

ROOT = Path(__file__).parent.parent.parent


class DevProcess:
    """One `hbeacon dev`, on free ports unless told otherwise."""

    def __init__(self, log: Path, *flags: str, env: Mapping[str, str] | None = None, free_ports: bool = True) -> None:
        self.process = ManagedProcess(
            "hbeacon dev",
            [sys.executable, "-m", "registry.cli.main", "dev", *(("--ports", "free") if free_ports else ()), *flags],
            log,
            env=env,
            cwd=ROOT,
            pipes=True,
        )
        self.lines = self.process.said()
        self.zookeeper = ""
        self.masters: list[str] = []
        self.http: list[str] = []
        self.region_servers: list[str] = []
        self.region_server_pages: list[str] = []

    def wait_ready(self, timeout_s: float = 30.0) -> DevProcess:
        """Until the last line of the announcement; takes the real addresses from the first."""

        def announced() -> bool:
            assert self.process.running, f"hbeacon dev has ended; its log ends:\n{self.process.tail()}"
            return any("Ctrl-C stops all of it" in line for line in self.lines)

        wait_for("the announcement", announced, timeout_s)
        doors = dict(word.split("=", 1) for word in self.lines[0].split() if "=" in word)
        self.zookeeper = doors["zookeeper"]
        self.masters, self.http = doors["masters"].split(","), doors["http"].split(",")
        if "regionservers" in doors:
            self.region_servers = doors["regionservers"].split(",")
            self.region_server_pages = doors["regionservers-http"].split(",")
        return self

    def row(self, name: str) -> str:
        """What the announcement says of `name`."""
        return next(line for line in self.lines if line.strip().startswith(name)).strip().removeprefix(name).strip()

    @property
    def cluster_id(self) -> str:
        return self.row("cluster id").split()[0]

    @property
    def data_dir(self) -> Path:
        found = re.match(r"in ([^:]+):", self.row("state"))
        assert found is not None
        return Path(found[1])

    def pid(self, name: str) -> int:
        """Of `coordinator`, `master0` or `rs0`: the process carries its name."""
        return wait_for(f"a process of {name}", lambda: self._named(name), 10)

    def _named(self, name: str) -> int | None:
        for pid in children(self.process.pid):
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == f"hbeacon-{name}"[:15]:
                    return pid
            except OSError:
                continue
        return None

    def pids(self) -> list[int]:
        """All processes of it."""
        return [self.process.pid, *children(self.process.pid)]

    def ports(self) -> list[int]:
        doors = (self.zookeeper, *self.masters, *self.http, *self.region_servers, *self.region_server_pages)
        return [int(text.rpartition(":")[2]) for text in doors]

    def active(self, number: int) -> ServerName | None:
        """The active master as master `number` answers it; None where it does not."""
        try:
            probe = RegistryProbe(Address.parse(self.masters[number]))
        except OSError:
            return None
        try:
            return probe.active_master()
        except (OSError, AssertionError):
            return None
        finally:
            probe.close()

    def number_of(self, active: ServerName) -> int:
        return self.masters.index(str(active.address))

    def kill_all(self) -> None:
        """SIGKILL to every process in one moment, so that none sees another go."""
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
