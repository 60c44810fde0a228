"""Masters under a guard, on a coordinator: who hangs is replaced, and what its life left behind is not waited for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from kazoo.client import KazooClient

from registry.names import ServerName
from registry.wire.znode import decode_master
from tests.support.adapters import AdapterProcess
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.processes import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]
SESSION_MS = 60_000
"""Far longer than anything here takes: what waited for the end of a session would be seen."""
RESET_S_MAX = 5.0
"""About a second (hbeacon.guard.timeout_ms), and the patience that a busy machine wants."""
PATIENCE_S = SESSION_MS / 1000 - RESET_S_MAX


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoordinatorProcess]:
    made = CoordinatorProcess(tmp_path_factory.mktemp("coordinator"), keep=False)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def masters(
    coordinator: CoordinatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[AdapterProcess]]:
    """An active master and a standby, each under its guard; tests leave them so, whichever is which."""
    made: list[AdapterProcess] = []
    tmp_path = tmp_path_factory.mktemp("masters")
    try:
        for number in range(2):
            made.append(
                AdapterProcess(
                    f"master{number}",
                    tmp_path / f"master{number}.log",
                    zookeeper=coordinator.address,
                    rpc="127.0.0.1:0",
                    settings={"zookeeper.session.timeout": str(SESSION_MS)},
                    command=("registry.cli.main", "master"),
                )
            )
            made[-1].wait_ready()
            wait_for("its place", lambda: place(made[-1])["role"] == ("standby" if len(made) > 1 else "active"), 20)
        yield made
    finally:
        for each in made:
            each.close()


@pytest.fixture(scope="module")
def kazoo(coordinator: CoordinatorProcess) -> Iterator[Any]:
    client = cast("Any", KazooClient(coordinator.address))
    client.start(10)
    yield client
    client.stop()
    client.close()


def place(master: AdapterProcess) -> dict[str, Any]:
    """Its role and server name, as it tells them itself; without a role while it tells nothing."""
    status, _ = master.get("/livez")
    return master.get_json("/health")["election"] if status == 200 else {"role": ""}


def seen(kazoo: Any) -> tuple[ServerName, list[ServerName]]:
    """The active master and the others, as ZooKeeper's clients see them."""
    active = decode_master(kazoo.get("/hbase/master")[0]).server_name
    return active, [ServerName.parse(name) for name in kazoo.get_children("/hbase/backup-masters")]


def of(masters: list[AdapterProcess], name: ServerName) -> AdapterProcess:
    return next(each for each in masters if each.rpc_address[1] == name.port)


def hang(master: AdapterProcess) -> None:
    """SIGSTOP to the worker; a client that waits for it sees the end of its connection."""
    with socket.create_connection(master.rpc_address, timeout=20) as client:
        client.sendall(b"Reg")
        time.sleep(0.1)
        os.kill(master.worker_pid(), signal.SIGSTOP)
        stopped_s = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        assert time.monotonic() - stopped_s < RESET_S_MAX


def test_an_active_master_that_hangs(masters: list[AdapterProcess], kazoo: Any) -> None:
    active, (standby,) = seen(kazoo)
    hurt_s = time.monotonic()
    hang(of(masters, active))

    def settled() -> tuple[ServerName, list[ServerName]] | None:
        found = None
        with contextlib.suppress(Exception):
            found = seen(kazoo)
        return found if found is not None and found[0] != active and len(found[1]) == 1 else None

    new_active, (new_standby,) = wait_for("two masters again", settled, PATIENCE_S)
    assert time.monotonic() - hurt_s < PATIENCE_S, "nobody waited for the session of the one that hung"
    assert {new_active.address, new_standby.address} == {active.address, standby.address}, "the ports stay"
    assert active not in (new_active, new_standby)
    wait_for("their own words", lambda: sorted(place(each)["role"] for each in masters) == ["active", "standby"], 20)


def test_a_standby_that_hangs(masters: list[AdapterProcess], kazoo: Any) -> None:
    active, (standby,) = seen(kazoo)
    hang(of(masters, standby))

    def replaced() -> ServerName | None:
        found, others = seen(kazoo)
        assert found == active, "the active one goes on"
        return others[0] if len(others) == 1 and others[0] != standby else None

    other = wait_for("the next standby, alone", replaced, PATIENCE_S)
    assert other.address == standby.address
    assert other.start_code > standby.start_code
