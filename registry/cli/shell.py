"""`hbeacon shell`: the words of hbase shell at a prompt, in one line, or from a file.

Exit codes: 0 everything was done; 1 a command failed, and what follows it was not done (unless --keep-going); 2 the
command line or a setting cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from registry.cli.clusters import TIMEOUT, request_of
from registry.cli.flags import add_common_flags, parser, positive
from registry.client.connect import ConnectRequest, open_connection
from registry.client.connection import Connection
from registry.exits import BAD_SETTING, FAILED, STOPPED
from registry.shell.language import is_unfinished
from registry.shell.output import JsonOutput, TextOutput
from registry.shell.session import Left, Session

RETRIES = 7
"""As in hbase shell: somebody waits for it."""

EPILOG = """\
examples:
  hbeacon shell                                           the cluster as configured; localhost:16000 where nothing is
  hbeacon shell hbase+rpc://master1,master2
  hbeacon shell -e "create 'users', 'cf'; put 'users', 'row1', 'cf:name', 'Ada'"
  hbeacon shell -e 'scan users, LIMIT => 10' --json | jq .
  hbeacon shell commands.txt                              a file of commands, a line each; - is standard input

The words are those of hbase shell: create, put, get, scan, count, list, describe, ... `hbeacon shell -e help` lists
them, and -e "help 'scan'" shows how one is written.
"""


def run(argv: Sequence[str]) -> int:
    """The shell; gives the exit code."""
    arguments = _parser().parse_intermixed_args(list(argv))
    try:
        uri, file = _target(arguments.words)
    except (OSError, ValueError) as error:
        print(f"hbeacon shell: {error}", file=sys.stderr)
        return BAD_SETTING
    if file is None and not arguments.execute and not sys.stdin.isatty():
        file = sys.stdin.buffer
    try:
        request = request_of(arguments, uri, timeout_ms=arguments.timeout, retries=RETRIES)
        if file is None and not arguments.execute:
            return asyncio.run(_prompt(request, as_json=arguments.json))
        return do(request, arguments.execute, file, as_json=arguments.json, keep_going=arguments.keep_going)
    finally:
        if file is not None and file is not sys.stdin.buffer:
            file.close()


def do(
    request: ConnectRequest,
    commands: Iterable[str],
    file: IO[bytes] | None = None,
    *,
    as_json: bool,
    keep_going: bool = False,
) -> int:
    """Commands, then those of the file; the exit code."""
    return asyncio.run(_all(request, _lines(commands, file), as_json=as_json, keep_going=keep_going))


async def _all(request: ConnectRequest, lines: Iterable[tuple[str, str]], *, as_json: bool, keep_going: bool) -> int:
    begun, begun_at = "", ""
    async with await open_connection(request) as connection:
        session = _session(connection, as_json=as_json, keep_going=keep_going)
        try:
            for line, place in lines:
                begun, begun_at = (f"{begun}\n{line}", begun_at) if begun else (line, place)
                if is_unfinished(begun):
                    continue
                done = await session.run(begun, begun_at)
                sys.stdout.flush()  # somebody may wait for it before the next command
                begun = ""
                if not done and not keep_going:
                    break
            if begun:
                await session.run(begun, begun_at)
        except Left:
            pass
    return FAILED if session.failed else STOPPED


async def _prompt(request: ConnectRequest, *, as_json: bool) -> int:
    from registry.shell.prompt import Prompt

    async with await open_connection(request) as connection:
        print("hbeacon shell: the words of hbase shell. help lists them, Ctrl-D leaves.")
        await Prompt(_session(connection, as_json=as_json), "hbeacon").run()
    return STOPPED


def _session(connection: Connection, *, as_json: bool, keep_going: bool = False) -> Session:
    terminal = sys.stdout.isatty()
    bold = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size().columns if terminal else 0
    output = JsonOutput() if as_json else TextOutput(width=width, bold=bold)
    looked_at = sys.stderr.isatty()
    return Session(connection, output, as_json=as_json, show_progress=looked_at, keep_going=keep_going)


def _lines(commands: Iterable[str], file: IO[bytes] | None) -> Iterator[tuple[str, str]]:
    """Each with its place, for errors. A file is read line by line: who writes it may wait for answers."""
    for command in commands:
        yield from ((line, "") for line in command.split("\n"))
    if file is not None:
        for number, line in enumerate(file, 1):
            yield line.decode("utf-8", "surrogateescape").removesuffix("\n"), f"line {number} of {file.name}"


def _target(words: Sequence[str]) -> tuple[str, IO[bytes] | None]:
    """A URI or list of servers, and a file of commands. Raises OSError, ValueError."""
    files = [word for word in words if _is_file(word)]
    uris = [word for word in words if word not in files]
    for several in (files, uris):
        if len(several) > 1:
            raise ValueError(f"{' '.join(several)}: one cluster and one file of commands can be named")
    if not files:
        return "".join(uris), None
    return "".join(uris), sys.stdin.buffer if files == ["-"] else Path(files[0]).open("rb")


def _is_file(word: str) -> bool:
    """Whatever can be read, a pipe too; - is standard input."""
    try:
        return word == "-" or not stat.S_ISDIR(Path(word).stat().st_mode)
    except OSError:  # there is none, or it is longer than names of files are
        return False


def _parser() -> argparse.ArgumentParser:
    made = parser("shell", "The words of hbase shell.", EPILOG)
    made.add_argument("words", nargs="*", metavar="URI|FILE", help="the cluster; a file of commands, or -")
    made.add_argument(
        "-e",
        "--execute",
        action="append",
        default=[],
        metavar="COMMAND",
        help="do this, or several with ; between; may repeat",
    )
    made.add_argument("--json", action="store_true", help="a line of JSON for each row or fact, and nothing else")
    made.add_argument("--keep-going", action="store_true", help="go on with the next command where one failed")
    made.add_argument("--timeout", type=positive, metavar="MS", help=f"of a call with all its retries ({TIMEOUT})")
    add_common_flags(made)
    return made
