"""Requests that make, change and delete tables, as procedures.

What a real server does with split keys that are not in order is to make regions that overlap; here they are sorted, as
the Java client sorts them, and what that refuses is refused.

Source: HMaster#createTable to #modifyTable, MasterRpcServices, ModifyRegionUtils#createRegionInfos, the Admin's checks
of split keys, AbstractStateMachineTableProcedure#preflightChecks, ModifyTableProcedure#preflightChecks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from protos.hbase import HBase_pb2, Master_pb2, MasterProcedure_pb2
from registry.master.catalogue import TableRow, TableState
from registry.master.meta_schema import meta_schema
from registry.master.procedures import classes, making
from registry.master.procedures.runner import Ack
from registry.master.procedures.table_classes import check_namespace
from registry.master.tables import descriptors
from registry.master.tables.checks import check_supported, sanity_check
from registry.master.tables.descriptors import Schema, values
from registry.master.tables.desk import Desk, owner, request_of
from registry.master.tables.names import checked_table
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import (
    ConstraintException,
    DoNotRetryIOException,
    HBaseIOException,
    TableNotDisabledException,
    TableNotEnabledException,
    TableNotFoundException,
)
from registry.wire.region_info import META_TABLE, RegionInfo

REGIONS_MAX = 100_000
"""Of one table at its creation."""
_NEEDS_REOPEN = (b"REGION_REPLICATION", b"REGION_MEMSTORE_REPLICATION", b"hbase.rsgroup.name")
"""What regions must be opened anew for."""

OfFamily = Master_pb2.AddColumnRequest | Master_pb2.ModifyColumnRequest | Master_pb2.DeleteColumnRequest
Family = TypeVar("Family", HBase_pb2.ColumnFamilySchema, bytes)
Wanted = Callable[[Schema], Schema]
"""The descriptor that is wanted, of the present one; raises HBaseError where it may not be."""


class Changing:
    """Handlers. The answers of all are ids of procedures."""

    def __init__(self, desk: Desk, wall_ms: Callable[[], float]) -> None:
        self._desk = desk
        self._wall_ms = wall_ms

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        return {
            "CreateTable": self._create,
            "DeleteTable": self._delete,
            "truncateTable": self._truncate,
            "EnableTable": self._enable,
            "DisableTable": self._disable,
            "ModifyTable": self._modify,
            "AddColumn": self._add_column,
            "ModifyColumn": self._modify_column,
            "DeleteColumn": self._delete_column,
        }

    async def _create(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.CreateTableRequest)
        name = checked_table(request.table_schema.table_name)
        schema = descriptors.as_created(descriptors.completed(name, request.table_schema))
        check_namespace(self._desk.procedures, name)
        regions = _regions(name, request.split_keys, int(self._wall_ms()))
        sanity_check(schema)
        check_supported(schema)

        def make() -> MasterProcedure_pb2.CreateTableStateData:
            return making.create_table(schema, regions, owner(call))

        proc_id = await self._desk.submit(call, classes.CREATE_TABLE, make, asked=request)
        return Master_pb2.CreateTableResponse(proc_id=proc_id)

    async def _delete(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.DeleteTableRequest)
        data = making.delete_table(checked_table(request.table_name), owner(call))
        proc_id = await self._desk.submit(call, classes.DELETE_TABLE, lambda: data, asked=request)
        return Master_pb2.DeleteTableResponse(proc_id=proc_id)

    async def _truncate(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.TruncateTableRequest)
        name = checked_table(request.tableName)

        def make() -> MasterProcedure_pb2.TruncateTableStateData:
            if name == META_TABLE or self._table(name).state not in (TableState.DISABLED, TableState.DISABLING):
                raise TableNotDisabledException(name)
            return making.truncate_table(name, owner(call), preserve_splits=request.preserveSplits)

        # clients before 2.0 expect to be answered when all is done
        ack = Ack.STORED if call.info.has_minimum_version(2, 0) else Ack.ENDED
        proc_id = await self._desk.submit(call, classes.TRUNCATE_TABLE, make, asked=request, ack=ack)
        return Master_pb2.TruncateTableResponse(proc_id=proc_id)

    async def _enable(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.EnableTableRequest)
        name = checked_table(request.table_name)

        def make() -> MasterProcedure_pb2.EnableTableStateData:
            if name == META_TABLE:
                raise TableNotDisabledException(f"tableName={name}, state=ENABLED")
            return making.enable_table(name, owner(call))

        ack = Ack.STORED if call.info.has_minimum_version(1, 1) else Ack.CHECKED
        proc_id = await self._desk.submit(call, classes.ENABLE_TABLE, make, asked=request, ack=ack)
        return Master_pb2.EnableTableResponse(proc_id=proc_id)

    async def _disable(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.DisableTableRequest)
        name = checked_table(request.table_name)

        def make() -> MasterProcedure_pb2.DisableTableStateData:
            if name == META_TABLE:
                raise ConstraintException(f"Cannot disable {name}")
            if self._table(name).state not in (TableState.ENABLED, TableState.ENABLING):
                raise TableNotEnabledException(name)
            return making.disable_table(name, owner(call))

        proc_id = await self._desk.submit(call, classes.DISABLE_TABLE, make, asked=request)
        return Master_pb2.DisableTableResponse(proc_id=proc_id)

    # --- descriptors --------------------------------------------------------------------------------------------

    async def _modify(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ModifyTableRequest)
        name = checked_table(request.table_schema.table_name)
        schema = descriptors.completed(name, request.table_schema)
        data = self._modified(call, name, lambda _: schema, checks=False, reopens=request.reopen_regions)
        proc_id = await self._desk.submit(call, classes.MODIFY_TABLE, data, asked=request, ack=Ack.ENDED)
        return Master_pb2.ModifyTableResponse(proc_id=proc_id)

    async def _add_column(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.AddColumnRequest)
        proc_id = await self._change_family(call, request, descriptors.with_family, request.column_families)
        return Master_pb2.AddColumnResponse(proc_id=proc_id)

    async def _modify_column(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ModifyColumnRequest)
        proc_id = await self._change_family(call, request, descriptors.with_changed_family, request.column_families)
        return Master_pb2.ModifyColumnResponse(proc_id=proc_id)

    async def _delete_column(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.DeleteColumnRequest)
        proc_id = await self._change_family(call, request, descriptors.without_family, request.column_name)
        return Master_pb2.DeleteColumnResponse(proc_id=proc_id)

    async def _change_family(
        self, call: Call, request: OfFamily, change: Callable[[Schema, Family], Schema], family: Family
    ) -> int:
        name = checked_table(request.table_name)
        data = self._modified(call, name, lambda old: change(old, family))
        return await self._desk.submit(call, classes.MODIFY_TABLE, data, asked=request, ack=Ack.ENDED)

    def _modified(
        self, call: Call, name: str, wanted: Wanted, *, checks: bool = True, reopens: bool = True
    ) -> Callable[[], MasterProcedure_pb2.ModifyTableStateData]:
        """`checks`: the table must still be what `wanted` was given when the procedure's turn comes."""

        def make() -> MasterProcedure_pb2.ModifyTableStateData:
            before = meta_schema() if name == META_TABLE else self._table(name).schema
            after = wanted(before)
            sanity_check(after)
            if name == META_TABLE:
                _refuse_meta(after)
            if not reopens:
                _check_in_place(before, after)
            check_supported(after)
            return making.modify_table(
                before, after, owner(call), should_check_descriptor=checks, reopen_regions=reopens
            )

        return make

    def _table(self, name: str) -> TableRow:
        row = self._desk.catalogue.tables.get(name)
        if row is None:
            raise TableNotFoundException(name)
        return row


def _regions(table: str, split_keys: Sequence[bytes], region_id: int) -> list[RegionInfo]:
    """As many as keys and one more."""
    if len(split_keys) >= REGIONS_MAX:
        raise DoNotRetryIOException(f"A table may have {REGIONS_MAX} regions when it is made")
    keys = sorted(split_keys)
    for before, key in zip([None, *keys], keys, strict=False):
        if not key:
            raise DoNotRetryIOException("Empty split key must not be passed in the split keys.")
        if before == key:
            shown = shown_binary(key)
            raise DoNotRetryIOException(f"All split keys must be unique, found duplicate: {shown}, {shown}")
    return [RegionInfo(table, *ends, region_id) for ends in zip([b"", *keys], [*keys, b""], strict=True)]


def _refuse_meta(after: Schema) -> None:
    families = {family.name for family in after.column_families}
    for name in (b"info", b"table", b"rep_barrier"):
        if name not in families:
            raise HBaseIOException(f"Delete of hbase:meta column family {name.decode()}")
    raise DoNotRetryIOException("The descriptor of hbase:meta is fixed here")


def _check_in_place(before: Schema, after: Schema) -> None:
    """Whether the change is one that open regions need not see; HBase only counts the families."""
    if {family.name for family in before.column_families} != {family.name for family in after.column_families}:
        raise HBaseIOException("Cannot add or remove column families when this modification won't reopen regions.")
    old, new = values(before), values(after)
    if _coprocessors(old) != _coprocessors(new):
        raise HBaseIOException("Can not modify Coprocessor when table modification won't reopen regions")
    for name in _NEEDS_REOPEN:
        if old.get(name) != new.get(name):
            raise HBaseIOException(f"Can not modify {name.decode()} of a table when modification won't reopen regions")


def _coprocessors(own: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in own.items() if name.lower().startswith(b"coprocessor$")}


def shown_binary(key: bytes) -> str:
    """As Bytes.toStringBinary."""
    printable = b"`~!@#$%^&*()-_=+[]{}|;:'\",.<>/? "
    return "".join(chr(byte) if bytes((byte,)).isalnum() or byte in printable else f"\\x{byte:02X}" for byte in key)
