"""Attributes of families and tables as they are typed, checked before the master is asked. Pure.

HBase keeps whatever it is given: a name that is typed wrong would be kept, and mean nothing. METADATA and CONFIGURATION
take any name, and so does a map of its own.

Source: hbase-shell/src/main/ruby/hbase/admin.rb (cfd, update_tdb_from_arg), org.apache.hadoop.hbase.util.PrettyPrinter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from registry.client.data.operations import INT64_MAX
from registry.shell.arguments import UsageError, as_integer, as_text
from registry.shell.language import Value

FOREVER_S = 2_147_483_647
COPROCESSOR = "coprocessor"
FREE = ("METADATA", "CONFIGURATION")
"""Maps of any names."""

_INTERVAL = re.compile(
    r"(?:(?P<total>\d+) ?SECONDS? ?\()? ?(?:(?P<days>\d+) ?DAYS?)? ?(?:(?P<hours>\d+) ?HOURS?)? ?"
    r"(?:(?P<minutes>\d+) ?MINUTES?)? ?(?:(?P<seconds>\d+) ?SECONDS?)? ?\)?",
    re.IGNORECASE | re.ASCII,
)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_SIZE = re.compile(
    r"(?:(?P<total>\d+) ?B? ?\()? ?(?:(?P<tera>\d+) ?TB?)? ?(?:(?P<giga>\d+) ?GB?)? ?"
    r"(?:(?P<mega>\d+) ?MB?)? ?(?:(?P<kilo>\d+) ?KB?)? ?(?:(?P<bytes>\d+) ?B?)? ?\)?",
    re.IGNORECASE | re.ASCII,
)
_BYTES = {"tera": 1 << 40, "giga": 1 << 30, "mega": 1 << 20, "kilo": 1 << 10, "bytes": 1}
_COPROCESSOR = re.compile(rf"{COPROCESSOR}(\$\d+)?", re.IGNORECASE)

Read: TypeAlias = Callable[[Value, str], str]


def families_attributes(given: Mapping[str, Value]) -> dict[str, str]:
    """What is behind NAME. Raises UsageError."""
    return _attributes(given, FAMILY, "a family")


def table_attributes(given: Mapping[str, Value]) -> dict[str, str]:
    """What is said of the table itself. Raises UsageError."""
    return _attributes(given, TABLE, "a table")


def pairs(value: Value, name: str) -> dict[str, str]:
    """A map of texts; none for nil. Raises UsageError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{name} is {{'KEY' => 'VALUE'}}")
    return {key: as_text(each) for key, each in value.items()}


def seconds(value: Value, name: str) -> str:
    """A time to live: a number, FOREVER, or as describe of HBase has it, such as 1 DAY 2 HOURS."""
    text = as_text(value)
    found = FOREVER_S if text.strip().upper() == "FOREVER" else _sum(text, _INTERVAL, _SECONDS)
    if found is None or found > FOREVER_S:
        raise UsageError(f"{name} is seconds, FOREVER, or such as '1 DAY 2 HOURS', not {text!r}")
    return str(found)


def size_bytes(value: Value, name: str) -> str:
    """A size: a number, or as describe of HBase has it, such as 10 GB 512 MB."""
    text = as_text(value)
    if (found := _sum(text, _SIZE, _BYTES)) is None or found > INT64_MAX:
        raise UsageError(f"{name} is a number of bytes, or such as '10 GB 512 MB', not {text!r}")
    return str(found)


def _sum(text: str, form: re.Pattern[str], units: Mapping[str, int]) -> int | None:
    """A number, or what its parts are together; None where it is neither, or says that it is another number."""
    plain = " ".join(text.split())
    if plain.isascii() and plain.isdecimal():
        return int(plain)
    found = form.fullmatch(plain)
    if found is None or not any(found.groups()):
        return None
    whole = sum(int(found[unit] or 0) * size for unit, size in units.items())
    return whole if found["total"] is None or int(found["total"]) == whole else None


def number_coprocessor(attributes: dict[str, str], there: Mapping[str, str]) -> None:
    """`coprocessor` is one more: give it the number behind those that are there, as servers want it."""
    if (spec := attributes.pop(COPROCESSOR, None)) is not None:
        taken = [int(name.partition("$")[2]) for name in (*there, *attributes) if _COPROCESSOR.fullmatch(name.lower())]
        attributes[f"{COPROCESSOR}${max(taken, default=0) + 1}"] = spec


def _attributes(given: Mapping[str, Value], known: Mapping[str, Read], whose: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in given.items():
        if name in FREE or isinstance(value, dict):
            found |= pairs(value, name)
        elif name in known:
            found[name] = known[name](value, name)
        elif _COPROCESSOR.fullmatch(name):
            found[name.lower()] = as_text(value)
        elif "." in name:
            found[name] = as_text(value)
        else:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"{name} is no attribute of {whose}: {hint}METADATA => {{'{name}' => ...}} takes any")
    return found


def _integer(value: Value, name: str) -> str:
    return str(as_integer(value, name))


def _boolean(value: Value, name: str) -> str:
    text = as_text(value).lower()
    if text not in ("true", "false"):
        raise UsageError(f"{name} is true or false, not {text!r}")
    return text


def _text(value: Value, name: str) -> str:
    del name
    return as_text(value)


def _of(read: Read, names: str) -> dict[str, Read]:
    return dict.fromkeys(names.split(), read)


FAMILY: Mapping[str, Read] = {
    "TTL": seconds,
    "BLOCKSIZE": size_bytes,
    **_of(_integer, "VERSIONS MIN_VERSIONS REPLICATION_SCOPE DFS_REPLICATION MOB_THRESHOLD"),
    **_of(
        _boolean,
        "BLOCKCACHE IN_MEMORY NEW_VERSION_BEHAVIOR COMPRESS_TAGS IS_MOB CACHE_DATA_ON_WRITE CACHE_INDEX_ON_WRITE "
        "CACHE_BLOOMS_ON_WRITE EVICT_BLOCKS_ON_CLOSE PREFETCH_BLOCKS_ON_OPEN CACHE_DATA_IN_L1",
    ),
    **_of(
        _text,
        "KEEP_DELETED_CELLS BLOOMFILTER COMPRESSION COMPRESSION_COMPACT COMPRESSION_COMPACT_MAJOR "
        "COMPRESSION_COMPACT_MINOR DATA_BLOCK_ENCODING INDEX_BLOCK_ENCODING IN_MEMORY_COMPACTION STORAGE_POLICY "
        "ENCRYPTION ENCRYPTION_KEY MOB_COMPACT_PARTITION_POLICY",
    ),
}
"""What HBase's own families have, and how each is read."""
TABLE: Mapping[str, Read] = {
    **_of(size_bytes, "MAX_FILESIZE MEMSTORE_FLUSHSIZE"),
    **_of(
        _integer,
        "REGION_REPLICATION PRIORITY NORMALIZER_TARGET_REGION_COUNT "
        "NORMALIZER_TARGET_REGION_SIZE NORMALIZER_TARGET_REGION_SIZE_MB",
    ),
    **_of(
        _boolean,
        "READONLY COMPACTION_ENABLED SPLIT_ENABLED MERGE_ENABLED NORMALIZATION_ENABLED REGION_MEMSTORE_REPLICATION",
    ),
    **_of(_text, "DURABILITY FLUSH_POLICY SPLIT_POLICY OWNER ERASURE_CODING_POLICY"),
}
"""The same of tables."""
