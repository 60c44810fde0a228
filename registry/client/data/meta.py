"""How regions are looked up in hbase:meta: the scans, and what their rows say. Pure.

    T,row,99999999999999   from here downwards: the region of the row, then those before it
    T,key,                 from here upwards: the region that begins at `key`, then those behind it
    T,key,00000000000000   from here downwards: the region before the one that begins at `key`

hbase:meta orders its rows by table, start key and id, not by their bytes.

Source: AsyncNonMetaRegionLocator#locateInMeta, MetaTableAccessor, CatalogFamilyFormat.
"""

from __future__ import annotations

from protos.hbase import HBase_pb2
from registry.client.data.region_map import Region
from registry.client.rows import Row
from registry.client.scan import META_REGION, Scan
from registry.client.table_states import FAMILY as TABLE_FAMILY
from registry.client.table_states import QUALIFIER as TABLE_STATE
from registry.names import Address, ServerName
from registry.rpc.services import SYSTEMTABLE_QOS
from registry.wire.errors import ProtocolError
from registry.wire.region_info import RegionInfo

INFO = b"info"
_COLUMNS = ((INFO, ()),)
_BEHIND_ALL_IDS = b"99999999999999"
_BEFORE_ALL_IDS = b"00000000000000"


def at_or_before(table: str, row: bytes, regions_max: int) -> Scan:
    """Finds the region of a row first, then those before it."""
    return _downwards(table, b"%b,%b,%b" % (table.encode(), row, _BEHIND_ALL_IDS), regions_max)


def before(table: str, key: bytes, regions_max: int) -> Scan:
    """Finds the region that ends at `key`, or the table's last where that is empty."""
    name = table.encode()
    return _downwards(table, b"%b,%b,%b" % (name, key, _BEFORE_ALL_IDS) if key else name + b"\0", regions_max)


def from_key(table: str, key: bytes, regions_max: int) -> Scan:
    """Finds the region that begins at `key`, then those behind it; 0 for `regions_max` is all."""
    name = table.encode()
    return Scan(
        META_REGION,
        columns=_COLUMNS,
        start_row=b"%b,%b," % (name, key),
        stop_row=b"%b ,," % name,
        rows_max=regions_max,
        priority=SYSTEMTABLE_QOS,
    )


def _downwards(table: str, start_row: bytes, regions_max: int) -> Scan:
    return Scan(
        META_REGION,
        columns=_COLUMNS,
        start_row=start_row,
        stop_row=b"%b,," % table.encode(),
        include_stop_row=True,
        reversed=True,
        rows_max=regions_max,
        priority=SYSTEMTABLE_QOS,
    )


def table_state(table: str) -> Scan:
    """Reads table:state of one table; 1.x has no such family."""
    name = table.encode()
    return Scan(
        META_REGION,
        columns=((TABLE_FAMILY, (TABLE_STATE,)),),
        start_row=name,
        stop_row=name,
        include_stop_row=True,
        rows_max=1,
        priority=SYSTEMTABLE_QOS,
    )


def state_name(row: Row) -> str:
    """ENABLED, DISABLED, DISABLING or ENABLING; empty where the row does not tell."""
    value = row.value(TABLE_FAMILY, TABLE_STATE)
    return HBase_pb2.TableState.State.Name(HBase_pb2.TableState.FromString(value).state) if value else ""


def region_of(table: str, row: Row) -> Region | None:
    """The region that a row tells of; None for parents of a split, offline ones and rows of something else.

    Raises ProtocolError.
    """
    value = row.value(INFO, b"regioninfo")
    if not value:
        return None
    info = RegionInfo.from_value(value)
    if info.table != table or info.split or info.offline:
        return None
    seq_num = row.value(INFO, b"seqnumDuringOpen")
    return Region(
        row.key,
        info.start_key,
        info.end_key,
        _server(row),
        int.from_bytes(seq_num, "big", signed=True) if seq_num else -1,
    )


def _server(row: Row) -> ServerName | None:
    text = row.value(INFO, b"server")
    if not text:
        return None
    code = row.value(INFO, b"serverstartcode")
    try:
        address = Address.parse(text.decode())
    except ValueError:
        raise ProtocolError(f"info:server of {row.key!r} is {text[:100]!r}", kind="region") from None
    return ServerName(address.host, address.port, int.from_bytes(code, "big", signed=True) if code else -1)
