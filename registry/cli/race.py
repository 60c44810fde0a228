"""`hbeacon race`: what a new client pays for hung registry servers, policy by policy."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.cli.flags import between, parser
from registry.client.target import RpcTarget, find_target, uri_settings
from registry.config.settings import load_settings
from registry.exits import BAD_SETTING, FAILED, STOPPED
from registry.loops import loop_factory
from registry.names import Address

if TYPE_CHECKING:
    from registry.race.cases import Condition
    from registry.race.running import Race, Results

EPILOG = """\
It starts registry servers of its own on free ports, hangs some of them (SIGSTOP), and has new clients find their
cluster: cluster id, location of hbase:meta, active master. Policies:
  hedged    the best server, and another when it takes longer than it usually does (what hbeacon's client does)
  fanout    HBase's: two at once, the next two only when both have failed
  random    one after the other in random order
  unhedged  one server, chosen at random, and no other: the yardstick
Stock Java clients race too where there are a JVM and jars of hbase-client: those of --java-classpath, of HBASE_HOME, or
of the `hbase` command.

examples:
  hbeacon race                                       3 servers; none, one and two of them hung
  hbeacon race --hung 1 --guard                      the same with a guard before each server
  hbeacon race --hung 1 --lookups 10000 --html race.html
  hbeacon race --slow 200:5 --policies unhedged,hedged
  hbeacon race --hung 0 --policies unhedged,unhedged,hedged --interleave 200 --runs 5 --java-lookups 0
  hbeacon race hbase+rpc://beacon1:16000,beacon2:16000,beacon3:16000     your own servers: only look-ups are sent

exit codes: 0 it was run, 1 a server could not be started, 2 bad command line.
"""
MOST_HUNG = 19
JAVA_LOOKUPS = 8
"""All at once; with hung servers they take up to the time-out."""


def run(argv: Sequence[str]) -> int:
    """Run the race and print it."""
    arguments = _parser().parse_args(argv)
    try:
        race = _race_of(arguments)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            results = runner.run(_run(race, as_json=arguments.json))
        if arguments.html is not None:
            from registry.race.report import page

            arguments.html.write_text(page(results, _title(race)), encoding="utf-8")
            print(f"report written to {arguments.html}", file=sys.stderr)
    except UnusableWordsError as error:
        print(f"hbeacon race: {error}", file=sys.stderr)
        return BAD_SETTING
    except (OSError, TimeoutError) as error:
        print(f"hbeacon race: {error or 'a server did not start in time'}", file=sys.stderr)
        return FAILED
    return STOPPED


class UnusableWordsError(Exception):
    """Words of the command line that do not go together; `str()` says what to write."""


def _parser() -> argparse.ArgumentParser:
    made = parser("race", "Race policies of registry look-ups against hung servers.", EPILOG)
    made.add_argument("uri", nargs="?", metavar="URI", help="race against these servers, by look-ups alone")
    made.add_argument("--servers", metavar="N", type=between(2, 20), default=3, help="servers that are started (3)")
    made.add_argument("--hung", metavar="K", type=between(0, MOST_HUNG), action="append", help="so many; may repeat")
    made.add_argument("--guard", action="store_true", help="race guarded servers too: a guard replaces who hangs")
    made.add_argument("--slow", metavar="MS:SHARE", type=_slow, action="append", help="one server: so late, so many %%")
    made.add_argument("--slow-all", metavar="MS", type=between(1, 60_000), action="append", help="all servers so late")
    made.add_argument("--policies", metavar="P,...", default="random,fanout,hedged", help="random,fanout,hedged")
    made.add_argument("--lookups", metavar="N", type=between(1, 1_000_000), default=300, help="bootstraps a case (300)")
    made.add_argument("--concurrency", metavar="N", type=between(1, 10_000), default=8, help="at once (8)")
    made.add_argument("--timeout", metavar="MS", type=between(1, 600_000), default=60_000, help="of each (60000)")
    made.add_argument("--begin", metavar="S", type=between(1, 86_400), default=15, help="none begins later (15)")
    made.add_argument("--runs", metavar="N", type=between(1, 100), default=1, help="numbers are medians of these (1)")
    made.add_argument("--interleave", metavar="N", type=between(1, 1_000_000), default=0, help="policies take turns")
    made.add_argument("--java-lookups", metavar="N", type=between(0, 1000), default=JAVA_LOOKUPS, help="at once (8)")
    made.add_argument("--java-classpath", metavar="PATH", default="", help="jars of hbase-client, or their directory")
    made.add_argument("--seed", metavar="N", type=int, help="of the clients' chance; printed")
    made.add_argument("--html", metavar="FILE", type=Path, help="write a report with histograms")
    made.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return made


def _slow(text: str) -> tuple[int, int]:
    delay, colon, share = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write MS:SHARE, such as 200:5 for 200 ms on 5 of 100 calls")
    return between(1, 60_000)(delay), between(1, 100)(share)


def _race_of(arguments: argparse.Namespace) -> Race:
    from registry.race.bootstraps import POLICIES
    from registry.race.running import Race

    policies = [word.strip() for word in arguments.policies.split(",") if word.strip()]
    for word in policies:
        if word not in POLICIES:
            raise UnusableWordsError(f"--policies: {word!r} is none of {', '.join(POLICIES)}")
    servers: Sequence[Address] = ()
    if arguments.uri:
        if arguments.hung or arguments.guard or arguments.slow or arguments.slow_all:
            raise UnusableWordsError(
                "--hung, --guard, --slow, --slow-all: servers that are not of the race are not touched; leave them out"
            )
        target = find_target(load_settings(uri_settings(arguments.uri)), arguments.uri, None)
        if not isinstance(target, RpcTarget):
            raise UnusableWordsError(f"{arguments.uri}: registry servers are raced, write hbase+rpc://HOST:PORT,...")
        servers = target.servers
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    return Race(
        _conditions(arguments), policies, arguments.lookups, arguments.concurrency,
        float(arguments.timeout), seed, servers, arguments.servers, arguments.runs, arguments.interleave,
        1000.0 * arguments.begin, arguments.java_lookups, arguments.java_classpath,
    )  # fmt: skip


def _conditions(arguments: argparse.Namespace) -> list[Condition]:
    from registry.race.cases import Condition, Slow

    is_slow = bool(arguments.slow or arguments.slow_all)
    usual = [] if is_slow else [0, 1, arguments.servers - 1]
    hung: list[int] = list(dict.fromkeys(usual if arguments.hung is None else arguments.hung))
    if not arguments.uri and any(count >= arguments.servers for count in hung):
        raise UnusableWordsError(f"--hung: fewer than --servers {arguments.servers}, or nobody is left to answer")
    if arguments.uri:
        return [Condition()]
    found = [Condition(count) for count in hung]
    if arguments.guard:
        found += [Condition(count, guarded=True) for count in hung if count]
    found += [Condition(slow=Slow(*each, everywhere=False)) for each in arguments.slow or ()]
    found += [Condition(slow=Slow(delay_ms, 100, everywhere=True)) for delay_ms in arguments.slow_all or ()]
    return found


async def _run(race: Race, *, as_json: bool) -> Results:
    from registry.clock import SystemClock
    from registry.race.running import Results, run_race

    results = Results()
    with _shown(results, _title(race), as_json=as_json):
        await run_race(race, results, SystemClock())
    if as_json:
        cases = [case.as_dict() for case in results.cases]
        print(json.dumps({"seed": race.seed, "cases": cases, "notes": results.notes}))
    return results


def _title(race: Race) -> str:
    count = len(race.servers) or race.servers_count
    runs = f", medians of {race.runs} runs" if race.runs > 1 else ""
    return f"{count} registry servers, up to {race.lookups} bootstraps a case{runs}, seed {race.seed}"


@contextlib.contextmanager
def _shown(results: Results, title: str, *, as_json: bool) -> Generator[None]:
    """A table that grows while the race runs; without a terminal it is printed once, at the end."""
    if as_json:
        yield
        return
    from rich.console import Console
    from rich.live import Live

    from registry.race.report import table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    if not console.is_terminal:
        yield
        console.print(table(results.cases, title))
    else:
        with Live(console=console, get_renderable=lambda: table(results.cases, title), refresh_per_second=4):
            yield
    for note in results.notes:
        console.print(note)
