"""A program of happybase: a line for each call, with what it gave or the kind of error it raised.

    python happybase_story.py HOST [PORT]

`import happybase` is happybase itself or the façade, by PYTHONPATH. Nothing is printed that differs from run to run.
"""

# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import happybase


def tell(name: str, do: Callable[[], Any]) -> None:
    try:
        print(f"{name}: {do()!r}", flush=True)
    except (TypeError, ValueError, NotImplementedError) as error:
        print(f"{name}: {type(error).__name__}", flush=True)
    except Exception:  # noqa: BLE001 - whatever the module calls it
        print(f"{name}: an error of the server", flush=True)


def rows_of(scanner: Any) -> list[Any]:
    return [(key, dict(sorted(data.items()))) for key, data in scanner]


def story(connection: Any) -> None:
    tell(
        "create", lambda: connection.create_table("t", {"a": {}, "b": {"max_versions": 1}, "c:": {"time_to_live": 99}})
    )
    tell("create again", lambda: connection.create_table("t", {"a": {}}))
    tell("create without families", lambda: connection.create_table("u", {}))
    tell("tables", connection.tables)
    table = connection.table("t")
    tell("name", lambda: table.name)
    tell("families", lambda: {name: dict(sorted(each.items())) for name, each in sorted(table.families().items())})
    tell(
        "regions",
        lambda: [(sorted(each), each["start_key"], each["end_key"], each["version"]) for each in table.regions()],
    )
    tell("put", lambda: table.put(b"r1", {b"a:x": b"1", b"a:": b"empty", b"b:y": b"2"}, timestamp=100))
    tell("put text", lambda: table.put("r2", {"a:x": "text", "a:y:z": "colons"}, timestamp=100))
    tell("put newer", lambda: table.put(b"r1", {b"a:x": b"newer"}, timestamp=200))
    tell("put a family", lambda: table.put(b"r1", {b"a": b"v"}))
    tell("put nothing", lambda: table.put(b"r3", {}))
    tell("put into no family", lambda: table.put(b"r1", {b"none:x": b"v"}))
    for columns in (None, [b"a"], [b"a:"], [b"a:x"], ["a:x", "b:y"], [b"a:x", b"a"], [b"none"], []):
        tell(f"row {columns}", lambda columns=columns: dict(sorted(table.row(b"r1", columns).items())))
    tell("row with times", lambda: dict(sorted(table.row(b"r1", include_timestamp=True).items())))
    for timestamp in (100, 101, 200, 201):
        tell(f"row until {timestamp}", lambda timestamp=timestamp: table.row(b"r1", [b"a:x"], timestamp=timestamp))
    tell("row that is not there", lambda: table.row(b"none"))
    tell("row without key", lambda: table.row(b""))
    tell("rows", lambda: [(key, dict(sorted(data.items()))) for key, data in table.rows([b"r2", b"none", b"r1"])])
    tell("rows twice", lambda: [key for key, _ in table.rows([b"r1", b"r1"])])
    tell("rows of a column", lambda: table.rows((b"r1", b"r2"), [b"a:x"], include_timestamp=True))
    tell("rows until", lambda: table.rows([b"r1", b"r2"], timestamp=101, columns=[b"a:x"]))
    tell("no rows", lambda: table.rows([]))
    tell("cells", lambda: table.cells(b"r1", b"a:x"))
    tell("cells of a family", lambda: table.cells(b"r1", b"a"))
    tell("cells, one", lambda: table.cells(b"r1", b"a:x", versions=1, include_timestamp=True))
    tell("cells until", lambda: table.cells(b"r1", b"a:x", timestamp=200, include_timestamp=True))
    tell("counter", lambda: table.counter_get(b"c", b"a:n"))
    tell("counter of a family", lambda: table.counter_inc(b"c", b"a", 5))
    tell("counter up", lambda: [table.counter_inc(b"c", b"a:n"), table.counter_inc(b"c", b"a:n", 10)])
    tell("counter down", lambda: [table.counter_dec(b"c", b"a:n", 20), table.counter_dec(b"c", b"a:n", -1)])
    # Increments within one millisecond are given one each: they run ahead of the clock.
    time.sleep(0.05)
    tell("counter set", lambda: [table.counter_set(b"c", b"a:n", -7), table.counter_get(b"c", b"a:n")])
    tell("counter of no number", lambda: table.counter_inc(b"r1", b"b:y"))
    tell("the counter's row", lambda: dict(sorted(table.row(b"c").items())))

    def batch() -> None:
        with table.batch(timestamp=300) as sent:
            sent.delete(b"r1", [b"a:x"])
            sent.put(b"r1", {b"a:x": b"lost", b"a:z": b"kept"})
            sent.put(b"r1", {b"a:z": b"last"})
            sent.put(b"r4", {b"a:x": b"4"})
            sent.delete(b"none")

    tell("batch", batch)
    tell("batch's row", lambda: dict(sorted(table.row(b"r1").items())))

    def half() -> None:
        with table.batch(batch_size=2) as sent:
            sent.put(b"h1", {b"a:x": b"1", b"a:y": b"2", b"a:z": b"3"})
            sent.put(b"h2", {b"a:x": b"1"})
            raise ValueError

    tell("batch that raises", half)
    tell("what it sent", lambda: rows_of(table.scan(row_prefix=b"h")))
    with table.batch() as sent:
        for number in range(30):
            sent.put(b"s%02d" % number, {b"a:x": b"%d" % number, b"a:y": b"y", b"b:z": b"z"})
    scans: list[dict[str, Any]] = [
        {"row_prefix": b"s1", "columns": [b"a:x"]},
        {"row_start": b"s05", "row_stop": b"s08", "columns": ["a"]},
        {"row_start": b"s27"},
        {"row_prefix": b"s", "reverse": True, "limit": 3, "columns": [b"b"]},
        {"row_start": b"s03", "row_stop": b"s00", "reverse": True, "columns": [b"a:x"]},
        {"row_prefix": b"s2", "reverse": True, "columns": [b"a:x"]},
        {"row_prefix": b"s0", "limit": 2, "sorted_columns": True},
        {"row_prefix": b"s00", "scan_batching": 1},
        {"row_prefix": b"s00", "scan_batching": 2},
        {"row_prefix": b"s0", "batch_size": 1, "limit": 4, "columns": [b"a:x"]},
        {"row_prefix": b"s", "filter": "ValueFilter(=, 'binary:7')"},
        {"row_prefix": b"s", "filter": b"PageFilter(2) AND ColumnPrefixFilter('x')"},
        {"row_prefix": b"r", "timestamp": 101},
        {"row_prefix": b"r", "include_timestamp": True, "timestamp": 301},
        {"row_prefix": b"\xff\xff"},
        {"columns": [b"none:x"]},
        {"columns": []},
        {"limit": 0},
        {"row_prefix": b"a", "row_start": b"a"},
        {"batch_size": 0},
    ]
    for options in scans:
        tell(f"scan {options}", lambda options=options: rows_of(table.scan(**options))[:12])
    tell("scan of nonsense", lambda: rows_of(table.scan(row_prefix=b"s", filter="Nonsense(")))
    tell("delete columns", lambda: table.delete(b"r1", [b"a:z", b"b"]))
    tell("then", lambda: dict(sorted(table.row(b"r1").items())))
    tell("delete until", lambda: table.delete(b"r2", timestamp=99))
    tell("then", lambda: dict(sorted(table.row(b"r2").items())))
    tell("delete", lambda: table.delete(b"r2"))
    tell("then", lambda: table.row(b"r2"))
    tell("delete an empty qualifier", lambda: table.delete(b"r1", [b"a:"]))
    tell("then", lambda: dict(sorted(table.row(b"r1").items())))
    tell("enabled", lambda: connection.is_table_enabled("t"))
    tell("delete while enabled", lambda: connection.delete_table("t"))
    tell("disable", lambda: connection.disable_table("t"))
    tell("enabled", lambda: connection.is_table_enabled("t"))
    tell("read while disabled", lambda: connection.table("nowhere").row(b"r"))
    tell("enable", lambda: connection.enable_table("t"))
    tell("compact", lambda: connection.compact_table("t", major=True))
    tell("delete the table", lambda: connection.delete_table("t", disable=True))
    tell("tables", connection.tables)
    tell("regions of no table", lambda: connection.table("nowhere").regions())
    tell("families of no table", lambda: connection.table("nowhere").families())


def main() -> None:
    host, *port = sys.argv[1:]
    module: Any = happybase
    story(module.Connection(host, *map(int, port), timeout=60_000, table_prefix="story"))


if __name__ == "__main__":
    main()
