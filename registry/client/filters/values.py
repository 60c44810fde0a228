"""What filters and comparators are made of, checked and brought into one form when they are made. Pure.

A field of a dataclass says in its metadata what is made of what callers give: `prefix: Bytes = field(metadata=BYTES)`.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, TypeAlias, cast

from google.protobuf.message import Message

from registry.client.data.names import Bytes, to_bytes

PACKAGE = "org.apache.hadoop.hbase.filter."
INT32_MAX = (1 << 31) - 1
INT64_MAX = (1 << 63) - 1


class CompareOp(enum.Enum):
    """What is there stands on the left: `ValueFilter("<", b"m")` lets values pass that are less than m."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    EQUAL = "="
    NOT_EQUAL = "!="
    GREATER_OR_EQUAL = ">="
    GREATER = ">"
    NO_OP = "no op"
    """Nothing passes."""

    @classmethod
    def _missing_(cls, value: object) -> CompareOp | None:
        return cls.EQUAL if value == "==" else None

    def __repr__(self) -> str:
        return repr(self.value)


Operator: TypeAlias = CompareOp | str
"""A CompareOp, or its sign: < <= = == != >= >"""


class Checked(ABC):
    """A dataclass whose fields are checked as their metadata say. Raises ValueError when it is made."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for each in fields(self):
            if made := each.metadata.get("made"):
                try:
                    object.__setattr__(self, each.name, made(getattr(self, each.name)))
                except ValueError as error:
                    raise ValueError(f"{type(self).__name__}: {each.name}: {error}") from None

    @property
    @abstractmethod
    def message(self) -> Message:
        """Its own message, without the envelope."""


def compare_type(op: Operator) -> str:
    """HBase's name of it, as messages take it."""
    return CompareOp(op).name


def given_bytes(value: object) -> bytes:
    """Bytes of what callers may give for them; a number is none. Raises ValueError."""
    if not isinstance(value, bytes | bytearray | memoryview | str):
        raise ValueError(f"bytes or str are meant, not {value!r}")
    return to_bytes(cast("Bytes", value))


def _perhaps(made: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else made(value)


def _op(value: object) -> CompareOp:
    try:
        return CompareOp(value)
    except ValueError:
        raise ValueError(f"{value!r} is none of < <= = != >= >") from None


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"True or False is meant, not {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a str is meant, not {value!r}")
    return value


def whole(value_min: int, value_max: int) -> Callable[[object], int]:
    """Of a whole number between these."""

    def made(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"a whole number is meant, not {value!r}")
        if not value_min <= value <= value_max:
            raise ValueError(f"{value} is out of range: {value_min} to {value_max}")
        return value

    return made


def some(made: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    """Of several in a tuple; a str or bytes is one, not several."""

    def of_all(values: object) -> tuple[Any, ...]:
        if isinstance(values, str | bytes | bytearray | memoryview) or not isinstance(values, Iterable):
            raise ValueError(f"several are meant, not {values!r}: write a list of it")
        return tuple(made(value) for value in cast("Iterable[object]", values))

    return of_all


Made: TypeAlias = Mapping[str, Callable[[object], object]]
BYTES: Made = {"made": given_bytes}
BYTES_OR_NONE: Made = {"made": _perhaps(given_bytes)}
OP: Made = {"made": _op}
OP_OR_NONE: Made = {"made": _perhaps(_op)}
FLAG: Made = {"made": _flag}
TEXT: Made = {"made": _text}
COUNT: Made = {"made": whole(0, INT32_MAX)}
LONG_COUNT: Made = {"made": whole(0, INT64_MAX)}
LONG: Made = {"made": whole(-INT64_MAX - 1, INT64_MAX)}
