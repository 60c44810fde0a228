"""Gets like those that have come before, found by their bytes: most differ from others in their rows alone.

    [0a][varint n][RegionSpecifier n][12][varint m][0a][varint k][row k][rest of Get]

Region and rest are looked up as they are; what is not found is parsed and remembered, and what is not of this shape is
left to who parses all of it. Pure.

Source: GetRequest, Get in Client.proto; ProtobufUtil#toGet writes the fields in their order.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.reads import GetAsked, read_get
from regionserver.client_service.results import Answer, CellForm, get_answer
from regionserver.client_service.rows import RegionOf
from registry.wire.errors import HBaseError, ProtocolError
from registry.wire.framing import decode_varint
from registry.wire.region_info import META_ENCODED_NAME

REGION_TAG, GET_TAG, ROW_TAG = 0x0A, 0x12, 0x0A
REMEMBERED_MAX = 4096
"""Regions, and ways to ask."""
REGION_BYTES_MAX = 1024
REST_BYTES_MAX = 256
"""What is longer is a Get of many columns, and has cost its client more."""
ONE_BYTE_MAX = 0x7F
SYSTEM_NAMESPACE = b"hbase:"
_META = META_ENCODED_NAME.encode()

_Value = TypeVar("_Value")


class KnownGets:
    """What clients of one server ask."""

    def __init__(self, region_of: RegionOf) -> None:
        self._region_of = region_of
        self._regions: dict[bytes, HBase_pb2.RegionSpecifier] = {}
        self._rests: dict[bytes, GetAsked] = {}
        """Without a row."""

    def __len__(self) -> int:
        """How much is remembered."""
        return len(self._regions) + len(self._rests)

    def answer(self, param: bytes, form: CellForm, now_ms: int) -> Answer | None:
        """What `RowCalls.get` answers, or None; raises what it raises."""
        read = self.read(param)
        if read is None:
            return None
        spec, row, asked = read
        region = self._region_of(spec)
        found = region.get(row, asked.wanted(region.families), now_ms)
        return get_answer(found, form, existence_only=asked.existence_only)

    def read(self, param: bytes) -> tuple[HBase_pb2.RegionSpecifier, bytes, GetAsked] | None:
        """The region, the row and what is asked of it; None where all of it has to be parsed."""
        try:
            return self._read(param)
        except (IndexError, ProtocolError):
            return None

    def _read(self, param: bytes) -> tuple[HBase_pb2.RegionSpecifier, bytes, GetAsked] | None:
        region_bytes, region_at = param[1], 2
        if region_bytes > ONE_BYTE_MAX:
            region_bytes, region_at = decode_varint(param, 1)
        get_tag_at = region_at + region_bytes
        get_bytes, get_at = param[get_tag_at + 1], get_tag_at + 2
        if get_bytes > ONE_BYTE_MAX:
            get_bytes, get_at = decode_varint(param, get_tag_at + 1)
        row_bytes, row_at = param[get_at + 1], get_at + 2
        if row_bytes > ONE_BYTE_MAX:
            row_bytes, row_at = decode_varint(param, get_at + 1)
        rest_at = row_at + row_bytes
        if param[0] != REGION_TAG or param[get_tag_at] != GET_TAG or param[get_at] != ROW_TAG:
            return None
        if get_at + get_bytes != len(param) or rest_at > len(param):
            return None
        region = self._regions.get(param[region_at:get_tag_at])
        asked = self._rests.get(param[rest_at:])
        if region is None or asked is None:
            return self._learn(param, param[region_at:get_tag_at], param[rest_at:])
        return region, param[row_at:rest_at], asked

    def _learn(
        self, param: bytes, region_bytes: bytes, rest: bytes
    ) -> tuple[HBase_pb2.RegionSpecifier, bytes, GetAsked] | None:
        if len(rest) > REST_BYTES_MAX or len(region_bytes) > REGION_BYTES_MAX:
            return None
        try:
            request = Client_pb2.GetRequest.FromString(param)
            if not request.IsInitialized() or Client_pb2.Get.FromString(rest).HasField("row"):
                return None
            if is_of_system(request.region):
                return None  # these have handlers of their own
            if request.get.HasField("filter"):
                return None  # it has state, and serves one answer
            asked = read_get(request.get)
        except (DecodeError, HBaseError):
            return None
        _remember(self._regions, region_bytes, request.region)
        _remember(self._rests, rest, asked._replace(row=b""))
        return request.region, asked.row, asked


def is_of_system(region: HBase_pb2.RegionSpecifier) -> bool:
    """Whether a region is of a table of the system."""
    return region.value.startswith(SYSTEM_NAMESPACE) or region.value == _META


def _remember(known: dict[bytes, _Value], key: bytes, value: _Value) -> None:
    if len(known) >= REMEMBERED_MAX:
        del known[next(iter(known))]
    known[key] = value
