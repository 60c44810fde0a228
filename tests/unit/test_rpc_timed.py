"""One connection in some is timed, the others are of a class without a clock."""

from __future__ import annotations

from registry.rpc.connection import RpcConnection
from registry.rpc.timed import TIMED_ONE_IN, TimedConnection, new_connection
from registry.wire.calls import encode_request
from tests.support.rpc import RawClient, hello, serving


async def test_look_ups_of_the_first_connection_are_timed_and_those_of_the_next_not() -> None:
    async with serving() as (server, port):
        for number, timed in ((1, 2), (2, 2)):
            client = await RawClient.connect(port, hello() + encode_request(1, "GetClusterId", b""))
            await client.answer()
            client.send(encode_request(2, "GetMasters", b""))
            await client.answer()
            assert server.stats.lookup_times.total == timed, number
        assert 0 < server.stats.lookup_times.sum_s < 1


async def test_other_calls_are_not_counted() -> None:
    async with serving() as (server, port):
        client = await RawClient.connect(port, b"HBas\0P" + b"\0\0\0\x02\x12\x00")
        client.send(encode_request(1, "GetClusterId", b""))
        await client.rest()
        assert server.stats.lookup_times.total == 0


async def test_a_client_that_connects_twice_each_time_is_met_on_both_connections() -> None:
    async with serving() as (server, _):
        context = server._context  # pyright: ignore[reportPrivateUsage]
        kinds: list[type[RpcConnection]] = []
        for number in range(4 * TIMED_ONE_IN):
            context.stats.connections_accepted = number
            kinds.append(type(new_connection(context)))
        assert kinds.count(TimedConnection) == 4
        assert {number % 2 for number, kind in enumerate(kinds) if kind is TimedConnection} == {0, 1}
