"""A cluster of a test, as the test sees it: where it is, and what may be done to it. Blocking; imports little.

Requests to the cluster are answered within milliseconds by its own processes, over Unix sockets: they may be made from
a test with a loop too.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from registry.dev.hbase_site import by_registry, by_zookeeper, write_files, xml_lines
from registry.names import Address
from registry.testing.faults import Fault, Faults
from registry.testing.options import ClusterOptions
from registry.testing.places import DOORS, within_reach
from registry.testing.snapshots import Snapshot, restored, taken
from registry.testing.zygote import ClusterError, ProcessGone, Zygote, tail_of

if TYPE_CHECKING:
    from registry.client.blocking import BlockingConnection
    from registry.client.connect import Connecting

REQUEST_TIMEOUT_S = 60.0
GONE_S = 10.0
POLL_S = 0.005
READ_BYTES = 1 << 16
NAMES = {"regionserver": "rs", "zookeeper": "coordinator"}
"""What people say, and what the processes are called."""


class Cluster:
    """Coordinator, masters and region servers of its own, on ports of its own, until `close`."""

    def __init__(self, zygote: Zygote, options: ClusterOptions, seed: int = 0) -> None:
        """Start it and wait until tables can be made. Raises ClusterError."""
        self.options = options
        self._chance = random.Random(seed)
        self._asking = threading.Lock()
        self._heard = b""
        self._directory = zygote.directory
        handle, name = tempfile.mkstemp(prefix="cluster-", suffix=".log", dir=self._directory)
        self.logs = Logs(Path(name))
        """What all its processes have logged."""
        self._conf: Path | None = None
        self._standing: set[str] = set()
        """Processes that were stopped."""
        try:
            try:
                self._control: socket.socket | None = zygote.fork(options, handle)
            finally:
                os.close(handle)
            self._told = self._until_ready(options.start_timeout_s)
            self.logs.ready_bytes = self.logs.size_bytes
        except BaseException:
            self.close()
            raise

    # --- where it is --------------------------------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        """For `hbeacon.connect`, and clients of HBase 3: `hbase+rpc://HOST:PORT,...`."""
        return "hbase+rpc://" + ",".join(self.masters)

    @property
    def zookeeper(self) -> str:
        """HOST:PORT of what speaks ZooKeeper's protocol, for clients that find the cluster there."""
        return self._told["zookeeper"]

    @property
    def znode_parent(self) -> str:
        """HBase's znode there."""
        return self._told["znode_parent"]

    @property
    def masters(self) -> list[str]:
        """HOST:PORT of each."""
        return self._told["masters"]

    @property
    def active_master(self) -> str:
        """The name of its process, such as `master0`. Raises ClusterError while there is none."""
        for process in self.servers("master"):
            with contextlib.suppress(ClusterError):
                self.ask_server(process, {"do": "acting"})
                return process
        raise ClusterError("no master is active")

    @property
    def region_servers(self) -> list[str]:
        """HOST:PORT of each."""
        return self._told["region_servers"]

    @property
    def pages(self) -> list[str]:
        """HOST:PORT of the pages and the HTTP API of each master, then of each region server; needs `pages=True`."""
        return self._told["pages"]

    @property
    def cluster_id(self) -> str:
        """As clients are told it."""
        return self._told["cluster_id"]

    @property
    def directory(self) -> Path:
        """What it keeps; removed at the end."""
        return Path(self._told["directory"])

    @property
    def pids(self) -> dict[str, int]:
        """Of its processes now, by name; 0 of one that does not run."""
        found = {name: each["pid"] for name, each in self._ask({"do": "processes"}).items()}
        return {"cluster": self._told["pids"]["cluster"], **found}

    def hbase_site(self, path: str | os.PathLike[str], *, registry: str = "rpc") -> Path:
        """Write an hbase-site.xml for any client and give its path; a directory gets a file of that name.

        `registry`: `rpc` for Java clients from 2.5 on, `zookeeper` for all that find the cluster there.
        """
        target = Path(path)
        if target.is_dir() or target.suffix != ".xml":
            target.mkdir(parents=True, exist_ok=True)
            target /= "hbase-site.xml"
        properties = {"rpc": self._by_registry, "zookeeper": self._by_zookeeper}[registry]()
        target.write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join(xml_lines(properties)) + "\n")
        return target

    @property
    def environ(self) -> dict[str, str]:
        """Variables for a client in another process, and those that this one has.

        HBASE_CONF_DIR (for Java 2.5 and later; DIR/zookeeper for the others), HBASE_MASTERS, HBASE_ZOOKEEPER_QUORUM
        (HOST:PORT) and ZOOKEEPER_ZNODE_PARENT.
        """
        if self._conf is None:
            self._conf = Path(tempfile.mkdtemp(prefix="conf-", dir=self._directory))
            write_files(self._conf, self._by_registry(), self._by_zookeeper())
        return {
            **os.environ,
            "HBASE_CONF_DIR": str(self._conf),
            "HBASE_MASTERS": ",".join(self.masters),
            "HBASE_ZOOKEEPER_QUORUM": self.zookeeper,
            "ZOOKEEPER_ZNODE_PARENT": self.znode_parent,
        }

    def connect(self, **options: Any) -> Connecting:
        """`hbeacon.connect` to this cluster: await it, or use it in `async with`."""
        from registry.client.connect import connect

        return connect(self.uri, **options)

    def connect_blocking(self, **options: Any) -> BlockingConnection:
        """`hbeacon.connect_blocking` to this cluster."""
        from registry.client.blocking import connect_blocking

        return connect_blocking(self.uri, **options)

    # --- time ---------------------------------------------------------------------------------------------------------

    def advance(self, **how_far: float) -> None:
        """Have its calendar go on by `hours=3`, or whatever timedelta takes: cells grow old by it, and expire.

        Time-outs do not pass by it: those of calls, of sessions, of scanners. It never goes back.
        """
        more_ms = timedelta(**how_far) / timedelta(milliseconds=1)
        if more_ms < 0:
            raise ValueError("the time of a cluster never goes back: start another one")
        self._ask({"do": "advance", "ms": more_ms})

    @property
    def now(self) -> datetime:
        """What its calendar says."""
        ahead_ms: float = self._ask({"do": "advance", "ms": 0})
        return datetime.now(UTC) + timedelta(milliseconds=ahead_ms)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """Those that are set."""
        return Faults(self)

    def fault(self, kind: str, *, on: str = "", **fields: Any) -> Fault:
        """Have servers do wrong, until it is removed, or a `with` block that takes it ends.

        `kind` and `fields` are those of docs/faults.md: `methods`, `delay_ms`, `probability`, `count`, `seed`, ... `on`
        is `master`, `regionserver`, or one such as `regionserver0`; empty: all that have the methods.
        """
        fields.setdefault("seed", self._chance.randrange(2**32))
        return self.faults.add({"kind": kind, **fields}, self.servers(on))

    def kill(self, name: str, *, restart: bool = True) -> None:
        """End a process as by kill -9: `master0`, `regionserver0`, `coordinator`; it is started again at once.

        Returns when it is dead. With `restart=False` it stays so until `start`.
        """
        process = self._process(name)
        if process.startswith("rs") and self.options.engine == "memory":
            raise ClusterError(
                f"{name} has its rows in memory, and hbase:meta may be among them: mark the test with"
                ' hbeacon(engine="rocksdb") to kill it'
            )
        pid: int = self._ask({"do": "signal", "name": process, "signal": signal.SIGKILL, "stays_down": not restart})
        deadline_s = time.monotonic() + GONE_S
        while pid and self._ask({"do": "processes"})[process]["pid"] == pid:
            if time.monotonic() > deadline_s:
                raise ClusterError(f"{name} (pid {pid}) was killed and is still there")
            time.sleep(POLL_S)

    def start(self, name: str) -> None:
        """Start one that was killed with `restart=False`."""
        self._ask({"do": "start", "name": self._process(name)})

    @contextlib.contextmanager
    def stopped(self, name: str) -> Generator[None]:
        """Have a process stand still (SIGSTOP) for the length of a `with` block: it neither answers nor ends."""
        process = self._process(name)
        self._ask({"do": "signal", "name": process, "signal": signal.SIGSTOP})
        self._standing.add(process)
        try:
            yield
        finally:
            self._standing.discard(process)
            self._ask({"do": "signal", "name": process, "signal": signal.SIGCONT})

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Until all processes answer again, and no region is on its way. Raises ClusterError."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            waiting = [name for name, each in self._ask({"do": "processes"}).items() if not each["ready"]]
            try:
                if not waiting:
                    self.ask_master({"do": "catalogue" if self.region_servers else "acting"})
                    return
            except ClusterError as error:
                waiting = [str(error)]
            if time.monotonic() > deadline_s:
                raise ClusterError(f"not ready after {timeout_s:g} s: {', '.join(waiting)}")
            time.sleep(POLL_S)

    # --- state --------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All namespaces, tables and rows as they are now. Nobody may be at work in them meanwhile."""
        return taken(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Have all of it as it was then, and nothing else. Neither the calendar nor where regions are goes back."""
        restored(self, snapshot)

    # --- asking -------------------------------------------------------------------------------------------------------

    def servers(self, on: str = "") -> list[str]:
        """Names of processes: of one, of all masters or region servers, or of both."""
        all_of = {
            "master": [f"master{number}" for number in range(len(self.masters))],
            "regionserver": [f"rs{number}" for number in range(len(self.region_servers))],
        }
        if on.removesuffix("s") in all_of:
            return all_of[on.removesuffix("s")]
        return [self._process(on)] if on else [*all_of["master"], *all_of["regionserver"]]

    def ask_server(self, process: str, request: Mapping[str, Any]) -> Any:
        """Ask a process at its door for tests. Raises ClusterError."""
        if process in self._standing:
            raise ClusterError(
                f"{process.replace('rs', 'regionserver')} stands still, and hears nothing until it goes on"
            )
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(REQUEST_TIMEOUT_S)
                try:
                    with within_reach(self.directory / DOORS / process) as name:
                        door.connect(name)
                except (ConnectionRefusedError, FileNotFoundError):
                    raise ProcessGone(f"{process} does not run at the moment") from None
                door.sendall(json.dumps(request).encode() + b"\n")
                return _answer(_line(door, b"")[0], process)
        except OSError as error:
            raise ClusterError(f"{process} does not answer: {error}") from None

    def ask_master(self, request: Mapping[str, Any]) -> Any:
        """Ask the active master. Raises ClusterError."""
        problem = "there is no master"
        for process in self.servers("master"):
            try:
                return self.ask_server(process, request)
            except ClusterError as error:
                problem = str(error)
        raise ClusterError(problem)

    def _ask(self, request: Mapping[str, Any]) -> Any:
        """Ask the parent of its processes."""
        with self._asking:
            if self._control is None:
                raise ClusterError("this cluster was closed")
            try:
                self._control.settimeout(REQUEST_TIMEOUT_S)
                self._control.sendall(json.dumps(request).encode() + b"\n")
                line, self._heard = _line(self._control, self._heard)
            except OSError as error:
                raise ClusterError(f"the cluster has ended ({error}){tail_of(str(self.logs))}") from None
            return _answer(line, "the cluster")

    def _process(self, name: str) -> str:
        process = name
        for said, called in NAMES.items():
            if name.rstrip("0123456789") == said:
                process = called + name.removeprefix(said)
        known = ["coordinator", *self.servers()]
        if process not in known:
            names = ", ".join(each.replace("rs", "regionserver") for each in known)
            raise ValueError(f"{name!r} is no process of this cluster: write one of {names}")
        return process

    def _until_ready(self, timeout_s: float) -> dict[str, Any]:
        assert self._control is not None
        self._control.settimeout(timeout_s)
        try:
            line, self._heard = _line(self._control, b"")
        except TimeoutError:
            raise ClusterError(f"the cluster was not ready within {timeout_s:g} s{tail_of(str(self.logs))}") from None
        except OSError:
            raise ClusterError(f"the cluster ended before it was ready{tail_of(str(self.logs))}") from None
        told: dict[str, Any] = json.loads(line)
        if "failed" in told:
            raise ClusterError(f"the cluster does not start: {told['failed']}{tail_of(str(self.logs))}")
        return told["ready"]

    def _by_registry(self) -> dict[str, str]:
        return by_registry([Address.parse(each) for each in (*self.masters, *self.region_servers)])

    def _by_zookeeper(self) -> dict[str, str]:
        return by_zookeeper(Address.parse(self.zookeeper), self.znode_parent)

    # --- its end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all of it; returns when its processes, ports and files are gone. May be called again."""
        control, self._control = getattr(self, "_control", None), None
        if control is not None:
            with contextlib.suppress(OSError):  # it is gone already, and its last words were for nobody
                control.shutdown(socket.SHUT_WR)
                control.settimeout(GONE_S)
                while control.recv(READ_BYTES):
                    pass
            control.close()
        if self._conf is not None:
            shutil.rmtree(self._conf, ignore_errors=True)
            self._conf = None
        self.logs.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uri}>" if hasattr(self, "_told") else f"<{type(self).__name__}>"


class Logs:
    """The log of all processes of a cluster; `str()` is all of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ready_bytes = 0
        """How much of it tells of the start."""
        self._last = b""

    def __str__(self) -> str:
        return self._all().decode(errors="replace")

    @property
    def size_bytes(self) -> int:
        """How long it is by now."""
        return self.path.stat().st_size if self.path.exists() else len(self._last)

    def since(self, size_bytes: int) -> list[str]:
        """Lines that came when it was so long already."""
        return self._all()[size_bytes:].decode(errors="replace").splitlines()

    def of(self, name: str) -> list[str]:
        """Lines of one process, such as `master0` or `regionserver0`."""
        mark = f" [{name.replace('regionserver', 'rs')}] "
        return [line for line in str(self).splitlines() if mark in line]

    def remove(self) -> None:
        """Delete the file; what it said can still be read."""
        self._last = self._all()
        self.path.unlink(missing_ok=True)

    def _all(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return self._last


def _line(channel: socket.socket, heard: bytes) -> tuple[bytes, bytes]:
    """The next line, and what came after it. Raises OSError at the end."""
    pieces = [heard]
    while b"\n" not in pieces[-1]:
        data = channel.recv(READ_BYTES)
        if not data:
            raise ConnectionError("it has closed the connection")
        pieces.append(data)
    line, _, rest = b"".join(pieces).partition(b"\n")
    return line, rest


def _answer(line: bytes, who: str) -> Any:
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ClusterError(f"{who}: {answer['error']}")
    return answer["ok"]
