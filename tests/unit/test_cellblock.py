"""Cell blocks recorded from a real HBase 2.6.4, and cells at the edges of what the codec can hold."""

from __future__ import annotations

import pytest

from registry.wire.cellblock import (
    FAMILY_BYTES_MAX,
    LATEST_TIMESTAMP,
    ROW_BYTES_MAX,
    Cell,
    KeyType,
    Tag,
    TagType,
    decode_cells,
    decode_tags,
    encode_cell,
    encode_cells,
    encode_tags,
)
from registry.wire.errors import ProtocolError

RECORDED = bytes.fromhex("00000019 0000000f 00000002 0001 62 01 66 71 00000000000000c8 04 7632")
"""The cell of `put b/f:q@200="v2"` in the request's cell block, and in the answer of the Get after it."""
PUT_B = Cell(b"b", b"f", b"q", 200, KeyType.PUT, b"v2")


def test_recorded_cell() -> None:
    assert list(decode_cells(RECORDED)) == [PUT_B]
    assert encode_cells([PUT_B]) == RECORDED
    assert list(decode_cells(RECORDED, with_tags=True)) == [PUT_B], "without tags both codecs write the same"


def test_cells_follow_each_other() -> None:
    cells = [PUT_B, PUT_B._replace(row=b"c", value=b""), PUT_B._replace(key_type=KeyType.DELETE_FAMILY, qualifier=b"")]
    assert list(decode_cells(encode_cells(cells))) == cells
    assert list(decode_cells(memoryview(b"xx" + encode_cells(cells))[2:])) == cells
    assert encode_cells([]) == b""
    assert list(decode_cells(b"")) == []


@pytest.mark.parametrize(
    "cell",
    [
        Cell(b"", b"", b"", 0, 0, b""),
        Cell(bytes(ROW_BYTES_MAX), b"f" * FAMILY_BYTES_MAX, bytes(70_000), LATEST_TIMESTAMP, 255, bytes(70_000)),
        Cell(b"r", b"f", b"q", -1, KeyType.MAXIMUM, b"v"),
        Cell(b"r", b"f", b"q", -(1 << 63), 77, b"v"),
    ],
)
def test_edges(cell: Cell) -> None:
    assert list(decode_cells(encode_cell(cell))) == [cell]


def test_key_types_we_do_not_know_are_kept() -> None:
    for key_type in range(256):
        (back,) = decode_cells(encode_cell(PUT_B._replace(key_type=key_type)))
        assert back.key_type == key_type


def test_tags() -> None:
    tags = encode_tags([Tag(TagType.TTL, (5000).to_bytes(8, "big")), Tag(200, b"")])
    assert tags == bytes.fromhex("0009 08 0000000000001388 0001 c8")
    tagged = PUT_B._replace(tags=tags)
    block = encode_cell(tagged, with_tags=True)
    assert block[4:8] == RECORDED[4:8], "the key is as long as before"
    assert int.from_bytes(block[:4], "big") == 0x19 + 2 + len(tags)
    assert list(decode_cells(block, with_tags=True)) == [tagged]
    assert list(decode_tags(tags)) == [Tag(TagType.TTL, (5000).to_bytes(8, "big")), Tag(200, b"")]
    assert encode_cell(tagged) == RECORDED, "KeyValueCodec leaves tags out"
    with pytest.raises(ProtocolError, match="behind the value"):
        list(decode_cells(block))


@pytest.mark.parametrize("tags", ["00", "0000", "0003 01 00", "ffff 01", "0001 01 00"])
def test_damaged_tags(tags: str) -> None:
    with pytest.raises(ProtocolError, match="tag at byte"):
        list(decode_tags(bytes.fromhex(tags)))


def test_a_length_of_tags_that_lies() -> None:
    block = bytearray(encode_cell(PUT_B._replace(tags=b"\x00\x01\x08"), with_tags=True))
    for lie in (b"\x00\x00", b"\x00\x02", b"\x00\x04", b"\xff\xff"):
        block[-5:-3] = lie
        with pytest.raises(ProtocolError, match="of tags announced"):
            list(decode_cells(bytes(block), with_tags=True))
    one_byte_too_much = (0x1A).to_bytes(4, "big") + RECORDED[4:] + b"\x00"
    with pytest.raises(ProtocolError, match="of tags announced"):
        list(decode_cells(one_byte_too_much, with_tags=True))


@pytest.mark.parametrize(
    ("at", "lie", "message"),
    [
        (0, "7fffffff", "announced"),
        (0, "ffffffff", "announced"),
        (0, "0000001a", "announced"),
        (0, "00000018", "a key of 15"),
        (4, "7fffffff", "a key of"),
        (4, "ffffffff", "a key of"),
        (4, "0000000b", "a key of"),
        (4, "00000010", "a key of 16"),
        (8, "ffffffff", "a key of"),
        (8, "7fffffff", "a key of"),
        (12, "ffff", "a row of"),
        (12, "8000", "a row of"),
        (12, "0004", "a row of"),
        (15, "ff", "a family of"),
        (15, "80", "a family of"),
        (15, "03", "a family of"),
    ],
)
def test_lengths_that_lie_name_the_byte(at: int, lie: str, message: str) -> None:
    bad = bytearray(RECORDED)
    bad[at : at + len(lie) // 2] = bytes.fromhex(lie)
    cells = decode_cells(RECORDED + bytes(bad))
    assert next(cells) == PUT_B, "what came before is good"
    with pytest.raises(ProtocolError, match=f"cell at byte {len(RECORDED)}: .*{message}"):
        next(cells)


@pytest.mark.parametrize(
    ("row_bytes", "family_bytes", "message"),
    [(0x8000, 1, "a row of 32768"), (1, 0x80, "a family of 128"), (1, 255, "a family")],
)
def test_rows_and_families_that_java_cannot_hold(row_bytes: int, family_bytes: int, message: str) -> None:
    """They fit the block, but Java reads both lengths as signed."""
    key = row_bytes.to_bytes(2, "big") + bytes(row_bytes) + bytes([family_bytes]) + bytes(family_bytes + 9)
    body = len(key).to_bytes(4, "big") + bytes(4) + key
    with pytest.raises(ProtocolError, match=message):
        list(decode_cells(len(body).to_bytes(4, "big") + body))


def test_every_cut_is_noticed() -> None:
    for stop in range(1, len(RECORDED)):
        with pytest.raises(ProtocolError, match="cell at byte 0"):
            list(decode_cells(RECORDED[:stop]))


def test_our_own_bugs_are_not_sent() -> None:
    for cell in (
        PUT_B._replace(row=bytes(ROW_BYTES_MAX + 1)),
        PUT_B._replace(family=bytes(FAMILY_BYTES_MAX + 1)),
        PUT_B._replace(tags=bytes(65536)),
    ):
        with pytest.raises(AssertionError):
            encode_cell(cell, with_tags=True)
