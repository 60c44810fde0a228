"""Frames and varints: what is announced, what is there, and what a liar gets."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from registry.wire.errors import ProtocolError
from registry.wire.framing import (
    FrameReader,
    FrameTooLarge,
    decode_delimited,
    decode_varint,
    delimited,
    encode_frame,
    encode_length,
    encode_varint,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (0x1FFFFF, "ffff7f"),
        (0x200000, "80808001"),
        (2**32 - 1, "ffffffff0f"),
        (2**63, "80808080808080808001"),
        (2**64 - 1, "ffffffffffffffffff01"),
    ],
)
def test_varints_both_ways(value: int, encoded: str) -> None:
    assert encode_varint(value).hex() == encoded
    data = b"\xff" + bytes.fromhex(encoded) + b"\xff"
    assert decode_varint(data, 1) == (value, 1 + len(encoded) // 2)


def test_longer_forms_than_needed_are_read() -> None:
    assert decode_varint(bytes.fromhex("8000"), 0) == (0, 2)
    assert decode_varint(bytes.fromhex("80808080808080808000"), 0) == (0, 10)


@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        ("", "cut off after 0"),
        ("80", "cut off after 1"),
        ("ffffffffffffffffff", "cut off after 9"),
        ("ffffffffffffffffff02", "64 bits"),
        ("ffffffffffffffffffff", "longer than 10"),
        ("ffffffffffffffffffff01", "longer than 10"),
    ],
)
def test_varints_that_are_none(encoded: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says) as refused:
        decode_varint(bytes.fromhex(encoded), 0)
    assert refused.value.kind == "varint"


@pytest.mark.parametrize("size_bytes", [0, 1, 127, 128, 20_000])
def test_delimited_messages(size_bytes: int) -> None:
    message = b"m" * size_bytes
    data = b"head" + delimited(message) + b"tail"
    start, stop = decode_delimited(data, 4)
    assert data[start:stop] == message
    assert data[stop:] == b"tail"


@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        ("01", "announces 1 bytes, 0 are there"),
        ("05aabbccdd", "announces 5 bytes, 4 are there"),
        ("ffffffff07", "announces 2147483647 bytes, 0 are there"),
        ("ffffffffffffffffff01", "over an int's"),
        ("8080808008", "over an int's"),
    ],
)
def test_lengths_that_lie(encoded: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_delimited(bytes.fromhex(encoded), 0)


def test_a_frame_is_its_parts_behind_their_length() -> None:
    assert encode_frame(b"ab", b"", b"c").hex() == "00000003616263"
    assert encode_frame().hex() == "00000000"


def test_frames_come_back_whole_whatever_the_pieces() -> None:
    reader = FrameReader(10)
    reader.feed(encode_frame(b"one") + encode_frame(b"") + encode_frame(b"0123456789") + b"\0\0")
    assert [reader.next_frame() for _ in range(4)] == [b"one", b"", b"0123456789", None]
    assert reader.buffered_bytes == 2
    for byte in b"\0\4four":
        assert reader.next_frame() is None
        reader.feed(bytes((byte,)))
    assert reader.next_frame() == b"four"
    assert reader.buffered_bytes == 0


def test_a_length_over_the_limit_is_refused_before_its_bytes_come() -> None:
    reader = FrameReader(10)
    reader.feed(encode_length(11)[:3])
    assert reader.next_frame() is None
    reader.feed(encode_length(11)[3:])
    for _ in range(2):  # and again each time
        with pytest.raises(FrameTooLarge) as refused:
            reader.next_frame()
        assert (refused.value.frame_bytes, refused.value.frame_bytes_max) == (11, 10)


def test_a_negative_length_is_a_very_large_one() -> None:
    reader = FrameReader(268_435_456)
    reader.feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameTooLarge, match="4294967295"):
        reader.next_frame()


def test_peek_take_and_skip() -> None:
    reader = FrameReader(100)
    for piece in (b"ab", b"cd", b"ef", b"gh"):
        reader.feed(piece)
    assert reader.peek(3) == b"abc"
    assert reader.peek(100) == b"abcdefgh"
    assert reader.take(3) == b"abc"
    assert reader.take(6) is None
    assert reader.skip(2) == 2
    assert reader.buffered_bytes == 3
    assert reader.take(3) == b"fgh"
    assert reader.skip(1) == 0
    reader.feed(b"xyz")
    reader.clear()
    assert (reader.peek(1), reader.buffered_bytes) == (b"", 0)


def test_nothing_is_allocated_for_what_is_only_announced() -> None:
    def announce(reader: FrameReader) -> None:
        reader.feed(encode_length(268_435_456))
        assert reader.next_frame() is None

    assert _allocated_bytes(announce) < 2000


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 100])
def test_small_pieces_cost_little_more_than_their_bytes(piece_bytes: int) -> None:
    """A slow writer of two bytes at a time once cost 24 times what it had sent."""
    sent_bytes = 300_000

    def trickle(reader: FrameReader) -> None:
        reader.feed(encode_length(1 << 20))
        for _ in range(sent_bytes // piece_bytes):
            reader.feed(bytes(piece_bytes))
        assert reader.next_frame() is None

    assert _allocated_bytes(trickle) < sent_bytes * 1.3 + 10_000


def _allocated_bytes(use: Callable[[FrameReader], None]) -> int:
    reader = FrameReader(268_435_456)
    tracemalloc.start()
    try:
        use(reader)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
