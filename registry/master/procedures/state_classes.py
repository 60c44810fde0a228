"""Enable, disable and modify: procedures that change a table that is there.

    enable     checks, ENABLING | opens its regions, ENABLED
               if deleted families were made again: opens its regions | forgets that they were | opens anew, ENABLED
    disable    checks, DISABLING | closes its regions, DISABLED
    modify     checks, notes what it was | the new descriptor | opens anew what is open, without deleted families

Each | is a write; enable and disable write a first time when they have been checked. Regions are opened anew by turns,
so a table that is enabled serves all the time.

Source: EnableTableProcedure, DisableTableProcedure, ModifyTableProcedure.
"""

from __future__ import annotations

from dataclasses import replace

from protos.hbase import MasterProcedure_pb2
from registry.master.catalogue import Changes, RegionState, TableRow, TableState
from registry.master.procedures.locks import Lock, table_locks
from registry.master.procedures.procedure import Procedure
from registry.master.procedures.steps import END, MASTER_PROCEDURES, Close, MirrorTable, Open, Reopen, Step, View
from registry.master.procedures.table_classes import check_exists, opened, opened_anew, state_text
from registry.wire.errors import (
    ConcurrentTableModificationException,
    DoNotRetryIOException,
    TableNotDisabledException,
    TableNotEnabledException,
)
from registry.wire.gone_families import gone_families, with_gone_families
from registry.wire.region_info import table_text
from registry.wire.text import lenient_text


class EnableTable:
    """Of EnableTableStateData."""

    S = MasterProcedure_pb2.EnableTableState
    class_name = MASTER_PROCEDURES + "EnableTableProcedure"
    source = "master-enable-table"
    first = S.ENABLE_TABLE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The table's."""
        return table_locks(self._name(procedure))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        name = self._name(procedure)
        table = check_exists(view, name)
        if procedure.state == self.S.ENABLE_TABLE_PREPARE:
            if table.state != TableState.DISABLED:
                raise TableNotDisabledException(state_text(table))
            return Step(self.S.ENABLE_TABLE_SET_ENABLING_TABLE_STATE)
        if procedure.state == self.S.ENABLE_TABLE_SET_ENABLING_TABLE_STATE:
            enabling = replace(table, state=TableState.ENABLING)
            return Step(self.S.ENABLE_TABLE_MARK_REGIONS_ONLINE, changes=Changes(tables=[enabling]))
        regions = [row.info for row in view.catalogue.regions_of(name)]
        if procedure.state == self.S.ENABLE_TABLE_MARK_REGIONS_ONLINE:
            if not gone_families(table.schema) & {family.name for family in table.schema.column_families}:
                return opened(table, regions)
            # They are open without these families, and what was in them is removed; nobody can write to them meanwhile.
            return Step(self.S.ENABLE_TABLE_SET_ENABLED_TABLE_STATE, (Open(regions),))
        if procedure.state == self.S.ENABLE_TABLE_SET_ENABLED_TABLE_STATE:
            changes = Changes(tables=[replace(table, schema=with_gone_families(table.schema, ()))])
            return Step(self.S.ENABLE_TABLE_POST_OPERATION, changes=changes)
        return opened_anew(table, regions)

    def _name(self, procedure: Procedure) -> str:
        return table_text(procedure.part(MasterProcedure_pb2.EnableTableStateData).table_name)


class DisableTable:
    """Of DisableTableStateData."""

    S = MasterProcedure_pb2.DisableTableState
    class_name = MASTER_PROCEDURES + "DisableTableProcedure"
    source = "master-disable-table"
    first = S.DISABLE_TABLE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The table's."""
        return table_locks(self._name(procedure))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        name = self._name(procedure)
        table = check_exists(view, name)
        if procedure.state == self.S.DISABLE_TABLE_PREPARE:
            if table.state != TableState.ENABLED:
                raise TableNotEnabledException(state_text(table))
            return Step(self.S.DISABLE_TABLE_SET_DISABLING_TABLE_STATE)
        if procedure.state == self.S.DISABLE_TABLE_SET_DISABLING_TABLE_STATE:
            disabling = replace(table, state=TableState.DISABLING)
            return Step(self.S.DISABLE_TABLE_MARK_REGIONS_OFFLINE, changes=Changes(tables=[disabling]))
        regions = [row.info for row in view.catalogue.regions_of(name)]
        disabled = replace(table, state=TableState.DISABLED)
        changes = Changes(tables=[disabled])
        return Step(END, (MirrorTable(name), Close(regions)), changes, (MirrorTable(name),))

    def _name(self, procedure: Procedure) -> str:
        return table_text(procedure.part(MasterProcedure_pb2.DisableTableStateData).table_name)


class ModifyTable:
    """Of ModifyTableStateData."""

    S = MasterProcedure_pb2.ModifyTableState
    class_name = MASTER_PROCEDURES + "ModifyTableProcedure"
    source = "master-modify-table"
    first = S.MODIFY_TABLE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The table's."""
        return table_locks(table_text(self._data(procedure).modified_table_schema.table_name))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        data = self._data(procedure)
        name = table_text(data.modified_table_schema.table_name)
        table = check_exists(view, name)
        if procedure.state == self.S.MODIFY_TABLE_PREPARE:
            return self._prepared(data, table)
        if procedure.state == self.S.MODIFY_TABLE_UPDATE_TABLE_DESCRIPTOR:
            changes = Changes(tables=[replace(table, schema=data.modified_table_schema)])
            if not data.reopen_regions or table.state != TableState.ENABLED:
                return Step(END, changes=changes)
            return Step(self.S.MODIFY_TABLE_REOPEN_ALL_REGIONS, changes=changes)
        rows = view.catalogue.regions_of(name)
        changes = Changes()
        if gone_families(table.schema) and all(row.state is RegionState.OPEN for row in rows):
            # each region removes their cells before it is open again
            changes.tables.append(replace(table, schema=with_gone_families(table.schema, ())))
        return Step(END, (Reopen([row.info for row in rows]),), changes)

    def _prepared(self, data: MasterProcedure_pb2.ModifyTableStateData, table: TableRow) -> Step:
        if not data.modified_table_schema.column_families:
            raise DoNotRetryIOException(f"Table {table.name} should have at least one column family.")
        if data.should_check_descriptor and data.unmodified_table_schema != table.schema:
            raise ConcurrentTableModificationException(
                f"Skipping modify table operation on table '{table.name}' as it has already been modified by some"
                " other concurrent operation, Please retry."
            )
        left = {family.name for family in data.modified_table_schema.column_families}
        deleted = {family.name for family in table.schema.column_families} - left
        gone = gone_families(table.schema)
        for name in sorted(gone & left if table.state != TableState.DISABLED else ()):
            raise DoNotRetryIOException(
                f"Family '{lenient_text(name)}' was deleted from table {table.name}, and regions that have not been"
                " opened since still have its cells: disable the table, or have all of them opened, before it is made"
                " again"
            )
        noted = MasterProcedure_pb2.ModifyTableStateData()
        noted.CopyFrom(data)
        noted.unmodified_table_schema.CopyFrom(table.schema)
        noted.modified_table_schema.CopyFrom(with_gone_families(data.modified_table_schema, gone | deleted))
        noted.delete_column_family_in_modify = bool(deleted)
        return Step(self.S.MODIFY_TABLE_UPDATE_TABLE_DESCRIPTOR, parts=(noted,))

    def _data(self, procedure: Procedure) -> MasterProcedure_pb2.ModifyTableStateData:
        return procedure.part(MasterProcedure_pb2.ModifyTableStateData)
