"""All procedures of one active master: which may go on, what each does next, and what is remembered of those at an end.

Pure: what is to be done comes out as a `Step`, what has become durable is told by `settle`. A machine lives as long as
its master is active; the next one reads what was written.

Source: ProcedureExecutor, CompletedProcedureCleaner, MasterProcedureScheduler.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from google.protobuf.message import Message

from registry.master.procedures.locks import Lock, Locks
from registry.master.procedures.procedure import SUCCESS, Failure, Nonce, Procedure, UnknownProcedure
from registry.master.procedures.steps import END, Class, Step, View
from registry.wire.errors import HBaseError

RESULT_KEPT_MS = 15 * 60_000
"""How long the end of a procedure is remembered, and its nonce. Source: hbase.procedure.cleaner.evict.ttl."""
FETCHED_KEPT_MS = 5 * 60_000
"""The same once a client has been told. Source: hbase.procedure.cleaner.acked.evict.ttl."""

ABORTED = "org.apache.hadoop.hbase.procedure2.ProcedureAbortedException"


class Machine:
    """Belongs to one reign of one master."""

    def __init__(self, classes: Iterable[Class], view: View) -> None:
        self._classes = {each.class_name: each for each in classes}
        self._view = view
        self._locks = Locks()
        self._running: dict[int, Procedure] = {}
        self._ended: dict[int, Procedure] = {}
        self._fetched_ms: dict[int, int] = {}
        self._nonces: dict[Nonce, int] = {}
        self._stored: set[int] = set()
        """Those that meta has a record of."""
        self._aborts: set[int] = set()
        self._next_id = 1
        self.problems: list[str] = []
        """Records that cannot be read; they stay where they are."""

    # --- in ---------------------------------------------------------------------------------------------------------

    def load(self, values: Mapping[int, bytes]) -> list[int]:
        """What masters before have written, once, at first; gives those that may go on at once, in order."""
        assert self._next_id == 1, "loaded once, at first"
        granted: list[int] = []
        for proc_id, value in sorted(values.items()):
            self._next_id = proc_id + 1
            try:
                procedure = Procedure.from_value(value)
                if not procedure.is_finished and procedure.class_name not in self._classes:
                    raise UnknownProcedure(f"a procedure of class {procedure.class_name[:200]}")
            except UnknownProcedure as error:
                self.problems.append(f"procedure {proc_id} is left as it is: {error}")
                continue
            self._stored.add(proc_id)
            if procedure.nonce is not None:
                self._nonces[procedure.nonce] = proc_id
            if procedure.is_finished:
                self._ended[proc_id] = procedure
            elif self._start(procedure):
                granted.append(proc_id)
        return granted

    def submit(self, kind: Class, parts: Sequence[Message], nonce: Nonce | None, owner: str) -> tuple[Procedure, bool]:
        """A new procedure, and whether it may begin at once. Its nonce must not be known yet."""
        assert nonce is None or nonce not in self._nonces, "asked for by `by_nonce` first"
        now_ms = self._view.now_ms
        procedure = Procedure(
            self._next_id, kind.class_name, (kind.first,), tuple(parts), now_ms, now_ms, nonce=nonce, owner=owner
        )
        self._next_id += 1
        if nonce is not None:
            self._nonces[nonce] = procedure.proc_id
        return procedure, self._start(procedure)

    def refused(self, kind: Class, nonce: Nonce | None, owner: str, error: HBaseError) -> None:
        """An operation failed before there was a procedure: asked again under its nonce it fails alike."""
        if nonce is not None and nonce not in self._nonces:
            now_ms = self._view.now_ms
            self._nonces[nonce] = self._next_id
            failed = Procedure(self._next_id, kind.class_name, (kind.first,), (), now_ms, now_ms, nonce=nonce)
            self._ended[self._next_id] = replace(failed, owner=owner).failed(Failure.of(kind.source, error), now_ms)
            self._next_id += 1

    # --- what is to be done -----------------------------------------------------------------------------------------

    def next_step(self, proc_id: int) -> Step | Procedure:
        """What is to be done now, or the procedure as it has failed, which is to be settled."""
        procedure = self._running[proc_id]
        kind = self._classes[procedure.class_name]
        now_ms = self._view.now_ms
        if proc_id in self._aborts and procedure.state in kind.checked:
            return procedure.failed(Failure(kind.class_name.rpartition(".")[2], ABORTED, "abort requested"), now_ms)
        try:
            return kind.step(procedure, self._view)
        except HBaseError as error:
            return procedure.failed(Failure.of(kind.source, error), now_ms)

    def failed(self, proc_id: int, error: HBaseError) -> Procedure:
        """As it is when its work has failed for good; to be settled."""
        procedure = self._running[proc_id]
        source = self._classes[procedure.class_name].source
        return procedure.failed(Failure.of(source, error), self._view.now_ms)

    def after(self, proc_id: int, step: Step) -> Procedure:
        """As it is after that step; to be written with the step's changes, then settled."""
        procedure = self._running[proc_id]
        return replace(
            procedure,
            states=(*procedure.states, step.then) if step.then != END else procedure.states,
            phase=SUCCESS if step.then == END else procedure.phase,
            parts=procedure.parts if step.parts is None else step.parts,
            own=procedure.own if step.own is None else procedure.own | step.own,
            last_update_ms=self._view.now_ms,
        )

    def settle(self, procedure: Procedure, *, stored: bool) -> list[int]:
        """It is like this from now on; gives those that may go on because it has ended."""
        if stored:
            self._stored.add(procedure.proc_id)
        if not procedure.is_finished:
            self._running[procedure.proc_id] = procedure
            return []
        self._running.pop(procedure.proc_id, None)
        self._ended[procedure.proc_id] = procedure
        self._aborts.discard(procedure.proc_id)
        return self._locks.give_back(procedure.proc_id)

    # --- what is asked ----------------------------------------------------------------------------------------------

    def by_nonce(self, nonce: Nonce | None) -> int | None:
        """The procedure that has it."""
        return None if nonce is None else self._nonces.get(nonce)

    def find(self, proc_id: int) -> Procedure | None:
        """Running or remembered."""
        return self._running.get(proc_id) or self._ended.get(proc_id)

    def is_stored(self, proc_id: int) -> bool:
        """Whether a master that takes over would know it."""
        return proc_id in self._stored

    def fetched(self, proc_id: int) -> None:
        """A client has been told its end."""
        if proc_id in self._ended:
            self._fetched_ms.setdefault(proc_id, self._view.now_ms)

    def abort(self, proc_id: int, *, may_interrupt: bool) -> bool:
        """Whether the procedure takes note. What has begun goes on to its end all the same, as in HBase."""
        procedure = self._running.get(proc_id)
        if procedure is None or (procedure.has_begun and not may_interrupt):
            return False
        kind = self._classes[procedure.class_name]
        if procedure.state not in kind.checked and not kind.listens_to_abort:
            return False
        self._aborts.add(proc_id)
        return True

    def expired(self) -> list[int]:
        """Forget what has been remembered long enough; gives those whose records are to be deleted.

        The record with the highest number stays, or the number would be given again after the next takeover.
        """
        now_ms = self._view.now_ms
        gone = [
            proc_id
            for proc_id, procedure in self._ended.items()
            if now_ms - procedure.last_update_ms >= RESULT_KEPT_MS
            or (proc_id in self._fetched_ms and now_ms - self._fetched_ms[proc_id] >= FETCHED_KEPT_MS)
        ]
        highest = max(self._stored, default=0)
        for proc_id in gone:
            procedure = self._ended.pop(proc_id)
            self._fetched_ms.pop(proc_id, None)
            if procedure.nonce is not None:
                self._nonces.pop(procedure.nonce, None)
        known = self._running.keys() | self._ended.keys()
        return sorted(proc_id for proc_id in self._stored if proc_id not in known and proc_id != highest)

    def deleted(self, proc_ids: Iterable[int]) -> None:
        """Their records are gone."""
        self._stored.difference_update(proc_ids)

    def procedures(self) -> Iterator[Procedure]:
        """All, running ones first."""
        yield from self._running.values()
        yield from self._ended.values()

    def kind_of(self, procedure: Procedure) -> Class | None:
        """What it is made of; None of a class that this version does not have."""
        return self._classes.get(procedure.class_name)

    @property
    def locks(self) -> Locks:
        """Who holds what."""
        return self._locks

    @property
    def running_count(self) -> int:
        """Those that have not ended."""
        return len(self._running)

    def _start(self, procedure: Procedure) -> bool:
        self._running[procedure.proc_id] = procedure
        locks: Sequence[Lock] = self._classes[procedure.class_name].locks(procedure)
        return self._locks.ask(procedure.proc_id, locks)
