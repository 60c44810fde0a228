"""`happybase.ConnectionPool`: a few connections for many threads.

One connection of hbeacon serves many threads as it is; the pool is here for programs that have one.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from registry.client.happybase.connection import Connection


class NoConnectionsAvailable(RuntimeError):  # happybase's name
    """All connections are with other threads, and none came back in time."""


class ConnectionPool:
    """`size` connections; the other arguments are those of `Connection`, without `autoconnect`."""

    def __init__(self, size: Any, **kwargs: Any) -> None:
        """The first connection is made at once, so that a wrong address shows here; the others when needed."""
        if not isinstance(size, int):
            raise TypeError("Pool 'size' arg must be an integer")
        if size <= 0:
            raise ValueError("Pool 'size' arg must be greater than zero")
        self._free: queue.LifoQueue[Connection] = queue.LifoQueue(maxsize=size)
        self._of_thread = threading.local()
        kwargs["autoconnect"] = False
        for _ in range(size):
            self._free.put(Connection(**kwargs))
        with self.connection():
            pass

    @contextmanager
    def connection(self, timeout: float | None = None) -> Generator[Connection]:
        """A connection for the block; within it the same thread gets the same one.

        Raises NoConnectionsAvailable when none is free after `timeout` seconds.
        """
        held: Connection | None = getattr(self._of_thread, "current", None)
        if held is None:
            try:
                own = self._free.get(timeout=timeout)
            except queue.Empty:
                raise NoConnectionsAvailable("No connection available from pool within specified timeout") from None
            self._of_thread.current = own
            try:
                with _opened(own):
                    yield own
            finally:
                del self._of_thread.current
                self._free.put(own)
        else:
            with _opened(held):
                yield held


@contextmanager
def _opened(connection: Connection) -> Generator[None]:
    """Open it, and open it again where the block has closed it and failed: blocks around it go on with it."""
    connection.open()
    try:
        yield
    except Exception:
        connection.open()
        raise
