"""Epochs of masters as calls carry them, and how one that another has followed is refused.

    request attribute hbeacon.master.epoch:   8 bytes big-endian, then the server name of the master (UTF-8)
    "Master with epoch 5 was deposed: epoch 6 is known here, of host,16000,1795000000000"

A number belongs to the master that was heard with it first: another one with the same number is refused like a lower
one. So two masters never share an epoch, even where a ZooKeeper that was lost or restored counts from lower again.

Source: our own. HBase's masters carry theirs as initiating_master_active_time (RSProcedureDispatcher).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.wire.errors import DoNotRetryIOException
from registry.wire.text import lenient_text

EPOCH_ATTRIBUTE = "hbeacon.master.epoch"
EPOCH_BYTES = 8
NAME_BYTES_MAX = 512
_DEPOSED = re.compile(r"Master with epoch \d{1,20} was deposed: epoch (\d{1,20}) is known here")


@dataclass(frozen=True, slots=True)
class MasterEpoch:
    """In whose name a master acts. Numbers order them; within one number the name tells who had it first."""

    number: int
    master: str = ""
    """Server name of that life of the master."""

    def may_follow(self, known: MasterEpoch) -> bool:
        """Whether who has heard `known` may listen to this one."""
        return self.number > known.number or self == known

    def encode(self) -> bytes:
        """As the attribute has it."""
        return self.number.to_bytes(EPOCH_BYTES, "big") + self.master.encode()

    @classmethod
    def decode(cls, value: bytes) -> MasterEpoch:
        """Raises DoNotRetryIOException."""
        if not EPOCH_BYTES <= len(value) <= EPOCH_BYTES + NAME_BYTES_MAX:
            raise DoNotRetryIOException(f"{EPOCH_ATTRIBUTE} has {len(value)} bytes, not {EPOCH_BYTES} and a name")
        return cls(int.from_bytes(value[:EPOCH_BYTES], "big"), lenient_text(value[EPOCH_BYTES:]))


NO_EPOCH = MasterEpoch(0)
"""No master was heard yet."""


def deposed(epoch: MasterEpoch, known: MasterEpoch) -> DoNotRetryIOException:
    """What a master hears where another is known."""
    of = f", of {known.master}" if known.master else ""
    return DoNotRetryIOException(
        f"Master with epoch {epoch.number} was deposed: epoch {known.number} is known here{of}"
    )


def known_epoch(message: str) -> int | None:
    """The number that a refusal tells; None where the text is none."""
    found = _DEPOSED.search(message)
    return int(found[1]) if found else None
