"""Who may set faults, and what pages and commands may ask of a server that can have them."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.faults.machine import Decision, FaultRow
from registry.faults.rules import FaultKind, Network, Rule, parse_peer

ENABLED_KEY = "hbeacon.faults.enabled"
TOKEN_KEY = "hbeacon.faults.token"
PEERS_KEY = "hbeacon.faults.peers"

PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
NOT_ENABLED = f"faults are not enabled on this server: set {ENABLED_KEY} to true and start it again"


@dataclass(frozen=True, slots=True)
class FaultAccess:
    """Who may change faults."""

    token: str = ""
    """Without one only the machine itself may."""
    peers: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

    def refusal(self, peer_host: str, headers: Mapping[str, str]) -> str:
        """Why this peer may change nothing, in a sentence; empty where it may.

        `headers` (of HTTP, or metadata of gRPC) by lower-case name. A page in somebody's browser and a proxy on this
        machine come from the machine itself too, so loopback alone is no proof that somebody here meant it.
        """
        peer = parse_peer(peer_host)
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        if peer is None or not any(peer in network for network in self.peers):
            return f"faults are not set from {peer_host or 'there'}: {PEERS_KEY} names the addresses that may"
        if "origin" in headers:
            return "faults are not set from web pages: use `hbeacon fault` or curl"
        if self.token:
            return self._refusal_of_token(headers.get("authorization", ""))
        if any(name.startswith("sec-fetch-") for name in headers):
            return "faults are not set from browsers: use `hbeacon fault` or curl"
        if any(name in headers for name in PROXY_HEADERS):
            return f"this request came through a proxy: give this server a {TOKEN_KEY}"
        if not peer.is_loopback:
            return f"without a token faults are set on the machine itself only: give this server a {TOKEN_KEY}"
        return ""

    def _refusal_of_token(self, authorization: str) -> str:
        scheme, _, given = authorization.partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if hmac.compare_digest(self.token.encode(), given.encode("utf-8", "surrogateescape")):
            return ""
        missing = "the token is another one" if given else "a token is needed"
        return f"{missing}: send 'Authorization: Bearer TOKEN' with the server's {TOKEN_KEY}"


class FaultControl(Protocol):
    """The faults of a running server. Belongs to its loop; nothing waits."""

    @property
    def access(self) -> FaultAccess:
        """Who may change them."""
        ...

    @property
    def applied(self) -> Mapping[FaultKind, int]:
        """How often each kind was applied since the start."""
        ...

    def rows(self) -> Sequence[FaultRow]:
        """Those that are set."""
        ...

    def add(self, rule: Rule, by: str) -> FaultRow:
        """Set one; `by` is who asked, for the log. Raises BadFault."""
        ...

    def remove(self, number: int, by: str) -> bool:
        """Take one away; False where there is none of that number."""
        ...

    def clear(self, by: str) -> int:
        """Take all away and reset what hangs; gives how many there were."""
        ...

    def refused(self, by: str, sentence: str) -> None:
        """Somebody who may not wanted to change them: told in the log, at most once a second."""
        ...

    def offer(self, methods: Iterable[str]) -> None:
        """Look-ups of another door than RPC: rules may name them too."""
        ...

    def at_look_up(self, method: str, peer_host: str) -> Decision | None:
        """What happens to a look-up of such a door: a delay or a hang, if anything."""
        ...

    def hang(self) -> Awaitable[None]:
        """Ends when all faults are cleared."""
        ...
