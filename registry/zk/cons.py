"""Who is connected to a ZooKeeper server, by its four-letter word `cons`.

The word has to be allowed there (4lw.commands.whitelist in zoo.cfg). The answer is text, a line for each connection of
that one server:

     /10.0.0.7:41846[1](queued=0,recved=12,sent=12,sid=0x1000...,lop=PING,...)
     /0:0:0:0:0:0:0:1:52806[0](queued=0,recved=1,sent=0)

Source: org.apache.zookeeper.server.command.ConsCommand, NIOServerCnxn#dumpConnectionInfo, FourLetterCommands.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from ipaddress import IPv6Address, ip_address

from registry.lookup.zookeeper_users import Connected, NotTold
from registry.names import Address

ANSWER_BYTES_MAX = 16 << 20
"""Some 100 bytes a connection: over a hundred thousand of them."""
_LINE = re.compile(r"^ ?/(?P<host>[0-9A-Fa-f:.%\w]{2,64}?):(?P<port>\d{1,5})\[", re.ASCII)


async def ask_connections(server: Address, timeout_ms: float) -> Connected:
    """The connections of one server. Raises NotTold with the reason in one line."""
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await _ask(server)
    except TimeoutError:
        raise NotTold(f"no answer to cons within {timeout_ms:.0f} ms") from None
    except OSError as error:
        raise NotTold(str(error) or type(error).__name__) from None


async def _ask(server: Address) -> Connected:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        own_host = address_text(writer.get_extra_info("sockname")[0])
        writer.write(b"cons")
        answer = bytearray()
        while piece := await reader.read(65536):
            answer += piece
            if len(answer) > ANSWER_BYTES_MAX:
                raise NotTold(f"the answer to cons is longer than {ANSWER_BYTES_MAX} bytes")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return Connected(parse_connections(answer.decode("ascii", "replace")), own_host)


async def resolve(name: str) -> frozenset[str]:
    """The addresses of a host name, as `parse_connections` gives them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return frozenset(address_text(str(row[4][0])) for row in found)


def parse_connections(text: str) -> frozenset[tuple[str, int]]:
    """Host and port of each connection. Raises NotTold where the answer is no list, such as a refusal."""
    found: set[tuple[str, int]] = set()
    for line in text.splitlines():
        if not line.strip():
            continue
        row = _LINE.match(line)
        if row is None:
            raise NotTold(f"cons is answered by {line.strip()[:120]!r}")
        found.add((address_text(row["host"]), int(row["port"])))
    if not found:
        raise NotTold("cons is answered by nothing")  # our own connection is always among them
    return frozenset(found)


def address_text(host: str) -> str:
    """An address as it is compared: short IPv6, IPv4 where it is one, without the name of an interface."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
