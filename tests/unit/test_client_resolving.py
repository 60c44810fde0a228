"""Names with several addresses, and ZooKeeper as the last resort."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from registry.client.answers import What
from registry.client.attempts import RegistryLookupError
from registry.client.connect import ConnectRequest, open_connection
from registry.client.connection import Connection
from registry.client.resolving import KEPT_MS, Resolver
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.client.target import RpcTarget
from registry.clock import SystemClock
from registry.names import Address
from tests.support.clock import ManualClock
from tests.support.registry import CLUSTER_ID, bodies
from tests.support.scripted import answering, hanging, refused_address, scripted_server

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


class Names:
    """A name service that is told what to say."""

    def __init__(self, **answers: list[tuple[int, str]] | None) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(self, host: str) -> list[tuple[int, str]]:
        self.asked.append(host)
        answer = self.answers.get(host)
        if answer is None:
            raise socket.gaierror(-2, "Name or service not known")
        return answer


async def test_a_name_with_several_addresses_is_several_servers() -> None:
    names = Names(
        beacon=[(V4, "10.0.0.1"), (V4, "10.0.0.2"), (V4, "10.0.0.1")],
        both=[(V4, "10.0.0.9"), (V6, "fd00::9")],
    )
    resolver = Resolver(ManualClock(), names.resolve)
    found = await resolver.expand(
        [Address("beacon", 16000), Address("both", 1), Address("gone", 2), Address("10.0.0.2", 16000)]
    )
    assert found == (
        Address("10.0.0.1", 16000), Address("10.0.0.2", 16000), Address("both", 1), Address("gone", 2),
    )  # fmt: skip
    assert sorted(names.asked) == ["beacon", "both", "gone"], "addresses are not resolved"


async def test_names_are_resolved_again_and_the_last_addresses_outlive_the_name_service() -> None:
    clock, names = ManualClock(), Names(beacon=[(V4, "10.0.0.1"), (V4, "10.0.0.2")])
    resolver = Resolver(clock, names.resolve)
    servers = [Address("beacon", 16000)]
    before = await resolver.expand(servers)
    names.answers["beacon"] = [(V4, "10.0.0.3"), (V4, "10.0.0.4")]
    assert await resolver.expand(servers) == before
    clock.advance(KEPT_MS)
    assert await resolver.expand(servers) == before, "nobody waits for a name that was known"
    await asyncio.sleep(0.01)
    after = await resolver.expand(servers)
    assert after == (Address("10.0.0.3", 16000), Address("10.0.0.4", 16000))
    names.answers["beacon"] = None
    clock.advance(KEPT_MS)
    await resolver.expand(servers)
    await asyncio.sleep(0.01)
    assert await resolver.expand(servers) == after
    await resolver.close()


async def test_one_hung_address_of_a_name_holds_nobody_up() -> None:
    """Left to the socket, the first address that accepts is the server, and all others are never asked."""
    clock, names = SystemClock(), Names()
    async with scripted_server(hanging, "127.0.0.2") as hung:
        script = answering(bodies())
        async with scripted_server(script, "127.0.0.3") as good:
            names.answers["beacon"] = [(V4, hung.host), (V4, good.host)]
            own = ClientSettings(retries_count=0)
            for seed in range(6):
                # both listen on ports of their own here, so each is listed under both ports
                servers = (Address("beacon", hung.port), Address("beacon", good.port))
                source = RpcSource(RpcTarget(servers, What.BOOTSTRAP_NODES), own, clock, random.Random(seed))
                source._resolver = Resolver(clock, names.resolve)  # pyright: ignore[reportPrivateUsage]
                async with Connection(source, own, clock, random.Random(seed), "beacon") as cluster:
                    answer = await cluster.cluster_id(timeout_ms=5000)
                    assert answer.value == CLUSTER_ID
                    assert answer.server == str(good)


async def test_zookeeper_is_asked_when_no_registry_server_answers_and_somebody_configured_it() -> None:
    with refused_address() as registry, refused_address() as zookeeper:
        uri = f"hbase+rpc://{registry}"
        quick = {"hbase.client.retries.number": "0", "hbase.ipc.client.socket.timeout.connect": "200"}
        named = ConnectRequest(uri, settings={**quick, "hbase.zookeeper.quorum": str(zookeeper)}, environ={})
        async with await open_connection(named) as cluster:
            assert f"zookeeper {zookeeper}/hbase" in cluster.name
            assert cluster.servers == (registry,)
            with pytest.raises(RegistryLookupError) as caught:
                await cluster.cluster_id(timeout_ms=2000)
            assert [server for server, _ in caught.value.by_server()] == [str(registry), f"zookeeper {zookeeper}/hbase"]
        async with await open_connection(ConnectRequest(uri, settings=quick, environ={})) as cluster:
            with pytest.raises(RegistryLookupError) as caught:
                await cluster.cluster_id(timeout_ms=2000)
            assert [server for server, _ in caught.value.by_server()] == [str(registry)], "the default is nobody's word"
