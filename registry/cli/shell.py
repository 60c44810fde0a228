"""`hbeacon shell`: the words of hbase shell at a prompt, in one line, or from a file.

Exit codes: 0 everything was done; 1 a command failed, and what follows it was not done (unless --keep-going); 2 the
command line or a setting cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from registry.cli.flags import add_common_flags, flags_of, parser
from registry.client.connect import ConnectRequest, open_connection
from registry.client.target import IMPLEMENTATION, ZOOKEEPER_REGISTRY
from registry.exits import BAD_SETTING, FAILED, STOPPED
from registry.shell.language import ShellSyntaxError, is_unfinished
from registry.shell.output import JsonOutput, TextOutput
from registry.shell.session import Left, Session

RETRIES, TIMEOUT = "hbase.client.retries.number", "hbase.client.operation.timeout"
SHELL_RETRIES = "7"
"""As in hbase shell: somebody waits for it."""

EPILOG = """\
examples:
  hbeacon shell                                           the cluster as configured; localhost:16000 where nothing is
  hbeacon shell hbase+rpc://master1,master2
  hbeacon shell -e "create 'users', 'cf'" -e "put 'users', 'row1', 'cf:name', 'Ada'"
  hbeacon shell -e 'scan users, LIMIT => 10' --json | jq .
  hbeacon shell commands.txt                              a file of commands, a line each; - is standard input

The words are those of hbase shell: create, put, get, scan, count, list, describe, ... `hbeacon shell -e help` lists
them, and -e "help 'scan'" shows how one is written.
"""


def run(argv: Sequence[str]) -> int:
    """The shell; gives the exit code."""
    arguments = _parser().parse_args(list(argv))
    uri, file = _target(arguments.words)
    try:
        lines = None if file is None else _lines(file)
    except OSError as error:
        print(f"hbeacon shell: {file}: {error.strerror}", file=sys.stderr)
        return BAD_SETTING
    if arguments.execute:
        lines = [*arguments.execute, *(lines or ())]
    return asyncio.run(_run(_request(arguments, uri), lines, arguments))


async def _run(request: ConnectRequest, lines: Iterable[str] | None, arguments: argparse.Namespace) -> int:
    connection = await open_connection(request)
    terminal = sys.stdout.isatty()
    output = JsonOutput() if arguments.json else TextOutput(width=shutil.get_terminal_size().columns, bold=terminal)
    session = Session(
        connection,
        output,
        as_json=arguments.json,
        show_progress=sys.stderr.isatty(),
    )
    async with connection:
        if lines is not None:
            return await _all(session, lines, keep_going=arguments.keep_going)
        if not sys.stdin.isatty():
            return await _all(session, _lines(Path("-")), keep_going=arguments.keep_going)
        from registry.shell.prompt import Prompt

        print("hbeacon shell: the words of hbase shell. help lists them, Ctrl-D leaves.")
        await Prompt(session, "hbeacon").run()
    return STOPPED


async def _all(session: Session, lines: Iterable[str], *, keep_going: bool) -> int:
    """Every line; whether all of them could be done."""
    code, begun = STOPPED, ""
    try:
        for line in lines:
            begun += line
            if is_unfinished(begun):
                begun += "\n"
                continue
            if not await session.run(begun):
                code = FAILED
                if not keep_going:
                    break
            begun = ""
        else:
            if begun:
                await session.run(begun)
    except Left:
        pass
    except ShellSyntaxError as error:
        print(f"ERROR: {error}: the input ends within a command", file=sys.stderr)
        return FAILED
    return code


def _lines(file: Path) -> list[str]:
    return (sys.stdin.read() if str(file) == "-" else file.read_text()).splitlines()


def _target(words: Sequence[str]) -> tuple[str, Path | None]:
    """A URI or list of servers, and a file of commands: whatever is a file, or -, is that."""
    uri, file = "", None
    for word in words:
        if word == "-" or Path(word).is_file():
            file = Path(word)
        else:
            uri = word
    return uri, file


def _request(arguments: argparse.Namespace, uri: str) -> ConnectRequest:
    flags = flags_of(arguments)
    settings = dict(flags.values)
    if arguments.zookeeper is not None and not uri:
        settings.setdefault(IMPLEMENTATION, ZOOKEEPER_REGISTRY)
    if arguments.timeout is not None:
        settings[TIMEOUT] = str(round(arguments.timeout))
    request = ConnectRequest(uri=uri, conf_dir=flags.conf_dir, settings=settings)
    return (
        request if request.load().is_set(RETRIES) else replace(request, settings={**settings, RETRIES: SHELL_RETRIES})
    )


def _parser() -> argparse.ArgumentParser:
    made = parser("shell", "The words of hbase shell.", EPILOG)
    made.add_argument("words", nargs="*", metavar="URI|FILE", help="the cluster; a file of commands, or -")
    made.add_argument("-e", "--execute", action="append", default=[], metavar="COMMAND", help="do this; may repeat")
    made.add_argument("--json", action="store_true", help="a line of JSON for each row or fact, and nothing else")
    made.add_argument("--keep-going", action="store_true", help="go on with the next command where one failed")
    made.add_argument(
        "--timeout", type=float, metavar="MS", help="of a call with all its retries (hbase.client.operation.timeout)"
    )
    add_common_flags(made)
    return made
