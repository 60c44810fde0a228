"""A commit that is waited for, by work beside the calls of clients.

Calls of clients do not wait for a busy store: they are told so. What the master ordered is tried again.
"""

from __future__ import annotations

import asyncio

from regionserver.engine.store import Batch, Durability, Store, StoreBusy, StoreError

BUSY_PAUSE_S, BUSY_TRIES = 0.05, 1200
"""A store that cannot take more is asked again for a minute."""


async def commit(store: Store, batch: Batch, durability: Durability) -> None:
    """Commit, and wait until it is so durable. Raises StoreError."""
    error: StoreError | None = None
    for _ in range(BUSY_TRIES):
        done: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()

        def committed(error: StoreError | None, done: asyncio.Future[StoreError | None] = done) -> None:
            if not done.done():
                done.set_result(error)

        try:
            store.commit(batch, durability, committed)
            error = await done
        except StoreBusy as busy:
            error = busy
        if error is None:
            return
        if not isinstance(error, StoreBusy):
            break
        await asyncio.sleep(BUSY_PAUSE_S)
    assert error is not None, "it ended without an error"
    raise error


async def all_before(store: Store) -> None:
    """Wait until every commit that was begun is over, as durable as it asked. Raises StoreError."""
    await commit(store, Batch(), Durability.PROCESS)  # commits end in their order
