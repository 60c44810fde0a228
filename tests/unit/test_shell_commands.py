"""The lines of the hbase shell's commands and of AdminService that are kept, and the page that is made from them."""

from __future__ import annotations

import re

from tests.support import admin_calls, shell_commands
from tests.support.shell_commands import CALLS, DIFFERENT, DIFFERENT_LINES, GROUPS, SAME_AS_HBASE

WRITES_IT = "python -m tests.support.shell_commands page"


def test_every_command_is_told():
    told = {line.feature for line in shell_commands.of_hbase()}
    assert told == {command for commands in GROUPS.values() for command in commands}
    assert told == {line.feature for line in shell_commands.of_hbase() if line.what == CALLS}


def test_what_differs_is_said_and_said_of_nothing_else():
    differing = shell_commands.differing(shell_commands.of_hbeacon())
    commands = {line.feature for line in differing if line.key not in DIFFERENT_LINES}
    assert commands == set(DIFFERENT)
    assert {line.key for line in differing} >= set(DIFFERENT_LINES)


def test_tables_and_rows_are_the_same():
    same = {command for group in SAME_AS_HBASE for command in GROUPS[group]}
    assert not same & set(DIFFERENT)


def test_nothing_that_is_refused_is_tried_again():
    for line in shell_commands.differing(shell_commands.of_hbeacon()):
        assert "RetriesExhausted" not in line.outcome, line
        assert "no answer" not in line.outcome, line


def test_the_page_is_up_to_date():
    assert shell_commands.PAGE.read_text() == shell_commands.page(), f"write it with {WRITES_IT}"


# --- AdminService -----------------------------------------------------------------------------------------------


def test_every_method_is_asked_or_it_is_said_why_not():
    asked = admin_calls.calls(admin_calls.Asking([admin_calls.GONE]))
    methods = {each.method for each in asked}
    assert methods | set(admin_calls.UNASKED) == set(admin_calls.METHODS)
    assert not methods & set(admin_calls.UNASKED)
    kept = [line.key for line in admin_calls.kept()]
    assert {f"{each.method}: {each.words}" for each in asked} <= set(kept)
    assert len(kept) == len(set(kept))


def test_lines_that_are_said_to_differ_do():
    kept = {line.key: line.outcome for line in admin_calls.kept()}
    for key, pattern in admin_calls.OURS.items():
        assert not re.fullmatch(pattern, kept[key]), key
