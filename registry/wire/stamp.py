"""How new an answer is, in a field of ResponseHeader that HBase does not have.

A client asks by the request attribute `hbeacon.stamp` (RequestHeader.attribute, any value); a server that knows it
puts field 1095, a `hbeacon.Stamp`, at the end of the ResponseHeader. Nobody else ever sees it, and who does not know
it skips it as protobuf prescribes.

A client may also say how new the answer has to be, by the attributes `hbeacon.max_staleness_ms`, `hbeacon.min_zxid`,
`hbeacon.generation` and `hbeacon.fresh`, whose values are text (registry.lookup.freshness reads them). The stamp then
comes by itself, and says that this was met.

Source: protobuf's encoding of fields; RPC.proto of HBase uses field numbers below 10 in both headers.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from protos.hbase import RPC_pb2
from protos.hbeacon import Stamp_pb2
from registry.wire.errors import ProtocolError
from registry.wire.framing import decode_delimited, decode_varint, delimited, encode_varint

STAMP_ATTRIBUTE = "hbeacon.stamp"
"""Name of the request attribute that asks for the stamp."""

WANTS = {f"hbeacon.{word}": word for word in ("max_staleness_ms", "min_zxid", "generation", "fresh")}
"""Name of each request attribute that says how new the answer has to be, and the word for it."""

STAMP_FIELD = 1095
"""Number of the field in ResponseHeader."""

_UINT64 = (1 << 64) - 1
_WIRE_VARINT, _WIRE_FIXED64, _WIRE_DELIMITED, _WIRE_FIXED32 = 0, 1, 2, 5
_STAMP_TAG = encode_varint(STAMP_FIELD << 3 | _WIRE_DELIMITED)

WANTS_MET = _STAMP_TAG + delimited(encode_varint(Stamp_pb2.Stamp.WANTS_MET_FIELD_NUMBER << 3) + b"\x01")
"""The same field again, to be put behind the stamp: protobuf merges what comes twice."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The version and the age of an answer. `age_ms` is infinite while nothing was ever confirmed."""

    generation: int
    zxid: int
    age_ms: float
    changed_zxid: int = 0
    complete: bool = True
    wants_met: bool = False
    """What the question wanted is met; the server says so itself."""


def wants_stamp(header: RPC_pb2.RequestHeader) -> bool:
    """Whether the client asks how new the answer is, or says how new it has to be."""
    return any(attribute.name == STAMP_ATTRIBUTE or attribute.name in WANTS for attribute in header.attribute)


def wants_in(header: RPC_pb2.RequestHeader) -> dict[str, str]:
    """What the client says of how new the answer has to be: word to text, as it stands there."""
    return {
        WANTS[attribute.name]: attribute.value.decode("ascii", "replace")
        for attribute in header.attribute
        if attribute.name in WANTS
    }


def encode_stamp(stamp: Stamp) -> bytes:
    """The field as it stands at the end of ResponseHeader: tag, length, message."""
    message = Stamp_pb2.Stamp(
        generation=stamp.generation, zxid=stamp.zxid, changed_zxid=stamp.changed_zxid, complete=stamp.complete
    )
    if stamp.age_ms != float("inf"):
        message.age_ms = min(round(max(stamp.age_ms, 0.0)), _UINT64)
    if stamp.wants_met:
        message.wants_met = True
    return _STAMP_TAG + delimited(message.SerializeToString())


def decode_stamp(header_bytes: bytes) -> Stamp | None:
    """The stamp in a ResponseHeader as it came, or None where the server sends none.

    A stamp that cannot be read counts as none: it is an extra, and the answer itself is good.
    """
    try:
        field = _stamp_field(header_bytes)
        message = Stamp_pb2.Stamp.FromString(field) if field is not None else None
    except (ProtocolError, DecodeError):
        return None
    if message is None or not message.IsInitialized():
        return None
    return Stamp(
        generation=message.generation,
        zxid=message.zxid,
        age_ms=float(message.age_ms) if message.HasField("age_ms") else float("inf"),
        changed_zxid=message.changed_zxid,
        complete=message.complete,
        wants_met=message.wants_met,
    )


def _stamp_field(message: bytes) -> bytes | None:
    """Content of the stamp's field; where it comes several times they are merged as in protobuf, in a row."""
    found: bytes | None = None
    offset = 0
    while offset < len(message):
        tag, offset = decode_varint(message, offset)
        wire_type = tag & 7
        if wire_type == _WIRE_VARINT:
            _, offset = decode_varint(message, offset)
        elif wire_type == _WIRE_DELIMITED:
            start, offset = decode_delimited(message, offset)
            if tag >> 3 == STAMP_FIELD:
                found = (found or b"") + message[start:offset]
        elif wire_type in {_WIRE_FIXED32, _WIRE_FIXED64}:
            offset += 4 if wire_type == _WIRE_FIXED32 else 8
        else:
            raise ProtocolError(f"field of wire type {wire_type} at byte {offset}", kind="header")
    return found
