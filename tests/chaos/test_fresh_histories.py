"""Fresh look-ups at two adapters, over RPC, gRPC and HTTP, while ZooKeeper's servers die, stand still and are cut off.

One writer moves hbase:meta as fast as it can; readers ask `fresh` and `min_zxid` all the time. Each answer has to
reflect every write that was acknowledged before its question, whatever happens; refusals are allowed. Two checkers look
at the history, tests.support.fresh_histories and porcupine; that they find a server that lies is shown with one.

The seed is printed. HBEACON_SEED=17 runs that one, HBEACON_HISTORY_S=300 lasts so long.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]
from kazoo.exceptions import KazooException  # pyright: ignore[reportMissingTypeStubs]
from kazoo.handlers.threading import KazooTimeoutError  # pyright: ignore[reportMissingTypeStubs]

import hbeacon
from protos.hbeacon import RegistryV1_pb2 as pb
from protos.hbeacon.RegistryV1_pb2_grpc import RegistryStub
from registry.names import ServerName
from tests.support import porcupine
from tests.support.adapters import AdapterProcess, addresses
from tests.support.faultproxy import TcpFaultProxy
from tests.support.fresh_histories import History, Look, Write, problems
from tests.support.hbase_tree import HBaseTree, HBaseTreeWriter
from tests.support.zookeeper import RELEASES, ZooKeeperEnsemble

HISTORY_S = float(os.environ.get("HBEACON_HISTORY_S") or 12)

pytestmark = [pytest.mark.zookeeper, pytest.mark.chaos, pytest.mark.timeout(HISTORY_S + 170)]

SEED = int(os.environ.get("HBEACON_SEED") or 1)
TREE = HBaseTree()
CALL_MS = 3000.0
EACH_AT_LEAST = 20
"""Answers that each protocol must have brought for the history to say anything."""


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Generator[ZooKeeperEnsemble]:
    """Undisturbed until the last test: a server that a thread has started again ends with the thread."""
    started = ZooKeeperEnsemble(RELEASES["3.8"](), tmp_path_factory.mktemp("zookeeper"))
    try:
        started.start()
        yield started
    finally:
        started.close()


class Writer:
    """Moves hbase:meta to ports 1, 2, 3 ... of a server, in a thread."""

    def __init__(self, hosts: str, history: History) -> None:
        self._history = history
        self._client: Any = cast("Any", KazooClient)(hosts=hosts, timeout=8.0)
        self._client.start(timeout=30)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._write(1)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(20)
        self._client.stop()
        self._client.close()

    def _run(self) -> None:
        value = 1
        while not self._stopped.is_set():
            value += 1
            self._write(value)
            time.sleep(0.002)  # some questions are to come between two writes

    def _write(self, value: int) -> None:
        write = Write(value, time.monotonic())
        self._history.writes.append(write)
        try:
            result = self._client.set_async(TREE.meta_path(), TREE.meta_data(ServerName("rs", value, 1), 0))
            write.zxid = int(result.get(timeout=2).mzxid)
            write.acked_s = time.monotonic()
        except (KazooException, KazooTimeoutError):
            self._stopped.wait(0.05)


class Readers:
    """Ask until they are stopped; what is refused is counted."""

    def __init__(self, adapters: list[AdapterProcess], history: History) -> None:
        self._adapters = adapters
        self._history = history
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        async with hbeacon.connect(
            f"hbase+rpc://{addresses(self._adapters)}", settings={"hbase.client.retries.number": "0"}
        ) as cluster:
            work = [self._repeat("rpc", lambda: self._over_rpc(cluster)) for _ in range(2)]
            channels: list[Any] = []
            for adapter in self._adapters:
                where = _door(adapter, "grpc")
                channels.append(grpc.aio.insecure_channel(where))
                stub = cast("Any", RegistryStub)(channels[-1])
                work.append(self._repeat("grpc", lambda stub=stub, where=where: self._over_grpc(stub, where)))
                work.append(self._repeat("grpc", lambda stub=stub, where=where: self._over_grpc(stub, where, far=True)))
                work.append(self._repeat("http", lambda adapter=adapter: self._over_http(adapter)))
            try:
                await asyncio.gather(*work)
            finally:
                for channel in channels:
                    await channel.close()

    def stop(self) -> None:
        self._stopped.set()

    async def _repeat(self, protocol: str, ask: Callable[[], Awaitable[Look | None]]) -> None:
        while not self._stopped.is_set():
            look = await ask()
            if look is not None:
                self._history.looks.append(look)
            else:
                self._history.refused[protocol] += 1
                await asyncio.sleep(0.01)

    async def _over_rpc(self, cluster: hbeacon.Connection) -> Look | None:
        asked_s = time.monotonic()
        try:
            answer = await cluster.meta_locations(fresh=True, timeout_ms=CALL_MS)
        except hbeacon.RegistryLookupError as error:
            return self._refused(str(error), is_lie="is asked for" in str(error))
        name, version = answer.value[0].server_name, answer.version
        assert name is not None
        assert version is not None
        server = self._name(answer.server)
        return Look("rpc", server, asked_s, time.monotonic(), name.port, version.generation, version.zxid)

    async def _over_grpc(self, stub: Any, where: str, *, far: bool = False) -> Look | None:
        acked = self._history.acked
        asked_s, zxid = time.monotonic(), acked.zxid if acked is not None and far else 0
        freshness = pb.Freshness(min_zxid=zxid) if far else pb.Freshness(fresh=True)
        try:
            request = pb.GetMetaRegionLocationsRequest(freshness=freshness)
            answer = await stub.GetMetaRegionLocations(request, timeout=CALL_MS / 1000)
        except grpc.aio.AioRpcError as error:
            return self._refused(str(error), is_lie=error.code() is grpc.StatusCode.FAILED_PRECONDITION)
        value, version = answer.meta_region_locations.locations[0].server_name.port, answer.version
        server = self._name(where)
        return Look("grpc", server, asked_s, time.monotonic(), value, version.generation, version.zxid, zxid)

    async def _over_http(self, adapter: AdapterProcess) -> Look | None:
        asked_s = time.monotonic()
        status, body = await asyncio.to_thread(adapter.get, "/api/v1/registry?fresh", CALL_MS / 1000)
        answered_s = time.monotonic()
        if status != 200:
            return self._refused(f"{status} {body!r}", is_lie=status not in {0, 503})
        answer = json.loads(body)
        value, version = answer["meta_locations"]["value"][0]["server_name"].split(",")[1], answer["snapshot"]
        server = self._name(adapter.http)
        return Look("http", server, asked_s, answered_s, int(value), version["generation"], version["zxid"])

    def _refused(self, problem: str, *, is_lie: bool) -> None:
        """What was acknowledged is never called unreached."""
        if is_lie:
            self._history.lies.append(problem)

    def _name(self, door: str) -> str:
        """All doors of one adapter are one server."""
        return next(
            adapter.process.name
            for adapter in self._adapters
            if door in {adapter.rpc, adapter.http, _door(adapter, "grpc")}
        )


def _door(adapter: AdapterProcess, name: str) -> str:
    line = next(line for line in adapter.lines if " ready " in line)
    return next(word.removeprefix(f"{name}=") for word in line.split() if word.startswith(f"{name}="))


def _adapter(name: str, directory: Path, zookeeper: str, *command: str) -> AdapterProcess:
    settings = {"hbeacon.grpc.address": "127.0.0.1:0", "hbeacon.selfcheck.interval_ms": "0"}
    settings |= {"zookeeper.session.timeout": "6000", "hbeacon.registry.fresh.timeout_ms": "1500"}
    return AdapterProcess(
        name,
        directory / f"{name}.log",
        zookeeper=zookeeper,
        rpc="127.0.0.1:0",
        guard=False,
        settings=settings,
        command=command or ("registry.cli.main", "adapter"),
    )


@asynccontextmanager
async def reading(adapters: list[AdapterProcess], hosts: str) -> AsyncGenerator[History]:
    """A history that grows until the block ends."""
    history = History()
    writer = await asyncio.to_thread(Writer, hosts, history)
    readers = Readers(adapters, history)
    try:
        for adapter in adapters:
            await asyncio.to_thread(adapter.wait_ready)
        task = asyncio.create_task(readers.run())
        writer.start()
        try:
            yield history
        finally:
            readers.stop()
            async with asyncio.timeout(20):
                await task
    finally:
        await asyncio.to_thread(writer.stop)


async def disturb(ensemble: ZooKeeperEnsemble, proxies: list[TcpFaultProxy], chance: random.Random) -> list[str]:
    """One thing after the other goes wrong and is mended, for as long as a history lasts. Says what it did."""
    said: list[str] = []
    until_s = time.monotonic() + HISTORY_S
    leader = await asyncio.to_thread(ensemble.leader)
    kinds = ["kill a follower", "cut", "drop", "stand still", "cut", "kill the leader", "drop", "cut", "stand still"]
    while time.monotonic() < until_s:
        kind = kinds[len(said) % len(kinds)]
        followers = [server for server in ensemble.servers if server is not leader]
        said.append(kind)
        if kind == "cut":
            chosen = chance.sample(proxies, 2)
            for proxy in chosen:
                proxy.black_hole()
            await asyncio.sleep(chance.uniform(0.2, 1.0))
            for proxy in chosen:
                proxy.heal()
        elif kind == "drop":
            chance.choice(proxies).drop_connections()
        elif kind == "stand still":
            server = chance.choice(followers)
            server.pause()
            await asyncio.sleep(chance.uniform(0.3, 1.0))
            server.resume()
        else:
            server = leader if kind == "kill the leader" else chance.choice(followers)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)
            leader = await asyncio.to_thread(ensemble.leader)
        await asyncio.sleep(chance.uniform(0.1, 0.6))
    return said


@pytest.fixture
def adapters_of(tmp_path: Path) -> Generator[Callable[..., AdapterProcess]]:
    made: list[AdapterProcess] = []

    def make(name: str, zookeeper: str, *command: str) -> AdapterProcess:
        made.append(_adapter(name, tmp_path, zookeeper, *command))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()


def was_stale(history: History) -> bool:
    """Whether an answer knew nothing of what had been acknowledged before its question."""
    return any("was acknowledged" in problem for problem in problems(history))


async def test_a_server_that_lies_is_found(
    ensemble: ZooKeeperEnsemble, adapters_of: Callable[..., AdapterProcess]
) -> None:
    tree = await asyncio.to_thread(HBaseTreeWriter, ensemble.address)
    await asyncio.to_thread(tree.write)
    proxy = TcpFaultProxy(("127.0.0.1", ensemble.servers[0].port))
    try:
        liar = adapters_of("liar", proxy.address, "tests.support.unfresh_adapter", "adapter")
        async with reading([liar], ensemble.address) as history:
            proxy.delay(30)  # what happens is heard of late
            until_s = time.monotonic() + 20
            while not was_stale(history) and time.monotonic() < until_s:
                await asyncio.sleep(0.5)
    finally:
        proxy.close()
        await asyncio.to_thread(tree.close)
    assert was_stale(history), f"{len(history.looks)} look-ups"
    assert porcupine.verdict(history) == "illegal"


async def test_every_fresh_answer_reflects_what_was_acknowledged(
    ensemble: ZooKeeperEnsemble, adapters_of: Callable[..., AdapterProcess]
) -> None:
    print(f"HBEACON_SEED={SEED}")
    tree = await asyncio.to_thread(HBaseTreeWriter, ensemble.address)
    await asyncio.to_thread(tree.write)
    proxies = [TcpFaultProxy(("127.0.0.1", server.port)) for server in ensemble.servers for _ in range(2)]
    try:
        adapters = [
            adapters_of(f"adapter{number}", ",".join(proxy.address for proxy in proxies[number::2]))
            for number in range(2)
        ]
        async with reading(adapters, ensemble.address) as history:
            said = await disturb(ensemble, proxies, random.Random(SEED))
            for proxy in proxies:
                proxy.heal()
            await asyncio.sleep(0.5)
    finally:
        for proxy in proxies:
            proxy.close()
        await asyncio.to_thread(tree.close)
    acked = sum(write.acked_s is not None for write in history.writes)
    counts = Counter(look.protocol for look in history.looks)
    print(f"{len(history.writes)} writes, {acked} acknowledged; {dict(counts)}, refused {dict(history.refused)}")
    print(", ".join(said))
    found = problems(history)
    assert not found, found[:10]
    assert porcupine.verdict(history) == "ok"
    assert min(counts[protocol] for protocol in ("rpc", "grpc", "http")) >= EACH_AT_LEAST
    assert acked >= EACH_AT_LEAST
