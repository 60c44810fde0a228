"""The first bytes of a connection: a ConnectRequest in a frame, or a four-letter word without one."""

from __future__ import annotations

from registry.coordinator.jute import INT, PASSWORD_BYTES, ConnectRequest, ConnectResponse, Reader

CONNECT_REQUEST_BYTES_MAX = 1024
"""A ConnectRequest has 45 bytes; nobody needs more before the server knows who it is."""


def is_four_letter_word(head: bytes) -> bool:
    """Whether a connection's first four bytes are a command such as `ruok`: as a length they would be gigabytes."""
    return len(head) == 4 and head.isalpha() and head.islower()


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
