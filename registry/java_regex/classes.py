r"""Sets of characters in Java's patterns: classes, \p{..}, and how case is ignored. Pure.

Source: java.util.regex.Pattern, java.util.regex.CharPredicates; POSIX classes are of ASCII, as where Java is not told
UNICODE_CHARACTER_CLASS.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

Test = Callable[[str], bool]


class CharSet:
    """Which characters belong to it."""

    __slots__ = ("_test", "chars", "tests_count")

    def __init__(self, test: Test, chars: frozenset[str] | None = None, tests_count: int = 1) -> None:
        self._test = test
        self.chars = chars
        """All of them, where they are known one by one."""
        self.tests_count = tests_count
        """How many tests it takes to know whether a character belongs to it."""

    def __contains__(self, char: str) -> bool:
        return self._test(char)

    def single(self) -> str | None:
        """Its only character, where it was written as one."""
        return next(iter(self.chars)) if self.chars is not None and len(self.chars) == 1 else None

    def negated(self) -> CharSet:
        """All others."""
        return CharSet(lambda char: not self._test(char), tests_count=self.tests_count)

    def folded(self, *, unicode: bool) -> CharSet:
        """Whatever its case: of ASCII letters alone, unless `unicode`."""
        single = self.single()
        small = _small(single) if single is not None and (unicode or single.isascii()) else None

        def test(char: str) -> bool:
            if self._test(char):
                return True
            if not (unicode or char.isascii()):
                return False
            return _small(char) == small or (single is None and (self._test(_small(char)) or self._test(_big(char))))

        return CharSet(test, tests_count=3 * self.tests_count)

    @classmethod
    def all(cls) -> CharSet:
        """Every character."""
        return cls(lambda _: True)

    @classmethod
    def range(cls, low: str, high: str) -> CharSet:
        """From one to another, both among them."""
        return cls(lambda char: low <= char <= high)

    @classmethod
    def any_of(cls, sets: Sequence[CharSet]) -> CharSet:
        """Of one of these, however many: they are asked one after another, not one by the other."""
        chars = frozenset[str]().union(*[each.chars for each in sets if each.chars is not None])
        others = tuple(dict.fromkeys(each for each in sets if each.chars is None))
        if not others:
            return cls(chars.__contains__, chars)
        tests_count = 1 + _tests_of(others)
        return cls(lambda char: char in chars or any(char in each for each in others), tests_count=tests_count)

    @classmethod
    def all_of(cls, sets: Sequence[CharSet]) -> CharSet:
        """Of all of these."""
        return cls(lambda char: all(char in each for each in sets), tests_count=_tests_of(sets))


def _big(char: str) -> str:
    made = char.upper()
    return made if len(made) == 1 else char


def _small(char: str) -> str:
    """What is the same for all that differ in case."""
    made = _big(char).lower()
    return made if len(made) == 1 else char


def _tests_of(sets: Iterable[CharSet]) -> int:
    return sum(each.tests_count for each in sets)


@lru_cache(maxsize=256)
def one_of(chars: str) -> CharSet:
    """These."""
    return _of(chars)


def _of(chars: Iterable[str]) -> CharSet:
    known = frozenset(chars)
    return CharSet(known.__contains__, known)


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


_CASES = frozenset({"Lu", "Ll", "Lt"})
_JAVA_CASES = frozenset({"javaLowerCase", "javaUpperCase", "IsLowercase", "IsUppercase"})


@lru_cache(maxsize=256)
def category_named(name: str, *, any_case: bool = False) -> CharSet | None:
    r"""Of \p{name}; None where there is no such thing, or it is not known here (scripts and blocks).

    `any_case`: what goes by the case of letters goes by none.
    """
    if any_case and name in _JAVA_CASES:
        return CharSet(lambda char: char.islower() or char.isupper() or char.istitle())
    if any_case and name in ("Lower", "Upper"):
        name = "Alpha"
    if name in _ASCII_SETS:
        return _ASCII_SETS[name]
    if name in _TESTS:
        return CharSet(_TESTS[name])
    short = name.removeprefix("Is").removeprefix("general_category=").removeprefix("gc=")
    if any_case and short in _CASES:
        return CharSet(lambda char: unicodedata.category(char) in _CASES)
    if short in _CATEGORIES or short in ("L", "M", "N", "P", "S", "Z", "C"):
        return CharSet(lambda char: unicodedata.category(char).startswith(short))
    return None
