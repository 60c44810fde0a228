"""Compressed cell blocks: the bytes of Hadoop and of HBase's modules, ours read back, and what is no such block."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.wire import compression
from registry.wire.compression import CHUNK_BYTES_MAX, COMPRESSORS, BlockTooLarge
from registry.wire.errors import ProtocolError
from registry.wire.zstd_frames import BLOCK_BYTES_MAX, plain_bytes_bound

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "conformance" / "vectors" / "compressed-cell-blocks.json").read_text()
)
NAMES = sorted(COMPRESSORS)
HADOOP = "org.apache.hadoop.io.compress."
HBASE = "org.apache.hadoop.hbase.io.compress."
SHORT = [name.removeprefix(HADOOP).removeprefix(HBASE) for name in NAMES]
BYTES_MAX = 1 << 20


def lengths(*counts: int) -> bytes:
    return b"".join(count.to_bytes(4, "big") for count in counts)


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{each['codec']}-{each['plain_bytes']}" for each in VECTORS])
def test_what_java_writes_is_read(vector: dict[str, Any]) -> None:
    count: int = vector["plain_bytes"]
    text: bytes = vector["plain"].encode()
    plain = (text * (count // len(text) + 1))[:count]
    name: str = vector["codec"]
    codec = COMPRESSORS[(HBASE if "." in name else HADOOP) + name]
    assert codec.decompress(bytes.fromhex(vector["packed"]), count) == plain
    with pytest.raises(BlockTooLarge):
        codec.decompress(bytes.fromhex(vector["packed"]), count - 1)


@pytest.mark.parametrize("name", NAMES, ids=SHORT)
@given(data=st.data())
def test_ours_is_read_back_and_no_part_of_it_is(name: str, data: st.DataObject) -> None:
    plain = data.draw(st.binary(min_size=1, max_size=300)) * data.draw(st.integers(1, 2000))
    codec = COMPRESSORS[name]
    packed = codec.compress(plain)
    assert codec.decompress(packed, len(plain)) == plain
    with pytest.raises(BlockTooLarge):
        codec.decompress(packed, len(plain) - 1)
    for cut in data.draw(st.lists(st.integers(1, len(packed) - 1), max_size=4)):
        try:
            part = codec.decompress(packed[:cut], len(plain))
        except ProtocolError:
            continue
        raise AssertionError(f"the first {cut} of {len(packed)} bytes were read as {part[:100]!r}")


@pytest.mark.parametrize("name", NAMES, ids=SHORT)
@given(st.binary(max_size=200), st.integers(0, 1000))
def test_any_bytes_are_read_or_refused(name: str, junk: bytes, bytes_max: int) -> None:
    try:
        plain = COMPRESSORS[name].decompress(junk, bytes_max)
    except ProtocolError:
        return
    assert len(plain) <= bytes_max


@pytest.mark.parametrize("name", NAMES, ids=SHORT)
@given(data=st.data())
def test_a_changed_byte_never_raises_anything_else(name: str, data: st.DataObject) -> None:
    packed = bytearray(COMPRESSORS[name].compress(b"row one, row two, row three" * 40))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ProtocolError):
        COMPRESSORS[name].decompress(bytes(packed), BYTES_MAX)


@pytest.mark.parametrize("name", NAMES, ids=SHORT)
def test_a_bomb_takes_no_memory(name: str) -> None:
    codec = COMPRESSORS[name]
    bomb = codec.compress(bytes(64 << 20))
    codec.decompress(codec.compress(b"x"), 1)  # the library is loaded now
    tracemalloc.start()
    try:
        with pytest.raises(BlockTooLarge):
            codec.decompress(bomb, BYTES_MAX)
        assert tracemalloc.get_traced_memory()[1] < 4 * BYTES_MAX
    finally:
        tracemalloc.stop()


def test_members_follow_one_another() -> None:
    assert COMPRESSORS[HADOOP + "GzipCodec"].decompress(gzip.compress(b"one") + gzip.compress(b"two"), 6) == b"onetwo"
    zlib_codec = COMPRESSORS[HADOOP + "DefaultCodec"]
    assert zlib_codec.decompress(zlib.compress(b"one") + zlib.compress(b"two"), 6) == b"onetwo"
    with pytest.raises(BlockTooLarge):
        zlib_codec.decompress(zlib.compress(b"one") + zlib.compress(b"two"), 5)
    with pytest.raises(ProtocolError, match="members"):
        zlib_codec.decompress(zlib.compress(b"") * 100, 5)
    frames = bytes(cramjam.zstd.compress(b"one")) + bytes(cramjam.zstd.compress(b"two"))
    skipped = b"\x53\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"..."
    assert COMPRESSORS[HADOOP + "ZStandardCodec"].decompress(skipped + frames, 6) == b"onetwo"
    with pytest.raises(ProtocolError, match="frames"):
        COMPRESSORS[HADOOP + "ZStandardCodec"].decompress(frames * 50, BYTES_MAX)


def test_blocks_of_several_chunks_and_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    snappy = COMPRESSORS[HADOOP + "SnappyCodec"]
    chunks = [bytes(cramjam.snappy.compress_raw(each)) for each in (b"one", b"two", b"three")]
    one, two, three = (lengths(len(chunk)) + chunk for chunk in chunks)
    assert snappy.decompress(lengths(6) + one + two + lengths(5) + three, 11) == b"onetwothree"
    assert snappy.decompress(lengths(3) + one + lengths(0) + b"behind the end", 3) == b"one"
    big = bytes(range(256)) * 2048
    assert snappy.compress(big)[:4] == lengths(len(big))
    assert len(big) > 3 * CHUNK_BYTES_MAX
    for bad in (
        lengths(2) + one,  # a chunk with more than its block
        lengths(4) + one,  # a block that is not whole
        lengths(3, 0),
        lengths(3, 1) + b"\0",  # a chunk of nothing
        lengths(3, 1 << 31) + chunks[0],
        lengths(3, 5) + b"\xff\xff\xff\xff\x0f",  # a chunk that announces 4 GiB
        lengths(3)[:2],
    ):
        with pytest.raises(ProtocolError):
            snappy.decompress(bad, 1000)
    with pytest.raises(BlockTooLarge):
        snappy.decompress(lengths(0xFFFF_FFFF) + one, 1000)
    with pytest.raises(ProtocolError, match="announces"):  # half a GiB, which there might be room for
        snappy.decompress(lengths(1 << 29, 5) + b"\x80\x80\x80\x80\x02", 1 << 30)
    lz4 = COMPRESSORS[HADOOP + "Lz4Codec"]
    assert lz4.decompress(lz4.compress(big), len(big)) == big
    monkeypatch.setattr(compression, "PARTS_MAX", 1)
    with pytest.raises(ProtocolError, match="more than 1 chunks"):
        snappy.decompress(lengths(6) + one + two, 6)


def test_a_chunk_of_zstd_is_one_frame_no_larger_than_it_says() -> None:
    codec = COMPRESSORS[HBASE + "zstd.ZstdCodec"]

    def block(plain_bytes: int, *chunks: bytes) -> bytes:
        return lengths(plain_bytes) + b"".join(lengths(len(chunk)) + chunk for chunk in chunks)

    one, two = bytes(cramjam.zstd.compress(b"one")), bytes(cramjam.zstd.compress(b"two"))
    head = b"\x28\xb5\x2f\xfd\x00\x58"  # tells no size
    full, few = b"\x02\x00\x10x", b"\x0a\x00\x00x"  # blocks of one byte again and again: 128 KiB of it, and once
    raw, last = b"\x08\x00\x00x", b"\x09\x00\x00x"
    tiny = b"\x1c\x00\x00\x08x\x00"  # one byte, compressed
    empty = b"\x04\x00\x00"  # says that it is compressed, and may hold 128 KiB until it is looked at
    assert codec.decompress(block(6, one, two) + block(3, one), 9) == b"onetwoone"
    assert codec.decompress(block(3, head + few + raw + last), 3) == b"xxx"
    assert codec.decompress(block(BLOCK_BYTES_MAX + 1, head + full + last), BYTES_MAX) == b"x" * (BLOCK_BYTES_MAX + 1)
    assert codec.decompress(block(2, head + tiny + last), 2) == b"xx"
    with pytest.raises(ProtocolError, match="bytes has 3"):  # for which there is room, and memory would be taken
        codec.decompress(block(BYTES_MAX, head + tiny * 2 + last), BYTES_MAX)
    for bad in (
        block(6, one + two),
        block(2, one),
        block(4, one),
        block(1, head + full * 3 + last),  # far more than is left of the block
        block(BYTES_MAX, head + full * 300 + last),
        block(1, head + raw * 300 + last),
        block(1, head + b"\x01\x00\x00"),  # nothing
        block(1, head + empty * 2 + last),
        block(3, one[:-1]),
        block(3, b""),
        one,
    ):
        with pytest.raises(ProtocolError) as caught:
            codec.decompress(bad, BYTES_MAX)
        assert (caught.type is BlockTooLarge) == (bad is one)  # whose first bytes are read as a length


@given(st.binary(max_size=3000), st.integers(1, 400))
def test_what_a_zstd_stream_holds_is_never_more_than_its_bound(piece: bytes, times: int) -> None:
    plain = piece * times
    packed = bytes(cramjam.zstd.compress(plain))
    assert len(plain) <= plain_bytes_bound(packed) <= len(plain) + BLOCK_BYTES_MAX


@pytest.mark.parametrize(
    "bad",
    [
        b"\x28\xb5\x2f\xfd",
        b"\x28\xb5\x2f\xfd\x00\x58\x06\x00\x00",  # a block of a kind that is reserved
        b"\x28\xb5\x2f\xfd\x00\x58\x01\x00\xff",  # a block of two MiB
        b"\x28\xb5\x2f\xfd\x00\x58" + b"\x00\x00\x00" * 70_000,
        b"PK\x03\x04....",
        b"\x50\x2a\x4d\x18\xff\xff\xff\xff",
    ],
    ids=["cut off", "reserved", "long block", "many blocks", "no frame", "skipped beyond the end"],
)
def test_what_is_no_zstd(bad: bytes) -> None:
    with pytest.raises(ProtocolError):
        plain_bytes_bound(bad)
