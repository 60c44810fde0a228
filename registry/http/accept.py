"""Which form of an answer a client wants, read from its Accept header."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

RANGES_MAX = 32
"""Media ranges looked at; a header with more is not from a client that means it."""


class Form(enum.Enum):
    """The forms that answers come in, by media type."""

    JSON = "application/json"
    HTML = "text/html"
    TEXT = "text/plain"
    """Plain, and Prometheus text."""
    OPEN_METRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class _Range:
    kind: str
    subtype: str
    quality: float


def choose(accept: str | None, offered: Sequence[Form]) -> Form:
    """The offered form with the highest quality; the earlier one where two are wanted equally.

    No header, an unreadable one, or one that wants none of them: the first that is offered.
    Source: RFC 9110 section 12.5.1; a more specific range overrides a wildcard.
    """
    ranges = _ranges(accept or "*/*")
    best, best_quality = offered[0], 0.0
    for form in offered:
        quality = _quality(form, ranges)
        if quality > best_quality:
            best, best_quality = form, quality
    return best


def _ranges(accept: str) -> list[_Range]:
    found: list[_Range] = []
    for part in accept.split(",")[:RANGES_MAX]:
        media, *parameters = part.split(";")
        kind, slash, subtype = media.strip().lower().partition("/")
        if not slash:
            continue
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.strip().partition("=")
            if name.strip().lower() == "q":
                quality = _weight(value.strip())
        found.append(_Range(kind, subtype, quality))
    return found


def _weight(text: str) -> float:
    """A quality between 0 and 1; what cannot be read counts as unwanted."""
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0


def _quality(form: Form, ranges: Sequence[_Range]) -> float:
    kind, _, subtype = form.value.partition("/")
    best_rank, quality = 0, 0.0
    for media in ranges:
        if (media.kind, media.subtype) == (kind, subtype):
            rank = 3
        elif (media.kind, media.subtype) == (kind, "*"):
            rank = 2
        elif (media.kind, media.subtype) == ("*", "*"):
            rank = 1
        else:
            continue
        if rank > best_rank or (rank == best_rank and media.quality > quality):
            best_rank, quality = rank, media.quality
    return quality
