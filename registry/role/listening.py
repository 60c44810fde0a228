"""Addresses: what is listened on, what is advertised, and the sentence when an address cannot be had."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable

from registry.config.settings import Settings
from registry.names import Address

BACKLOG = 4096
"""Connections that wait to be accepted; the kernel takes the smaller of this and net.core.somaxconn."""


class CannotListen(Exception):
    """An address is in use, not ours, or not allowed; `str()` names the flag that mends it."""


def cannot_listen(address: Address, flag: str, error: OSError) -> CannotListen:
    """The sentence for a failed bind."""
    free = Address(address.host, 0)
    if error.errno == errno.EADDRINUSE:
        cure = f"the port is in use: choose another with {flag} HOST:PORT ({flag} {free} takes a free one)"
    elif error.errno == errno.EADDRNOTAVAIL:
        cure = f"this machine has no such address: choose one of its own with {flag} HOST:PORT"
    elif error.errno in (errno.EACCES, errno.EPERM):
        cure = f"not allowed here: choose a port from 1024 up with {flag} HOST:PORT"
    elif isinstance(error, socket.gaierror):
        cure = f"the host name does not resolve ({error.strerror}): mend it with {flag} HOST:PORT"
    else:
        cure = f"{error.strerror or error}: mend it with {flag} HOST:PORT"
    return CannotListen(f"cannot listen on {address}: {cure}")


def listen(address: Address, flag: str, wanted_port: int = 0, *, reserve_only: bool = False) -> socket.socket:
    """A listening socket: who connects waits until somebody accepts.

    Where port 0 is asked for, `wanted_port` is tried first.

    reserve_only: the port is ours, and nobody is let in until a socket of this process with SO_REUSEPORT listens on
    it too; for libraries that take addresses instead of sockets.

    Resolves the host, so call it where blocking is allowed for names. Raises CannotListen.
    """
    if address.port == 0 and wanted_port:
        try:
            return listen(Address(address.host, wanted_port), flag, reserve_only=reserve_only)
        except CannotListen:
            pass  # somebody else took it meanwhile: any free one then
    made: socket.socket | None = None
    try:
        info = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = info[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] takes IPv4 clients too, as a Java server does.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(where)
        if reserve_only:
            # After the bind: set before, it would share the port with any process of the same user that does so too.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        else:
            made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as error:
        if made is not None:
            made.close()
        raise cannot_listen(address, flag, error) from None
    return made


def address_of(bound: socket.socket) -> Address:
    """Host and real port of a bound socket."""
    host, port = bound.getsockname()[:2]
    return Address(host, port)


def is_loopback(host: str) -> bool:
    """Whether nobody on another machine can mean this one by the name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_wildcard(host: str) -> bool:
    """Whether the address stands for all of this machine's."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def advertised(settings: Settings, bound: Address) -> Address:
    """What clients are told: the setting, else the bound address, and the host's name where that is a wildcard.

    Names are never looked up backwards: what DNS says of an address is seldom what its clients use.
    """
    text = settings.str_("hbeacon.advertise.address").strip()
    if text:
        given = Address.parse(text, bound.port)
        return given if given.port else Address(given.host, bound.port)
    return Address(socket.gethostname(), bound.port) if is_wildcard(bound.host) else bound


def warnings_of(bound: Address, told: Address, tier: Iterable[Address]) -> list[str]:
    """Sentences about addresses that clients elsewhere cannot use."""
    found: list[str] = []
    peers = [address for address in tier if address != told]
    if is_loopback(told.host) and (not is_loopback(bound.host) or any(not is_loopback(peer.host) for peer in peers)):
        found.append(f"{told} is advertised, which clients on other machines cannot reach: set --advertise HOST[:PORT]")
    if not is_loopback(bound.host):
        found.extend(
            f"hbeacon.registry.servers hands out {address}, which clients on other machines cannot reach"
            for address in tier
            if is_loopback(address.host)
        )
    return found
