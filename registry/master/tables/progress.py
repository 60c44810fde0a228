"""Requests about procedures: how they end, lists of them and of locks, and those of 1.x that have no number.

Source: MasterRpcServices#getProcedureResult, #abortProcedure, #execProcedure, #isProcedureDone,
MasterFlushTableProcedureManager, AbstractProcedureScheduler#getLocks.
"""

from __future__ import annotations

from collections.abc import Mapping

from protos.hbase import HBase_pb2, LockService_pb2, Master_pb2
from registry.master.procedures import classes, making
from registry.master.procedures.locks import Kind
from registry.master.tables.desk import Desk, request_of
from registry.master.tables.names import checked_table
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import DoNotRetryIOException, IOException, NoSuchColumnFamilyException
from registry.wire.region_info import table_name

FLUSH_SIGNATURE = "flush-table-proc"
EXPECTED_TIMEOUT_MS = 300_000
"""What clients of 1.x wait for a flush at most. Source: SnapshotDescriptionUtils.DEFAULT_MAX_WAIT_TIME."""
LISTED_MAX = 10_000

_State = Master_pb2.GetProcedureResultResponse


class Progress:
    """Handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._flushes: dict[str, int] = {}
        """Tables to the last flush that was asked for as 1.x does."""

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        return {
            "getProcedureResult": self._result,
            "AbortProcedure": self._abort,
            "GetProcedures": self._procedures,
            "ListProcedures": self._procedures_of_old,
            "GetLocks": self._locks,
            "ExecProcedure": self._exec,
            "ExecProcedureWithRet": self._exec_with_result,
            "IsProcedureDone": self._is_done,
        }

    def forget(self) -> None:
        """The reign is over; its procedures are others' now."""
        self._flushes.clear()

    def _result(self, call: Call) -> Handled:
        proc_id = request_of(call, Master_pb2.GetProcedureResultRequest).proc_id
        machine = self._desk.procedures.machine
        procedure = machine.find(proc_id)
        if procedure is None:
            return _State(state=_State.NOT_FOUND)
        response = _State(submitted_time=procedure.submitted_ms, last_update=procedure.last_update_ms)
        response.state = _State.FINISHED if procedure.is_finished else _State.RUNNING
        if procedure.is_finished:
            if procedure.failure is not None:
                response.exception.CopyFrom(procedure.failure.foreign(with_source=False))
            machine.fetched(proc_id)
        return response

    def _abort(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.AbortProcedureRequest)
        machine = self._desk.procedures.machine
        is_aborted = machine.abort(request.proc_id, may_interrupt=request.mayInterruptIfRunning)
        return Master_pb2.AbortProcedureResponse(is_procedure_aborted=is_aborted)

    def _procedures(self, call: Call) -> Handled:
        del call  # it asks for all
        listed = [each.message() for each in self._desk.procedures.machine.procedures()]
        return Master_pb2.GetProceduresResponse(procedure=listed[:LISTED_MAX])

    def _procedures_of_old(self, call: Call) -> Handled:
        del call  # it asks for all
        listed = [each.message() for each in self._desk.procedures.machine.procedures()]
        return Master_pb2.ListProceduresResponse(procedure=listed[:LISTED_MAX])

    def _locks(self, call: Call) -> Handled:
        del call  # it asks for all
        machine = self._desk.procedures.machine
        response = Master_pb2.GetLocksResponse()
        for kind, name, holders, waiting, sharing_count in machine.locks.listed():
            lock = response.lock.add(
                resource_type=_RESOURCES[kind],
                resource_name=name,
                lock_type=LockService_pb2.EXCLUSIVE if holders else LockService_pb2.SHARED,
                shared_lock_count=sharing_count,
            )
            for holder in holders:
                found = machine.find(holder)
                if found is not None:
                    lock.exclusive_lock_owner_procedure.CopyFrom(found.message())
            for waiter in waiting:
                found = machine.find(waiter)
                if found is not None:
                    lock.waitingProcedures.append(found.message())
        return response

    # --- as 1.x asks --------------------------------------------------------------------------------------------

    async def _exec(self, call: Call) -> Handled:
        description = request_of(call, Master_pb2.ExecProcedureRequest).procedure
        if description.signature != FLUSH_SIGNATURE:
            raise DoNotRetryIOException(f"The procedure is not registered: {description.signature}")
        table = _instance(description)
        names = [pair.value.encode() for pair in description.configuration if pair.name == "family"]
        families = [family for name in names for family in name.split(b",") if family]
        data = making.flush_table(table, families)
        row = self._desk.catalogue.tables.get(table)
        known = {family.name for family in row.schema.column_families} if row is not None else set[bytes]()
        if row is not None and (unknown := [family.decode() for family in families if family not in known]):
            raise NoSuchColumnFamilyException(f"Column families [{', '.join(unknown)}] don't exist in table {table}")
        self._flushes[table] = await self._desk.submit(call, classes.FLUSH_TABLE, lambda: data)
        return Master_pb2.ExecProcedureResponse(expected_timeout=EXPECTED_TIMEOUT_MS)

    def _exec_with_result(self, call: Call) -> Handled:
        """There is no procedure that gives one."""
        description = request_of(call, Master_pb2.ExecProcedureRequest).procedure
        raise IOException(f"The procedure is not registered: {description.signature}")

    def _is_done(self, call: Call) -> Handled:
        description = request_of(call, Master_pb2.IsProcedureDoneRequest).procedure
        procedures = self._desk.procedures
        if description.signature != FLUSH_SIGNATURE:
            raise IOException(f"The procedure is not registered: {description.signature}")
        proc_id = self._flushes.get(_instance(description))
        procedure = None if proc_id is None else procedures.machine.find(proc_id)
        if procedure is not None and procedure.failure is not None:
            raise procedure.failure.error()
        return Master_pb2.IsProcedureDoneResponse(done=procedure is not None and procedure.is_finished)


_RESOURCES = {
    Kind.NAMESPACE: LockService_pb2.NAMESPACE,
    Kind.TABLE: LockService_pb2.TABLE,
    Kind.REGION: LockService_pb2.REGION,
}


def _instance(description: HBase_pb2.ProcedureDescription) -> str:
    """The table that it is about."""
    return checked_table(table_name(description.instance))
