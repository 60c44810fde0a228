"""What procedures do beside regions' assignments, done: znodes and flushes."""

from __future__ import annotations

from collections.abc import Sequence

from registry.master.cluster_work import ClusterWork
from registry.master.tables import flushing
from registry.master.tables.mirror import Mirror
from registry.wire.region_info import RegionInfo


class TablesOutside:
    """Implements registry.master.procedures.runner.Outside."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror

    async def flush(self, regions: Sequence[RegionInfo], families: Sequence[bytes], work: ClusterWork) -> None:
        """Until what they hold in memory is on disk."""
        await flushing.flush(regions, families, work)

    async def mirror_table(self, table: str, work: ClusterWork) -> None:
        """Have ZooKeeper say what the catalogue says."""
        await self.mirror.table(table, work)

    async def mirror_namespace(self, namespace: str, work: ClusterWork) -> None:
        """Have ZooKeeper say what the catalogue says."""
        await self.mirror.namespace(namespace, work)
