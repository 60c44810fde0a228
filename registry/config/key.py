"""What a setting is: its name, how its text is read, what it says of itself."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

OWN_PREFIX = "hbeacon."
INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1


class Kind(enum.Enum):
    """How the text of a value is read."""

    TEXT = "text"
    INT = "number"
    BOOL = "on or off"
    MS = "milliseconds"
    """Our own durations: plain milliseconds, or a number with ms, s, m, h or d."""
    MS_PLAIN = "plain milliseconds"
    """HBase's durations: Java reads them as an int, so a suffix would break every Java process that shares the file."""
    BYTES = "bytes"
    CHOICE = "one of"
    ADDRESS = "HOST:PORT"
    ADDRESS_OR_OFF = "HOST:PORT or off"
    ADVERTISED = "HOST[:PORT]"
    ADDRESSES = "HOST[:PORT],..."
    ZNODE = "znode path"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its name, how its text is read, and the sentence that the documentation shows."""

    name: str
    kind: Kind
    default: str
    sentence: str
    minimum: int = 0
    maximum: int = INT_MAX
    choices: tuple[str, ...] = ()
    live: bool = False
    """A change in the watched files takes effect without a restart."""
    secret: bool = False
    """Shown nowhere: pages, logs and errors print stars."""

    @property
    def environment_name(self) -> str:
        """Name of the environment variable that sets this key."""
        return environment_name(self.name)


def environment_name(key: str) -> str:
    """Upper case, and `_` for whatever is neither letter nor digit: hbase.rpc.timeout -> HBASE_RPC_TIMEOUT."""
    return re.sub(r"[^A-Z0-9]", "_", key.upper())
