"""Strings of messages that a peer filled with bytes that are not UTF-8.

proto2 does not check strings: where they are not UTF-8, the C implementation of protobuf (upb) hands out *bytes* from
a field that is annotated `str`. What a peer writes must not become a TypeError somewhere else, so text from outside
goes through here.

Source: protobuf's language guide, "Scalar Value Types"; seen with protobuf 7.
"""

from __future__ import annotations


def lenient_text(value: str | bytes) -> str:
    """The text of a string field, for people: bytes that are not UTF-8 are written in hexadecimal, as Python does."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def is_text(value: str | bytes) -> bool:
    """Whether a string field holds text; a name that does not is no name."""
    return isinstance(value, str)
