"""`hbeacon coordinator` as a user starts it: a process on a port of its own that can be hurt and started again."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import ManagedProcess, free_ports, wait_for
from tests.support.zookeeper import HOST, four_letters

ROOT = Path(__file__).parent.parent.parent


class CoordinatorProcess:
    """One coordinator. It may be stopped, killed, paused, wiped and started again on the same port and data."""

    def __init__(
        self, directory: Path, *, port: int = 0, keep: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        """`start` runs it; with `keep` its data outlives the process, in a directory below `directory`."""
        self.port = port or free_ports(HOST, 1)[0]
        self._directory = directory
        self._keep = keep
        self._settings = dict(settings or {})
        self._process: ManagedProcess | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def process(self) -> ManagedProcess:
        assert self._process is not None, "not started"
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self, *, wait: bool = True) -> None:
        """Run it; with `wait`, until it serves."""
        words = ["coordinator", "--listen", self.address]
        if self._keep:
            words += ["--data-dir", str(self._directory / "data")]
        words += [word for key, value in self._settings.items() for word in ("--set", f"{key}={value}")]
        self._process = ManagedProcess(
            f"coordinator-{self.port}",
            [sys.executable, "-m", "registry.cli.main", *words],
            self._directory / "coordinator.log",
            cwd=ROOT,
        )
        if wait:
            wait_for(f"the coordinator at {self.address}", self._serves, 30, 0.02)

    def _serves(self) -> bool:
        assert self.process.running, self.process.tail()
        return four_letters(self.port, "srvr").startswith("Zookeeper version")

    def stop(self) -> None:
        """Let it end in order."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nobody answers."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Forget all data; it must not run."""
        shutil.rmtree(self._directory / "data", ignore_errors=True)

    def close(self) -> None:
        """End it whatever its state."""
        if self._process is not None:
            self._process.kill()
