r"""Sets of characters in Java's patterns: classes, \p{..}, and how case is ignored. Pure.

Source: java.util.regex.Pattern, java.util.regex.CharPredicates; POSIX classes are of ASCII, as where Java is not told
UNICODE_CHARACTER_CLASS.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterable

Test = Callable[[str], bool]


class CharSet:
    """Which characters belong to it."""

    __slots__ = ("_single", "_test")

    def __init__(self, test: Test, single: str | None = None) -> None:
        self._test = test
        self._single = single

    def __contains__(self, char: str) -> bool:
        return self._test(char)

    def single(self) -> str | None:
        """Its only character, where it was written as one."""
        return self._single

    def negated(self) -> CharSet:
        """All others."""
        return CharSet(lambda char: not self._test(char))

    def either(self, other: CharSet) -> CharSet:
        """Of this or the other."""
        return CharSet(lambda char: self._test(char) or char in other)

    def both(self, other: CharSet) -> CharSet:
        """Of this and the other."""
        return CharSet(lambda char: self._test(char) and char in other)

    def folded(self, *, unicode: bool) -> CharSet:
        """Whatever its case: of ASCII letters alone, unless `unicode`."""

        def test(char: str) -> bool:
            if self._test(char):
                return True
            if not (unicode or char.isascii()):
                return False
            return any(len(other) == 1 and self._test(other) for other in (char.lower(), char.upper()))

        return CharSet(test, self._single)

    @classmethod
    def all(cls) -> CharSet:
        """Every character."""
        return cls(lambda _: True)

    @classmethod
    def none(cls) -> CharSet:
        """None."""
        return cls(lambda _: False)

    @classmethod
    def range(cls, low: str, high: str) -> CharSet:
        """From one to another, both among them."""
        return cls(lambda char: low <= char <= high)


def one_of(chars: str) -> CharSet:
    """These."""
    return CharSet(frozenset(chars).__contains__, chars if len(chars) == 1 else None)


def _of(chars: Iterable[str]) -> CharSet:
    return CharSet(frozenset(chars).__contains__)


_DIGIT, _WORD, _SPACE = _of(string.digits), _of(string.ascii_letters + string.digits + "_"), _of(" \t\n\x0b\f\r")
_HORIZONTAL, _VERTICAL = _of(" \t\xa0\u1680\u180e\u202f\u205f\u3000"), _of("\n\x0b\f\r\x85\u2028\u2029")
_ESCAPED = {"d": _DIGIT, "w": _WORD, "s": _SPACE, "h": _HORIZONTAL, "v": _VERTICAL}


def escaped_class(letter: str) -> CharSet | None:
    r"""Of \d, \W and their like; None for other letters."""
    if letter in _ESCAPED:
        return _ESCAPED[letter]
    return _ESCAPED[letter.lower()].negated() if letter.lower() in _ESCAPED else None


def _is_alphabetic(char: str) -> bool:
    return char.isalpha() or unicodedata.category(char) == "Nl"


_ASCII_SETS: dict[str, CharSet] = {
    "Lower": _of(string.ascii_lowercase),
    "Upper": _of(string.ascii_uppercase),
    "ASCII": CharSet(str.isascii),
    "Alpha": _of(string.ascii_letters),
    "Digit": _DIGIT,
    "Alnum": _of(string.ascii_letters + string.digits),
    "Punct": _of(string.punctuation),
    "Graph": _of(string.ascii_letters + string.digits + string.punctuation),
    "Print": _of(string.ascii_letters + string.digits + string.punctuation + " "),
    "Blank": _of(" \t"),
    "Cntrl": CharSet(lambda char: char < " " or char == "\x7f"),
    "XDigit": _of(string.hexdigits),
    "Space": _SPACE,
}
_TESTS: dict[str, Test] = {
    "javaLowerCase": str.islower,
    "javaUpperCase": str.isupper,
    "javaLetter": str.isalpha,
    "javaDigit": str.isdecimal,
    "javaLetterOrDigit": lambda char: char.isalpha() or char.isdecimal(),
    "javaAlphabetic": _is_alphabetic,
    "javaWhitespace": str.isspace,
    "IsAlphabetic": _is_alphabetic,
    "IsLetter": str.isalpha,
    "IsDigit": str.isdecimal,
    "IsUppercase": str.isupper,
    "IsLowercase": str.islower,
    "IsWhite_Space": str.isspace,
    "IsPunctuation": lambda char: unicodedata.category(char).startswith("P"),
}
_CATEGORIES = frozenset(
    kind + each
    for kind, those in (("L", "ultmo"), ("M", "nce"), ("N", "dlo"), ("P", "cdseifo"), ("S", "mcko"), ("Z", "slp"))
    for each in those
) | {"Cc", "Cf", "Cs", "Co", "Cn"}


def category_named(name: str) -> CharSet | None:
    r"""Of \p{name}; None where there is no such thing, or it is not known here (scripts and blocks)."""
    if name in _ASCII_SETS:
        return _ASCII_SETS[name]
    if name in _TESTS:
        return CharSet(_TESTS[name])
    short = name.removeprefix("Is").removeprefix("general_category=").removeprefix("gc=")
    if short in _CATEGORIES or short in ("L", "M", "N", "P", "S", "Z", "C"):
        return CharSet(lambda char: unicodedata.category(char).startswith(short))
    return None
