"""The wire's machines against bytes that a real HBase sent and received; see vectors/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protos.hbase import RPC_pb2
from registry.wire.calls import decode_answer, encode_answer, encode_request
from registry.wire.client_side import ClientConnection
from registry.wire.errors import DoNotRetryIOException
from registry.wire.events import (
    AnswerRead,
    CallRead,
    CallRefused,
    Closing,
    HeaderRead,
    PreambleAnswered,
    RegistryAsked,
    ServerEvent,
)
from registry.wire.framing import FrameReader, decode_delimited, delimited, encode_frame
from registry.wire.limits import WireLimits
from registry.wire.ready import ReadyService
from registry.wire.server_side import ServerConnection, ServerState

Vector = dict[str, Any]
CLUSTER_ID = "9dec5e49-c8c0-4618-a767-92cb9707d79b"


def _vectors(name: str) -> list[Vector]:
    return json.loads((Path(__file__).parent / "vectors" / f"{name}.json").read_text())["vectors"]


def _named(name: str) -> pytest.MarkDecorator:
    vectors = _vectors(name)
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def _server(vector: Vector, *services: str) -> ServerConnection:
    return ServerConnection(
        services or ("ClientMetaService",),
        WireLimits(),
        peer_host="127.0.0.1",
        peer_port=vector.get("peer_port", 0),
        local="127.0.0.1:27900",
    )


def _events(connection: ServerConnection, data: bytes) -> list[ServerEvent]:
    connection.receive_data(data)
    events: list[ServerEvent] = []
    while (event := connection.next_event()) is not None:
        events.append(event)
    return events


def _frame(data: bytes) -> bytes:
    reader = FrameReader(1 << 20)
    reader.feed(data)
    frame = reader.next_frame()
    assert frame is not None
    assert not reader.buffered_bytes
    return frame


@_named("preambles-2.6.4")
def test_preambles(vector: Vector) -> None:
    connection = _server(vector)
    (event,) = _events(connection, bytes.fromhex(vector["sent"]))
    if isinstance(event, RegistryAsked):
        reply = connection.answer_registry(CLUSTER_ID)
    else:
        assert isinstance(event, PreambleAnswered | Closing)
        reply = event.reply
    if "received" in vector:
        assert reply.hex() == vector["received"]
    else:
        header = RPC_pb2.ResponseHeader.FromString(_frame(reply)[2:])
        assert header.call_id == 2**32 - 1
        assert header.exception.exception_class_name == vector["error"]["java_class"]
        assert header.exception.stack_trace == vector["error"]["text"]
        assert header.exception.do_not_retry
    assert (connection.state is ServerState.CLOSED) == (vector["then"] == "closed")


@_named("client-meta-service-2.6.4")
def test_look_ups_of_java_clients(vector: Vector) -> None:
    """The short way and the machine's way give the recorded bytes."""
    sent, received = bytes.fromhex(vector["sent"]), bytes.fromhex(vector["received"])
    body = decode_answer(_frame(received)).message

    ready = ReadyService()
    ready.set_bodies({vector["name"]: body})
    for _ in range(2):  # decoded first, then found by its bytes
        out: list[bytes] = []
        assert ready.answer_requests(sent, 0, out)[0] == len(sent)
        assert b"".join(out).hex() == received.hex()

    connection = _server(vector)
    header = encode_frame(RPC_pb2.ConnectionHeader(service_name="ClientMetaService").SerializeToString())
    header_read, call = _events(connection, b"HBas\0P" + header + sent)
    assert isinstance(header_read, HeaderRead)
    assert isinstance(call, CallRead)
    assert (call.call_id, call.header.method_name, call.param) == (vector["call_id"], vector["name"], b"")
    assert (call.header.timeout, call.header.priority, call.frame_bytes) == (60_000, 0, len(sent))
    assert encode_answer(call.call_id, body).hex() == received.hex()


@_named("client-meta-service-2.6.4")
def test_answers_reach_our_client(vector: Vector) -> None:
    client = ClientConnection()
    client.send_hello("ClientMetaService", "root")
    client.receive_data(bytes.fromhex(vector["received"]))
    event = client.next_event()
    assert isinstance(event, AnswerRead)
    assert event.call_id == vector["call_id"]
    assert event.message
    assert client.next_event() is None


@_named("preambles-2.6.4")
def test_preamble_answers_reach_our_client(vector: Vector) -> None:
    if vector["name"] not in {"regist", "securi"}:
        return
    client = ClientConnection()
    sent = client.send_registry_preamble() if vector["name"] == "regist" else client.send_security_preamble()
    assert sent.hex() == vector["sent"]
    client.receive_data(bytes.fromhex(vector["received"]))
    event = client.next_event()
    assert event is not None
    if vector["name"] == "regist":
        assert isinstance(event, AnswerRead)
        assert (event.call_id, event.message[2:].decode()) == (-1, CLUSTER_ID)
    else:
        assert "security is not enabled" in str(event)


@_named("refused-calls-2.6.4")
def test_refused_calls(vector: Vector) -> None:
    header = RPC_pb2.RequestHeader(
        call_id=vector["call_id"], method_name=vector["method"], request_param=vector["request_param"]
    )
    hello = b"HBas\0P" + encode_frame(RPC_pb2.ConnectionHeader(service_name=vector["service"]).SerializeToString())
    connection = _server(vector, vector["service"])
    request = encode_frame(delimited(header.SerializeToString()), *([b"\0"] if vector["request_param"] else []))
    event = _events(connection, hello + request)[-1]
    if isinstance(event, CallRead):  # only the face knows methods; the text is the machine's
        cause = f"java.lang.UnsupportedOperationException: {event.header.method_name}"
        event = connection.unreadable_call(event, DoNotRetryIOException(cause))
    assert isinstance(event, CallRefused)
    frame = _frame(event.reply)
    start, stop = decode_delimited(frame, 0)
    answer = RPC_pb2.ResponseHeader.FromString(frame[start:stop])
    assert stop == len(frame)
    assert answer.call_id == vector["call_id"]
    assert answer.exception.exception_class_name == vector["error"]["java_class"]
    assert answer.exception.stack_trace == vector["error"]["text"]
    assert answer.exception.do_not_retry is vector["error"]["do_not_retry"]
    assert connection.state is ServerState.CALLS


@_named("data-frames-2.6.4")
def test_data_frames(vector: Vector) -> None:
    data, cells = bytes.fromhex(vector["frame"]), bytes.fromhex(vector["cells"])
    if vector["side"] == "answer":
        parts = decode_answer(_frame(data))
        assert (parts.call_id, parts.error, parts.message.hex()) == (vector["call_id"], None, vector["message"])
        assert parts.cells == cells
        assert encode_answer(parts.call_id, parts.message, parts.cells).hex() == vector["frame"]
        return
    hello = b"HBas\0P" + encode_frame(RPC_pb2.ConnectionHeader(service_name="ClientService").SerializeToString())
    call = _events(_server(vector, "ClientService"), hello + data)[-1]
    assert isinstance(call, CallRead)
    assert (call.call_id, call.header.method_name) == (vector["call_id"], vector["method"])
    assert (len(call.param), call.cells) == (vector["message_bytes"], cells)
    assert encode_request(call.call_id, vector["method"], call.param, cells=cells).hex() == vector["frame"]
