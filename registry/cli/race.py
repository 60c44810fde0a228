"""`hbeacon race`: what a new client pays for hung registry servers, policy by policy."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.cli.exits import BAD_SETTING, FAILED, STOPPED
from registry.cli.flags import parser
from registry.client.probing import Policy
from registry.client.target import RpcTarget, find_target, uri_settings
from registry.config.settings import load_settings
from registry.names import Address
from registry.role.process import loop_factory

if TYPE_CHECKING:
    from registry.race.bootstraps import Case

EPILOG = """\
It starts registry servers of its own on free ports, hangs some of them (SIGSTOP), and has new clients find their
cluster: cluster id, location of hbase:meta, active master. Policies:
  hedged   the best server, and another when it takes longer than it usually does (what hbeacon's client does)
  fanout   HBase's: two at once, the next two only when both have failed
  random   one after the other in random order

examples:
  hbeacon race                                       3 servers; none, one and two of them hung
  hbeacon race --hung 1 --lookups 10000 --html race.html
  hbeacon race --policies random,hedged --json
  hbeacon race hbase+rpc://beacon1:16000,beacon2:16000,beacon3:16000     your own servers: only look-ups are sent

exit codes: 0 it was run, 1 a server could not be started, 2 bad command line.
"""


def run(argv: Sequence[str]) -> int:
    """Run the race and print it."""
    arguments = _parser().parse_args(argv)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_race(_course_of(arguments)))
    except UnusableWordsError as error:
        print(f"hbeacon race: {error}", file=sys.stderr)
        return BAD_SETTING
    except (OSError, TimeoutError) as error:
        print(f"hbeacon race: {error or 'a server did not start in time'}", file=sys.stderr)
        return FAILED
    return STOPPED


class UnusableWordsError(Exception):
    """Words of the command line that do not go together; `str()` says what to write."""


@dataclass(frozen=True, slots=True)
class Race:
    """What the command line asks for."""

    servers: Sequence[Address]
    """The user's own; empty for servers of the race."""
    servers_count: int
    hung: Sequence[int]
    policies: Sequence[str]
    lookups: int
    concurrency: int
    timeout_ms: float
    seed: int
    html: Path | None
    as_json: bool


def _parser() -> argparse.ArgumentParser:
    made = parser("race", "Race policies of registry look-ups against hung servers.", EPILOG)
    made.add_argument("uri", nargs="?", metavar="URI", help="race against these servers, by look-ups alone")
    made.add_argument("--servers", metavar="N", type=_number(2, 20), default=3, help="servers that are started (3)")
    made.add_argument("--hung", metavar="K", type=_number(0, 19), action="append", help="so many hung; may repeat")
    made.add_argument("--policies", metavar="P,...", default="random,fanout,hedged", help="random,fanout,hedged")
    made.add_argument("--lookups", metavar="N", type=_number(1, 1_000_000), default=300, help="bootstraps a case (300)")
    made.add_argument("--concurrency", metavar="N", type=_number(1, 10_000), default=8, help="at once (8)")
    made.add_argument("--timeout", metavar="MS", type=_number(1, 600_000), default=60_000, help="of each (60000)")
    made.add_argument("--seed", metavar="N", type=int, help="of the clients' chance; printed")
    made.add_argument("--html", metavar="FILE", type=Path, help="write a report with histograms")
    made.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return made


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"write a number from {least} to {most}")
        return int(text)

    return number


def _course_of(arguments: argparse.Namespace) -> Race:
    policies = [word.strip() for word in arguments.policies.split(",") if word.strip()]
    known = [policy.value for policy in Policy]
    for word in policies:
        if word not in known:
            raise UnusableWordsError(f"--policies: {word!r} is none of {', '.join(known)}")
    servers: Sequence[Address] = ()
    hung: list[int] = [0, 1, arguments.servers - 1] if arguments.hung is None else arguments.hung
    if arguments.uri:
        if arguments.hung:
            raise UnusableWordsError("--hung: servers that are not of the race are not hung by it; leave it out")
        target = find_target(load_settings(uri_settings(arguments.uri)), arguments.uri, None)
        if not isinstance(target, RpcTarget):
            raise UnusableWordsError(f"{arguments.uri}: registry servers are raced, write hbase+rpc://HOST:PORT,...")
        servers, hung = target.servers, [0]
    elif any(count >= arguments.servers for count in hung):
        raise UnusableWordsError(f"--hung: fewer than --servers {arguments.servers}, or nobody is left to answer")
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    return Race(
        servers, arguments.servers, list(dict.fromkeys(hung)), policies, arguments.lookups, arguments.concurrency,
        float(arguments.timeout), seed, arguments.html, arguments.json,
    )  # fmt: skip


async def _race(race: Race) -> None:
    from registry.clock import SystemClock
    from registry.race.bootstraps import Case, Course, run_case
    from registry.race.report import page
    from registry.race.servers import RaceServers

    clock = SystemClock()
    cases: list[Case] = []
    async with contextlib.AsyncExitStack() as ends:
        own = None if race.servers else await ends.enter_async_context(RaceServers(race.servers_count))
        servers = race.servers if own is None else own.addresses
        title = f"{len(servers)} registry servers, {race.lookups} bootstraps a case, seed {race.seed}"
        with _shown(cases, title, as_json=race.as_json):
            course = Course(servers, race.lookups, race.concurrency, race.timeout_ms, race.seed)
            for count in race.hung:
                if own is not None:
                    own.hang(count)
                for policy in race.policies:
                    cases.append(Case(policy, count))
                    await run_case(course, cases[-1], clock)
    if race.as_json:
        print(json.dumps({"seed": race.seed, "cases": [case.as_dict() for case in cases]}))
    if race.html is not None:
        race.html.write_text(page(cases, title), encoding="utf-8")
        print(f"report written to {race.html}", file=sys.stderr)


@contextlib.contextmanager
def _shown(cases: Sequence[Case], title: str, *, as_json: bool) -> Generator[None]:
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
        console.print(table(cases, title))
        return
    with Live(console=console, get_renderable=lambda: table(cases, title), refresh_per_second=4):
        yield
