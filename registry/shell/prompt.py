"""The prompt: history, completion, colours. Belongs to one loop.

Lines that end in a string, a list or a map that is open go on at the next prompt. Ctrl-C gives the line up, Ctrl-D
leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.lexers import Lexer

from registry.shell.attributes import FAMILY, FREE, TABLE
from registry.shell.language import is_unfinished, last_command
from registry.shell.rows import SCAN
from registry.shell.session import LEAVE, WORDS, Left, Session
from registry.shell.tables import SPLITTING
from registry.wire.errors import HBaseError

OPTIONS = sorted({*SCAN, *SPLITTING, *FAMILY, *TABLE, *FREE, "INTERVAL", "METHOD", "NAME"})
"""Names that are completed behind a command."""
TABLES_TIMEOUT_MS = 1000.0
_FIRST_WORD = re.compile(r"\s*[a-z0-9_]*$")
_TABLE = re.compile(r"\s*(\w+)[\s(]+(['\"]?)([^\s'\",]*)$")
_CONSTANT = re.compile(r".*[\s{,\[]([A-Z_]+)$", re.DOTALL)
_PARTS = re.compile(
    r"""(?P<string>'(?:\\.|[^'])*'?|"(?:\\.|[^"])*"?)|(?P<number>\b\d+\b)|(?P<name>\b[A-Z_]{2,}\b)|(?P<mark>=>)"""
)
STYLES = {"string": "ansigreen", "number": "ansicyan", "name": "ansiyellow", "mark": "ansibrightblack"}


class ShellCompleter(Completer):
    """Words of the shell, names of tables, names of options."""

    def __init__(self, tables: Callable[[], Iterable[str]]) -> None:
        """`tables` gives the names that are known now."""
        self._tables = tables

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """For the text before the cursor."""
        text = last_command(document.text_before_cursor)
        if _FIRST_WORD.match(text):
            yield from _beginning(text.strip(), [*WORDS.names(), "help", *LEAVE])
        elif (found := _TABLE.match(text)) is not None:
            word, quote, begun = found.groups()
            if word in WORDS.names() and WORDS.find(word).takes_table:
                # Without an opening quote both are written.
                yield from _beginning(begun, self._tables(), "" if quote else "'", quote or "'")
            elif word == "help":
                yield from _beginning(begun, WORDS.names())
        elif (constant := _CONSTANT.match(text)) is not None:
            yield from _beginning(constant.group(1), OPTIONS)


class ShellLexer(Lexer):
    """Colours of strings, numbers and names."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """For each line its parts with their colours."""
        return lambda number: coloured(document.lines[number])


def coloured(line: str) -> StyleAndTextTuples:
    """Parts of a line with their colours; together they are the line."""
    parts: StyleAndTextTuples = []
    at = 0
    for found in _PARTS.finditer(line):
        parts.append(("", line[at : found.start()]))
        parts.append((STYLES[found.lastgroup or "mark"], found.group()))
        at = found.end()
    return [*parts, ("", line[at:])]


class Prompt:
    """Reads lines and has them done until somebody leaves."""

    def __init__(self, session: Session, name: str) -> None:
        """`name` of the cluster, before each line."""
        self._session = session
        self._name = name
        self._tables: list[str] = []
        self._lines: PromptSession[str] = PromptSession(
            history=history(),
            completer=ShellCompleter(lambda: self._tables),
            complete_while_typing=False,  # by Tab
            lexer=ShellLexer(),
        )

    async def run(self) -> None:
        """Until `exit` or Ctrl-D."""
        looking = asyncio.create_task(self._look_for_tables())
        try:
            while (line := await self._line()) is not None:
                await self._until_interrupted(self._session.run(line))
                if not looking.done():
                    looking.cancel()
                looking = asyncio.create_task(self._look_for_tables())
        except Left:
            pass
        finally:
            looking.cancel()

    async def _line(self) -> str | None:
        """A whole command, of one line or several; None at the end."""
        text = ""
        while True:
            try:
                text += await self._lines.prompt_async(f"{self._name}> " if not text else "... ")
            except KeyboardInterrupt:
                text = ""
                continue
            except EOFError:
                return None
            if not is_unfinished(text):
                return text
            text += "\n"

    async def _until_interrupted(self, work: Coroutine[None, None, bool]) -> None:
        """Ctrl-C ends the command, not the shell."""
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, task.cancel)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def _look_for_tables(self) -> None:
        with contextlib.suppress(HBaseError):  # then nothing is completed
            self._tables = await self._session.hbase.admin.tables(timeout_ms=TABLES_TIMEOUT_MS)


def history() -> History:
    """Kept in XDG_STATE_HOME, or in memory where nothing can be written there."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "hbeacon"
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = state / "shell-history"
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)


def _beginning(begun: str, names: Iterable[str], before: str = "", after: str = "") -> Iterable[Completion]:
    """Those of the names that begin so."""
    for name in names:
        if name.startswith(begun):
            yield Completion(f"{before}{name}{after}", start_position=-len(begun), display=name)
