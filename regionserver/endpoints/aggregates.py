"""AggregateService: what its methods make of the cells of a region, row by row, in memory of a few numbers. Pure.

    GetMax, GetMin   the number; nothing where there is none
    GetSum           the sum; nothing where there is no number
    GetRowNum        int64: rows with a cell
    GetAvg           the sum, and int64: rows
    GetStd           the sum of rows and that of their squares, and int64: rows; a row's number is the sum of its cells
    GetMedian        the sum, and the sum of weights: for a client that then scans for the middle

All cells of a row count, of whichever columns: it is the scan that says which those are. That is so of weights too,
as the interpreters have it.

Source: AggregateImplementation. There a region without rows makes GetMedian fail; here it adds nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from protos.hbase import Aggregate_pb2
from regionserver.endpoints.interpreters import Interpreter, Number
from registry.wire.errors import DoNotRetryIOException

_LENGTHS = struct.Struct(">iii")  # of a cell, its key and its value
_COUNT = struct.Struct(">q")


def values_of(block: bytes) -> Iterator[bytes]:
    """The values of cells that lie one behind the other."""
    offset, stop = 0, len(block)
    unpack = _LENGTHS.unpack_from
    while offset < stop:
        cell_bytes, key_bytes, value_bytes = unpack(block, offset)
        value_at = offset + 12 + key_bytes
        yield block[value_at : value_at + value_bytes]
        offset += 4 + cell_bytes


class Aggregation:
    """One method at work. Give it all values of a row, end the row, and ask at last."""

    reads_values = True
    """Whether it wants them; some only count rows."""

    def __init__(self, numbers: Interpreter) -> None:
        self.numbers = numbers
        self.rows_count = 0

    def add(self, value: bytes) -> None:
        """One cell of the row of the moment."""

    def end_row(self) -> None:
        """The row was read; it had a cell."""
        self.rows_count += 1

    def response(self) -> Aggregate_pb2.AggregateResponse:
        """What the client hears."""
        return Aggregate_pb2.AggregateResponse()

    def _count(self) -> bytes:
        return _COUNT.pack(self.rows_count)


class RowNum(Aggregation):
    """GetRowNum."""

    reads_values = False

    def response(self) -> Aggregate_pb2.AggregateResponse:
        """The number of rows."""
        return Aggregate_pb2.AggregateResponse(first_part=[self._count()])


class Extreme(Aggregation):
    """GetMax and GetMin."""

    def __init__(self, numbers: Interpreter, *, largest: bool) -> None:
        super().__init__(numbers)
        self._largest = largest
        self._found: Number = None
        self._order: Any = None

    def add(self, value: bytes) -> None:
        """Keep the number where it is beyond all others."""
        number = self.numbers.read(value)
        if number is None:
            return
        order = self.numbers.order(number)
        if self._found is None or self._is_beyond(order):
            self._found, self._order = number, order

    def _is_beyond(self, order: Any) -> bool:
        return bool(order > self._order if self._largest else order < self._order)

    def response(self) -> Aggregate_pb2.AggregateResponse:
        """The number, if there was one."""
        found = self._found
        return Aggregate_pb2.AggregateResponse(first_part=[] if found is None else [self.numbers.encode(found)])


class Sum(Aggregation):
    """GetSum and GetAvg."""

    def __init__(self, numbers: Interpreter, *, with_count: bool) -> None:
        super().__init__(numbers)
        self._with_count = with_count
        self._sum: Number = None

    def add(self, value: bytes) -> None:
        """Add the number."""
        number = self.numbers.read(value)
        if number is not None:
            self._sum = number if self._sum is None else self.numbers.add(self._sum, number)

    def response(self) -> Aggregate_pb2.AggregateResponse:
        """The sum, if there was a number; the rows, where they are asked for."""
        response = Aggregate_pb2.AggregateResponse()
        if self._sum is not None:
            response.first_part.append(self.numbers.encode(self._sum))
            if self._with_count:
                response.second_part = self._count()
        return response


class _RowSums(Aggregation):
    """What goes by the sums of rows."""

    def __init__(self, numbers: Interpreter) -> None:
        super().__init__(numbers)
        self._of_row: Number = None
        self._sum: Number = None

    def add(self, value: bytes) -> None:
        """Add the number to those of its row."""
        number = self.numbers.read(value)
        if number is not None:
            self._of_row = number if self._of_row is None else self.numbers.add(self._of_row, number)

    def end_row(self) -> None:
        """Add the row to the others."""
        super().end_row()
        of_row, self._of_row = self._of_row, None
        if of_row is not None:
            self._sum = of_row if self._sum is None else self.numbers.add(self._sum, of_row)
            self.row_summed(of_row)

    def row_summed(self, of_row: Number) -> None:
        """A row had a number."""


class Std(_RowSums):
    """GetStd."""

    def __init__(self, numbers: Interpreter) -> None:
        super().__init__(numbers)
        self._squares: Number = None

    def row_summed(self, of_row: Number) -> None:
        """Add its square."""
        square = self.numbers.multiply(of_row, of_row)
        self._squares = square if self._squares is None else self.numbers.add(self._squares, square)

    def response(self) -> Aggregate_pb2.AggregateResponse:
        """Sum, squares and rows, if there was a number."""
        response = Aggregate_pb2.AggregateResponse()
        if self._sum is not None and self._squares is not None:
            response.first_part.extend((self.numbers.encode(self._sum), self.numbers.encode(self._squares)))
            response.second_part = self._count()
        return response


class Median(_RowSums):
    """GetMedian."""

    def __init__(self, numbers: Interpreter, *, weighted: bool) -> None:
        super().__init__(numbers)
        self._weighted = weighted

    def response(self) -> Aggregate_pb2.AggregateResponse:
        """The sum, and that of the weights, which is Java's least number where there are none."""
        total = self.numbers.encode(self.numbers.zero if self._sum is None else self._sum)
        has_weights = self._weighted and self._sum is not None
        return Aggregate_pb2.AggregateResponse(first_part=[total, total if has_weights else self.numbers.minimum])


METHODS: Mapping[str, Callable[[Interpreter, int], Aggregation]] = {
    "GetMax": lambda numbers, _: Extreme(numbers, largest=True),
    "GetMin": lambda numbers, _: Extreme(numbers, largest=False),
    "GetSum": lambda numbers, _: Sum(numbers, with_count=False),
    "GetRowNum": lambda numbers, _: RowNum(numbers),
    "GetAvg": lambda numbers, _: Sum(numbers, with_count=True),
    "GetStd": lambda numbers, _: Std(numbers),
    "GetMedian": lambda numbers, qualifiers_count: Median(numbers, weighted=qualifiers_count > 1),
}
"""By name; the number is that of the qualifiers which the scan names of its first family."""


def unknown_interpreter(name: str) -> DoNotRetryIOException:
    """What a real server says, but that trying again is of no use."""
    return DoNotRetryIOException(f"java.lang.ClassNotFoundException: {name}")
