"""Access control: schemes world, digest, ip, auth and super, as ZooKeeper's own providers have them.

Source: ZooKeeperServer.checkACL, PrepRequestProcessor.fixupACL, DigestAuthenticationProvider, IPAuthenticationProvider.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Iterable

from registry.coordinator.codes import ErrorCode, KeeperException
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE

Id = tuple[str, str]
"""Scheme and id: what a client has shown to be, and whom an ACL names."""
SUPER: Id = ("super", "")
IPV4_MAPPED = "::ffff:"
INTERNED_MAX = 1024
"""Distinct ACLs kept for sharing; clusters have a handful, and a client that makes up more gains no memory of ours."""

_interned: dict[tuple[ACL, ...], tuple[ACL, ...]] = {OPEN_ACL_UNSAFE: OPEN_ACL_UNSAFE}


def intern_acl(acl: tuple[ACL, ...]) -> tuple[ACL, ...]:
    """An equal tuple shared by all nodes that have it; OPEN_ACL_UNSAFE stays that very object."""
    known = _interned.get(acl)
    if known is None:
        if len(_interned) >= INTERNED_MAX:
            _interned.clear()
            _interned[OPEN_ACL_UNSAFE] = OPEN_ACL_UNSAFE
        known = _interned[acl] = acl
    return known


def ip_id(peer_host: str) -> Id:
    """What every connection is from its start. IPv4 behind an IPv6 socket counts as IPv4, as in Java."""
    return ("ip", peer_host.removeprefix(IPV4_MAPPED).partition("%")[0])


def permits(acl: tuple[ACL, ...], perms: int, ids: Iterable[Id]) -> bool:
    """Whether one who is `ids` may do any of `perms`; an empty ACL permits everything."""
    if acl is OPEN_ACL_UNSAFE or not acl or SUPER in ids:
        return True
    return any(entry.perms & perms and _names(entry, ids) for entry in acl)


def _names(entry: ACL, ids: Iterable[Id]) -> bool:
    if entry.scheme == "world":
        return entry.id == "anyone"
    if entry.scheme == "ip":
        network = _network(entry.id)
        return network is not None and any(scheme == "ip" and _is_within(host, network) for scheme, host in ids)
    return entry.scheme == "digest" and (entry.scheme, entry.id) in ids


def check(acl: tuple[ACL, ...], perms: int, ids: Iterable[Id], path: str) -> None:
    """Raise NoAuth unless `permits`."""
    if not permits(acl, perms, ids):
        raise KeeperException(ErrorCode.NO_AUTH, path)


def expanded(acl: tuple[ACL, ...], ids: Iterable[Id], path: str) -> tuple[ACL, ...]:
    """The ACL as it is kept: without doubles, `auth` replaced by the client's own ids. Raises InvalidACL."""
    kept: list[ACL] = []
    for entry in dict.fromkeys(acl):
        if entry.scheme == "auth":
            own = [ACL(entry.perms, scheme, name) for scheme, name in ids if scheme == "digest"]
            if not own:
                raise KeeperException(ErrorCode.INVALID_ACL, path)
            kept += own
        elif _is_valid(entry):
            kept.append(entry)
        else:
            raise KeeperException(ErrorCode.INVALID_ACL, path)
    if not kept:
        raise KeeperException(ErrorCode.INVALID_ACL, path)
    return intern_acl(tuple(kept))


def _is_valid(entry: ACL) -> bool:
    if entry.scheme == "world":
        return entry.id == "anyone"
    if entry.scheme == "ip":
        return _network(entry.id) is not None
    # Java's split drops empty parts at the end: `user:` is no digest, `user:hash:` is one.
    return entry.scheme == "digest" and entry.id.rstrip(":").count(":") == 1


def authenticate(scheme: str, auth: bytes | None, peer_host: str, super_digest: str | None) -> tuple[Id, ...]:
    """The ids that an AuthPacket adds; empty when it fails. `super_digest` is `super:` and the base64 of a SHA-1."""
    if scheme == "ip":
        return (ip_id(peer_host),)
    if scheme != "digest" or auth is None:
        return ()
    digest = generate_digest(auth.decode("utf-8", "replace"))
    return (SUPER, ("digest", digest)) if digest == super_digest else (("digest", digest),)


def generate_digest(user_and_password: str) -> str:
    """`user:` and the base64 of the SHA-1 of `user:password`. Source: DigestAuthenticationProvider.generateDigest."""
    user = user_and_password.partition(":")[0]
    return f"{user}:{base64.b64encode(hashlib.sha1(user_and_password.encode()).digest()).decode()}"


def masked(acl: Iterable[ACL]) -> list[ACL]:
    """The ACL as one sees it who may not administer: hashes of digests hidden. Source: ZOOKEEPER-1392."""
    return [
        ACL(entry.perms, entry.scheme, entry.id.partition(":")[0] + ":x" if ":" in entry.id else entry.id)
        if entry.scheme == "digest"
        else entry
        for entry in acl
    ]


def user_name(id: Id) -> str:  # noqa: A002
    """Who an id is in the answer to whoAmI: no password hash, nothing for super. Source: AuthUtil.getClientInfos."""
    scheme, name = id
    if scheme == "digest":
        return name.partition(":")[0]
    return name if scheme == "ip" else ""


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(expression: str) -> _Network | None:
    """An address with or without `/bits`; None for anything else."""
    _, slash, bits = expression.partition("/")
    if slash and not bits.isdecimal():
        return None
    try:
        return ipaddress.ip_network(expression, strict=False)
    except ValueError:
        return None


def _is_within(host: str, network: _Network) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == network.version and address in network
