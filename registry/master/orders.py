"""Orders as messages: ClusterV1.Orders for AdminService.ExecuteProcedures, and reports as values.

Source: RSProcedureDispatcher, ProtobufUtil#buildOpenRegionRequest, #buildCloseRegionRequest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from protos.hbase import Admin_pb2, HBase_pb2, RegionServerStatus_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.master.held import Code, Order, Transition
from registry.names import ServerName
from registry.wire.epoch import MasterEpoch
from registry.wire.region_info import RegionInfo
from registry.wire.znode import encode_server_name

DROP_RANGE = "hbeacon.DropRange"
ORDERS_MAX = 250
"""In one call: some 100 KiB, which either side's loop is done with in a few milliseconds."""

_CODES = {
    RegionServerStatus_pb2.RegionStateTransition.OPENED: Code.OPENED,
    RegionServerStatus_pb2.RegionStateTransition.FAILED_OPEN: Code.FAILED_OPEN,
    RegionServerStatus_pb2.RegionStateTransition.CLOSED: Code.CLOSED,
}


def no_orders(epoch: MasterEpoch) -> ClusterV1_pb2.Orders:
    """Makes the epoch known, nothing else."""
    return ClusterV1_pb2.Orders(master_epoch=epoch.number, master=epoch.master)


def orders_message(
    epoch: MasterEpoch,
    server: ServerName,
    orders: Iterable[Order],
    schema_of: Callable[[str], HBase_pb2.TableSchema],
    dead: Collection[ServerName],
    wall_ms: int,
) -> ClusterV1_pb2.Orders:
    """What one server is told. `schema_of` gives the descriptor of a table; `dead` are those to take stores from."""
    message = no_orders(epoch)
    schemas: dict[str, int] = {}
    opening: Admin_pb2.OpenRegionRequest | None = None
    for order in orders:
        info = order.info
        if not order.opens:
            _add_close(message, order, server, epoch)
            continue
        if opening is None:
            opening = message.open_region.add(
                serverStartCode=server.start_code,
                initiating_master_active_time=epoch.number,
                master_system_time=wall_ms,
            )
        opening.open_info.add(region=info.message(), open_proc_id=order.order_id)
        schema = schemas.get(info.table)
        if schema is None:
            schema = schemas[info.table] = len(message.schemas)
            message.schemas.append(schema_of(info.table))
        place = message.place.add(
            region=info.encoded_name,
            store_id=order.store_id,
            life=order.life,
            schema=schema,
            open_seq_num=order.open_seq_num,
        )
        if order.is_fresh:
            place.fresh = True
        if order.hand_over:
            place.hand_over = order.hand_over
    message.dead.extend(encode_server_name(name) for name in dead)
    return message


def close_strays(
    epoch: MasterEpoch, server: ServerName, regions: Sequence[RegionInfo], new_id: Callable[[], int]
) -> ClusterV1_pb2.Orders:
    """Close what must not be open there."""
    message = no_orders(epoch)
    for info in regions:
        _add_close(message, Order(new_id(), info, opens=False), server, epoch)
    return message


def _add_close(message: ClusterV1_pb2.Orders, order: Order, server: ServerName, epoch: MasterEpoch) -> None:
    close = message.close_region.add(
        region=HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=order.info.name),
        transition_in_ZK=False,
        serverStartCode=server.start_code,
        close_proc_id=order.order_id,
        initiating_master_active_time=epoch.number,
    )
    if order.destination is not None:
        close.destination_server.CopyFrom(encode_server_name(order.destination))
    if order.hand_over:
        message.hand_over.add(region=order.info.encoded_name, hand_over=order.hand_over)


def transition_of(message: RegionServerStatus_pb2.RegionStateTransition) -> Transition | None:
    """A line of ReportRegionStateTransition; None for one that says nothing here, such as of a split."""
    code = _CODES.get(message.transition_code)
    if code is None or not message.region_info:
        return None
    region = RegionInfo.from_message(message.region_info[0]).encoded_name
    ids = tuple(number for number in message.proc_id if number > 0)
    return Transition(code, region, message.open_seq_num, ids)
