"""Ready answers: what is remembered, what is not, and what a peer cannot do to the memory of others."""

from __future__ import annotations

import pytest

from protos.hbase import HBase_pb2, RPC_pb2
from registry.wire import ready as ready_module
from registry.wire.calls import encode_answer, encode_request
from registry.wire.framing import delimited, encode_frame
from registry.wire.ready import BATCH_BYTES_MAX, REMEMBERED_MAX, ReadyService

BODY = b"\x0a\x02id"


def _ready(**bodies: bytes) -> ReadyService:
    ready = ReadyService()
    ready.set_bodies(bodies or {"GetClusterId": BODY})
    return ready


def _ask(ready: ReadyService, data: bytes) -> bytes:
    out: list[bytes] = []
    stopped, more = ready.answer_requests(data, 0, out)
    assert stopped == (len(data) if out else 0)
    assert not more or stopped == len(data)
    return b"".join(out)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The headers that had to be decoded."""
    headers: list[bytes] = []
    decode = ready_module.decode_request_header

    def decode_and_note(header_bytes: bytes) -> RPC_pb2.RequestHeader:
        headers.append(header_bytes)
        return decode(header_bytes)

    monkeypatch.setattr(ready_module, "decode_request_header", decode_and_note)
    return headers


def test_a_shape_is_decoded_once(decoded: list[bytes]) -> None:
    ready = _ready()
    for call_id in (1, 2, 127, 128, 2**32 - 1):
        assert _ask(ready, encode_request(call_id, "GetClusterId", b"")) == encode_answer(call_id, BODY)
    assert len(decoded) == 1
    assert ready.answers["GetClusterId"].count == 5
    _ask(ready, encode_request(1, "GetClusterId", b"", timeout_ms=1))
    assert len(decoded) == 2


def test_what_differs_each_time_is_answered_and_not_remembered(decoded: list[bytes]) -> None:
    ready = _ready()
    traced = RPC_pb2.RequestHeader(call_id=1, method_name="GetClusterId", request_param=True)
    traced.trace_info.headers["traceparent"] = "00-1-2-01"
    old_trace = RPC_pb2.RequestHeader(call_id=1, method_name="GetClusterId", request_param=True)
    old_trace.trace_info.trace_id = 5
    attribute = RPC_pb2.RequestHeader(call_id=1, method_name="GetClusterId", request_param=True)
    attribute.attribute.append(HBase_pb2.NameBytesPair(name="x", value=b"1"))
    for header in (traced, old_trace, attribute):
        request = encode_frame(delimited(header.SerializeToString()), b"\0")
        for _ in range(2):
            assert _ask(ready, request) == encode_answer(1, BODY)
    assert len(decoded) == 6


def test_new_answers_hold_for_shapes_that_are_known(decoded: list[bytes]) -> None:
    ready = _ready()
    request = encode_request(1, "GetClusterId", b"")
    _ask(ready, request)
    ready.set_bodies({"GetClusterId": b"longer than before" * 10})
    assert _ask(ready, request) == encode_answer(1, b"longer than before" * 10)
    assert len(decoded) == 1


def test_a_method_that_is_taken_away_is_not_answered() -> None:
    ready = _ready(GetClusterId=BODY, GetMasters=b"m")
    assert _ask(ready, encode_request(1, "GetMasters", b""))
    ready.set_bodies({"GetClusterId": BODY})
    assert _ask(ready, encode_request(1, "GetMasters", b"")) == b""
    assert _ask(ready, encode_request(1, "GetClusterId", b""))


@pytest.mark.parametrize(
    "request_bytes",
    [
        encode_request(1, "GetTableNames", b""),
        encode_request(1, "GetClusterId", b"\x08\x01"),
        encode_request(1, "GetClusterId", b"", cells=b"cells"),
        encode_request(1, "GetClusterId", b"", attributes={"hbeacon.stamp": b""}),
        encode_request(1, "GetClusterId", b"", attributes={"x": b"v" * 128}),
        encode_frame(delimited(b"\x08\x01\x1a\x0cGetClusterId"), b"\0"),
        encode_frame(delimited(b"\x08\x01\x1a\x0cGetClusterId\x20\x00"), b"\0"),
        encode_frame(delimited(b"\x08\x01\x1a\x0cGetClusterId\x20\x01"), b"\x01"),
        encode_frame(delimited(b"\x08\x01\x1a\x0cGetClusterId\x20\x01\x2a\x02\x08\x05"), b"\0"),
        encode_frame(delimited(b"\x08\x80\x80\x80\x80\x10\x1a\x0cGetClusterId\x20\x01"), b"\0"),
        encode_frame(delimited(b"\x08\x01\x1a\x0dGetClusterId\x20\x01"), b"\0"),
        b"\0\0\0\x82\x80\x08\x01\x1a\x0cGetClusterId\x20\x01\xba\x3e\x6b" + bytes(107) + b"\0",
        encode_request(1, "GetClusterId", b"")[:-1],
        b"\0\0\0",
    ],
    ids=[
        "other method", "param", "cells", "stamp", "long header", "no request_param", "request_param false",
        "param length lies", "cell block length lies", "call id over 32 bits", "length in header lies",
        "header of 1024 bytes announced in 130",
        "cut off", "cut off in the length",
    ],
)  # fmt: skip
def test_all_the_rest_is_left_to_the_machine(request_bytes: bytes) -> None:
    ready = _ready()
    for _ in range(2):
        assert _ask(ready, request_bytes) == b""
        assert _ask(ready, encode_request(1, "GetClusterId", b"")) == encode_answer(1, BODY)


def test_a_known_shape_with_another_split_is_not_mistaken() -> None:
    """The same bytes behind the call id, but the header ends one byte earlier and the request is not empty."""
    ready = _ready()
    request = encode_request(1, "GetClusterId", b"")
    _ask(ready, request)
    other = request[:4] + bytes((request[4] - 1,)) + request[5:]
    assert _ask(ready, other) == b""


def test_a_peer_that_invents_shapes_does_not_fill_the_memory(decoded: list[bytes]) -> None:
    ready = _ready()
    usual = encode_request(1, "GetClusterId", b"")
    for number in range(1, 3 * REMEMBERED_MAX):
        _ask(ready, encode_request(1, "GetClusterId", b"", timeout_ms=number))
        assert _ask(ready, usual) == encode_answer(1, BODY)
    decoded.clear()
    again = [encode_request(1, "GetClusterId", b"", timeout_ms=number) for number in range(1, 3 * REMEMBERED_MAX)]
    for request in again:
        _ask(ready, request)
    assert len(decoded) > len(again) - REMEMBERED_MAX, "old shapes were forgotten"


@pytest.mark.parametrize("body_bytes", [0, 100, 10_000, 1_000_000])
def test_a_batch_is_bounded(body_bytes: int) -> None:
    ready = _ready(GetMasters=b"m" * body_bytes)
    data = encode_request(1, "GetMasters", b"") * 30_000
    out: list[bytes] = []
    stopped, more = ready.answer_requests(data, 0, out)
    assert more
    assert 0 < stopped < len(data)
    assert sum(map(len, out)) <= max(BATCH_BYTES_MAX, body_bytes + 20)
    _, more = ready.answer_requests(data, len(data) - 40, [])
    assert not more
