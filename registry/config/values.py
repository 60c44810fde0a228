"""From the text of a setting to its value, and the sentence to print when the text is wrong."""

from __future__ import annotations

import re

from registry.config.keys import Key, Kind
from registry.names import Address

TRUE_WORDS = frozenset({"true", "on", "yes", "1"})
FALSE_WORDS = frozenset({"false", "off", "no", "0"})
OFF = "off"

_MS_BY_SUFFIX = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES_BY_SUFFIX = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class BadSetting(Exception):
    """A setting that cannot be used. `str()` is one line: key, value, origin, and what to write instead."""

    def __init__(self, key: str, value: str, origin: str, cure: str) -> None:
        self.key = key
        self.value = value
        self.origin = origin
        self.cure = cure
        shown = " ".join(value.split()) if len(value) <= 200 else " ".join(value[:200].split()) + "..."
        super().__init__(f"{key} = {shown!r} (from {origin}): {cure}" if key else f"{origin}: {cure}")


def parse_int(text: str) -> int:
    """A whole number as Java's Configuration.getInt reads it: decimal, or hexadecimal after 0x. Raises ValueError."""
    text = text.strip()
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def parse_bool(text: str) -> bool:
    """True or false in the words people use: true, on, yes and false, off, no. Raises ValueError."""
    word = text.strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(text)


def parse_ms(text: str) -> int:
    """Milliseconds from `1500`, `1500ms`, `30s`, `5m`, `2h` or `1d`. Raises ValueError."""
    return _with_suffix(text, _MS_BY_SUFFIX)


def parse_bytes(text: str) -> int:
    """Bytes from `65536`, `64k`, `1m`, `2g`; powers of 1024, as Configuration.getLongBytes. Raises ValueError."""
    return _with_suffix(text, _BYTES_BY_SUFFIX)


def parse_addresses(text: str, default_port: int) -> tuple[Address, ...]:
    """Addresses separated by commas or blanks, each once, in the order given. Raises ValueError with a sentence."""
    parts = [part for part in re.split(r"[,\s]+", text) if part]
    return tuple(dict.fromkeys(Address.parse(part, default_port) for part in parts))


def _with_suffix(text: str, factors: dict[str, int]) -> int:
    match = re.fullmatch(r"\s*([0-9]+)\s*([a-zA-Z]*)\s*", text)
    if match is None or match[2].lower() not in factors:
        raise ValueError(text)
    return int(match[1]) * factors[match[2].lower()]


def problem_with(key: Key, text: str) -> str:
    """What to write instead of `text` for `key`; empty where the text is right."""
    if key.kind in (Kind.INT, Kind.MS, Kind.MS_PLAIN, Kind.BYTES):
        return _number_problem(key, text)
    if key.kind is Kind.BOOL:
        return "" if _is_bool(text) else "write on or off"
    if key.kind is Kind.CHOICE:
        return "" if text.strip().lower() in key.choices else f"write one of {', '.join(key.choices)}"
    if key.kind is Kind.ZNODE:
        return _znode_problem(text)
    if key.kind is Kind.TEXT:
        return ""
    return _address_problem(key, text)


def _number_problem(key: Key, text: str) -> str:
    example = key.default
    try:
        if key.kind is Kind.MS:
            value = parse_ms(text)
        elif key.kind is Kind.BYTES:
            value = parse_bytes(text)
        else:
            value = parse_int(text)
    except ValueError:
        if key.kind is Kind.MS_PLAIN:
            return f"HBase reads plain milliseconds here, without a unit: write a number such as {example}"
        if key.kind is Kind.MS:
            return f"write milliseconds such as {example}, or a number with ms, s, m, h or d"
        if key.kind is Kind.BYTES:
            return f"write bytes such as {example}, or a number with k, m or g"
        return f"write a number such as {example}"
    if not key.minimum <= value <= key.maximum:
        return f"write a number from {key.minimum} to {key.maximum}, such as {example}"
    return ""


def _is_bool(text: str) -> bool:
    try:
        parse_bool(text)
    except ValueError:
        return False
    return True


def _znode_problem(text: str) -> str:
    path = text.strip()
    if not path.startswith("/") or (len(path) > 1 and path.endswith("/")) or "//" in path or "\0" in path:
        return "write an absolute znode path such as /hbase, without a slash at its end"
    return ""


def _address_problem(key: Key, text: str) -> str:
    if key.kind is Kind.ADDRESS_OR_OFF and text.strip().lower() == OFF:
        return ""
    try:
        if key.kind is Kind.ADDRESSES:
            if any(address.port == 0 for address in parse_addresses(text, 16000)):
                return "0 is not a port that others can reach: write the real one"
        elif key.kind is Kind.ADVERTISED:
            if text.strip() and Address.parse(text, 0).host in ("0.0.0.0", "::", "*"):
                return "clients cannot connect to a wildcard: write the name or address by which they reach this server"
        else:
            Address.parse(text)
    except ValueError as error:
        return str(error)
    return ""
