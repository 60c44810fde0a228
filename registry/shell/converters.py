"""How values are shown: as HBase prints bytes, or as a number where the column says `cf:q:toLong`. Pure.

Source: hbase-shell/src/main/ruby/hbase/table.rb#convert, Bytes#toInt and the like.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias

from registry.shell.arguments import UsageError
from registry.wire.cellblock import Cell
from registry.wire.preamble import string_binary

Converter: TypeAlias = Callable[[bytes], str]
Converters: TypeAlias = Mapping[tuple[bytes, bytes], Converter]
"""By family and qualifier; no qualifier is for the whole family."""


def _number(form: str) -> Converter:
    packed = struct.Struct(form)

    def convert(value: bytes) -> str:
        # A value of another length is shown as it is: one odd cell is no reason to end a scan.
        return str(packed.unpack(value)[0]) if len(value) == packed.size else string_binary(value)

    return convert


CONVERTERS: Mapping[bytes, Converter] = {
    b"toInt": _number(">i"),
    b"toLong": _number(">q"),
    b"toShort": _number(">h"),
    b"toFloat": _number(">f"),
    b"toDouble": _number(">d"),
    b"toBoolean": lambda value: "true" if value == b"\xff" else "false",
    b"toString": lambda value: value.decode("utf-8", "replace"),
    b"toStringBinary": string_binary,
}


def split_converter(name: bytes) -> tuple[bytes, Converter | None]:
    """A column as `cf:q:toLong` without its third part, and what that is. Raises UsageError for an unknown one."""
    column, colon, word = name.rpartition(b":")
    if not colon or b":" not in column or not word.startswith(b"to"):
        return name, None
    if word not in CONVERTERS:
        known = ", ".join(each.decode() for each in CONVERTERS)
        raise UsageError(f"{word.decode('utf-8', 'replace')} is no way to show a value: there are {known}")
    return column, CONVERTERS[word]


def shown(cell: Cell, converters: Converters) -> str:
    """The value of a cell."""
    convert = converters.get((cell.family, cell.qualifier)) or converters.get((cell.family, b""))
    return string_binary(cell.value) if convert is None else convert(cell.value)
