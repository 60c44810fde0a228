"""A machine that matches: all its states are followed at once, so no pattern costs more than its size times the text.

Pure. Source: Thompson, Regular Expression Search Algorithm, 1968.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.master.tables.pattern_classes import CharSet
from registry.wire.errors import DoNotRetryIOException

STATES_MAX = 5000
"""After repetitions have been written out."""
COST_MAX = 20_000_000
"""States looked at, over all texts."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    accepts: CharSet


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place; nothing is consumed."""

    kind: str


@dataclass(frozen=True, slots=True)
class Series:
    """One after another."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """So many times; no `most`: as often as there is."""

    part: Node
    least: int
    most: int | None


Node = Chars | Anchor | Series | Choice | Repeat


class Pattern:
    """A compiled pattern. States are numbers; each consumes one character of a set, or goes on at once."""

    def __init__(self, node: Node) -> None:
        self.cost = 0
        """How many states have been looked at so far."""
        self._accepts: list[CharSet | None] = []
        self._anchors: list[str] = []
        self._next: list[list[int]] = []
        self._end = self._state()
        self._start = self._add(node, self._end)

    def matches(self, text: str) -> bool:
        """Whether the whole of it does. Raises DoNotRetryIOException when all texts together were too much."""
        states = self._closed([self._start], text, 0)
        for at, char in enumerate(text):
            after: list[int] = []
            for state in states:
                accepts = self._accepts[state]
                if accepts is not None and char in accepts:
                    after += self._next[state]
            states = self._closed(after, text, at + 1)
            if not states:
                return False
            if self.cost > COST_MAX:
                raise DoNotRetryIOException("this pattern costs too much for the number of tables here")
        return self._end in states

    def _closed(self, states: Sequence[int], text: str, at: int) -> set[int]:
        """With all that can be reached without a character."""
        seen: set[int] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            self.cost += 1
            if self._accepts[state] is None and self._holds(self._anchors[state], text, at):
                todo += self._next[state]
        return seen

    def _holds(self, anchor: str, text: str, at: int) -> bool:
        if not anchor:
            return True
        is_first, is_last = at == 0, at == len(text)
        if anchor in ("start", "end"):
            return is_first if anchor == "start" else is_last
        if anchor == "line start":
            return is_first or text[at - 1] == "\n"
        if anchor == "line end":
            return is_last or text[at] == "\n"
        is_boundary = (not is_first and _is_word(text[at - 1])) != (not is_last and _is_word(text[at]))
        return is_boundary == (anchor == "boundary")

    def _state(self, accepts: CharSet | None = None, following: Sequence[int] = (), anchor: str = "") -> int:
        if len(self._next) >= STATES_MAX:
            raise DoNotRetryIOException(f"a pattern may have {STATES_MAX} parts when repetitions are written out")
        self._accepts.append(accepts)
        self._anchors.append(anchor)
        self._next.append(list(following))
        return len(self._next) - 1

    def _add(self, node: Node, then: int) -> int:
        """The state in which the part begins, made so that `then` follows it."""
        match node:
            case Chars(accepts):
                return self._state(accepts, (then,))
            case Anchor(kind):
                return self._state(None, (then,), kind)
            case Series(parts):
                for part in reversed(parts):
                    then = self._add(part, then)
                return then
            case Choice(parts):
                return self._state(None, [self._add(part, then) for part in parts])
            case Repeat(part, least, most):
                return self._repeated(part, least, most, then)

    def _repeated(self, part: Node, least: int, most: int | None, then: int) -> int:
        if most is None:
            loop = self._state(None, (then,))
            self._next[loop].append(self._add(part, loop))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._state(None, (end, self._add(part, then)))
        for _ in range(least):
            then = self._add(part, then)
        return then


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()
