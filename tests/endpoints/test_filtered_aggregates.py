"""Aggregations of scans with filters, whose rows come in parts: what they come to does not hang on where these end."""

from __future__ import annotations

import struct
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbase import Filter_pb2
from regionserver.endpoints import aggregating
from regionserver.endpoints.aggregates import METHODS
from registry.wire.errors import RowTooBigException
from tests.endpoints.test_aggregates import answer, longs, region_of, request
from tests.support import filters as f

COLUMNS = [b"%d" % number for number in range(6)]
SMALL_ROWS = st.dictionaries(
    st.binary(min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(COLUMNS), st.integers(-(2**31), 2**31), min_size=1),
    max_size=6,
)
FILTERS = f.Drawn([b"a", b"b"], [b"f"], COLUMNS, [struct.pack(">q", 5), b"\0"], [1]).filters()


@given(SMALL_ROWS, FILTERS, st.sampled_from([1, 50, 200]), st.sampled_from(sorted(METHODS)), st.booleans())
def test_pages_that_end_anywhere(
    rows: dict[bytes, dict[bytes, int | bytes]], asked: Filter_pb2.Filter, page_bytes: int, method: str, turns: bool
) -> None:
    region = region_of(rows)
    stored = asked.SerializeToString()
    if b"filter.SkipFilter" in stored and b"filter.MultiRowRangeFilter" in stored:
        return  # it fails, as with HBase
    whole = answer(region, method, request(filter=asked))
    with patch.object(aggregating, "PAGE_BYTES", page_bytes):
        assert answer(region, method, request(filter=asked), turns=turns) == whole


def test_a_filter_that_judges_cells_takes_rows_of_any_size() -> None:
    region = region_of({b"wide": {b"%05d" % number: number for number in range(600)}, b"x": {b"00005": 7}})
    fives = f.envelope(Filter_pb2.QualifierFilter(compare_filter=f.compared(f.EQUAL, f.regex("5$"))))
    by_row = f.envelope(f.single_column(b"f", b"00005", f.NOT_EQUAL, f.binary(b"")))
    may_end = f.envelope(Filter_pb2.ColumnCountGetFilter(limit=1000))
    with patch.object(aggregating, "FILTERED_ROW_BYTES_MAX", 2000), patch.object(aggregating, "PAGE_BYTES", 1000):
        spread = answer(region, "GetStd", request(filter=fives))
        for whole_rows in (by_row, may_end):
            with pytest.raises(RowTooBigException):
                answer(region, "GetStd", request(filter=whole_rows))
    of_wide = sum(range(5, 600, 10))
    assert longs(spread.first_part) == [of_wide + 7, of_wide**2 + 49]
    assert spread.second_part == struct.pack(">q", 2)
