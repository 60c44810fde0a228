"""What procedures are submitted with. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from protos.hbase import HBase_pb2, MasterProcedure_pb2, RPC_pb2
from registry.names import ServerName
from registry.wire.region_info import RegionInfo, table_name
from registry.wire.znode import encode_server_name

TransitionType = MasterProcedure_pb2.RegionTransitionType


def create_table(
    schema: HBase_pb2.TableSchema, regions: Sequence[RegionInfo], owner: str
) -> MasterProcedure_pb2.CreateTableStateData:
    """A table of these regions."""
    return MasterProcedure_pb2.CreateTableStateData(
        user_info=_user(owner), table_schema=schema, region_info=[info.message() for info in regions]
    )


def delete_table(table: str, owner: str) -> MasterProcedure_pb2.DeleteTableStateData:
    """A table and all its rows."""
    return MasterProcedure_pb2.DeleteTableStateData(user_info=_user(owner), table_name=table_name(table))


def truncate_table(table: str, owner: str, *, preserve_splits: bool) -> MasterProcedure_pb2.TruncateTableStateData:
    """All rows of a table."""
    return MasterProcedure_pb2.TruncateTableStateData(
        user_info=_user(owner), preserve_splits=preserve_splits, table_name=table_name(table)
    )


def enable_table(table: str, owner: str) -> MasterProcedure_pb2.EnableTableStateData:
    """A disabled table."""
    return MasterProcedure_pb2.EnableTableStateData(
        user_info=_user(owner), table_name=table_name(table), skip_table_state_check=False
    )


def disable_table(table: str, owner: str) -> MasterProcedure_pb2.DisableTableStateData:
    """An enabled table."""
    return MasterProcedure_pb2.DisableTableStateData(
        user_info=_user(owner), table_name=table_name(table), skip_table_state_check=False
    )


def modify_table(
    before: HBase_pb2.TableSchema,
    after: HBase_pb2.TableSchema,
    owner: str,
    *,
    should_check_descriptor: bool,
    reopen_regions: bool,
) -> MasterProcedure_pb2.ModifyTableStateData:
    """A table's descriptor; `before` is what `after` was made from, if that is to be what it still is."""
    return MasterProcedure_pb2.ModifyTableStateData(
        user_info=_user(owner),
        unmodified_table_schema=before,
        modified_table_schema=after,
        delete_column_family_in_modify=False,
        should_check_descriptor=should_check_descriptor,
        reopen_regions=reopen_regions,
    )


def flush_table(table: str, families: Sequence[bytes]) -> MasterProcedure_pb2.FlushTableProcedureStateData:
    """All regions of a table."""
    return MasterProcedure_pb2.FlushTableProcedureStateData(table_name=table_name(table), column_family=families)


def transit_region(
    region: RegionInfo, kind: TransitionType, to: ServerName | None = None
) -> tuple[HBase_pb2.RegionInfo, MasterProcedure_pb2.RegionStateTransitionStateData]:
    """One region."""
    data = MasterProcedure_pb2.RegionStateTransitionStateData(type=kind, force_new_plan=False)
    if to is not None:
        data.assign_candidate.CopyFrom(encode_server_name(to))
    return region.message(), data


def _user(owner: str) -> RPC_pb2.UserInformation:
    return RPC_pb2.UserInformation(effective_user=owner)
