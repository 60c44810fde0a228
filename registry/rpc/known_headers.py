"""Request headers that have come before, found by their bytes: most clients ask with few of them all day.

    [int32 total][varint n][08 varint call id | the rest of RequestHeader][varint m][request m][cell block]

What follows the call id says method, time-out, priority and size of the cell block. It is looked up as it is; what is
not found is parsed and remembered, and what is not of this shape is left to the wire's machine, which knows all shapes
and all errors. Pure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from google.protobuf.message import DecodeError

from protos.hbase import RPC_pb2
from registry.rpc.scheduler import LATER, NOW, Start
from registry.rpc.services import NORMAL_QOS, AtOnce, Call, Caller, Method
from registry.wire.errors import ProtocolError
from registry.wire.framing import LENGTH_BYTES, decode_varint
from registry.wire.header import ConnectionInfo
from registry.wire.text import lenient_text

LOG = logging.getLogger(__name__)

FRAME_BYTES_MAX = 256 * 1024
"""Longer ones are worth the longer way."""
PIECES_BYTES_MAX = 64 * 1024
"""Up to so many bytes of a call that came in pieces are looked at again from its beginning."""
CALL_BYTES_MIN = 8
ONE_BYTE_MAX = 0x7F
"""The length of a header is one byte."""
CALL_ID_TAG = 0x08
CALL_ID_MAX = (1 << 32) - 1
NEVER_MS = float("inf")
REMEMBERED_MAX = 4096
"""Headers of one service: methods, time-outs and sizes of cell blocks that its clients use."""


class KnownHeader(NamedTuple):
    """What a header says, but for the call id."""

    method: Method
    header: RPC_pb2.RequestHeader
    """Shared by all calls with it; without a call id."""
    timeout_ms: int
    cells_bytes: int
    at_once: AtOnce | None
    """The method's, where nothing in the header speaks against it."""


class Taker(Protocol):
    """The connection on which calls come."""

    info: ConnectionInfo | None
    peer_host: str
    held: int
    """Not zero: it takes no calls now."""
    is_open: bool

    def answer_at_once(self, call_id: int, method: Method, message: bytes, cells: bytes) -> None:
        """Send the answer of what was not made a call."""
        ...

    def submit(self, call: Call, timeout_ms: int) -> None:
        """Have a call answered."""
        ...

    def wait_turn(self) -> None:
        """Be held until others had their turn, and go on with what was not taken."""
        ...


class KnownHeaders:
    """Those of one service."""

    def __init__(self, methods: Mapping[str, Method], start_of: Callable[[int], Start]) -> None:
        """`start_of`: when a call of ordinary priority and so many bytes would start."""
        self._methods = methods
        self._start_of = start_of
        self._headers: dict[bytes, KnownHeader] = {}
        """In the order in which they were learnt."""

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._headers)

    def take_calls(self, data: bytes, caller: Caller, taker: Taker, calls_max: int) -> tuple[int, int]:
        """Submit the calls that `data` begins with; how many bytes and how many calls were taken.

        What follows is not a whole call of the usual shape, or the connection takes no more.
        """
        info, peer_host = taker.info, taker.peer_host
        assert info is not None, "calls come after the connection header"
        may_be_at_once = not info.cell_block_compressor
        offset, stop, count = 0, len(data), 0
        while offset < stop and count < calls_max:
            found = self._find(data, offset)
            if found is None:
                break
            known, call_id, param_at, param_stop, end = found
            method, param = known.method, data[param_at:param_stop]
            at_once = known.at_once if may_be_at_once else None
            if at_once is not None:
                start = self._start_of(end - offset)
                if start is LATER:
                    taker.wait_turn()
                    break
                if start is NOW and (answer := _tried(at_once, param, info)):
                    offset = end
                    count += 1
                    taker.answer_at_once(call_id, method, *answer)
                    if taker.held or not taker.is_open:
                        break
                    continue
            try:
                request = method.request_type.FromString(param)
            except DecodeError:
                break
            if not request.IsInitialized():
                break
            cells = data[param_stop:end] if known.cells_bytes else b""
            call = Call(
                caller, method, known.header, request, cells, call_id=call_id, info=info, peer_host=peer_host,
                frame_bytes=end - offset, deadline_ms=NEVER_MS,
            )  # fmt: skip
            offset = end
            count += 1
            taker.submit(call, known.timeout_ms)
            if taker.held or not taker.is_open:
                break
        return offset, count

    def _find(self, data: bytes, offset: int) -> tuple[KnownHeader, int, int, int, int] | None:
        """Header, call id, where the request begins and ends, where the frame ends."""
        begin = offset + LENGTH_BYTES
        total = int.from_bytes(data[offset:begin], "big")
        stop = begin + total
        if stop > len(data) or not CALL_BYTES_MIN <= total <= FRAME_BYTES_MAX:
            return None
        header_bytes = data[begin]
        header_stop = begin + 1 + header_bytes
        if header_bytes > ONE_BYTE_MAX or header_stop >= stop or data[begin + 1] != CALL_ID_TAG:
            return None
        call_id, at = data[begin + 2], begin + 3
        param_bytes, param_at = data[header_stop], header_stop + 1
        try:
            if call_id > ONE_BYTE_MAX:
                call_id, at = decode_varint(data, begin + 2)
            if param_bytes > ONE_BYTE_MAX:
                param_bytes, param_at = decode_varint(data, header_stop)
        except ProtocolError:
            return None
        if at > header_stop:
            return None  # a call id that ends behind its header
        rest = data[at:header_stop]
        known = self._headers.get(rest) or self._learn(rest)
        param_stop = param_at + param_bytes
        if known is None or call_id > CALL_ID_MAX or param_stop + known.cells_bytes != stop:
            return None
        return known, call_id, param_at, param_stop, stop

    def _learn(self, rest: bytes) -> KnownHeader | None:
        try:
            header = RPC_pb2.RequestHeader.FromString(rest)
        except DecodeError:
            return None
        method = self._methods.get(lenient_text(header.method_name))
        if method is None or not header.request_param or header.HasField("call_id"):
            return None
        is_usual = not header.attribute and not header.cell_block_meta.length
        at_once = method.at_once if is_usual and max(header.priority, method.priority) == NORMAL_QOS else None
        known = KnownHeader(method, header, header.timeout, header.cell_block_meta.length, at_once)
        if len(self._headers) >= REMEMBERED_MAX:
            del self._headers[next(iter(self._headers))]
        self._headers[rest] = known
        return known


def _tried(at_once: AtOnce, param: bytes, info: ConnectionInfo) -> tuple[bytes, bytes] | None:
    try:
        return at_once(param, info)
    except Exception:  # what the handler meets again its client is told
        LOG.exception("a request of %s that was tried at once", info.service)
        return None
