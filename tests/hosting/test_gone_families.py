"""A family that was deleted from a table: its cells are removed when a region is opened, and no other's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protos.hbase import HBase_pb2
from regionserver.hosting.gone_families import remove_families
from regionserver.hosting.ranges import prefix_of, range_of
from regionserver.region.keys import family_key, plain_order
from regionserver.region.mutations import Change, Mutation, MutationKind
from registry.wire.cellblock import KeyType
from registry.wire.errors import NoSuchColumnFamilyException
from registry.wire.gone_families import gone_families, with_gone_families
from registry.wire.region_info import RegionInfo
from tests.hosting.desk import LIFE, NOW_MS, Desk, infos, schema, server

WHOLE, *_ = infos(1)
ROWS = [b"", b"a", b"a\0", b"a\0\0b", b"b\xff"]


def with_families(*names: bytes, gone: tuple[bytes, ...] = ()) -> HBase_pb2.TableSchema:
    made = schema()
    del made.column_families[:]
    for name in names:
        made.column_families.add(name=name)
    return with_gone_families(made, gone)


async def write(desk: Desk, info: RegionInfo, row: bytes, family: bytes, size_bytes: int = 10) -> None:
    done = asyncio.get_running_loop().create_future()
    region = desk.region(info)
    changes = [
        Change(family, b"q%d" % number, NOW_MS, KeyType.PUT, b"x" * min(size_bytes, 4000))
        for number in range(max(1, size_bytes // 4000))
    ]
    region.mutate([Mutation(MutationKind.PUT, row, changes)], region.rules.durability, done.set_result, NOW_MS)
    assert await done is None


def keys_of(desk: Desk, info: RegionInfo) -> list[bytes]:
    store = desk.stores.get(desk.stores.home)
    assert store is not None
    where = range_of(info, LIFE)
    return [key for key, _ in store.scan(where.lower, where.upper)]


async def reopen(desk: Desk, info: RegionInfo, table: HBase_pb2.TableSchema) -> None:
    desk.orders.take(desk.close_message(info))
    await desk.told()
    desk.orders.take(desk.open_message([info], table=table))
    await desk.told()


@pytest.mark.parametrize("size_bytes", [10, 40_000], ids=["small", "in chunks"])
async def test_its_cells_go_and_all_others_stay(tmp_path: Path, size_bytes: int):
    desk = server(tmp_path)
    desk.orders.take(desk.open_message([WHOLE], table=with_families(b"f", b"fa", b"g")))
    await desk.told()
    for row in ROWS[1:]:
        for family in (b"f", b"fa", b"g"):
            await write(desk, WHOLE, row, family, size_bytes)
    before = keys_of(desk, WHOLE)
    await reopen(desk, WHOLE, with_families(b"fa", gone=(b"f", b"g")))
    after = keys_of(desk, WHOLE)
    firsts = [family_key(prefix_of(LIFE) + plain_order(row), b"fa") for row in ROWS[1:]]
    assert after == [key for key in before if any(key.startswith(first) for first in firsts)]
    assert 0 < len(after) < len(before)
    assert set(desk.rows(WHOLE, ROWS[1:])) == set(ROWS[1:])
    await reopen(desk, WHOLE, with_families(b"f", b"fa", b"g"))
    assert keys_of(desk, WHOLE) == after
    await desk.orders.close_all()
    desk.stores.close()


@pytest.mark.parametrize("others", [(), (b"g",)], ids=["alone", "beside another"])
async def test_one_that_is_made_again_is_served_when_its_cells_are_gone(tmp_path: Path, others: tuple[bytes, ...]):
    """Nobody writes to it before the descriptor says that they are: an opening that comes again would take that too."""
    desk = server(tmp_path)
    desk.orders.take(desk.open_message([WHOLE], table=with_families(b"f", *others)))
    await desk.told()
    for family in (b"f", *others):
        await write(desk, WHOLE, b"a", family)
    for _ in range(2):
        await reopen(desk, WHOLE, with_families(b"f", *others, gone=(b"f",)))
        assert len(keys_of(desk, WHOLE)) == len(others)
        assert tuple(desk.region(WHOLE).families) == others
        with pytest.raises(NoSuchColumnFamilyException):
            await write(desk, WHOLE, b"a", b"f")
    await reopen(desk, WHOLE, with_families(b"f", *others))
    await write(desk, WHOLE, b"a", b"f")
    await reopen(desk, WHOLE, with_families(b"f", *others))
    assert len(keys_of(desk, WHOLE)) == 1 + len(others)
    await desk.orders.close_all()
    desk.stores.close()


async def test_nothing_outside_the_region_is_touched(tmp_path: Path):
    desk = server(tmp_path)
    left, right = infos(2)
    desk.orders.take(desk.open_message([left, right], table=with_families(b"f")))
    await desk.told(2)
    await write(desk, left, b"0", b"f")
    await write(desk, right, b"000002", b"f")
    store = desk.stores.get(desk.stores.home)
    assert store is not None
    assert await remove_families([b"f"], range_of(left, LIFE), store) == 1
    assert (len(keys_of(desk, left)), len(keys_of(desk, right))) == (0, 1)
    await desk.orders.close_all()
    desk.stores.close()


def test_the_attribute_names_them_and_goes():
    named = with_gone_families(schema(DURABILITY="SKIP_WAL"), {b"x,y", b"\xff"})
    assert gone_families(named) == {b"x,y", b"\xff"}
    assert with_gone_families(named, ()) == schema(DURABILITY="SKIP_WAL")
    assert gone_families(with_gone_families(named, {b"z"})) == {b"z"}
