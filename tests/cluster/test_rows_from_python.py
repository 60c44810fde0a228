"""The Python client's rows and tables: the same stories on a real HBase 2.6.4, on a real 1.4.14, and on hbeacon."""

from __future__ import annotations

import ast
import asyncio
import inspect
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path

import pytest

import hbeacon
from registry.cli.main import main
from tests.support.dev import DevProcess
from tests.support.real_cluster import RealClusters
from tests.support.row_stories import STORIES, Teller
from tests.test_docs import ROOT, blocks

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

SETTINGS = {"hbase.client.pause": "50"}


@pytest.fixture(scope="module", params=["HBase 2.6.4", "HBase 1.4.14", "hbeacon"])
def server(
    request: pytest.FixtureRequest, clusters: RealClusters, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[str, bool]]:
    """Where it is, and whether it is of 1.x."""
    if request.param == "hbeacon":
        directory: Path = tmp_path_factory.mktemp("rows-from-python")
        dev = DevProcess(directory / "dev.log", "--regionservers", "2")
        try:
            yield f"hbase+rpc://{','.join(dev.wait_ready().masters)}", False
        finally:
            dev.process.stop()
    elif request.param == "HBase 2.6.4":
        yield f"hbase+rpc://{clusters.current.masters}", False
    else:
        yield f"hbase+zk://{clusters.zookeeper.address}{clusters.old.parent}", True


@pytest.fixture
async def teller(server: tuple[str, bool]) -> AsyncGenerator[Teller]:
    uri, is_old = server
    async with hbeacon.connect(uri, settings=SETTINGS) as connection:
        yield Teller(connection, is_old=is_old)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_story(teller: Teller, story: Callable[[Teller], Awaitable[None]]) -> None:
    await story(teller)


def test_without_async(server: tuple[str, bool]) -> None:
    uri, _ = server
    with hbeacon.connect_blocking(uri, settings=SETTINGS) as connection:
        connection.admin.create_table("blocking", ["f"], timeout_ms=60_000)
        table = connection.table("blocking", timeout_ms=60_000)
        with table.batch_writer(rows_max=100) as writer:
            for number in range(1000):
                writer.put(f"r{number:04}", {"f:q": str(number)})
        assert [row["f:q"] for row in table.scan(start="r0990")] == [b"%d" % number for number in range(990, 1000)]
        assert len(table.scan(reverse=True).all()) == 1000
        with table.scan() as scanner:
            assert next(scanner).key == b"r0000"
        assert table.increment("c", {"f:n": 1}) == {b"f:n": 1}
        assert table.get("r0001") == {b"f:q": b"1"}
        connection.admin.disable_table("blocking", timeout_ms=60_000)
        connection.admin.delete_table("blocking", timeout_ms=60_000)


def test_a_table_goes_into_a_file_and_comes_back(server: tuple[str, bool], tmp_path: Path) -> None:
    """`hbeacon export` and `import`: every version and delete is where it was, in another table."""
    uri, _ = server
    file = str(tmp_path / "moved.jsonl.gz")
    with hbeacon.connect_blocking(uri, settings=SETTINGS) as connection:
        connection.admin.create_table("moved", {"f": {"VERSIONS": 3, "KEEP_DELETED_CELLS": "TRUE"}}, timeout_ms=60_000)
        table = connection.table("moved", timeout_ms=60_000)
        for number in range(200):
            table.put(f"r{number:03}", {"f:q": str(number), b"f:\xff": b"\x00"}, timestamp=1000 + number)
        table.put("r007", {"f:q": "newer"}, timestamp=5000)
        table.delete("r008", ["f:q"], timestamp=5000)
        assert main(["export", "moved", file, uri, "--raw", "--quiet"]) == 0
        assert main(["import", file, "moved-again", uri, "--create", "--quiet"]) == 0
        copied = connection.table("moved-again", timeout_ms=60_000)
        cells = [row.cells for row in table.scan(raw=True, versions=10)]
        assert [row.cells for row in copied.scan(raw=True, versions=10)] == cells
        assert sum(map(len, cells)) == 402
        for name in ("moved", "moved-again"):
            connection.admin.disable_table(name, timeout_ms=60_000)
            connection.admin.delete_table(name, timeout_ms=60_000)


@pytest.mark.parametrize("server", ["HBase 2.6.4", "hbeacon"], indirect=True)
def test_the_page_of_the_client_does_what_it_shows(server: tuple[str, bool]) -> None:
    """Its examples run one after the other, as a reader would type them. 1.x cannot do all of it."""
    uri, _ = server
    examples = [text for page, text in blocks("python") if page.name == "python-client.md"]
    assert len(examples) >= 8
    for text in examples[:2]:
        exec(compile(text.replace("hbase+rpc://m1:16000,m2:16000", uri), str(ROOT), "exec"), {"hbeacon": hbeacon})
    asyncio.run(_played(uri, examples[2:]))


async def _played(uri: str, examples: list[str]) -> None:
    async with hbeacon.connect(uri, settings=SETTINGS) as hbase:
        known = {"hbeacon": hbeacon, "hbase": hbase, "users": hbase.table("users")}
        for text in examples:
            code = compile(text, "python-client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            made = types.FunctionType(code, known)()
            if code.co_flags & inspect.CO_COROUTINE:
                await made
        await hbase.admin.disable_table("users", timeout_ms=60_000)
        await hbase.admin.delete_table("users", timeout_ms=60_000)
