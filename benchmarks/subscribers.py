"""Thousands who follow one adapter: how long a change takes until all know it, and what look-ups feel of that.

    python -m benchmarks.subscribers [--rounds N] [--sse N] [--grpc N] [--realtime] [--quick] [--record]

An adapter on a coordinator, both as users start them; 5 000 followers of /api/v1/events and 1 000 streams of
WatchRegistry in two other processes; `hbase:meta` moves in ZooKeeper, and each round ends when the last follower has
received its new place. Look-ups go on at a steady rate meanwhile. With `--realtime` (root) the adapter and the load
generator go before every other program, so that a machine with other work on it gives figures too; the followers do
not. `--record` puts the table into docs/track-record.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from benchmarks import load
from benchmarks.record import Record, markdown
from benchmarks.samples import ROOT, Sample, Samples, quantile
from benchmarks.servers import LOOPBACK, usage
from benchmarks.table import HELD, LOST
from registry.names import Address, ServerName
from tests.support.adapters import AdapterProcess
from tests.support.coordinator_process import CoordinatorProcess
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import free_ports

SIDE = "hbeacon adapter"
TOLD, ALONE, QUIET, CHANGING, MEMORY = "told", "look-ups, nobody follows", "quiet", "changing", "memory"
TOLD_GOAL_MS = 1000.0
P99_RATIO_MAX = 2.0
RATE_PER_SECOND = 2000.0
"""Of look-ups, over 16 connections: a busy cluster's starts, and far from what an adapter can do."""
ROUND_MS, WARM_UP_MS = 5000.0, 500.0
CHANGE_EVERY_S = 0.5
RECORD = Record("subscribers")
HEADINGS = ("measure", "median", "spread", "goal", "")
REALTIME = ("chrt", "-f", "5")
"""SCHED_FIFO, for adapter and load generator."""
Row = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Plan:
    """What is run."""

    rounds: int
    round_ms: float
    counts: Mapping[str, int]
    """Followers by kind."""
    enter: Sequence[str]
    """Goes before the commands of adapter and load generator."""


class Followers:
    """A process of followers; leave it and they go."""

    def __init__(self, kind: str, target: Address, count: int) -> None:
        """Start it; `wait_ready` waits until all follow."""
        self.kind, self.count = kind, count
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.followers", kind, str(target), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        """Itself, when all follow."""
        assert self._line().get("following") == self.count
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._popen.communicate(timeout=30)

    def expect(self, name: str) -> None:
        """Look out for the name from now on."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{name}\n")
        self._popen.stdin.flush()
        assert self._line() == {"waits": name}

    def told(self) -> dict[str, float]:
        """When everybody had it; waits."""
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, f"the {self.kind} followers have ended"
        return cast("dict[str, Any]", json.loads(line))


class Changes:
    """Moves hbase:meta and takes the time until all know it."""

    def __init__(self, tree: HBaseTreeWriter, crowds: list[Followers], samples: Samples) -> None:
        """Rounds are kept in `samples`."""
        self._tree = tree
        self._crowds = crowds
        self._samples = samples
        self._number = 0

    def once(self) -> None:
        """One change."""
        self._number += 1
        name = f"moved-{self._number:06d}.example.org"
        for crowd in self._crowds:
            crowd.expect(name)
        began = time.monotonic()
        self._tree.move_meta(ServerName(name, 16020, 1_795_000_000_000 + self._number))
        written_ms = (time.monotonic() - began) * 1000
        sample: Sample = {"written_ms": written_ms, "ms": 0.0}
        for crowd in self._crowds:
            told = crowd.told()
            if told["told"] < crowd.count:
                sample |= {"errors": 1, "error": f"{told['told']} of {crowd.count} followers by {crowd.kind} were told"}
                continue
            sample[f"{crowd.kind}_ms"] = (told["last_s"] - began) * 1000
            sample[f"{crowd.kind}_median_ms"] = (told["median_s"] - began) * 1000
            sample["ms"] = max(sample["ms"], sample[f"{crowd.kind}_ms"])
        self._samples.add(TOLD, SIDE, sample)

    def again_and_again(self, stop: threading.Event) -> None:
        """One change after another until told to stop."""
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due += CHANGE_EVERY_S
            self.once()


def look_ups(program: Path, adapter: AdapterProcess, plan: Plan) -> Sample:
    """One round at the steady rate."""
    host, port = adapter.rpc_address
    return load.run(
        program,
        "activemaster",
        [Address(host, port)],
        connections=16,
        measured_ms=plan.round_ms,
        warm_up_ms=WARM_UP_MS,
        rate_per_second=RATE_PER_SECOND,
        enter=plan.enter,
    )


def measure(directory: Path, plan: Plan, samples: Samples) -> None:
    """Start everything, take all rounds, end everything."""
    counts = plan.counts
    program = load.build()
    coordinator = CoordinatorProcess(directory, keep=False)
    coordinator.start()
    tree = HBaseTreeWriter(coordinator.address)
    tree.write()
    grpc_port = free_ports(LOOPBACK, 1)[0]
    adapter = AdapterProcess(
        "adapter",
        directory / "adapter.log",
        zookeeper=coordinator.address,
        rpc=f"{LOOPBACK}:0",
        settings={
            "hbeacon.grpc.address": f"{LOOPBACK}:{grpc_port}",
            "hbeacon.http.subscribers_per_peer_max": str(counts["sse"] + 1),
        },
        enter=plan.enter,
    )
    try:
        adapter.wait_ready()
        look_ups(program, adapter, plan)  # warm
        before = usage([adapter.worker_pid()])
        doors = {"sse": Address.parse(adapter.http), "grpc": Address(LOOPBACK, grpc_port)}
        for _ in range(plan.rounds):
            samples.add(ALONE, SIDE, look_ups(program, adapter, plan))
        with (
            Followers("sse", doors["sse"], counts["sse"]) as events,
            Followers("grpc", doors["grpc"], counts["grpc"]) as streams,
        ):
            after = usage([adapter.worker_pid()])
            mib = (after.resident_bytes - before.resident_bytes) / (1 << 20)
            samples.add(MEMORY, SIDE, {"mib": mib, "followers": sum(counts.values())})
            changes = Changes(tree, [events, streams], samples)
            for _ in range(plan.rounds):
                samples.add(QUIET, SIDE, look_ups(program, adapter, plan))
                stop = threading.Event()
                changing = threading.Thread(target=changes.again_and_again, args=(stop,))
                changing.start()
                try:
                    samples.add(CHANGING, SIDE, look_ups(program, adapter, plan))
                finally:
                    stop.set()
                    changing.join()
    finally:
        adapter.close()
        tree.close()
        coordinator.close()


def rows(samples: Samples, counts: Mapping[str, int]) -> list[Row]:
    """Measure, median, spread, goal, verdict."""
    everybody = f"{counts['sse']:,} by events, {counts['grpc']:,} by gRPC"
    found: list[Row] = []

    def row(words: str, values: list[float], unit: str, digits: int, goal: str = "", held: bool = True) -> None:
        spread = f"{min(values):.{digits}f} to {max(values):.{digits}f} {unit}, {len(values)} times"
        verdict = (HELD if held else LOST) if goal else ""
        found.append((words, f"{quantile(values, 0.5):.{digits}f} {unit}", spread, goal, verdict))

    told = samples.series(TOLD, SIDE, "ms")
    row(f"a change until all know it, {everybody}", told, "ms", 0, "at most 1 s, each", max(told) <= TOLD_GOAL_MS)
    row("the same, all who follow by events", samples.series(TOLD, SIDE, "sse_ms"), "ms", 0)
    row("the same, all who follow by gRPC", samples.series(TOLD, SIDE, "grpc_ms"), "ms", 0)
    quiet = samples.series(QUIET, SIDE, "p99_us")
    changing = samples.series(CHANGING, SIDE, "p99_us")
    rate = f"{RATE_PER_SECOND:.0f}/s"
    row(f"p99 of look-ups at {rate}, nobody follows", _ms(samples.series(ALONE, SIDE, "p99_us")), "ms", 2)
    row("the same, all follow and nothing changes", _ms(quiet), "ms", 2)
    ratio = quantile(changing, 0.5) / quantile(quiet, 0.5)
    row(
        f"the same, a change every {CHANGE_EVERY_S:g} s ({ratio:.1f} times)",
        _ms(changing),
        "ms",
        2,
        "at most twice that",
        ratio <= P99_RATIO_MAX,
    )
    row("the median of look-ups then", _ms(samples.series(CHANGING, SIDE, "p50_us")), "ms", 2)
    row("memory that the followers take", samples.series(MEMORY, SIDE, "mib"), "MiB", 0)
    return found


def _ms(values: list[float]) -> list[float]:
    return [value / 1000 for value in values]


def main() -> int:
    """Run it; 1 when a round had errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subscribers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of look-ups, quiet and changing in turns (5)")
    parser.add_argument("--sse", type=int, default=5000, help="followers of /api/v1/events (5000)")
    parser.add_argument("--grpc", type=int, default=1000, help="streams of WatchRegistry (1000)")
    parser.add_argument("--realtime", action="store_true", help="adapter and load generator go first (chrt -f)")
    parser.add_argument("--quick", action="store_true", help="one short round, a few followers: does it run?")
    options = RECORD.parsed(parser)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    document = RECORD.begun(realtime=options.realtime)
    enter = REALTIME if options.realtime else ()
    plan = (
        Plan(1, 1000.0, {"sse": 200, "grpc": 50}, enter)
        if options.quick
        else Plan(options.rounds, ROUND_MS, {"sse": options.sse, "grpc": options.grpc}, enter)
    )
    samples = Samples()
    with tempfile.TemporaryDirectory(prefix="hbeacon-benchmark-") as directory:
        measure(Path(directory), plan, samples)
    found = rows(samples, plan.counts)
    document |= {"samples": samples.as_json(), "table": found}
    path = RECORD.keep(
        document,
        options,
        table=markdown(HEADINGS, found, figures=(1,)),
        versions=("python", "uvloop"),
        notes=("Adapter and load generator under SCHED_FIFO",) if options.realtime else (),
    )
    for row in found:
        print("  ".join(filter(None, row)))
    print(f"samples: {path}")
    for line in samples.errors():
        print(f"errors: {line}")
    return 1 if samples.errors() else 0


if __name__ == "__main__":
    sys.exit(main())
