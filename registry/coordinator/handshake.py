"""The first frame of each side: ConnectRequest and ConnectResponse."""

from __future__ import annotations

from registry.coordinator.jute import INT, PASSWORD_BYTES, ConnectRequest, ConnectResponse, Reader

CONNECT_REQUEST_BYTES_MAX = 1024
"""A ConnectRequest has 45 bytes; nobody needs more before the server knows who it is."""


def parse_connect_request(payload: bytes | memoryview) -> ConnectRequest:
    """The ConnectRequest in the first frame's payload; raises MarshallingError."""
    return Reader(payload).connect_request()


def connect_response_frame(response: ConnectResponse, request: ConnectRequest) -> bytes:
    """The whole frame, in the form the client knows: clients before 3.4 have no readOnly flag."""
    payload = response.encode(request.has_read_only)
    return INT.pack(len(payload)) + payload


def expired_frame(request: ConnectRequest) -> bytes:
    """What a client gets whose session is unknown or whose password is wrong; the connection closes behind it."""
    return connect_response_frame(ConnectResponse(0, 0, 0, bytes(PASSWORD_BYTES), False), request)
