"""`hbeacon coordinator` as a process: from settings to a door that serves, and its end.

The port is taken first, so that whoever connects meanwhile waits for the journal to be read instead of being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from registry.clock import Clock, SystemClock
from registry.config.settings import Settings
from registry.coordinator.journal import DataNotUsable, Journal, JournalFailed
from registry.coordinator.journal.keeper import SnapshotKeeper
from registry.coordinator.machine import Coordinator, CorruptState
from registry.coordinator.server import DoorServer
from registry.coordinator.settings import CoordinatorRoleSettings, role_settings
from registry.exits import CANNOT_LISTEN, FAILED, REFUSED, STOPPED
from registry.guard import UNGUARDED_CODE
from registry.guarded import Beats, GuardLink, die_with_guard
from registry.logs import parse_levels, set_levels
from registry.loops import loop_factory
from registry.names import Address
from registry.role.listening import CannotListen, cannot_listen
from registry.role.notify import Notifier
from registry.role.process import start_logs
from registry.sockets import listening_sockets

logger = logging.getLogger("registry.coordinator")

LISTEN_FLAG = "--listen"

GC_THRESHOLDS = (10_000, 5, 1000)
"""Nodes of the tree and connections make no cycles (tests hold them to it), so the collector finds nothing in them,
however often it looks. With these it looks at each new object twice, some milliseconds at a time, and seldom at all of
them: with Python's (700, 10, 10) a tree of 100 000 nodes costs pauses of tenths of a second."""


def run_coordinator(load: Callable[[], Settings], listeners: Mapping[str, socket.socket] | None = None) -> int:
    """Serve until stopped; gives the exit code. Raises BadSetting before anything is opened.

    `listeners` may hold a socket that listens already, by the flag `--listen`: who forks this role has opened it.
    """
    link = GuardLink.take(os.environ)
    settings = load()
    # Unlike other servers it has no guard unless somebody asks for one: see docs/operations.md.
    if link is not None and not (settings.is_set("hbeacon.guard") and settings.bool_("hbeacon.guard")):
        return UNGUARDED_CODE
    chosen = role_settings(settings)
    if link is not None and chosen.directory is None:
        cure = "the next worker would know no session and no znode: give --data-dir DIR, or write off"
        raise settings.bad("hbeacon.guard", cure)
    start_logs(settings, "coordinator")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(settings, load, link, chosen, listeners or {}))


async def _serve(
    settings: Settings,
    load: Callable[[], Settings],
    link: GuardLink | None,
    chosen: CoordinatorRoleSettings,
    listeners: Mapping[str, socket.socket],
) -> int:
    process = CoordinatorProcess(settings, load, link, chosen)
    try:
        await process.run(listeners)
    except CannotListen as error:
        return _ends(error, CANNOT_LISTEN)
    except DataNotUsable as error:
        return _ends(error, REFUSED)
    except JournalFailed as error:
        return _ends(error, FAILED)
    except Exception:
        logger.critical("the coordinator fails", exc_info=True)
        return FAILED
    logger.info("stopped")
    return STOPPED


def _ends(error: Exception, code: int) -> int:
    sys.stderr.write(f"hbeacon coordinator: {error}\n")
    return code


class CoordinatorProcess:
    """One coordinator in one process. `run` is its whole life."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        link: GuardLink | None,
        chosen: CoordinatorRoleSettings,
    ) -> None:
        self._settings = settings
        self._load = load
        self._chosen = chosen
        self._levels = parse_levels(settings.str_("hbeacon.log.level"))
        self._stop_asked = asyncio.Event()
        self._notifier = Notifier(os.environ, link.guard_pid if link else 0)
        self._link = link
        self._beats = Beats(link, settings.ms("hbeacon.guard.timeout_ms"), _orphaned) if link else None
        self._reloading: asyncio.Task[None] | None = None

    async def run(self, listeners: Mapping[str, socket.socket]) -> None:
        """Serve until told to stop. Raises CannotListen, DataNotUsable, or what a commit failed with."""
        chosen = self._chosen
        if self._beats is not None:
            self._beats.start()
        self._notifier.start_watchdog()
        self._take_signals()
        sockets = self._listen(listeners)
        journal: Journal | None = None
        keeping: asyncio.Task[None] | None = None
        try:
            clock = SystemClock()
            if chosen.directory is None:
                machine = Coordinator(chosen.machine, clock, os.urandom)
                machine.begin_without_past()
            else:
                # In a thread: while a large journal is read, the guard still hears this loop, and signals do.
                journal, machine = await asyncio.to_thread(_restored, chosen, chosen.directory, clock)
                keeping = asyncio.create_task(SnapshotKeeper(journal, machine.dump).run(), name="snapshots")
            server = DoorServer(machine, chosen.limits, clock, chosen.nature)
            await self._serve(server, sockets)
        finally:
            for each in sockets:
                each.close()
            if keeping is not None:
                keeping.cancel()
                await asyncio.wait([keeping])  # its thread may be at work in the journal's directory
            if journal is not None:
                journal.close()
            self._notifier.stop_watchdog()
            if self._beats is not None:
                self._beats.stop()

    # --- inside --------------------------------------------------------------------------------------------------

    def _listen(self, listeners: Mapping[str, socket.socket]) -> Sequence[socket.socket]:
        given = listeners.get(LISTEN_FLAG)
        if given is not None:
            return [given]
        address = self._chosen.address
        kept_port = int(self._link.kept) if self._link is not None and self._link.kept.isdigit() else 0
        try:
            if address.port == 0 and kept_port:
                with contextlib.suppress(OSError):  # somebody else took it meanwhile: any free one then
                    return listening_sockets(address.host, kept_port, self._chosen.limits.backlog)
            return listening_sockets(address.host, address.port, self._chosen.limits.backlog)
        except OSError as error:
            raise cannot_listen(address, LISTEN_FLAG, error) from None

    async def _serve(self, server: DoorServer, sockets: Sequence[socket.socket]) -> None:
        stop = asyncio.create_task(self._stop_asked.wait(), name="stop")
        try:
            address = await server.start(self._chosen.address.host, 0, sockets)
            if self._beats is not None and self._link is not None:
                self._beats.keep(str(address.port))
                if not await asyncio.to_thread(die_with_guard, self._link.guard_pid):
                    logger.debug("the kernel cannot tie this process to its guard; the pipe does")
            self._say_ready(address)
            await asyncio.wait([stop, server.failure], return_when=asyncio.FIRST_COMPLETED)
            if server.failure.done():
                server.failure.result()
            self._notifier.send("STOPPING=1", "STATUS=stopping")
            logger.info("stopping: requests that have come are answered")
            await server.drain(self._chosen.drain_timeout_ms)
        finally:
            stop.cancel()
            await server.stop()

    def _say_ready(self, address: Address) -> None:
        with contextlib.suppress(OSError):  # nobody reads it: the server is there all the same
            os.write(sys.stdout.fileno(), f"hbeacon coordinator ready zookeeper={address} http=off\n".encode())
        logger.info("ready at %s: %s", address, self._chosen.nature.sentence)
        self._notifier.send("READY=1", f"STATUS=ready at {address}")
        # What is there now stays, and need not be walked over again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    # --- signals -------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)
        loop.add_signal_handler(signal.SIGQUIT, faulthandler.dump_traceback)

    def _asked_to_stop(self) -> None:
        if self._stop_asked.is_set():
            logger.warning("told to stop a second time: ending at once")
            os._exit(STOPPED)
        self._stop_asked.set()

    def _asked_to_reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload(), name="reload")

    async def _reload(self) -> None:
        """Read the files again; of the coordinator's settings only the log's levels change while it runs."""
        from registry.config.values import BadSetting

        try:
            settings = await asyncio.to_thread(self._load)
            levels = parse_levels(settings.str_("hbeacon.log.level"))
        except (BadSetting, ValueError) as error:
            logger.error("the configuration cannot be used, the old one stays: %s", error)
            return
        later = sorted(settings.changed_keys(self._settings) - {"hbeacon.log.level"})
        if later:
            logger.warning("these settings changed and need a restart: %s", ", ".join(later))
        set_levels(levels, earlier=self._levels)
        self._levels = levels
        logger.info("the configuration was read again")


def _restored(chosen: CoordinatorRoleSettings, directory: Path, clock: Clock) -> tuple[Journal, Coordinator]:
    """The machine as the journal knows it, and the journal ready to be written to."""
    journal, recovered = Journal.open(directory, chosen.journal)
    try:
        machine = Coordinator(chosen.machine, clock, os.urandom, journal)
        machine.restore(recovered.snapshot_records, recovered.transactions)
        journal.begin()
    except CorruptState as error:
        journal.close()
        raise DataNotUsable(f"{directory} holds what this version cannot have written: {error}") from error
    except BaseException:
        journal.close()
        raise
    return journal, machine


def _orphaned() -> None:
    logger.error("the guard has ended: ending too, the service manager starts both again")
    os._exit(1)
