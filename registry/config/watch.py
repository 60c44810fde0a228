"""Notices that the configuration files have changed, and hands over the new settings.

Files are watched by their directory: editors and `kubectl` replace files instead of writing into them (a mounted
ConfigMap is a symlink `..data` that is swapped). Where a directory on the way is itself a symlink, its parent is
watched too. A file that cannot be used leaves the old settings in force and costs one line in the log.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from registry.config.settings import FILE_NAMES, BadSetting, Settings

logger = logging.getLogger("registry.config")

DEBOUNCE_MS = 200
"""Changes that come together are read once."""
LOOK_AGAIN_MS = 2000
"""Besides the kernel's events, the files' states are compared this often: network file systems send no events."""

Change = Callable[[Settings, frozenset[str]], None]
Events = Callable[[list[Path]], AsyncGenerator[None, None]]


class ConfigWatch:
    """Follows the files behind one Settings; belongs to the loop that awaits `run`, files are read beside it."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], on_change: Change) -> None:
        self.settings = settings
        """The settings in force: the last that could be read."""
        self.problem = ""
        """Why the files are not in force now; empty when they are."""
        self._load = load
        self._on_change = on_change
        self._state = file_states(settings.conf_dir)

    async def reload(self) -> bool:
        """Read everything now, as SIGHUP asks; True when something changed."""
        try:
            state, settings = await asyncio.to_thread(lambda: (file_states(self.settings.conf_dir), self._load()))
        except BadSetting as error:
            self.problem = str(error)
            logger.error("the changed configuration is not used, the old one stays in force: %s", error)
            return False
        self._state = state
        changed = settings.changed_keys(self.settings)
        if self.problem:
            logger.info("the configuration can be read again")
        self.problem = ""
        self.settings = settings
        if not changed:
            return False
        for warning in settings.warnings:
            logger.warning("%s", warning)
        self._on_change(settings, changed)
        return True

    async def run(self, events: Events | None = None) -> None:
        """Follow the files until cancelled. `events` yields when something may have happened in the directories."""
        directory = self.settings.conf_dir
        if directory is None:
            return
        # Imported by a thread: the package costs 40 ms, in which no look-up should have to wait.
        events = events or await asyncio.to_thread(_kernel_events)
        while True:
            directories = await asyncio.to_thread(directories_of, directory)
            async with aclosing(events(await asyncio.to_thread(_existing, directories))) as changes:
                async for _ in changes:
                    state = await asyncio.to_thread(file_states, directory)
                    if state != self._state:
                        self._state = state
                        await self.reload()
                    if await asyncio.to_thread(directories_of, directory) != directories:
                        break


def _kernel_events() -> Events:
    watchfiles: Any = importlib.import_module("watchfiles")

    async def events(directories: list[Path]) -> AsyncGenerator[None, None]:
        options: dict[str, Any] = {"debounce": DEBOUNCE_MS, "step": 50, "recursive": False, "watch_filter": None}
        try:
            async for _ in watchfiles.awatch(
                *directories, rust_timeout=LOOK_AGAIN_MS, yield_on_timeout=True, **options
            ):
                yield
        except (OSError, RuntimeError) as error:
            # The kernel's limit of watches, or a directory that has just gone: comparing the states goes on.
            logger.debug("no events for %s: %s", directories, error)
            await asyncio.sleep(LOOK_AGAIN_MS / 1000)
            yield

    return events


def directories_of(directory: Path) -> tuple[Path, ...]:
    """The directory, and the parent of each symlink on the way to it: a swap of the link happens there."""
    found = [directory]
    current = directory
    for _ in range(40):
        links = [part for part in (current, *current.parents) if part.is_symlink()]
        if not links:
            break
        link = links[0]
        found.append(link.parent)
        current = link.parent / link.readlink() / current.relative_to(link)
    return tuple(dict.fromkeys(found))


def _existing(directories: Iterable[Path]) -> list[Path]:
    return [each for each in directories if each.is_dir()]


def file_states(directory: Path | None) -> tuple[tuple[str, int, int, int], ...]:
    """What tells one state of the files from another: name, inode, time of change in ns and size in bytes."""
    states: list[tuple[str, int, int, int]] = []
    if directory is None:
        return ()
    for name in FILE_NAMES:
        try:
            stat = (directory / name).stat()
        except OSError:
            continue
        states.append((name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(states)
