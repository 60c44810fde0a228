"""Scans of hbase:meta as hbase-client 2.6.4 sends them and a real 2.6.4 answers; see vectors/README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protos.hbase import Client_pb2, RPC_pb2
from registry.client.rows import Row
from registry.client.scan import META_REGION, Scan, row_scan
from registry.client.table_states import STATES_SCAN, decode_table_states
from registry.wire.calls import decode_answer, encode_request
from registry.wire.cellblock import encode_cells
from registry.wire.framing import decode_delimited

RECORDED = json.loads((Path(__file__).parent / "vectors" / "scan-frames-2.6.4.json").read_text())["vectors"]
WHOLE, CUT, STATES = RECORDED

INFO = ["regioninfo", "seqnumDuringOpen", "server", "serverstartcode", "sn", "state"]


def request_of(frame: bytes) -> tuple[RPC_pb2.RequestHeader, bytes]:
    start, stop = decode_delimited(frame, 4)
    message_start, message_stop = decode_delimited(frame, stop)
    return RPC_pb2.RequestHeader.FromString(frame[start:stop]), frame[message_start:message_stop]


def calls(vector: dict[str, Any]) -> Iterator[tuple[RPC_pb2.RequestHeader, bytes, Client_pb2.ScanResponse, bytes]]:
    for call in vector["calls"]:
        header, message = request_of(bytes.fromhex(call["request"]))
        answer = decode_answer(bytes.fromhex(call["answer"])[4:])
        assert answer.call_id == header.call_id
        assert answer.error is None
        yield header, message, Client_pb2.ScanResponse.FromString(answer.message), answer.cells


def columns(row: Row) -> list[str]:
    return [f"{cell.family.decode()}:{cell.qualifier.decode()}" for cell in row.cells]


@pytest.fixture(params=[WHOLE, CUT], ids=["whole answers", "answers of one cell"])
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


def test_calls_for_more_are_those_of_a_java_client_byte_for_byte() -> None:
    scan = row_scan(Scan(META_REGION, answer_bytes_max=1))
    asked = 0
    for _, message, response, block in calls(CUT):
        request = scan.request()
        if request.HasField("scanner_id"):
            assert request.SerializeToString() == message
            asked += 1
        scan.take(response, block)
    assert asked == 27
    assert scan.done
    assert scan.close() is None


def test_openings_differ_in_defaults_only(vector: dict[str, Any]) -> None:
    """A Java client spells out what is the default: time range, isolation level, and a caching that servers ignore."""
    _, message, _, _ = next(calls(vector))
    theirs = Client_pb2.ScanRequest.FromString(message)
    ours = row_scan(Scan(META_REGION, answer_bytes_max=theirs.scan.max_result_size)).request()
    assert [(row.name, row.value) for row in theirs.scan.attribute] == [("_isolationlevel_", b"\0")]
    assert getattr(theirs.scan.time_range, "from") == 0
    assert theirs.scan.time_range.to == (1 << 63) - 1
    for field in ("attribute", "time_range", "caching", "query_metrics_enabled"):
        theirs.scan.ClearField(field)
    assert theirs.SerializeToString() == ours.SerializeToString()


def test_answers_become_rows(vector: dict[str, Any]) -> None:
    scan = row_scan(Scan(META_REGION))
    rows: list[Row] = []
    for _, _, response, block in calls(vector):
        assert not scan.done
        scan.request()
        rows += scan.take(response, block)
    assert scan.done
    assert [row.key.rpartition(b".")[0].rpartition(b".")[0].rpartition(b",")[0] or row.key for row in rows] == [
        b"hbase:namespace",
        b"hbase:namespace,",
        b"t1",
        b"t1,",
        b"t1,m",
        b"t2",
        b"t2,",
    ]
    for row in rows:
        table_row = b"," not in row.key
        assert columns(row) == (["table:state"] if table_row else [f"info:{name}" for name in INFO])
    assert rows[3].value(b"info", b"state") == b"OPEN"
    assert rows[6].value(b"info", b"state") == b"CLOSED"
    assert encode_cells([cell for row in rows for cell in row.cells]) == b"".join(block for *_, block in calls(vector))


def test_states_of_tables() -> None:
    ((header, message, response, block),) = calls(STATES)
    scan = row_scan(STATES_SCAN)
    assert scan.request().SerializeToString() == message
    encoded = encode_request(header.call_id, "Scan", message, timeout_ms=header.timeout, priority=STATES_SCAN.priority)
    assert encoded.hex() == STATES["calls"][0]["request"]
    states, unreadable = decode_table_states(scan.take(response, block))
    assert scan.done
    assert states == {"hbase:meta": "ENABLED", "hbase:namespace": "ENABLED", "t1": "ENABLED", "t2": "DISABLED"}
    assert unreadable == ()
