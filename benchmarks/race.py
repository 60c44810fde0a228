"""What hedged look-ups must reach, measured: hung, slow and dying servers, and ten thousand clients at once.

    python -m benchmarks.race [--only healthy,hung1,...] [--runs N] [--lookups N] [--record]

Three servers of `hbeacon race`; medians of five runs; in each a client object without history for each bootstrap, in a
warm process, ten thousand of them. `--record` puts the table into docs/track-record.md. Parts that are measured in
parts have a table of their rows alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import race_crowd
from benchmarks.record import Record, markdown
from benchmarks.samples import median
from benchmarks.table import HELD, LOST
from registry.clock import SystemClock
from registry.loops import loop_factory
from registry.race.bootstraps import UNHEDGED
from registry.race.cases import Case, Condition, Slow
from registry.race.running import Race, Results, run_race

HEDGED, RANDOM = "hedged", "random"
RECORD = Record("race")
TIMEOUT_MS = 60_000.0
SEED = 18095
TURN_COUNT = 200
"""Bootstraps after which policies that are compared take turns."""
ONE_SLOW = Condition(slow=Slow(200, 5, everywhere=False))
ALL_SLOW = Condition(slow=Slow(50, 100, everywhere=True))
UNCHANGED_RATIO = 0.98
CLIENTS = 10_000
ACCEPT_QUEUE_MAX = 1025
"""The servers' backlog, and the one more that Linux lets in."""
RESTARTS = 10


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    runs: int
    lookups: int
    clients: int
    refresh_ms: float
    java_lookups: int

    @property
    def compared(self) -> int:
        """Bootstraps in a run where medians are compared, which need fewer than a p99: all runs together have them."""
        return -(-self.lookups // self.runs)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    case: str
    found: str
    beside: str
    goal: str
    verdict: str

    def cells(self) -> Sequence[str]:
        """Under HEADINGS."""
        return (self.case, self.found, self.beside, self.goal, self.verdict)


HEADINGS = ("case", "found", "beside", "goal", "")


@dataclass
class Part:
    """Rows, what they were made of, and what went wrong."""

    rows: list[Row] = field(default_factory=list[Row])
    raw: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def row(self, case: str, found: str, beside: str, goal: str, *, held: bool | None = None) -> None:
        """Add a line; without a verdict it only tells."""
        self.rows.append(Row(case, found, beside, goal, "" if held is None else HELD if held else LOST))


async def _raced(
    part: Part, options: Options, condition: Condition, policies: Sequence[str], concurrency: int,
    lookups: int, turns: int = 0,
) -> list[Case]:  # fmt: skip
    results = Results()
    wanted = Race([condition], policies, lookups, concurrency, TIMEOUT_MS, SEED, runs=options.runs, block_count=turns)
    await run_race(wanted, results, SystemClock())
    for case in results.cases:
        each = [{"p50_ms": run.quantile_ms(0.5), "p99_ms": run.quantile_ms(0.99)} for run in case.runs]
        part.raw.append(case.as_dict() | {"each": each})
    return results.cases


async def healthy(options: Options) -> Part:
    """Hedging beside none, and none beside itself, in turns."""
    part = Part()
    policies = [UNHEDGED, UNHEDGED, HEDGED, RANDOM]
    one, other, ours, random = await _raced(part, options, Condition(), policies, 2, options.compared, TURN_COUNT)
    p50_ms = ours.quantile_ms(0.5)
    spread_ms = [run.quantile_ms(0.5) for case in (one, other) for run in case.runs]
    beside = f"unhedged, beside itself: {min(spread_ms):.3f} to {max(spread_ms):.3f} ms"
    part.row("healthy, p50", f"{p50_ms:.3f} ms", beside, "inside that spread", held=p50_ms <= max(spread_ms))
    part.row("the same with HBase's policy `random`", f"{random.quantile_ms(0.5):.3f} ms", "", "")
    extra = ours.extra_load_percent
    part.row("healthy, extra load", f"{extra:.2f} %", "", "at most 5 %", held=extra <= 5 and not ours.failed)
    return part


async def slow_at_times(options: Options) -> Part:
    """One server 200 ms late on 5 of 100 calls."""
    part = Part()
    alone, ours = await _raced(part, options, ONE_SLOW, [UNHEDGED, HEDGED], 8, options.lookups, TURN_COUNT)
    theirs_ms, ours_ms = alone.quantile_ms(0.99), ours.quantile_ms(0.99)
    lower = 100 * (1 - ours_ms / theirs_ms)
    found = f"{ours_ms:.1f} ms, {lower:.0f} % lower"
    held = lower >= 60 and not ours.failed
    part.row("one slow by 200 ms on 5 % of calls, p99", found, f"unhedged {theirs_ms:.1f} ms", "60 % lower", held=held)
    part.row("the same, extra load", f"{ours.extra_load_percent:.2f} %", "", "")
    return part


def hung(count: int, goal_ms: float) -> Callable[[Options], Awaitable[Part]]:
    """So many of three stopped."""

    async def measure(options: Options) -> Part:
        part = Part()
        (ours,) = await _raced(part, options, Condition(count), [HEDGED], 8, options.lookups)
        p99_ms = ours.quantile_ms(0.99)
        beside = f"p50 {ours.quantile_ms(0.5):.1f} ms, longest {ours.max_ms:.0f} ms"
        held = p99_ms <= goal_ms and not ours.failed
        name = f"{count} of three hung, whole bootstrap, p99"
        part.row(name, f"{p99_ms:.1f} ms", beside, f"at most {goal_ms:g} ms", held=held)
        return part

    return measure


async def all_slow(options: Options) -> Part:
    """Every server 50 ms late on every call."""
    part = Part()
    policies = [UNHEDGED, UNHEDGED, HEDGED]
    one, other, ours = await _raced(part, options, ALL_SLOW, policies, 100, options.compared, 5 * TURN_COUNT)
    extra = ours.extra_load_percent
    held = extra <= 5 and not ours.failed
    part.row("all slow by 50 ms, extra load", f"{extra:.2f} %", "", "at most 5 %, the budget", held=held)
    spread = [run.per_s for case in (one, other) for run in case.runs]
    beside = f"unhedged, beside itself: {min(spread):.0f} to {max(spread):.0f} a second"
    held = ours.per_s >= UNCHANGED_RATIO * median(spread)
    part.row("all slow by 50 ms, bootstraps", f"{ours.per_s:.0f} a second", beside, "unchanged within 2 %", held=held)
    return part


async def killed(_options: Options) -> Part:
    """Servers killed and started again, in turn, under new clients and old ones."""
    part = Part()
    run = await race_crowd.restarts(RESTARTS, SEED)
    part.raw.append({"bootstraps": len(run.took_ms), "failed": run.failed, "asked": run.asked, "sent": run.sent})
    beside = f"{run.asked} look-ups, bootstrap p99 {run.quantile_ms(0.99):.1f} ms, longest {max(run.took_ms):.0f} ms"
    goal = "no look-up fails"
    part.row(f"servers killed and started, {RESTARTS} times", f"{run.failed} failed", beside, goal, held=not run.failed)
    return part


async def crowd(options: Options) -> Part:
    """Clients that start evenly within a second; the last of these crowds is watched until it has renewed its lists."""
    part = Part()
    found: list[race_crowd.Crowd] = []
    for number in range(options.runs):
        is_last = number == options.runs - 1
        refresh_ms = options.refresh_ms if is_last else race_crowd.USUAL_REFRESH_MS
        found.append(await race_crowd.crowd(options.clients, SEED + number, refresh_ms, until_refreshed=is_last))
    part.raw = [each.as_dict() for each in found]
    name = f"{options.clients} clients start within a second"
    last_s = [max(each.took_ms) / 1000 for each in found]
    late_ms = max(each.began_late_ms for each in found)
    cpu_s = median([each.clients_cpu_s for each in found]), median([each.servers_cpu_s for each in found])
    beside = (
        f"{min(last_s):.2f} to {max(last_s):.2f} s; processor time of clients {cpu_s[0]:.1f} s, of servers"
        f" {cpu_s[1]:.1f} s; a start was late by {late_ms:.0f} ms at most"
    )
    held = median(last_s) <= 6
    part.row(f"{name}: all done", f"{median(last_s):.2f} s after the first", beside, "within 6 s", held=held)
    failed = sum(each.failed for each in found)
    part.row("of them failed", str(failed), f"{len(found)} crowds", "none", held=not failed)
    worst = max(each.accepted / each.clients for each in found)
    extra = max(each.sent - each.asked for each in found)
    part.row("connections for each", f"{worst:.3f}", f"{extra} extra calls", "at most 1.1", held=worst <= 1.1)
    accept, calls = max(each.accept_queue_max for each in found), max(each.call_queue_max for each in found)
    refused = sum(each.refused for each in found)
    goal = f"bounded: at most {ACCEPT_QUEUE_MAX} not yet accepted, none refused"
    held = accept <= ACCEPT_QUEUE_MAX and calls == 0 and refused == 0
    part.row("longest queues", f"{accept} connections, {calls} calls", f"{refused} refused", goal, held=held)
    ratio = found[-1].busiest_refresh_ratio
    beside = f"each within {options.refresh_ms / 1000:g} s (usually 5 minutes)"
    part.row("busiest second of refreshes", f"{ratio:.2f} of the mean", beside, "at most 1.5", held=ratio <= 1.5)
    return part


async def java(options: Options) -> Part:
    """What stock clients pay; no goal, but what this is all about."""
    part = Part()
    results = Results()
    conditions = [Condition(), Condition(1), Condition(2), Condition(2, guarded=True)]
    wanted = Race(conditions, [], 0, 1, TIMEOUT_MS, SEED, java_lookups=options.java_lookups)
    await run_race(wanted, results, SystemClock())
    for case in results.cases:
        part.raw.append(case.as_dict())
        late = sum(took_ms >= 20_000 for took_ms in case.took_ms)
        found = f"median {case.quantile_ms(0.5) / 1000:.2f} s, longest {case.max_ms / 1000:.1f} s"
        beside = f"{late} of {len(case.took_ms)} took 20 s or more, {case.failed} gave up after {TIMEOUT_MS / 1000:g} s"
        part.row(f"new connections of {case.policy}, {case.condition}", found, beside, "")
    for note in results.notes:
        part.row("Java clients", "-", note, "")
    return part


PARTS: dict[str, Callable[[Options], Awaitable[Part]]] = {
    "healthy": healthy,
    "slow": slow_at_times,
    "hung1": hung(1, 50.0),
    "hung2": hung(2, 100.0),
    "slowall": all_slow,
    "killed": killed,
    "crowd": crowd,
    "java": java,
}


async def _measured(names: Sequence[str], options: Options) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for name in names:
        found[name] = await PARTS[name](options)
        for row in found[name].rows:
            print("  ".join(filter(None, row.cells())), flush=True)
    return found


def main() -> int:
    """Run it; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.race", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts: {','.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=5, help="numbers are medians of these (5)")
    parser.add_argument("--lookups", type=int, default=10_000, help="bootstraps in a run of a case (10000)")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="that start within a second (10000)")
    parser.add_argument(
        "--refresh", type=float, default=race_crowd.REFRESH_MS, help="of their lists, within ms (20000)"
    )
    parser.add_argument("--java-lookups", type=int, default=40, help="new Java connections at once (40)")
    words = RECORD.parsed(parser)
    names = [name.strip() for name in words.only.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"--only: {', '.join(unknown)}: none of {', '.join(PARTS)}")
    options = Options(words.runs, words.lookups, words.clients, words.refresh, words.java_lookups)
    document = RECORD.begun(options=asdict(options))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        parts = runner.run(_measured(names, options))
    rows = [row for part in parts.values() for row in part.rows]
    document |= {"parts": {name: part.raw for name, part in parts.items()}, "table": [row.cells() for row in rows]}
    lost = sum(row.verdict == LOST for row in rows)
    path = RECORD.keep(
        document,
        words,
        table=markdown(HEADINGS, [row.cells() for row in rows], figures=(1,)),
        versions=("python", "uvloop", "java"),
        notes=(f"Medians of {options.runs} runs", f"{lost} rows lost"),
    )
    print(f"figures: {path}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
