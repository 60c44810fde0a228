"""Filters of whole rows, by their keys or their number. Pure.

Source: org.apache.hadoop.hbase.filter, the classes of these names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message

from protos.hbase import Filter_pb2, HBase_pb2
from registry.client.data.names import Bytes, to_bytes
from registry.client.filters.filter import Filter
from registry.client.filters.values import BYTES, FLAG, LONG_COUNT, Checked, Made, given_bytes, some

_FIXED, _ANY = 0xFF, 2
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PrefixFilter(Filter):
    """Rows whose keys begin with this. `scan(prefix=...)` reads no others; this alone does not say where to begin."""

    prefix: Bytes = field(metadata=BYTES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.PrefixFilter(prefix=to_bytes(self.prefix))


@dataclass(frozen=True, slots=True)
class InclusiveStopFilter(Filter):
    """Rows up to this, with it."""

    stop_row: Bytes = field(metadata=BYTES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.InclusiveStopFilter(stop_row_key=to_bytes(self.stop_row))


@dataclass(frozen=True, slots=True)
class PageFilter(Filter):
    """As many rows of each region; `scan(limit=...)` counts those of all."""

    page_size: int = field(metadata=LONG_COUNT)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.PageFilter(page_size=self.page_size)


def _chance(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"a number is meant, not {value!r}")
    return float(value)


_CHANCE: Made = {"made": _chance}


@dataclass(frozen=True, slots=True)
class RandomRowFilter(Filter):
    """Each row with this chance: 0 none, 1 all."""

    chance: float = field(metadata=_CHANCE)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.RandomRowFilter(chance=self.chance)


def _at_least_one(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("at least one is needed")
    return values


def _fuzzy_key(pair: object) -> tuple[bytes, bytes]:
    parts = some(given_bytes)(pair)
    if len(parts) != 2:
        raise ValueError(f"a key and its mask are meant, not {pair!r}")
    key, mask = parts
    if len(key) != len(mask):
        raise ValueError(f"a key and its mask are of one length: {key!r}, {mask!r}")
    if not set(mask) <= {0, 1}:
        raise ValueError(f"a mask has 0 for bytes that are fixed and 1 for any: {mask!r}")
    return key, mask


def _fuzzy_keys(pairs: object) -> tuple[tuple[bytes, bytes], ...]:
    return _at_least_one(some(_fuzzy_key)(pairs))


_FUZZY: Made = {"made": _fuzzy_keys}


@dataclass(frozen=True, slots=True)
class FuzzyRowFilter(Filter):
    """Rows that match one of these keys where its mask, of the same length, has 0; where it has 1 any byte may be."""

    keys: Iterable[tuple[Bytes, Bytes]] = field(metadata=_FUZZY)

    @property
    def message(self) -> Message:
        """As Java keeps it; servers that do not know `is_mask_v2`, such as 1.4 and 2.3, read it the same way."""
        made = Filter_pb2.FuzzyRowFilter(is_mask_v2=True)
        for key, mask in ((to_bytes(key), to_bytes(mask)) for key, mask in self.keys):
            first = bytes(0 if any_ else byte for byte, any_ in zip(key, mask, strict=True))
            second = bytes(_ANY if any_ else _FIXED for any_ in mask)
            made.fuzzy_keys_data.append(HBase_pb2.BytesBytesPair(first=first, second=second))
        return made


@dataclass(frozen=True, slots=True)
class RowRange(Checked):
    """Rows from one to another; empty: from the first, to the last."""

    start: Bytes = field(default=b"", metadata=BYTES)
    stop: Bytes = field(default=b"", metadata=BYTES)
    start_inclusive: bool = field(default=True, metadata=FLAG)
    stop_inclusive: bool = field(default=False, metadata=FLAG)

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        start, stop = to_bytes(self.start), to_bytes(self.stop)
        if stop and (start > stop or (start == stop and not self.stop_inclusive)):
            raise ValueError(f"no row can be in {self!r}")

    @property
    def message(self) -> Filter_pb2.RowRange:
        """See Checked."""
        return Filter_pb2.RowRange(
            start_row=to_bytes(self.start),
            start_row_inclusive=self.start_inclusive,
            stop_row=to_bytes(self.stop),
            stop_row_inclusive=self.stop_inclusive,
        )


def _range(value: object) -> RowRange:
    if not isinstance(value, RowRange):
        raise ValueError(f"a RowRange is meant, not {value!r}")
    return value


def _ranges(values: object) -> tuple[RowRange, ...]:
    return _at_least_one(tuple(sorted(some(_range)(values), key=lambda each: to_bytes(each.start))))


_RANGES: Made = {"made": _ranges}


@dataclass(frozen=True, slots=True)
class MultiRowRangeFilter(Filter):
    """Rows of one of these ranges, each of which is jumped to. The server joins those that meet."""

    ranges: Iterable[RowRange] = field(metadata=_RANGES)

    @property
    def message(self) -> Message:
        """See Checked."""
        return Filter_pb2.MultiRowRangeFilter(row_range_list=[each.message for each in self.ranges])
