"""One shell: a connection, an output, and lines to be done one after another. Belongs to one loop."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Any

from registry.client.connection import Connection
from registry.client.data.table import Table
from registry.shell import cluster, rows, tables
from registry.shell.arguments import Arguments, UsageError
from registry.shell.language import Command, ShellSyntaxError, parse
from registry.shell.output import Output
from registry.shell.waiting import WAIT_S, WHICH, is_nobody_there
from registry.shell.words import Words
from registry.wire.errors import HBaseError

WORDS = Words((*tables.WORDS, *rows.WORDS, *cluster.WORDS))
LEAVE = ("exit", "quit")
LINE_CHARS_SHOWN = 200


class Left(Exception):
    """`exit`."""


class Session:
    """Does lines."""

    def __init__(
        self,
        connection: Connection,
        output: Output,
        *,
        as_json: bool = False,
        show_progress: bool = False,
        keep_going: bool = False,
    ) -> None:
        """`show_progress`: whether somebody looks at standard error; `keep_going`: behind a command that failed."""
        self.hbase = connection
        self._output = output
        self.as_json = as_json
        self._show_progress = show_progress
        self._keep_going = keep_going
        self._progress_chars = 0
        self.failed = False
        """Whether a command did, of all lines."""

    @property
    def output(self) -> Output:
        """For what is to be printed now."""
        self._wipe_progress()
        return self._output

    def table(self, name: str) -> Table:
        """A table of this connection."""
        return self.hbase.table(name)

    async def run(self, line: str, place: str = "") -> bool:
        """Do the commands of a line and print what comes of them; False where one failed, which standard error tells.

        `place` is where it stands, where that is a file. Raises Left for `exit`.
        """
        try:
            commands = parse(line)
        except ShellSyntaxError as error:
            self._complain(_where(error, line), place)
            self.failed = True
            return False
        good = True
        for command in commands:
            if command.word in LEAVE:
                raise Left
            try:
                await self._do(command)
            except (UsageError, ValueError, HBaseError) as error:
                self._complain(str(error), place)
                if is_nobody_there(error):
                    _write(f"{WHICH}\n")
                good, self.failed = False, True
                if not self._keep_going:
                    break
        return good

    async def _do(self, command: Command) -> None:
        if command.word == "help":
            self._help(Arguments(command.arguments))
            return
        word = WORDS.find(command.word)
        begun = time.perf_counter()
        waiting = asyncio.get_running_loop().call_later(WAIT_S, self.progress, f"waiting for {self.hbase.name} ...")
        try:
            counted = await word.run(self, Arguments(command.arguments))
        except UsageError as error:
            raise UsageError(f"{error}\nwrite it so:  {word.examples[0]}") from None
        finally:
            waiting.cancel()
            self._wipe_progress()
        self.output.end(counted, time.perf_counter() - begun)

    def _help(self, arguments: Arguments) -> None:
        arguments.only(0, 1)
        name = arguments.text(0, "")
        if not self.as_json:
            self.output.line(WORDS.help(name))
            return
        for word in [WORDS.find(name)] if name else WORDS:
            shown = {"word": word.name, "group": word.group, "sentence": word.sentence, "examples": word.examples}
            self.output.record(shown)

    def say(self, values: Mapping[str, Any], text: str) -> None:
        """One fact: a record for programs, a line for people."""
        if self.as_json:
            self.output.record(values)
        else:
            self.output.line(text)

    def progress(self, text: str) -> None:
        """How far it is; shown in place on standard error where somebody looks."""
        if self._show_progress:
            _write(f"\r{text:<{self._progress_chars}}")
            self._progress_chars = len(text)

    def _wipe_progress(self) -> None:
        if self._progress_chars:
            _write(f"\r{'':<{self._progress_chars}}\r")
            self._progress_chars = 0

    def _complain(self, text: str, place: str) -> None:
        _write(f"ERROR: {text}\n" + (f"in {place}\n" if place else ""))


def _where(error: ShellSyntaxError, line: str) -> str:
    """What cannot be read, and the line of it, where there are several."""
    begin = line.rfind("\n", 0, error.position) + 1
    shown = line[begin:].partition("\n")[0][:LINE_CHARS_SHOWN]
    ended = ": the input ends within a command" if error.unfinished else ""
    return f"{error}, at character {error.position - begin + 1} of: {shown}{ended}"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
