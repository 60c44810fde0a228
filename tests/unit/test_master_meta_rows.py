"""The catalogue as rows: what is written is read back as it was, whatever was there before."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import HBase_pb2
from protos.hbeacon import ClusterV1_pb2
from registry.client.rows import Row
from registry.master.catalogue import Catalogue, Changes, RegionRow, RegionState, TableRow, TableState
from registry.master.meta_rows import (
    EPOCH_ROW,
    HIDDEN,
    INFO,
    LIFE_ROW,
    Written,
    cells_of,
    region_cells,
    region_of_row,
    take_row,
)
from registry.names import ServerName
from registry.wire.cellblock import Cell, KeyType
from registry.wire.region_info import RegionInfo, table_name

A, B = ServerName("rs1", 16020, 1_795_000_000_000), ServerName("fe80::1", 16120, 1_795_000_000_001)
INFO_1 = RegionInfo("ns:t", b"\x00,a", b"b", 17)


class Meta:
    """What a region keeps of cells: the newest of each column, and nothing that was deleted."""

    def __init__(self) -> None:
        self.cells: dict[tuple[bytes, bytes, bytes], Cell] = {}

    def write(self, rows: Iterable[Written]) -> None:
        for row in rows:
            for cell in row.deletes:
                whole = cell.key_type == KeyType.DELETE_FAMILY
                for key in list(self.cells):
                    if key[:2] == (cell.row, cell.family) and (whole or key[2] == cell.qualifier):
                        del self.cells[key]
            self.cells |= {(cell.row, cell.family, cell.qualifier): cell for cell in row.puts}

    def read(self) -> Catalogue:
        rows: dict[bytes, list[Cell]] = {}
        for cell in self.cells.values():
            rows.setdefault(cell.row, []).append(cell)
        catalogue = Catalogue()
        for key, cells in rows.items():
            take_row(catalogue, Row(key, tuple(cells)))
        return catalogue


def schema(table: str) -> HBase_pb2.TableSchema:
    made = HBase_pb2.TableSchema(table_name=table_name(table))
    made.column_families.add(name=b"f")
    return made


servers = st.sampled_from((None, A, B))
regions = st.builds(
    RegionRow,
    st.just(INFO_1),
    life=st.integers(0, 1 << 60),
    state=st.sampled_from(RegionState),
    sn=servers,
    server=servers,
    open_seq_num=st.integers(0, 1 << 60),
    store=st.sampled_from(("", "s1", "s2")),
    leftover=st.sampled_from(("", "s1 h-1", "s2 h-2")),
)


@given(regions, regions)
def test_a_region_is_read_as_it_was_written(before: RegionRow, after: RegionRow):
    meta = Meta()
    meta.write([region_cells(None, before, 1)])
    meta.write([region_cells(before, after, 2)])
    found = meta.read().regions[INFO_1.encoded_name]
    # A name or a number that was there is never taken away: there is no reason to, and HBase does not either.
    assert (found.state, found.life, found.leftover) == (after.state, after.life, after.leftover)
    assert found.sn == (after.sn or before.sn)
    assert found.store == (after.store or before.store)
    if after.server is not None:
        assert (found.server, found.open_seq_num) == (after.server, after.open_seq_num)


def test_rows_as_hbase_writes_them():
    row = RegionRow(INFO_1, 3, RegionState.OPEN, A, A, 7, "store-1", "store-2 h")
    written = region_cells(None, row, 1000)
    values = {(cell.family, cell.qualifier): cell.value for cell in written.puts}
    assert written.row == INFO_1.name
    assert values == {
        (INFO, b"regioninfo"): INFO_1.value(),
        (INFO, b"state"): b"OPEN",
        (INFO, b"sn"): b"rs1,16020,1795000000000",
        (INFO, b"server"): b"rs1:16020",
        (INFO, b"serverstartcode"): (1_795_000_000_000).to_bytes(8, "big"),
        (INFO, b"seqnumDuringOpen"): (7).to_bytes(8, "big"),
        (HIDDEN, b"life"): (3).to_bytes(8, "big"),
        (HIDDEN, b"store"): b"store-1",
        (HIDDEN, b"leftover"): b"store-2 h",
    }
    opening = RegionRow(INFO_1, 3, RegionState.OPENING, B, A, 7, "store-1", "store-2 h")
    changed = {(cell.family, cell.qualifier): cell.value for cell in region_cells(row, opening, 1001).puts}
    assert changed == {
        (INFO, b"regioninfo"): INFO_1.value(),
        (INFO, b"state"): b"OPENING",
        (INFO, b"sn"): str(B).encode(),
    }


def test_everything_else_comes_and_goes():
    meta = Meta()
    place = ClusterV1_pb2.RegionPlace(region="aa", store_id="s", life=1, schema=0, open_seq_num=0)
    table = TableRow("t", TableState.DISABLING, schema("t"), 4)
    # a namespace and a table of one name share a row
    made = Changes(
        tables=[table],
        namespaces=[HBase_pb2.NamespaceDescriptor(name=b"t")],
        procedures={17: b"x", 1 << 62: b""},
        drops=[place],
        life_counter=4,
    )
    meta.write(cells_of(made, 5))
    found = meta.read()
    assert found.tables == {"t": table}
    assert list(found.namespaces) == ["t"]
    assert found.procedures == {17: b"x", 1 << 62: b""}
    assert found.drops == {"aa": place}
    assert (found.life_counter, found.newest_ms) == (4, 5)
    in_memory = Catalogue()
    in_memory.apply(made)
    assert (in_memory.tables, in_memory.procedures, in_memory.drops) == (found.tables, found.procedures, found.drops)

    meta.write(cells_of(Changes(no_tables=["t"], no_procedures=[17], no_drops=["aa"]), 6))
    found = meta.read()
    assert (found.tables, found.drops, list(found.procedures)) == ({}, {}, [1 << 62])
    assert list(found.namespaces) == ["t"], "the row is another's too"
    meta.write(cells_of(Changes(no_namespaces=["t"]), 7))
    assert not meta.read().namespaces


def test_regions_of_a_table_by_start_key_and_by_name():
    catalogue = Catalogue()
    infos = [RegionInfo("t", b"b", b"", 2), RegionInfo("t", b"", b"b", 1), RegionInfo("u", b"", b"", 3)]
    catalogue.apply(Changes(regions=[RegionRow(info, 1) for info in infos]))
    assert [row.info for row in catalogue.regions_of("t")] == [infos[1], infos[0]]
    for name in (infos[0].name, infos[0].encoded_name, infos[0].encoded_name.encode()):
        row = catalogue.region(name)
        assert row is not None
        assert row.info == infos[0]
    assert catalogue.region("nothing") is None
    catalogue.apply(Changes(no_regions=infos[:2]))
    assert catalogue.regions_of("t") == []
    assert [row.info for row in catalogue.regions_of("u")] == [infos[2]]


def test_what_cannot_be_read_is_told_and_left():
    catalogue = Catalogue()
    cells = (
        Cell(b"t,,1.x.", INFO, b"regioninfo", 3, KeyType.PUT, b"nonsense"),
        Cell(b"t,,1.x.", INFO, b"state", 3, KeyType.PUT, b"OPEN"),
    )
    take_row(catalogue, Row(b"t,,1.x.", cells))
    take_row(catalogue, Row(b"v", (Cell(b"v", b"table", b"state", 3, KeyType.PUT, b"\xff"),)))
    assert not catalogue.regions
    assert [b"t,,1.x." in problem.encode() for problem in catalogue.problems] == [True]
    # the region server's own row has epochs for timestamps, which are no times
    take_row(catalogue, Row(EPOCH_ROW, (Cell(EPOCH_ROW, HIDDEN, b"epoch", 1 << 60, KeyType.PUT, b"x"),)))
    take_row(catalogue, Row(LIFE_ROW, (Cell(LIFE_ROW, HIDDEN, b"life counter", 9, KeyType.PUT, b"\x07"),)))
    assert (catalogue.newest_ms, catalogue.life_counter) == (9, 7)


def test_a_region_without_a_state_is_to_be_opened():
    cells = (Cell(INFO_1.name, INFO, b"regioninfo", 3, KeyType.PUT, INFO_1.value()),)
    row = region_of_row(Row(INFO_1.name, cells))
    assert (row.state, row.is_fresh, row.sn) == (RegionState.OFFLINE, True, None)
