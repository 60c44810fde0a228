"""`hbeacon lookup`: everything a registry tells, who told it, how new it is and how long it took.

Exit codes: 0 cluster id, active master and hbase:meta were found; 1 one of them was not, and standard error names
each server that was asked and what it answered; 2 the command line or a setting cannot be used.

With --fresh, --max-staleness, --min-zxid or --generation only answers count that are said to be so new: servers of
HBase itself say nothing of the kind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from registry.cli.clusters import request_of
from registry.cli.flags import add_common_flags, parser, positive
from registry.client.answers import Answer, RegionLocation, RegistryMaster, What
from registry.client.attempts import RegistryLookupError
from registry.client.connect import ConnectRequest, open_connection
from registry.client.connection import Connection
from registry.client.probing import Policy
from registry.client.wanted import LookupOptions, wants_of
from registry.exits import FAILED, STOPPED

TIMEOUT_MS = 5000.0
NEEDED = (What.CLUSTER_ID, What.ACTIVE_MASTER, What.META_LOCATIONS)
"""What makes a cluster found; the other two are lists that may be empty."""

EPILOG = """\
examples:
  hbeacon lookup                                          as configured; localhost:16000 where nothing is
  hbeacon lookup hbase+rpc://beacon1:16000,beacon2:16000
  hbeacon lookup hbase+zk://zk1:2181,zk2:2181/hbase       from ZooKeeper itself
  hbeacon lookup --masters m1,m2,m3 --policy fanout --json
  hbeacon lookup beacon1,beacon2 --fresh                  what ZooKeeper's leader has now
  hbeacon lookup beacon1 --min-zxid 0x1400000a2f          not without this change
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all five questions."""

    source: str
    policy: str
    answers: dict[What, Answer[Any]]
    errors: dict[What, RegistryLookupError]
    elapsed_ms: float

    @property
    def found(self) -> bool:
        """Whether the cluster was found."""
        return all(what in self.answers for what in NEEDED)


def run(argv: Sequence[str]) -> int:
    """Look up and print; gives the exit code."""
    arguments = _parser().parse_args(list(argv))
    options = _wanted(arguments)
    try:
        wants_of(options)
    except ValueError as error:
        print(f"hbeacon lookup: {error}", file=sys.stderr)
        return 2
    # Unless told otherwise one pass through the servers is enough: who asks by hand wants to know now.
    request = replace(
        request_of(arguments, arguments.uri, masters=arguments.masters, retries=0), policy=Policy(arguments.policy)
    )
    report = asyncio.run(_look_up(request, arguments.timeout, options))
    if arguments.json:
        print(json.dumps(as_json(report), indent=2))
    elif report.answers:
        print_table(report)
    for line in problems(report):
        print(line, file=sys.stderr)
    return STOPPED if report.found else FAILED


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON: a member for each question, with the value or the error."""
    return {
        "found": report.found,
        "source": report.source,
        "policy": report.policy,
        "elapsed_ms": round(report.elapsed_ms, 3),
        **{
            what.value: _answer_json(report.answers[what])
            if what in report.answers
            else _error_json(report.errors[what])
            for what in What
        },
    }


def print_table(report: Report) -> None:
    """The report for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"registry {report.source} ({report.policy})", title_justify="left")
    for heading in ("", "value", "answered by", "version", "age", "elapsed"):
        table.add_column(heading, overflow="fold")
    for what in What:
        name = what.value.replace("_", " ")
        answer = report.answers.get(what)
        if answer is None:
            table.add_row(name, "[red]not found[/red]", "", "", "", f"{report.errors[what].elapsed_ms:.1f} ms")
            continue
        table.add_row(
            name,
            "\n".join(_lines(answer.value)),
            answer.server,
            f"{answer.version.generation}:{answer.version.zxid:#x}" if answer.version is not None else "-",
            f"{answer.age_ms:.0f} ms" if answer.age_ms is not None else "-",
            f"{answer.elapsed_ms:.1f} ms",
        )
    # Piped output keeps whole names: no terminal, no folding.
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


def problems(report: Report) -> list[str]:
    """Why what is missing was not found: each server and what it said; the same story is told once."""
    lines: list[str] = []
    for error in {id(error): error for error in report.errors.values()}.values():
        within = f"within {error.elapsed_ms:.0f} ms" + (" (the deadline)" if error.timed_out else "")
        lines.append(f"hbeacon lookup: {error.what.value.replace('_', ' ')} was not found {within}:")
        lines.extend(f"  {server}: {problem}" for server, problem in error.by_server())
    return lines


def _wanted(arguments: argparse.Namespace) -> LookupOptions:
    """What was said of how new the answers have to be; numbers are looked at where they are read."""
    said = {
        "max_staleness_ms": arguments.max_staleness,
        "min_zxid": arguments.min_zxid,
        "generation": arguments.generation,
        "fresh": arguments.fresh or None,
    }
    return cast("LookupOptions", {name: value for name, value in said.items() if value is not None})


async def _look_up(request: ConnectRequest, timeout_ms: float, options: LookupOptions) -> Report:
    async with await open_connection(request, follow=False) as connection:
        return await look_up_all(connection, timeout_ms, options)


async def look_up_all(connection: Connection, timeout_ms: float, options: LookupOptions | None = None) -> Report:
    """All five questions, one after the other within one deadline for each of those that count.

    `options` go with each of them; the deadline is `timeout_ms`.

    After the first that nobody answers at all, the rest are not asked: they would tell the same, later.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    answers: dict[What, Answer[Any]] = {}
    errors: dict[What, RegistryLookupError] = {}
    ask: dict[What, Callable[..., Any]] = {
        What.CLUSTER_ID: connection.cluster_id,
        What.ACTIVE_MASTER: connection.active_master,
        What.MASTERS: connection.masters,
        What.META_LOCATIONS: connection.meta_locations,
        What.BOOTSTRAP_NODES: connection.bootstrap_nodes,
    }
    unreachable: RegistryLookupError | None = None
    for what, question in ask.items():
        if unreachable is not None:
            errors[what] = unreachable
            continue
        try:
            left_ms = timeout_ms - (loop.time() - begun) * 1000
            answers[what] = await question(**{**(options or {}), "timeout_ms": left_ms})
        except RegistryLookupError as error:
            errors[what] = error
            if not answers and not any(attempt.answered for attempt in error.attempts):
                unreachable = error
    return Report(connection.name, connection.settings.policy.value, answers, errors, (loop.time() - begun) * 1000)


def _parser() -> argparse.ArgumentParser:
    to = parser("lookup", "Ask registry servers, or ZooKeeper, where a cluster is.", EPILOG)
    to.add_argument(
        "uri", nargs="?", default="", metavar="URI", help="hbase+rpc://HOST:PORT,... or hbase+zk://HOST:PORT,.../hbase"
    )
    to.add_argument("--masters", metavar="HOST[:PORT],...", help="ask these masters (hbase.masters)")
    to.add_argument(
        "--policy", choices=[policy.value for policy in Policy], default=Policy.HEDGED.value,
        help="a second server when the first is slow, one after the other, or HBase's fan-out (hedged)",
    )  # fmt: skip
    to.add_argument("--timeout", metavar="MS", type=positive, default=TIMEOUT_MS, help="for all of it (5000)")
    to.add_argument("--fresh", action="store_true", help="as ZooKeeper's leader has it after the question")
    to.add_argument("--max-staleness", metavar="MS", help="what held at most so long before the question")
    to.add_argument("--min-zxid", metavar="ZXID", help="what holds all changes up to this one, decimal or 0x...")
    to.add_argument("--generation", metavar="N", help="of that zxid, as an answer of the same server told both")
    to.add_argument("--json", action="store_true", help="print JSON")
    add_common_flags(to)
    return to


def _lines(value: object) -> list[str]:
    if not isinstance(value, tuple):
        return [str(value)]
    lines = [_line(each) for each in cast("tuple[object, ...]", value)]
    return lines or ["(none handed out)"]


def _line(each: object) -> str:
    if isinstance(each, RegistryMaster):
        return f"{each.server_name} {'(active)' if each.is_active else ''}".rstrip()
    if isinstance(each, RegionLocation):
        return f"replica {each.replica_id}: {each.server_name or 'on no server'}"
    return str(each)


def _answer_json(answer: Answer[Any]) -> dict[str, Any]:
    version = answer.version
    return {
        "value": _value_json(answer.value),
        "server": answer.server,
        "version": None if version is None else {"generation": version.generation, "zxid": version.zxid},
        "age_ms": answer.age_ms,
        "changed_zxid": answer.changed_zxid,
        "calls": answer.calls,
        "elapsed_ms": round(answer.elapsed_ms, 3),
    }


def _value_json(value: object) -> Any:
    if isinstance(value, tuple):
        return [_value_json(each) for each in cast("tuple[object, ...]", value)]
    if isinstance(value, RegistryMaster):
        return {"server_name": str(value.server_name), "is_active": value.is_active}
    if isinstance(value, RegionLocation):
        name = value.server_name
        return {"replica_id": value.replica_id, "server_name": name and str(name), "seq_num": value.seq_num}
    return str(value)


def _error_json(error: RegistryLookupError) -> dict[str, Any]:
    return {
        "error": error.message,
        "timed_out": error.timed_out,
        "elapsed_ms": round(error.elapsed_ms, 3),
        "servers": [{"server": server, "problem": problem} for server, problem in error.by_server()],
    }
