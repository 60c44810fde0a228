"""`hbeacon version`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib import metadata

from registry.exits import STOPPED

PARTS = ("kazoo", "protobuf", "uvloop", "fastapi", "uvicorn")


def own_version() -> str:
    """The installed distribution's version; `unknown` in a checkout that is not installed."""
    return _version("hbeacon") or "unknown"


def run(argv: Sequence[str]) -> int:
    """Print one line: versions of the program, Python and the libraries that matter in a bug report."""
    del argv
    parts = " ".join(f"{name}/{version}" for name in PARTS if (version := _version(name)))
    python = f"{platform.python_implementation()}/{platform.python_version()}"
    print(f"hbeacon {own_version()} {python} {parts} {sys.platform}")
    return STOPPED


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
