"""Server lists that are handed out: taken over when somebody on them answers, and never in place of a working list."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from registry.client.answers import What
from registry.client.connect import ConnectRequest, open_connection
from registry.client.connection import Connection
from registry.client.rpc_source import RpcSource
from registry.client.settings import ClientSettings
from registry.names import Address
from tests.support.registry import CLUSTER_ID, bodies, connection_to
from tests.support.scripted import answering, closing, refused_address, scripted_server

QUICK = ClientSettings(
    retries_count=0,
    pause_ms=1,
    rpc_timeout_ms=1000,
    refresh_interval_ms=3_600_000,
    refresh_initial_delay_ms=3_600_000,
    refresh_min_interval_ms=0,
)

pytestmark = pytest.mark.usefixtures("nothing_blocks_the_loop")


def source_of(cluster: Connection) -> RpcSource:
    source = cluster._source  # pyright: ignore[reportPrivateUsage]
    assert isinstance(source, RpcSource)
    return source


async def until(condition: object, what: str) -> None:
    assert callable(condition)
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within 2 s: {what}")


@pytest.mark.parametrize("renewed_by", [What.BOOTSTRAP_NODES, What.MASTERS])
async def test_a_failed_connection_brings_the_list_that_is_handed_out(renewed_by: What) -> None:
    async with scripted_server(answering(bodies())) as new, scripted_server(answering(bodies(nodes=[new]))) as old:
        with refused_address() as refused:
            async with connection_to(refused, old, settings=QUICK, renewed_by=renewed_by, seed=1) as cluster:
                while cluster.servers == (refused, old):
                    assert (await cluster.cluster_id()).value == CLUSTER_ID
                    cluster.refresh()
                    await asyncio.sleep(0.02)
                assert cluster.servers == (new,)
                cluster.refresh()
                assert (await cluster.cluster_id()).server == str(new)
                assert source_of(cluster).servers.configured == (refused, old), "still the last resort"


async def test_no_trouble_no_refresh() -> None:
    seen: list[str] = []
    async with (
        scripted_server(answering(bodies(), seen=seen)) as address,
        connection_to(address, settings=QUICK) as cluster,
    ):
        await cluster.cluster_id()
        await asyncio.sleep(0.05)
    assert seen == ["GetClusterId"]


async def test_periodic_refresh() -> None:
    settings = ClientSettings(
        retries_count=0, refresh_initial_delay_ms=30, refresh_interval_ms=50, refresh_min_interval_ms=0
    )
    async with (
        scripted_server(answering(bodies())) as new,
        scripted_server(answering(bodies(nodes=[new]))) as old,
        connection_to(old, settings=settings) as cluster,
    ):
        await cluster.cluster_id()
        assert cluster.servers == (old,)
        await until(lambda: cluster.servers == (new,), "the new list")


@pytest.mark.parametrize("kind", ["empty", "unreachable", "closing", "foreign"])
async def test_a_working_list_stays(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Masters before 2.3 close connections to the service; a stock Java client that is handed them is lost."""
    caplog.set_level(logging.WARNING, "registry.client")
    async with (
        scripted_server(closing) as old_master,
        scripted_server(answering(bodies(cluster_id="another"))) as foreign,
    ):
        with refused_address() as refused:
            handed_out = {"empty": [], "unreachable": [refused], "closing": [old_master], "foreign": [foreign]}[kind]
            async with (
                scripted_server(answering(bodies(nodes=handed_out))) as address,
                connection_to(address, settings=QUICK) as cluster,
            ):
                await cluster.cluster_id()
                assert not await source_of(cluster).refresh_servers()
                assert cluster.servers == (address,)
                cluster.refresh()
                assert (await cluster.cluster_id()).value == CLUSTER_ID
    if kind == "empty":
        assert not caplog.records
    else:
        assert len(caplog.records) == 1


async def test_when_the_new_servers_have_died_the_configured_ones_answer() -> None:
    async with (
        scripted_server(answering(bodies())) as configured,
        connection_to(configured, settings=QUICK) as cluster,
    ):
        with refused_address() as dead:
            source_of(cluster).servers.replace([dead])
            answer = await cluster.cluster_id()
            assert (answer.server, answer.value) == (str(configured), CLUSTER_ID)


async def test_the_watched_file_names_other_servers(tmp_path: Path) -> None:
    """A changed hbase-site.xml is in force without a restart, and a broken one changes nothing."""
    site = tmp_path / "hbase-site.xml"

    def write(*servers: Address, broken: bool = False) -> None:
        listed = ",".join(map(str, servers))
        text = f"<configuration><property><name>hbase.masters</name><value>{listed}</value></property></configuration>"
        fresh = tmp_path / "fresh"
        fresh.write_text(text[:40] if broken else text)
        fresh.rename(site)

    async with (
        scripted_server(answering(bodies(cluster_id="one"))) as one,
        scripted_server(answering(bodies(cluster_id="two"))) as two,
    ):
        await asyncio.to_thread(write, one)
        request = ConnectRequest(conf_dir=tmp_path, environ={}, settings={"hbase.client.retries.number": "0"})
        async with await open_connection(request) as cluster:
            assert (await cluster.cluster_id()).value == "one"
            await asyncio.sleep(0.5)
            await asyncio.to_thread(write, two, broken=True)
            await asyncio.sleep(0.5)
            assert cluster.servers == (one,)
            await asyncio.to_thread(write, two)
            for _ in range(40):
                if cluster.servers == (two,):
                    break
                await asyncio.sleep(0.1)
            assert cluster.servers == (two,)
            cluster.refresh()
            assert (await cluster.cluster_id()).value == "two"
