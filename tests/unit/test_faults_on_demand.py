"""Real adapters told to do wrong by `hbeacon fault`, and what a client sees of each kind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import hbeacon
from protos.hbase import Master_pb2
from registry.cli.main import main
from registry.names import Address
from registry.rpc.client import RpcChannel, fetch_cluster_id
from tests.support.adapters import AdapterProcess
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.hbase_tree import CLUSTER_ID, WORKER, HBaseTreeWriter
from tests.support.processes import free_ports, wait_for

HOST = "127.0.0.1"
ENABLED = {"hbeacon.faults.enabled": "true", "hbeacon.faults.token": "sesame"}
PATIENCE_MS = 20_000.0
SHORT_MS = 300.0
"""What a client waits that is expected to wait in vain."""


@dataclass
class World:
    """Two adapters that may have faults, one that may not, a master that may, and their cluster."""

    one: AdapterProcess
    two: AdapterProcess
    plain: AdapterProcess
    master: AdapterProcess
    tree: HBaseTreeWriter


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    coordinator = CoordinatorProcess(folder, keep=False)
    coordinator.start()
    tree = HBaseTreeWriter(coordinator.address)
    tree.write()
    rpc = [f"{HOST}:{port}" for port in free_ports(HOST, 4)]
    made: list[AdapterProcess] = []
    try:
        for name, address, settings, command, znode in (
            ("one", rpc[0], ENABLED, "adapter", ""),
            ("two", rpc[1], ENABLED, "adapter", ""),
            ("plain", rpc[2], {}, "adapter", ""),
            ("master", rpc[3], ENABLED, "master", "/ours"),
        ):
            peers = {"hbeacon.registry.servers": ",".join(rpc[:2])} if command == "adapter" else {}
            made.append(
                AdapterProcess(
                    name,
                    folder / f"{name}.log",
                    zookeeper=coordinator.address + znode,
                    rpc=address,
                    guard=False,
                    settings=settings | peers,
                    command=("registry.cli.main", command),
                )
            )
        one, two, plain, master = (each.wait_ready() for each in made)
        yield World(one, two, plain, master, tree)
    finally:
        for each in made:
            each.close()
        tree.close()
        coordinator.close()


@pytest.fixture(autouse=True)
def _token_and_no_faults(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HBEACON_FAULTS_TOKEN", "sesame")
    yield
    assert main(["fault", "clear", world.one.http, world.two.http, world.master.http]) == 0


def fault(*words: str) -> None:
    assert main(["fault", "set", *words]) == 0


def client(*servers: AdapterProcess) -> hbeacon.Connecting:
    return hbeacon.connect(masters=[each.rpc for each in servers], settings={"hbase.client.retries.number": "0"})


async def bootstrap_ms(*servers: AdapterProcess, timeout_ms: float = PATIENCE_MS) -> float:
    """How long a new client needs to find its cluster."""
    begun_s = time.monotonic()
    async with client(*servers) as cluster:
        assert (await cluster.cluster_id(timeout_ms=timeout_ms)).value == CLUSTER_ID
        assert (await cluster.active_master(timeout_ms=timeout_ms)).value is not None
    return (time.monotonic() - begun_s) * 1000


# --- the command ----------------------------------------------------------------------------------------------------


def test_several_servers_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    servers = [world.one.http, world.two.http]
    fault("hang", *servers, "--method", "Regist", "--probability", "0.5", "--seed", "7", "--duration", "1m")
    out = capsys.readouterr().out
    for server in servers:
        assert f"http://{server}: fault " in out
    assert out.count("is set: hang of Regist, 50 %, seed 7, for 60 s") == 2
    assert main(["fault", "list", *servers, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    numbers = [listed[f"http://{server}"]["faults"][0]["id"] for server in servers]
    assert main(["fault", "remove", str(numbers[0]), servers[0]]) == 0
    assert main(["fault", "list", *servers]) == 0
    out = capsys.readouterr().out
    assert f"http://{servers[0]}: no faults" in out
    assert f"http://{servers[1]}: 1 fault\n  {numbers[1]}: hang of Regist, 50 %, seed 7, for 60 s (applied 0 of" in out
    assert main(["fault", "clear", *servers]) == 0
    out = capsys.readouterr().out
    assert f"http://{servers[0]}: 0 cleared\nhttp://{servers[1]}: 1 cleared" in out


def test_what_one_server_refuses_does_not_stop_the_others(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"{HOST}:{free_ports(HOST, 1)[0]}"
    assert main(["fault", "set", "stale", world.plain.http, world.one.rpc, nobody, world.one.http]) == 1
    printed = capsys.readouterr()
    assert f"http://{world.one.http}: fault " in printed.out
    assert f"http://{world.plain.http}: faults are not enabled on this server: set hbeacon.faults.e" in printed.err
    assert f"http://{nobody}: " in printed.err
    assert "refused" in printed.err
    assert f"http://{world.one.rpc}: " in printed.err
    assert len(printed.err.splitlines()) == 3
    assert main(["fault", "list", world.plain.http]) == 0
    assert "faults are not enabled" in capsys.readouterr().out
    monkeypatch.setenv("HBEACON_FAULTS_TOKEN", "open it")
    assert main(["fault", "clear", world.one.http, "--json"]) == 1
    assert "the token is another one" in json.loads(capsys.readouterr().out)[f"http://{world.one.http}"]["error"]
    monkeypatch.delenv("HBEACON_FAULTS_TOKEN")
    assert main(["fault", "remove", "1", world.one.http]) == 1
    assert "a token is needed" in capsys.readouterr().err
    monkeypatch.setenv("HBEACON_FAULTS_TOKEN", "sesame")


def test_the_token_may_lie_in_a_file(
    world: World, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text("sesame\n")
    with monkeypatch.context() as bare:
        bare.delenv("HBEACON_FAULTS_TOKEN")
        bare.setenv("http_proxy", "http://127.0.0.1:1")
        assert main(["fault", "clear", world.one.http, "--token-file", str(path)]) == 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["set", "hung", "SERVER"], "did you mean hang"),
        (["set", "delay", "SERVER"], "--delay 50-200"),
        (["set", "hang", "SERVER", "--probability", "7"], "from 0 to 1"),
        (["set", "reset", "SERVER", "--delay", "7"], "belongs to the kind delay"),
        (["set", "hang", "SERVER", "--peer", "beacon1"], "is no address"),
        (["set", "hang", "a:b"], "a:b"),
        (["clear", "SERVER", "--token-file", "/no/such/file"], "cannot be read"),
        (["list", "--set", "hbeacon.http.address=off"], "name a server"),
    ],
)
def test_bad_words_reach_no_server(
    world: World, words: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fault", *(world.one.http if word == "SERVER" else word for word in words)]) == 2
    err = capsys.readouterr().err
    assert part in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["mend"], ["set"], ["remove", "first"], ["set", "hang", "--count", "0"]])
def test_bad_command_lines(world: World, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fault", *words])
    assert caught.value.code == 2


# --- what a client sees ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["hang"],
        ["hang", "--method", "Regist"],
        ["hang-accept"],
        ["half"],
        ["half", "--method", "Regist", "--bytes", "5"],
    ],
    ids=" ".join,
)
async def test_silence_of_one_server_costs_a_hedged_client_little(world: World, words: list[str]) -> None:
    fault(words[0], world.one.http, *words[1:])
    for _ in range(6):
        assert await bootstrap_ms(world.one, world.two) < 5_000, "unhedged, half of them wait for 20 s"
    with pytest.raises(hbeacon.HBaseError):
        await fetch_cluster_id(Address.parse(world.one.rpc), SHORT_MS)
    if "Regist" in words:
        return  # calls are answered
    with pytest.raises(hbeacon.RegistryLookupError):
        await bootstrap_ms(world.one, timeout_ms=SHORT_MS)
    assert main(["fault", "clear", world.one.http]) == 0
    await bootstrap_ms(world.one)


@pytest.mark.parametrize("kind", ["reset", "refuse"])
async def test_who_closes_is_passed_by(world: World, kind: str) -> None:
    fault(kind, world.one.http)
    for _ in range(6):
        await bootstrap_ms(world.one, world.two)
    begun_s = time.monotonic()
    with pytest.raises(hbeacon.RegistryLookupError):
        await bootstrap_ms(world.one)
    assert (time.monotonic() - begun_s) * 1000 < PATIENCE_MS / 2, "it fails, it does not hang"


async def test_delay(world: World) -> None:
    fault("delay", world.one.http, "--delay", "200-250")
    assert await bootstrap_ms(world.one) >= 400, "two look-ups, each of them late"
    assert main(["fault", "clear", world.one.http]) == 0
    fault("delay", world.one.http, "--delay", "5s", "--peer", "10.0.0.0/8")
    assert await bootstrap_ms(world.one) < 5_000, "that is for others"


async def test_a_stale_server_tells_how_old_it_is(world: World) -> None:
    async def location(
        *servers: AdapterProcess, fresh: bool = False, timeout_ms: float = PATIENCE_MS
    ) -> hbeacon.Answer[hbeacon.RegionLocation]:
        async with client(*servers) as cluster:
            answer = await cluster.meta_locations(timeout_ms=timeout_ms, fresh=fresh)
            return hbeacon.Answer(answer.what, answer.value[0], answer.server, answer.version, answer.age_ms)

    fault("stale", world.one.http)
    elsewhere = hbeacon.ServerName("elsewhere", 16020, 7)
    world.tree.move_meta(elsewhere)
    try:
        async with asyncio.timeout(20):
            while (new := await location(world.two)).value.server_name != elsewhere:
                await asyncio.sleep(0.05)
        old = await location(world.one)
        assert old.value.server_name == WORKER
        assert old.version is not None
        assert new.version is not None
        assert old.version < new.version
        await asyncio.sleep(0.1)
        later = await location(world.one)
        assert later.age_ms is not None
        assert old.age_ms is not None
        assert later.age_ms >= old.age_ms + 100
        for _ in range(6):
            assert (await location(world.one, world.two, fresh=True)).value.server_name == elsewhere, "who wants it new"
        with pytest.raises(hbeacon.RegistryLookupError):
            await location(world.one, fresh=True, timeout_ms=SHORT_MS)
    finally:
        world.tree.move_meta(WORKER)


async def test_a_wrong_cluster_id_is_noticed_by_the_other_servers(world: World) -> None:
    fault("wrong-cluster-id", world.one.http, "--cluster-id", "of-another-cluster")
    async with client(world.one) as cluster:
        assert (await cluster.cluster_id(timeout_ms=PATIENCE_MS)).value == "of-another-cluster"

    def noticed() -> bool:
        status, body = world.two.get("/readyz?verbose")
        sentence = f"{world.one.rpc} has answered GetClusterId differently"
        return status == 503 and sentence.encode() in body

    await asyncio.to_thread(wait_for, "the other adapter to notice", noticed, 30)
    assert main(["fault", "clear", world.one.http]) == 0
    await asyncio.to_thread(wait_for, "it to be over", lambda: world.two.get("/readyz")[0] == 200, 30)


async def test_a_masters_own_calls_meet_faults_too(world: World) -> None:
    """And those of the registry's service on the same port do not, unless they are named."""

    async def running(timeout_ms: float) -> bool:
        address = Address.parse(world.master.rpc)
        async with await RpcChannel.connect(address, "MasterService") as channel:
            response = await channel.call(
                "IsMasterRunning",
                Master_pb2.IsMasterRunningRequest(),
                Master_pb2.IsMasterRunningResponse,
                timeout_ms=timeout_ms,
            )
            return response.is_master_running

    assert await running(PATIENCE_MS)
    fault("hang", world.master.http, "--method", "IsMaster*")
    with pytest.raises(hbeacon.HBaseError):
        await running(SHORT_MS)
    async with client(world.master) as cluster:
        assert (await cluster.active_master(timeout_ms=PATIENCE_MS)).value is not None
    assert main(["fault", "clear", world.master.http]) == 0
    assert await running(PATIENCE_MS)
