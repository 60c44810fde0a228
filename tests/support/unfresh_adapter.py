"""`hbeacon` with one fault: what is asked to be fresh is answered from what is known. For the test of a test."""

from __future__ import annotations

import sys
from collections.abc import Callable

from registry.cli.main import main
from registry.lookup.fresh_reader import FreshReader


async def at_once(*_arguments: object) -> None:
    """Everything is as new as anybody wants it."""


def yes(*_arguments: object) -> bool:
    """So it is said."""
    return True


if __name__ == "__main__":
    changed: dict[str, Callable[..., object]] = {"meet": at_once, "met_now": yes}
    for name, method in changed.items():
        setattr(FreshReader, name, method)
    sys.exit(main())
