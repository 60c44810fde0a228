"""`hbeacon dev` from the command line to its end: state, doors, forks, announcement, and the way back.

The order decides how fast it is. The coordinator is forked as soon as its own modules are there; while it reads its
journal, the parent loads what masters need, pages included, and then forks them: they share all of that memory. While
they elect one of them it loads what region servers need beyond that, and forks those.

At the end masters go first: what region servers close then is an end and not a failure, and stays where it is for the
next start.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from registry.cli.flags import Flags
from registry.clock import Clock
from registry.config.settings import Settings
from registry.dev.announce import Cluster, announcement, ready_line
from registry.dev.child import Role
from registry.dev.data_dir import DataDir, DataDirError
from registry.dev.hbase_site import NotOurFileError, by_registry, by_zookeeper, check_ours, write_files
from registry.dev.plan import Doors, Plan, ServerDoors, is_local_only, plan_of, told
from registry.dev.roles import (
    coordinator_values,
    master_values,
    quiet,
    region_server_values,
    servers_of,
    with_values,
)
from registry.dev.supervisor import Supervisor, signals_held
from registry.exits import BAD_SETTING, CANNOT_LISTEN, REFUSED
from registry.logs import parse_levels, set_up_logs
from registry.names import Address
from registry.role.listening import CannotListen

logger = logging.getLogger("registry.dev")

STOP_GRACE_MS = 3000
"""What a role gets beyond hbeacon.drain.timeout_ms to close its session and end."""
ENDS_WITH = frozenset({BAD_SETTING, REFUSED})
"""A setting stays wrong, and foreign or damaged data stays so. A port that is taken may become free."""
OF_MASTERS = (
    "registry.master.process",
    "registry.master.server",
    "registry.role.status",
    "registry.lookup.ask",
    "registry.lookup.selfcheck",
    "registry.http.app",
    "registry.http.serve",
    "registry.cli.version",
    "concurrent.futures.thread",
    "uvicorn.lifespan.off",
)
"""What a master imports sooner or later: what is missing here is loaded by each of them on its own."""
RUN = {
    "master": ("registry.master.process", "run_master"),
    "regionserver": ("regionserver.process", "run_region_server"),
}
"""Module and function by role, by name: the registry knows nothing of those who stand on it."""
OF_REGION_SERVERS = (
    "regionserver.process",
    "regionserver.server",
    "regionserver.status",
    "regionserver.engine.rocksdb",
)
"""What a region server imports beyond that."""
INITIALIZED = "initialized"
"""Said by an active master once hbase:meta is open and its work has begun: from then on tables can be created."""
IF_THERE = ("uvloop", "ctypes", "pydantic.v1")
"""The same, where the platform has it."""


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What the command line of `hbeacon dev` says beside settings."""

    masters_count: int
    region_servers_count: int = 0
    free_ports: bool = False
    write_conf: Path | None = None


def run_dev(flags: Flags, options: DevOptions, clock: Clock, began_ms: float) -> int:
    """Run all of it until stopped; gives the exit code. Raises BadSetting before anything is opened.

    `began_ms`: when the command began, by the clock.
    """
    settings = flags.load()
    flags = quiet(flags, settings)
    settings = flags.load()
    _check(settings)
    set_up_logs(settings.choice("hbeacon.log.format"), settings.str_("hbeacon.log.level"), "dev")
    for warning in settings.warnings:
        logger.warning("%s", warning)
    with contextlib.ExitStack() as stack:
        with signals_held():
            try:
                if options.write_conf is not None:
                    check_ours(options.write_conf)
                doors = stack.enter_context(contextlib.closing(Doors(_plan(settings, options))))
                data = stack.enter_context(contextlib.closing(DataDir.open(settings.str_("hbeacon.data.dir").strip())))
            except CannotListen as error:
                return _refused(error, CANNOT_LISTEN)
            except DataDirError as error:
                return _refused(error, REFUSED)
            except NotOurFileError as error:
                return _refused(error, BAD_SETTING)
            supervisor = Supervisor(
                clock,
                stop_timeout_ms=settings.ms("hbeacon.drain.timeout_ms") + STOP_GRACE_MS,
                hangup_stops=sys.stdin is not None and sys.stdin.isatty(),
                # off unless asked for: here people stop a server in a debugger, or to see what happens
                guards=settings.is_set("hbeacon.guard") and settings.bool_("hbeacon.guard"),
            )
        dev = Dev(flags, settings, options, doors, data, supervisor)
        dev.start()
        awaited = INITIALIZED if options.region_servers_count else ""
        code = supervisor.run(lambda: dev.announce(clock.monotonic_ms() - began_ms), awaited)
        if data.temporary:
            logger.info("stopped; what it kept is gone")
        else:
            logger.info("stopped; its state is in %s", data.path)
        return code


class Dev:
    """The roles of one run, made from one command line."""

    def __init__(
        self,
        flags: Flags,
        settings: Settings,
        options: DevOptions,
        doors: Doors,
        data: DataDir,
        supervisor: Supervisor,
    ) -> None:
        self._flags = flags
        self._settings = settings
        self._options = options
        self._doors = doors
        self._data = data
        self._supervisor = supervisor
        self._advertised_host = _advertised_host(settings)
        self._servers = servers_of(doors.plan.masters, self._advertised_host)

    def start(self) -> None:
        """Fork the coordinator, load what masters need, fork the masters; the same for region servers."""
        doors = self._doors
        of_masters = [opened.fileno() for master in doors.masters for opened in master.values()]
        of_region_servers = [opened.fileno() for server in doors.region_servers for opened in server.values()]
        self._supervisor.start_stage([self._coordinator()], [*of_masters, *of_region_servers])
        load_masters()
        self._supervisor.start_stage([self._master(number) for number in range(len(doors.masters))], of_region_servers)
        if doors.region_servers:
            load_modules(OF_REGION_SERVERS)
            servers = [self._region_server(number) for number in range(len(doors.region_servers))]
            self._supervisor.start_stage(servers, outlives_last=True)

    def announce(self, took_ms: float) -> None:
        """Print the ready line and what follows it; write the files that were asked for."""
        cluster = self.cluster(took_ms)
        if self._options.write_conf is not None:
            try:
                written = write_files(
                    self._options.write_conf,
                    by_registry([*cluster.masters, *cluster.region_servers]),
                    by_zookeeper(cluster.zookeeper, cluster.znode_parent),
                )
            except (OSError, NotOurFileError) as error:
                logger.error("hbase-site.xml is not written: %s", error)
            else:
                cluster = replace(cluster, written=tuple(written))
        text = ready_line(cluster.plan) + "\n" + announcement(cluster, coloured=sys.stdout.isatty())
        with contextlib.suppress(OSError):  # nobody reads it: the cluster is there all the same
            os.write(sys.stdout.fileno(), text.encode())

    def cluster(self, took_ms: float) -> Cluster:
        """What runs now, as clients reach it."""
        plan = self._doors.plan
        return Cluster(
            plan=plan,
            zookeeper=told(plan.zookeeper, self._advertised_host),
            masters=tuple(self._servers),
            grpc=tuple(told(master.grpc, self._advertised_host) for master in plan.masters if master.grpc),
            pages=tuple(told(master.http, self._advertised_host) for master in plan.masters if master.http),
            region_servers=tuple(servers_of(plan.region_servers, self._advertised_host)),
            region_server_pages=tuple(
                told(server.http, self._advertised_host) for server in plan.region_servers if server.http
            ),
            cluster_id=self._data.cluster_id(),
            founded_before=self._data.founded_before,
            znode_parent=self._settings.str_("zookeeper.znode.parent"),
            data_dir=self._data.path,
            temporary=self._data.temporary,
            pids={child.role.name: child.pid for child in self._supervisor.children if child.pid},
            took_ms=took_ms,
            local_only=is_local_only(plan),
        )

    def run_of(self, kind: str, name: str) -> Run:
        """What runs a `master` or `regionserver` of this name. Imports it: the parent loads it for every life."""
        del name
        module, function = RUN[kind]
        return getattr(import_module(module), function)

    def _coordinator(self) -> tuple[Role, Mapping[str, socket.socket]]:
        from registry.coordinator.process import run_coordinator  # loaded by the parent, for every life of it

        address = self._doors.plan.zookeeper
        data = self._data
        values = coordinator_values(self._settings, address, data.coordinator, temporary=data.temporary)
        flags = with_values(self._flags, values)
        role = Role("coordinator", _serving(run_coordinator, flags), {"--listen": address}, ENDS_WITH)
        return role, {"--listen": self._doors.zookeeper}

    def _master(self, number: int) -> tuple[Role, Mapping[str, socket.socket]]:
        name = f"master{number}"
        doors = self._doors.plan.masters[number]
        plan = self._doors.plan
        values = master_values(
            self._settings,
            doors,
            plan.zookeeper,
            self._servers,
            self._data.path,
            region_servers=bool(plan.region_servers),
        )
        return self._role(name, self.run_of("master", name), doors, values), self._doors.masters[number]

    def _region_server(self, number: int) -> tuple[Role, Mapping[str, socket.socket]]:
        name = f"rs{number}"
        doors = self._doors.plan.region_servers[number]
        values = region_server_values(self._settings, doors, self._doors.plan.zookeeper, self._servers, self._data.path)
        return self._role(name, self.run_of("regionserver", name), doors, values), self._doors.region_servers[number]

    def _role(self, name: str, run: Run, doors: ServerDoors, values: Mapping[str, str]) -> Role:
        addresses = {"--rpc": doors.rpc, **({"--http": doors.http} if doors.http else {})}
        return Role(name, _serving(run, with_values(self._flags, values)), addresses, ENDS_WITH)


Run = Callable[[Callable[[], Settings], Mapping[str, socket.socket]], int]
"""Entry point of a role: what loads its settings, and its sockets by flag."""


def load_masters() -> None:
    """Import all that a master will use, pages included, so that every fork begins with it."""
    load_modules(OF_MASTERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of pydantic.v1, which FastAPI imports all the same
        for name in IF_THERE:
            with contextlib.suppress(ImportError, OSError, MemoryError):
                import_module(name)


def load_modules(names: Iterable[str]) -> None:
    """Import them, which every process that is forked later begins with."""
    for name in names:
        import_module(name)


def _serving(run: Run, flags: Flags) -> Callable[[Mapping[str, socket.socket]], int]:
    return lambda listeners: run(flags.load, listeners)


def _plan(settings: Settings, options: DevOptions) -> Plan:
    zookeeper = settings.address("hbeacon.coordinator.address")
    rpc = settings.address("hbeacon.rpc.address")
    assert rpc is not None, "the kind of the key has no off"
    assert zookeeper is not None, "the kind of the key has no off"
    http = settings.address("hbeacon.http.address")
    grpc = settings.address("hbeacon.grpc.address")
    return plan_of(
        zookeeper,
        rpc,
        http,
        options.masters_count,
        region_servers_count=options.region_servers_count,
        grpc=grpc,
        free_ports=options.free_ports,
    )


def _check(settings: Settings) -> None:
    try:
        parse_levels(settings.str_("hbeacon.log.level"))
    except ValueError as error:
        raise settings.bad("hbeacon.log.level", str(error)) from None
    _advertised_host(settings)


def _advertised_host(settings: Settings) -> str:
    """The host that all roles advertise; empty where none is set. Raises BadSetting where a port is named with it."""
    text = settings.str_("hbeacon.advertise.address").strip()
    if not text:
        return ""
    given = Address.parse(text, 0)
    if given.port:
        raise settings.bad("hbeacon.advertise.address", "each server has a port of its own here: write the host alone")
    return given.host


def _refused(error: Exception, code: int) -> int:
    sys.stderr.write(f"hbeacon dev: {error}\n")
    return code
