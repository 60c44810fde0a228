"""Headers of every answer: pages load nothing from elsewhere, run no script but their own, have nobody's frame."""

from __future__ import annotations

_POLICY = (
    b"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src data:; base-uri 'none';"
    b" form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

EVENT_STREAM_HEAD = b"".join(
    (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-store\r\n",
        b"x-accel-buffering: no\r\nconnection: close\r\n",  # nginx would keep events back
        *(b"%b: %b\r\n" % header for header in HEADERS),
        b"\r\n",
    )
)
"""Of a stream of events, which ends when its connection does."""
