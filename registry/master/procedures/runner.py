"""Procedures at work: what the machine says is to be done, done, written, and told to whom it concerns.

One runner for each reign: made when hbase:meta has been read, stopped when the master no longer acts. Whatever is
under way then is left as it was written last; the next master's runner goes on from there.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from google.protobuf.message import Message

from registry.clock import Clock
from registry.master.catalogue import Catalogue, Changes
from registry.master.cluster_work import ClusterWork
from registry.master.epoch import NotActing, Token
from registry.master.procedures import steps
from registry.master.procedures.machine import Machine
from registry.master.procedures.procedure import Nonce, Procedure
from registry.master.procedures.steps import Class, Step, Work
from registry.wire.errors import HBaseError, PleaseHoldException
from registry.wire.region_info import RegionInfo

logger = logging.getLogger("registry.master.procedures")

CLEANER_INTERVAL_MS = 30_000.0
"""Source: hbase.procedure.cleaner.interval."""
RETRY_MS_FIRST, RETRY_MS_MAX = 200.0, 10_000.0
"""Pauses before work that failed is tried again."""
WAITING_MAX = 10_000
"""Procedures that have not ended: above it new ones are refused, for each is kept in memory and in hbase:meta."""


class Ack(enum.Enum):
    """When the call that submits a procedure is answered."""

    STORED = "stored"
    """As soon as it cannot be lost any more; its client polls for all else."""
    CHECKED = "checked"
    """When its checks are behind it: what is refused is refused in the answer."""
    ENDED = "ended"


class Outside(Protocol):
    """Work that is not done in regions' assignments."""

    async def flush(self, regions: Sequence[RegionInfo], families: Sequence[bytes], work: ClusterWork) -> None:
        """Until what they hold in memory is on disk."""
        ...

    async def mirror_table(self, table: str, work: ClusterWork) -> None:
        """Have ZooKeeper say what the catalogue says."""
        ...

    async def mirror_namespace(self, namespace: str, work: ClusterWork) -> None:
        """Have ZooKeeper say what the catalogue says."""
        ...


class ProcedureRunner:
    """Belongs to the loop and to one epoch."""

    def __init__(self, classes: Iterable[Class], work: ClusterWork, outside: Outside, clock: Clock) -> None:
        self._work = work
        self._outside = outside
        self._clock = clock
        self._token: Token = work.token
        self.machine = Machine(classes, self)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._acks: dict[int, tuple[Ack, asyncio.Future[None]]] = {}
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._cleaner: asyncio.Task[None] | None = None
        self._stopped: HBaseError | None = None

    # --- what steps are decided on ----------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """As it is now."""
        return self._work.catalogue

    @property
    def now_ms(self) -> int:
        """Wall clock."""
        return int(self._clock.wall_ms())

    def take_life(self) -> int:
        """A number that no table ever had."""
        return self._work.take_life()

    # --- the reign --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Go on with what masters before have left half-done."""
        for proc_id in self.machine.load(dict(self.catalogue.procedures)):
            self._run(proc_id)
        for problem in self.machine.problems:
            logger.error("%s", problem)
        if self.machine.running_count:
            logger.info("%d procedures go on", self.machine.running_count)
        self._cleaner = asyncio.get_running_loop().create_task(self._clean())

    def halt(self) -> list[asyncio.Task[None]]:
        """Do nothing more: what is under way is left as it was written last. Gives what is ending."""
        self._stopped = PleaseHoldException("Master is initializing")
        tasks = [*self._tasks.values(), *([self._cleaner] if self._cleaner else [])]
        for task in tasks:
            task.cancel()
        for _, acked in self._acks.values():
            _settle(acked, self._stopped)
        for ended in self._ends.values():
            _settle(ended, self._stopped)
        return tasks

    async def stop(self) -> None:
        """The same, until all has ended."""
        if tasks := self.halt():
            await asyncio.wait(tasks)

    # --- what is asked for ------------------------------------------------------------------------------------------

    async def submit(
        self,
        kind: Class,
        make: Callable[[], Sequence[Message]],
        *,
        nonce: Nonce | None,
        owner: str,
        ack: Ack = Ack.CHECKED,
    ) -> int:
        """The id of a procedure: a new one, or the one that already has the nonce.

        `make` gives what it is about, or raises HBaseError where that is refused before it becomes a procedure. Raises
        HBaseError where its checks fail, and where this master stops.
        """
        self._check()
        known = self.machine.by_nonce(nonce)
        if known is not None:
            await self._known(known)
            return known
        if self.machine.running_count >= WAITING_MAX:
            raise PleaseHoldException(f"{WAITING_MAX} procedures are under way: ask again when some have ended")
        try:
            parts = make()
        except HBaseError as error:
            self.machine.refused(kind, nonce, owner, error)
            raise
        procedure, begins = self.machine.submit(kind, parts, nonce, owner)
        acked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acks[procedure.proc_id] = (ack, acked)
        if begins:
            self._run(procedure.proc_id)
        elif ack is Ack.STORED:
            await self._store(procedure)
        await asyncio.shield(acked)
        return procedure.proc_id

    async def ended(self, proc_id: int) -> Procedure:
        """The procedure at its end. Raises HBaseError where this master stops first."""
        while True:
            self._check()
            procedure = self.machine.find(proc_id)
            assert procedure is not None, f"nobody knows procedure {proc_id}"
            if procedure.is_finished:
                return procedure
            ended = self._ends.setdefault(proc_id, asyncio.get_running_loop().create_future())
            await asyncio.shield(ended)

    # --- within -----------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._stopped is not None:
            raise type(self._stopped)(self._stopped.message)

    async def _known(self, proc_id: int) -> None:
        """Until a client may be told of it: a master that takes over must know it, also that it has failed."""
        waiting = self._acks.get(proc_id)
        if waiting is not None and not self.machine.is_stored(proc_id):
            await asyncio.wait([waiting[1]])
            self._check()
        procedure = self.machine.find(proc_id)
        if procedure is not None and not self.machine.is_stored(proc_id):
            await self._store(procedure)

    async def _store(self, procedure: Procedure) -> None:
        await self._write(Changes(procedures={procedure.proc_id: procedure.value()}))
        self._settle(procedure, stored=True)

    def _run(self, proc_id: int) -> None:
        task = asyncio.get_running_loop().create_task(self._steps(proc_id), name=f"procedure {proc_id}")
        self._tasks[proc_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(proc_id, None))

    async def _steps(self, proc_id: int) -> None:
        try:
            is_finished = False
            while not is_finished:
                step = self.machine.next_step(proc_id)
                after = await (self._failed(step) if isinstance(step, Procedure) else self._done(proc_id, step))
                is_finished = after.is_finished
        except NotActing as error:
            logger.info("procedure %d is left to the next master: %s", proc_id, error)
        except Exception:
            logger.exception("procedure %d stops where it is: a fault of this program", proc_id)
            raise

    async def _failed(self, after: Procedure) -> Procedure:
        """Written only where somebody may ask another master for it."""
        ack = self._acks.get(after.proc_id)
        if self.machine.is_stored(after.proc_id) or (ack is not None and ack[0] is Ack.STORED):
            await self._store(after)
        else:
            self._settle(after, stored=False)
        return after

    async def _done(self, proc_id: int, step: Step) -> Procedure:
        for work in step.works:
            try:
                await self._perform(work)
            except HBaseError as error:
                return await self._failed(self.machine.failed(proc_id, error))
        after = self.machine.after(proc_id, step)
        step.changes.procedures[proc_id] = after.value()
        await self._write(step.changes)
        for work in step.after:
            await self._perform(work)
        self._settle(after, stored=True)
        return after

    async def _perform(self, work: Work) -> None:
        """Tried until it is done, but for a move, which may fail for good."""
        if isinstance(work, steps.Move):
            await self._work.move(work.region, work.server, self._token)
        else:
            await self._until_done(type(work).__name__, lambda: self._perform_once(work))

    async def _perform_once(self, work: Work) -> None:
        match work:
            case steps.Open(regions):
                await self._work.open(regions, self._token)
            case steps.Close(regions):
                await self._work.close(regions, self._token)
            case steps.Reopen(regions):
                await self._work.reopen(regions, self._token)
            case steps.Drop(regions):
                await self._work.drop(regions, self._token)
            case steps.Flush(regions, families):
                await self._outside.flush(regions, families, self._work)
            case steps.MirrorTable(table):
                await self._outside.mirror_table(table, self._work)
            case steps.MirrorNamespace(namespace):
                await self._outside.mirror_namespace(namespace, self._work)
            case steps.Move(region, server):
                await self._work.move(region, server, self._token)

    async def _write(self, changes: Changes) -> None:
        await self._until_done("a write", lambda: self._work.write(changes, self._token))

    async def _until_done(self, what: str, attempt: Callable[[], Awaitable[None]]) -> None:
        pause_ms = RETRY_MS_FIRST
        while True:
            try:
                return await attempt()
            except (HBaseError, OSError, TimeoutError) as error:
                logger.warning("%s is tried again in %.0f ms: %s", what, pause_ms, error)
            await asyncio.sleep(pause_ms / 1000)
            pause_ms = min(pause_ms * 2, RETRY_MS_MAX)
            self._token.check()

    def _settle(self, procedure: Procedure, *, stored: bool) -> None:
        proc_id = procedure.proc_id
        for granted in self.machine.settle(procedure, stored=stored):
            self._run(granted)
        ack = self._acks.get(proc_id)
        if ack is not None and (
            procedure.is_finished or ack[0] is Ack.STORED or (ack[0] is Ack.CHECKED and procedure.has_begun)
        ):
            del self._acks[proc_id]
            failure = procedure.failure if ack[0] is not Ack.STORED else None
            _settle(ack[1], failure and failure.error())
        if procedure.is_finished and (ended := self._ends.pop(proc_id, None)) is not None:
            _settle(ended, None)

    async def _clean(self) -> None:
        """Have records of what nobody asks for any more deleted."""
        while True:
            await asyncio.sleep(CLEANER_INTERVAL_MS / 1000)
            gone = self.machine.expired()
            try:
                if gone:
                    await self._write(Changes(no_procedures=gone))
                    self.machine.deleted(gone)
            except NotActing:
                return


def _settle(waited_for: asyncio.Future[None], error: HBaseError | None) -> None:
    if waited_for.done():
        return
    if error is None:
        waited_for.set_result(None)
    else:
        waited_for.set_exception(error)
        waited_for.exception()  # taken: the call that waited may be gone
