"""What is done to regions by themselves: to assign, unassign or move one, and to flush all of a table.

Each is one work and one write. Source: TransitRegionStateProcedure, FlushTableProcedure.
"""

from __future__ import annotations

from protos.hbase import HBase_pb2, MasterProcedure_pb2
from registry.master.catalogue import TableState
from registry.master.procedures.locks import Kind, Lock, table_locks
from registry.master.procedures.procedure import Procedure
from registry.master.procedures.steps import ASSIGNMENT, END, MASTER_PROCEDURES, Close, Flush, Move, Open, Step, View
from registry.master.procedures.table_classes import check_exists
from registry.wire.errors import NoSuchColumnFamilyException, TableNotEnabledException, UnknownRegionException
from registry.wire.region_info import META, RegionInfo, table_text
from registry.wire.text import lenient_text
from registry.wire.znode import decode_server_name

_Type = MasterProcedure_pb2.RegionTransitionType


class TransitRegion:
    """Of RegionInfo and RegionStateTransitionStateData: ASSIGN, UNASSIGN or MOVE."""

    S = MasterProcedure_pb2.RegionStateTransitionState
    class_name = ASSIGNMENT + "TransitRegionStateProcedure"
    source = "master-transit-region"
    first = S.REGION_STATE_TRANSITION_GET_ASSIGN_CANDIDATE
    checked = frozenset((first,))
    listens_to_abort = False

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """The region's; the table is shared."""
        region = self._region(procedure)
        return (*table_locks(region.table, exclusive=False), Lock(Kind.REGION, region.encoded_name, exclusive=True))

    def step(self, procedure: Procedure, view: View) -> Step:
        """First whether it is there still, then the work."""
        region = self._region(procedure)
        data = procedure.part(MasterProcedure_pb2.RegionStateTransitionStateData)
        is_here = region == META or view.catalogue.region(region.encoded_name) is not None
        if procedure.state == self.first:
            if not is_here:
                raise UnknownRegionException(region.encoded_name)
            return Step(self.S.REGION_STATE_TRANSITION_OPEN)
        if not is_here:
            return Step(END)
        if data.type == _Type.ASSIGN:
            return Step(END, (Open([region]),))
        if data.type == _Type.UNASSIGN:
            return Step(END, (Close([region]),))
        to = decode_server_name(data.assign_candidate) if data.HasField("assign_candidate") else None
        return Step(END, (Move(region, to),))

    def _region(self, procedure: Procedure) -> RegionInfo:
        return RegionInfo.from_message(procedure.part(HBase_pb2.RegionInfo))


class FlushTable:
    """Of FlushTableProcedureStateData."""

    S = MasterProcedure_pb2.FlushTableState
    class_name = MASTER_PROCEDURES + "FlushTableProcedure"
    source = "master-flush-table"
    first = S.FLUSH_TABLE_PREPARE
    checked = frozenset((first,))
    listens_to_abort = True

    def locks(self, procedure: Procedure) -> tuple[Lock, ...]:
        """None, as HBase: what closes regions flushes them, and a server that hangs must not hold up the table."""
        del procedure
        return ()

    def step(self, procedure: Procedure, view: View) -> Step:
        """First whether it may be, then the work."""
        data = self._data(procedure)
        name = table_text(data.table_name)
        if procedure.state == self.S.FLUSH_TABLE_PREPARE:
            table = check_exists(view, name)
            if table.state not in (TableState.ENABLED, TableState.ENABLING):
                raise TableNotEnabledException(name)
            known = {family.name for family in table.schema.column_families}
            unknown = [lenient_text(family) for family in data.column_family if family not in known]
            if unknown:
                raise NoSuchColumnFamilyException(f"Column families [{', '.join(unknown)}] don't exist in table {name}")
            return Step(self.S.FLUSH_TABLE_FLUSH_REGIONS)
        regions = [row.info for row in view.catalogue.regions_of(name)]
        return Step(END, (Flush(regions, tuple(data.column_family)),))

    def _data(self, procedure: Procedure) -> MasterProcedure_pb2.FlushTableProcedureStateData:
        return procedure.part(MasterProcedure_pb2.FlushTableProcedureStateData)
