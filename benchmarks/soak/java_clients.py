"""Stock Java clients: one that writes and reads back all the time, and others that come, read a row, and go."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.support.java import ClientError, JavaClient
from tests.support.real_cluster import QUICK_REFRESH, registry_settings

VERSION = "2.6.4"
TABLE = "soak"
STEADY = "steady"
PATHS = ("RpcConnectionRegistry", "MasterRegistry")
"""Take turns."""
BURST_CONNECTIONS = 4
TIMEOUT_S = 300.0
"""A stock client asks one server after another and gives each twenty seconds."""


@dataclass
class JavaTold:
    """What was done so far."""

    connects_ms: list[float] = field(default_factory=list[float])
    """From the call of createConnection to a row that was read."""
    operations_ms: list[float] = field(default_factory=list[float])
    failed_connects: list[str] = field(default_factory=list[str])
    failed_operations: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])


class JavaClients:
    """One JVM. `close` ends it."""

    def __init__(self, servers: str, directory: Path, pause_ms: int) -> None:
        """Creates the table, so HBase has to be ready."""
        self._servers = servers
        self._pause_ms = pause_ms
        self._java = JavaClient(VERSION, directory / "java-client.log", optimised=True)
        self._told = JavaTold()
        self._events_seen = 0
        self._stopping = threading.Event()
        self._java.open(STEADY, registry_settings(PATHS[0], servers) | QUICK_REFRESH)
        self._java.do("create", STEADY, TABLE, timeout_s=120)
        self._java.do("put", STEADY, TABLE, "row", "value", timeout_s=120)
        self._loop = self._java.submit("loop", STEADY, TABLE, pause_ms)
        self._thread = threading.Thread(target=self._come_and_go, name="java bursts", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the JVM."""
        return self._java.process.pid

    def told(self) -> JavaTold:
        """Everything so far."""
        events = self._java.events.get(STEADY, [])
        for event in events[self._events_seen :]:
            self._events_seen += 1
            if event.ok:
                self._told.operations_ms.append(event.ms)
            else:
                self._told.failed_operations.append(f"{event.op}: {event.error}")
        return self._told

    def stop(self) -> JavaTold:
        """Let those under way end; then everything."""
        self._stopping.set()
        self._thread.join(TIMEOUT_S)
        if self._thread.is_alive():
            self._told.failed_connects.append(f"a burst of connections did not end within {TIMEOUT_S:.0f} s")
        try:
            self._java.do("stop", STEADY, timeout_s=TIMEOUT_S)
            sums = cast("dict[str, int]", self._loop.result(TIMEOUT_S).value)
            if sums["wrong"]:
                self._told.wrong.append(f"{sums['wrong']} of {sums['rounds']} values that were written came back wrong")
        except (ClientError, TimeoutError) as error:
            self._told.failed_operations.append(f"the steady client did not end: {error}")
        return self.told()

    def close(self) -> None:
        """The JVM, whatever it does."""
        self._stopping.set()
        self._java.close()

    def _come_and_go(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            settings = registry_settings(PATHS[turn % len(PATHS)], self._servers) | QUICK_REFRESH
            turn += 1
            words = [f"{key}={value}" for key, value in settings.items()]
            try:
                # one at a time; twice the steady client's pause between them
                done = self._java.do(
                    "burst", BURST_CONNECTIONS, 1, 2 * self._pause_ms, TABLE, *words, timeout_s=TIMEOUT_S
                )
            except (ClientError, TimeoutError) as error:
                if not self._stopping.is_set():
                    self._told.failed_connects.append(str(error))
                    self._stopping.wait(1.0)
                continue
            for sample in cast("list[dict[str, Any]]", done.value):
                if sample["ok"]:
                    self._told.connects_ms.append(float(sample["connect_ms"]) + float(sample["get_ms"]))
                else:
                    self._told.failed_connects.append(str(sample["error"]))
