"""Patterns that are texts in a row with anything between them: `^row.*77$`. No machine is needed to find these.

Pure. They are looked for among bytes, which is the same where they are of ASCII: in UTF-8, whole or broken, such a byte
stands for itself alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DOTALL = 32
"""By its number in java.util.regex.Pattern; RegexStringComparator has it unless told otherwise."""
_ANY = ".*"
_PLAIN = re.compile(r"""(\^?)((?:[A-Za-z0-9 _:/,;=@%&#"'<>!~`-]|\\[!-/:-@\[-`{-~]|\.\*)*)(\$?)""")
_PARTS = re.compile(r"\.\*|\\?.")

LINE_ENDS_LAST = frozenset(b"\n\r\x85\xa8\xa9")
"""What a text ends with that ends with a line's end; `$` holds before that, too."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Texts in their order, any characters between two of them."""

    texts: tuple[bytes, ...]
    """At least one, which may be empty."""
    at_start: bool
    """The first one begins the text."""
    at_end: bool
    """The last one ends it."""

    def finds(self, data: bytes) -> bool | None:
        """Whether a part of it matches; None: it ends with what may be a line's end, and a machine has to say."""
        texts, at, stop = self.texts, 0, len(data)
        if self.at_end and data and data[-1] in LINE_ENDS_LAST:
            return None
        if self.at_start:
            if not data.startswith(texts[0]):
                return False
            if len(texts) == 1:
                return not self.at_end or len(texts[0]) == stop
            at, texts = len(texts[0]), texts[1:]
        if self.at_end:
            stop -= len(texts[-1])
            if stop < at or not data.endswith(texts[-1]):
                return False
            texts = texts[:-1]
        for text in texts:
            found = data.find(text, at, stop)
            if found < 0:
                return False
            at = found + len(text)
        return True


def pieces_of(pattern: str, flags: int) -> Pieces | None:
    """A pattern as texts in a row; None where it is anything else."""
    found = _PLAIN.fullmatch(pattern)
    if found is None or flags & ~DOTALL or (_ANY in pattern and not flags & DOTALL):
        return None
    begin, body, end = found.groups()
    texts = [""]
    for part in _PARTS.findall(body):
        if part == _ANY:
            texts.append("")
        else:
            texts[-1] += part[-1]
    return Pieces(tuple([each.encode("ascii") for each in texts]), at_start=bool(begin), at_end=bool(end))
