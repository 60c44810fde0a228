"""hbeacon's own cluster as processes of their own: a coordinator, masters and region servers, each to be hurt alone.

`hbeacon dev` would start again what a test has killed; here what is dead stays dead until the test starts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.adapters import AdapterProcess
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.processes import free_ports, wait_for

HOST = "127.0.0.1"
SESSION_MS = 8000
"""For tests that wait for the end of sessions; a busy machine keeps a process from its pings for seconds."""


class OwnCluster:
    """Starts everything at once; `wait_ready` until tables can be created. Ports stay the same over restarts.

    With `shared` all region servers have one data directory, as on one machine; without it each has one of its own, as
    if on machines of their own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        masters: int = 2,
        region_servers: int = 2,
        shared: bool = True,
        session_ms: int = SESSION_MS,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._settings = {"zookeeper.session.timeout": str(session_ms), **(settings or {})}
        self._shared = shared
        self.coordinator = CoordinatorProcess(directory / "coordinator")
        self.coordinator.start()
        ports = free_ports(HOST, 2 * (masters + region_servers))
        self.master_ports = ports[: 2 * masters : 2]
        self.region_server_ports = ports[2 * masters :: 2]
        self._pages = dict(zip(ports[::2], ports[1::2], strict=True))
        self.masters = [self.start_master(number) for number in range(masters)]
        self.region_servers = [self.start_region_server(number) for number in range(region_servers)]

    @property
    def zookeeper(self) -> str:
        return self.coordinator.address

    @property
    def master_addresses(self) -> str:
        """What a client puts into hbase.masters."""
        return ",".join(f"{HOST}:{port}" for port in self.master_ports)

    @property
    def region_server_addresses(self) -> str:
        """What a client puts into hbase.client.bootstrap.servers."""
        return ",".join(f"{HOST}:{port}" for port in self.region_server_ports)

    def start_master(self, number: int) -> AdapterProcess:
        """Master `number` on its port; `masters[number]` is it from now on."""
        made = self._start(f"master{number}", "master", self.master_ports[number], "master")
        if number < len(getattr(self, "masters", ())):
            self.masters[number] = made
        return made

    def start_region_server(self, number: int) -> AdapterProcess:
        """Region server `number` on its port; `region_servers[number]` is it from now on."""
        data = "rows" if self._shared else f"rows{number}"
        made = self._start(f"regionserver{number}", "regionserver", self.region_server_ports[number], data)
        if number < len(getattr(self, "region_servers", ())):
            self.region_servers[number] = made
        return made

    def _start(self, name: str, role: str, port: int, data: str) -> AdapterProcess:
        return AdapterProcess(
            name,
            self.directory / f"{name}.log",
            zookeeper=self.zookeeper,
            rpc=f"{HOST}:{port}",
            http=f"{HOST}:{self._pages[port]}",
            guard=False,
            settings={**self._settings, "hbeacon.data.dir": str(self.directory / data)},
            command=("registry.cli.main", role),
        )

    def wait_ready(self, timeout_s: float = 30.0) -> OwnCluster:
        """Until every process has said that it is ready and one master is active and initialised."""
        for each in (*self.masters, *self.region_servers):
            each.wait_ready(timeout_s)
        try:
            wait_for("an initialised master and region servers that are ready", self._all_ready, timeout_s)
        except AssertionError as error:
            error.add_note(self._told())
            raise
        return self

    def _told(self) -> str:
        """What every process says of itself, and the ends of their logs."""
        told: list[str] = []
        for each in (*self.masters, *self.region_servers):
            answers = [f"{path}: {each.get(path)}" for path in ("/health", "/ready") if each.process.running]
            told += [f"{each.process.name}, running: {each.process.running}", *answers, each.process.tail()]
        return "\n".join(told)

    def _all_ready(self) -> bool:
        for each in (*self.masters, *self.region_servers):
            assert each.process.running, f"{each.process.name} has ended:\n{each.process.tail()}"
        answers = [each.get("/health") for each in self.masters]
        told = [json.loads(body).get("cluster") for status, body in answers if status == 200]
        if not any(each is not None and each["initialized"] for each in told):
            return False
        return all(each.get("/ready")[0] == 200 for each in self.region_servers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for each in (*self.masters, *self.region_servers):
            each.close()
        self.coordinator.close()
