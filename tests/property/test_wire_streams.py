"""Streams whose events are known by construction, in all pieces that a network may make of them.

That splitting changes nothing is not enough to ask: a reader that drops every second frame keeps that promise. So the
expected events are made first, and the bytes from them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from protos.hbase import HBase_pb2, RPC_pb2
from registry.rpc.connection import RpcConnection
from registry.rpc.context import RpcContext, RpcServerSettings
from registry.rpc.scheduler import Outcome, RpcScheduler
from registry.rpc.services import Call, ServiceTable
from registry.wire.calls import encode_answer, encode_error, encode_request
from registry.wire.client_side import ClientConnection
from registry.wire.errors import IOException
from registry.wire.events import AnswerRead, CallRead, ConnectionFailed, ErrorRead, HeaderRead, ServerEvent
from registry.wire.framing import FrameReader, delimited, encode_frame, encode_length, encode_varint
from registry.wire.header import encode_connection_header
from registry.wire.limits import WireLimits
from registry.wire.ready import ReadyService
from registry.wire.server_side import ServerConnection, ServerState
from registry.wire.stamp import STAMP_ATTRIBUTE
from tests.support.clock import ManualClock
from tests.support.transport import RecordingTransport

EDGE_SIZES = st.sampled_from([0, 1, 2, 3, 126, 127, 128, 129, 255, 256, 4095, 4096, 16_383, 16_384, 70_000])
CALL_IDS = st.one_of(
    st.sampled_from([0, 127, 128, 16_383, 16_384, 2**21, 2**28, 2**31 - 1, 2**32 - 1]), st.integers(0, 2**32 - 1)
)
FRAME_SIZES = st.lists(st.one_of(st.integers(0, 40), EDGE_SIZES), max_size=12)
PIECES = st.lists(st.one_of(st.integers(1, 9), st.sampled_from([255, 4096, 65_536])), min_size=1, max_size=20)
"""Sizes of pieces, used again from the start when they run out: [1] is byte by byte."""


def _pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    offset = index = 0
    while offset < len(data):
        size = sizes[index % len(sizes)]
        pieces.append(data[offset : offset + size])
        offset += size
        index += 1
    return pieces


@given(FRAME_SIZES, PIECES)
@example([0, 0, 4096], [4096])
@example([4092, 1], [4096, 1])
@example([70_000, 3], [2])
@example([70_000, 70_000, 3], [4095, 65_536])
def test_frames_come_back_as_they_were_sent(frame_sizes: list[int], sizes: list[int]) -> None:
    frames = [bytes((index + 1,)) * size for index, size in enumerate(frame_sizes)]
    data = b"".join(map(encode_frame, frames))
    for how in ([len(data) or 1], [1] if len(data) < 5000 else [997], sizes):
        reader = FrameReader(70_000)
        got: list[bytes] = []
        fed = given_back = 0
        for piece in _pieces(data, how):
            reader.feed(piece)
            fed += len(piece)
            while (frame := reader.next_frame()) is not None:
                got.append(frame)
                given_back += len(frame) + 4
            assert reader.buffered_bytes == fed - given_back
        assert got == frames
        assert reader.buffered_bytes == 0


@dataclass(frozen=True)
class Sent:
    """A call as a client means it."""

    call_id: int
    method: str
    param: bytes
    cells: bytes
    timeout_ms: int
    attributes: tuple[tuple[str, bytes], ...]
    unknown: bytes

    def encode(self) -> bytes:
        header = RPC_pb2.RequestHeader(call_id=self.call_id, method_name=self.method, request_param=True)
        if self.cells:
            header.cell_block_meta.length = len(self.cells)
        if self.timeout_ms:
            header.timeout = self.timeout_ms
        for name, value in self.attributes:
            header.attribute.append(HBase_pb2.NameBytesPair(name=name, value=value))
        return encode_frame(delimited(header.SerializeToString() + self.unknown), delimited(self.param), self.cells)


UNKNOWN_FIELDS = st.lists(
    st.one_of(
        st.tuples(st.integers(100, 10_000), st.integers(0, 2**64 - 1)).map(
            lambda field: encode_varint(field[0] << 3) + encode_varint(field[1])
        ),
        st.tuples(st.integers(100, 10_000), st.binary(max_size=20)).map(
            lambda field: encode_varint(field[0] << 3 | 2) + delimited(field[1])
        ),
        st.tuples(st.integers(100, 10_000), st.binary(min_size=8, max_size=8)).map(
            lambda field: encode_varint(field[0] << 3 | 1) + field[1]
        ),
        st.tuples(st.integers(100, 10_000), st.binary(min_size=4, max_size=4)).map(
            lambda field: encode_varint(field[0] << 3 | 5) + field[1]
        ),
    ),
    max_size=3,
).map(b"".join)
"""Fields that a newer peer may add."""

CALLS = st.lists(
    st.builds(
        Sent,
        call_id=CALL_IDS,
        method=st.sampled_from(["GetMasters", "GetClusterId", "Multi", "m" * 130]),
        param=st.one_of(st.just(b""), st.binary(max_size=200)),
        cells=st.one_of(st.just(b""), st.binary(max_size=200)),
        timeout_ms=st.sampled_from([0, 1, 60_000, 2**32 - 1]),
        attributes=st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2).map(tuple),
        unknown=UNKNOWN_FIELDS,
    ),
    max_size=8,
)


def _server_connection() -> ServerConnection:
    return ServerConnection(("ClientMetaService",), WireLimits(), peer_host="h", peer_port=1, local="l:2")


@given(CALLS, UNKNOWN_FIELDS, PIECES)
def test_calls_come_back_as_they_were_meant(calls: list[Sent], unknown: bytes, sizes: list[int]) -> None:
    header = RPC_pb2.ConnectionHeader(service_name="ClientMetaService").SerializeToString() + unknown
    data = b"HBas\0P" + encode_frame(header) + b"".join(call.encode() for call in calls)
    for how in ([len(data)], [1], sizes):
        connection = _server_connection()
        events: list[ServerEvent] = []
        for piece in _pieces(data, how):
            connection.receive_data(piece)
            while (event := connection.next_event()) is not None:
                events.append(event)
        first, *rest = events
        assert isinstance(first, HeaderRead)
        assert first.info.service == "ClientMetaService"
        assert len(rest) == len(calls)
        for event, call in zip(rest, calls, strict=True):
            assert isinstance(event, CallRead)
            assert (event.call_id, event.header.method_name) == (call.call_id, call.method)
            assert (event.param, event.cells, event.header.timeout) == (call.param, call.cells, call.timeout_ms)
            assert [(pair.name, pair.value) for pair in event.header.attribute] == list(call.attributes)
            assert event.frame_bytes == len(call.encode())
        assert connection.buffered_bytes == 0


ANSWERS = st.lists(
    st.tuples(CALL_IDS, st.one_of(st.none(), st.binary(max_size=300)), st.binary(max_size=300), UNKNOWN_FIELDS),
    max_size=8,
)


@given(CALL_IDS, st.binary(max_size=300), EDGE_SIZES, UNKNOWN_FIELDS)
def test_an_answer_is_what_protobuf_writes(call_id: int, message: bytes, cells_bytes: int, unknown: bytes) -> None:
    header = RPC_pb2.ResponseHeader(call_id=call_id)
    if cells_bytes:
        header.cell_block_meta.length = cells_bytes
    cells = bytes(cells_bytes)
    expected = encode_frame(delimited(header.SerializeToString() + unknown), delimited(message), cells)
    assert encode_answer(call_id, message, cells, unknown) == expected


@given(ANSWERS, PIECES)
def test_answers_come_back_as_they_were_given(
    answers: list[tuple[int, bytes | None, bytes, bytes]], sizes: list[int]
) -> None:
    """A message of None is an error here."""
    data = b"".join(
        encode_error(call_id, IOException(f"error {call_id}"))
        if message is None
        else encode_answer(call_id, message, cells, unknown)
        for call_id, message, cells, unknown in answers
    )
    for how in ([len(data) or 1], [1], sizes):
        client = ClientConnection()
        client.send_hello("s", "u")
        got: list[tuple[int, bytes | None, bytes]] = []
        for piece in _pieces(data, how):
            client.receive_data(piece)
            while (event := client.next_event()) is not None:
                if isinstance(event, ErrorRead):
                    assert event.error.message == f"error {event.call_id & 0xFFFF_FFFF}"
                    got.append((event.call_id & 0xFFFF_FFFF, None, b""))
                else:
                    assert isinstance(event, AnswerRead)
                    got.append((event.call_id & 0xFFFF_FFFF, event.message, event.cells))
        assert got == [(call_id, message, b"" if message is None else cells) for call_id, message, cells, _ in answers]


@given(st.sampled_from([b"", b"HBas\0P", b"HBas\0\x51", b"hello"]), st.binary(max_size=300), PIECES)
def test_no_bytes_surprise_the_server(start: bytes, noise: bytes, sizes: list[int]) -> None:
    if start == b"hello":
        start = b"HBas\0P" + encode_connection_header("ClientMetaService", "root")
    connection = _server_connection()
    for piece in _pieces(start + noise, sizes):
        connection.receive_data(piece)
        while connection.next_event() is not None:
            if connection.state is ServerState.REGISTRY:
                connection.answer_registry("id")
        assert connection.buffered_bytes <= len(start + noise)
    if connection.state is ServerState.CLOSED:
        assert connection.buffered_bytes == 0


@given(st.binary(max_size=300), PIECES)
def test_no_bytes_surprise_the_client(noise: bytes, sizes: list[int]) -> None:
    client = ClientConnection()
    client.send_hello("s", "u")
    for piece in _pieces(noise, sizes):
        client.receive_data(piece)
        while (event := client.next_event()) is not None:
            assert isinstance(event, AnswerRead | ErrorRead | ConnectionFailed)


# --- the short way beside the long way --------------------------------------------------------------------------


BODIES = {"GetMasters": b"masters" * 20, "GetClusterId": b"\x0a\x02id"}


@dataclass(frozen=True)
class LookUp:
    """A look-up in one of the shapes that clients give it, and the bytes of its right answer."""

    request: bytes
    answer: bytes


def _look_up(call_id: int, method: str, shape: str, number: int) -> LookUp:
    header = RPC_pb2.RequestHeader(call_id=call_id, method_name=method, request_param=True)
    stamp = b""
    match shape:
        case "java":
            header.trace_info.SetInParent()
            header.priority = 0
            header.timeout = 60_000
        case "traced":
            header.trace_info.headers["traceparent"] = str(number)
        case "attribute":
            header.attribute.append(HBase_pb2.NameBytesPair(name="x", value=b"%d" % number))
        case "stamp":
            header.attribute.append(HBase_pb2.NameBytesPair(name=STAMP_ATTRIBUTE, value=b""))
            stamp = b"\xba\x44\x03abc"
        case "timeout":
            header.timeout = number
        case _:
            pass
    param = b"\xba\x44\x03abc" if shape == "unknown field" else b""
    encoded = header.SerializeToString()
    if shape == "id last":
        assert encoded[0] == 8
        id_bytes = 1 + len(encode_varint(call_id))
        encoded = encoded[id_bytes:] + encoded[:id_bytes]
    return LookUp(
        encode_frame(delimited(encoded), delimited(param)), encode_answer(call_id, BODIES[method], header_extra=stamp)
    )


SHAPES = ["java", "plain", "traced", "attribute", "stamp", "timeout", "unknown field", "id last"]
LOOK_UPS = st.lists(
    st.builds(_look_up, CALL_IDS, st.sampled_from(sorted(BODIES)), st.sampled_from(SHAPES), st.integers(0, 2**32 - 1)),
    max_size=30,
)


@given(LOOK_UPS, PIECES)
def test_every_way_gives_the_same_answers(look_ups: list[LookUp], sizes: list[int]) -> None:
    """Whole, byte by byte and in pieces: the same bytes in the same order, whatever shapes follow each other."""
    hello = b"HBas\0P" + encode_connection_header("ClientMetaService", "root")
    data = hello + b"".join(look_up.request for look_up in look_ups)
    expected = b"".join(look_up.answer for look_up in look_ups)
    context = _context()
    for how in ([len(data)], [1], sizes):
        transport = RecordingTransport()
        connection = RpcConnection(context)
        transport.connect(connection)
        for piece in _pieces(data, how):
            connection.data_received(piece)
        assert transport.sent == expected
        assert not transport.is_closed
        transport.lose()
    assert context.received.held_bytes == 0
    assert not context.connections


def _context() -> RpcContext:
    context = RpcContext(RpcServerSettings(), ServiceTable(), ManualClock())
    context.set_ready("ClientMetaService", BODIES)
    context.stamp = lambda method: b"\xba\x44\x03abc"

    def execute(call: Call) -> Outcome:
        raise AssertionError("look-ups are not scheduled")

    context.scheduler = RpcScheduler(
        context.settings.scheduler, ManualClock(), execute=execute, call_soon=lambda function: None, stats=context.stats
    )
    return context


@given(st.binary(max_size=60), PIECES)
@example(b"\0\0\0\x04\x02\x08\x80\x80", [8])
@example(b"\0\0\0\x02\0\x08", [6])
@example(b"\0\0\0\x09\x07\x08\xff\xff\xff\xff\xff\xff\x01", [13])
@example(encode_length(2**31 - 1) + b"\x7f\x08\x01", [7])
def test_no_bytes_surprise_the_ready_answers(noise: bytes, sizes: list[int]) -> None:
    """It answers nothing to what is no look-up, and never reads behind the end."""
    ready = ReadyService()
    ready.set_bodies(BODIES)
    known = encode_request(1, "GetMasters", b"")
    out: list[bytes] = []
    assert ready.answer_requests(known + noise, 0, out) == (len(known), False)
    assert b"".join(out) == encode_answer(1, BODIES["GetMasters"])
