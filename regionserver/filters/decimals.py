"""Java's BigDecimals as clients store them, compared without more digits being written than has to be. Pure.

    [int scale][unscaled value, two's complement]

Source: Bytes#toBigDecimal, BigDecimal#compareTo.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from registry.java_regex.effort import Effort
from registry.wire.errors import DoNotRetryIOException, IOException

SCALE_BYTES = 4
SHIFT_DIGITS_MAX = 100_000
"""By which one of two numbers is made as fine as the other; HBase has no limit, and takes minutes."""
_DIGITS_OF_BIT = math.log10(2)
_UNSURE_DIGITS = 1e-3
"""Of a logarithm that was reckoned with floats: it is below 2^32."""


class BigDecimal(NamedTuple):
    """unscaled * 10^-scale."""

    unscaled: int
    scale: int

    @classmethod
    def read(cls, value: bytes) -> BigDecimal:
        """Raises IOException as Java would."""
        if len(value) <= SCALE_BYTES:
            raise IOException('Cannot read field "scale" because "val" is null')
        scale = int.from_bytes(value[:SCALE_BYTES], "big", signed=True)
        return cls(int.from_bytes(value[SCALE_BYTES:], "big", signed=True), scale)

    def compare(self, other: BigDecimal, effort: Effort) -> int:
        """Less than 0, 0 or more. Raises DoNotRetryIOException where it would take too long."""
        one, another = self.unscaled, other.unscaled
        if self.scale != other.scale and one and another and (one > 0) == (another > 0):
            sign = 1 if one > 0 else -1
            least, most = self._digits()
            other_least, other_most = other._digits()
            if least > other_most:
                return sign
            if most < other_least:
                return -sign
            shift_digits = other.scale - self.scale
            effort.spend(abs(shift_digits) // 4)
            if abs(shift_digits) > SHIFT_DIGITS_MAX:
                raise DoNotRetryIOException(f"numbers whose scales differ by {abs(shift_digits)} are not compared")
            if shift_digits > 0:
                one *= 10**shift_digits
            else:
                another *= 10**-shift_digits
        return (one > another) - (one < another)

    def _digits(self) -> tuple[float, float]:
        """Between which two the logarithm of its magnitude is."""
        bits_count = self.unscaled.bit_length()  # of its magnitude
        least = (bits_count - 1) * _DIGITS_OF_BIT - self.scale - _UNSURE_DIGITS
        return least, least + _DIGITS_OF_BIT + 2 * _UNSURE_DIGITS
