"""`hbeacon import`: a file of `hbeacon export`, or one like it, into a table.

Exit codes: 0 all of it is in the table; 1 it failed, and some of it may be; 2 the command line or a setting cannot be
used; 5 all of it but for bad lines, which were to be skipped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from registry.cli.clusters import request_of
from registry.cli.flags import parser
from registry.cli.transfers import add_flags, connected, ended, form_of, told
from registry.client.connect import ConnectRequest
from registry.exits import BAD_SETTING, INCOMPLETE, STOPPED
from registry.transfer.files import Source
from registry.transfer.importing import Counts, Importer, ImportOptions, line_records, parquet_records
from registry.transfer.progress import Progress

EPILOG = """\
examples:
  hbeacon import users.jsonl.gz users                     with the times that the file has
  hbeacon import users.parquet users2 --create            the table is made as it was, where the file tells, and split
  zcat users.jsonl.gz | hbeacon import - users --new-timestamps
  hbeacon import users.jsonl users --skip-bad

A line is {"row": "ada", "cells": [{"column": "cf:name", "timestamp": 1000, "value": "Ada"}]}; \\xHH is a byte, and
without a timestamp it is the server's time. An import that was ended can be begun anew: it writes the same again.
"""


def run(argv: Sequence[str]) -> int:
    """Import; gives the exit code."""
    arguments = _parser().parse_intermixed_args(list(argv))
    try:
        form = form_of(arguments)
    except ValueError as error:
        return told("import", error, BAD_SETTING)
    request = request_of(arguments, arguments.uri, timeout_ms=arguments.timeout)
    return ended("import", _run(request, arguments, form))


async def _run(request: ConnectRequest, arguments: argparse.Namespace, form: str) -> int:
    options = ImportOptions(arguments.create, arguments.new_timestamps, arguments.skip_bad)
    source = Source(arguments.file)
    try:
        async with connected(request) as connection:
            with Progress(f"import {arguments.table}", source.size_bytes, quiet=arguments.quiet) as progress:
                importer = Importer(connection, connection.table(arguments.table), options, progress, _say)
                records = parquet_records(source) if form == "parquet" else line_records(source)
                try:
                    await importer.run(records, lambda: source.read_bytes)
                except BaseException:
                    if progress.rows:
                        progress.finished(*_told(importer.counts, early=True), early=True)
                    raise
                progress.finished(*_told(importer.counts))
    finally:
        source.close()
    return INCOMPLETE if importer.counts.bad else STOPPED


def _say(text: str) -> None:
    print(f"hbeacon import: {text}: left out", file=sys.stderr)


def _told(counts: Counts, *, early: bool = False) -> list[str]:
    found = [f"{counts.acknowledged} writes are acknowledged, and it can be begun anew"] if early else []
    found += [f"made {each}" for each in counts.created]
    if counts.bad:
        found.append(f"{counts.bad} bad ones left out")
    if counts.older:
        found.append(f"{counts.older} older versions left out")
    if counts.lost:
        found.append(f"{counts.lost} cells are more VERSIONS of their column than its family keeps")
    return found


def _parser() -> argparse.ArgumentParser:
    made = parser("import", "A file of JSON lines or Parquet into a table.", EPILOG)
    made.add_argument("file", metavar="FILE", help="- is standard input; .gz is compressed")
    made.add_argument("table", metavar="TABLE", help="such as users, or shop:users")
    made.add_argument("--create", action="store_true", help="make the table, and families that it does not have")
    made.add_argument("--new-timestamps", action="store_true", help="the time of the import in place of the file's")
    made.add_argument("--skip-bad", action="store_true", help="name bad lines and leave them out")
    add_flags(made)
    return made
