"""What is put together by hand says the same as protobuf, byte for byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import HBase_pb2, RPC_pb2
from registry.wire.calls import REMEMBERED_BYTES_MAX, encode_request
from registry.wire.framing import delimited, encode_frame
from registry.wire.header import encode_connection_header

UINT31 = st.integers(0, 2**31 - 1)
NAMES = st.text(max_size=20)
ATTRIBUTES = st.dictionaries(NAMES, st.binary(max_size=2 * REMEMBERED_BYTES_MAX), max_size=3)


@given(
    call_id=UINT31, method=NAMES, param=st.binary(max_size=300), timeout_ms=UINT31, priority=st.integers(0, 2**32 - 1),
    cells=st.binary(max_size=300), attributes=st.none() | ATTRIBUTES,
)  # fmt: skip
def test_a_request_is_what_protobuf_makes_of_it(
    call_id: int, method: str, param: bytes, timeout_ms: int, priority: int, cells: bytes,
    attributes: dict[str, bytes] | None,
) -> None:  # fmt: skip
    header = RPC_pb2.RequestHeader(call_id=call_id, method_name=method, request_param=True)
    if cells:
        header.cell_block_meta.length = len(cells)
    if priority:
        header.priority = priority
    if timeout_ms:
        header.timeout = timeout_ms
    for name, value in (attributes or {}).items():
        header.attribute.append(HBase_pb2.NameBytesPair(name=name, value=value))
    encoded = encode_request(
        call_id, method, param, timeout_ms=timeout_ms, priority=priority, cells=cells, attributes=attributes
    )
    assert encoded == encode_frame(delimited(header.SerializeToString()), delimited(param), cells)


@given(service=NAMES, user=NAMES, codec=NAMES, major=st.none() | st.integers(0, 9))
def test_a_connection_header_is_what_protobuf_makes_of_it(
    service: str, user: str, codec: str, major: int | None
) -> None:
    """Also the second time."""
    version = None
    if major is not None:
        version = HBase_pb2.VersionInfo(
            version=f"{major}.6.4", url="", revision="", user="", date="", src_checksum="", version_major=major
        )
    for _ in range(2):
        header = RPC_pb2.ConnectionHeader.FromString(
            encode_connection_header(service, user, cell_block_codec=codec, version=version)[4:]
        )
        assert (header.service_name, header.user_info.effective_user) == (service, user)
        assert header.cell_block_codec_class == codec
        assert header.HasField("version_info") is (version is not None)
        assert header.version_info == (version or HBase_pb2.VersionInfo())
