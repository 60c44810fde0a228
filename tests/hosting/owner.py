"""A process that has a store and writes until it is killed: `python -m tests.hosting.owner DATA NAME`.

It prints the id of its store, then each number whose write was acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from regionserver.engine.store import Batch, Durability
from regionserver.hosting.committing import commit
from regionserver.hosting.stores import Stores

LIFE = (1).to_bytes(8, "big")


def key_of(number: int) -> bytes:
    return LIFE + b"%08d" % number


async def write(data_dir: Path, name: str) -> None:
    stores = Stores(data_dir)
    home = stores.open_home()
    stores.set_server(name)
    print(home, flush=True)
    store = stores.get(home)
    assert store is not None
    number = 0
    while True:
        batch = Batch()
        batch.put(key_of(number), b"%d" % number)
        await commit(store, batch, Durability.PROCESS)
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))
