"""Whether this server may be sent clients now: a pure reading of what it knows, with a reason for everything.

Green means: an answer given now comes from a complete snapshot no older than the limit, and leaves out only what
ZooKeeper lacks or forbids. So a fact that is absent or forbidden is told and does not turn the light red; one whose
bytes cannot be read does, because then something is left out that ZooKeeper has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from registry.lookup.agreement import Disagreement
from registry.lookup.snapshot import Fact, FactState, Snapshot

DISAGREEMENT_MS_MAX = 1000.0
"""Differences younger than this are two servers hearing of one change at different moments."""


class SessionView(Protocol):
    """What readiness asks of a ZooKeeper session."""

    @property
    def state(self) -> str:
        """`connected`, `suspended` or `disconnected`."""
        ...

    @property
    def fatal(self) -> str:
        """Why ZooKeeper refuses us for good (authentication, missing chroot), empty when it does not."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One line of /readyz?verbose."""

    name: str
    """Lower case with hyphens, stable: it is what `?exclude=` names."""
    ok: bool
    sentence: str
    """What was found; the cure too, where it is not ok and there is one."""
    required: bool = True
    """False: only told, it never makes the server unready."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The verdict and everything that led to it."""

    ready: bool
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """`name: sentence` of each check that keeps the server from being ready."""
        return tuple(f"{check.name}: {check.sentence}" for check in self.checks if check.required and not check.ok)

    def without(self, names: Iterable[str]) -> Readiness:
        """The verdict with the named checks left out (Kubernetes: `?exclude=`)."""
        left_out = frozenset(names)
        checks = tuple(check for check in self.checks if check.name not in left_out)
        return Readiness(all(check.ok or not check.required for check in checks), checks)


def readiness(
    snapshot: Snapshot,
    age_ms: float,
    session: SessionView,
    disagreements: Iterable[Disagreement],
    max_age_ms: float,
    *,
    disagreement_ms_max: float = DISAGREEMENT_MS_MAX,
    refusing_stale: bool = False,
    draining: bool = False,
    faults: Sequence[str] = (),
    needs_master: bool = True,
    more: Iterable[Check] = (),
) -> Readiness:
    """Judge one moment; never raises, whatever the snapshot holds.

    age_ms: since the snapshot was last known to be all there is (infinite before the first complete one).
    refusing_stale: look-ups are refused now (`hbeacon.registry.stale` is refuse and the lease is over).
    draining: the server is stopping and wants no new clients.
    faults: what is done wrong here on purpose; told, and no reason to be unready.
    needs_master: a server that has work of its own to do does it without an active master too.
    more: what the role asks of itself.
    """
    checks = (
        _completeness(snapshot),
        _age(age_ms, max_age_ms),
        _required_fact("cluster-id", snapshot.cluster_id),
        replace(_required_fact("active-master", snapshot.active_master), required=needs_master),
        _session(session, snapshot),
        _agreement(disagreements, disagreement_ms_max),
        Check(
            "serving",
            not refusing_stale,
            "look-ups are refused: hbeacon.registry.stale is refuse and ZooKeeper has been silent for two thirds of "
            "the session time-out"
            if refusing_stale
            else "look-ups are answered",
        ),
        Check("shutdown", not draining, "stopping: connections are drained" if draining else "not stopping"),
        _answered_fact("backup-masters", snapshot.backup_masters),
        _answered_fact("meta-locations", snapshot.meta_locations),
        _answered_fact("region-servers", snapshot.region_servers),
        _told_fact("table-states", snapshot.table_states),
        *_faults(faults),
        *more,
    )
    return Readiness(all(check.ok or not check.required for check in checks), checks)


def _faults(faults: Sequence[str]) -> Iterator[Check]:
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        sentence = f"set on purpose: {faults[0]}{more}; `hbeacon fault clear` ends it"
        yield Check("faults", ok=False, sentence=sentence, required=False)


def _completeness(snapshot: Snapshot) -> Check:
    unread = [name.replace("_", "-") for name, fact in snapshot.facts() if fact.state is FactState.UNREAD]
    if snapshot.complete:
        return Check("snapshot-complete", True, f"every fact is read up to zxid 0x{snapshot.version.zxid:x}")
    return Check("snapshot-complete", False, f"not read from ZooKeeper yet: {', '.join(unread) or 'the tree'}")


def _age(age_ms: float, max_age_ms: float) -> Check:
    if math.isinf(age_ms) or math.isnan(age_ms):
        return Check("snapshot-age", False, "there has been no complete snapshot yet")
    ok = age_ms <= max_age_ms
    sentence = f"the snapshot is {age_ms / 1000:.1f} s old"
    limit = f"hbeacon.registry.ready.max_age_ms allows {max_age_ms / 1000:g} s"
    return Check("snapshot-age", ok, sentence if ok else f"{sentence}, {limit}")


def _session(session: SessionView, snapshot: Snapshot) -> Check:
    if session.fatal:
        return Check("zookeeper-session", False, session.fatal)
    if session.state == "connected":
        return Check("zookeeper-session", True, "connected")
    # Not red by itself: look-ups go on from the snapshot until it is too old, and then snapshot-age says so.
    source = "answers come from the last snapshot" if snapshot.complete else "waiting for the first answer"
    return Check("zookeeper-session", True, f"{session.state}: {source}")


def _agreement(disagreements: Iterable[Disagreement], limit_ms: float) -> Check:
    rows = [row for row in disagreements if row.seconds * 1000.0 > limit_ms]
    # A peer that says itself that its answers are older is the one to take out: one stale server must not turn all red.
    lasting = [row for row in rows if not row.peer_behind]
    if not lasting:
        behind = ", ".join(sorted({row.peer for row in rows}))
        sentence = f"answers differ from {behind}, whose are older than ours" if behind else "no lasting difference"
        return Check("agreement", True, sentence)
    worst = max(lasting, key=lambda row: row.seconds)
    others = f" ({len(lasting) - 1} more)" if len(lasting) > 1 else ""
    sentence = f"{worst.peer} has answered {worst.method} differently for {worst.seconds:.1f} s{others}"
    return Check("agreement", False, sentence)


def _missing(fact: Fact[object]) -> str:
    """Why a fact has no value, for people; empty when it has one."""
    match fact.state:
        case FactState.KNOWN:
            return ""
        case FactState.UNREAD:
            plain = f"{fact.path} has not been read yet"
        case FactState.ABSENT:
            plain = f"ZooKeeper has no {fact.path}"
        case FactState.FORBIDDEN:
            plain = f"the ACL of {fact.path} forbids reading it"
        case FactState.UNDECODABLE:
            plain = f"the bytes of {fact.path} are not what HBase writes there"
    return f"{plain}: {fact.problem}" if fact.problem and fact.problem != plain else plain


def _required_fact(name: str, fact: Fact[object]) -> Check:
    if fact.state is FactState.KNOWN:
        return Check(name, True, fact.problem or "known")
    return Check(name, False, _missing(fact))


def _answered_fact(name: str, fact: Fact[object]) -> Check:
    """A fact that look-ups answer but can do without; unreadable bytes are the exception (see the module)."""
    missing = _missing(fact)
    return Check(
        name,
        ok=fact.state is FactState.KNOWN and not fact.problem,
        sentence=missing or fact.problem or "known",
        required=fact.state is FactState.UNDECODABLE,
    )


def _told_fact(name: str, fact: Fact[object]) -> Check:
    """A fact that no look-up answers: clusters of HBase 2 keep table states in meta alone, so absence is usual."""
    missing = _missing(fact)
    ok = fact.state in (FactState.KNOWN, FactState.ABSENT) and not (fact.state is FactState.KNOWN and fact.problem)
    return Check(name, ok, missing or fact.problem or "known", required=False)
