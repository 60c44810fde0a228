"""Requests that no client sends, made from descriptors: every field in turn, with what does not belong there.

A base is a request with every field filled in as a client might; a variant differs from it in one field, or in bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

DEPTH_MAX = 6
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (0, -1, -(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**31, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (0, -1, -(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**63, 2**64 - 1),
}
_FLOATS = (float("nan"), float("inf"), -1.0)
_BYTES = (b"", b"\x00", b"\xff" * 33_000, b"\x80\xff\xfe")
NO_TEXT, NO_TEXT_BYTES = "@@no text@@", b"\xff\xfetext\x80\xc3\x28@@"
"""A string of protobuf's may hold any bytes on the wire; the library would not write them down."""
_TEXTS = ("", "x" * 40_000, "\x00\u00df\U0001f4a5", "(((((", "org.apache.hadoop.hbase.filter.NoFilterAtAll", NO_TEXT)
MANY = 300
ABSENT = object()
"""As a known value: the field is left out."""


def repeated(field: Any) -> bool:
    """Whether a field holds a list."""
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED


def filled(kind: type[Message], known: Mapping[str, Any], depth: int = 0) -> Message:
    """A message of the type with all its fields; `known` gives values by a field's name or by `Type.name`."""
    made = kind()
    fields: Any = made.DESCRIPTOR.fields
    for field in fields:
        value = known.get(f"{made.DESCRIPTOR.name}.{field.name}", known.get(field.name))
        if value is ABSENT:
            continue
        try:
            _put(made, field, value)
        except TypeError:  # another field of that name
            value = None
        if value is None:
            _put(made, field, _plain(field, known, depth))
    return made


def _put(made: Message, field: Any, value: Any) -> None:
    if value is None:
        return
    if repeated(field):
        getattr(made, field.name).extend(value if isinstance(value, list) else [value])
    elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        getattr(made, field.name).MergeFrom(value)
    else:
        setattr(made, field.name, value)


def _plain(field: Any, known: Mapping[str, Any], depth: int) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if depth >= DEPTH_MAX - 1:
            return None
        return filled(field.message_type._concrete_class, known, depth + 1)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return field.enum_type.values[0].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return False
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"x" if field.type == FieldDescriptor.TYPE_BYTES else "x"
    return 1


def variants(base: Message) -> Iterator[tuple[str, bytes]]:
    """Path of the field and the request, for each field of the base and each value that does not belong there."""
    for path in _paths(base, ()):
        for value in _values(_at(base, path[:-1]), path[-1]):
            changed = type(base)()
            changed.CopyFrom(base)
            try:
                _set(_at(changed, path[:-1]), path[-1], value)
            except (ValueError, TypeError):
                continue  # the library would not even write it down
            yield ".".join(path), changed.SerializePartialToString().replace(NO_TEXT.encode(), NO_TEXT_BYTES)


def damaged(base: Message, rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Bytes flipped, cut off and put in."""
    data = base.SerializePartialToString()
    for _ in range(count):
        bytes_ = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            if not bytes_:
                break
            at = rng.randrange(len(bytes_))
            what = rng.randrange(4)
            if what == 0:
                bytes_[at] = rng.randrange(256)
            elif what == 1:
                del bytes_[at:]
            elif what == 2:
                bytes_[at:at] = rng.randbytes(rng.randrange(1, 12))
            else:
                bytes_[at:at] = b"\xff\xff\xff\xff\x0f"  # a length of four gigabytes, perhaps
        yield "damaged", bytes(bytes_)


def _paths(message: Message, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    fields: Any = message.DESCRIPTOR.fields
    for field in fields:
        yield (*above, field.name)
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and len(above) < DEPTH_MAX:
            value = getattr(message, field.name)
            if repeated(field):
                if len(value):
                    yield from _paths(value[0], (*above, field.name))
            elif message.HasField(field.name):
                yield from _paths(value, (*above, field.name))


def _at(message: Message, path: Sequence[str]) -> Message:
    for name in path:
        value = getattr(message, name)
        message = value if isinstance(value, Message) else value[0]
    return message


def _values(holder: Message, name: str) -> Sequence[Any]:
    field: Any = holder.DESCRIPTOR.fields_by_name[name]
    none: list[Any] = [None]
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        empty = field.message_type._concrete_class()
        return [None, [empty], [empty] * MANY] if repeated(field) else [None, empty]
    if field.cpp_type in _INTEGERS:
        values: Sequence[Any] = _INTEGERS[field.cpp_type]
    elif field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        values = [each.number for each in field.enum_type.values]
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        values = (True, False)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        values = _BYTES if field.type == FieldDescriptor.TYPE_BYTES else _TEXTS
    else:
        values = _FLOATS
    if repeated(field):
        return (
            none
            + [[each] for each in values]
            + [[values[-1]] * MANY if isinstance(values[-1], int) else [values[0]] * MANY]
        )
    return none + list(values)


def _set(holder: Message, name: str, value: Any) -> None:
    field: Any = holder.DESCRIPTOR.fields_by_name[name]
    holder.ClearField(name)
    if value is None:
        return
    if repeated(field):
        getattr(holder, name).extend(value)
    elif isinstance(value, Message):
        getattr(holder, name).CopyFrom(value)
        getattr(holder, name).SetInParent()
    else:
        setattr(holder, name, value)
