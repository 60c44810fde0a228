"""hbase:meta read and written by masters: over sockets, at a region that fences the old ones off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from protos.hbase import HBase_pb2
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.client.channels import Channels
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import Scanner
from registry.client.settings import ClientSettings
from registry.master.catalogue import Changes, RegionRow, RegionState, TableRow, TableState
from registry.master.epoch import Deposed, Mastership, NotActing, Token
from registry.master.meta_rows import cells_of, region_cells
from registry.master.meta_table import MetaTable
from registry.names import Address, ServerName
from registry.wire.epoch import MasterEpoch
from registry.wire.region_info import RegionInfo, table_name
from registry.zk.lease import Lease
from tests.support.clock import ManualClock
from tests.support.region_door import META, RegionDoor, region_door
from tests.support.rpc import eventually


class Masters:
    """A region of hbase:meta behind a socket, and masters who know where it is."""

    def __init__(self, door: RegionDoor) -> None:
        self.door = door
        families = {name: FamilyRules() for name in (b"info", b"table", b"hbeacon")}
        door.regions[META] = Region(RegionRange("hbase:meta", META.decode()), families, door.store, b"prefix02")
        self.where: ServerName | None = ServerName(door.address.host, door.address.port, 1)
        self.clock = ManualClock()
        self.made: list[MetaTable] = []
        self.ships: list[Mastership] = []

    def master(self, epoch: int) -> tuple[MetaTable, Token]:
        table = MetaTable(MasterEpoch(epoch), lambda: self.where, self.clock)
        self.made.append(table)
        ship = Mastership(self.clock)
        lease = Lease()
        lease.granted(1e12)
        lease.answered(self.clock.monotonic_ms())
        ship.begin(epoch, lease)
        self.ships.append(ship)
        return table, ship.token()


@asynccontextmanager
async def masters() -> AsyncGenerator[Masters]:
    async with region_door() as door:
        made = Masters(door)
        try:
            yield made
        finally:
            for table in made.made:
                await table.close()


def table_row(name: str, state: TableState = TableState.ENABLED) -> TableRow:
    schema = HBase_pb2.TableSchema(table_name=table_name(name))
    schema.column_families.add(name=b"f")
    return TableRow(name, state, schema, 1)


def regions(count: int) -> list[RegionRow]:
    return [RegionRow(RegionInfo("t", b"%05d" % each, b"", 1), 1) for each in range(count)]


async def test_what_one_master_writes_the_next_one_reads():
    async with masters() as they:
        table, token = they.master(5)
        made = regions(2500)
        changes = Changes(tables=[table_row("t")], regions=made, procedures={1: b"p"}, life_counter=1)
        await table.write(lambda at_ms: cells_of(changes, at_ms), token)
        found = await table.load(token)
        assert list(found.tables) == ["t"]
        assert found.regions == {row.info.encoded_name: row for row in made}
        later, its_token = they.master(6)
        assert (await later.load(its_token)).regions == found.regions


async def test_clients_see_nothing_of_what_is_the_masters_own():
    async with masters() as they:
        table, token = they.master(5)
        changes = Changes(tables=[table_row("t")], regions=regions(2), procedures={1: b"p"}, life_counter=1)
        await table.write(lambda at_ms: cells_of(changes, at_ms), token)
        settings = ClientSettings()
        channels = Channels(settings)

        class Here:
            async def locate(self) -> Address:
                return they.door.address

            def refused(self, address: Address) -> None:
                raise AssertionError(address)

        import random

        scanner = Scanner(Here(), channels, settings, they.clock, random.Random(1))
        rows = await scanner.read_all(Scan(META_REGION), timeout_ms=5000)
        await scanner.close()
        await channels.close()
        assert len(rows) == 3
        assert {cell.family for row in rows for cell in row.cells} == {b"info", b"table"}


async def test_a_master_that_was_deposed_reads_and_writes_no_more():
    async with masters() as they:
        old, its_token = they.master(5)
        await old.write(lambda at_ms: cells_of(Changes(life_counter=1), at_ms), its_token)
        new, token = they.master(6)
        assert (await new.load(token)).life_counter == 1
        with pytest.raises(Deposed, match="5"):
            await old.write(lambda at_ms: cells_of(Changes(life_counter=2), at_ms), its_token)
        with pytest.raises(Deposed, match="6"):
            await old.load(its_token)
        assert (await new.load(token)).life_counter == 1


async def test_a_write_waits_until_somebody_has_hbase_meta_and_ends_with_the_right_to_it():
    async with masters() as they:
        table, token = they.master(5)
        there, they.where = they.where, None
        writing = asyncio.ensure_future(table.write(lambda at_ms: cells_of(Changes(life_counter=1), at_ms), token))
        await eventually(lambda: "not open" in table.problem)
        assert not writing.done()
        they.where = there
        await writing
        assert not table.problem
        they.where = None
        writing = asyncio.ensure_future(table.write(lambda at_ms: cells_of(Changes(life_counter=1), at_ms), token))
        await eventually(lambda: bool(table.problem))
        they.ships[0].end("is stopping")
        with pytest.raises(NotActing):
            await writing


async def test_what_was_deleted_can_be_written_again_though_clocks_stand_still_or_go_back():
    async with masters() as they:
        table, token = they.master(5)
        [row] = regions(1)
        left = RegionRow(row.info, 1, RegionState.OPEN, leftover="s h")
        for before, after in ((None, left), (left, row), (row, left)):
            await table.write(lambda at_ms, before=before, after=after: [region_cells(before, after, at_ms)], token)
        assert (await table.load(token)).regions[row.info.encoded_name].leftover == "s h"
        # another master, whose clock is behind
        they.clock = ManualClock()
        they.clock.wall_ms = lambda: 1000.0  # pyright: ignore[reportAttributeAccessIssue]
        other, its_token = they.master(6)
        await other.load(its_token)
        await other.write(lambda at_ms: [region_cells(left, row, at_ms)], its_token)
        assert not (await other.load(its_token)).regions[row.info.encoded_name].leftover


async def test_writes_that_wait_go_together_and_one_that_is_called_off_takes_nobody_along():
    async with masters() as they:
        table, token = they.master(5)
        where, they.where = they.where, None

        def write(number: int) -> asyncio.Task[None]:
            changes = Changes(procedures={number: b"%d" % number})
            return asyncio.create_task(table.write(lambda at_ms: cells_of(changes, at_ms), token))

        first, second, *others = [write(number) for number in range(1, 40)]
        await eventually(lambda: bool(table.problem))
        first.cancel()
        second.cancel()
        await asyncio.wait([first, second])
        they.where = where
        await asyncio.gather(*others)
        found = await table.load(token)
        assert {number: found.procedures.get(number) for number in range(3, 40)} == {
            number: b"%d" % number for number in range(3, 40)
        }
        assert 2 not in found.procedures, "it was called off before it was begun"


async def test_of_writes_that_go_together_the_later_wins():
    async with masters() as they:
        table, token = they.master(5)
        states = [TableState.ENABLING, TableState.ENABLED, TableState.DISABLING, TableState.DISABLED]
        each = [Changes(tables=[table_row("t", state)]) for state in states]
        writes = [table.write(lambda at_ms, changes=changes: cells_of(changes, at_ms), token) for changes in each]
        await asyncio.gather(*writes)
        assert (await table.load(token)).tables["t"].state == TableState.DISABLED
