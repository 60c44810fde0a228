"""`hbeacon export`: a table, or some of it, into a file.

Exit codes: 0 the file is whole; 1 it failed, and there is no file; 2 the command line or a setting cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from registry.cli.clusters import request_of
from registry.cli.flags import parser
from registry.cli.transfers import add_flags, connected, ended, form_of, told
from registry.client.connect import ConnectRequest
from registry.client.data.names import ColumnName
from registry.client.data.operations import VERSIONS_MAX
from registry.client.data.table import ScanOptions, scan_spec
from registry.exits import BAD_SETTING, STOPPED
from registry.transfer.exporting import export_cells, export_columns, export_lines, schema_of
from registry.transfer.files import written
from registry.transfer.lines import bytes_of
from registry.transfer.progress import Progress

EPILOG = """\
examples:
  hbeacon export users users.jsonl.gz                     keys, values and times of the newest versions
  hbeacon export users users.jsonl --raw                  everything: all versions, and what deletes left
  hbeacon export users - --prefix user- | jq .row
  hbeacon export users users.parquet                      a line for each cell
  hbeacon export users users.parquet --types row=utf8 --types cf:visits=int64 --types cf:name=utf8

Keys are written as HBase prints them: \\xHH is a byte. The file appears when it is whole.
"""


def run(argv: Sequence[str]) -> int:
    """Export; gives the exit code."""
    arguments = _parser().parse_intermixed_args(list(argv))
    try:
        form = form_of(arguments)
        options, types = _scan(arguments), _types(arguments.types)
        scan_spec(options).template()
        if types and (form != "parquet" or arguments.raw or arguments.versions is not None):
            raise ValueError("--types is of Parquet with newest values: no JSON lines, --raw or --versions beside it")
        if arguments.base64 and form != "jsonl":
            raise ValueError("--base64 is of JSON lines: Parquet has bytes as they are")
    except ValueError as error:
        return told("export", error, BAD_SETTING)
    request = request_of(arguments, arguments.uri, timeout_ms=arguments.timeout)
    return ended("export", _run(request, arguments, options, types, form))


async def _run(
    request: ConnectRequest,
    arguments: argparse.Namespace,
    options: ScanOptions,
    types: dict[ColumnName, str],
    form: str,
) -> int:
    async with connected(request) as connection:
        table, schema = connection.table(arguments.table), await schema_of(connection, arguments.table)
        with Progress(f"export {arguments.table}", None, quiet=arguments.quiet) as progress:
            with written(arguments.file, overwrite=arguments.overwrite) as file:
                if types:
                    await export_columns(table, types, file, options, progress)
                elif form == "parquet":
                    await export_cells(table, schema, file, options, progress)
                else:
                    await export_lines(table, schema, file, options, progress, as_base64=arguments.base64)
            progress.finished()
    return STOPPED


def _scan(arguments: argparse.Namespace) -> ScanOptions:
    """Raises ValueError."""
    options: ScanOptions = {
        "start": bytes_of(arguments.start),
        "stop": bytes_of(arguments.stop),
        "prefix": bytes_of(arguments.prefix),
        "limit": arguments.limit,
        "raw": arguments.raw,
        "cache_blocks": False,  # read once: what others read stays in the servers' memory
    }
    if arguments.column:
        options["columns"] = [bytes_of(name) for name in arguments.column]
    if arguments.filter:
        options["filter"] = arguments.filter
    if arguments.since is not None or arguments.until is not None:
        options["time_range"] = (arguments.since, arguments.until)
    versions = arguments.versions or ("all" if arguments.raw else "1")
    if versions != "all" and not versions.isdecimal():
        raise ValueError(f"--versions {versions}: write a number, or all")
    options["versions"] = VERSIONS_MAX if versions == "all" else int(versions)
    return options


def _types(given: Sequence[str]) -> dict[ColumnName, str]:
    """Of `cf:n=int64`. Raises ValueError."""
    found: dict[ColumnName, str] = {}
    for text in given:
        name, sign, kind = text.rpartition("=")
        if not sign:
            raise ValueError(f"--types {text}: write COLUMN=TYPE, such as cf:visits=int64")
        if name == "row":
            found["row"] = kind
            continue
        try:
            found[bytes_of(name).decode()] = kind
        except UnicodeDecodeError:
            raise ValueError(
                f"--types {text}: a column of Parquet is named in UTF-8; without --types it is exported"
            ) from None
    if found and set(found) == {"row"}:
        raise ValueError("--types names no column of the table")
    return found


def _parser() -> argparse.ArgumentParser:
    made = parser("export", "A table, or some of it, into a file: JSON lines or Parquet.", EPILOG)
    made.add_argument("table", metavar="TABLE", help="such as users, or shop:users")
    made.add_argument("file", metavar="FILE", help="- is standard output; .gz is compressed")
    made.add_argument("--start", default="", metavar="ROW", help="from this row on")
    made.add_argument("--stop", default="", metavar="ROW", help="up to this row, without it")
    made.add_argument("--prefix", default="", metavar="ROW", help="the rows that begin so")
    made.add_argument("--column", action="append", default=[], metavar="NAME", help="cf:q, or cf; may repeat")
    made.add_argument("--filter", metavar="TEXT", help="in HBase's filter language")
    made.add_argument("--limit", type=int, default=0, metavar="ROWS", help="at most so many rows")
    made.add_argument("--since", type=int, metavar="MS", help="cells from this time on, in ms")
    made.add_argument("--until", type=int, metavar="MS", help="cells up to this time, without it")
    made.add_argument("--versions", metavar="N", help="of each column; all: as many as there are (1)")
    made.add_argument("--raw", action="store_true", help="all versions, deletes, and what they deleted")
    made.add_argument("--base64", action="store_true", help="JSON lines with base64 in place of \\xHH")
    made.add_argument(
        "--types", action="append", default=[], metavar="COLUMN=TYPE", help="Parquet with this typed column; may repeat"
    )
    made.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    add_flags(made)
    return made
