"""A soak from beginning to end: servers up, clients on, faults by the seed, samples, and everything down again."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.samples import ROOT
from benchmarks.soak.growth import Life, Limits, courses, sample
from benchmarks.soak.java_clients import JavaClients
from benchmarks.soak.report import Report
from benchmarks.soak.schedule import Fault, faults
from benchmarks.soak.tier import COMMAND, Tier, TierMember
from tests.support.hbase import HBaseCluster
from tests.support.hbase_tree import HBaseTreeWriter
from tests.support.processes import wait_for
from tests.support.zookeeper import ZooKeeperServer, debian

SAMPLE_S = 2.0
TURN_S = 0.25
READY_S_MAX = 60.0
CLIENTS_END_S = 60.0


@dataclass(frozen=True)
class Plan:
    """One run."""

    duration_s: float
    seed: int = 1
    adapters: int = 3
    clients: int = 6
    pause_ms: float = 150.0
    """Of a Python client between two look-ups, on average."""
    java_pause_ms: int = 250
    hbase: bool = True
    """Without it the tree of a cluster is written by hand, and nobody reads or writes rows."""
    command: Sequence[str] = COMMAND
    hurting: bool = True
    limits: Limits = field(default_factory=Limits)
    tell_s: float = 10.0
    idle_s_max: float = 30.0
    """From the last client's end until its connections are gone at the adapters too."""


class PythonClients:
    """The process of benchmarks.soak.python_clients, and a thread that hears it."""

    def __init__(self, plan: Plan, servers: str, report: Report, log: Path) -> None:
        reading = "read" if plan.hbase else "-"
        words = [servers, str(plan.seed), str(plan.clients), str(plan.pause_ms), reading]
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak.python_clients", *words],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
            )
        self.pid = self._process.pid
        self._report = report
        self._log = log
        self._thread = threading.Thread(target=self._hear, name="python clients", daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._report.add(json.loads(line))

    @property
    def trouble(self) -> str:
        """Why it has ended, where it has."""
        if self._process.poll() is None:
            return ""
        return f"the Python clients ended with {self._process.returncode}: {self._log.read_text()[-2000:]}"

    def stop(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(CLIENTS_END_S)
        except subprocess.TimeoutExpired:
            self._report.trouble.append(f"the Python clients did not end within {CLIENTS_END_S:.0f} s")
            self._process.kill()
            self._process.wait()
        self._thread.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Soak:
    """One run; `run` gives the report and leaves no process behind."""

    def __init__(self, plan: Plan, directory: Path, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.report = Report(plan.seed, limits=plan.limits)
        self._directory = directory
        self._say = say
        self._lives: dict[tuple[str, int], Life] = {}

    def run(self) -> Report:
        """All of it."""
        plan, report = self.plan, self.report
        with contextlib.ExitStack() as ends:
            # Outlives the servers: a process that one of its threads has started dies with the thread (pdeathsig).
            hands = ends.enter_context(concurrent.futures.ThreadPoolExecutor(4, "faults"))
            zookeeper = ZooKeeperServer(debian(), self._directory / "zookeeper")
            ends.callback(zookeeper.close)
            zookeeper.start()
            hbase = self._cluster(zookeeper, ends)
            tier = Tier(zookeeper, self._directory, plan.adapters, plan.command)
            ends.callback(tier.close)
            tier.wait_ready()
            if hbase is not None:
                hbase.wait_ready()
            before = self._idle(tier)
            self._say(f"{plan.adapters} adapters are ready, clients begin")
            python = PythonClients(plan, tier.servers, report, self._directory / "python-clients.log")
            ends.callback(python.stop)
            java: JavaClients | None = None
            if hbase is not None:
                java = JavaClients(tier.servers, self._directory, plan.java_pause_ms)
                ends.callback(java.close)
            self._hurt_and_watch(tier, python, java, hbase, hands)
            tier.heal()
            python.stop()
            if java is not None:
                report.java = java.stop()
                java.close()
            self._all_ready(tier)
            report.courses = courses(list(self._lives.values()), report.duration_s)
            report.left = self._left(tier, before)
        return report

    def _cluster(self, zookeeper: ZooKeeperServer, ends: contextlib.ExitStack) -> HBaseCluster | None:
        if not self.plan.hbase:
            tree = HBaseTreeWriter(zookeeper.address)
            ends.callback(tree.close)
            tree.write()
            return None
        hbase = HBaseCluster(self._directory / "hbase", zookeeper.address, masters=1, region_servers=1)
        ends.callback(hbase.close)
        hbase.wait_ready()
        return hbase

    def _hurt_and_watch(
        self,
        tier: Tier,
        python: PythonClients,
        java: JavaClients | None,
        hbase: HBaseCluster | None,
        hands: concurrent.futures.Executor,
    ) -> None:
        plan, report = self.plan, self.report
        begun_s = time.monotonic()
        coming = faults(plan.seed, plan.adapters, plan.duration_s - 3.0) if plan.hurting else iter(())
        fault = next(coming, None)
        under_way: list[concurrent.futures.Future[None]] = []
        sampled_s = told_s = 0.0
        while (at_s := time.monotonic() - begun_s) < plan.duration_s:
            if fault is not None and at_s >= fault.at_s:
                under_way.append(hands.submit(self._hurt, tier, fault))
                fault = next(coming, None)
            if at_s - sampled_s >= SAMPLE_S:
                sampled_s = at_s
                self._sample(at_s, tier, python)
            if at_s - told_s >= plan.tell_s:
                told_s = at_s
                if java is not None:
                    report.java = java.told()
                self._say(report.line(at_s))
            if (trouble := python.trouble) or (trouble := _ended(hbase)):
                report.trouble.append(trouble)
                break
            time.sleep(TURN_S)
        report.duration_s = time.monotonic() - begun_s
        concurrent.futures.wait(under_way, READY_S_MAX)

    def _hurt(self, tier: Tier, fault: Fault) -> None:
        self.report.faults.append(f"{datetime.now().astimezone():%H:%M:%S} {fault}")
        try:
            tier.hurt(fault)
        except Exception as error:  # noqa: BLE001 - of whatever kind, it is told, and the run goes on
            self.report.trouble.append(f"{fault}: {type(error).__name__}: {error}")

    def _sample(self, at_s: float, tier: Tier, python: PythonClients) -> None:
        named = [("Python clients", python.pid)]
        for member in tier.members:
            named += [(f"adapter {member.number} {role}", pid) for role, pid in member.pids().items()]
        for name, pid in named:
            self._lives.setdefault((name, pid), Life(name, pid)).take(at_s)

    def _idle(self, tier: Tier) -> dict[str, int]:
        """Descriptors of each worker that has no client: the least of some looks, for adapters ask each other too."""
        found: dict[str, int] = {}
        for _ in range(10):
            for member in tier.members:
                name, now = f"adapter {member.number}", sample(member.pids().get("worker", 0), 0.0)
                if now is not None:
                    found[name] = min(found.get(name, now.descriptors_count), now.descriptors_count)
            time.sleep(0.2)
        return found

    def _all_ready(self, tier: Tier) -> None:
        """When nobody hurts them any more, all are as they should be."""
        for member in tier.members:
            try:
                wait_for(f"adapter {member.number} ready", lambda it=member: _is_ready(it), READY_S_MAX)
            except AssertionError as error:
                self.report.trouble.append(f"{error}: {member.process.process.tail(5)}")

    def _left(self, tier: Tier, before: dict[str, int]) -> dict[str, int]:
        """How many more there are than before the first client, when those that wait for their end have met it."""
        until_s = time.monotonic() + self.plan.idle_s_max
        while True:
            now = self._idle(tier)
            left = {name: now.get(name, 0) - count for name, count in before.items()}
            if max(left.values()) <= 0 or time.monotonic() >= until_s:
                return left


def _is_ready(member: TierMember) -> bool:
    return member.process.get("/readyz")[0] == 200


def _ended(hbase: HBaseCluster | None) -> str:
    """Which HBase server has ended by itself: nothing of what was done to others is a reason."""
    for process in hbase.processes.values() if hbase is not None else ():
        if not process.running:
            return f"{process.name} has ended: {process.tail(5)}"
    return ""
