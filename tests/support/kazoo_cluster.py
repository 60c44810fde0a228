"""What kazoo's own test harness takes for its ensemble: one server, which is the coordinator.

The harness asks `address` and `running` of a server, calls `run`, `stop`, `reset` and `destroy`; of the whole it asks
iteration and indexing, and calls `start`, `terminate` and `get_logs`.

Source: kazoo.testing.harness, kazoo.testing.common.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.coordinator_process import CoordinatorProcess
from tests.support.zookeeper import ZooKeeperServer, debian

SERVER = "HBEACON_KAZOO_SERVER"
"""Environment variable: `coordinator`, or `zookeeper` for one real server with the same list of tests."""
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
"""Password `test`; what kazoo's harness gives its servers."""


class KazooServer:
    """One server under kazoo's names. It keeps its port and, until `reset` or `destroy`, its data."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="hbeacon-kazoo-"))
        self._server: CoordinatorProcess | ZooKeeperServer
        if os.environ.get(SERVER) == "zookeeper":
            self._server = ZooKeeperServer(debian(), self._directory)
        else:
            self._server = CoordinatorProcess(
                self._directory,
                settings={
                    "zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
                    "hbase.zookeeper.property.4lw.commands.whitelist": "*",
                },
            )
        self.running = False

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def client_port(self) -> int:
        return self._server.port

    def run(self) -> None:
        if not self.running:
            self._server.start()
            self.running = True

    def stop(self) -> None:
        if self.running:
            self._server.stop()
            self.running = False

    def reset(self) -> None:
        self.stop()
        self._server.wipe()

    def destroy(self) -> None:
        self.reset()

    def get_logs(self) -> list[str]:
        log = next(self._directory.glob("*.log"), None)
        return log.read_text(errors="replace").splitlines(keepends=True)[-100:] if log else []

    def close(self) -> None:
        """End it and remove its directory."""
        self._server.close()
        shutil.rmtree(self._directory, ignore_errors=True)


class KazooCluster:
    """A cluster of one."""

    def __init__(self) -> None:
        self._servers = [KazooServer()]

    def __getitem__(self, index: int) -> KazooServer:
        return self._servers[index]

    def __iter__(self) -> Iterator[KazooServer]:
        return iter(self._servers)

    def start(self) -> None:
        for server in self:
            server.run()

    def stop(self) -> None:
        for server in self:
            server.stop()

    def terminate(self) -> None:
        for server in self:
            server.destroy()

    def reset(self) -> None:
        for server in self:
            server.reset()

    def get_logs(self) -> list[str]:
        return [line for server in self for line in server.get_logs()]

    def close(self) -> None:
        for server in self:
            server.close()


_made: list[KazooCluster] = []


def get_global_cluster() -> KazooCluster:
    """The cluster of this process; it ends with it."""
    if not _made:
        _made.append(KazooCluster())
        atexit.register(_made[0].close)
    return _made[0]
