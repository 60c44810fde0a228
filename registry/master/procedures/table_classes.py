"""Create, delete and truncate: procedures that make tables, and unmake them.

    create     checks, takes a life | rows of hbase:meta, ENABLING | opens the regions, ENABLED
    delete     checks, notes the regions | drops their rows, removes all of it from hbase:meta
    truncate   checks, notes the regions | drops their rows, chooses new ones | puts these in the place of the old
               | opens them, ENABLED

Each | is a write. Source: CreateTableProcedure, DeleteTableProcedure, TruncateTableProcedure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from protos.hbase import HBase_pb2, MasterProcedure_pb2
from registry.master.catalogue import Changes, RegionRow, TableRow, TableState
from registry.master.procedures.locks import Lock, table_locks
from registry.master.procedures.procedure import Procedure
from registry.master.procedures.steps import END, MASTER_PROCEDURES, Drop, MirrorTable, Open, Reopen, Step, View
from registry.wire.errors import (
    DoNotRetryIOException,
    IOException,
    NamespaceNotFoundException,
    TableExistsException,
    TableNotDisabledException,
    TableNotFoundException,
)
from registry.wire.gone_families import with_gone_families
from registry.wire.region_info import META_TABLE, RegionInfo, table_text

LIFE = "life"


class CreateTable:
    """Of CreateTableStateData with all regions in it."""

    S = MasterProcedure_pb2.CreateTableState
    class_name = MASTER_PROCEDURES + "CreateTableProcedure"
    source = "master-create-table"
    first = S.CREATE_TABLE_PRE_OPERATION
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The table's."""
        return table_locks(table_text(self._data(procedure).table_schema.table_name))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        data = self._data(procedure)
        name = table_text(data.table_schema.table_name)
        regions = infos(data.region_info)
        if procedure.state == self.S.CREATE_TABLE_PRE_OPERATION:
            check_namespace(view, name)
            if name in view.catalogue.tables or name == META_TABLE:
                raise TableExistsException(name)
            if not data.table_schema.column_families:
                raise DoNotRetryIOException(f"Table {name} should have at least one column family.")
            return Step(self.S.CREATE_TABLE_ADD_TO_META, own={LIFE: view.take_life()})
        table = TableRow(name, TableState.ENABLING, data.table_schema, procedure.own[LIFE])
        if procedure.state == self.S.CREATE_TABLE_ADD_TO_META:
            rows = [RegionRow(info, table.life) for info in regions]
            changes = Changes(tables=[table], regions=rows)
            return Step(self.S.CREATE_TABLE_ASSIGN_REGIONS, changes=changes)
        return opened(table, regions)

    def _data(self, procedure: Procedure) -> MasterProcedure_pb2.CreateTableStateData:
        return procedure.part(MasterProcedure_pb2.CreateTableStateData)


class DeleteTable:
    """Of DeleteTableStateData."""

    S = MasterProcedure_pb2.DeleteTableState
    class_name = MASTER_PROCEDURES + "DeleteTableProcedure"
    source = "master-delete-table"
    first = S.DELETE_TABLE_PRE_OPERATION
    checked = frozenset((first,))
    listens_to_abort = False

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The table's."""
        return table_locks(table_text(self._data(procedure).table_name))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        data = self._data(procedure)
        name = table_text(data.table_name)
        if procedure.state == self.S.DELETE_TABLE_PRE_OPERATION:
            check_modifiable(view, name)
            data = replaced_regions(data, (row.info for row in view.catalogue.regions_of(name)))
            return Step(self.S.DELETE_TABLE_CLEAR_FS_LAYOUT, parts=(data,))
        regions = infos(data.region_info)
        here = [info for info in regions if view.catalogue.region(info.encoded_name)]
        changes = Changes(no_regions=regions, no_tables=[name])
        return Step(END, (Drop(here),), changes, (MirrorTable(name),))

    def _data(self, procedure: Procedure) -> MasterProcedure_pb2.DeleteTableStateData:
        return procedure.part(MasterProcedure_pb2.DeleteTableStateData)


class TruncateTable:
    """Of TruncateTableStateData: its regions are the old ones at first, and then the new ones."""

    S = MasterProcedure_pb2.TruncateTableState
    class_name = MASTER_PROCEDURES + "TruncateTableProcedure"
    source = "master-truncate-table"
    first = S.TRUNCATE_TABLE_PRE_OPERATION
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The table's."""
        return table_locks(self._name(self._data(procedure)))

    def step(self, procedure: Procedure, view: View) -> Step:
        """As the module says."""
        data = self._data(procedure)
        name = self._name(data)
        if procedure.state == self.S.TRUNCATE_TABLE_PRE_OPERATION:
            check_modifiable(view, name)
            table = view.catalogue.tables[name]
            data = replaced_regions(data, (row.info for row in view.catalogue.regions_of(name)))
            data.table_schema.CopyFrom(with_gone_families(table.schema, ()))
            return Step(self.S.TRUNCATE_TABLE_CLEAR_FS_LAYOUT, parts=(data,), own={LIFE: view.take_life()})
        regions = infos(data.region_info)
        if procedure.state == self.S.TRUNCATE_TABLE_CLEAR_FS_LAYOUT:
            new = replaced_regions(data, self._new(data, regions, view.now_ms))
            here = [info for info in regions if view.catalogue.region(info.encoded_name)]
            return Step(self.S.TRUNCATE_TABLE_ADD_TO_META, (Drop(here),), parts=(new,))
        table = TableRow(name, TableState.ENABLING, data.table_schema, procedure.own[LIFE])
        if procedure.state == self.S.TRUNCATE_TABLE_ADD_TO_META:
            names = {info.encoded_name for info in regions}
            old = [row.info for row in view.catalogue.regions_of(name) if row.info.encoded_name not in names]
            rows = [RegionRow(info, table.life) for info in regions]
            changes = Changes(tables=[table], regions=rows, no_regions=old)
            return Step(self.S.TRUNCATE_TABLE_ASSIGN_REGIONS, changes=changes)
        return opened(table, regions)

    def _new(
        self, data: MasterProcedure_pb2.TruncateTableStateData, old: list[RegionInfo], now_ms: int
    ) -> list[RegionInfo]:
        """With an id that none of the old ones has, or one of them would come back under its name."""
        region_id = max(now_ms, *(info.region_id + 1 for info in old))
        if not data.preserve_splits:
            return [RegionInfo(self._name(data), region_id=region_id)]
        return [RegionInfo(info.table, info.start_key, info.end_key, region_id) for info in old]

    def _data(self, procedure: Procedure) -> MasterProcedure_pb2.TruncateTableStateData:
        return procedure.part(MasterProcedure_pb2.TruncateTableStateData)

    def _name(self, data: MasterProcedure_pb2.TruncateTableStateData) -> str:
        return table_text(data.table_name)


# --- what they share ----------------------------------------------------------------------------------------------

T = TypeVar("T", MasterProcedure_pb2.DeleteTableStateData, MasterProcedure_pb2.TruncateTableStateData)


def opened(table: TableRow, regions: list[RegionInfo]) -> Step:
    """The last step of whatever ends with an enabled table; cells of deleted families are gone with the openings."""
    return _enabled(table, Open(regions))


def opened_anew(table: TableRow, regions: list[RegionInfo]) -> Step:
    """The same where they are open, and not with the descriptor that they are to have."""
    return _enabled(table, Reopen(regions))


def _enabled(table: TableRow, work: Open | Reopen) -> Step:
    enabled = replace(table, state=TableState.ENABLED, schema=with_gone_families(table.schema, ()))
    mirror = MirrorTable(table.name)
    return Step(END, (mirror, work), Changes(tables=[enabled]), (mirror,))


def infos(messages: Iterable[HBase_pb2.RegionInfo]) -> list[RegionInfo]:
    """Regions in a procedure's data."""
    return [RegionInfo.from_message(message) for message in messages]


def replaced_regions(data: T, regions: Iterable[RegionInfo]) -> T:
    """The same data of other regions."""
    changed = type(data)()
    changed.CopyFrom(data)
    del changed.region_info[:]
    changed.region_info.extend(info.message() for info in regions)
    return changed


def check_namespace(view: View, table: str) -> None:
    """Raise NamespaceNotFoundException where the table's is unknown."""
    namespace, colon, _ = table.partition(":")
    if colon and namespace not in view.catalogue.namespaces:
        raise NamespaceNotFoundException(namespace)


def check_exists(view: View, table: str) -> TableRow:
    """The table. Raises TableNotFoundException."""
    row = view.catalogue.tables.get(table)
    if row is None:
        raise TableNotFoundException(table)
    return row


def check_modifiable(view: View, table: str) -> None:
    """Raise where it is no disabled table. Source: HMaster#checkTableModifiable."""
    if table == META_TABLE:
        raise IOException("Can't modify catalog tables")
    row = check_exists(view, table)
    if row.state != TableState.DISABLED:
        raise TableNotDisabledException(f"Not DISABLED; {state_text(row)}")


def state_text(table: TableRow) -> str:
    """As Java writes its TableState."""
    return f"tableName={table.name}, state={table.state}"
