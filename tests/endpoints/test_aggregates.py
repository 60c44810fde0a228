"""AggregateService against a plain computation over the same cells; Java's numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Aggregate_pb2, Client_pb2, Filter_pb2, HBase_pb2
from regionserver.endpoints.aggregates import METHODS, values_of
from regionserver.endpoints.aggregating import Aggregating
from regionserver.endpoints.interpreters import DECIMAL_BYTES_MAX, DECIMALS, DOUBLES, LONGS
from regionserver.engine.memory import MemoryStore
from regionserver.engine.store import Batch, Durability
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region, RegionRange
from regionserver.region.visible import FamilyRules
from registry.wire.cellblock import Cell, KeyType, encode_cells
from registry.wire.errors import DoNotRetryIOException, NoSuchColumnFamilyException

PACKAGE = "org.apache.hadoop.hbase.client.coprocessor."
LONG, DOUBLE, DECIMAL = (f"{PACKAGE}{kind}ColumnInterpreter" for kind in ("Long", "Double", "BigDecimal"))
ROWS = st.dictionaries(
    st.binary(min_size=1, max_size=3),
    st.dictionaries(st.sampled_from([b"", b"p", b"q"]), st.one_of(st.integers(-(2**63), 2**63 - 1), st.just(b"none"))),
    max_size=12,
)
EXACT = Context(prec=9000, rounding=ROUND_HALF_EVEN)
Rows = dict[bytes, dict[bytes, int | bytes]]


def stored(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else struct.pack(">q", value)


def region_of(rows: Rows) -> Region:
    region = Region(
        RegionRange("t", "t,,1.aa."), {b"f": FamilyRules(), b"g": FamilyRules()}, MemoryStore(), b"prefix00"
    )
    for row, columns in rows.items():
        changes = [Change(b"f", name, 1, KeyType.PUT, stored(value)) for name, value in columns.items()]
        changes.append(Change(b"g", b"other", 1, KeyType.PUT, b"of another family"))
        batch = Batch()
        region.put(Mutation(MutationKind.PUT, row, changes), batch, 1)
        region.store.commit(batch, Durability.MEMORY, lambda _error: None)
    return region


def request(interpreter: str = LONG, qualifiers: Sequence[bytes] = (), **scan: Any) -> Aggregate_pb2.AggregateRequest:
    asked = Client_pb2.Scan(column=[Client_pb2.Column(family=b"f", qualifier=qualifiers)], **scan)
    return Aggregate_pb2.AggregateRequest(interpreter_class_name=interpreter, scan=asked)


def answer(
    region: Region, method: str, asked: Aggregate_pb2.AggregateRequest, *, turns: bool = False
) -> Aggregate_pb2.AggregateResponse:
    """All of it at once, or a row a turn."""
    aggregating = Aggregating(region, method, asked, 1000)
    try:
        while (response := aggregating.turn(lambda: turns)) is None:
            assert turns
        return response
    finally:
        aggregating.close()


def longs(parts: Sequence[bytes]) -> list[int]:
    return [HBase_pb2.LongMsg.FromString(part).long_msg for part in parts]


def wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


@given(ROWS, st.booleans(), st.sampled_from([(), (b"q",), (b"p", b"q")]))
def test_longs(rows: Rows, turns: bool, qualifiers: tuple[bytes, ...]) -> None:
    region, asked = region_of(rows), request(qualifiers=qualifiers)
    seen = {
        row: [value for name, value in columns.items() if not qualifiers or name in qualifiers]
        for row, columns in rows.items()
    }
    seen = {row: values for row, values in seen.items() if values}
    numbers = [value for values in seen.values() for value in values if isinstance(value, int)]
    of_rows = [
        wrapped(sum(whole)) for values in seen.values() if (whole := [each for each in values if isinstance(each, int)])
    ]

    def told(method: str) -> Aggregate_pb2.AggregateResponse:
        return answer(region, method, asked, turns=turns)

    assert longs(told("GetMax").first_part) == ([max(numbers)] if numbers else [])
    assert longs(told("GetMin").first_part) == ([min(numbers)] if numbers else [])
    assert longs(told("GetSum").first_part) == ([wrapped(sum(numbers))] if numbers else [])
    assert told("GetRowNum").first_part == [struct.pack(">q", len(seen))]
    average, spread, median = told("GetAvg"), told("GetStd"), told("GetMedian")
    assert longs(average.first_part) == ([wrapped(sum(numbers))] if numbers else [])
    squares = wrapped(sum(value * value for value in of_rows))
    assert longs(spread.first_part) == ([wrapped(sum(of_rows)), squares] if numbers else [])
    for each in (average, spread):
        assert each.second_part == (struct.pack(">q", len(seen)) if numbers else b"")
    weights = wrapped(sum(of_rows)) if len(qualifiers) > 1 and numbers else -(2**63)
    assert longs(median.first_part) == [wrapped(sum(of_rows)), weights]


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=10))
def test_doubles(numbers: list[float]) -> None:
    region = region_of(
        {b"%d" % place: {b"q": struct.pack(">d", value)} for place, value in enumerate(numbers)},
    )

    def told(method: str) -> list[float]:
        parts = answer(region, method, request(DOUBLE)).first_part
        return [HBase_pb2.DoubleMsg.FromString(part).double_msg for part in parts]

    def same(one: float, other: float) -> bool:
        return struct.pack(">d", one) == struct.pack(">d", other) or (math.isnan(one) and math.isnan(other))

    plain = [value for value in numbers if not math.isnan(value)]
    [largest], [least] = told("GetMax"), told("GetMin")
    if len(plain) < len(numbers):
        assert math.isnan(largest)  # as in Java: larger than all
    else:
        assert largest == max(plain)
        assert not any(same(value, 0.0) for value in plain) or largest > 0 or same(largest, 0.0)
    if plain:
        assert least == min(plain)
        assert not any(same(value, -0.0) for value in plain) or least < 0 or same(least, -0.0)
    total = numbers[0]
    for value in numbers[1:]:
        total += value
    assert same(told("GetSum")[0], total)


DECIMALS_DRAWN = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)


def java_decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
    size = (unscaled + (unscaled < 0)).bit_length() // 8 + 1
    return struct.pack(">i", -exponent) + unscaled.to_bytes(size, "big", signed=True)


def python_decimal(message: bytes) -> Decimal:
    stored_ = HBase_pb2.BigDecimalMsg.FromString(message).bigdecimal_msg
    scale = int.from_bytes(stored_[:4], "big", signed=True)
    return Decimal(int.from_bytes(stored_[4:], "big", signed=True)).scaleb(-scale, EXACT)


@given(st.lists(DECIMALS_DRAWN, min_size=1, max_size=8))
def test_decimals(numbers: list[Decimal]) -> None:
    region = region_of({b"%d" % place: {b"q": java_decimal(value)} for place, value in enumerate(numbers)})
    rounded = [value.quantize(Decimal("0.01"), context=EXACT) for value in numbers]
    total = reduce(EXACT.add, rounded)
    squares = [EXACT.multiply(value, value).quantize(Decimal("0.01"), context=EXACT) for value in rounded]

    def told(method: str) -> list[Decimal]:
        return [python_decimal(part) for part in answer(region, method, request(DECIMAL)).first_part]

    assert told("GetMax") == [max(rounded)]
    assert told("GetMin") == [min(rounded)]
    assert told("GetSum") == [total]
    assert told("GetStd") == [total, reduce(EXACT.add, squares)]
    assert told("GetMedian")[1] == Decimal("4.9E-324")


def test_bytes_of_decimals_are_java_s() -> None:
    """As Bytes.toBytes(new BigDecimal(...)) writes them."""
    for number, expected in ((0, "0000000200"), (127, "000000027f"), (128, "000000020080"), (-128, "0000000280"),
                             (-129, "00000002ff7f"), (25600, "000000026400")):  # fmt: skip
        assert HBase_pb2.BigDecimalMsg.FromString(DECIMALS.encode(number)).bigdecimal_msg.hex() == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0\0\0\1",
        b"\x80\0\0\0\x01",  # 10 to the power of two thousand millions
        b"\0\0\0\0" + b"\x7f" * (DECIMAL_BYTES_MAX + 1),
    ],
    ids=["nothing", "no digits", "a huge scale", "many digits"],
)
def test_decimals_that_are_none(value: bytes) -> None:
    with pytest.raises(DoNotRetryIOException):
        DECIMALS.read(value)


def test_decimals_far_behind_the_point_are_nothing() -> None:
    assert DECIMALS.read(b"\x7f\xff\xff\xff" + b"\x7f" * DECIMAL_BYTES_MAX) == 0
    assert DECIMALS.read(b"\0\0\0\3\x05") == 0  # 0.005: to the even one
    assert DECIMALS.read(b"\0\0\0\3\x0f") == 2  # 0.015
    assert DECIMALS.read(b"\0\0\0\3\xfb") == 0  # -0.005


def test_values_that_are_no_numbers_are_none() -> None:
    assert LONGS.read(b"1234567") is None
    assert DOUBLES.read(b"") is None


def test_values_of_a_block() -> None:
    cells = [
        Cell(b"r", b"f", b"q", 1, KeyType.PUT, value, tags) for value in (b"", b"abc") for tags in (b"", b"\0\1\5")
    ]
    assert list(values_of(encode_cells(cells, with_tags=True))) == [cell.value for cell in cells]


def test_part_of_a_region() -> None:
    region = region_of({b"%d" % number: {b"q": number} for number in range(10)})
    assert longs(answer(region, "GetSum", request(start_row=b"3", stop_row=b"6")).first_part) == [3 + 4 + 5]
    assert longs(answer(region, "GetMax", request(start_row=b"3", stop_row=b"6", reversed=False)).first_part) == [5]
    assert longs(answer(region, "GetSum", request(qualifiers=[b"nothing"])).first_part) == []


def filter_of(name: str, message: bytes = b"") -> Filter_pb2.Filter:
    return Filter_pb2.Filter(name=f"org.apache.hadoop.hbase.filter.{name}", serialized_filter=message)


@pytest.mark.parametrize("turns", [False, True])
def test_filters_of_the_scan(turns: bool) -> None:
    region = region_of({b"%d" % number: {b"p": number, b"q": number} for number in range(10)})
    first = filter_of("FirstKeyOnlyFilter")
    page = filter_of("PageFilter", Filter_pb2.PageFilter(page_size=4).SerializeToString())
    assert answer(region, "GetRowNum", request(filter=first), turns=turns).first_part == [struct.pack(">q", 10)]
    assert longs(answer(region, "GetSum", request(filter=first), turns=turns).first_part) == [sum(range(10))]
    assert answer(region, "GetRowNum", request(filter=page), turns=turns).first_part == [struct.pack(">q", 4)]
    assert longs(answer(region, "GetMax", request(filter=page), turns=turns).first_part) == [3]


def test_a_row_larger_than_a_page_is_one_row() -> None:
    wide: dict[bytes, int | bytes] = {
        b"%05d" % number: struct.pack(">q", number).rjust(2000, b"\0") for number in range(600)
    }
    region = region_of({b"wide": wide, b"x": {b"q": 5}})
    assert answer(region, "GetRowNum", request()).first_part == [struct.pack(">q", 2)]
    spread = answer(region, "GetStd", request())
    assert longs(spread.first_part) == [5, 25]
    assert spread.second_part == struct.pack(">q", 2)


def test_what_is_refused() -> None:
    region = region_of({})
    with pytest.raises(DoNotRetryIOException, match=r"ClassNotFoundException: no\.such\.Interpreter"):
        Aggregating(region, "GetMax", request("no.such.Interpreter"), 1)
    with pytest.raises(DoNotRetryIOException, match="only one family"):
        Aggregating(region, "GetRowNum", Aggregate_pb2.AggregateRequest(interpreter_class_name=LONG), 1)
    asked = request()
    asked.scan.column[0].family = b"nofamily"
    for method in METHODS:
        with pytest.raises(NoSuchColumnFamilyException):
            Aggregating(region, method, asked, 1)
