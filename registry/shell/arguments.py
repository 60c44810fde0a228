"""Arguments of a command, read as what they are meant to be; errors say how the command is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from registry.client.data.names import ColumnName, table_name
from registry.shell.language import Value


class UsageError(Exception):
    """The arguments are not those of the command; the text says which one, and what is expected."""


class Arguments:
    """What is behind the word: values in order, and the maps among them put together as options."""

    def __init__(self, values: Iterable[Value]) -> None:
        self.values: list[Value] = []
        self.maps: list[dict[str, Value]] = []
        """In the order they came: `create` has one for each family."""
        for value in values:
            if isinstance(value, dict):
                self.maps.append(value)
            else:
                self.values.append(value)

    def options(self, *known: str) -> Options:
        """All maps as one. Raises UsageError for a key that is not known."""
        merged: dict[str, Value] = {}
        for each in self.maps:
            merged.update(each)
        if unknown := [key for key in merged if key.upper() not in known]:
            raise UsageError(f"{unknown[0]} is no option here: there are {', '.join(known) or 'none'}")
        return Options({key.upper(): value for key, value in merged.items()})

    def check_count(self, count_min: int, count_max: int) -> None:
        """Raises UsageError for fewer or more values."""
        if len(self.values) < count_min:
            raise UsageError("an argument is missing" if count_min - len(self.values) == 1 else "arguments are missing")
        if len(self.values) > count_max:
            raise UsageError(f"{_shown(self.values[count_max])} is one argument too many")

    def only(self, count_min: int, count_max: int) -> None:
        """Values and no options. Raises UsageError for fewer or more values, and for any option."""
        self.check_count(count_min, count_max)
        self.options()

    def text(self, index: int, default: str | None = None) -> str:
        """A name or a pattern."""
        if index >= len(self.values) and default is not None:
            return default
        return as_text(self.key(index))

    def table(self) -> str:
        """The name of a table, which is the first argument. Raises UsageError."""
        try:
            return table_name(self.text(0))
        except ValueError as error:
            raise UsageError(str(error)) from None

    def key(self, index: int, default: bytes | None = None) -> bytes:
        """A row key or a value; numbers are their digits, as in Ruby's to_s."""
        if index >= len(self.values):
            if default is None:
                raise UsageError("an argument is missing")
            return default
        return as_key(self.values[index])

    def integer(self, index: int, name: str, default: int) -> int:
        """A whole number."""
        return default if index >= len(self.values) else as_integer(self.values[index], name)

    def timestamp(self, index: int) -> int | None:
        """Milliseconds; None where it is not there."""
        if index >= len(self.values):
            return None
        timestamp = as_integer(self.values[index], "TIMESTAMP")
        if timestamp < 0:
            raise UsageError(f"TIMESTAMP is milliseconds, not {timestamp}")
        return timestamp


class Options:
    """`{KEY => value, ...}` of one command."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values

    def key(self, *names: str) -> bytes | None:
        """The first of these that is set, as bytes."""
        value = self._first(names)
        return None if value is None else as_key(value)

    def integer(self, name: str) -> int | None:
        """A whole number, None where it is not set."""
        value = self.values.get(name)
        return None if value is None else as_integer(value, name)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false, also in quotes."""
        value = self.values.get(name)
        if value is None:
            return default
        text = as_key(value).lower()
        if text not in (b"true", b"false"):
            raise UsageError(f"{name} is true or false, not {_shown(value)}")
        return text == b"true"

    def keys(self, *names: str) -> list[bytes]:
        """One value or a list of them; empty where it is not set."""
        return as_keys(self._first(names))

    def time_range(self) -> tuple[int, int] | None:
        """TIMERANGE [from, to), or TIMESTAMP, which is one millisecond."""
        value = self.values.get("TIMERANGE")
        if value is not None:
            if not isinstance(value, list) or len(value) != 2:
                raise UsageError("TIMERANGE is [FROM, TO] in milliseconds")
            return as_integer(value[0], "TIMERANGE"), as_integer(value[1], "TIMERANGE")
        at = self.integer("TIMESTAMP")
        return None if at is None else (at, at + 1)

    def _first(self, names: Iterable[str]) -> Value:
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)


def as_key(value: Value) -> bytes:
    """Bytes of a string, a number or a truth. Raises UsageError for lists, maps and nil."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | float):
        return str(value).encode()
    raise UsageError(f"a string is expected in place of {_shown(value)}")


def as_text(value: Value) -> str:
    """The same as text. Raises UsageError for bytes that are none."""
    try:
        return as_key(value).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{_shown(value)} is no text in UTF-8") from None


def as_keys(value: Value) -> list[bytes]:
    """One value or a list of them; nil is none."""
    if value is None:
        return []
    return [as_key(each) for each in value] if isinstance(value, list) else [as_key(value)]


def as_integer(value: Value, name: str) -> int:
    """A whole number, also in quotes. Raises UsageError."""
    try:
        if isinstance(value, bytes | int) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise UsageError(f"{name} is a whole number, not {_shown(value)}")


def as_column(name: bytes) -> ColumnName:
    """`cf:q`; `cf` and `cf:` are the family."""
    family, _, qualifier = name.partition(b":")
    return (family, qualifier) if qualifier else (family,)


def _shown(value: Value) -> str:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "replace"))
    return "nil" if value is None else repr(value)
