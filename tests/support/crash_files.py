"""A model of a directory on a disk, which can stop at any operation and give every state that a crash may leave.

Two kinds of crash. *Killed*: every process dies, the machine lives on: all operations that were done are there, of the
one in progress any beginning. *Power*: what was not synced is kept or lost in any mixture: each sector of a file is the
old or the new one, or zeros or garbage where there was none; the file is as long as it was or longer; each creation,
renaming and removal has happened or not, except that what `sync_names` promised stays.
"""

from __future__ import annotations

import enum
import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

SECTOR_BYTES = 512


class Crashed(BaseException):
    """The simulated end of the process: nothing in it may go on."""


class Crash(enum.Enum):
    KILLED = "killed"
    POWER = "power"


@dataclass
class Content:
    """One file's bytes, whatever its name: as processes see them, and as a loss of power cannot take them."""

    now: bytearray = field(default_factory=bytearray)
    durable: bytes = b""

    def copy(self) -> Content:
        return Content(bytearray(self.now), self.durable)

    def after_power_loss(self, rng: random.Random) -> bytes:
        now, durable = bytes(self.now), self.durable
        if now == durable:
            return now
        whim = rng.random()
        if whim < 0.2:
            return durable
        if whim < 0.4:
            return now
        short, long = sorted((len(durable), len(now)))
        length = rng.choice((short, long, rng.randint(short, long)))
        result = bytearray()
        for start in range(0, length, SECTOR_BYTES):
            old, new = durable[start : start + SECTOR_BYTES], now[start : start + SECTOR_BYTES]
            missing = rng.choice((bytes(SECTOR_BYTES), rng.randbytes(SECTOR_BYTES)))
            sector = rng.choice((old, new))
            result += sector + missing[len(sector) :]
        return bytes(result[:length])


@dataclass(frozen=True)
class NameChange:
    """What happened to a name: it means another content now, or none."""

    name: str
    content: Content | None
    freed: str = ""
    """The name that a renaming took away."""

    def with_copies(self, copies: dict[int, Content]) -> NameChange:
        return NameChange(self.name, self.content and copies[id(self.content)], self.freed)

    def apply(self, names: dict[str, Content]) -> None:
        if self.freed:
            names.pop(self.freed, None)
        if self.content is None:
            names.pop(self.name, None)
        else:
            names[self.name] = self.content


class CrashFiles:
    """Implements `Files`. Operation number `crash_at` is the last one and may be done in part."""

    place = "model"

    def __init__(self, rng: random.Random, contents: dict[str, bytes] | None = None) -> None:
        self.rng = rng
        self.names_now = {name: Content(bytearray(data), data) for name, data in (contents or {}).items()}
        self.names_durable = dict(self.names_now)
        self.name_changes: list[NameChange] = []
        self.operation_count = 0
        self.crash_at = -1
        self.fail_at = -1
        """The operation of this number and all after it fail, as on a full or broken disk."""

    # --- what a crash leaves ------------------------------------------------------------------------------------

    def after(self, crash: Crash) -> CrashFiles:
        """The directory of the next start. What was not durable before a kill is not durable after it either."""
        if crash is Crash.POWER:
            return CrashFiles(self.rng, self.image(crash))
        files = CrashFiles(self.rng)
        copies = {id(content): content.copy() for content in self._all_contents()}
        files.names_now = {name: copies[id(content)] for name, content in self.names_now.items()}
        files.names_durable = {name: copies[id(content)] for name, content in self.names_durable.items()}
        files.name_changes = [change.with_copies(copies) for change in self.name_changes]
        return files

    def _all_contents(self) -> list[Content]:
        changed = [change.content for change in self.name_changes if change.content is not None]
        return [*self.names_now.values(), *self.names_durable.values(), *changed]

    def image(self, crash: Crash) -> dict[str, bytes]:
        """Names and contents as the next start finds them."""
        if crash is Crash.KILLED:
            return {name: bytes(content.now) for name, content in self.names_now.items()}
        names = dict(self.names_durable)
        whim = self.rng.random()
        for change in self.name_changes:
            if whim < 0.3 or (whim < 0.8 and self.rng.random() < 0.5):
                change.apply(names)
        return {name: content.after_power_loss(self.rng) for name, content in names.items()}

    def operation(self, partly: Callable[[], None] | None = None) -> None:
        """Count one; at the chosen one, do a part of it and end."""
        self.operation_count += 1
        if self.operation_count == self.crash_at:
            if partly is not None:
                partly()
            raise Crashed
        if 0 <= self.fail_at <= self.operation_count:
            if partly is not None and self.rng.random() < 0.7:
                partly()
            number = self.rng.choice((errno.ENOSPC, errno.EIO))
            raise OSError(number, os.strerror(number))

    # --- Files --------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        listed = list(self.names_now)
        self.rng.shuffle(listed)
        return listed

    def read(self, name: str, bytes_max: int = -1) -> bytes:
        if name not in self.names_now:
            raise FileNotFoundError(name)
        data = bytes(self.names_now[name].now)
        return data if bytes_max < 0 else data[:bytes_max]

    def create(self, name: str) -> CrashFile:
        self.operation()
        if name in self.names_now:
            self.names_now[name].now.clear()
        else:
            self._change(NameChange(name, Content()))
        return CrashFile(self, self.names_now[name])

    def cut(self, name: str, length: int) -> None:
        content = self.names_now[name]

        def shorten() -> None:
            if self.rng.random() < 0.5:
                del content.now[length:]

        self.operation(shorten)
        del content.now[length:]
        content.durable = bytes(content.now)

    def rename(self, old: str, new: str) -> None:
        change = NameChange(new, self.names_now[old], freed=old)
        self.operation()
        self._change(change)

    def remove(self, name: str) -> None:
        if name in self.names_now:
            self.operation()
            self._change(NameChange(name, None))

    def sync_names(self) -> None:
        self.operation()
        self.names_durable = dict(self.names_now)
        self.name_changes.clear()

    def _change(self, change: NameChange) -> None:
        change.apply(self.names_now)
        self.name_changes.append(change)


class CrashFile:
    """Implements `WritableFile`."""

    def __init__(self, files: CrashFiles, content: Content) -> None:
        self.files = files
        self.content = content

    def write(self, data: bytes) -> None:
        def a_part() -> None:
            self.content.now += data[: self.files.rng.randint(0, len(data))]

        self.files.operation(a_part)
        self.content.now += data

    def sync(self) -> None:
        self.files.operation()
        self.content.durable = bytes(self.content.now)

    def close(self) -> None:
        pass
