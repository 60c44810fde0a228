"""`hbeacon adapter` as a user starts it: a process, its ready line, its doors."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from tests.support.processes import ManagedProcess, children, wait_for

ROOT = Path(__file__).parent.parent.parent


class AdapterProcess:
    """One adapter. With the guard on, `process` is the guard and `worker_pid()` the server it started."""

    def __init__(
        self,
        name: str,
        log: Path,
        *,
        zookeeper: str,
        rpc: str,
        http: str = "127.0.0.1:0",
        guard: bool = True,
        settings: Mapping[str, str] | None = None,
        command: Sequence[str] = ("registry.cli.main", "adapter"),
        env: Mapping[str, str] | None = None,
        enter: Sequence[str] = (),
    ) -> None:
        """`command`: a module to run and its first words; every server role takes the same flags."""
        self.guarded = guard
        self.rpc = self.http = self.facade = ""
        sets = [word for key, value in (settings or {}).items() for word in ("--set", f"{key}={value}")]
        self.process = ManagedProcess(
            name,
            [
                *(sys.executable, "-m", *command, "--zookeeper", zookeeper),
                *("--rpc", rpc, "--http", http, "--guard", "on" if guard else "off", *sets),
            ],
            log,
            cwd=ROOT,
            pipes=True,
            env=env,
            enter=enter,
        )
        self.lines = self.process.said()

    def wait_ready(self, timeout_s: float = 30.0) -> AdapterProcess:
        """Until the ready line, from which it takes the real addresses."""

        def ready_line() -> str | None:
            assert self.process.running, f"{self.process.name} has ended:\n{self.process.tail()}"
            return next((line for line in self.lines if " ready " in line), None)

        line = wait_for(f"the ready line of {self.process.name}", ready_line, timeout_s)
        doors = dict(word.split("=", 1) for word in line.split() if "=" in word)
        self.rpc, self.http, self.facade = doors["rpc"], doors["http"], doors.get("facade", "")
        return self

    @property
    def rpc_address(self) -> tuple[str, int]:
        host, _, port = self.rpc.rpartition(":")
        return host, int(port)

    def get(self, path: str, timeout_s: float = 5.0) -> tuple[int, bytes]:
        """HTTP status and body; 0 where the server does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=timeout_s) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def get_json(self, path: str) -> dict[str, Any]:
        """The body of an answer 200."""
        status, body = self.get(path)
        assert status == 200, (path, status, body[:500])
        return cast("dict[str, Any]", json.loads(body))

    def worker_pid(self) -> int:
        """The process that serves."""
        if not self.guarded:
            return self.process.pid
        return wait_for(f"a worker of {self.process.name}", lambda: next(iter(children(self.process.pid)), None), 10)

    def freeze(self) -> int:
        """SIGSTOP to the server; the guard stays alive. The process id that was stopped."""
        pid = self.worker_pid()
        os.kill(pid, signal.SIGSTOP)
        return pid

    def thaw(self) -> None:
        """SIGCONT, for a server without a guard."""
        os.kill(self.worker_pid(), signal.SIGCONT)

    def close(self) -> None:
        """SIGKILL to guard and server: a stopped server would not see the guard go."""
        workers = children(self.process.pid)
        self.process.kill()
        for pid in workers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def addresses(adapters: Sequence[AdapterProcess]) -> str:
    """What a client puts into hbase.masters or hbase.client.bootstrap.servers."""
    return ",".join(adapter.rpc for adapter in adapters)
