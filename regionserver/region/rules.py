"""What a table and its server say about all of its regions; what families say is in `visible`."""

from __future__ import annotations

from dataclasses import dataclass

from regionserver.engine.store import Durability

CELL_BYTES_MAX = 10 * 1024 * 1024
"""hbase.server.keyvalue.maxsize."""
ROW_BYTES_MAX = 1 << 30
"""hbase.table.max.rowsize: of one family of a row, as far as one answer has it."""


@dataclass(frozen=True, slots=True)
class TableRules:
    """Source: HRegion#getEffectiveDurability, TableDescriptor; hbase.wal.hsync, hbase.server.keyvalue.maxsize."""

    durability: Durability = Durability.PROCESS
    """Of mutations that ask for none (DURABILITY; USE_DEFAULT is SYNC_WAL)."""
    always_synced: bool = False
    """hbase.wal.hsync: what is to survive all processes survives the loss of power too."""
    read_only: bool = False
    """READONLY."""
    cell_bytes_max: int = CELL_BYTES_MAX
    """0 or less: no limit."""
    row_bytes_max: int = ROW_BYTES_MAX
    is_compacted: bool = True
    """COMPACTION_ENABLED."""
    future_ms_max: int | None = None
    """hbase.hregion.keyvalue.timestamp.slop.millisecs: puts of a time farther ahead are refused."""
    markers_stay_ms: int = 0
    """hbase.hstore.time.to.purge.deletes of families that do not say it themselves, nor by their table."""
    on_demand: bool = True
    """hbase.hregion.scan.loadColumnFamiliesOnDemand, of scans that do not say."""

    def durability_of(self, asked: Durability | None) -> Durability:
        """How durable a mutation is to be that asked for this; None: for nothing of its own."""
        durability = self.durability if asked is None else asked
        return Durability.POWER if self.always_synced and durability is Durability.PROCESS else durability


USUAL = TableRules()
