r"""The catalogue as rows of hbase:meta.

    row                       family:qualifier            value
    region name               info:regioninfo             PBUF + RegionInfo
                              info:state                  name of a RegionState
                              info:sn                     host,port,startcode: who has it, had it last, or opens it
                              info:server                 host:port of the last opening
                              info:serverstartcode        int64 BE, of the same
                              info:seqnumDuringOpen       int64 BE, of the same
                              hbeacon:store               id of the store in which its rows lie
                              hbeacon:life                8 bytes BE: the prefix of its keys
                              hbeacon:leftover            a store that has an old copy, a blank, and its hand-over
    table name                table:state                 TableState, without PBUF
                              hbeacon:schema              TableSchema
                              hbeacon:life                8 bytes BE
    namespace name            hbeacon:namespace           NamespaceDescriptor
    \0life                    hbeacon:life counter        8 bytes BE: the last life given
    \0procedure,<16 hex>      hbeacon:p                   what the procedure wrote
    \0drop,<region>           hbeacon:drop                RegionPlace, of a region that is gone and whose rows are not

The family hbeacon is never shown to clients. Pure.

Source: MetaTableAccessor, CatalogFamilyFormat, RegionStateStore#updateUserRegionLocation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

from google.protobuf.message import DecodeError

from protos.hbase import HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.client.rows import Row
from registry.master.catalogue import Catalogue, Changes, RegionRow, RegionState, TableRow
from registry.names import ServerName
from registry.wire.cellblock import Cell, KeyType
from registry.wire.errors import ProtocolError
from registry.wire.region_info import RegionInfo

INFO, TABLE, HIDDEN = b"info", b"table", b"hbeacon"

REGION_INFO, STATE, SN = b"regioninfo", b"state", b"sn"
SERVER, START_CODE, SEQ_NUM = b"server", b"serverstartcode", b"seqnumDuringOpen"
STORE, LIFE, LEFTOVER = b"store", b"life", b"leftover"
SCHEMA, NAMESPACE, COUNTER, PROCEDURE, DROP = b"schema", b"namespace", b"life counter", b"p", b"drop"

HIDDEN_ROWS = b"\0"
"""Rows that begin with it are of no table."""
LIFE_ROW = b"\0life"
EPOCH_ROW = b"\0epoch"
"""The region server's own, with epochs for timestamps."""
PROCEDURE_ROWS = b"\0procedure,"
DROP_ROWS = b"\0drop,"

_LONG = struct.Struct(">q")


# --- rows to values -----------------------------------------------------------------------------------------------


def take_row(catalogue: Catalogue, row: Row) -> None:
    """A row as it was read. One that cannot be understood is told in `Catalogue.problems`."""
    if row.key == EPOCH_ROW:
        return
    catalogue.newest_ms = max(catalogue.newest_ms, *(cell.timestamp_ms for cell in row.cells))
    try:
        if row.key.startswith(HIDDEN_ROWS):
            _take_hidden(catalogue, row)
            return
        if row.value(INFO, REGION_INFO):
            catalogue.put_region(region_of_row(row))
        if (descriptor := row.value(HIDDEN, NAMESPACE)) is not None:
            namespace = HBase_pb2.NamespaceDescriptor.FromString(descriptor)
            catalogue.namespaces[row.key.decode()] = namespace
        if (table := table_of_row(row)) is not None:
            catalogue.tables[table.name] = table
    except (ProtocolError, DecodeError, UnicodeDecodeError, ValueError, struct.error) as error:
        catalogue.problems.append(f"row {row.key[:200]!r} of hbase:meta cannot be read: {error}")


def _take_hidden(catalogue: Catalogue, row: Row) -> None:
    if row.key == LIFE_ROW:
        catalogue.life_counter = int.from_bytes(row.value(HIDDEN, COUNTER) or b"", "big")
    elif row.key.startswith(PROCEDURE_ROWS):
        value = row.value(HIDDEN, PROCEDURE)
        if value is not None:
            catalogue.procedures[int(row.key[len(PROCEDURE_ROWS) :], 16)] = value
    elif row.key.startswith(DROP_ROWS):
        value = row.value(HIDDEN, DROP)
        if value is not None:
            catalogue.drops[row.key[len(DROP_ROWS) :].decode()] = ClusterV1_pb2.RegionPlace.FromString(value)


def region_of_row(row: Row) -> RegionRow:
    """Of a row with info:regioninfo. Raises ProtocolError, ValueError."""
    info = RegionInfo.from_value(row.value(INFO, REGION_INFO) or b"")
    sn = row.value(INFO, SN)
    server = row.value(INFO, SERVER)
    start_code = row.value(INFO, START_CODE)
    state = (row.value(INFO, STATE) or b"").decode()
    return RegionRow(
        info,
        life=int.from_bytes(row.value(HIDDEN, LIFE) or b"", "big"),
        state=RegionState(state) if state else RegionState.OFFLINE,
        sn=ServerName.parse(sn.decode()) if sn else None,
        server=_server(server, start_code) if server and start_code else None,
        open_seq_num=_long(row.value(INFO, SEQ_NUM)),
        store=(row.value(HIDDEN, STORE) or b"").decode(),
        leftover=(row.value(HIDDEN, LEFTOVER) or b"").decode(),
    )


def table_of_row(row: Row) -> TableRow | None:
    """None where the row tells of no table. Raises DecodeError."""
    state, schema = row.value(TABLE, STATE), row.value(HIDDEN, SCHEMA)
    if not state or schema is None:
        return None
    return TableRow(
        row.key.decode(),
        HBase_pb2.TableState.State.Name(HBase_pb2.TableState.FromString(state).state),
        HBase_pb2.TableSchema.FromString(schema),
        int.from_bytes(row.value(HIDDEN, LIFE) or b"", "big"),
    )


def _server(address: bytes, start_code: bytes) -> ServerName:
    host, _, port = address.decode().rpartition(":")
    return ServerName(host, int(port), _long(start_code))


def _long(value: bytes | None) -> int:
    return _LONG.unpack(value)[0] if value else 0


# --- values to cells ----------------------------------------------------------------------------------------------


class Written:
    """One row's part of a write: cells to put, and cells that delete. Made by `cells_of`."""

    __slots__ = ("deletes", "puts", "row")

    def __init__(self, row: bytes) -> None:
        self.row = row
        self.puts: list[Cell] = []
        self.deletes: list[Cell] = []


def cells_of(changes: Changes, timestamp_ms: int) -> list[Written]:
    """The rows to write, in an order in which nothing refers to what comes later."""
    return [*_rows(changes, timestamp_ms)]


def region_cells(before: RegionRow | None, after: RegionRow, timestamp_ms: int) -> Written:
    """What changes info and hidden columns of a region from `before`; None: all of them."""
    written = Written(after.info.name)
    put = _putter(written, timestamp_ms)
    put(INFO, REGION_INFO, after.info.value())
    put(INFO, STATE, after.state.encode())
    if after.sn is not None and (before is None or before.sn != after.sn):
        put(INFO, SN, str(after.sn).encode())
    if after.server is not None and (
        before is None or (before.server, before.open_seq_num) != (after.server, after.open_seq_num)
    ):
        put(INFO, SERVER, f"{after.server.host}:{after.server.port}".encode())
        put(INFO, START_CODE, _LONG.pack(after.server.start_code))
        put(INFO, SEQ_NUM, _LONG.pack(after.open_seq_num))
    if before is None or before.life != after.life:
        put(HIDDEN, LIFE, after.life.to_bytes(8, "big"))
    if after.store and (before is None or before.store != after.store):
        put(HIDDEN, STORE, after.store.encode())
    if after.leftover and (before is None or before.leftover != after.leftover):
        put(HIDDEN, LEFTOVER, after.leftover.encode())
    if before is not None and before.leftover and not after.leftover:
        _delete_column(written, HIDDEN, LEFTOVER, timestamp_ms)
    return written


def _rows(changes: Changes, at_ms: int) -> Iterator[Written]:
    if changes.life_counter:
        yield _one(LIFE_ROW, COUNTER, changes.life_counter.to_bytes(8, "big"), at_ms)
    for table in changes.tables:
        written = Written(table.name.encode())
        put = _putter(written, at_ms)
        state = HBase_pb2.TableState(state=table.state)
        put(TABLE, STATE, state.SerializeToString())
        put(HIDDEN, SCHEMA, table.schema.SerializeToString())
        put(HIDDEN, LIFE, table.life.to_bytes(8, "big"))
        yield written
    for region in changes.regions:
        yield region_cells(None, region, at_ms)
    for place in changes.drops:
        yield _one(DROP_ROWS + place.region.encode(), DROP, place.SerializeToString(), at_ms)
    for info in changes.no_regions:
        yield _families_gone(info.name, (INFO, HIDDEN), at_ms)
    for name in changes.no_tables:
        written = Written(name.encode())
        _delete_column(written, TABLE, STATE, at_ms)
        _delete_column(written, HIDDEN, SCHEMA, at_ms)
        _delete_column(written, HIDDEN, LIFE, at_ms)
        yield written
    for namespace in changes.namespaces:
        yield _one(namespace.name, NAMESPACE, namespace.SerializeToString(), at_ms)
    for name in changes.no_namespaces:
        written = Written(name.encode())
        _delete_column(written, HIDDEN, NAMESPACE, at_ms)
        yield written
    for number, value in changes.procedures.items():
        yield _one(procedure_row(number), PROCEDURE, value, at_ms)
    yield from _gone_rows((procedure_row(number) for number in changes.no_procedures), at_ms)
    yield from _gone_rows((DROP_ROWS + name.encode() for name in changes.no_drops), at_ms)


def procedure_row(number: int) -> bytes:
    """The row of a procedure."""
    return PROCEDURE_ROWS + b"%016x" % number


def _gone_rows(rows: Iterable[bytes], at_ms: int) -> Iterator[Written]:
    for row in rows:
        yield _families_gone(row, (HIDDEN,), at_ms)


def _one(row: bytes, qualifier: bytes, value: bytes, at_ms: int) -> Written:
    written = Written(row)
    _putter(written, at_ms)(HIDDEN, qualifier, value)
    return written


def _families_gone(row: bytes, families: Sequence[bytes], at_ms: int) -> Written:
    written = Written(row)
    written.deletes += [Cell(row, family, b"", at_ms, KeyType.DELETE_FAMILY, b"") for family in families]
    return written


def _delete_column(written: Written, family: bytes, qualifier: bytes, at_ms: int) -> None:
    written.deletes.append(Cell(written.row, family, qualifier, at_ms, KeyType.DELETE_COLUMN, b""))


Put = Callable[[bytes, bytes, bytes], None]


def _putter(written: Written, at_ms: int) -> Put:
    def put(family: bytes, qualifier: bytes, value: bytes) -> None:
        written.puts.append(Cell(written.row, family, qualifier, at_ms, KeyType.PUT, value))

    return put
