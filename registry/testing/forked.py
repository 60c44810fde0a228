"""One cluster of a test, in a process forked from a loaded one: the parent of its roles, as in `hbeacon dev`.

It is told what to do on a socket by the test that owns it, a JSON object a line each way:

    -> {"ready": {...}}, or {"failed": SENTENCE} and the end
    <- {"do": "advance", "ms": N} and the like;  -> {"ok": ...} or {"error": SENTENCE}

When the test closes the socket, or ends in whatever way, all of the cluster is killed at once and its directory is
removed: nobody needs anything of it any more.

Source: registry.dev, whose processes these are.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from registry.cli.flags import Flags
from registry.config.settings import BadSetting, Settings
from registry.dev.announce import Cluster
from registry.dev.child import Child
from registry.dev.data_dir import DataDir, DataDirError
from registry.dev.plan import Doors, plan_of
from registry.dev.process import INITIALIZED, Dev, DevOptions
from registry.dev.supervisor import Supervisor, signals_held
from registry.exits import FAILED
from registry.logs import set_up_logs
from registry.names import Address
from registry.role.listening import CannotListen
from registry.testing.clock import SharedClock
from registry.testing.options import ClusterOptions
from registry.testing.places import DOORS
from registry.testing.roles import Run, master_run

REGION_SERVER_RUN = "regionserver.testing"
STOP_TIMEOUT_MS = 3000.0
LINE_BYTES_MAX = 1 << 20
ANY = Address("127.0.0.1", 0)


def run_cluster(options: ClusterOptions, control: socket.socket) -> int:
    """The whole life of a cluster; gives the exit code of its process."""
    try:
        with contextlib.ExitStack() as stack:
            values = _values(options)
            flags = Flags(values, dict.fromkeys(values, "options of the test"), None)
            settings = flags.load()
            set_up_logs("text", options.log_level, "cluster")
            with signals_held():
                data = stack.enter_context(contextlib.closing(DataDir.open("")))
                plan = plan_of(
                    ANY,
                    ANY,
                    ANY if options.pages else None,
                    options.masters,
                    region_servers_count=options.region_servers,
                    free_ports=True,
                )
                doors = stack.enter_context(contextlib.closing(Doors(plan)))
                clock = SharedClock()
                supervisor = Supervisor(clock, stop_timeout_ms=STOP_TIMEOUT_MS)
            of_dev = DevOptions(options.masters, options.region_servers, free_ports=True)
            dev = _TestedDev(flags, settings, of_dev, doors, data, supervisor, clock)
            desk = _Desk(control, supervisor, clock)
            dev.start()
            began_ms = clock.monotonic_ms()
            awaited = INITIALIZED if options.region_servers else ""

            def ready() -> None:
                desk.say({"ready": _told(dev.cluster(clock.monotonic_ms() - began_ms))})

            code = supervisor.run(ready, awaited)
            if code:
                desk.say({"failed": f"it ended with exit code {code}"})
            return code
    except (BadSetting, DataDirError, CannotListen, ValueError) as error:
        _say(control, {"failed": str(error)})
        return FAILED


class _TestedDev(Dev):
    """`hbeacon dev` whose servers have a door for the test and the calendar of this process."""

    def __init__(
        self,
        flags: Flags,
        settings: Settings,
        options: DevOptions,
        doors: Doors,
        data: DataDir,
        supervisor: Supervisor,
        clock: SharedClock,
    ) -> None:
        super().__init__(flags, settings, options, doors, data, supervisor)
        self._doors_dir = data.path / DOORS
        self._doors_dir.mkdir(mode=0o700)
        self._clock = clock

    def run_of(self, kind: str, name: str) -> Run:
        """Those of tests."""
        door = self._doors_dir / name
        if kind == "master":
            return master_run(self._clock, door)
        from importlib import import_module

        region_server_run: Callable[..., Run] = import_module(REGION_SERVER_RUN).region_server_run
        return region_server_run(self._clock, door)


class _Desk:
    """What the test asks of the parent of its cluster."""

    def __init__(self, control: socket.socket, supervisor: Supervisor, clock: SharedClock) -> None:
        self._control = control
        self._supervisor = supervisor
        self._clock = clock
        self._heard = b""
        control.setblocking(False)
        supervisor.listen(control.fileno(), self._hear)
        self._words: dict[str, Callable[[Mapping[str, Any]], object]] = {
            "advance": self._advance,
            "processes": self._processes,
            "signal": self._signal,
            "start": self._start,
        }

    def say(self, document: Mapping[str, object]) -> None:
        """Tell the test, if it is still there."""
        _say(self._control, document)

    def _hear(self) -> None:
        try:
            data = self._control.recv(LINE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._supervisor.stop(at_once=True)
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            try:
                self.say({"ok": self._words[request["do"]](request)})
            except (LookupError, OSError) as error:
                self.say({"error": str(error)})

    def _advance(self, request: Mapping[str, Any]) -> object:
        self._clock.advance(request["ms"])
        return self._clock.ahead_ms

    def _processes(self, request: Mapping[str, Any]) -> object:
        del request
        return {child.role.name: {"pid": child.pid, "ready": child.is_ready} for child in self._supervisor.children}

    def _signal(self, request: Mapping[str, Any]) -> object:
        """SIGKILL, SIGSTOP or SIGCONT; gives the pid that got it."""
        child = self._child(request["name"])
        child.stays_down = bool(request.get("stays_down"))
        self._supervisor.send(child, signal.Signals(request["signal"]))
        return child.pid

    def _start(self, request: Mapping[str, Any]) -> object:
        self._supervisor.start_again(self._child(request["name"]))
        return None

    def _child(self, name: str) -> Child:
        return next(child for child in self._supervisor.children if child.role.name == name)


def _say(control: socket.socket, document: Mapping[str, object]) -> None:
    with contextlib.suppress(OSError):
        control.setblocking(True)
        control.sendall(json.dumps(document).encode() + b"\n")
        control.setblocking(False)


def _values(options: ClusterOptions) -> dict[str, str]:
    return {
        "hbeacon.engine": options.engine,
        "hbeacon.faults.enabled": "true",
        "hbeacon.log.level": options.log_level,
        **({} if options.pages else {"hbeacon.http.address": "off"}),
        **options.settings,
    }


def _told(cluster: Cluster) -> dict[str, object]:
    return {
        "zookeeper": str(cluster.zookeeper),
        "znode_parent": cluster.znode_parent,
        "masters": [str(each) for each in cluster.masters],
        "region_servers": [str(each) for each in cluster.region_servers],
        "pages": [str(each) for each in (*cluster.pages, *cluster.region_server_pages)],
        "cluster_id": cluster.cluster_id,
        "directory": str(cluster.data_dir),
        "pids": {"cluster": os.getpid(), **cluster.pids},
        "took_ms": cluster.took_ms,
    }


def live(options: ClusterOptions, control: socket.socket, log_fd: int) -> int:
    """`run_cluster` in the child that has just been forked, its log in the given file."""
    os.dup2(log_fd, 2)
    os.dup2(log_fd, 1)
    os.close(log_fd)
    sys.stderr.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return run_cluster(options, control)
