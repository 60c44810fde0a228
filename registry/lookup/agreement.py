"""Do servers that should say the same say the same? A pure record of differences and how long they last.

Two servers hear of one change at different moments, so a difference means nothing until it has outlived a second;
then somebody answers wrongly, and a person should look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.lookup.snapshot import Fact, FactState, Snapshot, Version
from registry.names import Address, ServerName

COMPARED_STATES = frozenset({FactState.KNOWN, FactState.ABSENT})
"""Only what ZooKeeper has told us can differ from what a peer says."""


@dataclass(frozen=True, slots=True)
class PeerAnswers:
    """What one server said when asked; `None` and the empty mapping mean that it left the value out."""

    cluster_id: str | None
    active_master: ServerName | None
    meta_locations: Mapping[int, ServerName]
    """Replica id to server."""
    version: Version | None = None
    """The peer's own word on how new its answers are, where it stamps them."""
    age_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One answer that differs between a peer and us."""

    peer: str
    method: str
    """Method of ClientMetaService whose answers differ."""
    seconds: float
    """How long it has been so."""
    ours: str
    theirs: str
    peer_behind: bool
    """The peer itself says that its answers are older than ours: the fault is over there."""


class Agreement:
    """The differences that stand now, by peer and method."""

    def __init__(self) -> None:
        self._since_ms: dict[tuple[Address, str], float] = {}
        self._rows: dict[tuple[Address, str], tuple[str, str, bool]] = {}

    def compare(self, peer: Address, theirs: PeerAnswers, snapshot: Snapshot, age_ms: float, now_ms: float) -> None:
        """Hold a peer's answers against the snapshot they must equal; `age_ms` is the snapshot's, at `now_ms`."""
        peer_behind = _behind(theirs, snapshot.version, age_ms)
        for method, ours_text, theirs_text in _pairs(snapshot, theirs):
            key = (peer, method)
            if ours_text is None or ours_text == theirs_text:
                self._since_ms.pop(key, None)
                self._rows.pop(key, None)
            else:
                self._since_ms.setdefault(key, now_ms)
                self._rows[key] = (ours_text, theirs_text, peer_behind)

    def forget(self, peer: Address) -> None:
        """Drop what was held against a peer: it is not reached any more, or not asked any more."""
        for key in [key for key in self._rows if key[0] == peer]:
            del self._rows[key], self._since_ms[key]

    def rows(self, now_ms: float) -> tuple[Disagreement, ...]:
        """All differences, the longest first, young ones too."""
        rows = (
            Disagreement(str(peer), method, (now_ms - self._since_ms[peer, method]) / 1000.0, *self._rows[peer, method])
            for peer, method in self._rows
        )
        return tuple(sorted(rows, key=lambda row: (-row.seconds, row.peer, row.method)))


def _behind(theirs: PeerAnswers, version: Version, age_ms: float) -> bool:
    if theirs.version is None or theirs.age_ms is None:
        return False
    # zxids alone: each server counts generations for itself
    return theirs.version.zxid < version.zxid and theirs.age_ms > age_ms


def _pairs(snapshot: Snapshot, theirs: PeerAnswers) -> Iterator[tuple[str, str | None, str]]:
    """(method, our text or None where we have nothing to compare, their text)."""
    cluster_id = snapshot.cluster_id
    yield "GetClusterId", _comparable(cluster_id, cluster_id.value or ""), theirs.cluster_id or ""
    master = snapshot.active_master
    our_master = str(master.value.server_name) if master.value else ""
    yield "GetActiveMaster", _comparable(master, our_master), str(theirs.active_master or "")
    meta = snapshot.meta_locations
    our_meta = {location.replica_id: location.server_name for location in meta.value or ()}
    yield "GetMetaRegionLocations", _comparable(meta, _locations_text(our_meta)), _locations_text(theirs.meta_locations)


def _comparable(fact: Fact[object], text: str) -> str | None:
    return text if fact.state in COMPARED_STATES else None


def _locations_text(locations: Mapping[int, ServerName]) -> str:
    return " ".join(f"{replica_id}={locations[replica_id]}" for replica_id in sorted(locations))
