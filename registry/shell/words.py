"""Words of the shell: what each does, how it is written, and which function does it. Pure.

Source: hbase-shell/src/main/ruby/shell.rb (command groups).
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from registry.client.connection import Connection
from registry.client.data.table import Table
from registry.shell.arguments import Arguments, UsageError
from registry.shell.output import Output


class Shell(Protocol):
    """What a word works with: registry.shell.session.Session."""

    hbase: Connection
    as_json: bool

    @property
    def output(self) -> Output:
        """For what is to be printed now."""
        ...

    def table(self, name: str) -> Table:
        """A table."""
        ...

    def say(self, values: Mapping[str, Any], text: str) -> None:
        """One fact: a record for programs, a line for people."""
        ...

    def progress(self, text: str) -> None:
        """How far it is."""
        ...


Run: TypeAlias = Callable[[Shell, Arguments], Awaitable[str]]
"""Does it, prints by the shell's output, and gives how many of what there were, or nothing."""


@dataclass(frozen=True, slots=True)
class Word:
    """One command."""

    name: str
    group: str
    sentence: str
    """What it does, for the list of all."""
    examples: Sequence[str]
    """How it is written; the first is shown where arguments are wrong."""
    run: Run
    takes_table: bool = False
    """Whether its first argument is the name of a table, for completion."""


class Words:
    """All words, by name."""

    def __init__(self, words: Iterable[Word]) -> None:
        self._words = {word.name: word for word in words}

    def __iter__(self) -> Iterator[Word]:
        return iter(self._words.values())

    def names(self) -> list[str]:
        """In order."""
        return sorted(self._words)

    def find(self, name: str) -> Word:
        """The word. Raises UsageError, which names what may have been meant."""
        word = self._words.get(name)
        if word is None:
            near = difflib.get_close_matches(name, self._words, n=1)
            hint = f"did you mean {near[0]}?" if near else "help lists all"
            raise UsageError(f"{name} is no command of this shell; {hint}")
        return word

    def help(self, name: str = "") -> str:
        """Of one word, or the list of all."""
        if name:
            word = self.find(name)
            examples = "\n".join(f"  {example}" for example in word.examples)
            return f"{word.sentence}\n\n{examples}\n"
        groups: dict[str, list[Word]] = {}
        for word in self._words.values():
            groups.setdefault(word.group, []).append(word)
        parts: list[str] = []
        for group, words in groups.items():
            lines = [f"  {word.name:<24}{word.sentence}" for word in sorted(words, key=lambda each: each.name)]
            parts.append("\n".join([f"{group}:", *lines]))
        return (
            "\n\n".join(parts)
            + "\n\nhelp 'WORD' shows how it is written; ; stands between commands of a line; exit, or Ctrl-D, leaves.\n"
        )
