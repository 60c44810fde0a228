"""Compressed cell blocks: what the connection header's `cell_block_compressor_class` asks for, in both directions.

Hadoop's codecs, and those of HBase's own modules, write two kinds of streams:

    DefaultCodec, DeflateCodec      zlib, one member after the other
    GzipCodec                       gzip, one member after the other
    ZStandardCodec                  zstd frames (`registry.wire.zstd_frames`)
    Lz4Codec, SnappyCodec, ZstdCodec
                                    blocks: [int32 bytes of the block, plain]([int32 n][chunk of n bytes])...

with chunks until a block is whole; a block of 0 bytes ends the stream. A chunk of ZstdCodec is one frame, so that
HBase's zstd and Hadoop's do not read one another. A block without cells is not written at all.
Whatever a peer sends is bounded twice: by the size of what comes out, which is checked before memory is taken, and by
the number of its parts.

Source: ServerRpcConnection#setupCellBlockCodecs, CellBlockBuilder#decompress; org.apache.hadoop.io.compress:
BlockCompressorStream, BlockDecompressorStream, DecompressorStream (members), Lz4Codec, SnappyCodec, ZStandardCodec;
org.apache.hadoop.hbase.io.compress: aircompressor.HadoopCompressor and its codecs, zstd.ZstdCompressor,
lz4.Lz4Compressor, xerial.SnappyCompressor.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from registry.wire.errors import ProtocolError
from registry.wire.zstd_frames import BLOCK_BYTES_MAX, plain_bytes_bound

CHUNK_BYTES_MAX = 128 * 1024
"""Plain bytes of a chunk that we write. Java reads each into a buffer of 256 KiB, io.compression.codec.*.buffersize
and hbase.io.compress.*.buffersize."""
PARTS_MAX = 65_536
"""Chunks of a block stream: Hadoop's own have over 200 KiB, so that a cell block of any size has fewer."""
MEMBERS_MAX = 64
"""Members of a gzip or zlib stream. Java writes one."""
LZ4_RATIO_MAX = 256
"""A byte of LZ4 stands for 255 at most, beside what the first of a sequence says."""
FAST_LEVEL = 1
"""Of zlib: a server compresses for many, and the higher levels cost several times as much for a tenth less."""
SNAPPY_RATIO_MAX = 64
"""The longest copy, and it takes more than one byte."""
ZSTD_CHUNK_BLOCKS_MAX = 128
"""zstd's blocks in a chunk; Java's of 256 KiB have two, or some tens where a compressor splits them."""

_LENGTH_BYTES = 4


class BlockTooLarge(ProtocolError):
    """The block holds more than is taken; nothing of it was kept."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"compressed cell block of more than {bytes_max} bytes", kind="compression")


class Compression(NamedTuple):
    """One codec. Functions are pure and may run in any thread."""

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    """Gives the plain bytes, at most as many as the second argument says. Raises BlockTooLarge, ProtocolError."""


def _bad(what: str) -> ProtocolError:
    return ProtocolError(f"compressed cell block: {what}", kind="compression")


# --- zlib and gzip ----------------------------------------------------------------------------------------------------


def _deflated(window_bits: int) -> Compression:
    def compress(plain: bytes) -> bytes:
        stream = zlib.compressobj(FAST_LEVEL, zlib.DEFLATED, window_bits)
        return stream.compress(plain) + stream.flush()

    def decompress(packed: bytes, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        room = bytes_max
        for _ in range(MEMBERS_MAX):
            member = zlib.decompressobj(window_bits)
            try:
                piece = member.decompress(packed, room + 1)
            except zlib.error as error:
                raise _bad(str(error)) from None
            room -= len(piece)
            if room < 0:
                raise BlockTooLarge(bytes_max)
            if not member.eof:
                raise _bad("the stream is cut off")
            pieces.append(piece)
            packed = member.unused_data
            if not packed:
                return b"".join(pieces)
        raise _bad(f"more than {MEMBERS_MAX} members")

    return Compression(compress, decompress)


# --- zstd -------------------------------------------------------------------------------------------------------------


def _zstd_compress(plain: bytes) -> bytes:
    return bytes(_cramjam().zstd.compress(plain))


def _zstd_decompress(packed: bytes, bytes_max: int) -> bytes:
    bound = plain_bytes_bound(packed)
    plain = bytearray(min(bound, bytes_max))
    library = _cramjam()
    try:
        count = library.zstd.decompress_into(packed, plain)
    except library.DecompressionError as error:
        if bound > bytes_max:  # then what is too long and what is bad look alike
            raise BlockTooLarge(bytes_max) from None
        raise _bad(str(error)) from None
    return bytes(memoryview(plain)[:count])


# --- blocks -----------------------------------------------------------------------------------------------------------


def _blocks(pack: Callable[[bytes], bytes], unpack: Callable[[bytes, int], bytes]) -> Compression:
    """`unpack` gives the plain bytes of a chunk, at least one and at most so many, or raises ProtocolError."""

    def compress(plain: bytes) -> bytes:
        pieces = [_length(len(plain))]
        for begin in range(0, len(plain), CHUNK_BYTES_MAX):
            chunk = pack(plain[begin : begin + CHUNK_BYTES_MAX])
            pieces += (_length(len(chunk)), chunk)
        return b"".join(pieces)

    def decompress(packed: bytes, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        room, at = bytes_max, 0
        while at < len(packed):
            left, at = _length_at(packed, at)
            if not left:
                break
            if left > room:
                raise BlockTooLarge(bytes_max)
            room -= left
            while left:
                chunk_bytes, at = _length_at(packed, at)
                if chunk_bytes > len(packed) - at:
                    raise _bad(f"chunk of {chunk_bytes} bytes announced, {len(packed) - at} are there")
                if len(pieces) == PARTS_MAX:
                    raise _bad(f"more than {PARTS_MAX} chunks")
                piece = unpack(packed[at : at + chunk_bytes], left)
                pieces.append(piece)
                at += chunk_bytes
                left -= len(piece)
        return b"".join(pieces)

    return Compression(compress, decompress)


def _length(count_bytes: int) -> bytes:
    return count_bytes.to_bytes(_LENGTH_BYTES, "big")


def _length_at(packed: bytes, at: int) -> tuple[int, int]:
    """A length, and the offset behind it."""
    stop = at + _LENGTH_BYTES
    if stop > len(packed):
        raise _bad(f"cut off at byte {at}")
    return int.from_bytes(packed[at:stop], "big"), stop


def _lz4_pack(plain: bytes) -> bytes:
    return bytes(_cramjam().lz4.compress_block(plain, store_size=False))


def _lz4_unpack(chunk: bytes, bytes_max: int) -> bytes:
    def unpack(library: ModuleType) -> bytes:
        plain = bytearray(min(bytes_max, LZ4_RATIO_MAX * len(chunk)))
        count = library.lz4.decompress_block_into(chunk, plain, len(plain))
        return bytes(memoryview(plain)[:count])

    return _unpacked(unpack)


def _snappy_pack(plain: bytes) -> bytes:
    return bytes(_cramjam().snappy.compress_raw(plain))


def _snappy_unpack(chunk: bytes, bytes_max: int) -> bytes:
    def unpack(library: ModuleType) -> bytes:
        announced = library.snappy.decompress_raw_len(chunk)
        if announced > min(bytes_max, SNAPPY_RATIO_MAX * len(chunk)):
            raise _bad(f"a chunk of {len(chunk)} bytes announces {announced}, {bytes_max} are left of its block")
        return library.snappy.decompress_raw(chunk)

    return _unpacked(unpack)


def _zstd_unpack(chunk: bytes, bytes_max: int) -> bytes:
    def unpack(library: ModuleType) -> bytes:
        bound = plain_bytes_bound(chunk, frames_max=1, blocks_max=ZSTD_CHUNK_BLOCKS_MAX)
        if bound > bytes_max + BLOCK_BYTES_MAX:
            raise _bad(f"a zstd frame of up to {bound} bytes, {bytes_max} are left of its block")
        plain = bytearray(min(bound, bytes_max))
        count = library.zstd.decompress_into(chunk, plain)
        if bound > count + BLOCK_BYTES_MAX:  # many of these would cost memory for nothing; Java announces sizes
            raise _bad(f"a zstd frame of up to {bound} bytes has {count}")
        return bytes(memoryview(plain)[:count])

    return _unpacked(unpack)


def _unpacked(unpack: Callable[[ModuleType], bytes]) -> bytes:
    library = _cramjam()
    try:
        plain = bytes(unpack(library))
    except library.DecompressionError as error:
        raise _bad(str(error)) from None
    if not plain:
        raise _bad("a chunk without content")
    return plain


# --- the table --------------------------------------------------------------------------------------------------------


def _cramjam() -> ModuleType:
    """The library of what Python has not itself; loaded when a client wants it first."""
    return import_module("cramjam")


_ZLIB, _GZIP = _deflated(zlib.MAX_WBITS), _deflated(zlib.MAX_WBITS | 16)
_LZ4, _SNAPPY = _blocks(_lz4_pack, _lz4_unpack), _blocks(_snappy_pack, _snappy_unpack)
_ZSTD_BLOCKS = _blocks(_zstd_compress, _zstd_unpack)
_HADOOP = "org.apache.hadoop.io.compress."
_HBASE = "org.apache.hadoop.hbase.io.compress."

COMPRESSORS: Mapping[str, Compression] = {
    _HADOOP + "DefaultCodec": _ZLIB,
    _HADOOP + "DeflateCodec": _ZLIB,
    _HADOOP + "GzipCodec": _GZIP,
    _HADOOP + "Lz4Codec": _LZ4,
    _HADOOP + "SnappyCodec": _SNAPPY,
    _HADOOP + "ZStandardCodec": Compression(_zstd_compress, _zstd_decompress),
    _HBASE + "aircompressor.Lz4Codec": _LZ4,
    _HBASE + "aircompressor.SnappyCodec": _SNAPPY,
    _HBASE + "aircompressor.ZstdCodec": _ZSTD_BLOCKS,
    _HBASE + "lz4.Lz4Codec": _LZ4,
    _HBASE + "xerial.SnappyCodec": _SNAPPY,
    _HBASE + "zstd.ZstdCodec": _ZSTD_BLOCKS,
}
"""By the class that a connection header names. A client that names another is closed, as by a real server that lacks
the class; a real one has BZip2Codec besides, and HBase's modules have aircompressor.LzoCodec, brotli.BrotliCodec and
xz.LzmaCodec."""
