"""Words that read and write rows.

Source: hbase-shell/src/main/ruby/hbase/table.rb, shell/commands/{get,scan,put,delete,deleteall,incr,append,count}.rb.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry.client.data.names import ColumnName
from registry.client.data.operations import Delete
from registry.client.data.table import ReadOptions, ScanOptions
from registry.shell.arguments import Arguments, Options, UsageError, as_column, as_keys
from registry.shell.converters import Converter, split_converter
from registry.shell.words import Shell, Word
from registry.wire.preamble import string_binary

READ = ("COLUMN", "COLUMNS", "FILTER", "TIMESTAMP", "TIMERANGE", "VERSIONS", "CACHE_BLOCKS")
SCAN = (
    *READ,
    "STARTROW",
    "STOPROW",
    "ENDROW",
    "ROWPREFIXFILTER",
    "LIMIT",
    "REVERSED",
    "RAW",
    "CACHE",
)
COUNT_INTERVAL = 1000
KEYS_ONLY = "FirstKeyOnlyFilter() AND KeyOnlyFilter()"
DELETE_ROWS = 1000
"""Deleted at once by `deleteall` with a prefix."""


async def get(shell: Shell, arguments: Arguments) -> str:
    """A row."""
    arguments.check_count(2, 1_000)
    options = arguments.options(*READ)
    named = [name for value in arguments.values[2:] for name in as_keys(value)]
    reading, converters = _reading(options, named)
    key = arguments.key(1)
    row = await shell.table(arguments.table()).get(key, **reading)
    shell.output.headings("COLUMN", "CELL")
    for cell in row.cells if row is not None else ():
        shell.output.cell_of(key, cell, converters)
    return _counted(row is not None, "row(s)")


async def scan(shell: Shell, arguments: Arguments) -> str:
    """Rows in order."""
    arguments.check_count(1, 1)
    options = arguments.options(*SCAN)
    scanning, converters = _scanning(options)
    shell.output.headings("ROW", "COLUMN+CELL")
    rows = 0
    async with shell.table(arguments.table()).scan(**scanning) as scanner:
        async for row in scanner:
            shell.output.row(row, converters)
            rows += 1
    return _counted(rows, "row(s)")


async def count(shell: Shell, arguments: Arguments) -> str:
    """How many rows there are."""
    arguments.check_count(1, 2)
    options = arguments.options(*SCAN, "INTERVAL")
    interval = arguments.integer(1, "INTERVAL", options.integer("INTERVAL") or COUNT_INTERVAL)
    scanning, _ = _scanning(options)
    if "filter" not in scanning and "columns" not in scanning and not scanning.get("raw"):
        scanning["filter"] = KEYS_ONLY
    rows = 0
    async with shell.table(arguments.table()).scan(**scanning) as scanner:
        async for row in scanner:
            rows += 1
            if interval > 0 and rows % interval == 0:
                shell.progress(f"Current count: {rows}, row: {string_binary(row.key)}")
    if shell.as_json:
        shell.output.record({"ROWS": rows})
    return _counted(rows, "row(s)")


async def put(shell: Shell, arguments: Arguments) -> str:
    """Write one cell."""
    arguments.check_count(4, 5)
    options = arguments.options("TTL")
    await shell.table(arguments.table()).put(
        arguments.key(1),
        {_column(arguments.key(2)): arguments.key(3)},
        timestamp=arguments.timestamp(4),
        ttl_ms=options.integer("TTL"),
    )
    return ""


async def delete(shell: Shell, arguments: Arguments) -> str:
    """Delete one version of a cell: the newest, or the one of a timestamp."""
    arguments.check_count(3, 4)
    arguments.options()
    await shell.table(arguments.table()).delete(
        arguments.key(1),
        [_column(arguments.key(2))],
        timestamp=arguments.timestamp(3),
        versions="latest",
    )
    return ""


async def deleteall(shell: Shell, arguments: Arguments) -> str:
    """Delete a row, a column of it with all versions, or all rows of a prefix."""
    options = arguments.options("ROWPREFIXFILTER", "CACHE")
    prefix = options.key("ROWPREFIXFILTER")
    rest = 2 if prefix is None else 1  # the map stands in the place of the row
    arguments.check_count(rest, rest + 2)
    table = shell.table(arguments.table())
    column, until = arguments.key(rest, b""), arguments.timestamp(rest + 1)
    columns = [as_column(column)] if column else None
    if prefix is None:
        await table.delete(arguments.key(1), columns, timestamp=until)
        return ""
    if not prefix:
        raise UsageError("ROWPREFIXFILTER is empty: truncate deletes all rows")
    scanning, _ = _scanning(options)
    scanning["filter"] = KEYS_ONLY
    rows = 0
    deletes: list[Delete] = []
    async with table.scan(**scanning) as scanner:
        async for row in scanner:
            deletes.append(Delete(row.key, columns, until))
            if len(deletes) >= DELETE_ROWS:
                await table.batch(deletes)
                rows, deletes = rows + len(deletes), []
                shell.progress(f"{rows} rows deleted")
    if deletes:
        await table.batch(deletes)
    return _counted(rows + len(deletes), "row(s)")


async def incr(shell: Shell, arguments: Arguments) -> str:
    """Add to a counter."""
    arguments.check_count(3, 4)
    arguments.options()
    column = _column(arguments.key(2))
    counted = await shell.table(arguments.table()).increment(
        arguments.key(1), {column: arguments.integer(3, "the amount", 1)}
    )
    (value,) = counted.values()
    shell.say({"COUNTER VALUE": value}, f"COUNTER VALUE = {value}")
    return ""


async def get_counter(shell: Shell, arguments: Arguments) -> str:
    """What a counter is; nothing is changed."""
    arguments.check_count(3, 3)
    arguments.options()
    column = _column(arguments.key(2))
    row = await shell.table(arguments.table()).get(arguments.key(1), columns=[column])
    value = None if row is None else row.integer(column)
    text = "No counter found at specified coordinates" if value is None else f"COUNTER VALUE = {value}"
    shell.say({"COUNTER VALUE": value}, text)
    return ""


async def append(shell: Shell, arguments: Arguments) -> str:
    """Lengthen a value."""
    arguments.check_count(4, 4)
    arguments.options()
    row = await shell.table(arguments.table()).append(arguments.key(1), {_column(arguments.key(2)): arguments.key(3)})
    value = "" if row is None else ", ".join(map(string_binary, row.values()))
    shell.say({"CURRENT VALUE": value}, f"CURRENT VALUE = {value}")
    return ""


def _counted(count: int, what: str) -> str:
    return f"{int(count)} {what}"


def _column(name: bytes) -> tuple[bytes, bytes]:
    """`cf:q`, or `cf`, which is the empty qualifier, as in hbase shell."""
    family, _, qualifier = name.partition(b":")
    if not family:
        raise UsageError("a column is written FAMILY:QUALIFIER")
    return family, qualifier


def _reading(options: Options, named: Iterable[bytes] = ()) -> tuple[ReadOptions, dict[tuple[bytes, bytes], Converter]]:
    """What a Get or a scan reads, and how its values are shown."""
    found: ReadOptions = {}
    converters: dict[tuple[bytes, bytes], Converter] = {}
    columns: list[ColumnName] = []
    for name in (*named, *options.keys("COLUMN", "COLUMNS")):
        plain, converter = split_converter(name)
        column = as_column(plain)
        columns.append(column)
        if converter is not None:
            family, qualifier = _column(plain)
            converters[family, qualifier] = converter
    if columns:
        found["columns"] = columns
    if (text := options.key("FILTER")) is not None:
        found["filter"] = text
    if (time_range := options.time_range()) is not None:
        found["time_range"] = time_range
    if (versions := options.integer("VERSIONS")) is not None:
        found["versions"] = versions
    found["cache_blocks"] = options.flag("CACHE_BLOCKS", default=True)
    return found, converters


def _scanning(options: Options) -> tuple[ScanOptions, dict[tuple[bytes, bytes], Converter]]:
    reading, converters = _reading(options)
    found: ScanOptions = {**reading}
    if (start := options.key("STARTROW")) is not None:
        found["start"] = start
    if (stop := options.key("STOPROW", "ENDROW")) is not None:
        found["stop"] = stop
    if (prefix := options.key("ROWPREFIXFILTER")) is not None:
        found["prefix"] = prefix
    if (limit := options.integer("LIMIT")) is not None:
        found["limit"] = max(limit, 0)
    if (rows_per_call := options.integer("CACHE")) is not None:
        if rows_per_call < 1:
            raise UsageError(f"CACHE is a number of rows, not {rows_per_call}")
        found["rows_per_call"] = rows_per_call
    found["reverse"] = options.flag("REVERSED")
    found["raw"] = options.flag("RAW")
    return found, converters


WORDS = (
    Word(
        "get",
        "data",
        "a row, or columns of it",
        (
            "get 'TABLE', 'ROW'",
            "get 'TABLE', 'ROW', 'cf:q', 'cf2'",
            "get 'TABLE', 'ROW', {COLUMN => 'cf:q:toLong', VERSIONS => 3, TIMERANGE => [FROM, TO]}",
            "get 'TABLE', 'ROW', {FILTER => \"ValueFilter(=, 'binary:abc')\"}",
        ),
        get,
        takes_table=True,
    ),
    Word(
        "scan",
        "data",
        "rows in order",
        (
            "scan 'TABLE'",
            "scan 'TABLE', {COLUMNS => ['cf:q', 'cf2'], LIMIT => 10, STARTROW => 'from', STOPROW => 'to'}",
            "scan 'TABLE', {ROWPREFIXFILTER => 'user-', FILTER => \"PageFilter(5)\", REVERSED => true}",
            "scan 'TABLE', {RAW => true, VERSIONS => 10}",
        ),
        scan,
        takes_table=True,
    ),
    Word(
        "count",
        "data",
        "how many rows a table has",
        ("count 'TABLE'", "count 'TABLE', INTERVAL => 100000", "count 'TABLE', {STARTROW => 'a', STOPROW => 'b'}"),
        count,
        takes_table=True,
    ),
    Word(
        "put",
        "data",
        "write a cell",
        ("put 'TABLE', 'ROW', 'cf:q', 'VALUE'", "put 'TABLE', 'ROW', 'cf:q', 'VALUE', TIMESTAMP, {TTL => 60000}"),
        put,
        takes_table=True,
    ),
    Word(
        "delete",
        "data",
        "delete a version of a cell, the newest where no time is given",
        ("delete 'TABLE', 'ROW', 'cf:q'", "delete 'TABLE', 'ROW', 'cf:q', TIMESTAMP"),
        delete,
        takes_table=True,
    ),
    Word(
        "deleteall",
        "data",
        "delete a row, a column with all versions, or all rows of a prefix",
        (
            "deleteall 'TABLE', 'ROW'",
            "deleteall 'TABLE', 'ROW', 'cf:q', TIMESTAMP",
            "deleteall 'TABLE', {ROWPREFIXFILTER => 'user-'}",
            "deleteall 'TABLE', {ROWPREFIXFILTER => 'user-'}, 'cf:q', TIMESTAMP",
        ),
        deleteall,
        takes_table=True,
    ),
    Word(
        "incr",
        "data",
        "add to a counter, 1 where nothing is given",
        ("incr 'TABLE', 'ROW', 'cf:q'", "incr 'TABLE', 'ROW', 'cf:q', 10"),
        incr,
        takes_table=True,
    ),
    Word(
        "get_counter",
        "data",
        "the value of a counter",
        ("get_counter 'TABLE', 'ROW', 'cf:q'",),
        get_counter,
        takes_table=True,
    ),
    Word(
        "append",
        "data",
        "lengthen a value",
        ("append 'TABLE', 'ROW', 'cf:q', 'MORE'",),
        append,
        takes_table=True,
    ),
)
