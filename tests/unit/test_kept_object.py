"""What hbeacon keeps in files and znodes is read whole, or refused with one line that says what to do."""

from __future__ import annotations

import pytest

from registry.kept_object import TEXT_MAX, read_kept


class Refused(Exception):
    """Of the one who asks."""


def number(data: str | bytes) -> int:
    """The field `n` of format 2, of which 1 is read as well."""
    return read_kept("/x/there", data, 2, lambda row: int(row["n"]), Refused)


@pytest.mark.parametrize("data", ['{"format": 1, "n": 7}', b'{"format": 2, "n": "7", "later": []}'])
def test_formats_that_are_known_are_read(data: str | bytes):
    assert number(data) == 7


@pytest.mark.parametrize(
    "data",
    [
        "",
        "?",
        b"\xff\xfe{}",
        "[]",
        "null",
        "7",
        "{}",
        '{"n": 7}',
        '{"format": null, "n": 7}',
        '{"format": "one", "n": 7}',
        '{"format": 1}',
        '{"format": 1, "n": []}',
        '{"format": 1, "n": 7',
        '{"format": 1, "n": 7, "x": "' + "x" * TEXT_MAX + '"}',
    ],
)
def test_what_is_not_ours_is_refused(data: str | bytes):
    with pytest.raises(Refused, match=r"^/x/there holds what hbeacon does not write there \(.*\): restore it$") as told:
        number(data)
    assert len(str(told.value)) < 200


def test_a_newer_format_is_told_whatever_its_fields_are():
    with pytest.raises(Refused, match=r"^/x/there has format 3, this hbeacon reads 2: run the newer one$"):
        number('{"format": 3}')


def test_the_cure_is_of_what_is_kept_there():
    with pytest.raises(Refused, match=r"remove it$"):
        read_kept("/x", "?", 1, dict, Refused, cure="remove it")
