"""Requests about single regions, and flushes of tables: each is a procedure.

Source: MasterRpcServices, HMaster#move, #flushTable, AssignmentManager#createAssignProcedure, #preTransitCheck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from protos.hbase import HBase_pb2, Master_pb2
from registry.master.catalogue import RegionRow, RegionState, TableState
from registry.master.procedures import classes, making
from registry.master.procedures.making import TransitionType
from registry.master.procedures.runner import Ack
from registry.master.tables.changing import shown_binary
from registry.master.tables.desk import Desk, request_of
from registry.master.tables.names import checked_table
from registry.names import ServerName
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import DoNotRetryIOException, DoNotRetryRegionException, ProtocolError, UnknownRegionException
from registry.wire.region_info import META, META_ENCODED_NAME, META_NAME, RegionInfo
from registry.wire.text import lenient_text
from registry.wire.znode import decode_server_name

_MAY_BE_OPENED = (RegionState.CLOSED, RegionState.OFFLINE, RegionState.ABNORMALLY_CLOSED)


class Regions:
    """Handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        return {
            "MoveRegion": self._move,
            "AssignRegion": self._assign,
            "UnassignRegion": self._unassign,
            "OfflineRegion": self._offline,
            "FlushTable": self._flush,
        }

    async def _move(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.MoveRegionRequest)
        # clients give the encoded name, whatever the type says
        region = self._find(request.region, shown=shown_binary(request.region.value))
        to = _server_of(request.dest_server_name) if request.HasField("dest_server_name") else None
        await self._transit(call, region, TransitionType.MOVE, to)
        return Master_pb2.MoveRegionResponse()

    async def _assign(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.AssignRegionRequest)
        region = self._find(request.region, shown=shown_binary(request.region.value))
        if not request.override:
            self._check_state(region, _MAY_BE_OPENED)
        await self._transit(call, region, TransitionType.ASSIGN)
        return Master_pb2.AssignRegionResponse()

    async def _unassign(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.UnassignRegionRequest)
        region = self._find(request.region, shown=lenient_text(request.region.value))
        self._check_state(region, (RegionState.OPEN,))
        await self._transit(call, region, TransitionType.UNASSIGN)
        return Master_pb2.UnassignRegionResponse()

    async def _offline(self, call: Call) -> Handled:
        """HBase only forgets where it is; here it is closed, so that nobody serves what counts as offline."""
        request = request_of(call, Master_pb2.OfflineRegionRequest)
        region = self._find(request.region, shown=shown_binary(request.region.value))
        row = self._desk.catalogue.region(region.encoded_name)
        if row is None or row.state is RegionState.OPEN:
            await self._transit(call, region, TransitionType.UNASSIGN)
        return Master_pb2.OfflineRegionResponse()

    async def _flush(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.FlushTableRequest)
        data = making.flush_table(
            checked_table(request.table_name), [family for family in request.column_family if family]
        )
        proc_id = await self._desk.submit(call, classes.FLUSH_TABLE, lambda: data, asked=request, ack=Ack.STORED)
        return Master_pb2.FlushTableResponse(proc_id=proc_id)

    # --- within -------------------------------------------------------------------------------------------------

    def _find(self, asked: HBase_pb2.RegionSpecifier, *, shown: str) -> RegionInfo:
        if asked.value in (META_NAME, META_ENCODED_NAME.encode()):
            return META
        row = self._desk.catalogue.region(asked.value)
        if row is None:
            raise UnknownRegionException(shown)
        return row.info

    def _check_state(self, region: RegionInfo, expected: Sequence[RegionState]) -> None:
        row = self._desk.catalogue.region(region.encoded_name)
        if row is None:  # hbase:meta is kept open
            if RegionState.OPEN not in expected:
                raise DoNotRetryRegionException(f"Unexpected state for {region}: it is hbase:meta")
            raise DoNotRetryRegionException("hbase:meta stays open")
        if row.state not in expected:
            raise DoNotRetryRegionException(f"Unexpected state for {_shown(row)}")
        table = self._desk.catalogue.tables.get(region.table)
        if RegionState.OPEN not in expected and (table is None or table.state == TableState.DISABLED):
            raise DoNotRetryRegionException(f"{region.table} is disabled for region={_shown(row)}")

    async def _transit(
        self, call: Call, region: RegionInfo, kind: TransitionType, to: ServerName | None = None
    ) -> None:
        """Until it is done: no client polls for it."""

        def make() -> Sequence[Message]:
            return making.transit_region(region, kind, to)

        await self._desk.submit(call, classes.TRANSIT_REGION, make, ack=Ack.ENDED)


def _shown(row: RegionRow) -> str:
    """As HBase writes its RegionStateNode."""
    location = row.sn if row.sn is not None else "null"
    return f"state={row.state}, location={location}, table={row.info.table}, region={row.info.encoded_name}"


def _server_of(message: HBase_pb2.ServerName) -> ServerName:
    try:
        return decode_server_name(message)
    except ProtocolError as error:
        raise DoNotRetryIOException(f"java.lang.IllegalArgumentException: {error}") from None
