"""The same histories on the coordinator and on a real ZooKeeper: every answer, version, event and error is the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pprint import pformat
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.coordinator_process import CoordinatorProcess
from tests.support.zk_histories import Player, Step
from tests.support.zookeeper import RELEASES, TICK_MS, ZooKeeperServer

pytestmark = [pytest.mark.zookeeper, pytest.mark.timeout(900)]

SEEDS = int(os.environ.get("HBEACON_SEEDS") or 2)
HISTORIES = 100
"""Of each seed."""
NO_AUTH = -102

OPEN = [(31, "world", "anyone")]
DIGEST = [(31, "digest", "u:B8NPYtAGULJ4rM4Qv4bTQhCcTA8=")]
DIGEST_READ = [*DIGEST, (1, "world", "anyone")]
ACLS = st.sampled_from([
    OPEN, OPEN, OPEN, OPEN, [(1, "world", "anyone")], [(7, "world", "anyone")], [(31, "auth", "")], DIGEST, DIGEST_READ,
    [(31, "ip", "127.0.0.1")], [(31, "ip", "10.0.0.0/8")], [(31, "ip", "300.1.1.1")], [(31, "world", "somebody")],
    [(31, "digest", "nocolon")], [(31, "unknown", "x")], [], None, OPEN + OPEN, [(0, "world", "anyone")],
    [(-1, "world", "anyone")], [(31, "auth", ""), (1, "world", "anyone")],
])  # fmt: skip
GOOD = ["/a", "/a/x", "/b"] * 8 + ["/a/e", "/a/y", "/a/x/deep", "/s0000000000", "/a/s0000000002", "/a/s", "/s", ""] * 2
BAD = ["!", "!relative", "//a", "/a/", "/a/../b", "/a/.", "/a\u0000b", "/a\u0001b", "/a\ufff0", "!/zookeeper/config"]
PATHS = st.sampled_from(GOOD * 4 + BAD)
DATA = st.sampled_from([b"x", b"", None, b"y" * 40])
VERSIONS = st.sampled_from([-1] * 8 + [0, 0, 0, 1, 1, 2, -2, 2**31 - 1])
FLAGS = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, -1, 99])
TTLS = st.sampled_from([10**6, 10**6, -1, 0, 2**40, 2**62])
BOOLS = st.booleans()
KINDS = st.sampled_from([1, 2, 3, 0, 9])
MODES = st.sampled_from([0, 1, 0, 1, 2, -1])
LISTS = st.lists(PATHS, max_size=3)
RELATIVE = st.integers(0, 12)
AUTHS = st.sampled_from([
    ("digest", b"u:p"), ("digest", b"u:p"), ("digest", b"v:q"), ("ip", b""), ("unknown", b"x"), ("digest", b"nocolon"),
    ("world", b"x"),
])  # fmt: skip

WRITES: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "create": st.tuples(PATHS, DATA, ACLS, FLAGS),
    "create2": st.tuples(PATHS, DATA, ACLS, FLAGS),
    "createContainer": st.tuples(PATHS, DATA, ACLS, st.sampled_from([4, 4, 4, 0, 99])),
    # flags without a TTL and a TTL of -1 end a real server: its SyncThread meets an IllegalArgumentException
    "createTTL": st.tuples(PATHS, DATA, ACLS, st.sampled_from([5, 5, 6, 6, 0, 1, 4, 99]), TTLS).filter(
        lambda args: args[3] > 4 or args[4] != -1
    ),
    "delete": st.tuples(PATHS, VERSIONS),
    "setData": st.tuples(PATHS, DATA, VERSIONS),
}
# an ACL without a list, within a multi, is a NullPointerException in ZooKeeper, and costs a zxid that nobody sees
IN_MULTI = {
    **{op: args.filter(lambda args: args[2:3] != (None,)) for op, args in WRITES.items()},
    "check": st.tuples(PATHS, VERSIONS),
}
READS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "exists": st.tuples(PATHS, BOOLS),
    "getData": st.tuples(PATHS, BOOLS),
    "getChildren": st.tuples(PATHS, BOOLS),
    "getChildren2": st.tuples(PATHS, BOOLS),
    "getACL": st.tuples(PATHS),
    "getEphemerals": st.tuples(PATHS),
    "getAllChildrenNumber": st.tuples(PATHS),
    "sync": st.tuples(PATHS),
    "whoAmI": st.just(()),
}
WATCHES: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "exists": st.tuples(PATHS, st.just(value=True)),
    "getData": st.tuples(PATHS, st.just(value=True)),
    "getChildren": st.tuples(PATHS, st.just(value=True)),
    "addWatch": st.tuples(PATHS, MODES),
    "removeWatches": st.tuples(PATHS, KINDS),
    "checkWatches": st.tuples(PATHS, KINDS),
    "setWatches": st.tuples(RELATIVE, LISTS, LISTS, LISTS),
    "setWatches2": st.tuples(RELATIVE, LISTS, LISTS, LISTS, LISTS, LISTS),
}


def _ops(table: dict[str, st.SearchStrategy[tuple[Any, ...]]]) -> st.SearchStrategy[Step]:
    """Each operation as likely as the others, however many ways its arguments have."""
    return st.sampled_from(sorted(table)).flatmap(lambda op: table[op].map(lambda args: (op, *args)))


MULTI = st.lists(_ops(IN_MULTI), min_size=1, max_size=4).map(lambda ops: (ops,))
MULTI_READ = st.lists(st.tuples(st.sampled_from(["getData", "getChildren"]), PATHS), max_size=4).map(lambda ops: (ops,))
SESSIONS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "close": st.just(()),
    "drop": st.just(()),
    "attach": st.sampled_from([("right",), ("right",), ("wrong",), ("early",), ("ahead",)]),
    "auth": AUTHS,
    "setACL": st.tuples(PATHS, ACLS, VERSIONS),
    "raw": st.tuples(st.sampled_from([0, 10, 99, 108, 10**6, -5, -1]), st.just(b"")),
}
SORTS = {
    "write": _ops(WRITES),
    "watch": _ops(WATCHES),
    "read": _ops(READS),
    "session": _ops(SESSIONS),
    "multi": _ops({"multi": MULTI, "multiRead": MULTI_READ}),
}
OPS = st.sampled_from(["write"] * 4 + ["watch"] * 3 + ["read", "session", "multi"]).flatmap(lambda sort: SORTS[sort])
STEPS = st.tuples(st.sampled_from([0, 0, 1, 1, 2]), OPS).map(lambda pair: (pair[0], *pair[1]))
BEGIN: list[Step] = [
    (0, "create", "/a", b"", OPEN, 0),
    (0, "create", "/a/x", b"", OPEN, 0),
    (1, "create", "/a/e", b"", OPEN, 1),
    (1, "addWatch", "", 1),
    (2, "getData", "/a", True),
]
HISTORY = st.lists(STEPS, min_size=12, max_size=40).map(lambda steps: BEGIN + steps)


@dataclass(frozen=True)
class Servers:
    """A real server of some release, and the coordinator."""

    release: str
    real: Player
    ours: Player


def restarting(server: CoordinatorProcess | ZooKeeperServer) -> Callable[[], None]:
    def restart() -> None:
        server.kill()
        server.start()

    return restart


@pytest.fixture(scope="module", params=sorted(RELEASES))
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    """Both begin empty."""
    directory = tmp_path_factory.mktemp("histories")
    real = ZooKeeperServer(RELEASES[request.param](), directory / "zookeeper")
    ours: CoordinatorProcess | ZooKeeperServer = CoordinatorProcess(
        directory / "coordinator",
        settings={"hbase.zookeeper.property.tickTime": str(TICK_MS), "hbeacon.coordinator.fsync": "false"},
    )
    if os.environ.get("HBEACON_HISTORIES_OF") == "zookeeper":  # what it says of itself is what the player leaves open
        ours = ZooKeeperServer(RELEASES[request.param](), directory / "coordinator")
    try:
        real.start()
        ours.start()
        yield Servers(request.param, Player(real.address, restarting(real)), Player(ours.address, restarting(ours)))
    finally:
        ours.close()
        real.close()


def is_of_the_version(release: str, steps: list[Step], coordinator: Any) -> bool:
    """Whether ZooKeeper itself has changed at the last step: the coordinator is as 3.9. See docs/coordinator.md."""
    if release == "3.9":
        return False
    verb, *args = steps[-1][1:]
    if verb == "exists" and coordinator[1][-2][2] == NO_AUTH:  # ZOOKEEPER-2590: it asks for leave to read
        return True
    if verb == "multi":  # 3.8 goes by the flags of a creation alone
        return any(
            op in ("create2", "createContainer") or (op == "create" and not 0 <= rest[3] <= 4) for op, *rest in args[0]
        )
    return verb in ("checkWatches", "removeWatches") or watches_mingle(steps)


def watches_mingle(steps: list[Step]) -> bool:
    """Whether a session has watches of several kinds on one path: before ZOOKEEPER-4466 one took another's place."""
    kinds: dict[tuple[int, str], set[str]] = {}
    for session, verb, *args in steps:
        put: list[tuple[str, str]] = []
        if verb == "addWatch":
            put = [(args[0], f"mode {args[1]}")]
        elif verb in ("exists", "getData", "getChildren", "getChildren2") and args[1]:
            put = [(args[0], "once")]
        elif verb in ("setWatches", "setWatches2"):
            lists = zip(args[1:], ("once", "once", "once", "mode 0", "mode 1"), strict=False)
            put = [(path, kind) for paths, kind in lists for path in paths]
        for path, kind in put:
            kinds.setdefault((session, path), set()).add(kind)
    return any(len(each) > 1 for each in kinds.values())


def compare(servers: Servers, steps: list[Step]) -> None:
    """AssertionError at the first step where the coordinator differs."""
    real, ours = (player.play(steps) for player in (servers.real, servers.ours))
    for number, (expected, met) in enumerate(zip(real, ours, strict=True)):
        if met != expected:
            if number and is_of_the_version(servers.release, steps[:number], met):
                return  # from here on the two are in different states
            told = "\n".join(f"{at}: {step}" for at, step in enumerate(steps[:number], 1))
            raise AssertionError(
                f"at the last step of\n{told}\nZooKeeper:\n{pformat(expected)}\ncoordinator:\n{pformat(met)}"
            )


@pytest.mark.parametrize("number", range(SEEDS))
def test_random_histories(servers: Servers, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=HISTORIES,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(HISTORY)
    def histories(steps: list[Step]) -> None:
        compare(servers, steps)

    histories()


RESTARTS = st.lists(st.lists(STEPS, min_size=8, max_size=16), min_size=3, max_size=3).map(
    lambda parts: BEGIN + parts[0] + [(0, "restart")] + parts[1] + [(0, "restart")] + parts[2]
)


def test_histories_over_restarts(servers: Servers) -> None:
    """Both are killed in the middle, twice: tree, sessions and zxids come back alike."""

    @seed(0)
    @settings(
        max_examples=SEEDS,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate],  # each costs two starts of a JVM
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(RESTARTS)
    def histories(steps: list[Step]) -> None:
        compare(servers, steps)

    histories()
