"""What a fault is: its kind, whom it meets, how often and for how long; read from JSON with errors that teach."""

from __future__ import annotations

import difflib
import enum
import hashlib
import ipaddress
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Peer = ipaddress.IPv4Address | ipaddress.IPv6Address | None
"""None: what is not reached by IP."""

LIST_MAX = 32
"""Methods or peers of one fault: a person wrote them."""
DELAY_MS_MAX = 600_000.0
"""What waits longer hangs, and for that there is a kind."""
DURATION_MS_MAX = 86_400_000.0
COUNT_MAX = 2**31 - 1
SEED_MAX = 2**53 - 1
"""Read exactly by every JSON reader."""
HALF_BYTES_MAX = 1 << 20
METHOD_PATTERN = re.compile(r"[A-Za-z0-9_*?]{1,64}")
CLUSTER_ID_PATTERN = re.compile(r"[\x21-\x7e]{1,128}")

REGIST = "Regist"
"""The preamble by which clients ask for the cluster id, named as a method."""
SECURI = "Securi"
"""The preamble by which clients ask whether security is on, named as a method."""
CLUSTER_ID_METHODS = ("GetClusterId", REGIST)


class BadFault(ValueError):
    """A fault that cannot be set; `str()` says what to write instead."""


class FaultKind(enum.Enum):
    """What goes wrong."""

    DELAY = "delay"
    """The answer comes so many milliseconds later."""
    HANG_ACCEPT = "hang-accept"
    """The connection is taken, and nothing that comes on it is ever answered."""
    HANG = "hang"
    """The call is read and neither run nor answered; others on the connection are."""
    HALF = "half"
    """Some bytes of the answer, then silence on that connection."""
    RESET = "reset"
    """The connection is reset (RST) when the call has been read."""
    DROP = "drop"
    """The call is run, and the connection reset instead of its answer."""
    REFUSE = "refuse"
    """The connection is closed as soon as it is taken."""
    STALE = "stale"
    """Look-ups are answered as they were when the fault was set."""
    WRONG_CLUSTER_ID = "wrong-cluster-id"
    """The cluster id of another cluster."""


AT_ACCEPT = frozenset({FaultKind.HANG_ACCEPT, FaultKind.REFUSE})
"""Kinds that act before a method is known."""

ON_OTHER_DOORS = frozenset({FaultKind.DELAY, FaultKind.HANG})
"""Kinds that look-ups of gRPC meet too; the others are of connections and bytes of HBase's RPC."""

FIELDS = (
    "kind", "methods", "peers", "probability", "count", "seed", "duration_ms", "delay_ms", "bytes", "cluster_id",
)  # fmt: skip

_FIELDS_OF_KINDS = (
    ("delay_ms", FaultKind.DELAY),
    ("bytes", FaultKind.HALF),
    ("cluster_id", FaultKind.WRONG_CLUSTER_ID),
)
"""Fields that mean something for one kind only."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault as it was asked for."""

    kind: FaultKind
    methods: tuple[str, ...] = ()
    """Names with * and ?; empty: every one."""
    peers: tuple[Network, ...] = ()
    """Empty: everybody."""
    probability: float = 1.0
    count: int | None = None
    """How often it is applied before it is gone; None: without end."""
    seed: int | None = None
    """Of its chance; None: one is chosen when it is set."""
    duration_ms: float | None = None
    delay_ms: tuple[float, float] = (0.0, 0.0)
    """Least and most; drawn evenly between."""
    half_bytes: int | None = None
    """Bytes of the answer that are still sent; None: half of them."""
    cluster_id: str = ""
    """What is answered instead; empty: one made from the seed."""

    def meets(self, method: str | None, peer: Peer) -> bool:
        """Whether it is for this call, or for this connection where `method` is None."""
        if (method is None) is not (self.kind in AT_ACCEPT):
            return False
        if method is not None and self.methods and not any(fnmatchcase(method, name) for name in self.methods):
            return False
        return not self.peers or (peer is not None and any(peer in network for network in self.peers))

    def as_document(self) -> dict[str, object]:
        """As `parse_rule` reads it; what is not said is left out."""
        document: dict[str, object] = {"kind": self.kind.value}
        if self.methods:
            document["methods"] = list(self.methods)
        if self.peers:
            document["peers"] = [str(network) for network in self.peers]
        if self.kind is FaultKind.DELAY:
            document["delay_ms"] = list(self.delay_ms)
        others: dict[str, object] = {
            "probability": self.probability,
            "count": self.count,
            "seed": self.seed,
            "duration_ms": self.duration_ms,
            "bytes": self.half_bytes,
            "cluster_id": self.cluster_id or None,
        }
        return document | {name: value for name, value in others.items() if value is not None}

    def __str__(self) -> str:
        """For logs and pages: `hang of Regist, 30 %, 10 times, seed 7`."""
        text = self.kind.value
        if self.kind is FaultKind.DELAY:
            least, most = self.delay_ms
            text += f" by {least:g} ms" if least == most else f" by {least:g} to {most:g} ms"
        if self.methods:
            text += f" of {', '.join(self.methods)}"
        words = [
            f"for {', '.join(map(str, self.peers))}" if self.peers else "",
            f"{self.probability * 100:g} %" if self.probability < 1 else "",
            f"{self.count} times" if self.count is not None else "",
            f"{self.half_bytes} bytes" if self.half_bytes is not None else "",
            f"as {self.cluster_id}" if self.cluster_id else "",
            f"seed {self.seed}" if self.seed is not None else "",
            f"for {self.duration_ms / 1000:g} s" if self.duration_ms is not None else "",
        ]
        return ", ".join([text, *filter(None, words)])


def parse_peer(host: str) -> Peer:
    """The address of a peer; None for what is none, such as a Unix socket."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def made_cluster_id(seed: int) -> str:
    """The cluster id of a cluster that does not exist, the same for the same seed."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"cluster of fault {seed}".encode()).digest()[:16], version=4))


def parse_rule(document: object) -> Rule:
    """Read a fault from its JSON document; raises BadFault."""
    if not isinstance(document, Mapping):
        raise BadFault('write a JSON object, such as {"kind": "hang", "methods": ["Regist"], "probability": 0.3}')
    given = {str(name): value for name, value in cast("Mapping[object, object]", document).items()}
    for name in given:
        if name not in FIELDS:
            raise BadFault(f"{name[:64]!r} is not a field of a fault{_nearest(name, FIELDS)}")
    kind = _kind(given.get("kind"))
    for name, only in _FIELDS_OF_KINDS:
        if name in given and kind is not only:
            raise BadFault(f"{name} belongs to the kind {only.value}; leave it out of {kind.value}")
    return Rule(
        kind,
        _methods(kind, given.get("methods")),
        tuple(_network(text) for text in _texts("peers", given.get("peers"))),
        _number("probability", given.get("probability", 1.0), 0.0, 1.0),
        _whole("count", given.get("count"), 1, COUNT_MAX),
        _whole("seed", given.get("seed"), 0, SEED_MAX),
        None if given.get("duration_ms") is None else _number("duration_ms", given["duration_ms"], 1, DURATION_MS_MAX),
        _delay(given.get("delay_ms")) if kind is FaultKind.DELAY else (0.0, 0.0),
        _whole("bytes", given.get("bytes"), 1, HALF_BYTES_MAX),
        _cluster_id(given.get("cluster_id")),
    )


def unknown_method(rule: Rule, known: Sequence[str]) -> str:
    """Why a fault would never act: a method that this server does not have; empty where all are known."""
    for pattern in rule.methods:
        if not any(fnmatchcase(name, pattern) for name in known):
            return f"no method here is called {pattern!r}{_nearest(pattern, known)}"
    return ""


def _nearest(word: str, known: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else f": write one of {', '.join(sorted(known)[:40])}"


def _kind(value: object) -> FaultKind:
    kinds = [kind.value for kind in FaultKind]
    if isinstance(value, str) and value in kinds:
        return FaultKind(value)
    if value is None:
        raise BadFault(f"a fault has a kind: write one of {', '.join(kinds)}")
    raise BadFault(f"{str(value)[:64]!r} is not a kind of fault{_nearest(str(value)[:64], kinds)}")


def _methods(kind: FaultKind, value: object) -> tuple[str, ...]:
    names = _texts("methods", value)
    if names and kind in AT_ACCEPT:
        raise BadFault(f"{kind.value} acts before a method is known; leave methods out, or take hang or reset")
    for name in names:
        if not METHOD_PATTERN.fullmatch(name):
            raise BadFault(f"{name[:64]!r} is not the name of a method: write one such as GetClusterId, Regist or Get*")
    if kind is FaultKind.WRONG_CLUSTER_ID:
        for name in names:
            if name not in CLUSTER_ID_METHODS:
                raise BadFault(f"{name} does not answer the cluster id: write {' or '.join(CLUSTER_ID_METHODS)}")
        return names or CLUSTER_ID_METHODS
    return names


def _texts(name: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = [cast("object", value)] if isinstance(value, str) else value
    if not isinstance(listed, Sequence):
        raise BadFault(f"{name}: write a list of texts")
    texts = [text for text in cast("Sequence[object]", listed) if isinstance(text, str)]
    if len(texts) != len(cast("Sequence[object]", listed)) or len(texts) > LIST_MAX:
        raise BadFault(f"{name}: write a list of at most {LIST_MAX} texts")
    return tuple(dict.fromkeys(texts))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadFault(f"peers: {text[:64]!r} is no address: write an IP such as 10.1.2.3, or 10.1.0.0/16") from None


def _number(name: str, value: object, least: float, most: float) -> float:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not least <= number <= most:
        raise BadFault(f"{name}: write a number from {least:g} to {most:g}")
    return number


def _whole(name: str, value: object, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadFault(f"{name}: write a whole number from {least} to {most}")
    return value


def _delay(value: object) -> tuple[float, float]:
    ends = cast("Sequence[object]", value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if value is None or len(ends) not in (1, 2):
        raise BadFault("delay_ms: write milliseconds, such as 200, or the least and the most, such as [100, 300]")
    least, most = (_number("delay_ms", end, 0.0, DELAY_MS_MAX) for end in (ends[0], ends[-1]))
    if least > most:
        raise BadFault("delay_ms: write the least before the most")
    return least, most


def _cluster_id(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not CLUSTER_ID_PATTERN.fullmatch(value):
        raise BadFault("cluster_id: write at most 128 visible characters, such as a UUID")
    return value
