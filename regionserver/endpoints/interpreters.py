"""Column interpreters: how AggregateService reads values, adds them up and tells the result.

They are Java's numbers: longs go round, doubles are IEEE's, decimals are rounded to two digits behind the point, half
to even. A value that is no number of its kind counts as none.

Source: LongColumnInterpreter, DoubleColumnInterpreter, BigDecimalColumnInterpreter; Bytes#toBigDecimal, #toBytes.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from protos.hbase import HBase_pb2
from registry.wire.errors import DoNotRetryIOException

Number = Any
"""Of one interpreter all numbers are of one kind, an int or a float."""

DECIMAL_BYTES_MAX = 4096
"""Of a decimal's digits; arithmetic with longer ones takes longer than a turn of the loop."""
SCALE = 2
_SCALE_DIGITS_MAX = 20_000

_PACKAGE = "org.apache.hadoop.hbase.client.coprocessor."
_LONG, _DOUBLE = struct.Struct(">q"), struct.Struct(">d")
_LONG_MIN = -(1 << 63)
_DOUBLE_MIN = 5e-324


class Interpreter(NamedTuple):
    """One of them; `read` gives None for what is no number."""

    read: Callable[[bytes], Number]
    add: Callable[[Number, Number], Number]
    multiply: Callable[[Number, Number], Number]
    order: Callable[[Number], Any]
    """A key by which numbers are compared."""
    encode: Callable[[Number], bytes]
    """The message of a number."""
    zero: Number
    minimum: bytes
    """The message of what Java's getMinValue gives."""


def _wrapped(value: int) -> int:
    """As Java's long: what is too large comes round again."""
    return (value - _LONG_MIN & 0xFFFF_FFFF_FFFF_FFFF) + _LONG_MIN


def _read_long(value: bytes) -> int | None:
    return int(_LONG.unpack(value)[0]) if len(value) == _LONG.size else None


def _add_longs(one: int, other: int) -> int:
    return _wrapped(one + other)


def _multiply_longs(one: int, other: int) -> int:
    return _wrapped(one * other)


def _encode_long(value: int) -> bytes:
    return HBase_pb2.LongMsg(long_msg=value).SerializeToString()


def _read_double(value: bytes) -> float | None:
    return float(_DOUBLE.unpack(value)[0]) if len(value) == _DOUBLE.size else None


def _order_double(value: float) -> tuple[bool, float, float]:
    """As Java's Double.compare: what is no number is the largest, and -0.0 is less than 0.0."""
    return (True, 0.0, 0.0) if math.isnan(value) else (False, value, math.copysign(1.0, value))


def _encode_double(value: float) -> bytes:
    return HBase_pb2.DoubleMsg(double_msg=value).SerializeToString()


def _read_decimal(value: bytes) -> int | None:
    """Hundredths. [int32 scale][two's complement of the digits, at least one byte]; other values Java stumbles over."""
    if len(value) < 5 or len(value) > 4 + DECIMAL_BYTES_MAX:
        raise DoNotRetryIOException(f"a value of {len(value)} bytes is no BigDecimal of at most {DECIMAL_BYTES_MAX}")
    scale = int.from_bytes(value[:4], "big", signed=True)
    digits = int.from_bytes(value[4:], "big", signed=True)
    if not digits:
        return 0
    if scale <= SCALE:
        if SCALE - scale > _SCALE_DIGITS_MAX:
            raise DoNotRetryIOException(f"a BigDecimal of scale {scale} is too large to be added up")
        return int(digits * 10 ** (SCALE - scale))
    return _rounded(digits, scale - SCALE)


def _rounded(value: int, digits_count: int) -> int:
    """Without its last digits, half to even."""
    if digits_count > _SCALE_DIGITS_MAX:
        return 0  # more digits than DECIMAL_BYTES_MAX can hold
    unit = int(10**digits_count)
    whole, rest = divmod(value, unit)
    return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def _multiply_decimals(one: int, other: int) -> int:
    return _rounded(one * other, SCALE)


def _encode_decimal(value: int) -> bytes:
    return _decimal_message(SCALE, value)


def _decimal_message(scale: int, value: int) -> bytes:
    digits_bytes = (value + (value < 0)).bit_length() // 8 + 1
    stored = scale.to_bytes(4, "big", signed=True) + value.to_bytes(digits_bytes, "big", signed=True)
    return HBase_pb2.BigDecimalMsg(bigdecimal_msg=stored).SerializeToString()


def _itself(value: Number) -> Number:
    return value


LONGS = Interpreter(_read_long, _add_longs, _multiply_longs, _itself, _encode_long, 0, _encode_long(_LONG_MIN))
DOUBLES = Interpreter(
    _read_double, operator.add, operator.mul, _order_double, _encode_double, 0.0, _encode_double(_DOUBLE_MIN)
)
DECIMALS = Interpreter(
    _read_decimal, operator.add, _multiply_decimals, _itself, _encode_decimal, 0, _decimal_message(325, 49)
)

INTERPRETERS: Mapping[str, Interpreter] = {
    _PACKAGE + "LongColumnInterpreter": LONGS,
    _PACKAGE + "DoubleColumnInterpreter": DOUBLES,
    _PACKAGE + "BigDecimalColumnInterpreter": DECIMALS,
}
"""By Java's class; it is named by the request."""
