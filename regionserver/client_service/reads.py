"""What a Get or Scan message asks of a region.

Source: ProtobufUtil#toGet, #toScan; HBase's Scan#isGetScan for a start row that is the stop row too.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.filters.filter import Filter
from regionserver.filters.parsing import parse_filter
from regionserver.region.scan import ScanRange, ScanShape
from regionserver.region.visible import FOR_EVER_MS, NEWEST, NO_LIMIT, VERSIONS_ALL, Wanted
from registry.wire.cellblock import ROW_BYTES_MAX
from registry.wire.errors import DoNotRetryIOException, IOException, UnknownProtocolException

RAW = "_raw_"
EVER = (0, FOR_EVER_MS)
FALSE = b"\0"


@dataclass(frozen=True, slots=True)
class Asked:
    """Columns, versions and times, as a Get and a Scan have them alike."""

    columns: Mapping[bytes, tuple[bytes, ...] | None]
    """Qualifiers by family, sorted, None for all of it; empty: all families."""
    every: Wanted
    """Of families without a time range of their own; its columns are not looked at."""
    ranges: Mapping[bytes, tuple[int, int]]
    """Time ranges of single families."""
    is_usual: bool = False
    """The newest of all columns of one family."""

    def wanted(self, families: Iterable[bytes]) -> dict[bytes, Wanted]:
        """By family, of a region with these. A family that it has not is for the region to refuse."""
        columns = self.columns or dict.fromkeys(families)
        found: dict[bytes, Wanted] = {}
        for family, qualifiers in columns.items():
            from_ms, to_ms = self.ranges.get(family, (self.every.from_ms, self.every.to_ms))
            found[family] = replace(self.every, columns=qualifiers, from_ms=from_ms, to_ms=to_ms)
        return found


class GetAsked(NamedTuple):
    """A Get."""

    row: bytes
    asked: Asked | None
    """None: the newest of all columns."""
    existence_only: bool
    family: bytes | None = None
    """Where `asked` is None: of this family only."""
    filter: Filter | None = None
    """For this one answer."""

    def wanted(self, families: Iterable[bytes]) -> dict[bytes, Wanted]:
        """By family, as `Region.get` takes it."""
        if self.asked is not None:
            return self.asked.wanted(families)
        return {} if self.family is None else {self.family: NEWEST}


class ScanAsked(NamedTuple):
    """A Scan."""

    rows: ScanRange
    asked: Asked
    batch: int
    bytes_max: int
    """Of one answer, as the client limits it."""
    needs_cursor: bool
    filter: Filter | None = None
    """For this one scan."""
    on_demand: bool | None = None
    """Families that the filter does not judge by are read of rows that have passed; None: as the region has it."""

    def shape(self, families: Iterable[bytes]) -> ScanShape:
        """How rows are read of a region with these families."""
        if self.asked.is_usual:
            return _newest_of(next(iter(self.asked.columns)), self.batch)
        return ScanShape(self.asked.wanted(families), self.batch)


def read_get(message: Client_pb2.Get, made: Filter | None = None) -> GetAsked:
    """`made`: its filter, where that was parsed before. Raises DoNotRetryIOException, UnknownProtocolException."""
    if message.closest_row_before:
        raise UnknownProtocolException(
            "Is this a pre-hbase-1.0.0 or asynchbase client? Client is invoking getClosestRowBefore removed in"
            " hbase-2.0.0 replaced by reverse Scan."
        )
    if message.HasField("filter"):
        asked = _asked(message, raw=False)
        return GetAsked(message.row, asked, message.existence_only, filter=made or _filter(message))
    columns = message.column
    if len(columns) > 1 or (columns and columns[0].qualifier) or not _is_usual(message):
        return GetAsked(message.row, _asked(message, raw=False), message.existence_only)
    return GetAsked(message.row, None, message.existence_only, columns[0].family if columns else None)


def _is_usual(message: Client_pb2.Get | Client_pb2.Scan) -> bool:
    """Whether it asks for the newest of its columns, as most do; whatever is not sure is read in full."""
    return not (
        message.max_versions > 1
        or message.cf_time_range
        or message.store_offset
        or message.HasField("store_limit")
        or (message.HasField("time_range") and read_range(message.time_range) != EVER)
    )


def read_scan(message: Client_pb2.Scan, made: Filter | None = None) -> ScanAsked:
    """`made` as for `read_get`. Raises DoNotRetryIOException; IOException where a real server fails, too."""
    attributes, columns = message.attribute, message.column
    raw = bool(attributes) and any(each.name == RAW and each.value not in (b"", FALSE) for each in attributes)
    if not raw and len(columns) == 1 and not columns[0].qualifier and _is_usual(message):
        asked = _usual(columns[0].family)
    else:
        asked = _asked(message, raw=raw)
    if raw and any(columns is not None for columns in asked.columns.values()):
        raise DoNotRetryIOException("Cannot specify any column for a raw scan")
    if len(message.start_row) > ROW_BYTES_MAX or len(message.stop_row) > ROW_BYTES_MAX:
        raise DoNotRetryIOException(f"a row has at most {ROW_BYTES_MAX} bytes")
    asked_filter = made or _filter(message) if message.HasField("filter") else None
    if asked_filter is not None and asked_filter.has_filter_row and message.HasField("batch_size"):
        raise IOException("Cannot set batch on a scan using a filter that returns true for filter.hasFilterRow")
    is_get = message.start_row == message.stop_row and bool(message.start_row)
    include_stop = message.include_stop_row if message.HasField("include_stop_row") else is_get
    rows = ScanRange(message.start_row, message.stop_row, message.include_start_row, include_stop, message.reversed)
    return ScanAsked(
        rows,
        asked,
        message.batch_size,
        message.max_result_size if message.max_result_size and message.max_result_size < NO_LIMIT else NO_LIMIT,
        message.need_cursor_result,
        asked_filter,
        message.load_column_families_on_demand if message.HasField("load_column_families_on_demand") else None,
    )


@lru_cache(maxsize=256)
def _usual(family: bytes) -> Asked:
    return Asked({family: None}, NEWEST, {}, is_usual=True)


@lru_cache(maxsize=256)
def _newest_of(family: bytes, batch: int) -> ScanShape:
    return ScanShape({family: NEWEST}, batch)


def _asked(message: Client_pb2.Get | Client_pb2.Scan, *, raw: bool) -> Asked:
    from_ms, to_ms = read_range(message.time_range)
    columns: dict[bytes, tuple[bytes, ...] | None] = {}
    for column in message.column:
        # A family may come again: with columns these are added, without it is asked for whole.
        more = {*column.qualifier, *(columns.get(column.family) or ())} if column.qualifier else ()
        columns[column.family] = tuple(sorted(more)) or None
    # A real server looks at the limit when it has added a cell: 0 is as good as 1.
    cells_max = max(message.store_limit, 1) if message.HasField("store_limit") else NO_LIMIT
    versions_max = min(max(message.max_versions, 1), VERSIONS_ALL)
    return Asked(
        columns,
        Wanted(None, versions_max, from_ms, to_ms, raw, cells_max, message.store_offset),
        {each.column_family: read_range(each.time_range) for each in message.cf_time_range},
    )


def read_range(message: HBase_pb2.TimeRange) -> tuple[int, int]:
    """[from, to) in ms; what is left out is without end. Raises DoNotRetryIOException."""
    from_ms = int(getattr(message, "from"))  # a word of Python
    to_ms = message.to if message.HasField("to") else FOR_EVER_MS
    if from_ms > FOR_EVER_MS or to_ms > FOR_EVER_MS:
        raise DoNotRetryIOException(f"Timestamp cannot be negative. minStamp:{from_ms}, maxStamp:{to_ms}")
    if to_ms < from_ms:
        raise DoNotRetryIOException(f"maxStamp is smaller than minStamp: minStamp:{from_ms}, maxStamp:{to_ms}")
    return from_ms, to_ms


def _filter(message: Client_pb2.Get | Client_pb2.Scan) -> Filter:
    return parse_filter(message.filter, random.random)
