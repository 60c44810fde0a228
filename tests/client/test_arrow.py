"""Scans as record batches: what each type reads, what does not fit, and that nobody else pays for pyarrow."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hbeacon
from registry.client.arrow import ArrowScan, BatchSpec
from registry.client.arrow_types import pa
from registry.client.data.results import Row
from registry.testing.cluster import Cluster
from registry.wire.cellblock import Cell, encode_cells
from registry.wire.errors import ProtocolError
from tests.support.seeds import examples

FORMS: dict[str, str] = {"int64": ">q", "int32": ">i", "int16": ">h", "float64": ">d", "float32": ">f"}


@pytest.fixture
async def users(hbeacon_session: Cluster) -> AsyncIterator[hbeacon.Table]:
    name = f"arrow-{uuid.uuid4().hex}"
    async with hbeacon.connect(hbeacon_session.uri) as hbase:
        await hbase.admin.create_table(name, ["cf"], splits=["b"])
        yield hbase.table(name)


def rows_of(*values: bytes | None, name: bytes = b"n") -> list[Row]:
    """A row for each value; a row without one has another column."""
    cells = [
        Cell(b"r%d" % number, b"cf", b"zz" if value is None else name, 1000 + number, 4, value or b"")
        for number, value in enumerate(values)
    ]
    return [Row(encode_cells([cell])) for cell in cells]


def column_of(kind: Any, *values: bytes | None, errors: Any = "raise", timestamps: bool = False) -> Any:
    return BatchSpec((), {"cf:n": kind}, timestamps=timestamps, on_error=errors).batch(rows_of(*values))


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_numbers_are_what_java_writes(kind: str, data: st.DataObject) -> None:
    width_bytes = struct.calcsize(FORMS[kind])
    raw = data.draw(st.lists(st.none() | st.binary(min_size=width_bytes, max_size=width_bytes), min_size=1))
    meant = [None if value is None else struct.unpack(FORMS[kind], value)[0] for value in raw]
    assert repr(column_of(kind, *raw)["cf:n"].to_pylist()) == repr(meant), "repr: NaN is not equal to itself"


@pytest.mark.parametrize(
    ("kind", "values", "read", "data_type"),
    [
        (int, [struct.pack(">q", -7), None], [-7, None], pa.int64()),
        (float, [struct.pack(">d", 0.5)], [0.5], pa.float64()),
        (bool, [b"\xff", b"\x00", None, b"\x01"], [True, False, None, True], pa.bool_()),
        (str, ["ä".encode(), None, b""], ["ä", None, ""], pa.string()),
        (pa.large_string(), ["ä".encode()], ["ä"], pa.large_string()),
        (bytes, [b"\xff", None], [b"\xff", None], pa.binary()),
        (json.loads, [b'{"a": 1}', None], [{"a": 1}, None], pa.struct([("a", pa.int64())])),
        ((int, pa.int8()), [b"12", None], [12, None], pa.int8()),
        ((json.loads, float), [b"2", None], [2.0, None], pa.float64()),
    ],
)
def test_each_type(kind: Any, values: list[bytes | None], read: list[Any], data_type: Any) -> None:
    found = column_of(kind, *values)["cf:n"]
    found.validate(full=True)
    assert (found.to_pylist(), found.type) == (read, data_type)


def test_times_are_longs() -> None:
    found = column_of(pa.timestamp("ms"), struct.pack(">q", 86_400_000), None)["cf:n"]
    assert str(found[0]) == "1970-01-02 00:00:00"
    assert found[1].as_py() is None


@pytest.mark.parametrize(
    ("kind", "bad", "shown"),
    [
        (int, b"seven\\", r"row 'r1', column cf:n: 'seven\x5C' is no int64 (6 bytes, where 8 are a value)"),
        ("int32", b"12345", "is no int32 (5 bytes, where 4 are"),
        (bool, b"", "'' is no bool (0 bytes, where 1 are"),
        (str, b"\xff", r"'\xFF' is no string ('utf-8' codec can't decode"),
        (json.loads, b"{", "'{' is no loads (Expecting property name"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_cure(kind: Any, bad: bytes, shown: str) -> None:
    good = {int: bytes(8), "int32": bytes(4), bool: b"\0"}.get(kind, b"1")
    with pytest.raises(ValueError, match='errors="null"') as raised:
        column_of(kind, good, bad)
    assert shown in str(raised.value)
    assert column_of(kind, good, bad, errors="null")["cf:n"].null_count == 1


def test_a_long_and_a_short_value_do_not_make_two_good_ones() -> None:
    with pytest.raises(ValueError, match=r"row 'r0'.*7 bytes"):
        column_of(int, bytes(7), bytes(9))


def test_what_callables_give_stays_what_the_first_batch_was() -> None:
    spec = BatchSpec((), {"cf:n": json.loads}, timestamps=False, on_error="raise")
    assert spec.schema.field("cf:n").type == pa.null()
    spec.batch(rows_of(b"1"))
    assert spec.schema == pa.schema([("row", pa.binary()), ("cf:n", pa.int64())])
    with pytest.raises(
        ValueError, match=r"column cf:n: .*rows 'r0' to 'r0' are not all int64.*say .*\(callable, type\)"
    ):
        spec.batch(rows_of(b'"text"'))


@pytest.mark.parametrize(
    ("types", "columns", "why"),
    [
        ({}, (), "no columns: name them by"),
        ({"cf:n": "int65"}, (), "cf:n: 'int65' is no type: write one of int, int64"),
        ({"cf:n": dict}, (), "is no type"),
        ({"cf:n": [1]}, (), "is no type"),
        ({"cf:n": pa.list_(pa.int64())}, (), "no bytes are known that mean list"),
        ({"cf": int}, (), "is a family"),
        ({}, ("cf",), "'cf' is a family: Arrow's columns are fixed"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anybody_is_asked(types: Any, columns: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        BatchSpec(columns, types, timestamps=False, on_error="raise")


@pytest.mark.parametrize(("cut", "more"), [(1, b""), (0, b"\0"), (0, bytes(20))])
def test_bytes_that_are_no_cells(cut: int, more: bytes) -> None:
    spec = BatchSpec((), {"cf:n": bytes}, timestamps=True, on_error="raise")
    (row,) = rows_of(b"value")
    with pytest.raises(ProtocolError):
        spec.batch([Row(row.block[: len(row.block) - cut] + more)])


async def test_rows_are_taken_once_however_answers_and_batches_lie() -> None:
    rows = rows_of(*[b"v"] * 300)
    answers: list[list[Row] | Exception] = [rows[:7], rows[7:250], OSError("for a moment"), rows[250:], []]
    looked_at = 0

    class Counted(Row):
        @property
        def block(self) -> bytes:
            nonlocal looked_at
            looked_at += 1
            return super().block

    class Answers:
        async def next_batch(self) -> list[Row]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return [Counted(row.block) for row in answer]

    spec = BatchSpec((), {"row": str, "cf:n": bytes}, timestamps=False, on_error="raise")
    scan = ArrowScan(cast("Any", Answers()), spec, 20)
    counts: list[int] = []
    keys: list[str] = []
    while answers:
        try:
            batch = await scan.next_batch()
        except OSError:
            continue
        if batch is not None:
            counts.append(batch.num_rows)
            keys += batch["row"].to_pylist()
    assert counts == [20] * 15
    assert keys == [f"r{number}" for number in range(300)]
    assert looked_at == 600, "once for its length, once for its cells"


async def test_batches_of_a_table(users: hbeacon.Table) -> None:
    async with users.batch_writer() as writer:
        for number in range(250):
            key = f"{'ab'[number % 2]}{number:03}"
            await writer.put(key, {"cf:n": struct.pack(">q", number), "cf:t": f"t{number}"}, timestamp=5)
            if number % 5 == 0:
                await writer.put(key, {"cf:f": struct.pack(">d", number / 4)}, timestamp=6)
    scan = users.scan_arrow(types={"row": str, "cf:n": int, "cf:f": float}, columns=["cf:t"], rows_per_batch=100)
    batches = [batch async for batch in scan]
    assert [batch.num_rows for batch in batches] == [100, 100, 50]
    assert batches[0].schema.names == ["row", "cf:n", "cf:f", "cf:t"]
    plain = {row.key.decode(): row for row in await users.scan().all()}
    found = [row for batch in batches for row in batch.to_pylist()]
    assert [row["row"] for row in found] == sorted(plain)
    for row in found:
        cells = plain[row["row"]]
        assert row["cf:n"] == cells.integer("cf:n")
        assert row["cf:t"] == cells["cf:t"]
        assert row["cf:f"] == (struct.unpack(">d", cells["cf:f"])[0] if "cf:f" in cells else None)

    whole = await users.scan_arrow(types={"cf:f": float}, prefix="a", timestamps=True).read_all()
    assert whole.num_rows == 25, "rows that have none of the columns are not read"
    assert whole["cf:f timestamp"].cast(pa.int64()).to_pylist() == [6] * 25
    nothing = await users.scan_arrow(types={"cf:n": int}, prefix="z").read_all()
    assert (nothing.num_rows, nothing.schema.names) == (0, ["row", "cf:n"])
    with pytest.raises(ValueError, match="row 'a000', column cf:t: 't0' is no int64"):
        await users.scan_arrow(types={"cf:t": int}).read_all()
    nonsense: list[Any] = [
        {"versions": 3},
        {"raw": True},
        {"batch_cells": 2},
        {"rows_per_batch": 0},
        {"errors": "skip"},
    ]
    for bad in nonsense:
        with pytest.raises(ValueError, match="|".join([*bad, "newest"])):
            users.scan_arrow(types={"cf:n": int}, **bad)


async def test_pandas_and_polars_take_a_scan(users: hbeacon.Table) -> None:
    """As docs/python-client.md has it; both are loaded here alone."""
    await users.put(
        "ada", {"cf:age": struct.pack(">q", 1 << 60 | 1), "cf:mail": "ada@example.org", "cf:tags": "[1, 2]"}
    )
    await users.put("bob", {"cf:mail": "bob@example.org"}, timestamp=1_795_000_000_000)
    types: dict[Any, Any] = {"row": str, "cf:age": int, "cf:mail": str, "cf:tags": json.loads}
    table = await users.scan_arrow(types=types, timestamps=True).read_all()
    ages, mails = [1 << 60 | 1, None], ["ada@example.org", "bob@example.org"]

    polars: Any = import_module("polars")
    frame = polars.from_arrow(table)
    assert frame.schema["cf:age"] == polars.Int64
    assert frame["row"].to_list() == ["ada", "bob"]
    assert frame["cf:age"].to_list() == ages
    assert frame["cf:mail"].to_list() == mails
    assert frame["cf:tags"].to_list() == [[1, 2], None]
    assert frame["cf:mail timestamp"][1].timestamp() == 1_795_000_000
    assert [polars.from_arrow(each).height async for each in users.scan_arrow(types=types, rows_per_batch=1)] == [1, 1]

    pandas: Any = import_module("pandas")
    plain = table.to_pandas().set_index("row")
    assert plain["cf:mail"].to_list() == mails
    assert plain["cf:mail timestamp"]["bob"] == pandas.Timestamp(1_795_000_000, unit="s", tz="UTC")
    assert str(plain["cf:age"].dtype) == "float64", "pandas' own integers know no null"
    exact = table.to_pandas(types_mapper=pandas.ArrowDtype)
    assert str(exact["cf:age"].dtype) == "int64[pyarrow]"
    assert exact["cf:age"][0] == 1 << 60 | 1
    assert exact["cf:age"].isna().to_list() == [False, True]


def test_the_blocking_face(hbeacon_session: Cluster) -> None:
    name = f"arrow-{uuid.uuid4().hex}"
    with hbeacon.connect_blocking(hbeacon_session.uri) as hbase:
        hbase.admin.create_table(name, ["cf"])
        users = hbase.table(name)
        for number in range(5):
            users.put(f"row{number}", {"cf:n": struct.pack(">q", number)})
        batches = [*users.scan_arrow(types={"cf:n": "int64"}, rows_per_batch=2)]
        assert [batch["cf:n"].to_pylist() for batch in batches] == [[0, 1], [2, 3], [4]]
        with users.scan_arrow(columns=["cf:n"], limit=3) as scan:
            assert scan.read_all().schema.types == [pa.binary(), pa.binary()]


def test_only_who_asks_for_arrow_loads_it() -> None:
    """And where it is missing, one sentence says what to install."""
    program = """
import sys
import hbeacon
assert not [name for name in sys.modules if name.startswith("pyarrow")]
sys.modules["pyarrow"] = None
try:
    hbeacon.Table.scan_arrow(None, types={"cf:n": int})
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "pyarrow is not installed, which Arrow needs: pip install 'hbeacon[arrow]'\n"
