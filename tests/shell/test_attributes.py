"""Attributes as people type them: what HBase prints is read again, and what means nothing is not sent."""

from __future__ import annotations

import re

import pytest

from registry.shell.arguments import Arguments, UsageError
from registry.shell.attributes import families_attributes, number_coprocessor, seconds, size_bytes, table_attributes
from registry.shell.language import Value
from registry.shell.splitting import bytes_binary, split_keys


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (86400, "86400"),
        (b"86400", "86400"),
        (b"FOREVER", "2147483647"),
        (b"forever", "2147483647"),
        (b"1 DAY", "86400"),
        (b"2 days 3 HOURS 4 minutes 5 seconds", "183845"),
        (b"90061 SECONDS (1 DAY 1 HOUR 1 MINUTE 1 SECOND)", "90061"),
        (b"30 SECONDS", "30"),
        (b" 1DAY\t2HOURS ", "93600"),
        (b"007", "7"),
    ],
)
def test_times_to_live(typed: Value, meant: str) -> None:
    assert seconds(typed, "TTL") == meant


@pytest.mark.parametrize(
    "typed",
    [
        *(b"", b"()", b"soon", b"1.5", 1.5, b"-1", b"1 DAY 1 DAY", b"7 SECONDS (1 DAY)", b"1 HOUR 1 DAY"),
        *(b"2147483648", "\u0663".encode(), b"1" + b" " * 9000 + b"x"),
    ],
)
def test_what_is_no_time_to_live(typed: Value) -> None:
    with pytest.raises(UsageError, match="TTL is seconds, FOREVER, or such as"):
        seconds(typed, "TTL")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (65536, 65536),
        (b"65536 B (64KB)", 65536),
        (b"10763632640 B (10GB 25MB)", 10763632640),
        (b"500 B", 500),
        (b"10 GB", 10 << 30),
        (b"1tb 2g 3 mb 4k 5b", (1 << 40) + (2 << 30) + (3 << 20) + (4 << 10) + 5),
        (b"1048577 (1MB 1B)", (1 << 20) + 1),
    ],
)
def test_sizes(typed: Value, meant: int) -> None:
    assert size_bytes(typed, "MAX_FILESIZE") == str(meant)


@pytest.mark.parametrize("typed", [b"", b"64 PB", b"64 KB 1 MB", b"65535 B (64KB)", b"1.5 GB", b"-1", 1 << 63])
def test_what_is_no_size(typed: Value) -> None:
    with pytest.raises(UsageError, match="BLOCKSIZE is a number of bytes, or such as '10 GB"):
        size_bytes(typed, "BLOCKSIZE")


def test_attributes_are_read() -> None:
    given: dict[str, Value] = {
        "VERSIONS": b"5",
        "BLOCKSIZE": b"65536 B (64KB)",
        "IN_MEMORY": True,
        "BLOCKCACHE": b"FALSE",
        "METADATA": {"anything": 7},
        "hbase.store.engine.class": b"x.Y",
    }
    assert families_attributes(given) == {
        "VERSIONS": "5",
        "BLOCKSIZE": "65536",
        "IN_MEMORY": "true",
        "BLOCKCACHE": "false",
        "anything": "7",
        "hbase.store.engine.class": "x.Y",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"VERSION": 3}, "VERSION is no attribute of a family: did you mean VERSIONS?"),
        ({"METHOD": b"foo"}, "METHOD is no attribute of a family: METADATA => {'METHOD' => ...} takes any"),
        ({"VERSIONS": b"x"}, "VERSIONS is a whole number, not 'x'"),
        ({"IN_MEMORY": b"yes"}, "IN_MEMORY is true or false, not 'yes'"),
        ({"BLOCKSIZE": b"64 XB"}, "BLOCKSIZE is a number of bytes, or such as '10 GB 512 MB', not '64 XB'"),
        ({"METADATA": b"x"}, "METADATA is {'KEY' => 'VALUE'}"),
        ({"BLOOMFILTER": b"\xff"}, "is no text in UTF-8"),
    ],
)
def test_what_means_nothing_is_not_sent(given: dict[str, Value], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        families_attributes(given)


def test_coprocessors_are_numbered() -> None:
    attributes = table_attributes({"Coprocessor": b"|a.B||", "READONLY": b"true"})
    number_coprocessor(attributes, {"coprocessor$1": "|x||", "Coprocessor$7": "|y||", "READONLY": "false"})
    assert attributes == {"coprocessor$8": "|a.B||", "READONLY": "true"}
    first = table_attributes({"coprocessor": b"|a.B||"})
    number_coprocessor(first, {})
    assert first == {"coprocessor$1": "|a.B||"}


def test_split_keys_are_read_as_hbase_shell_reads_them() -> None:
    assert bytes_binary(rb"a\x00\xFF\xzz\x") == b"a\x00\xff\\xzz\\x"
    with pytest.raises(UsageError, match="NUMREGIONS"):
        split_keys([], None, "UniformSplit")


@pytest.mark.parametrize("name", ["t", "ns:t", "a.b-c_d", "été", "ns_1:表"])
def test_names_of_tables(name: str) -> None:
    assert Arguments([name.encode()]).table() == name


@pytest.mark.parametrize("name", [b"", b"a:b:c", b":t", b"n:", b"a b", b"-t", b".t", b"t/u", b"t\xff", b"n-s:t"])
def test_what_is_no_name_of_a_table(name: bytes) -> None:
    with pytest.raises(UsageError, match="is no"):
        Arguments([name]).table()
