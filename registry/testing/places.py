"""Unix sockets below directories with long names, of which the kernel takes a hundred bytes only. Imports little.

Source: unix(7) sun_path, proc(5) /proc/self/fd.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

DOORS = "doors"
"""Directory of a cluster's sockets, each of which has the name of its process."""
PATH_BYTES_MAX = 100
"""108 on Linux, 104 elsewhere, with the byte that ends it."""


@contextmanager
def within_reach(path: Path) -> Generator[str]:
    """A name by which the socket can be bound or connected to, for as long as the block lasts."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
