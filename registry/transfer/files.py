"""Files that are there whole or not at all, and where reading them has come to.

What is written goes beside its place under another name, and is renamed when it is on the disk. `.gz` is compressed;
`-` is standard output and input.
"""

from __future__ import annotations

import errno
import gzip
import os
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, cast

STANDARD = "-"
GZIP_LEVEL = 6


@contextmanager
def written(name: str, *, overwrite: bool) -> Generator[IO[bytes]]:
    """Write the file, which appears at the end of the block, or, where that ends with an error, never."""
    if name == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory: name a file in it", name)
    if path.exists() and not path.is_file():  # a pipe or a device: nothing can stand beside it and take its place
        with path.open("wb") as file, _packed(path, file) as packed:
            yield packed
        return
    if path.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, "is there already (--overwrite replaces it)", name)
    path = path.resolve()  # what a link names is replaced, not the link
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            with _packed(path, file) as packed:
                yield packed
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        if error.filename not in (None, str(beside)):
            raise
        raise OSError(error.errno, error.strerror, name) from error
    finally:
        beside.unlink(missing_ok=True)


def _packed(path: Path, file: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """The file, or what compresses into it."""
    if path.suffix != ".gz":
        return nullcontext(file)
    return cast("AbstractContextManager[IO[bytes]]", gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0))


class Source:
    """A file that is read, unpacked where it is packed."""

    def __init__(self, name: str) -> None:
        """Raises OSError."""
        self._raw = sys.stdin.buffer if name == STANDARD else Path(name).open("rb")  # noqa: SIM115 - closed by close
        self.size_bytes = None if name == STANDARD else os.fstat(self._raw.fileno()).st_size
        """None where nobody knows."""
        self._counted_bytes = 0
        self.file: IO[bytes] = self._raw
        if Path(name).suffix == ".gz":
            self.file = cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw, mode="rb"))

    def line(self, bytes_max: int) -> bytes:
        """The next line, or so much of it; empty at the end. Raises OSError, EOFError, zlib.error."""
        line = self.file.readline(bytes_max)
        self._counted_bytes += len(line)
        return line

    @property
    def read_bytes(self) -> int:
        """Of the file, as it lies there."""
        return self._counted_bytes if self.size_bytes is None else self._raw.tell()

    def close(self) -> None:
        """Done with it."""
        if self.file is not self._raw:
            self.file.close()
        if self._raw is not sys.stdin.buffer:
            self._raw.close()
