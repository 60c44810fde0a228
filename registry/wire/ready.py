"""Answers that are ready before they are asked for, found by the bytes of the request.

A client repeats its look-ups with nothing changed but the call id:

    00 00 00 1c | 1a | 08 <call id> | 12 00 1a 0c "GetClusterId" 20 01 30 00 38 e0 d4 03 | 00
    total         header length      the rest of the header, and an empty request

so what follows the call id is looked up in a dict, and the answer is put together as prefix, the call id's own bytes
and a tail that was encoded when the snapshot changed. Nothing is decoded. What is not found is read by protobuf,
answered, and remembered if another call may look the same.

Source: org.apache.hadoop.hbase.ipc.ServerRpcConnection#processRequest for what a request may be; the measurements
are in docs/adr.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from registry.wire.calls import decode_request_header, encode_answer
from registry.wire.errors import ProtocolError
from registry.wire.framing import LENGTH_BYTES, encode_length, encode_varint
from registry.wire.stamp import wants_stamp

REQUEST_BYTES_MAX = LENGTH_BYTES + 2 + 0x7F
"""The longest frame that is looked up by its bytes: its header's length is a varint of one byte."""

REMEMBERED_MAX = 1024
"""Shapes of requests that are remembered: a handful of client versions times five methods needs a few dozen; a peer
that invents shapes makes the table start again, which costs the others one decoding each."""

BATCH_BYTES_MAX = 65_536
"""Answers put together for one write: a reader that does not read is noticed after that much."""

CALL_ID_BYTES_MAX = 5
_CALL_ID_TAG = 8
_EMPTY_REQUEST = b"\x00"
_frame_head = struct.Struct(">IBB").unpack_from


class ReadyAnswer:
    """The answer of one method: encoded once, sent often."""

    __slots__ = ("body", "count", "prefixes", "tail")

    def __init__(self) -> None:
        self.body = b""
        """The response message."""
        self.tail = b""
        """The response message with its length: what follows the ResponseHeader."""
        self.prefixes: tuple[bytes, ...] = ()
        """What stands before the call id, by the number of bytes the call id has."""
        self.count = 0
        """How often it was sent from here."""

    def set_body(self, body: bytes) -> None:
        """Take a new response message."""
        self.body = body
        self.tail = encode_varint(len(body)) + body
        self.prefixes = tuple(
            encode_length(2 + id_bytes + len(self.tail)) + bytes((1 + id_bytes, _CALL_ID_TAG))
            for id_bytes in range(CALL_ID_BYTES_MAX + 1)
        )

    def encode(self, call_id: int, header_extra: bytes) -> bytes:
        """The whole frame, with encoded fields put at the end of ResponseHeader."""
        return encode_answer(call_id, self.body, header_extra=header_extra)


class ReadyService:
    """The ready answers of one service."""

    __slots__ = ("_remembered", "answers", "batch_max")

    def __init__(self) -> None:
        self.answers: dict[str, ReadyAnswer] = {}
        """Method to its answer; methods that are missing are nobody's here."""
        self.batch_max = 1
        """How many answers are put together at most, so that they stay below BATCH_BYTES_MAX."""
        self._remembered: dict[bytes, ReadyAnswer] = {}

    def set_bodies(self, bodies: Mapping[str, bytes]) -> None:
        """Take new answers, all at once; what was learnt about requests stays good."""
        for gone in self.answers.keys() - bodies.keys():
            del self.answers[gone]
            self._remembered.clear()
        for method, body in bodies.items():
            self.answers.setdefault(method, ReadyAnswer()).set_body(body)
        largest_bytes = max((len(answer.tail) for answer in self.answers.values()), default=0)
        self.batch_max = max(1, BATCH_BYTES_MAX // (largest_bytes + LENGTH_BYTES + 2 + CALL_ID_BYTES_MAX))

    def answer_requests(self, data: bytes, offset: int, out: list[bytes]) -> tuple[int, bool]:
        """Put the answers to the requests that begin at `offset` into `out`.

        Gives where it stopped, and whether only because the batch was full. Otherwise there is an incomplete frame
        or one that somebody else must read. This is the hot path: nothing here calls anything in the usual case.
        """
        size = len(data)
        find = self._remembered.get
        for _ in range(self.batch_max):
            if size - offset < 8:
                return offset, False
            total, header_bytes, tag = _frame_head(data, offset)
            end = offset + 4 + total
            if total != header_bytes + 2 or tag != 8 or not 2 <= header_bytes < 128 or end > size:
                return offset, False
            start = offset + 6
            if data[start] < 128:
                stop = start + 1
            elif data[start + 1] < 128:
                stop = start + 2
            else:
                stop = _call_id_stop(data, start, end)
                if not stop:
                    return offset, False
            answer = find(data[stop:end])
            if answer is None:
                answer = self._learn(data[offset + 5 : end - 1], data[stop:end])
                if answer is None:
                    return offset, False
            answer.count += 1
            out += (answer.prefixes[stop - start], data[start:stop], answer.tail)
            offset = end
        return offset, True

    def _learn(self, header_bytes: bytes, rest: bytes) -> ReadyAnswer | None:
        """The answer to a request that was not met before, or None where there is more to it."""
        try:
            header = decode_request_header(header_bytes)
        except ProtocolError:
            return None
        answer = self.answers.get(header.method_name)
        plain = header.request_param and rest[-1:] == _EMPTY_REQUEST and not header.cell_block_meta.length
        if answer is None or not plain or wants_stamp(header):
            return None
        if not header.trace_info.ByteSize() and not header.attribute:  # these are new with each call
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[rest] = answer
        return answer


def _call_id_stop(data: bytes, start: int, limit: int) -> int:
    """Where a call id of three to five bytes ends; 0 where it is longer, cut off, or more than 32 bits."""
    for stop in range(start + 2, min(start + CALL_ID_BYTES_MAX, limit)):
        if data[stop] < 128:
            return stop + 1 if stop < start + 4 or data[stop] < 16 else 0
    return 0
