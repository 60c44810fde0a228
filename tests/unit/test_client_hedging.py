"""The hedging client beside servers that hang, refuse and come back, on real sockets."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from registry.client.attempts import RegistryLookupError
from registry.client.probing import Policy
from registry.client.rpc_source import SILENT_MS_MAX
from registry.client.settings import ClientSettings
from registry.names import Address
from registry.wire.calls import encode_answer
from tests.support.registry import CLUSTER_ID, bodies, connection_to
from tests.support.scripted import Peer, answering, hanging, refused_address, scripted_server

WELL_BELOW_ITS_SHARE_S = 5.0
"""Unhedged, a hung server takes its share of the deadline: 20 s here, for a third of the clients."""


SEEDS = itertools.count()


async def bootstrap(servers: tuple[Address, ...], policy: Policy = Policy.HEDGED) -> int:
    """A client without history finds its cluster; how many calls that took."""
    settings = ClientSettings(retries_count=0, policy=policy)
    async with connection_to(*servers, settings=settings, seed=next(SEEDS)) as cluster:
        answers = (
            await cluster.cluster_id(timeout_ms=60_000),
            await cluster.meta_locations(timeout_ms=60_000),
            await cluster.active_master(timeout_ms=60_000),
        )
        assert answers[0].value == CLUSTER_ID
        return sum(answer.calls for answer in answers)


@pytest.mark.parametrize("hung", [1, 2])
async def test_no_client_waits_for_hung_servers(hung: int) -> None:
    async with (
        scripted_server(answering(bodies())) as good,
        scripted_server(hanging if hung == 2 else answering(bodies())) as second,
        scripted_server(hanging) as third,
    ):
        begin = time.monotonic()
        calls = [await bootstrap((good, second, third)) for _ in range(30)]
        assert time.monotonic() - begin < WELL_BELOW_ITS_SHARE_S
        assert max(calls) <= 3 * (1 + hung), "a busy machine may cost a hedge more, never a call to everybody for each"


async def test_healthy_servers_get_no_extra_call() -> None:
    """One call a question: the delay is far longer than an answer takes. (A busy machine may cost one or two.)"""
    seen: list[str] = []
    async with (
        scripted_server(answering(bodies(), seen=seen)) as one,
        scripted_server(answering(bodies(), seen=seen)) as two,
    ):
        for _ in range(30):
            await bootstrap((one, two))
    assert 90 <= len(seen) <= 95


async def test_hbases_policies_are_still_there() -> None:
    async with scripted_server(answering(bodies())) as one, scripted_server(answering(bodies())) as two:
        for policy in (Policy.RANDOM, Policy.FANOUT):
            calls = await bootstrap((one, two), policy)
            assert calls >= 3


async def test_who_failed_is_asked_again_while_another_hangs() -> None:
    """One server hangs; the other is down when the look-up begins and back a moment later."""
    async with scripted_server(hanging) as hung:
        with refused_address() as down:
            async with connection_to(hung, down, settings=ClientSettings(pause_ms=50)) as cluster:
                with pytest.raises(RegistryLookupError) as caught:
                    await cluster.cluster_id(timeout_ms=2500)
    said = dict(caught.value.by_server())
    assert "asked" in said[str(down)], "more than one pass within the deadline"


async def test_all_refuse() -> None:
    with refused_address() as one, refused_address() as two:
        async with connection_to(one, two) as cluster:
            with pytest.raises(RegistryLookupError) as caught:
                await cluster.cluster_id(timeout_ms=300)
    assert {server for server, _ in caught.value.by_server()} == {str(one), str(two)}


@pytest.mark.parametrize("half", [False, True])
async def test_a_connection_that_fell_silent_is_not_asked_for_ever(half: bool) -> None:
    """Its caller gave up before any time-out of the call: nothing but the silence tells that the connection is dead.

    Half an answer is no answer.
    """
    connections: list[Peer] = []

    async def silent_after_one_answer(peer: Peer) -> None:
        connections.append(peer)
        if len(connections) > 1:
            await answering(bodies())(peer)
            return
        await peer.read_hello()
        header, _ = await peer.read_call()
        peer.write(encode_answer(header.call_id, bodies()["GetClusterId"]))
        header, _ = await peer.read_call()
        if half:
            peer.write(encode_answer(header.call_id, bodies()["GetActiveMaster"])[:20])
        await peer.hang()

    async with scripted_server(silent_after_one_answer) as server, connection_to(server) as cluster:
        await cluster.cluster_id(timeout_ms=60_000)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SILENT_MS_MAX / 2000 + 0.1):
                    await cluster.active_master(timeout_ms=60_000)
        async with asyncio.timeout(10):
            await cluster.active_master(timeout_ms=60_000)
        assert len(connections) == 2
