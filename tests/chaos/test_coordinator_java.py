"""ZooKeeper 3.9's own Java client and Curator's recipes on the coordinator, through lost connections and sessions."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.coordinator_process import CoordinatorProcess
from tests.support.faultproxy import TcpFaultProxy
from tests.support.processes import wait_for
from tests.support.recipes import RecipeClient, RecipeError
from tests.support.zookeeper import TICK_MS, ZooKeeperServer, maven

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(120)]

SESSION_MS = 3000
EXPIRY_S = SESSION_MS / 1000 + 3
"""Until a silent session is over and everyone has heard of it: its time-out, a tick, and a busy machine."""


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Generator[RecipeClient]:
    client = RecipeClient(tmp_path_factory.mktemp("java") / "recipes.log")
    yield client
    client.close()


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Generator[CoordinatorProcess]:
    process = CoordinatorProcess(
        tmp_path_factory.mktemp("coordinator"), settings={"hbase.zookeeper.property.tickTime": str(TICK_MS)}
    )
    process.start()
    yield process
    process.close()


@pytest.fixture
def proxy(coordinator: CoordinatorProcess) -> Generator[TcpFaultProxy]:
    between = TcpFaultProxy(("127.0.0.1", coordinator.port))
    yield between
    between.close()


@pytest.fixture
def names(java: RecipeClient, request: pytest.FixtureRequest) -> Generator[tuple[str, str]]:
    """`far`, who comes through the proxy, and `near`; what they have open ends with the test."""
    far, near = f"far-{request.node.name}", f"near-{request.node.name}"
    yield far, near
    for name in (far, near):
        java.do("end", name)


def test_the_whole_interface_as_on_zookeeper(
    java: RecipeClient, coordinator: CoordinatorProcess, names: tuple[str, str], tmp_path: Path
) -> None:
    ours, theirs = names
    real = ZooKeeperServer(maven(), tmp_path)
    try:
        real.start()
        java.do("open", theirs, real.address, SESSION_MS)
        expected = java.do("survey", theirs, "/survey").split("; ")
    finally:
        real.close()
    java.do("open", ours, coordinator.address, SESSION_MS)
    assert java.do("survey", ours, "/survey").split("; ") == expected
    assert len(expected) > 20


def test_a_session_is_taken_up_again_and_its_watches_tell_what_was_missed(
    java: RecipeClient, coordinator: CoordinatorProcess, proxy: TcpFaultProxy, names: tuple[str, str]
) -> None:
    far, near = names
    connected = java.do("open", far, proxy.address, SESSION_MS)
    java.do("open", near, coordinator.address, SESSION_MS)
    for path in ("/r", "/r/data", "/r/gone", "/r/deep"):
        java.do("create", near, path, "x", "PERSISTENT")
    java.do("create", far, "/r/mine", "x", "EPHEMERAL")
    java.do("get", far, "/r/data")
    java.do("get", far, "/r/gone")
    java.do("exists", far, "/r/new")
    java.do("children", far, "/r")
    java.do("watch", far, "/r/deep", "PERSISTENT_RECURSIVE")
    java.do("events", far)

    proxy.cut()
    java.do("set", near, "/r/data", "y")
    java.do("delete", near, "/r/gone")
    java.do("create", near, "/r/new", "x", "PERSISTENT")
    proxy.heal()
    wait_for("the session again", lambda: java.do("state", far) == connected, 10)
    seen: list[str] = []

    def told() -> bool:
        seen.extend(java.do("events", far).split())
        return {"NodeDataChanged:/r/data", "NodeDeleted:/r/gone", "NodeCreated:/r/new", "NodeChildrenChanged:/r"} <= {
            *seen
        }

    wait_for("the events that were missed", told, 10)
    java.do("create", near, "/r/deep/er", "x", "PERSISTENT")
    java.do("set", near, "/r/data", "z")
    java.do("delete", near, "/r/new")
    java.do("exists", far, "/r/mine")  # what comes before this answer has come
    seen += java.do("events", far).split()
    told_of = [event for event in seen if ":" in event]
    assert sorted(told_of) == [
        "NodeChildrenChanged:/r",
        "NodeCreated:/r/deep/er",
        "NodeCreated:/r/new",
        "NodeDataChanged:/r/data",
        "NodeDeleted:/r/gone",
    ], "each of them once; the second changes have no watch"
    assert java.do("exists", near, "/r/mine") == "true", "the session was never over"


def test_a_silent_session_is_over(
    java: RecipeClient, coordinator: CoordinatorProcess, proxy: TcpFaultProxy, names: tuple[str, str]
) -> None:
    far, near = names
    before = java.do("open", far, proxy.address, SESSION_MS)
    java.do("open", near, coordinator.address, SESSION_MS)
    java.do("create", far, "/silent", "x", "EPHEMERAL")
    assert java.do("exists", near, "/silent") == "true"
    java.do("events", near)
    proxy.black_hole()
    wait_for("the end of the ephemeral node", lambda: "NodeDeleted:/silent" in java.do("events", near), EXPIRY_S)
    proxy.drop_connections()
    proxy.heal()
    wait_for("the news of its end", lambda: java.do("state", far) != before and _is_closed(java, far), 15)
    wait_for("its event", lambda: "Expired" in java.do("events", far), 15)  # told by another thread than the state
    with pytest.raises(RecipeError, match="SessionExpired"):
        java.do("exists", far, "/silent")


def _is_closed(java: RecipeClient, name: str) -> bool:
    return java.do("state", name).startswith("CLOSED")


def test_a_restart_keeps_sessions(java: RecipeClient, coordinator: CoordinatorProcess, names: tuple[str, str]) -> None:
    far, near = names
    states = [java.do("open", name, coordinator.address, 10_000) for name in (far, near)]
    java.do("create", far, "/kept", "x", "EPHEMERAL")
    coordinator.kill()
    coordinator.start()
    wait_for("both sessions", lambda: [java.do("state", name) for name in (far, near)] == states, 10)
    assert java.do("exists", near, "/kept") == "true"


def test_leader_latch(
    java: RecipeClient, coordinator: CoordinatorProcess, proxy: TcpFaultProxy, names: tuple[str, str]
) -> None:
    far, near = names
    java.do("curator", far, proxy.address, SESSION_MS)
    java.do("curator", near, coordinator.address, SESSION_MS)
    java.do("latch", far, "/latch")
    wait_for("the first leader", lambda: java.do("leads", far) == "true", 10)
    java.do("latch", near, "/latch")
    session = java.do("id", far)

    def leaders() -> list[str]:
        return [name for name in names if java.do("leads", name) == "true"]

    proxy.drop_connections()
    wait_for("one leader after a lost connection", lambda: "RECONNECTED" in java.do("events", far), 10)
    wait_for("one leader after a lost connection", lambda: len(leaders()) == 1, 10)
    assert java.do("id", far) == session
    if leaders() == [near]:  # it may have changed hands; the far one shall lead again
        java.do("end", near)
        wait_for("the far leader", lambda: java.do("leads", far) == "true", 10)
        java.do("curator", near, coordinator.address, SESSION_MS)
        java.do("latch", near, "/latch")
    proxy.black_hole()
    wait_for("the other one leads", lambda: leaders() == [near], EXPIRY_S + 5)
    proxy.drop_connections()
    proxy.heal()
    wait_for("the lost one is back", lambda: "RECONNECTED" in java.do("events", far), 20)
    assert java.do("id", far) != session
    assert leaders() == [near]


def test_lock(
    java: RecipeClient, coordinator: CoordinatorProcess, proxy: TcpFaultProxy, names: tuple[str, str]
) -> None:
    far, near = names
    java.do("curator", far, proxy.address, SESSION_MS)
    java.do("curator", near, coordinator.address, SESSION_MS)
    assert java.do("lock", far, "/lock", 5000) == "true"
    assert java.do("lock", near, "/lock", 300) == "false"
    proxy.drop_connections()
    assert java.do("lock", near, "/lock", 300) == "false", "a lost connection is no lost lock"
    waiting = java.submit("lock", near, "/lock", 60_000)
    java.do("unlock", far)
    assert waiting.result(10) == "true"
    java.do("unlock", near)
    assert java.do("lock", far, "/lock", 5000) == "true"
    waiting = java.submit("lock", near, "/lock", 60_000)
    proxy.black_hole()
    assert waiting.result(EXPIRY_S) == "true", "who is silent for a session's time holds nothing"
    proxy.drop_connections()
    proxy.heal()


def test_cache(
    java: RecipeClient, coordinator: CoordinatorProcess, proxy: TcpFaultProxy, names: tuple[str, str]
) -> None:
    far, near = names
    java.do("curator", far, proxy.address, SESSION_MS)
    java.do("open", near, coordinator.address, SESSION_MS)
    for path in ("/c", "/c/a", "/c/a/b"):
        java.do("create", near, path, "1", "PERSISTENT")
    java.do("cache", far, "/c")

    def holds(*pairs: str) -> None:
        whole = "{" + ", ".join(pairs) + "}"
        wait_for(f"the cache with {whole}", lambda: java.do("cached", far) == whole, EXPIRY_S + 10)

    holds("/c=1", "/c/a=1", "/c/a/b=1")
    java.do("set", near, "/c/a/b", "2")
    java.do("create", near, "/c/z", "1", "EPHEMERAL")
    holds("/c=1", "/c/a=1", "/c/a/b=2", "/c/z=1")
    proxy.cut()
    java.do("set", near, "/c", "2")
    java.do("delete", near, "/c/a/b")
    java.do("create", near, "/c/a/n", "1", "PERSISTENT")
    proxy.heal()
    holds("/c=2", "/c/a=1", "/c/a/n=1", "/c/z=1")
    session = java.do("id", far)
    proxy.black_hole()
    java.do("set", near, "/c/a/n", "2")
    wait_for("LOST", lambda: "LOST" in java.do("events", far), EXPIRY_S + 5)
    proxy.drop_connections()
    proxy.heal()
    holds("/c=2", "/c/a=1", "/c/a/n=2", "/c/z=1")
    assert java.do("id", far) != session


def test_persistent_node(
    java: RecipeClient, coordinator: CoordinatorProcess, proxy: TcpFaultProxy, names: tuple[str, str]
) -> None:
    far, near = names
    java.do("curator", far, proxy.address, SESSION_MS)
    java.do("open", near, coordinator.address, SESSION_MS)
    java.do("node", far, "/persistent/node", "here")
    assert java.do("get", near, "/persistent/node") == "here"
    java.do("delete", near, "/persistent/node")
    wait_for("the node again", lambda: java.do("exists", near, "/persistent/node") == "true", 10)
    java.do("events", near)
    proxy.black_hole()
    wait_for("its end", lambda: "NodeDeleted:/persistent/node" in java.do("events", near), EXPIRY_S)
    proxy.drop_connections()
    proxy.heal()
    wait_for("the node of a new session", lambda: java.do("exists", near, "/persistent/node") == "true", 20)
