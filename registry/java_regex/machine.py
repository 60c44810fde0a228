"""A machine that matches: all its states are followed at once, so no pattern costs more than its size times the text.

Sets of states that have been met are remembered, and where a character leads from each: most characters of most texts
are one look into a table. Characters that the pattern does not tell from each other are worked out once. What is
remembered is bounded, and what has to be worked out is, too (`effort`).

Pure. Source: Thompson, Regular Expression Search Algorithm, 1968; what anchors hold at: java.util.regex.Pattern's
Begin, Caret, UnixCaret, Dollar, UnixDollar, Bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from registry.java_regex.classes import CharSet
from registry.java_regex.effort import STATE_COST, Effort
from registry.wire.errors import DoNotRetryIOException

STATES_MAX = 5000
"""After repetitions have been written out."""
LINE_ENDS = frozenset("\n\r\x85\u2028\u2029")
_BEGIN = ""
"""What stands before the first character."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """What a pattern tells of a character; there is one for all that it does not tell from each other."""

    seen: str
    """What anchors see in it."""
    belongs: tuple[bool, ...]
    """To which of the pattern's sets."""


@dataclass(slots=True, eq=False)
class _Met:
    """A set of states at a place: what can be reached from it without a character is not in it yet."""

    states: frozenset[int]
    before: str
    """A character of the kind that stands before the place; anchors look at it."""
    after: dict[str, _Met | None] = field(default_factory=dict[str, "_Met | None"])
    """Where characters lead; None: the text is found, whatever follows."""
    after_kind: dict[_Kind, _Met | None] = field(default_factory=dict["_Kind", "_Met | None"])
    """The same by their kinds."""


class Pattern:
    """A compiled pattern. States are numbers; each consumes one character of a set, or goes on at once."""

    def __init__(self, node: Node, effort: Effort | None = None) -> None:
        """`effort`: of those that it is asked together with; without it each text may cost as much as one may."""
        self._effort = effort or Effort()
        self._is_alone = effort is None
        self._sets: dict[CharSet, int] = {}
        self._accepts: list[int | None] = []
        """By state, the number of the set."""
        self._anchors: list[str] = []
        self._next: list[list[int]] = []
        self._end = self._state()
        self._start = self._add(node, self._end)
        self._looks_around = any(self._anchors)
        self._looks_at_end = any("end" in kind for kind in self._anchors)
        self._kind_cost = sum(each.tests_count for each in self._sets)
        self._met: dict[tuple[frozenset[int], str, bool], _Met] = {}
        self._kinds: dict[str, _Kind] = {}
        """Of characters."""
        self._has_forgotten = False
        self._kinds_known: dict[tuple[str, tuple[bool, ...]], _Kind] = {}

    @property
    def places_count(self) -> int:
        """How many sets of states are remembered."""
        return len(self._met)

    def matches(self, text: str) -> bool:
        """Whether the whole of it does. Raises DoNotRetryIOException when it was too much."""
        return self._run(text, finds=False)

    def finds(self, text: str) -> bool:
        """Whether a part of it does: Matcher#find. Raises DoNotRetryIOException when it was too much."""
        return self._run(text, finds=True)

    def _run(self, text: str, *, finds: bool) -> bool:
        if self._is_alone:
            self._effort.begin()
        self._effort.read(len(text))
        place = self._place(frozenset((self._start,)), _BEGIN, finds)
        last = _last_line_end(text) if self._looks_at_end else len(text)
        for char in text if last == len(text) else text[:last]:
            try:
                found = place.after[char]
            except KeyError:
                found = self._learn(place, char, finds)
            if found is None:
                return True
            if not found.states:
                return False
            place = found
        return self._run_end(text, last, place.states, finds=finds)

    def _run_end(self, text: str, at: int, states: Iterable[int], *, finds: bool) -> bool:
        """The last places: before and behind a line's end that ends the text, and where the text ends."""
        while True:
            before = text[at - 1] if at else _BEGIN
            closed = self._closed(states, before, text[at : at + 1], is_last=True)
            if self._end in closed and (finds or at == len(text)):
                return True
            if at == len(text):
                return False
            states = self._step(closed, self._kind_of(text[at]))
            if finds:
                states.add(self._start)
            at += 1

    def _place(self, states: frozenset[int], before: str, finds: bool) -> _Met:
        seen = _seen_by_anchors(before) if self._looks_around else _BEGIN
        found = self._met.get((states, seen, finds))
        if found is None:
            self._effort.remember(1 + len(states), self._forget)
            found = self._met[states, seen, finds] = _Met(states, seen)
        return found

    def _kind_of(self, char: str) -> _Kind:
        found = self._kinds.get(char)
        if found is None:
            self._effort.spend(self._kind_cost)
            self._effort.remember(1 + len(self._sets), self._forget)
            seen = _seen_by_anchors(char) if self._looks_around else _BEGIN
            belongs = tuple([char in each for each in self._sets])
            found = self._kinds[char] = self._kinds_known.setdefault((seen, belongs), _Kind(seen, belongs))
        return found

    def _learn(self, place: _Met, char: str, finds: bool) -> _Met | None:
        """Where a character leads, for the first time."""
        kind = self._kind_of(char)
        if kind in place.after_kind:
            found = place.after_kind[kind]
        else:
            found = place.after_kind[kind] = self._reached(place, kind, char, finds)
        place.after[char] = found
        self._effort.remember(1, self._forget)
        if self._has_forgotten:
            self._has_forgotten = False
            place.after.clear()  # it is the one place that is still needed
            place.after_kind.clear()
        return found

    def _forget(self) -> None:
        self._has_forgotten = True
        self._met.clear()
        self._kinds.clear()
        self._kinds_known.clear()

    def _reached(self, place: _Met, kind: _Kind, char: str, finds: bool) -> _Met | None:
        closed = self._closed(place.states, place.before, char, is_last=False)
        if finds and self._end in closed:
            return None
        states = self._step(closed, kind)
        if finds:
            states.add(self._start)
        return self._place(frozenset(states), char, finds)

    def _step(self, states: Iterable[int], kind: _Kind) -> set[int]:
        belongs = kind.belongs
        after: set[int] = set()
        for state in states:
            accepts = self._accepts[state]
            if accepts is not None and belongs[accepts]:
                after.update(self._next[state])
        return after

    def _closed(self, states: Iterable[int], before: str, behind: str, *, is_last: bool) -> set[int]:
        """With all that can be reached without a character."""
        seen: set[int] = set()
        todo = list(states)
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            anchor = self._anchors[state]
            if self._accepts[state] is None and (not anchor or _holds(anchor, before, behind, is_last=is_last)):
                todo += self._next[state]
        self._effort.spend(len(seen))
        return seen

    def _state(self, accepts: CharSet | None = None, following: Sequence[int] = (), anchor: str = "") -> int:
        if len(self._next) >= STATES_MAX:
            raise DoNotRetryIOException(f"a pattern may have {STATES_MAX} parts when repetitions are written out")
        self._effort.spend(STATE_COST)
        self._accepts.append(None if accepts is None else self._sets.setdefault(accepts, len(self._sets)))
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


def _last_line_end(text: str) -> int:
    """From where on `$` may hold: before the end of the last line, or where the text ends."""
    if text.endswith("\r\n"):
        return len(text) - 2
    return len(text) - 1 if text and text[-1] in LINE_ENDS else len(text)


def _seen_by_anchors(char: str) -> str:
    """One for all characters that anchors tell not from each other."""
    if char == _BEGIN or char in "\n\r":
        return char
    if char in LINE_ENDS:
        return "\x85"
    return "a" if _is_word(char) else " "


def _holds(anchor: str, before: str, behind: str, *, is_last: bool) -> bool:
    """Whether it holds between two characters; `is_last`: nothing but the end of the last line may follow."""
    match anchor:
        case "start":
            return before == _BEGIN
        case "line start":  # not at the end of the text: as Perl
            return behind != "" and (
                before == _BEGIN or (before in LINE_ENDS and not (before == "\r" and behind == "\n"))
            )
        case "unix line start":
            return behind != "" and before in (_BEGIN, "\n")
        case "text end":
            return behind == ""
        case "end" | "line end":
            if behind == "":
                return True
            between = before == "\r" and behind == "\n"
            return behind in LINE_ENDS and not between and (is_last or anchor == "line end")
        case "unix end" | "unix line end":
            return behind == "" or (behind == "\n" and (is_last or anchor == "unix line end"))
        case _:
            is_boundary = (before != _BEGIN and _is_word(before)) != (behind != "" and _is_word(behind))
            return is_boundary == (anchor == "boundary")


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()
