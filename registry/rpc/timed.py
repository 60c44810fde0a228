"""How long look-ups take here, told by one connection in so many; the others pay nothing for it.

A timed connection is of a class of its own, so that the way of a look-up on all others stays without a clock and
without a question whether it is timed. What is measured is one read: from the bytes in hand to the answers given to
the kernel. What a client waits for besides is the loop's turn, which registry.http.process.LoopLag samples.
"""

from __future__ import annotations

from time import perf_counter

from registry.rpc.connection import RpcConnection
from registry.rpc.context import RpcContext

TIMED_ONE_IN = 17
"""Connections of which one is timed; the first is, so that a server with one client tells something. A prime: a client
connects twice, for the preamble and for its calls, and an even number would meet only one of the two."""


class TimedConnection(RpcConnection):
    """A connection whose look-ups are timed."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Answer, and count how long that took where it was a look-up."""
        begun_s = perf_counter()
        super().data_received(data)
        if self._ready is not None:
            self._context.stats.lookup_times.add(perf_counter() - begun_s)


def new_connection(context: RpcContext) -> RpcConnection:
    """The protocol of one more connection."""
    if context.stats.connections_accepted % TIMED_ONE_IN:
        return RpcConnection(context)
    return TimedConnection(context)
