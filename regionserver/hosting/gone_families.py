"""Cells of families that were deleted from a table, removed from a region before it is opened.

Whoever is killed meanwhile begins anew at the next opening: the descriptor names the families until all regions have
been opened without them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from regionserver.engine.store import Batch, Durability, Store
from regionserver.hosting.committing import commit
from regionserver.hosting.ranges import LIFE_BYTES, Range
from regionserver.region.keys import family_of, row_key_of

SLICE_MS = 4.0
"""How long keys are looked at before others get a turn."""
BATCH_KEYS = 2000


async def remove_families(families: Collection[bytes], rows: Range, store: Store) -> int:
    """How many keys were removed. Nobody may write to the region meanwhile. Raises StoreError."""
    removed_count = 0
    batch = Batch()
    ends_s = time.monotonic() + SLICE_MS / 1000
    for key, _ in store.scan(rows.lower, rows.upper):
        if family_of(key, len(row_key_of(key, LIFE_BYTES))) in families:
            batch.delete(key)
            removed_count += 1
        if len(batch.changes) >= BATCH_KEYS:
            await commit(store, batch, Durability.PROCESS)
            batch = Batch()
        if time.monotonic() > ends_s:
            await asyncio.sleep(0)
            ends_s = time.monotonic() + SLICE_MS / 1000
    if batch:
        await commit(store, batch, Durability.PROCESS)
    return removed_count
