"""Listening sockets of a door, and how many files the process may open for it.

Source: socket(7), tcp(7), getrlimit(2).
"""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Callable

LOG = logging.getLogger(__name__)

UNSENT_BYTES_MAX = 128 * 1024
"""What the kernel keeps unsent for one connection (TCP_NOTSENT_LOWAT); else it takes megabytes for each peer that
does not read. What is on its way is not bounded by it, so it costs no speed."""

FILES_RESERVED = 256
"""Open files that are left for everything but connections."""


def set_options(listener: socket.socket) -> None:
    """What accepted connections inherit."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)


def listening_sockets(
    host: str, port: int, backlog: int, prepare: Callable[[socket.socket], None] = set_options
) -> list[socket.socket]:
    """One socket for each address of the host, all on one port; an empty host is all of this machine's.

    `prepare` sets options before the bind. Resolves the host, so call it where blocking is allowed for names. Raises
    OSError.
    """
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    both_families = len({info[0] for info in infos}) > 1
    sockets: list[socket.socket] = []
    unusable: OSError | None = None
    try:
        for family, kind, protocol, _, address in dict.fromkeys(infos):
            if sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                listener = socket.socket(family, kind, protocol)
            except OSError as error:  # no IPv6 in this kernel
                unusable = error
                continue
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            prepare(listener)
            if family == socket.AF_INET6:  # alone, [::] takes IPv4 clients too, as a Java server does
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, both_families)
            listener.bind(address)
            listener.listen(backlog)
            listener.setblocking(False)
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    if not sockets:
        raise unusable or OSError(f"{host!r} has no address to listen on")
    return sockets


def connections_allowed(wanted_max: int) -> int:
    """What is asked for, or fewer where the process may not open so many files.

    The soft limit of open files is raised as far as needed and allowed, as the JVM does for a Java server: many
    systems start processes with 1024.
    """
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted_max + FILES_RESERVED
    if soft_limit == resource.RLIM_INFINITY or soft_limit >= needed:
        return wanted_max
    allowed = needed if hard_limit == resource.RLIM_INFINITY else min(needed, hard_limit)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard_limit))
    if allowed < needed:
        LOG.info("open files are limited to %d (ulimit -Hn): fewer connections are taken than asked for", allowed)
    return max(1, allowed - FILES_RESERVED)
