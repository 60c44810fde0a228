"""The stamp travels in ResponseHeader, and clients that do not know it see the header as ever."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import HBase_pb2, RPC_pb2
from registry.wire.calls import decode_answer, encode_answer
from registry.wire.stamp import (
    STAMP_ATTRIBUTE,
    STAMP_FIELD,
    WANTS,
    WANTS_MET,
    Stamp,
    decode_stamp,
    encode_stamp,
    wants_in,
    wants_stamp,
)

UINT64 = st.integers(0, (1 << 64) - 1)
HEADER = RPC_pb2.ResponseHeader(call_id=7).SerializeToString()


@given(
    stamp=st.builds(
        Stamp,
        generation=UINT64,
        zxid=UINT64,
        age_ms=st.integers(0, 1 << 50).map(float) | st.just(math.inf),
        changed_zxid=UINT64,
        complete=st.booleans(),
        wants_met=st.booleans(),
    )
)
def test_goes_round_in_an_answer(stamp: Stamp) -> None:
    answer = decode_answer(encode_answer(7, b"body", header_extra=encode_stamp(stamp))[4:])
    assert (answer.call_id, answer.message) == (7, b"body")
    assert decode_stamp(answer.header_bytes) == stamp


def test_bytes() -> None:
    assert encode_stamp(Stamp(1, 2, 3.2, 4)) == bytes.fromhex("ba44 0a 0801 1002 1803 2004 2801")
    assert max(field.number for field in RPC_pb2.ResponseHeader.DESCRIPTOR.fields) < STAMP_FIELD


def test_who_does_not_know_it_reads_the_same_header() -> None:
    stamped = RPC_pb2.ResponseHeader.FromString(HEADER + encode_stamp(Stamp(1, 2, 3.0)))
    assert stamped.call_id == 7
    assert not stamped.HasField("exception")
    stamped.DiscardUnknownFields()
    assert stamped.SerializeToString() == HEADER


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "ba44",
        "ba44 05 0801",
        "ba44 02 0801",
        "ba44 01 ff",
        "ba44 00",
        "b844 05",
        "bb44",
        "0f",
        "ffffffffffffffffffffff",
        "bd44 00",
    ],
)
def test_no_stamp_or_a_damaged_one_is_none(tail: str) -> None:
    assert decode_stamp(HEADER + bytes.fromhex(tail)) is None


def test_other_unknown_fields_are_stepped_over() -> None:
    around = bytes.fromhex("f87f 01 f97f 0102030405060708 fd7f 01020304 fa7f 03 616263")
    field = encode_stamp(Stamp(1, 2, 3.0))
    assert decode_stamp(HEADER + around + field + around) == Stamp(1, 2, 3.0)
    assert decode_stamp(field + encode_stamp(Stamp(9, 9, 9.0))) == Stamp(9, 9, 9.0), "the last one counts"
    assert decode_stamp(field + WANTS_MET) == Stamp(1, 2, 3.0, wants_met=True)


def test_wants_are_read_from_the_attributes_and_ask_for_the_stamp() -> None:
    def header(**values: bytes) -> RPC_pb2.RequestHeader:
        pairs = [HBase_pb2.NameBytesPair(name=f"hbeacon.{name}", value=value) for name, value in values.items()]
        return RPC_pb2.RequestHeader(call_id=1, attribute=pairs)

    words = wants_in(header(fresh=b"", min_zxid=b"\xff7", stamp=b"1", other=b"2"))
    assert words == {"fresh": "", "min_zxid": "\ufffd7"}
    assert all(wants_stamp(header(**{name.removeprefix("hbeacon."): b"1"})) for name in (*WANTS, STAMP_ATTRIBUTE))
    assert not wants_stamp(header(other=b"1"))
    assert wants_in(header()) == {}


@given(header=st.binary(max_size=60))
def test_any_header_is_survived(header: bytes) -> None:
    decode_stamp(header)
