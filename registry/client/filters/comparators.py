"""Comparators: how what a filter is given is compared with a part of a cell. Pure.

Source: org.apache.hadoop.hbase.filter: ByteArrayComparable and those derived from it.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from google.protobuf.message import Message

from protos.hbase import Comparator_pb2
from registry.client.data.names import Bytes, to_bytes
from registry.client.filters.values import BYTES, COUNT, LONG, PACKAGE, TEXT, Checked, Made

INT32_LIMIT = 1 << 31


class Comparator(Checked):
    """Compares with a row, family, qualifier or value."""

    __slots__ = ()

    def to_proto(self) -> Comparator_pb2.Comparator:
        """As servers take it."""
        name = PACKAGE + type(self).__name__
        return Comparator_pb2.Comparator(name=name, serialized_comparator=self.message.SerializeToString())


AnyComparator: TypeAlias = Comparator | Bytes
"""A comparator, or bytes or str, for which a BinaryComparator is made."""


def _comparable(value: Bytes) -> Comparator_pb2.ByteArrayComparable:
    return Comparator_pb2.ByteArrayComparable(value=to_bytes(value))


@dataclass(frozen=True, slots=True)
class BinaryComparator(Comparator):
    """Byte by byte."""

    value: Bytes = field(metadata=BYTES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.BinaryComparator(comparable=_comparable(self.value))


@dataclass(frozen=True, slots=True)
class BinaryPrefixComparator(Comparator):
    """Byte by byte, as many as are given."""

    value: Bytes = field(metadata=BYTES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.BinaryPrefixComparator(comparable=_comparable(self.value))


@dataclass(frozen=True, slots=True)
class BinaryComponentComparator(Comparator):
    """Byte by byte, as many as are given, from an offset on."""

    value: Bytes = field(metadata=BYTES)
    offset: int = field(metadata=COUNT)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.BinaryComponentComparator(value=to_bytes(self.value), offset=self.offset)


class BitwiseOp(enum.Enum):
    """How bits are combined."""

    AND = "&"
    OR = "|"
    XOR = "^"

    def __repr__(self) -> str:
        return repr(self.value)


def _bitwise(value: object) -> BitwiseOp:
    try:
        return BitwiseOp(value)
    except ValueError:
        raise ValueError(f"{value!r} is none of & | ^") from None


_BITWISE: Made = {"made": _bitwise}


@dataclass(frozen=True, slots=True)
class BitComparator(Comparator):
    """Equal where a bit is left when both, of one length, are combined."""

    value: Bytes = field(metadata=BYTES)
    bitwise_op: BitwiseOp | str = field(metadata=_BITWISE)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.BitComparator(
            comparable=_comparable(self.value), bitwise_op=BitwiseOp(self.bitwise_op).name
        )


@dataclass(frozen=True, slots=True)
class NullComparator(Comparator):
    """Equal to nothing that is there."""

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.NullComparator()


@dataclass(frozen=True, slots=True)
class LongComparator(Comparator):
    """As numbers of eight bytes, as counters are; a value of another length is the server's error."""

    value: int = field(metadata=LONG)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.LongComparator(comparable=_comparable(self.value.to_bytes(8, "big", signed=True)))


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise ValueError(f"a Decimal is meant, not {value!r}")
    made = Decimal(value)
    exponent = made.as_tuple().exponent
    if not isinstance(exponent, int) or not -INT32_LIMIT < exponent <= INT32_LIMIT:
        raise ValueError(f"Java has no {value!r}")
    return made


_DECIMAL: Made = {"made": _decimal}


@dataclass(frozen=True, slots=True)
class BigDecimalComparator(Comparator):
    """As decimal numbers, as Java's `Bytes.toBytes(BigDecimal)` stores them."""

    value: Decimal | int = field(metadata=_DECIMAL)

    @property
    def message(self) -> Message:
        """[int scale][unscaled value, two's complement, as few bytes as hold it]."""
        is_negative, digits, exponent = Decimal(self.value).as_tuple()
        assert isinstance(exponent, int)
        unscaled = int(Decimal((is_negative, digits, 0)))
        size_bytes = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1
        stored = (-exponent).to_bytes(4, "big", signed=True) + unscaled.to_bytes(size_bytes, "big", signed=True)
        return Comparator_pb2.BigDecimalComparator(comparable=_comparable(stored))


class PatternFlag(enum.IntFlag):
    """Flags of java.util.regex.Pattern, whose numbers are others than those of Python's."""

    UNIX_LINES = 1
    CASE_INSENSITIVE = 2
    COMMENTS = 4
    MULTILINE = 8
    LITERAL = 16
    DOTALL = 32
    UNICODE_CASE = 64
    CANON_EQ = 128
    UNICODE_CHARACTER_CLASS = 256

    def __repr__(self) -> str:
        return " | ".join(f"PatternFlag.{each.name}" for each in self) or "PatternFlag(0)"


def _pattern_flags(value: object) -> PatternFlag:
    if isinstance(value, re.RegexFlag) or not isinstance(value, int) or not 0 <= value < 512:
        raise ValueError(f"Java's flags are meant (PatternFlag), not {value!r}")
    return PatternFlag(value)


def _engine(value: object) -> str:
    if value not in ("JAVA", "JONI"):
        raise ValueError(f"{value!r} is neither JAVA nor JONI")
    return str(value)


_FLAGS: Made = {"made": _pattern_flags}
_ENGINE: Made = {"made": _engine}


@dataclass(frozen=True, slots=True)
class RegexStringComparator(Comparator):
    """Equal where a part of what is there matches a pattern of Java's."""

    pattern: str = field(metadata=TEXT)
    flags: PatternFlag = field(default=PatternFlag.DOTALL, metadata=_FLAGS)
    charset: str = field(default="UTF-8", metadata=TEXT)
    engine: Literal["JAVA", "JONI"] = field(default="JAVA", metadata=_ENGINE)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.RegexStringComparator(
            pattern=self.pattern, pattern_flags=self.flags, charset=self.charset, engine=self.engine
        )


@dataclass(frozen=True, slots=True)
class SubstringComparator(Comparator):
    """Equal where a text is in what is there, whatever the case of either."""

    substr: str = field(metadata=TEXT)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Comparator_pb2.SubstringComparator(substr=self.substr.lower())


def _comparator(value: object) -> Comparator:
    if isinstance(value, Comparator):
        return value
    if not isinstance(value, bytes | bytearray | memoryview | str):
        raise ValueError(f"a comparator, bytes or str is meant, not {value!r}")
    return BinaryComparator(cast("Bytes", value))


def comparator_message(value: AnyComparator) -> Comparator_pb2.Comparator:
    """As servers take it."""
    return _comparator(value).to_proto()


COMPARATOR: Made = {"made": _comparator}
COMPARATOR_OR_NONE: Made = {"made": lambda value: None if value is None else _comparator(value)}
