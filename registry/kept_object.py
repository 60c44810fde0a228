"""JSON objects that hbeacon keeps in files and znodes for its next start, read with the format that they have.

    {"format": 1, ...}

A format rises when an older program must not go on with what it finds, so what is newer is never half understood.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

TEXT_MAX = 4096
"""Ours are short; what is longer is somebody else's."""
SHOWN_MAX = 60

_Fields = TypeVar("_Fields")


def read_kept(
    where: str,
    data: str | bytes,
    format_known: int,
    fields: Callable[[dict[str, Any]], _Fields],
    error: type[Exception],
    cure: str = "restore it",
) -> _Fields:
    """What `fields` makes of the object; it may raise as int() and a missing key do.

    Raises `error` with one line that says where, what and the cure: it is not ours or damaged, or of a newer hbeacon.
    """
    try:
        row: dict[str, Any] = json.loads(data[:TEXT_MAX])
        number = int(row["format"])
        found = None if number > format_known else fields(row)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise error(f"{where} holds what hbeacon does not write there ({data[:SHOWN_MAX]!r}): {cure}") from None
    if found is None:
        raise error(f"{where} has format {number}, this hbeacon reads {format_known}: run the newer one")
    return found
