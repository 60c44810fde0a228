"""What a cluster of a test is made of: read from a marker or the ini file, with errors that teach. Imports little."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

ENGINES = ("memory", "rocksdb")
SERVERS_MAX = 16


class BadOption(ValueError):
    """An option that no cluster has; `str()` says what to write instead."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """One cluster. The names are those of the marker, and with `hbeacon_` before them those of the ini file."""

    region_servers: int = 1
    masters: int = 1
    engine: str = "memory"
    """`memory`: rows are gone with their server. `rocksdb`: they outlive it, for tests that kill region servers."""
    pages: bool = False
    """Open the pages and HTTP API of each server, which takes several times as long as all the rest."""
    log_level: str = "info"
    start_timeout_s: float = 30.0
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Any others: `hbeacon config` lists them."""

    def __post_init__(self) -> None:
        for name, least in (("region_servers", 0), ("masters", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= SERVERS_MAX:
                raise BadOption(f"{name}={value!r}: write a number from {least} to {SERVERS_MAX}")
        if self.engine not in ENGINES:
            raise BadOption(f"engine={self.engine!r}: write {' or '.join(ENGINES)}")
        if not (isinstance(self.start_timeout_s, int | float) and self.start_timeout_s > 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadOption(f"start_timeout_s={self.start_timeout_s!r}: write seconds")
        if not isinstance(self.settings, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadOption(f"settings={self.settings!r}: write a dictionary of keys and values")

    @classmethod
    def of(cls, given: Mapping[str, Any], base: ClusterOptions | None = None) -> ClusterOptions:
        """`base` with what is given; settings are added to its own. Raises BadOption."""
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
                raise BadOption(f"{name!r} is no option of a cluster: {hint}")
        values: dict[str, Any] = {**(asdict(base) if base is not None else {}), **given}
        if isinstance(given.get("settings"), Mapping):
            texts = {str(key): _text(value) for key, value in given["settings"].items()}
            values["settings"] = {**(base.settings if base is not None else {}), **texts}
        return cls(**values)

    def as_json(self) -> str:
        """One line, for the process that forks clusters."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ClusterOptions:
        """What `as_json` has written."""
        return cls(**json.loads(text))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
