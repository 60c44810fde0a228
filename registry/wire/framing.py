"""Length prefixes, varints and the buffer that turns a byte stream into frames.

Layout of a frame: `[int32 big-endian total][total bytes]`; inside it messages are delimited by varints:
`[varint n][message n]`. The same in both directions.

Source: org.apache.hadoop.hbase.ipc.NettyRpcFrameDecoder, ServerCall.setResponse; protobuf encoding of varints.
"""

from __future__ import annotations

from registry.wire.errors import ProtocolError

LENGTH_BYTES = 4
"""The prefix of a frame and of the connection header, big-endian. HBase reads it unsigned, so that what Java
writes as a negative length is a very large one, and over any limit."""

VARINT_BYTES_MAX = 10
"""A 64-bit value in groups of seven bits: the longest that protobuf writes (negative numbers have it)."""

SMALL_PIECE_BYTES = 4096
"""Pieces below this are put together: a bytes object costs 33 bytes beside its content."""

GATHERED_BYTES_MAX = 65_536
"""Up to here small pieces are put together: growing further would copy more than is saved."""

INT32_MAX = 0x7FFF_FFFF
"""Java keeps lengths in an int: what is above would be negative there."""


class FrameTooLarge(ProtocolError):
    """The announced length is over the limit; nothing of it was kept.

    `frame_bytes` is what the peer announced. The frame's first bytes can still be looked at with `peek`.
    """

    def __init__(self, frame_bytes: int, frame_bytes_max: int) -> None:
        super().__init__(f"frame of {frame_bytes} bytes announced, at most {frame_bytes_max} are taken", kind="frame")
        self.frame_bytes = frame_bytes
        self.frame_bytes_max = frame_bytes_max


def encode_varint(value: int) -> bytes:
    """The base-128 varint of `value`, which is not negative and fits 64 bits."""
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    if 0x80 <= value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if 0x4000 <= value < 0x200000:  # call ids, most of the time
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    assert 0 <= value < 1 << 64, "a varint holds an unsigned 64-bit number"
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(buffer: bytes, offset: int) -> tuple[int, int]:
    """The varint at `offset` and the offset behind it.

    Longer forms than needed are accepted, as protobuf does, up to ten bytes. Raises ProtocolError when the
    buffer ends inside it, when it is longer or when its value needs more than 64 bits.
    """
    value = shift = 0
    for byte in buffer[offset : offset + VARINT_BYTES_MAX]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if value >= 1 << 64:
                raise ProtocolError(f"varint at byte {offset} needs more than 64 bits", kind="varint")
            return value, offset + shift // 7
    if len(buffer) - offset >= VARINT_BYTES_MAX:
        raise ProtocolError(f"varint at byte {offset} is longer than {VARINT_BYTES_MAX} bytes", kind="varint")
    there = max(len(buffer) - offset, 0)
    raise ProtocolError(f"varint at byte {offset} is cut off after {there} bytes", kind="varint")


def decode_delimited(buffer: bytes, offset: int) -> tuple[int, int]:
    """Where the delimited message at `offset` lies: `(start, stop)`, for `buffer[start:stop]`.

    Raises ProtocolError when the announced length is negative for Java or goes past the end.
    """
    length, start = decode_varint(buffer, offset)
    if length > INT32_MAX:
        raise ProtocolError(f"message at byte {offset} announces the length {length}, over an int's", kind="length")
    if length > len(buffer) - start:
        there = len(buffer) - start
        raise ProtocolError(f"message at byte {offset} announces {length} bytes, {there} are there", kind="length")
    return start, start + length


def delimited(message: bytes) -> bytes:
    """`[varint n][message n]`."""
    return encode_varint(len(message)) + message


def encode_length(count_bytes: int) -> bytes:
    """The four bytes before a frame or a connection header of `count_bytes`."""
    assert count_bytes <= INT32_MAX, "Java keeps the length of a frame in an int"
    return count_bytes.to_bytes(LENGTH_BYTES, "big")


def encode_frame(*parts: bytes) -> bytes:
    """One frame made of the parts in a row, joined once."""
    return b"".join((encode_length(sum(map(len, parts))), *parts))


class FrameReader:
    """Collects a byte stream and gives it back frame by frame.

    Large frames are kept in the pieces they came in and joined once; memory grows with what has arrived,
    never with what was announced. Small pieces are put together as they come, for an object of its own for
    each would cost a slow writer's victim many times the bytes.
    """

    __slots__ = ("_buffered_bytes", "_head", "_offset", "_pieces", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._head = b""  # the piece that is read from, from _offset on
        self._offset = 0
        self._pieces: list[bytes | bytearray] | None = None  # what came after _head; None most of the time
        self._buffered_bytes = 0  # unread bytes in _head and _pieces

    @property
    def buffered_bytes(self) -> int:
        """Bytes that have arrived and were not given back yet."""
        return self._buffered_bytes

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if not data:
            return
        if not self._buffered_bytes:
            self._head, self._offset, self._pieces = data, 0, None
        else:
            if self._pieces is None:
                self._pieces = []
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, bytearray) and len(last) < GATHERED_BYTES_MAX:
                last += data
            else:
                self._pieces.append(bytearray(data) if len(data) < SMALL_PIECE_BYTES else data)
        self._buffered_bytes += len(data)

    def peek(self, count_bytes: int) -> bytes:
        """The next unread bytes without taking them: at most `count_bytes`, fewer when fewer are there."""
        if len(self._head) - self._offset < count_bytes and self._pieces is not None:
            self._join(count_bytes)
        return self._head[self._offset : self._offset + count_bytes]

    def take(self, count_bytes: int) -> bytes | None:
        """The next `count_bytes` bytes whatever they are, or None when not all are there."""
        if self._buffered_bytes < count_bytes:
            return None
        if len(self._head) - self._offset < count_bytes:
            self._join(count_bytes)
        taken = self._head[self._offset : self._offset + count_bytes]
        self._skip(count_bytes)
        return taken

    def skip(self, count_bytes: int) -> int:
        """Drop at most `count_bytes` unread bytes; how many were dropped."""
        dropped = min(count_bytes, self._buffered_bytes)
        if dropped > len(self._head) - self._offset:
            self._join(dropped)
        self._skip(dropped)
        return dropped

    def next_frame(self) -> bytes | None:
        """The content of the next frame without its length, or None until it is complete.

        Raises FrameTooLarge for a length over the limit, as soon as the four bytes are there, and again each
        time it is asked.
        """
        if self._buffered_bytes < LENGTH_BYTES:
            return None
        head, offset = self._head, self._offset
        body = offset + LENGTH_BYTES
        if body > len(head):
            self._join(LENGTH_BYTES)
            head, offset, body = self._head, self._offset, self._offset + LENGTH_BYTES
        length = int.from_bytes(head[offset:body], "big")
        if length > self.frame_bytes_max:
            raise FrameTooLarge(length, self.frame_bytes_max)
        if length > self._buffered_bytes - LENGTH_BYTES:
            return None
        self._skip(LENGTH_BYTES)
        return self.take(length)

    def clear(self) -> None:
        """Forget what has arrived."""
        self._head, self._offset, self._pieces, self._buffered_bytes = b"", 0, None, 0

    def _skip(self, count_bytes: int) -> None:
        """Step over bytes that all lie in the head."""
        self._buffered_bytes -= count_bytes
        self._offset += count_bytes
        if self._offset == len(self._head) and self._pieces is not None:
            pieces, self._pieces = self._pieces, None
            self._head, self._offset = bytes(pieces[0]), 0
            if len(pieces) > 1:
                del pieces[0]
                self._pieces = pieces

    def _join(self, count_bytes: int) -> None:
        """Make the next bytes, or all where fewer are there, lie in the head.

        Each arriving piece is copied at most a few times however small the frames are: only as many pieces
        are joined as the frame needs.
        """
        pieces = self._pieces
        if pieces is None:
            return
        have = len(self._head) - self._offset
        used = 0
        while used < len(pieces) and have < count_bytes:
            have += len(pieces[used])
            used += 1
        self._head = b"".join((self._head[self._offset :], *pieces[:used]))
        self._offset = 0
        del pieces[:used]
        if not pieces:
            self._pieces = None


_ONE_BYTE = [bytes((value,)) for value in range(0x80)]
