"""Where the regions of a new table begin: keys that are given, or a number of regions and a way to divide. Pure.

Source: org.apache.hadoop.hbase.util.RegionSplitter: HexStringSplit, DecimalStringSplit, UniformSplit; Bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry.shell.arguments import UsageError

REGIONS_MAX = 10_000
DIGITS = 8
"""Of the keys that HexStringSplit and DecimalStringSplit make."""
_ESCAPE = re.compile(rb"\\x([0-9A-F]{2})")


def split_keys(keys: Sequence[bytes], regions: int | None, algorithm: str) -> list[bytes]:
    """First rows of all regions but the first. Raises UsageError."""
    if regions is None:
        if algorithm:
            raise UsageError("SPLITALGO divides NUMREGIONS => N: how many are there to be?")
        return list(keys)
    if keys:
        raise UsageError("SPLITS and NUMREGIONS both say where to split: write one of them")
    if not 2 <= regions <= REGIONS_MAX:
        raise UsageError(f"NUMREGIONS is a number from 2 to {REGIONS_MAX}, not {regions}")
    if algorithm == "HexStringSplit":
        return [f"{key:0{DIGITS}x}".encode() for key in _even(0xFFFF_FFFF, regions)]
    if algorithm == "DecimalStringSplit":
        return [f"{key:0{DIGITS}d}".encode() for key in _even(10**DIGITS - 1, regions)]
    if algorithm == "UniformSplit":
        return _uniform(regions)
    raise UsageError("SPLITALGO is HexStringSplit, DecimalStringSplit or UniformSplit")


def bytes_binary(key: bytes) -> bytes:
    r"""A key that is typed with \xHH for a byte, as Bytes#toBytesBinary reads it: what is no such escape is kept."""
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), key)


def _even(last: int, regions: int) -> list[int]:
    """As RegionSplitter.NumberStringSplit: whole steps of the range, each rounded down."""
    size = (last + 1) // regions
    return [size * index for index in range(1, regions)]


def _uniform(regions: int) -> list[bytes]:
    """Keys of eight bytes between 0 and all ones, as Bytes.split has them."""
    step = ((1 << 64) - 1) // regions
    return [(step * index).to_bytes(8, "big") for index in range(1, regions)]
