"""How new an answer has to be: the one decision that RPC, gRPC and HTTP share, pure.

A question may carry wants. The snapshot meets them, or one read of ZooKeeper (shared by all who wait) might, or the
question is refused with a reason that each protocol tells in its own words.

Source: HBASE-18095, whose discussion asks for such a flag and whose code never got one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from registry.lookup.snapshot import Version

ZXID_MAX = (1 << 63) - 1
"""zxids are signed 64-bit numbers, counted from 0."""
NUMBER_CHARS_MAX = 40
STALENESS_MS_MAX = 1e12
"""Some thirty years: whoever means `any age` leaves it out."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What a question asks of its answer. The default asks nothing."""

    max_staleness_ms: float | None = None
    """The answer held at most this long before the question was asked."""
    min_zxid: int = 0
    """The answer holds every change up to this zxid."""
    generation: int | None = None
    """Of `min_zxid`, as an earlier answer of the same server had it; None: whichever there is. A snapshot of a later
    generation meets any zxid of an earlier one, whose history ZooKeeper has lost."""
    fresh: bool = False
    """The answer reflects a read of ZooKeeper that began after the question, by a server of it that had caught up with
    its leader since (`sync`)."""

    def __bool__(self) -> bool:
        """Whether it asks anything."""
        return self.fresh or self.max_staleness_ms is not None or self.min_zxid > 0 or self.generation is not None


NOTHING = Wants()


class Verdict(enum.Enum):
    """What to do with a question."""

    ANSWER = "answer"
    """The snapshot meets it."""
    READ = "read"
    """Only another read of ZooKeeper can tell."""
    REFUSE = "refuse"
    """It was read, and does not meet it."""


class Unmet(enum.Enum):
    """Why a question gets no answer."""

    NOT_REACHED = "not reached"
    """ZooKeeper was read, and is not where the question wants it."""
    SILENT = "silent"
    """ZooKeeper did not answer within the time this server gives it."""
    LATE = "late"
    """It did not within the client's own deadline."""
    CROWDED = "crowded"
    """Too many wait already."""
    STALE = "stale"
    """This server refuses all look-ups while ZooKeeper is silent (`hbeacon.registry.stale`)."""


class Refusal(Exception):
    """A question whose wants are not met; `str()` is the sentence for the client."""

    def __init__(self, unmet: Unmet, sentence: str) -> None:
        super().__init__(sentence)
        self.unmet = unmet


def judge(
    wants: Wants,
    version: Version,
    age_ms: float,
    *,
    complete: bool = True,
    waited_ms: float = 0.0,
    was_read: bool = False,
) -> Verdict:
    """Decide on a snapshot of this version and age.

    waited_ms: since the question was asked. was_read: since then the leader was asked for all that this snapshot holds.
    """
    was_read = was_read and complete
    if not reaches(wants, version):
        return Verdict.REFUSE if was_read else Verdict.READ
    if was_read:
        return Verdict.ANSWER
    if wants.fresh or (wants.min_zxid and not complete):
        return Verdict.READ
    too_old = wants.max_staleness_ms is not None and (not complete or age_ms - waited_ms > wants.max_staleness_ms)
    return Verdict.READ if too_old else Verdict.ANSWER


def reaches(wants: Wants, version: Version) -> bool:
    """Whether a snapshot is as far as the question wants it."""
    if wants.generation is None or wants.generation == version.generation:
        return version.zxid >= wants.min_zxid
    return version.generation > wants.generation


def read_wants(values: Mapping[str, str]) -> Wants:
    """Wants from texts by name: `max_staleness_ms`, `min_zxid` (decimal or 0x...), `generation`, `fresh`.

    Raises ValueError with a sentence for whoever wrote them. Other names are not looked at.
    """
    staleness = values.get("max_staleness_ms")
    return Wants(
        max_staleness_ms=None if staleness is None else _staleness_ms(staleness),
        min_zxid=_number("min_zxid", values.get("min_zxid", "0")),
        generation=_number("generation", values["generation"]) if "generation" in values else None,
        fresh=_switch(values.get("fresh")),
    )


def _staleness_ms(text: str) -> float:
    try:
        value = float(text) if _plain(text) else -1.0
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= STALENESS_MS_MAX:
        raise ValueError(f"max_staleness_ms is milliseconds from 0 to {STALENESS_MS_MAX:.0f}, not {text[:40]!r}")
    return value


def _number(name: str, text: str) -> int:
    try:
        value = int(text, 16 if text[:2] in {"0x", "0X"} else 10) if _plain(text) else -1
    except ValueError:
        value = -1
    if not 0 <= value <= ZXID_MAX:
        raise ValueError(f"{name} is a number from 0 to {ZXID_MAX}, decimal or 0x..., not {text[:40]!r}")
    return value


def words_of(wants: Wants) -> dict[str, str]:
    """The texts that `read_wants` makes these wants of; what asks nothing is left out."""
    words: dict[str, str] = {}
    if wants.max_staleness_ms is not None:
        words["max_staleness_ms"] = repr(wants.max_staleness_ms)
    if wants.min_zxid:
        words["min_zxid"] = str(wants.min_zxid)
    if wants.generation is not None:
        words["generation"] = str(wants.generation)
    if wants.fresh:
        words["fresh"] = "true"
    return words


def _plain(text: str) -> bool:
    """Python takes more for a number than others do: spaces, underscores, digits of all scripts."""
    return len(text) <= NUMBER_CHARS_MAX and text.isascii() and not set(text) & set("_ \t\r\n\v\f")


def _switch(text: str | None) -> bool:
    if text is None or text.lower() in {"false", "0", "no", "off"}:
        return False
    if text.lower() in {"", "true", "1", "yes", "on"}:
        return True
    raise ValueError(f"fresh is true or false, not {text[:40]!r}")
