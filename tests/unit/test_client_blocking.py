"""The face without async: one thread for each connection, which ends with it. And the public names."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import hbeacon
from registry.names import Address
from registry.wire.errors import StoppedRpcClientException
from tests.support.registry import CLUSTER_ID, MASTER, META, bodies
from tests.support.scripted import Script, answering, hanging, scripted_server

ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def server_thread(script: Script) -> Generator[Address]:
    """A scripted server on a loop of its own, as the blocking client has no loop to share."""
    ready = threading.Event()
    stop = asyncio.Event()
    found: list[Address] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with scripted_server(script) as address:
            found.append(address)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(5)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


def client_threads() -> int:
    return sum(thread.name == "hbeacon client" for thread in threading.enumerate())


def test_look_ups() -> None:
    with (
        server_thread(answering(bodies(nodes=[Address("b", 1)]))) as address,
        hbeacon.connect_blocking(f"hbase+rpc://{address}", conf_dir=None) as cluster,
    ):
        assert cluster.cluster_id(timeout_ms=2000).value == CLUSTER_ID
        answer = cluster.active_master(timeout_ms=2000)
        assert answer.value == MASTER
        assert cluster.active_master().cached
        assert cluster.stale(answer)
        assert not cluster.active_master().cached
        cluster.refresh()
        assert cluster.meta_locations().value[0].server_name == META
        assert len(cluster.masters().value) == len(cluster.bootstrap_nodes().value) == 1
        assert cluster.servers == (address,)
        assert str(address) in repr(cluster)
        assert client_threads() == 1
    assert client_threads() == 0


def test_errors_come_through_and_deadlines_hold() -> None:
    with server_thread(hanging) as address, hbeacon.connect_blocking(str(address)) as cluster:
        begin = time.monotonic()
        with pytest.raises(hbeacon.RegistryLookupError, match=str(address)):
            cluster.cluster_id(timeout_ms=100)
        assert time.monotonic() - begin < 10


def test_bad_settings_leave_no_thread() -> None:
    with pytest.raises(hbeacon.BadSetting):
        hbeacon.connect_blocking("http://a:1")
    assert client_threads() == 0


def test_close_ends_look_ups_of_other_threads() -> None:
    with server_thread(hanging) as address:
        cluster = hbeacon.connect_blocking(str(address))
        errors: list[Exception] = []

        def wait() -> None:
            try:
                cluster.cluster_id(timeout_ms=30_000)
            except Exception as error:  # noqa: BLE001 - looked at below
                errors.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        cluster.close()
        cluster.close()
        waiting.join(5)
        assert [type(error) for error in errors] == [StoppedRpcClientException]
        with pytest.raises(StoppedRpcClientException):
            cluster.cluster_id()
    assert client_threads() == 0


def test_a_call_that_meets_the_close_is_not_left_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_thread(answering(bodies())) as address:
        cluster = hbeacon.connect_blocking(str(address))
        closing = threading.Thread(target=cluster.close)
        given = asyncio.run_coroutine_threadsafe

        def while_closing(work: Any, loop: asyncio.AbstractEventLoop) -> Any:
            monkeypatch.undo()
            closing.start()
            closing.join(0.2)  # in vain: it waits for this call to be given to the loop
            return given(work, loop)

        monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", while_closing)
        with contextlib.suppress(StoppedRpcClientException):
            assert cluster.cluster_id(timeout_ms=5000).value == CLUSTER_ID
        closing.join(5)
        assert client_threads() == 0


def test_what_the_collector_closes_waits_for_nobody() -> None:
    """It runs in whichever thread it likes, the connection's own among them, and also when the connection is gone."""
    with server_thread(answering(bodies())) as address:
        cluster = hbeacon.connect_blocking(str(address))
        scanner = cluster.table("t").scan()

        async def in_the_loop() -> str:
            scanner.close()
            with pytest.raises(RuntimeError, match="would wait for itself"):
                scanner.next_batch()
            return "done"

        assert cluster._run(in_the_loop()) == "done"
        cluster.close()
        scanner.close()
        with pytest.raises(StoppedRpcClientException):
            scanner.next_batch()


def test_a_forked_process_is_told_to_connect_itself() -> None:
    code = """
import os
import hbeacon
cluster = hbeacon.connect_blocking("127.0.0.1:1")
if os.fork() == 0:
    try:
        cluster.cluster_id(timeout_ms=1000)
    except hbeacon.HBaseError as error:
        print(error, flush=True)
    cluster.close()
    os._exit(0)
print(os.wait()[1], flush=True)
cluster.close()
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert "is of the process that was forked: connect in this one" in done.stdout
    assert done.stdout.splitlines()[-1] == "0"


def test_several_threads_share_one_connection() -> None:
    seen: list[str] = []
    with server_thread(answering(bodies(), seen=seen)) as address, hbeacon.connect_blocking(str(address)) as cluster:
        values: list[str] = []
        threads = [threading.Thread(target=lambda: values.append(cluster.cluster_id().value)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert values == [CLUSTER_ID] * 8
        assert seen == ["GetClusterId"]


async def test_async_face() -> None:
    async with scripted_server(answering(bodies())) as address:
        async with hbeacon.connect(masters=[str(address)]) as cluster:
            assert (await cluster.cluster_id(timeout_ms=2000)).value == CLUSTER_ID
        connection = await hbeacon.connect(str(address), policy="fanout")
        assert (await connection.active_master()).value == MASTER
        await connection.close()


def test_public_names() -> None:
    assert sorted(hbeacon.__all__) == hbeacon.__all__
    for name in hbeacon.__all__:
        assert getattr(hbeacon, name) is not None
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert hbeacon.__version__ == tomllib.load(file)["project"]["version"]


def test_the_import_is_lean() -> None:
    """What a look-up by RPC does not need is not loaded: ZooKeeper's client, faces, tables for people."""
    heavy = ("kazoo", "fastapi", "rich", "grpc", "watchfiles", "regionserver", "pyarrow", "prompt_toolkit")
    code = f"import hbeacon, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
