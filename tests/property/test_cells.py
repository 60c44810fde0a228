"""Cell blocks known by construction: written here field by field, read by the codec, and the other way round."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from registry.wire.cellblock import (
    FAMILY_BYTES_MAX,
    Cell,
    Tag,
    decode_cells,
    decode_tags,
    encode_cells,
    encode_tags,
)
from registry.wire.errors import ProtocolError

CELLS = st.builds(
    Cell,
    row=st.binary(max_size=40),
    family=st.binary(max_size=12) | st.just(b"f" * FAMILY_BYTES_MAX),
    qualifier=st.binary(max_size=40),
    timestamp_ms=st.integers(-(1 << 63), (1 << 63) - 1),
    key_type=st.integers(0, 255),
    value=st.binary(max_size=60),
    tags=st.just(b""),
)
TAGS = st.lists(st.builds(Tag, st.integers(0, 255), st.binary(max_size=20)), max_size=4)


def by_hand(cell: Cell) -> bytes:
    """The layout once more, written as the description reads and not as the codec does it."""
    key = len(cell.row).to_bytes(2, "big") + cell.row + bytes([len(cell.family)]) + cell.family + cell.qualifier
    key += cell.timestamp_ms.to_bytes(8, "big", signed=True) + bytes([cell.key_type])
    body = len(key).to_bytes(4, "big") + len(cell.value).to_bytes(4, "big") + key + cell.value
    if cell.tags:
        body += len(cell.tags).to_bytes(2, "big") + cell.tags
    return len(body).to_bytes(4, "big") + body


@given(cells=st.lists(CELLS, max_size=8))
def test_blocks_by_construction(cells: list[Cell]) -> None:
    block = b"".join(map(by_hand, cells))
    assert list(decode_cells(block)) == cells
    assert encode_cells(cells) == block


@given(cells=st.lists(st.tuples(CELLS, TAGS), max_size=5))
def test_blocks_with_tags_by_construction(cells: list[tuple[Cell, list[Tag]]]) -> None:
    tagged = [cell._replace(tags=encode_tags(tags)) for cell, tags in cells]
    block = b"".join(map(by_hand, tagged))
    assert list(decode_cells(block, with_tags=True)) == tagged
    assert encode_cells(tagged, with_tags=True) == block
    assert [list(decode_tags(cell.tags)) for cell in tagged] == [tags for _, tags in cells]


@given(cells=st.lists(CELLS, min_size=1, max_size=4), data=st.data())
def test_a_cut_block_gives_the_cells_before_the_cut(cells: list[Cell], data: st.DataObject) -> None:
    starts = [0]
    for cell in cells:
        starts.append(starts[-1] + len(by_hand(cell)))
    block = encode_cells(cells)
    stop = data.draw(st.integers(0, len(block)))
    whole = max(index for index, start in enumerate(starts) if start <= stop)
    seen: list[Cell] = []
    problem = ""
    try:
        for cell in decode_cells(block[:stop]):
            seen.append(cell)  # noqa: PERF402 - what came before the error is the point
    except ProtocolError as error:
        problem = str(error)
    assert seen == cells[:whole]
    assert bool(problem) == (stop != starts[whole])
    assert problem.startswith(f"cell at byte {starts[whole]}:") or not problem


@given(block=st.binary(max_size=120), with_tags=st.booleans())
@example(block=b"\x00" * 20, with_tags=False)
def test_any_bytes_are_cells_or_a_protocol_error(block: bytes, with_tags: bool) -> None:
    try:
        cells = list(decode_cells(block, with_tags=with_tags))
    except ProtocolError:
        return
    if all(cell.tags for cell in cells) or not with_tags:
        assert encode_cells(cells, with_tags=with_tags) == block


@given(cell=CELLS, at=st.integers(0, 15), byte=st.integers(0, 255), with_tags=st.booleans())
def test_one_wrong_byte_in_the_lengths(cell: Cell, at: int, byte: int, with_tags: bool) -> None:
    """Whatever a length is changed to, no cell reaches beyond the block and none is made up."""
    block = bytearray(by_hand(cell))
    block[at] = byte
    try:
        cells = list(decode_cells(bytes(block), with_tags=with_tags))
    except ProtocolError:
        return
    assert encode_cells(cells, with_tags=with_tags) == bytes(block)
