r"""The language of hbase shell, as far as commands need it: a word and Ruby literals. Pure.

    put 'users', 'row1', 'cf:q', "a\x00b"
    scan 'users', {COLUMNS => ['cf:q'], LIMIT => 10, STARTROW => 'row1'}
    create 'users', {NAME => 'cf', VERSIONS => 3}, SPLITS => ['g', 'p']
    put users row1 cf:q value; get users row1

Strings in single quotes know the escapes \' and \\, those in double quotes Ruby's, among them \x00. Text is UTF-8; a
string with an escape \x.. may be any bytes. NAMES in capitals are constants and stand for themselves, `key: value` is
the same as 'KEY' => value. Without commas and quotes, words are strings and numbers are numbers. Outside of quotes a
semicolon ends a command.

Source: hbase-shell/src/main/ruby/shell/commands, HBaseConstants (each a string of its own name).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "bytes | int | float | bool | list[Value] | dict[str, Value] | None"

DEPTH_MAX = 64
LINE_CHARS_MAX = 16 << 20


class ShellSyntaxError(Exception):
    """The line cannot be read; the text says where and what is missing."""

    def __init__(self, text: str, position: int, *, unfinished: bool = False) -> None:
        super().__init__(text)
        self.position = position
        """In characters of the line."""
        self.unfinished = unfinished
        """More of it may follow on the next line."""


@dataclass(frozen=True, slots=True)
class Command:
    """A word and what is behind it; `key => value` pairs without braces are one map at the end, as in Ruby."""

    word: str
    arguments: tuple[Value, ...] = ()


_WORD = re.compile(r"[a-z][a-z0-9_?]*")
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*(_\d+)*)(\.\d+)?(?![\w.:-])")
_CONSTANT = re.compile(r"(?:[A-Z]\w*::)*[A-Z][A-Za-z0-9_]*")
_SYMBOL = re.compile(r":([A-Za-z_]\w*)")
_KEY = re.compile(r"([A-Za-z_]\w*):(?=\s)")
_NAME = re.compile(r"(true|false|nil)(?!\w)")
_BARE = re.compile(r"[^\s,;'\"{}\[\]#]+")
_TO_ITS_END = re.compile(r"(?:'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|[^;'\"#]++)*+", re.DOTALL)
"""Of a command: up to a semicolon, a comment, or a string without an end."""
_NAMES: dict[str, Value] = {"true": True, "false": False, "nil": None}
_ESCAPES = {
    "n": b"\n",
    "t": b"\t",
    "r": b"\r",
    "0": b"\0",
    "e": b"\x1b",
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "v": b"\v",
}
_HEX = re.compile(r"[0-9A-Fa-f]{1,2}")
_UNICODE = re.compile(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4})")


def parse(line: str) -> list[Command]:
    """The commands of one line; none of an empty line or a comment. Raises ShellSyntaxError."""
    if len(line) > LINE_CHARS_MAX:
        raise ShellSyntaxError(f"a line of more than {LINE_CHARS_MAX} characters", LINE_CHARS_MAX)
    return _Reader(line).commands()


def is_unfinished(line: str) -> bool:
    """Whether a string, a list or a map is open at its end, so that the next line goes on."""
    try:
        parse(line)
    except ShellSyntaxError as error:
        return error.unfinished
    return False


def last_command(text: str) -> str:
    """What is behind the last semicolon that ends a command; for whoever types the next one."""
    at = 0
    while (found := _TO_ITS_END.match(text, at)) is not None and text.startswith(";", found.end()):
        at = found.end() + 1
    return text[at:]


class _Reader:
    """Reads one line from its beginning to its end."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._depth = 0
        self._braced = False
        """Whether the arguments of this command are in parentheses."""

    def commands(self) -> list[Command]:
        found: list[Command] = []
        while True:
            self._space()
            if self._peek() == ";":
                self._at += 1
            elif self._ended():
                return found
            else:
                found.append(self._command())

    def _command(self) -> Command:
        word = self._take(_WORD)
        if word is None:
            raise self._error("a command begins with its name, such as list or help")
        self._space()
        self._braced = self._peek() == "(" and self._to_its_end().endswith(")")
        if self._braced:
            self._at += 1
        arguments = self._arguments(")" if self._braced else "")
        if self._braced:
            self._at += 1
            self._space()
        if not self._is_whole():
            raise self._error("a comma or the end of the line is missing")
        return Command(word, tuple(arguments))

    def _to_its_end(self) -> str:
        found = _TO_ITS_END.match(self._line, self._at)
        assert found is not None, "it matches nothing, too"
        return found.group().rstrip()

    def _is_whole(self) -> bool:
        return self._ended() or self._peek() == ";"

    def _arguments(self, end: str) -> list[Value]:
        """Behind the word: with commas as in Ruby, or bare words with spaces between them."""
        found: list[Value] = []
        pairs: dict[str, Value] = {}
        while True:
            self._space()
            if self._is_whole() or (end and self._peek() == end):
                break
            key = self._key()
            if key is not None:
                pairs[key] = self._value()
            else:
                value = self._value()
                if self._arrow():
                    pairs[_as_key(value)] = self._value()
                else:
                    found.append(value)
            self._space()
            if self._peek() == ",":
                self._at += 1
                self._space()
                if self._is_whole():
                    raise self._error("another argument is missing behind the comma", unfinished=self._ended())
        return [*found, pairs] if pairs else found

    def _value(self) -> Value:
        self._space()
        first = self._peek()
        if first in ("'", '"'):
            return self._string(first)
        if first == "[":
            return self._inside(self._list)
        if first == "{":
            return self._inside(self._map)
        if first == "":
            raise self._error("a value is missing", unfinished=True)
        if (number := self._take(_NUMBER)) is not None:
            return float(number) if "." in number else int(number)
        if (name := self._take(_NAME)) is not None:
            return _NAMES[name]
        if (symbol := _SYMBOL.match(self._line, self._at)) is not None:
            self._at = symbol.end()
            return symbol.group(1).encode()
        if (constant := _CONSTANT.match(self._line, self._at)) is not None and not self._goes_on(constant.end()):
            self._at = constant.end()
            return constant.group().rpartition("::")[2].encode()
        bare = self._take(_BARE)
        if bare is None or bare == "=>":
            raise self._error(f"{first!r} is not expected here")
        if self._braced and self._depth == 0 and bare.endswith(")") and "(" not in bare:
            bare = bare[:-1]
            self._at -= 1
            if not bare:
                raise self._error("a value is missing")
        return bare.encode()

    def _goes_on(self, at: int) -> bool:
        """Whether a bare word only begins like a constant, such as Row-1."""
        rest = _BARE.match(self._line, at)
        return rest is not None and not rest.group().startswith(("=>", ")"))

    def _inside(self, read: Callable[[], Value]) -> Value:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._error(f"lists and maps lie more than {DEPTH_MAX} deep in each other")
        self._at += 1
        value = read()
        self._at += 1
        self._depth -= 1
        return value

    def _list(self) -> Value:
        found: list[Value] = []
        while not self._closed("]"):
            found.append(self._value())
            self._separator("]")
        return found

    def _map(self) -> Value:
        found: dict[str, Value] = {}
        while not self._closed("}"):
            key = self._key()
            if key is None:
                key = _as_key(self._value())
                if not self._arrow():
                    raise self._error("=> is missing behind the key", unfinished=self._ended())
            found[key] = self._value()
            self._separator("}")
        return found

    def _closed(self, end: str) -> bool:
        self._space()
        if self._ended():
            raise self._error(f"{end} is missing", unfinished=True)
        return self._peek() == end

    def _separator(self, end: str) -> None:
        self._space()
        if self._peek() == ",":
            self._at += 1
        elif self._peek() != end:
            raise self._error(f"a comma or {end} is missing", unfinished=self._ended())

    def _key(self) -> str | None:
        found = _KEY.match(self._line, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found.group(1)

    def _arrow(self) -> bool:
        self._space()
        if not self._line.startswith("=>", self._at):
            return False
        self._at += 2
        return True

    def _string(self, quote: str) -> bytes:
        begun = self._at
        self._at += 1
        found = bytearray()
        while True:
            each = self._peek()
            if each == "":
                raise ShellSyntaxError(
                    f"the string that begins here has no end: {quote} is missing", begun, unfinished=True
                )
            self._at += 1
            if each == quote:
                return bytes(found)
            if each != "\\":
                found += each.encode("utf-8", "surrogateescape")
            elif quote == "'":
                found += self._plain_escape()
            else:
                found += self._escape()

    def _plain_escape(self) -> bytes:
        each = self._peek()
        if each in ("'", "\\"):
            self._at += 1
            return each.encode()
        return b"\\"

    def _escape(self) -> bytes:
        each = self._peek()
        self._at += 1
        if each == "x" and (digits := self._take(_HEX)) is not None:
            return bytes([int(digits, 16)])
        if each == "u" and (found := _UNICODE.match(self._line, self._at)) is not None:
            code = int(found.group(1) or found.group(2), 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise self._error(f"there is no character {code:#x}")
            self._at = found.end()
            return chr(code).encode()
        return _ESCAPES.get(each, each.encode("utf-8", "surrogateescape"))

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._line, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found.group()

    def _space(self) -> None:
        found = _SPACE.match(self._line, self._at)
        assert found is not None, "it matches nothing, too"
        self._at = found.end()
        if self._peek() == "#":  # the rest is a comment
            end = self._line.find("\n", self._at)
            self._at = len(self._line) if end < 0 else end
            if end >= 0:
                self._space()

    def _peek(self) -> str:
        return self._line[self._at : self._at + 1]

    def _ended(self) -> bool:
        return self._at >= len(self._line)

    def _error(self, text: str, *, unfinished: bool = False) -> ShellSyntaxError:
        return ShellSyntaxError(text, self._at, unfinished=unfinished)


def _as_key(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
