"""Comparators: how what a client gave compares with a part of a cell. Pure.

Where Java's would fail on a value, the client hears java.io.IOException with Java's words, as from a real server.

Source: org.apache.hadoop.hbase.filter: ByteArrayComparable and those derived from it, CompareFilter#compare.
"""

from __future__ import annotations

import codecs
import enum
import operator
import re
from collections.abc import Callable
from functools import partial

from regionserver.filters.decimals import BigDecimal
from registry.java_regex.effort import Effort
from registry.java_regex.parser import compile_pattern
from registry.java_regex.pieces import LINE_ENDS_LAST, pieces_of
from registry.wire.errors import IOException

LONG_BYTES = 8
_CASELESS = re.compile("[\\x00-@\\[-`{-\\x7f]*")
_UNICODE_CHARSETS = ("utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le")
_LINE_ENDS = tuple([bytes((each,)) for each in sorted(LINE_ENDS_LAST)])
_DOTTED_I, _KELVIN = "\u0130".encode(), "\u212a".encode()
_CHARSETS = frozenset(
    (*_UNICODE_CHARSETS, "ascii", "gbk", "gb2312", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "koi8-r")
)
_CHARSET_FAMILIES = ("iso8859-", "cp125")


class CompareType(enum.IntEnum):
    """The numbers of HBaseProtos.CompareType."""

    LESS = 0
    LESS_OR_EQUAL = 1
    EQUAL = 2
    NOT_EQUAL = 3
    GREATER_OR_EQUAL = 4
    GREATER = 5
    NO_OP = 6


class Comparator:
    """Compares what was given with what is there."""

    may_fail = False
    """There are values that it raises an error for."""
    ends: tuple[bytes, ...] = ()
    """What is the same, as it compares, ends with one of these; none: that is not known."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        """What was given, as a condition compares it."""

    def compare(self, found: bytes) -> int:
        """Less than 0 where what was given is less than what is there, 0 where they are the same."""
        return (self.value > found) - (self.value < found)

    def may_be_in(self, block: bytes) -> bool:  # noqa: ARG002
        """Whether a part of these bytes may be the same, as it compares them."""
        return True


class BinaryComparator(Comparator):
    """By their bytes."""

    def may_be_in(self, block: bytes) -> bool:
        """See Comparator."""
        return self.value in block


class BinaryPrefixComparator(Comparator):
    """By as many bytes as were given."""

    def compare(self, found: bytes) -> int:
        """See Comparator."""
        return super().compare(found[: len(self.value)])

    def may_be_in(self, block: bytes) -> bool:
        """See Comparator."""
        return self.value in block


class BinaryComponentComparator(Comparator):
    """By as many bytes as were given, from an offset on."""

    def __init__(self, value: bytes, offset: int) -> None:
        super().__init__(value)
        self._offset = offset

    def compare(self, found: bytes) -> int:
        """See Comparator. Of what is too short there is less; a real server reads what lies behind it."""
        return super().compare(found[self._offset : self._offset + len(self.value)])


class LongComparator(Comparator):
    """As signed integers of eight bytes."""

    may_fail = True

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._number = _long(value)

    def compare(self, found: bytes) -> int:
        """See Comparator."""
        number = _long(found)
        return (self._number > number) - (self._number < number)


class BigDecimalComparator(Comparator):
    """As decimal numbers: an int of the scale, then the unscaled integer."""

    may_fail = True

    def __init__(self, value: bytes, effort: Effort | None = None) -> None:
        super().__init__(value)
        self._number = BigDecimal.read(value)
        self._effort = effort or Effort()

    def compare(self, found: bytes) -> int:
        """See Comparator. Raises DoNotRetryIOException where it would take too long."""
        self._effort.read(len(found))
        return self._number.compare(BigDecimal.read(found), self._effort)


class BitwiseOp(enum.IntEnum):
    """The numbers of BitComparator.BitwiseOp."""

    AND = 1
    OR = 2
    XOR = 3


class BitComparator(Comparator):
    """0 where a bit is left when both are combined; they have to be of one length."""

    def __init__(self, value: bytes, combined_by: BitwiseOp) -> None:
        super().__init__(value)
        self._bits = int.from_bytes(value, "big")
        self._combined_by = combined_by

    def compare(self, found: bytes) -> int:
        """See Comparator."""
        if len(found) != len(self.value):
            return 1
        bits = int.from_bytes(found, "big")
        match self._combined_by:
            case BitwiseOp.AND:
                return 0 if self._bits & bits else 1
            case BitwiseOp.OR:
                return 0 if self._bits | bits else 1
            case BitwiseOp.XOR:
                return 0 if self._bits ^ bits else 1


class NullComparator(Comparator):
    """1, for whatever is there is something."""

    def __init__(self) -> None:
        super().__init__(b"")

    def compare(self, found: bytes) -> int:  # noqa: ARG002
        """See Comparator."""
        return 1


class SubstringComparator(Comparator):
    """0 where a text is in what is there, whatever the case of either."""

    def __init__(self, text: str, effort: Effort | None = None) -> None:
        self._text = text.lower()
        self._effort = effort or Effort()
        super().__init__(self._text.encode("utf-8", "replace"))
        self._is_ascii = self._text.isascii()
        self._without_case = max(_CASELESS.findall(self._text), key=len).encode()
        """A part of it: small letters are none of other characters there."""

    def compare(self, found: bytes) -> int:
        """See Comparator. Raises DoNotRetryIOException where it would take too long."""
        self._effort.read(len(found))
        if not self.may_be_in(found):
            return 1
        return 0 if self._text in found.decode("utf-8", "replace").lower() else 1

    def may_be_in(self, block: bytes) -> bool:
        """See Comparator. Two other characters alone have small letters among those of ASCII."""
        if self._without_case not in block:
            return False
        return not self._is_ascii or self.value in block.lower() or _DOTTED_I in block or _KELVIN in block


class RegexStringComparator(Comparator):
    """0 where a part of what is there matches. Both of HBase's engines take Java's syntax."""

    def __init__(self, pattern: str, flags: int, charset: str = "", effort: Effort | None = None) -> None:
        """Raises IOException as Java would, DoNotRetryIOException where it is not known here."""
        super().__init__(pattern.encode("utf-8", "replace"))
        self._pattern = compile_pattern(pattern, flags, effort)
        self._charset = _charset(charset) if charset else "utf-8"
        self._pieces = pieces_of(pattern, flags) if self._charset == "utf-8" else None
        self.may_fail = self._pieces is None
        if self._pieces is not None and self._pieces.at_end:
            self.ends = (self._pieces.texts[-1], *_LINE_ENDS)

    def compare(self, found: bytes) -> int:
        """See Comparator. Raises DoNotRetryIOException where it would take too long."""
        found_at_once = None if self._pieces is None else self._pieces.finds(found)
        if found_at_once is not None:
            return 0 if found_at_once else 1
        return 0 if self._pattern.finds(found.decode(self._charset, "replace")) else 1


_KEEPING: dict[CompareType, Callable[[bytes, bytes], bool]] = {
    CompareType.LESS: operator.gt,
    CompareType.LESS_OR_EQUAL: operator.ge,
    CompareType.EQUAL: operator.eq,
    CompareType.NOT_EQUAL: operator.ne,
    CompareType.GREATER_OR_EQUAL: operator.le,
    CompareType.GREATER: operator.lt,
}
"""Of bytes: what was given, and what is there."""


def keeping(compare: CompareType, comparator: Comparator | None) -> Callable[[bytes], bool]:
    """Whether a part of a cell is in that relation to what was given; else it is dropped."""
    if compare is CompareType.NO_OP:
        return lambda _: False
    if comparator is None:
        return _without_comparator
    if type(comparator) is BinaryComparator:
        return partial(_KEEPING[compare], comparator.value)
    found = comparator.compare
    match compare:
        case CompareType.LESS:
            return lambda part: found(part) > 0
        case CompareType.LESS_OR_EQUAL:
            return lambda part: found(part) >= 0
        case CompareType.EQUAL:
            return lambda part: found(part) == 0
        case CompareType.NOT_EQUAL:
            return lambda part: found(part) != 0
        case CompareType.GREATER_OR_EQUAL:
            return lambda part: found(part) <= 0
        case CompareType.GREATER:
            return lambda part: found(part) < 0


def _without_comparator(_: bytes) -> bool:
    raise IOException('Cannot invoke "ByteArrayComparable.compareTo(byte[], int, int)" because "comparator" is null')


def _long(value: bytes) -> int:
    if len(value) != LONG_BYTES:
        raise IOException(f"Wrong length: {len(value)}, expected {LONG_BYTES}")
    return int.from_bytes(value, "big", signed=True)


def _charset(name: str) -> str:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    if found not in _CHARSETS and not found.startswith(_CHARSET_FAMILIES):
        raise IOException(f"java.nio.charset.UnsupportedCharsetException: {name}")
    return found
