"""Look-ups while ZooKeeper is up, gone, restarting or hanging: they must not notice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import load
from benchmarks.samples import Samples
from benchmarks.servers import ADAPTER, Adapter
from tests.support.zookeeper import ZooKeeperServer

CONNECTIONS = 8
RATE_PER_SECOND = 2000.0
"""Far below what an adapter can do: the question is pauses, not throughput."""
EVENT_AFTER_MS = 300.0

UP, UP_BUSY = "ZooKeeper up", "up, another JVM starts"
DOWN, RESTARTING, SLOW = "down", "restarting", "slow (SIGSTOP)"
STATES = (UP, DOWN, SLOW, UP_BUSY, RESTARTING)
YARDSTICK = {DOWN: UP, SLOW: UP, RESTARTING: UP_BUSY}
"""State to the state that it must look like. A JVM that starts takes a processor from everybody, whosever it is."""


def _round(state: str, zookeeper: ZooKeeperServer, bystander: ZooKeeperServer, take: Callable[[], None]) -> None:
    """Bring the state about, take the load in it, and leave ZooKeeper up and well again."""
    if state == DOWN:
        zookeeper.kill()
        take()
        zookeeper.start()
    elif state == SLOW:
        zookeeper.pause()
        try:
            take()
        finally:
            zookeeper.resume()
    elif state in (RESTARTING, UP_BUSY):
        # The load in the thread and not the restart: a server dies with the thread that started it (prctl(2),
        # PR_SET_PDEATHSIG).
        with ThreadPoolExecutor(max_workers=1) as pool:
            load_done = pool.submit(take)
            time.sleep(EVENT_AFTER_MS / 1000)
            server = zookeeper if state == RESTARTING else bystander
            server.kill()
            server.start()
            load_done.result()
    else:
        take()


def measure(
    program: Path,
    zookeeper: ZooKeeperServer,
    bystander: ZooKeeperServer,
    adapters: Sequence[Adapter],
    *,
    rounds: int,
    measured_ms: float,
    samples: Samples,
    tick: Callable[[str], None],
) -> None:
    """Every state in every round, the same open-loop load on all adapters in each."""
    for _ in range(rounds):
        for state in STATES:
            tick(f"look-ups, {state}")

            def take(state: str = state) -> None:
                sample = load.run(
                    program,
                    "metalocations",
                    [adapter.rpc for adapter in adapters],
                    connections=CONNECTIONS,
                    measured_ms=measured_ms,
                    warm_up_ms=100,
                    rate_per_second=RATE_PER_SECOND,
                )
                samples.add(f"look-ups, {state}", ADAPTER, sample)

            _round(state, zookeeper, bystander, take)
            for adapter in adapters:
                adapter.wait_healthy()  # so that the next state starts from an ordinary one
