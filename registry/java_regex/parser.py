r"""Java's regular expressions, matched in time that grows with the text and never explodes. Pure.

A pattern becomes a small machine (`machine`), so what such a machine cannot do (back references, looking
around, possessive and atomic parts) is refused with a sentence; what Java itself refuses, with Java's words.

Known: literals, escapes, \Q..\E, `.`, classes with ranges, unions, intersections and negation, \d \w \s and their
opposites, \p{..} of POSIX, java.lang.Character and Unicode's general categories, groups with and without names,
flags (?i) (?s) (?m) (?x) (?u) (?d), alternatives, all quantifiers that give back, ^ $ \A \z \Z \b \B.

Source: java.util.regex.Pattern.
"""

from __future__ import annotations

from registry.java_regex.classes import CharSet, category_named, escaped_class, one_of
from registry.java_regex.effort import Effort
from registry.java_regex.machine import LINE_ENDS, Anchor, Chars, Choice, Node, Pattern, Repeat, Series
from registry.wire.errors import DoNotRetryIOException, IOException

PATTERN_MAX = 2000
"""Characters; a list of some hundred names fits."""
REPEAT_MAX = 1000
DEPTH_MAX = 50
"""Of groups and classes within each other."""

DIGITS = frozenset("0123456789")
_SPACES = frozenset(" \t\n\v\f\r")
_SIMPLE = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "a": "\a", "e": "\x1b"}
_ANCHORS = {"A": "start", "z": "text end", "Z": "end", "b": "boundary", "B": "inside", "G": "start"}
_FLAGS = {1: "d", 2: "i", 4: "x", 8: "m", 32: "s", 64: "u"}
"""By their numbers in java.util.regex.Pattern."""
LITERAL = 16
_NOTHING = Series(())
_LINE_BREAK = Choice((Series((Chars(one_of("\r")), Chars(one_of("\n")))), Chars(one_of("\n\v\f\r\x85\u2028\u2029"))))
_UNKNOWN = {"X": "a grapheme", "N": "the name of a character", **dict.fromkeys("123456789k", "a back reference")}
_KNOWN = sum(_FLAGS) | LITERAL


def compile_pattern(text: str, flags: int = 0, effort: Effort | None = None) -> Pattern:
    """The machine; `flags` as Pattern#compile takes them, `effort` as the machine does.

    Raises IOException as Java would, DoNotRetryIOException for what is not known here.
    """
    if len(text) > PATTERN_MAX:
        raise DoNotRetryIOException(f"a pattern may have {PATTERN_MAX} characters, this one has {len(text)}")
    if flags & ~_KNOWN:
        raise DoNotRetryIOException(f"flags {flags & ~_KNOWN:#x} are not supported in patterns: {text}")
    parser = _Parser(text, frozenset(name for bit, name in _FLAGS.items() if flags & bit))
    return Pattern(parser.literal() if flags & LITERAL else parser.parsed(), effort)


class _Parser:
    def __init__(self, text: str, flags: frozenset[str] = frozenset()) -> None:
        self._text = text
        self._at = 0
        self._flags = flags
        self._depth = 0

    def parsed(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise self._error("Unmatched closing ')'", self._at - 1)
        return node

    def literal(self) -> Node:
        return Series(tuple([self._literal(char) for char in self._text]))

    def _choice(self) -> Node:
        flags = self._flags
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        self._flags = flags
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if "x" in self._flags and self._comment():
                continue
            atoms = self._atoms()
            if atoms:
                atoms[-1] = self._quantified(atoms[-1])
            parts += atoms
        return Series(tuple([each for each in parts if each != _NOTHING]))

    def _comment(self) -> bool:
        char = self._peek()
        if char == "#":
            ends = "\n" if "d" in self._flags else LINE_ENDS
            while self._at < len(self._text) and self._text[self._at] not in ends:
                self._at += 1
            return True
        if char and char in _SPACES:
            self._at += 1
            return True
        return False

    def _atoms(self) -> list[Node]:
        """Several for a quoted part: a quantifier behind it is of its last character."""
        char = self._text[self._at]
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return [Chars(self._class())]
        if char == ".":
            line_ends = one_of("\n" if "d" in self._flags else "\n\r\x85\u2028\u2029")
            return [Chars(CharSet.all() if "s" in self._flags else line_ends.negated())]
        if char == "^":
            return [self._anchor("line start") if "m" in self._flags else Anchor("start")]
        if char == "$":
            return [self._anchor("line end" if "m" in self._flags else "end")]
        if char in "*+?":
            raise self._error(f"Dangling meta character '{char}'", self._at - 1)
        if char == "{":
            self._at -= 1
            return [_NOTHING]
        if char == "\\":
            return self._escape()
        return [self._literal(char)]

    def _anchor(self, kind: str) -> Node:
        return Anchor(f"unix {kind}" if "d" in self._flags else kind)

    def _literal(self, char: str) -> Node:
        return Chars(self._folded(one_of(char)))

    def _folded(self, chars: CharSet) -> CharSet:
        """Single characters and ranges; classes say themselves what case is to them."""
        return chars.folded(unicode="u" in self._flags) if "i" in self._flags else chars

    # --- groups -------------------------------------------------------------------------------------------------

    def _group(self) -> list[Node]:
        outer = self._flags
        self._deeper()
        if self._take("?"):
            if self._take(":"):
                pass
            elif self._take("<"):
                if self._peek() in ("=", "!"):
                    raise self._unknown("looking behind")
                end = self._text.find(">", self._at)
                if end < 0 or not self._text[self._at : end].isalnum():
                    raise self._error("named capturing group is missing trailing '>'", self._at)
                self._at = end + 1
            elif self._peek() in ("=", "!"):
                raise self._unknown("looking ahead")
            elif self._peek() == ">":
                raise self._unknown("an atomic group")
            elif self._take_flags():
                self._depth -= 1
                return []  # for the rest of the group that it stands in
        node = self._choice()
        if not self._take(")"):
            raise self._error("Unclosed group", len(self._text))
        self._depth -= 1
        self._flags = outer
        return [node]

    def _take_flags(self) -> bool:
        """Whether they stand by themselves, as in (?i); those of (?i:..) hold within that group."""
        flags, on = set(self._flags), True
        while True:
            char = self._peek()
            self._at += 1
            if char == "-":
                on = False
            elif char in ("i", "s", "m", "x", "u", "d"):
                (flags.add if on else flags.discard)(char)
            elif char in (")", ":"):
                self._flags = frozenset(flags)
                return char == ")"
            else:
                raise self._error("Unknown inline modifier", self._at - 1)

    # --- quantifiers --------------------------------------------------------------------------------------------

    def _quantified(self, node: Node) -> Node:
        """At most one is of it: behind that another of the kind {n} is of nothing, for Java."""
        while "x" in self._flags and self._comment():
            pass
        least, most = 0, None
        if self._take("*"):
            pass
        elif self._take("+"):
            least = 1
        elif self._take("?"):
            most = 1
        elif self._peek() == "{":
            least, most = self._bounds()
        else:
            return node
        if self._peek() == "+":
            raise self._unknown("a possessive quantifier")
        self._take("?")
        return Repeat(node, least, most) if node != _NOTHING and most != 0 else _NOTHING

    def _bounds(self) -> tuple[int, int | None]:
        opened = self._at
        self._at += 1
        low, high = self._digits(), ""
        if not low:
            raise self._error("Illegal repetition", self._at)
        is_open = self._take(",")
        if is_open:
            high = self._digits()
        if not self._take("}"):
            raise self._error("Unclosed counted closure", self._at)
        least = int(low)
        most = least if not is_open else int(high) if high else None
        if most is not None and most < least:
            raise self._error("Illegal repetition range", opened + 1)
        if max(least, most or 0) > REPEAT_MAX:
            raise self._unknown(f"a part that is repeated more than {REPEAT_MAX} times")
        return least, most

    def _digits(self) -> str:
        begin = self._at
        while self._peek() in DIGITS:
            self._at += 1
        return self._text[begin : self._at]

    # --- escapes and classes ------------------------------------------------------------------------------------

    def _escape(self) -> list[Node]:
        char = self._peek()
        if not char:
            raise self._error("Unexpected internal error", len(self._text))
        if char == "Q":
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at + 1 : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._text)
            return [self._literal(each) for each in quoted]
        if char == "R":
            self._at += 1
            return [_LINE_BREAK]
        if char in _UNKNOWN:
            raise self._unknown(_UNKNOWN[char])
        if char in _ANCHORS:
            self._at += 1
            return [self._anchor("end") if char == "Z" else Anchor(_ANCHORS[char])]
        found = self._escaped_set()
        return [Chars(found if found.single() is None else self._folded(found))]

    def _escaped_set(self) -> CharSet:
        """After a backslash: a character or a class."""
        char = self._peek()
        self._at += 1
        if (found := escaped_class(char)) is not None:
            return found
        if char in "pP":
            return self._property(negated=char == "P")
        if char in _SIMPLE:
            return one_of(_SIMPLE[char])
        if char in "xu0c":
            return one_of(self._coded(char))
        if char.isascii() and char.isalpha():
            raise self._error("Illegal/unsupported escape sequence", self._at - 1)
        return one_of(char)

    def _coded(self, kind: str) -> str:
        rest = self._text[self._at :]
        if kind == "c" and rest:
            self._at += 1
            return chr(ord(rest[0]) ^ 64)
        if kind == "x" and rest.startswith("{") and "}" in rest:
            digits, self._at = rest[1 : rest.index("}")], self._at + rest.index("}") + 1
        else:
            count = {"x": 2, "u": 4}.get(kind, 0)
            if kind == "0":
                count = next((n for n, each in enumerate(rest[:3]) if each not in "01234567"), min(3, len(rest)))
            digits, self._at = rest[:count], self._at + count
        try:
            return chr(int(digits, 8 if kind == "0" else 16))
        except (ValueError, OverflowError):
            name = {"x": "hexadecimal", "u": "Unicode", "0": "octal", "c": "control"}[kind]
            raise self._error(f"Illegal {name} escape sequence", self._at) from None

    def _property(self, *, negated: bool) -> CharSet:
        if self._take("{"):
            end = self._text.find("}", self._at)
            if end < 0:
                raise self._error("Unclosed character family", len(self._text) - 1)
            name, self._at = self._text[self._at : end], end + 1
        else:
            name, self._at = self._peek(), self._at + 1
        found = category_named(name, any_case="i" in self._flags)
        if found is None:
            raise self._error(f"Unknown character property name {{{name}}}", self._at - 1)
        return found.negated() if negated else found

    def _class(self) -> CharSet:
        """Behind `[`: unions bind closer than `&&`."""
        self._deeper()
        negated = self._take("^")
        met: list[list[CharSet]] = [[]]
        while True:
            while "x" in self._flags and self._comment():
                pass
            char = self._peek()
            if not char:
                raise self._error("Unclosed character class", len(self._text) - 1)
            if char == "]" and (met[-1] or len(met) > 1):
                break
            if self._text.startswith("&&", self._at):
                self._at += 2
                met.append([])
            else:
                met[-1].append(self._member())
        parts = [CharSet.any_of(each) for each in met if each]
        if not parts:
            raise self._error("Bad class syntax", self._at - 1)
        self._at += 1
        self._depth -= 1
        found = CharSet.all_of(parts) if len(parts) > 1 else parts[0]
        return found.negated() if negated else found

    def _member(self) -> CharSet:
        char = self._peek()
        self._at += 1
        if char == "[":
            return self._class()
        if char == "\\":
            if self._peek() == "Q":
                self._at += 1
                end = self._text.find("\\E", self._at)
                quoted = self._text[self._at : end if end >= 0 else None]
                self._at = end + 2 if end >= 0 else len(self._text)
                return self._folded(one_of(quoted))
            low = self._escaped_set()
        else:
            low = one_of(char)
        single = low.single()
        if single is None:
            return low
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", "[", ""):
            return self._folded(low)
        self._at += 1
        char = self._peek()
        self._at += 1
        high = (self._escaped_set() if char == "\\" else one_of(char)).single()
        if high is None or high < single:
            raise self._error("Illegal character range", self._at - 1)
        return self._folded(CharSet.range(single, high))

    # --- text ---------------------------------------------------------------------------------------------------

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, char: str) -> bool:
        if self._peek() == char:
            self._at += 1
            return True
        return False

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._unknown(f"more than {DEPTH_MAX} groups within each other")

    def _error(self, what: str, index: int) -> IOException:
        """As PatternSyntaxException tells it."""
        caret = f"\n{' ' * index}^" if 0 <= index < len(self._text) else ""
        near = f" near index {index}" if index >= 0 else ""
        return IOException(f"{what}{near}\n{self._text}{caret}")

    def _unknown(self, what: str) -> DoNotRetryIOException:
        return DoNotRetryIOException(f"{what} is not supported in patterns: {self._text}")
