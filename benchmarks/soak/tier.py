"""Adapters beside a ZooKeeper, each behind a proxy on both sides, and the hands that hurt them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.soak.schedule import Fault
from tests.support.adapters import AdapterProcess
from tests.support.faultproxy import TcpFaultProxy
from tests.support.processes import children, free_ports
from tests.support.zookeeper import ZooKeeperServer

LOOPBACK = "127.0.0.1"
COMMAND = ("registry.cli.main", "adapter")
READY_S_MAX = 60.0
TELL_S_MAX = 2.0
"""For one request to an adapter that may be dead."""


class TierMember:
    """One adapter at one address; its processes come and go. Clients know the proxy before it."""

    def __init__(
        self,
        number: int,
        port: int,
        clients: TcpFaultProxy,
        zookeeper: ZooKeeperServer,
        tier: str,
        directory: Path,
        command: Sequence[str],
    ) -> None:
        """`tier` is the list that is handed out: the proxies."""
        self.number = number
        self.clients = clients
        self.to_zookeeper = TcpFaultProxy((LOOPBACK, zookeeper.port))
        self._port = port
        self._tier = tier
        self._directory = directory
        self._command = command
        self._starts = 0
        self.process = self._start()

    def _start(self) -> AdapterProcess:
        self._starts += 1
        return AdapterProcess(
            f"adapter-{self.number}",
            self._directory / f"adapter-{self.number}.log",
            zookeeper=self.to_zookeeper.address,
            rpc=f"{LOOPBACK}:{self._port}",
            settings={"hbeacon.registry.servers": self._tier, "hbeacon.faults.enabled": "true"},
            command=self._command,
        )

    def pids(self) -> dict[str, int]:
        """Guard, and the worker where there is one."""
        guard = self.process.process.pid
        worker = next(iter(children(guard)), None)
        return {"guard": guard} if worker is None else {"guard": guard, "worker": worker}

    def signal_worker(self, number: signal.Signals) -> None:
        """To the process that serves; nothing where there is none just now."""
        worker = self.pids().get("worker")
        if worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)

    def restart(self) -> None:
        """In order, as an operator does; it takes the same addresses."""
        self.process.process.stop()
        self.process = self._start()
        self.process.wait_ready(READY_S_MAX)

    def tell(self, method: str, document: object = None) -> None:
        """Set or clear faults on demand; one that does not answer is left as it is."""
        url = f"http://{self.process.http}/api/v1/faults"
        body = None if document is None else json.dumps(document).encode()
        with contextlib.suppress(OSError):
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
            urllib.request.urlopen(request, timeout=TELL_S_MAX).close()

    def close(self) -> None:
        """Adapter and proxies."""
        self.process.close()
        self.clients.close()
        self.to_zookeeper.close()


class Tier:
    """All of them. `hurt` may be called from any thread that lives longer than the tier; `close` ends everything."""

    def __init__(
        self, zookeeper: ZooKeeperServer, directory: Path, count: int = 3, command: Sequence[str] = COMMAND
    ) -> None:
        """Start them; `wait_ready` waits. `command` as AdapterProcess has it."""
        self.zookeeper = zookeeper
        ports = free_ports(LOOPBACK, count)
        proxies = [TcpFaultProxy((LOOPBACK, port)) for port in ports]
        self.servers = ",".join(proxy.address for proxy in proxies)
        """As clients are configured with them."""
        self.members = [
            TierMember(number, port, proxy, zookeeper, self.servers, directory, command)
            for number, (port, proxy) in enumerate(zip(ports, proxies, strict=True))
        ]
        self._timers: set[threading.Timer] = set()
        self._closing = threading.Event()

    def wait_ready(self) -> None:
        """Until all answer."""
        for member in self.members:
            member.process.wait_ready(READY_S_MAX)

    def hurt(self, fault: Fault) -> None:
        """Begin it; what lasts ends by a timer."""
        if fault.verb == "zookeeper-restart":
            self.zookeeper.stop()
            self.zookeeper.start(wait=False)
            return
        if fault.verb == "zookeeper-pause":
            self.zookeeper.pause()
            self._later(fault.for_s, self.zookeeper.resume)
            return
        assert fault.adapter is not None
        member = self.members[fault.adapter]
        match fault.verb:
            case "stop":
                member.signal_worker(signal.SIGSTOP)
            case "kill":
                member.signal_worker(signal.SIGKILL)
            case "restart":
                member.restart()
            case "reset":
                member.clients.drop_connections()
            case "delay":
                member.clients.delay(float(fault.words["by_ms"]))
                self._later(fault.for_s, member.clients.heal)
            case "hole":
                member.clients.black_hole()
                self._later(fault.for_s, member.clients.heal)
            case "part":
                member.to_zookeeper.black_hole()
                self._later(fault.for_s, member.to_zookeeper.heal)
            case _:
                self._on_demand(member, fault)

    def heal(self) -> None:
        """End what lasts."""
        self._closing.set()
        for timer in tuple(self._timers):
            timer.cancel()
        self.zookeeper.resume()
        for member in self.members:
            member.clients.heal()
            member.to_zookeeper.heal()
            member.tell("DELETE")

    def close(self) -> None:
        """Everything."""
        self._closing.set()
        for timer in tuple(self._timers):
            timer.cancel()
        for member in self.members:
            member.close()

    def _on_demand(self, member: TierMember, fault: Fault) -> None:
        kind = fault.words["kind"]
        document: dict[str, object] = {
            "kind": kind,
            "probability": float(fault.words["probability"]),
            "duration_ms": fault.for_s * 1000,
            "seed": int(fault.at_s * 10),
        }
        if kind == "delay":
            document["delay_ms"] = float(fault.words["by_ms"])
        member.tell("POST", document)

    def _later(self, for_s: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            if not self._closing.is_set():
                work()

        timer = threading.Timer(for_s, run)
        timer.daemon = True
        self._timers.add(timer)
        timer.start()
