"""`python -m tests.support.leaky_adapter adapter ...`: an adapter that loses one descriptor with each connection.

A planted fault: what looks for growth has to find it.
"""

from __future__ import annotations

import os
import sys

from registry.cli.main import main
from registry.rpc.connection import RpcConnection


def plant() -> None:
    """From now on."""
    connection_lost = RpcConnection.connection_lost

    def leaving_something(self: RpcConnection, exc: Exception | None) -> None:
        connection_lost(self, exc)
        os.open(os.devnull, os.O_RDONLY)

    RpcConnection.connection_lost = leaving_something


if __name__ == "__main__":
    plant()
    sys.exit(main())
