"""How new an answer has to be, as callers of a connection say it, and whether one that is kept is new enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from registry.client.answers import Answer
from registry.lookup.freshness import NOTHING, Wants, reaches, read_wants, words_of
from registry.wire.stamp import WANTS


class LookupOptions(TypedDict, total=False):
    """What may be said with each look-up. Who wants nothing is answered from the cache while there is an answer."""

    timeout_ms: float | None
    """A deadline over all servers and retries."""
    max_staleness_ms: float | None
    """The answer held at most this long before the question."""
    min_zxid: int
    """The answer holds every change up to this zxid, such as that of a write the caller has made."""
    generation: int | None
    """Of `min_zxid`, where `Answer.version` told both; each server counts generations for itself."""
    fresh: bool
    """The answer reflects a read of ZooKeeper that began after the question, and after its leader was heard."""


def wants_of(options: LookupOptions) -> Wants:
    """What the options ask for. Raises ValueError with a sentence."""
    if len(options) <= ("timeout_ms" in options):
        return NOTHING  # nearly always
    words = {
        word: str(value).lower() if isinstance(value, bool) else str(value)
        for word, value in options.items()
        if word != "timeout_ms" and value is not None
    }
    return read_wants(words)


def attributes_of(wants: Wants) -> dict[str, bytes]:
    """The request attributes that tell a server so."""
    words = words_of(wants)
    return {name: words[word].encode() for name, word in WANTS.items() if word in words}


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer in the cache of a connection."""

    answer: Answer[Any]
    asked_at_ms: float
    """When the look-up that found it began to ask; monotonic."""
    was_fresh: bool
    """Whether it was asked for as fresh."""

    def meets(self, wants: Wants, asked_at_ms: float) -> bool:
        """Whether it will do for a question that was asked then."""
        if not wants:
            return True
        version, age_ms = self.answer.version, self.answer.age_ms
        if version is None or age_ms is None or not reaches(wants, version):
            return False
        if wants.fresh:
            return self.was_fresh and self.asked_at_ms >= asked_at_ms
        # The age was told after the look-up began, so it held at that moment less its age, or later.
        return wants.max_staleness_ms is None or asked_at_ms - self.asked_at_ms + age_ms <= wants.max_staleness_ms
