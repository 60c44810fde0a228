"""Where the rows of a region lie in a store: keys that begin with its table's life, in the order of its table."""

from __future__ import annotations

from dataclasses import dataclass

from regionserver.region.keys import RowOrder, meta_order, plain_order
from regionserver.region.region import RegionRange
from regionserver.region.scan import ScanRange, key_range
from registry.wire.region_info import META_TABLE, RegionInfo

LIFE_BYTES = 8
LIFE_MAX = (1 << 8 * LIFE_BYTES) - 2
"""Of all ones are the keys that stores have for themselves."""


@dataclass(frozen=True, slots=True)
class Range:
    """The keys of a region in any store."""

    region: str
    """Its encoded name."""
    lower: bytes
    upper: bytes
    """Exclusive. Both begin with the life of the table."""

    @property
    def life(self) -> bytes:
        """What all its keys begin with."""
        return self.lower[:LIFE_BYTES]


def prefix_of(life: int) -> bytes:
    """What all keys of a table's life begin with."""
    assert 0 <= life <= LIFE_MAX, life
    return life.to_bytes(LIFE_BYTES, "big")


def order_of(table: str) -> RowOrder:
    """How rows of a table are ordered."""
    return meta_order if table == META_TABLE else plain_order


def where_of(info: RegionInfo) -> RegionRange:
    """Its rows, and its name in messages."""
    return RegionRange(info.table, str(info), info.start_key, info.end_key)


def range_of(info: RegionInfo, life: int) -> Range:
    """The keys of a region."""
    return Range(info.encoded_name, *key_range(ScanRange(), where_of(info), prefix_of(life), order_of(info.table)))
