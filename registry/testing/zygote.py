"""The test's end of the process that is loaded once and forks clusters (registry.testing.loaded). Imports little."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from registry.testing.options import ClusterOptions

LOAD_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
LOG = "loaded.log"
LOG_TAIL_LINES = 30
OF_OTHERS = ("HBASE_", "HBEACON_", "ZOOKEEPER_")
"""Variables by which settings are told: those of the machine are not meant for the clusters of tests."""


class ClusterError(Exception):
    """A cluster of a test does not start, or cannot do what it is asked; `str()` says why, with the end of its log."""


class ProcessGone(ClusterError):
    """A process of the cluster does not run now: it was killed, or it is being started."""


class Zygote:
    """One process. `begin` returns at once; it is loaded by the time the first cluster is asked for, or a bit later."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._directory: Path | None = None
        self._asking = threading.RLock()

    @property
    def pid(self) -> int:
        """0 where it was never needed."""
        return self._process.pid if self._process is not None else 0

    @property
    def directory(self) -> Path:
        """For logs, and for files that clients are given; the process removes it, however this one ends."""
        self.begin()
        assert self._directory is not None
        return self._directory

    def begin(self) -> None:
        """Start it, unless it runs."""
        with self._asking:
            if self._process is None or self._process.poll() is not None:
                self.close()
                self._start()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        self._directory = Path(tempfile.mkdtemp(prefix="hbeacon-testing-"))
        with theirs, (self._directory / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "registry.testing.loaded", str(theirs.fileno()), str(self._directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                start_new_session=True,  # Ctrl-C is pytest's, which ends clusters in its own time
            )

    def fork(self, options: ClusterOptions, log_fd: int) -> socket.socket:
        """Have a cluster forked; gives the socket on which it is spoken to. Raises ClusterError."""
        with self._asking:
            self.begin()
            assert self._control is not None
            mine, its = socket.socketpair()
            try:
                with its:
                    self._control.settimeout(LOAD_TIMEOUT_S)
                    socket.send_fds(self._control, [options.as_json().encode()], [its.fileno(), log_fd])
                    answer = self._control.recv(1)
            except OSError as error:
                mine.close()
                raise ClusterError(self._problem(f"did not answer ({error or 'timed out'})")) from None
            if not answer:
                mine.close()
                raise ClusterError(self._problem("has ended"))
            return mine

    def close(self) -> None:
        """End it, and with it every cluster that still runs."""
        process, self._process = self._process, None
        if self._control is not None:
            self._control.close()
            self._control = None
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_TIMEOUT_S)
            if process.poll() is None:
                process.kill()
                process.wait()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _problem(self, what: str) -> str:
        assert self._directory is not None
        log = (self._directory / LOG).read_text(errors="replace")
        return f"the process that forks clusters {what}{tail_of(log)}"


def tail_of(log: str) -> str:
    """The last lines, to stand behind a sentence."""
    lines = log.splitlines()[-LOG_TAIL_LINES:]
    return "; its log ends:\n" + "\n".join(f"  {line}" for line in lines) if lines else "; its log is empty"


def _environment() -> dict[str, str]:
    """That of the test, without settings and warnings of its own; modules are found where the test finds them."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_OTHERS)}
    environment.pop("PYTHONWARNINGS", None)
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return environment
