"""Keys, values and columns as callers write them, and the bytes they stand for. Pure.

row, value   bytes, or str, which is written as UTF-8
column       b"cf:q" or "cf:q", split at the first colon, or (family, qualifier)
family       "cf", "cf:" or ("cf",), where a whole family may be meant
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TypeAlias

from registry.wire.cellblock import FAMILY_BYTES_MAX, ROW_BYTES_MAX

Bytes: TypeAlias = bytes | bytearray | memoryview | str
"""What callers may give for bytes."""
ColumnName: TypeAlias = bytes | str | tuple[bytes | str, ...]
"""A column, or a whole family, as callers write it."""
Columns: TypeAlias = tuple[tuple[bytes, tuple[bytes, ...]], ...]
"""Families with qualifiers, as requests have them; a family without qualifiers is meant whole."""

_TABLE_NAME = re.compile(r"(?:(?:\w|[^\x00-\x7f])+:)?(?![.-])(?:[\w.-]|[^\x00-\x7f])+")
"""Servers know letters of all languages; of what can be none they would be asked again and again."""
REMEMBERED_MAX = 1024
"""Names of columns whose parts are remembered: programs use few, written the same way each time."""


def to_bytes(value: Bytes) -> bytes:
    """The bytes of it. Raises ValueError for what has none: a number is none, and `bytes(5)` would be five zeros."""
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        return value.encode()
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise ValueError(f"bytes or str are meant, not {value!r}") from None


def row_key(row: Bytes) -> bytes:
    """A row's key. Raises ValueError where no row can have it."""
    key = to_bytes(row)
    if not 0 < len(key) <= ROW_BYTES_MAX:
        raise ValueError(f"a row key has 1 to {ROW_BYTES_MAX} bytes, this one {len(key)}")
    return key


def column(name: ColumnName) -> tuple[bytes, bytes]:
    """Family and qualifier. Raises ValueError where the qualifier is missing: an empty one is written "cf:"."""
    family, qualifier = _split(name)
    if qualifier is None:
        raise ValueError(f"{name!r} is a family, a column is meant: write 'family:qualifier'")
    return family, qualifier


def column_or_family(name: ColumnName) -> tuple[bytes, bytes | None]:
    """Family and qualifier, None for the whole family: "cf" and "cf:" both mean that here."""
    family, qualifier = _split(name)
    return family, (qualifier or None) if not isinstance(name, tuple) else qualifier


def columns(names: Iterable[ColumnName] | None) -> Columns:
    """What to read, as requests have it; a family that is named whole is read whole, whatever else is named of it."""
    found: dict[bytes, list[bytes] | None] = {}
    for name in several(names) or ():
        family, qualifier = column_or_family(name)
        if qualifier is None:
            found[family] = None
        elif (qualifiers := found.setdefault(family, [])) is not None:
            qualifiers.append(qualifier)
    return tuple((family, tuple(qualifiers or ())) for family, qualifiers in found.items())


def several(names: Iterable[ColumnName] | None) -> Iterable[ColumnName] | None:
    """The same. Raises ValueError for one name, whose letters would be families."""
    if isinstance(names, str | bytes | bytearray):
        raise ValueError(f"columns={names!r}: several are meant, write [{names!r}]")
    return names


@functools.lru_cache(maxsize=REMEMBERED_MAX)
def _split(name: ColumnName) -> tuple[bytes, bytes | None]:
    if isinstance(name, tuple):
        if not 1 <= len(name) <= 2:
            raise ValueError(f"{name!r} is no column: write (family, qualifier) or (family,)")
        family, qualifier = to_bytes(name[0]), to_bytes(name[1]) if len(name) == 2 else None
    else:
        family, colon, rest = to_bytes(name).partition(b":")
        qualifier = rest if colon else None
    if not 0 < len(family) <= FAMILY_BYTES_MAX:
        raise ValueError(f"{name!r}: a family has 1 to {FAMILY_BYTES_MAX} bytes")
    return family, qualifier


def table_name(name: bytes | str) -> str:
    """A table's name as hbase:meta has it: without the namespace `default`. Raises ValueError for what can be none."""
    text = to_bytes(name).decode().removeprefix("default:")
    if _TABLE_NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no name of a table: letters, digits, _ . and -, maybe behind NAMESPACE:")
    return text
