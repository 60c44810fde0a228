"""Comparators out of their envelopes: the name of Java's class, and the message of that class. Pure.

What is refused is refused with Java's words, which name each step at which it was wrapped.

Source: ProtobufUtil#toComparator; parseFrom and the constructors of each class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from protos.hbase import Comparator_pb2
from regionserver.filters.comparators import (
    LONG_BYTES,
    BigDecimalComparator,
    BinaryComparator,
    BinaryComponentComparator,
    BinaryPrefixComparator,
    BitComparator,
    BitwiseOp,
    Comparator,
    LongComparator,
    NullComparator,
    RegexStringComparator,
    SubstringComparator,
)
from regionserver.filters.decimals import SCALE_BYTES
from registry.java_regex.effort import Effort
from registry.wire.errors import DoNotRetryIOException, IOException
from registry.wire.text import lenient_text

PACKAGE = "org.apache.hadoop.hbase.filter."
DESERIALIZATION = "org.apache.hadoop.hbase.exceptions.DeserializationException: "
ILLEGAL = "java.lang.IllegalArgumentException: "
M = TypeVar("M", bound=Message)


class Thrown(Exception):
    """An exception of Java, as its toString tells it."""


def read(message_class: type[M], stored: bytes) -> M:
    """The message of a class. Raises Thrown."""
    try:
        message = message_class.FromString(stored)
        if not message.IsInitialized():
            raise DecodeError("Message missing required fields")
    except DecodeError as error:
        text = f"org.apache.hbase.thirdparty.com.google.protobuf.InvalidProtocolBufferException: {error}"
        raise Thrown(DESERIALIZATION + text) from None
    return message


def parse_comparator(message: Comparator_pb2.Comparator) -> Comparator:
    """A comparator that stands for itself. Raises DoNotRetryIOException; a real server would be asked again."""
    try:
        return _comparator(message, Effort())
    except Thrown as thrown:
        raise DoNotRetryIOException(str(thrown)) from None


def inner_comparator(message: Comparator_pb2.Comparator, effort: Effort) -> Comparator:
    """Of a filter, which wraps what is wrong with it. Raises Thrown, DoNotRetryIOException."""
    try:
        return _comparator(message, effort)
    except Thrown as thrown:
        raise Thrown(f"{DESERIALIZATION}java.io.IOException: {thrown}") from None


def _comparator(message: Comparator_pb2.Comparator, effort: Effort) -> Comparator:
    name = lenient_text(message.name)
    short = name.removeprefix(PACKAGE) if name.startswith(PACKAGE) else ""
    stored = message.serialized_comparator
    if (plain := _PLAIN.get(short)) is not None:
        return plain(stored)
    if (costly := _COSTLY.get(short)) is not None:
        return costly(stored, effort)
    raise Thrown(f"java.lang.ClassNotFoundException: {name}")


def _big_decimal(stored: bytes, effort: Effort) -> Comparator:
    value = read(Comparator_pb2.BigDecimalComparator, stored).comparable.value
    if len(value) <= SCALE_BYTES:
        raise Thrown("java.lang.NullPointerException")
    return BigDecimalComparator(value, effort)


def _long(stored: bytes) -> Comparator:
    value = read(Comparator_pb2.LongComparator, stored).comparable.value
    if len(value) != LONG_BYTES:
        raise Thrown(f"{ILLEGAL}Wrong length: {len(value)}, expected {LONG_BYTES}")
    return LongComparator(value)


def _bit(stored: bytes) -> Comparator:
    message = read(Comparator_pb2.BitComparator, stored)
    return BitComparator(message.comparable.value, BitwiseOp(message.bitwise_op))


def _null(stored: bytes) -> Comparator:
    read(Comparator_pb2.NullComparator, stored)
    return NullComparator()


def _component(stored: bytes) -> Comparator:
    message = read(Comparator_pb2.BinaryComponentComparator, stored)
    return BinaryComponentComparator(message.value, message.offset)


def _regex(stored: bytes, effort: Effort) -> Comparator:
    message = read(Comparator_pb2.RegexStringComparator, stored)
    engine = lenient_text(message.engine)
    if engine not in ("", "JAVA", "JONI"):
        raise Thrown(f"{ILLEGAL}No enum constant {PACKAGE}RegexStringComparator.EngineType.{engine}")
    try:
        pattern, charset = lenient_text(message.pattern), lenient_text(message.charset)
        if engine == "JONI" and "[[:" in pattern:  # what Java reads otherwise
            raise DoNotRetryIOException(f"JONI's classes of characters are not supported in patterns: {pattern}")
        return RegexStringComparator(pattern, message.pattern_flags, charset, effort)
    except DoNotRetryIOException:
        raise
    except IOException as error:
        is_named = error.message.startswith("java.")
        raise Thrown(
            error.message if is_named else f"java.util.regex.PatternSyntaxException: {error.message}"
        ) from None


def _substring(stored: bytes, effort: Effort) -> Comparator:
    return SubstringComparator(lenient_text(read(Comparator_pb2.SubstringComparator, stored).substr), effort)


_COSTLY: dict[str, Callable[[bytes, Effort], Comparator]] = {
    "BigDecimalComparator": _big_decimal,
    "RegexStringComparator": _regex,
    "SubstringComparator": _substring,
}
_PLAIN: dict[str, Callable[[bytes], Comparator]] = {
    "BinaryComparator": lambda stored: BinaryComparator(read(Comparator_pb2.BinaryComparator, stored).comparable.value),
    "BinaryPrefixComparator": lambda stored: BinaryPrefixComparator(
        read(Comparator_pb2.BinaryPrefixComparator, stored).comparable.value
    ),
    "BinaryComponentComparator": _component,
    "LongComparator": _long,
    "BitComparator": _bit,
    "NullComparator": _null,
}
