from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.shell.language import Command, ShellSyntaxError, Value, is_unfinished, last_command, parse
from registry.shell.splitting import split_keys


@pytest.mark.parametrize(
    ("line", "word", "arguments"),
    [
        ("list", "list", ()),
        ("put 'users', 'row1', 'cf:q', \"a\\x00b\"", "put", (b"users", b"row1", b"cf:q", b"a\0b")),
        ("put users row1 cf:q value", "put", (b"users", b"row1", b"cf:q", b"value")),
        ("put users 007 cf:q 7", "put", (b"users", b"007", b"cf:q", 7)),
        ("get('users', 'row1')", "get", (b"users", b"row1")),
        ("get(users, row1)", "get", (b"users", b"row1")),
        ("scan 'u', {COLUMNS => ['a', 'b:c'], LIMIT => 10}", "scan", (b"u", {"COLUMNS": [b"a", b"b:c"], "LIMIT": 10})),
        ("scan 'u', COLUMNS => 'a', RAW => true", "scan", (b"u", {"COLUMNS": b"a", "RAW": True})),
        ("scan 'u', {VERSIONS: 3, RAW: false}", "scan", (b"u", {"VERSIONS": 3, "RAW": False})),
        ("scan 'u', FILTER => \"PrefixFilter('a')\" # why", "scan", (b"u", {"FILTER": b"PrefixFilter('a')"})),
        (
            "create 'u', {NAME => 'f', VERSIONS => 3}, {NAME => 'g'}, SPLITS => ['g', 'p']",
            "create",
            (b"u", {"NAME": b"f", "VERSIONS": 3}, {"NAME": b"g"}, {"SPLITS": [b"g", b"p"]}),
        ),
        (
            "create 'u', {NAME => 'f', CONFIGURATION => {'a.b' => '1'}}",
            "create",
            (b"u", {"NAME": b"f", "CONFIGURATION": {"a.b": b"1"}}),
        ),
        ("alter 'u', 'delete' => 'f'", "alter", (b"u", {"delete": b"f"})),
        (
            "alter 'u', {NAME => 'f', BLOOMFILTER => BloomType::ROW}",
            "alter",
            (b"u", {"NAME": b"f", "BLOOMFILTER": b"ROW"}),
        ),
        ("put 'u', 'it''s', 'f:q', 'it\\'s \\n'", "put", (b"u", b"it", b"s", b"f:q", b"it's \\n")),
        ('put "u", "\\u00e9\\n\\t\\\\", :sym, nil', "put", (b"u", "é\n\t\\".encode(), b"sym", None)),
        ("incr 'u', 'r', 'f:q', -5", "incr", (b"u", b"r", b"f:q", -5)),
        ("get u Row-1", "get", (b"u", b"Row-1")),
        ("put u r f:q :)", "put", (b"u", b"r", b"f:q", b":)")),
        ("get u )", "get", (b"u", b")")),
        ("get(u, r )", "get", (b"u", b"r")),
        ("get u, 'r', {\n  COLUMN => 'f'\n}", "get", (b"u", b"r", {"COLUMN": b"f"})),
    ],
)
def test_lines_are_read(line: str, word: str, arguments: tuple[Value, ...]) -> None:
    assert parse(line) == [Command(word, arguments)]


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("list; scan 't'", [Command("list"), Command("scan", (b"t",))]),
        ("put t r f:q v;get t r;", [Command("put", (b"t", b"r", b"f:q", b"v")), Command("get", (b"t", b"r"))]),
        ("; ;list;\n;", [Command("list")]),
        ("put 't', 'a;b', \"c;d\"; list # e; f", [Command("put", (b"t", b"a;b", b"c;d")), Command("list")]),
        ("get('t', ';)'); list('a.*')", [Command("get", (b"t", b";)")), Command("list", (b"a.*",))]),
        ("get('t', 'r') # it's; there", [Command("get", (b"t", b"r"))]),
        ("scan 't', LIMIT => 1; list", [Command("scan", (b"t", {"LIMIT": 1})), Command("list")]),
        ("scan 't', {RAW => true}; list", [Command("scan", (b"t", {"RAW": True})), Command("list")]),
        ("list (a|b).*; list", [Command("list", (b"(a|b).*",)), Command("list")]),
    ],
)
def test_semicolons_end_commands(line: str, commands: list[Command]) -> None:
    assert parse(line) == commands


def test_what_is_typed_last() -> None:
    assert last_command("list; scan 't;', \"it's\"; get 'a;b") == " get 'a;b"
    assert last_command("sc") == "sc"
    assert last_command("list # a; b") == "list # a; b"


@pytest.mark.parametrize("line", ["", "   ", "# nothing", " \t# nothing\n"])
def test_nothing_is_no_command(line: str) -> None:
    assert parse(line) == []


@pytest.mark.parametrize(
    ("line", "unfinished"),
    [
        ("put 'u", True),
        ("scan 'u', {", True),
        ("scan 'u', {A => ", True),
        ("scan 'u', [1, ", True),
        ("put 'u',", True),
        ("scan 'u', {A => 1 B => 2}", False),
        ("scan 'u', {1 2}", False),
        ("'u'", False),
        ("scan => 1", False),
        ("get 'u', ]", False),
        ("get 'u', ; list", False),
        ("get(u, A => )", False),
        ("get(u, r) r)", False),
        ("scan 'u', {A => 1; B => 2}", False),
        ("list; put 'u", True),
        ("scan " + "[" * 65, False),
        ('put "\\u{110000}"', False),
    ],
)
def test_wrong_lines_say_what_is_missing(line: str, unfinished: bool) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        parse(line)
    assert caught.value.unfinished == unfinished
    assert is_unfinished(line) == unfinished
    assert 0 <= caught.value.position <= len(line)


def _quoted(value: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_any_bytes_can_be_written(values: list[bytes]) -> None:
    assert parse("put " + ", ".join(map(_quoted, values))) == [Command("put", tuple(values))]


@given(st.text(st.sampled_from("ab'\"\\{}[]=>,:; #1\n()A"), max_size=30))
def test_whatever_is_typed_is_read_or_complained_of(text: str) -> None:
    with contextlib.suppress(ShellSyntaxError):
        parse("get " + text)


def test_regions_are_divided_as_hbase_does() -> None:
    """RegionSplitter's own: HexStringSplit of 4 regions, and of 10 numbers."""
    assert split_keys([], 4, "HexStringSplit") == [b"40000000", b"80000000", b"c0000000"]
    assert split_keys([], 4, "DecimalStringSplit") == [b"25000000", b"50000000", b"75000000"]
    assert [key[:1] for key in split_keys([], 4, "UniformSplit")] == [b"\x3f", b"\x7f", b"\xbf"]
    assert split_keys([b"b", b"a"], None, "") == [b"b", b"a"]
