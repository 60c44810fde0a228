"""Answers byte for byte as a real server's, in each form that clients take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protos.hbase import Client_pb2
from regionserver.client_service.results import NOT_PROCESSED, PROCESSED, CellForm, get_answer, result_of
from regionserver.region.region import Found
from registry.wire.cellblock import Cell, KeyType, Tag, TagType, decode_cells, encode_cell, encode_tags

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "data-frames-2.6.4.json"
RECORDED = {each["name"]: each for each in json.loads(VECTORS.read_text())["vectors"]}
CELL = Cell(b"b", b"f", b"q", 200, KeyType.PUT, b"v2")
FOUND = Found(encode_cell(CELL), 1, tagged=False)
TAGS = encode_tags([Tag(TagType.VISIBILITY, b"v")])


@pytest.mark.parametrize(
    ("name", "form", "existence_only"),
    [
        ("get with cell block, client 2.6.4", CellForm.BLOCK, False),
        ("get without version", CellForm.INLINE, False),
        ("get existence only", CellForm.BLOCK, True),
    ],
)
def test_as_recorded(name: str, form: CellForm, existence_only: bool):
    answer = get_answer(FOUND, form, existence_only=existence_only)
    assert answer.message.hex() == RECORDED[name]["message"]
    assert answer.cells.hex() == RECORDED[name]["cells"]


def test_mutations_are_processed():
    assert PROCESSED.message.hex() == RECORDED["put processed"]["message"]
    assert Client_pb2.MutateResponse.FromString(NOT_PROCESSED.message).HasField("processed"), "false is said too"


@pytest.mark.parametrize("form", CellForm)
@pytest.mark.parametrize("existence_only", [False, True])
def test_no_such_row(form: CellForm, existence_only: bool):
    nothing = Found(b"", 0, tagged=False)
    message, cells = get_answer(nothing, form, existence_only=existence_only)
    result = Client_pb2.GetResponse.FromString(message).result
    assert (result.associated_cell_count, list(result.cell), cells) == (0, [], b"")
    assert result.HasField("exists") is existence_only
    assert not result.exists


def test_tags_go_to_those_who_know_them():
    tagged = CELL._replace(tags=TAGS)
    found = Found(encode_cell(tagged, with_tags=True) + encode_cell(CELL), 2, tagged=True)
    _, with_tags = result_of(found, CellForm.BLOCK_WITH_TAGS)
    assert list(decode_cells(with_tags, with_tags=True)) == [tagged, CELL]
    _, without = result_of(found, CellForm.BLOCK)
    assert list(decode_cells(without)) == [CELL, CELL]
    inline, _ = result_of(found, CellForm.INLINE)
    assert [each.tags for each in inline.cell] == [b"", b""], "there nobody asks for them"


def test_times_before_1970_are_javas_long():
    result, _ = result_of(Found(encode_cell(CELL._replace(timestamp_ms=-1)), 1, tagged=False), CellForm.INLINE)
    assert result.cell[0].timestamp == 2**64 - 1
