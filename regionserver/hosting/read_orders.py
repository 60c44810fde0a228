"""ClusterV1.Orders read and judged before anything is done: one that is wrong changes nothing.

Source: RSRpcServices#executeProcedures, #throwOnWrongStartCode; RegionInfo#parseRegionName.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from protos.hbase import Admin_pb2, HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from regionserver.hosting.hosted import encoded_name_of
from regionserver.hosting.order_machine import CloseOrder, OpenOrder, TableSchema
from regionserver.hosting.ranges import LIFE_MAX
from regionserver.hosting.schema import described
from regionserver.region.rules import USUAL, TableRules
from registry.names import ServerName
from registry.wire.errors import DoNotRetryIOException
from registry.wire.region_info import RegionInfo
from registry.wire.text import lenient_text

DROP_RANGE = "hbeacon.DropRange"
_HAND_OVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""It names a file."""
_NAME = re.compile(
    rb"(?P<table>[^,]+),(?P<start>.*),(?P<id>\d{1,19})(?:_(?P<replica>[0-9A-F]{4}))?(?:\.[^.,]*\.)?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class DropOrder:
    """Drop the rows of a region from a store, and the hand-over by which they have left it."""

    info: RegionInfo
    store_id: str
    life: int
    hand_over: str
    """Empty: the region is gone for good, with its table or that table's life."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """A remote procedure; its result goes back with the number."""

    proc_id: int
    master_active_ms: int
    drop: DropOrder | None
    refusal: str = ""
    """Why there is nothing to do, where `drop` is None."""


@dataclass(frozen=True, slots=True)
class ReadOrders:
    """What one call orders."""

    opens: Sequence[OpenOrder]
    closes: Sequence[CloseOrder]
    procedures: Sequence[Procedure]
    dead: frozenset[str]
    """Names of servers whose stores may be taken from them."""


def read_orders(message: ClusterV1_pb2.Orders, server: ServerName, rules: TableRules = USUAL) -> ReadOrders:
    """Raises DoNotRetryIOException; `rules` are this server's, which tables may change."""
    for request in message.open_region:
        if request.HasField("serverStartCode"):
            check_start_code(server, request.serverStartCode)
    for request in message.close_region:
        if request.HasField("serverStartCode"):
            check_start_code(server, request.serverStartCode)
    schemas = [read_schema(schema, rules) for schema in message.schemas]
    places = {place.region: place for place in message.place}
    hand_overs = {each.region: hand_over_name(each.hand_over) for each in message.hand_over}
    opens = [
        _open_order(info, request.initiating_master_active_time, places, schemas)
        for request in message.open_region
        for info in request.open_info
    ]
    closes = [read_close(request, hand_overs) for request in message.close_region]
    dead = frozenset(f"{each.host_name},{each.port},{each.start_code}" for each in message.dead)
    return ReadOrders(opens, closes, [_procedure(request) for request in message.proc], dead)


def check_start_code(server: ServerName, start_code: int) -> None:
    """Raise where an order is for another life of this server."""
    if start_code != server.start_code:
        raise DoNotRetryIOException(
            f"This RPC was intended for a different server with startcode: {start_code}, this server is: {server}"
        )


def read_schema(message: HBase_pb2.TableSchema, rules: TableRules) -> TableSchema:
    """One that cannot be used fails the openings of its regions, and nothing else."""
    encoded = message.SerializeToString(deterministic=True)
    try:
        return TableSchema(message, encoded, described(message, rules))
    except DoNotRetryIOException as error:
        return TableSchema(message, encoded, None, error.message)


def _open_order(
    asked: Admin_pb2.OpenRegionRequest.RegionOpenInfo,
    master_active_ms: int,
    places: Mapping[str, ClusterV1_pb2.RegionPlace],
    schemas: Sequence[TableSchema],
) -> OpenOrder:
    info = RegionInfo.from_message(asked.region)
    place = places.get(info.encoded_name)
    if place is None:
        raise DoNotRetryIOException(f"the order to open {info} does not say in which store its rows are")
    if place.schema >= len(schemas):
        raise DoNotRetryIOException(f"the order to open {info} names descriptor {place.schema} of {len(schemas)}")
    return OpenOrder(
        info,
        schemas[place.schema],
        place.store_id,
        _life(place.life),
        place.open_seq_num,
        hand_over_name(place.hand_over) if place.hand_over else "",
        asked.open_proc_id,
        master_active_ms,
    )


def read_close(request: Admin_pb2.CloseRegionRequest, hand_overs: Mapping[str, str]) -> CloseOrder:
    """An order to close a region, by either of its names."""
    region = encoded_name_of(request.region.value)
    destination = None
    if request.HasField("destination_server"):
        to = request.destination_server
        destination = ServerName(to.host_name, to.port, to.start_code)
    return CloseOrder(
        region,
        hand_overs.get(region, ""),
        destination,
        request.close_proc_id,
        request.initiating_master_active_time,
        info_of_name(request.region.value),
    )


def info_of_name(name: bytes) -> RegionInfo | None:
    """What a region's whole name says of it, which is all but where it ends; None for an encoded name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    replica = found["replica"]
    return RegionInfo(
        lenient_text(found["table"]),
        found["start"],
        region_id=int(found["id"]),
        replica_id=int(replica, 16) if replica else 0,
    )


def hand_over_name(name: str) -> str:
    """Raises DoNotRetryIOException where it is no name of a file."""
    if not _HAND_OVER.fullmatch(name):
        raise DoNotRetryIOException(f"{name[:80]!r} is no name of a hand-over")
    return name


def _life(life: int) -> int:
    if life > LIFE_MAX:
        raise DoNotRetryIOException(f"{life} is no life of a table")
    return life


def _procedure(request: Admin_pb2.RemoteProcedureRequest) -> Procedure:
    number, active_ms = request.proc_id, request.initiating_master_active_time
    if request.proc_class != DROP_RANGE:
        return Procedure(number, active_ms, None, f"this server has no procedure {request.proc_class[:200]}")
    try:
        place = ClusterV1_pb2.RegionPlace.FromString(request.proc_data)
        if not place.HasField("dropped"):
            raise DecodeError("it does not say whose range")
        hand_over = hand_over_name(place.hand_over) if place.hand_over else ""
        info = RegionInfo.from_message(place.dropped)
        return Procedure(number, active_ms, DropOrder(info, place.store_id, _life(place.life), hand_over))
    except (DecodeError, DoNotRetryIOException) as error:
        return Procedure(number, active_ms, None, f"its data cannot be read: {error}")
