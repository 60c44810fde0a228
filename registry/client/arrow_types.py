"""Values of HBase as columns of Arrow: which bytes are which type, many values at once.

    long, counter   8 bytes, big-endian      "int64", int        (also timestamp("ms"), ..., of such a number)
    int, short      4, 2 bytes, big-endian   "int32", "int16"
    double, float   8, 4 bytes, big-endian   "float64", float; "float32"
    boolean         1 byte, 0 is false       "bool", bool
    text            UTF-8                    "utf8", str
    any bytes                                "binary", bytes

A callable makes something of the bytes of a value; (callable, type) says of which Arrow type that is.

This module is loaded by who asks for Arrow, and loads pyarrow.

Source: org.apache.hadoop.hbase.util.Bytes.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from registry.wire.preamble import string_binary

try:
    pa: Any = import_module("pyarrow")  # it has no types of its own
except ImportError as missing:
    raise ImportError("pyarrow is not installed, which Arrow needs: pip install 'hbeacon[arrow]'") from missing

Convert: TypeAlias = Callable[[bytes], Any]
ColumnType: TypeAlias = type | str | Convert | tuple[Convert, Any] | Any
"""As callers write it; Any is a DataType of pyarrow."""
OnError: TypeAlias = Literal["raise", "null"]
Values: TypeAlias = Sequence[bytes | None]

VALUE_SHOWN_BYTES = 32

_BY_PYTHON: dict[Any, Any] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
    bytes: pa.binary(),
}
_BY_NAME: dict[str, Any] = {
    "int": pa.int64(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "int16": pa.int16(),
    "float64": pa.float64(),
    "double": pa.float64(),
    "float32": pa.float32(),
    "float": pa.float32(),
    "bool": pa.bool_(),
    "utf8": pa.string(),
    "string": pa.string(),
    "str": pa.string(),
    "binary": pa.binary(),
    "bytes": pa.binary(),
}
_NAMED = {**_BY_PYTHON, **_BY_NAME}
NUMBERS: dict[Any, tuple[str, int]] = {
    pa.int64(): ("q", 8),
    pa.int32(): ("i", 4),
    pa.int16(): ("h", 2),
    pa.float64(): ("d", 8),
    pa.float32(): ("f", 4),
}
"""Code and width of an array."""
_TEXTS = (pa.string(), pa.large_string())
_PLAIN = (pa.binary(), pa.large_binary())


class Wanted(NamedTuple):
    """What a column is to be."""

    data_type: Any
    """Of pyarrow; None: what the callable's first values are."""
    convert: Convert | None = None


def wanted(name: str, given: ColumnType) -> Wanted:
    """What a type means, however it was written. Raises ValueError."""
    if isinstance(given, tuple):
        convert, data_type = cast("tuple[Convert, Any]", given)
        return Wanted(wanted_type(name, data_type), convert)
    if isinstance(given, type | str) and given not in _NAMED:
        raise ValueError(f"{name}: {given!r} is no type: write one of {', '.join(_BY_NAME)}, or a callable")
    if callable(given) and given not in _BY_PYTHON:
        return Wanted(None, given)
    return Wanted(readable(name, wanted_type(name, given)))


def wanted_type(name: str, given: Any) -> Any:
    """The type of pyarrow that is meant. Raises ValueError."""
    if isinstance(given, pa.DataType):
        return given
    found = _NAMED.get(given) if isinstance(given, type | str) else None
    if found is None:
        raise ValueError(f"{name}: {given!r} is no type: write one of {', '.join(_BY_NAME)}, or a type of pyarrow")
    return found


def readable(name: str, data_type: Any) -> Any:
    """The type, of which bytes can be read as they are. Raises ValueError."""
    known = (*NUMBERS, *_TEXTS, *_PLAIN, pa.bool_())
    if data_type in known or pa.types.is_timestamp(data_type):
        return data_type
    raise ValueError(f"{name}: no bytes are known that mean {data_type}: write (callable, {data_type})")


def column_array(name: str, rows: Sequence[bytes], values: Values, what: Wanted, on_error: OnError) -> Any:
    """The values as an array of pyarrow. Raises ValueError, which names row and column, for what does not fit."""
    if what.convert is not None:
        return _converted(name, rows, values, what, on_error)
    data_type = what.data_type
    if data_type in _PLAIN:
        return pa.array(values, data_type)
    if data_type in _TEXTS:
        return _texts(name, rows, values, data_type, on_error)
    if data_type == pa.bool_():
        values = _of_width(name, rows, values, 1, data_type, on_error)
        return pa.array([value if value is None else value != b"\0" for value in values], data_type)
    stored = pa.int64() if pa.types.is_timestamp(data_type) else data_type
    code, width_bytes = NUMBERS[stored]
    values = _of_width(name, rows, values, width_bytes, data_type, on_error)
    made = _numbers(values, code, width_bytes, stored)
    return made if stored is data_type else made.view(data_type)


def _numbers(values: Values, code: str, width_bytes: int, data_type: Any) -> Any:
    """Big-endian numbers: all at once, without an object for each."""
    validity = None
    if None in values:
        validity = pa.array([value is not None for value in values], pa.bool_()).buffers()[1]
        none = bytes(width_bytes)
        values = [none if value is None else value for value in values]
    numbers = array(code, b"".join(cast("Sequence[bytes]", values)))
    if sys.byteorder == "little":
        numbers.byteswap()
    return pa.Array.from_buffers(data_type, len(values), [validity, pa.py_buffer(numbers)])


def _of_width(
    name: str, rows: Sequence[bytes], values: Values, width_bytes: int, data_type: Any, on_error: OnError
) -> Values:
    if {len(value) for value in values if value is not None} <= {width_bytes}:
        return values

    def check(value: bytes) -> None:
        if len(value) != width_bytes:
            raise ValueError(f"{len(value)} bytes, where {width_bytes} are a value")

    return _without_unfit(name, rows, values, data_type, check, on_error)


def _texts(name: str, rows: Sequence[bytes], values: Values, data_type: Any, on_error: OnError) -> Any:
    plain = pa.binary() if data_type == pa.string() else pa.large_binary()
    try:
        return pa.array(values, plain).cast(data_type)  # which looks at every byte
    except pa.ArrowInvalid:
        return pa.array(_without_unfit(name, rows, values, data_type, bytes.decode, on_error), plain).cast(data_type)


def _without_unfit(
    name: str, rows: Sequence[bytes], values: Values, data_type: Any, check: Callable[[bytes], Any], on_error: OnError
) -> Values:
    """The values, and null in place of those that are no such type. Raises ValueError for the first, unless told."""
    found: list[bytes | None] = []
    for row, value in zip(rows, values, strict=True):
        fits = value
        if value is not None:
            try:
                check(value)
            except ValueError as error:
                if on_error == "raise":
                    raise unfit(name, row, value, data_type, error) from None
                fits = None
        found.append(fits)
    return found


def _converted(name: str, rows: Sequence[bytes], values: Values, what: Wanted, on_error: OnError) -> Any:
    convert, data_type = what.convert, what.data_type
    assert convert is not None, "asked for by who has one"
    made: list[Any] = []
    for row, value in zip(rows, values, strict=True):
        if value is None:
            made.append(None)
            continue
        try:
            made.append(convert(value))
        except Exception as error:
            if on_error == "raise":
                raise unfit(name, row, value, getattr(convert, "__name__", "callable"), error) from error
            made.append(None)
    try:
        return pa.array(made, data_type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError) as error:
        meant = f"are not all {data_type}" if data_type is not None else "are not of one type"
        raise ValueError(
            f"column {name}: what the callable gave for rows {_key(rows[0])} to {_key(rows[-1])} {meant}: {error}; "
            "say what it gives by (callable, type)"
        ) from None


def unfit(name: str, row: bytes, value: bytes, data_type: Any, why: Exception) -> ValueError:
    """What is said of a value that is not what it was said to be."""
    shown = string_binary(value[:VALUE_SHOWN_BYTES]) + ("..." if len(value) > VALUE_SHOWN_BYTES else "")
    return ValueError(
        f"row {_key(row)}, column {name}: '{shown}' is no {data_type} ({why}); "
        'name the type that it has, or take errors="null" to have null in its place'
    )


def _key(row: bytes) -> str:
    return f"'{string_binary(row)}'"
