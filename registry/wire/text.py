"""Strings of messages that a peer filled with bytes that are not UTF-8.

proto2 does not check strings: where they are not UTF-8, the C implementation of protobuf (upb) hands out *bytes* from
a field that is annotated `str`. What a peer writes must not become a TypeError somewhere else, so text from outside
goes through here.

Source: protobuf's language guide, "Scalar Value Types"; seen with protobuf 7.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def lenient_text(value: str | bytes) -> str:
    """The text of a string field, for people: bytes that are not UTF-8 are written in hexadecimal, as Python does."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def is_text(value: str | bytes) -> bool:
    """Whether a string field holds text; a name that does not is no name."""
    return isinstance(value, str)


def no_text_in(message: Message) -> str:
    """The full name of a string field in it, at any depth, that holds no text; empty where all do."""
    fields: Any = message.ListFields()
    for field, held in fields:
        of_text = field.type == FieldDescriptor.TYPE_STRING
        if not of_text and field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            continue
        values: Any = (held,) if isinstance(held, str | bytes | Message) else held
        for each in values:
            found = ("" if is_text(each) else str(field.full_name)) if of_text else no_text_in(each)
            if found:
                return found
    return ""
