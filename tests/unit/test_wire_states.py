"""The tables of states: every row is walked by real bytes, and what is not in them cannot happen."""

from __future__ import annotations

import pytest

from protos.hbase import RPC_pb2
from registry.wire.calls import encode_answer, encode_error, encode_request
from registry.wire.client_side import CLIENT_TRANSITIONS, ClientConnection, ClientInput, ClientState
from registry.wire.errors import (
    DoNotRetryIOException,
    EmptyServiceNameException,
    FatalConnectionException,
    IOException,
    ProtocolError,
    RequestTooBigException,
    UnknownServiceException,
    UnsupportedCellCodecException,
    UnsupportedCompressionCodecException,
    WrongVersionException,
)
from registry.wire.events import (
    AnswerRead,
    CallRead,
    CallRefused,
    Closing,
    ConnectionFailed,
    ErrorRead,
    HeaderRead,
    PreambleAnswered,
    RegistryAsked,
    ServerEvent,
)
from registry.wire.framing import delimited, encode_frame, encode_length, encode_varint
from registry.wire.header import KEY_VALUE_CODEC, encode_connection_header
from registry.wire.limits import WireLimits
from registry.wire.preamble import PREAMBLE_CALL_ID, encode_preamble_error, encode_registry_answer, worded
from registry.wire.server_side import TRANSITIONS, ServerConnection, ServerInput, ServerState

LIMITS = WireLimits(
    frame_bytes_max=1000, header_bytes_max=300, connection_header_bytes_max=200, sasl_token_bytes_max=100
)
HELLO = b"HBas\0P" + encode_connection_header("ClientMetaService", "root")
CALL = encode_request(7, "GetMasters", b"")


def _server() -> ServerConnection:
    return ServerConnection(("ClientMetaService",), LIMITS, peer_host="10.0.0.1", peer_port=5, local="10.0.0.2:16000")


def _feed(connection: ServerConnection, data: bytes) -> list[ServerEvent]:
    connection.receive_data(data)
    events: list[ServerEvent] = []
    while (event := connection.next_event()) is not None:
        events.append(event)
    return events


TO_STATE = {
    ServerState.PREAMBLE: b"",
    ServerState.REGISTRY: b"Regist",
    ServerState.TOKEN: b"HBas\0\x51",
    ServerState.HEADER: b"HBas\0P",
    ServerState.CALLS: HELLO,
    ServerState.OVERSIZE: HELLO + encode_length(1001),
    ServerState.CLOSED: b"XXXX\0P",
}
"""Bytes that lead to each state."""

MALFORMED_REQUEST = encode_frame(b"\x05\x08")
HAPPENINGS: dict[tuple[ServerState, ServerInput], tuple[bytes, type[ServerEvent] | None]] = {
    (ServerState.PREAMBLE, ServerInput.PREAMBLE_CALLS): (b"HBas\0P", None),
    (ServerState.PREAMBLE, ServerInput.PREAMBLE_SASL): (b"HBas\0\x52", PreambleAnswered),
    (ServerState.PREAMBLE, ServerInput.PREAMBLE_REGISTRY): (b"Regist", RegistryAsked),
    (ServerState.PREAMBLE, ServerInput.PREAMBLE_SECURITY): (b"Securi", PreambleAnswered),
    (ServerState.PREAMBLE, ServerInput.PREAMBLE_REFUSED): (b"GET / ", Closing),
    (ServerState.TOKEN, ServerInput.TOKEN_READ): (encode_frame(b"any token"), None),
    (ServerState.TOKEN, ServerInput.LENGTH_REFUSED): (encode_length(101), Closing),
    (ServerState.HEADER, ServerInput.HEADER_READ): (HELLO[6:], HeaderRead),
    (ServerState.HEADER, ServerInput.HEADER_REFUSED): (encode_connection_header("ClientService", "root"), Closing),
    (ServerState.HEADER, ServerInput.LENGTH_REFUSED): (encode_length(201), Closing),
    (ServerState.CALLS, ServerInput.CALL_READ): (CALL, CallRead),
    (ServerState.CALLS, ServerInput.CALL_REFUSED): (encode_frame(delimited(b"\x08\x07")), CallRefused),
    (ServerState.CALLS, ServerInput.LENGTH_REFUSED): (encode_length(1001), None),
    (ServerState.CALLS, ServerInput.MALFORMED): (MALFORMED_REQUEST, Closing),
    (ServerState.OVERSIZE, ServerInput.OVERSIZE_ANSWERED): (delimited(b"\x08\x07"), Closing),
    (ServerState.OVERSIZE, ServerInput.MALFORMED): (b"\xff" * 10, Closing),
}
"""What the peer sends in that state, and the event that comes of it."""


@pytest.mark.parametrize(("state", "happened"), TRANSITIONS, ids=lambda value: value.value)
def test_every_row_of_the_servers_table(state: ServerState, happened: ServerInput) -> None:
    connection = _server()
    _feed(connection, TO_STATE[state])
    assert connection.state is state
    if happened is ServerInput.CLOSED:
        connection.close()
    elif happened is ServerInput.REGISTRY_ANSWERED:
        connection.answer_registry("id")
    else:
        data, expected = HAPPENINGS[state, happened]
        events = _feed(connection, data)
        assert [type(event) for event in events] == ([expected] if expected else [])
    assert connection.state is TRANSITIONS[state, happened]


def test_every_state_can_be_reached() -> None:
    assert set(TO_STATE) == set(ServerState)
    assert {happened for _, happened in TRANSITIONS} == set(ServerInput)
    assert {happened for _, happened in CLIENT_TRANSITIONS} == set(ClientInput)


@pytest.mark.parametrize("state", [ServerState.REGISTRY, ServerState.CLOSED], ids=lambda state: state.value)
def test_nothing_is_read_where_nothing_may_follow(state: ServerState) -> None:
    connection = _server()
    _feed(connection, TO_STATE[state])
    assert _feed(connection, HELLO + CALL) == []
    assert connection.state is state
    connection.close()
    connection.receive_data(CALL)
    assert connection.buffered_bytes == 0, "what comes after the end is dropped"


def test_registry_is_answered_once() -> None:
    connection = _server()
    _feed(connection, b"Regist")
    assert connection.answer_registry("id") == encode_registry_answer("id")
    with pytest.raises(KeyError):
        connection.answer_registry("id")


def test_registry_without_a_cluster_id_is_an_unknown_preamble() -> None:
    """2.6 clients compare this text, and go on without the cluster id."""
    connection = _server()
    _feed(connection, b"Regist")
    text = "Expected HEADER=HBas but received HEADER=Regi from 10.0.0.1:5"
    expected = encode_preamble_error(worded(FatalConnectionException(text)))
    assert connection.answer_registry(None) == expected
    assert connection.state is ServerState.CLOSED


def test_security_is_asked_before_the_ordinary_preamble() -> None:
    events = _feed(_server(), b"Securi" + b"Securi" + HELLO + CALL)
    assert [type(event) for event in events] == [PreambleAnswered, PreambleAnswered, HeaderRead, CallRead]


def test_a_kerberos_client_is_told_to_go_on_without() -> None:
    """It has sent its first token by then, which is skipped whatever it is, once."""
    events = _feed(_server(), b"HBas\0\x51" + encode_frame(b"\x60\x82token") + HELLO[6:] + CALL)
    switched, header, call = events
    assert isinstance(switched, PreambleAnswered)
    assert switched.reply.hex() == "00000000ffffffa8"
    assert isinstance(header, HeaderRead)
    assert isinstance(call, CallRead)


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (RPC_pb2.ConnectionHeader(service_name="NoSuchService"), UnknownServiceException),
        (RPC_pb2.ConnectionHeader(), EmptyServiceNameException),
        (
            RPC_pb2.ConnectionHeader(service_name="ClientMetaService", cell_block_codec_class="x.Codec"),
            UnsupportedCellCodecException,
        ),
        (
            RPC_pb2.ConnectionHeader(
                service_name="ClientMetaService",
                cell_block_codec_class=KEY_VALUE_CODEC,
                cell_block_compressor_class="x.GzipCodec",
            ),
            UnsupportedCompressionCodecException,
        ),
    ],
    ids=["service", "no service", "codec", "compressor"],
)
def test_a_refused_header_is_closed_without_a_word(header: RPC_pb2.ConnectionHeader, error: type[Exception]) -> None:
    (event,) = _feed(_server(), b"HBas\0P" + encode_frame(header.SerializeToString()))
    assert isinstance(event, Closing)
    assert isinstance(event.error, error)
    assert event.reply == b""


def test_a_compressor_without_a_codec_is_not_looked_at() -> None:
    header = RPC_pb2.ConnectionHeader(service_name="ClientMetaService", cell_block_compressor_class="x.GzipCodec")
    (event,) = _feed(_server(), b"HBas\0P" + encode_frame(header.SerializeToString()))
    assert isinstance(event, HeaderRead)


@pytest.mark.parametrize(
    "message", [b"\xff", b"\x12\x05abc", b"\x12\x02\xff\xfe"], ids=["tag", "cut off", "name that is no text"]
)
def test_a_header_that_is_none(message: bytes) -> None:
    (event,) = _feed(_server(), b"HBas\0P" + encode_frame(message))
    assert isinstance(event, Closing)
    assert event.reply == b""


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (None, DoNotRetryIOException),
        ("1.2.12", DoNotRetryIOException),
        ("x.y", DoNotRetryIOException),
        ("1.3.0", RequestTooBigException),
        ("2.6.4", RequestTooBigException),
        ("3.0.0-beta-1", RequestTooBigException),
    ],
)
def test_a_request_over_the_limit_is_answered_with_its_call_id(version: str | None, expected: type[Exception]) -> None:
    header = RPC_pb2.ConnectionHeader(service_name="ClientMetaService")
    if version is not None:
        header.version_info.version = version
    start = b"HBas\0P" + encode_frame(header.SerializePartialToString())
    request = encode_request(300, "GetMasters", b"p" * 2000)
    connection = _server()
    events: list[ServerEvent] = []
    for index in range(0, len(start + request), 3):
        events += _feed(connection, (start + request)[index : index + 3])
    closing = events[-1]
    assert isinstance(closing, Closing)
    assert type(closing.error) is expected
    client = ClientConnection()
    client.send_hello("s", "u")
    client.receive_data(closing.reply)
    answer = client.next_event()
    assert isinstance(answer, ErrorRead)
    assert answer.call_id == 300
    assert answer.error.stack_trace.startswith(
        f"RPC data length of {len(request) - 4} received from 10.0.0.1 is greater than max allowed 1000. Set "
    )


def test_only_the_header_of_a_request_over_the_limit_is_kept() -> None:
    connection = _server()
    _feed(connection, HELLO + encode_length(2**31 - 1) + delimited(b"\x08\x07" + b"\x32" * 298)[:-1])
    assert connection.state is ServerState.OVERSIZE
    (event,) = _feed(connection, b"\x32" * 100_000)
    assert isinstance(event, Closing)
    assert connection.buffered_bytes == 0


def test_a_request_over_the_limit_whose_header_is_over_its_limit() -> None:
    events = _feed(_server(), HELLO + encode_length(2**31 - 1) + encode_varint(301))
    assert isinstance(events[-1], Closing), "at once: nobody waits for such a header"
    assert events[-1].reply == b""


def test_requests_have_a_limit_of_their_own() -> None:
    """Larger than a connection header may be, and up to the last byte."""
    empty_bytes = len(encode_request(1, "Put", bytes(128))) - 128
    largest = encode_request(1, "Put", bytes(1004 - empty_bytes))
    assert len(largest) == 4 + LIMITS.frame_bytes_max
    assert [type(event) for event in _feed(_server(), HELLO + largest)] == [HeaderRead, CallRead]
    one_more = encode_request(1, "Put", bytes(1005 - empty_bytes))
    assert [type(event) for event in _feed(_server(), HELLO + one_more)] == [HeaderRead, Closing]
    connection = _server()
    connection.limit_frames(300)
    assert [type(event) for event in _feed(connection, HELLO + largest)] == [HeaderRead, Closing]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x80",
        b"\x7f\x08",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        delimited(b"\xff\xff"),
        delimited(b"\x1a\xc8\x02" + b"m" * 328) + b"\0",
    ],
    ids=["empty", "varint cut off", "header length lies", "negative header length", "no header", "header too long"],
)
def test_a_request_without_a_readable_header_ends_the_connection(frame: bytes) -> None:
    event = _feed(_server(), HELLO + encode_frame(frame))[-1]
    assert isinstance(event, Closing)
    assert isinstance(event.error, ProtocolError)
    assert event.reply == b"", "there is no call id to answer to"


@pytest.mark.parametrize(
    ("behind_header", "meta_bytes", "says"),
    [
        (b"", 0, "cut off after 0 bytes"),
        (b"\x05abc", 3, "announces 5 bytes, 3 are there"),
        (b"\xff\xff\xff\xff\x0f", 0, "over an int's"),
        (b"\x01a" + b"cell", 5, "cell block of 5 bytes announced, 4 are there"),
        (b"\x01a", 4_294_967_295, "cell block of 4294967295 bytes announced, 0 are there"),
    ],
)
def test_lies_behind_the_header_are_answered(behind_header: bytes, meta_bytes: int, says: str) -> None:
    header = RPC_pb2.RequestHeader(call_id=9, method_name="GetMasters", request_param=True)
    if meta_bytes:
        header.cell_block_meta.length = meta_bytes
    connection = _server()
    event = _feed(connection, HELLO + encode_frame(delimited(header.SerializeToString()), behind_header))[-1]
    assert isinstance(event, CallRefused)
    assert event.call_id == 9
    assert says in event.error.message
    assert event.error.message.startswith("/10.0.0.2:16000 is unable to read call parameter from client 10.0.0.1; ")
    assert [type(event) for event in _feed(connection, CALL)] == [CallRead], "the connection goes on"


def test_a_parameter_without_cells_ends_with_its_frame() -> None:
    """hbase-driver of PyPI writes the varint of a length as text: of 160 bytes it announces 20546; HBase reads them."""
    header = RPC_pb2.RequestHeader(call_id=9, method_name="Mutate", request_param=True)
    frame = encode_frame(delimited(header.SerializeToString()), "\xa0\x01".encode(), bytes(160))
    call = _feed(_server(), HELLO + frame)[-1]
    assert isinstance(call, CallRead)
    assert (call.param, call.cells) == (bytes(160), b"")
    header.cell_block_meta.length = 0
    frame = encode_frame(delimited(header.SerializeToString()), "\xa0\x01".encode(), bytes(160))
    assert isinstance(_feed(_server(), HELLO + frame)[-1], CallRefused), "cells would come behind the end of the frame"


def test_cells_are_what_was_announced_and_trailing_bytes_are_nobodys() -> None:
    header = RPC_pb2.RequestHeader(call_id=9, method_name="Multi", request_param=True)
    header.cell_block_meta.length = 4
    frame = encode_frame(delimited(header.SerializeToString()), delimited(b"param"), b"cellmore")
    call = _feed(_server(), HELLO + frame)[-1]
    assert isinstance(call, CallRead)
    assert (call.param, call.cells, call.frame_bytes) == (b"param", b"cell", len(frame))


def test_a_cell_block_of_no_bytes_is_none() -> None:
    """The synchronous client of 2.6 announces one of length 0 for a Multi of gets."""
    header = RPC_pb2.RequestHeader(call_id=9, method_name="Multi", request_param=True)
    header.cell_block_meta.length = 0
    call = _feed(_server(), HELLO + encode_frame(delimited(header.SerializeToString()), b"\0"))[-1]
    assert isinstance(call, CallRead)
    assert call.cells == b""


# --- the client's side ----------------------------------------------------------------------------------------------


CLIENT_ANSWERS: dict[ClientState, bytes] = {
    ClientState.REGISTRY: encode_registry_answer("id"),
    ClientState.SECURITY: encode_preamble_error(IOException("no")),
    ClientState.CALLS: encode_answer(1, b"m"),
}


def _client(state: ClientState) -> ClientConnection:
    client = ClientConnection(LIMITS)
    match state:
        case ClientState.REGISTRY:
            client.send_registry_preamble()
        case ClientState.SECURITY:
            client.send_security_preamble()
        case ClientState.CALLS:
            client.send_hello("s", "u")
        case ClientState.CLOSED:
            client.close()
        case ClientState.NEW:
            pass
    assert client.state is state
    return client


def _happen(client: ClientConnection, happened: ClientInput) -> None:
    match happened:
        case ClientInput.HELLO_SENT:
            client.send_hello("s", "u")
        case ClientInput.REGISTRY_SENT:
            client.send_registry_preamble()
        case ClientInput.SECURITY_SENT:
            client.send_security_preamble()
        case ClientInput.CALL_SENT:
            client.send_call(1, "m", b"")
        case ClientInput.ANSWER_READ:
            client.receive_data(CLIENT_ANSWERS[client.state])
            assert client.next_event() is not None
        case ClientInput.FAILED:
            client.receive_data(encode_frame())
            assert client.state is ClientState.CLOSED or isinstance(client.next_event(), ConnectionFailed)
        case ClientInput.CLOSED:
            client.close()


@pytest.mark.parametrize("state", ClientState, ids=lambda state: state.value)
@pytest.mark.parametrize("happened", ClientInput, ids=lambda happened: happened.value)
def test_every_row_of_the_clients_table(state: ClientState, happened: ClientInput) -> None:
    client = _client(state)
    if (state, happened) in CLIENT_TRANSITIONS:
        _happen(client, happened)
        assert client.state is CLIENT_TRANSITIONS[state, happened]
    elif happened is not ClientInput.ANSWER_READ:
        with pytest.raises(KeyError):
            _happen(client, happened)


def test_answers_come_in_any_order() -> None:
    client = _client(ClientState.CALLS)
    client.receive_data(
        encode_answer(2, b"two", b"cells") + encode_error(1, IOException("bad luck")) + encode_answer(3, b"")
    )
    two, one, three = (client.next_event() for _ in range(3))
    assert isinstance(two, AnswerRead)
    assert (two.call_id, two.message, two.cells) == (2, b"two", b"cells")
    assert isinstance(one, ErrorRead)
    assert (one.call_id, one.error.message) == (1, "bad luck")
    assert isinstance(three, AnswerRead)
    assert (three.call_id, three.message) == (3, b"")
    assert client.next_event() is None


def test_a_fatal_error_ends_the_connection_whatever_its_call_id() -> None:
    for call_id in (PREAMBLE_CALL_ID, 5):
        client = _client(ClientState.CALLS)
        client.receive_data(encode_error(call_id, WrongVersionException("no")) + encode_answer(1, b""))
        event = client.next_event()
        assert isinstance(event, ConnectionFailed)
        assert isinstance(event.error, WrongVersionException)
        assert client.next_event() is None


@pytest.mark.parametrize(
    "data",
    [
        encode_frame(),
        encode_frame(b"\x02\x08"),
        encode_frame(delimited(b"\xff")),
        encode_frame(delimited(b"\x08\x01")),
        encode_frame(delimited(b"\x08\x01"), b"\x05abc"),
        encode_frame(delimited(b"\x08\x01\x1a\x02\x08\x05"), b"\0abcd"),
        encode_length(1001),
        b"\xff\xff\xff\xff",
    ],
    ids=[
        "empty frame", "header length lies", "no header", "no message", "message length lies", "cell length lies",
        "over the limit", "negative length",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_fails_the_connection(data: bytes) -> None:
    client = _client(ClientState.CALLS)
    client.receive_data(data)
    event = client.next_event()
    assert isinstance(event, ConnectionFailed)
    assert isinstance(event.error, ProtocolError)
    assert client.next_event() is None


def test_a_server_that_speaks_first_is_no_hbase() -> None:
    client = ClientConnection()
    client.receive_data(encode_answer(1, b""))
    assert isinstance(client.next_event(), ConnectionFailed)
