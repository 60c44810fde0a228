"""Whom clients are told to talk to: the answers of GetMasters and GetBootstrapNodes.

A Java client replaces its whole server list with such an answer, and keeps what it has only when the answer is empty.
A server in it that closes the connection (a master before 2.3, a region server before 2.5) breaks the client, so only
`cluster` hands out servers on trust.

Source: org.apache.hadoop.hbase.client.RegistryEndpointsRefresher; HBASE-26150; MasterRegistry.getActiveMaster of 2.4;
GetBootstrapNodes samples live region servers, at most hbase.client.bootstrap.node.limit of them.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from registry.lookup.snapshot import Snapshot
from registry.names import Address, ServerName

NODE_LIMIT = 10
"""Default of hbase.client.bootstrap.node.limit."""


class HandOutMode(enum.Enum):
    """The setting `hbeacon.registry.handout`."""

    TIER = "tier"
    """The list `hbeacon.registry.servers`."""
    CLUSTER = "cluster"
    """The masters and region servers that ZooKeeper knows."""
    AUTO = "auto"
    """The tier where it is configured, else real servers that were seen to answer, else nobody."""


@dataclass(frozen=True, slots=True)
class HandOut:
    """Both lists, as they are answered."""

    masters: tuple[ServerName, ...] = ()
    active_master: ServerName | None = None
    """The one among `masters` that is marked active, if it is among them."""
    bootstrap_nodes: tuple[ServerName, ...] = ()
    source: str = ""
    """For people: where the lists come from."""


@dataclass(frozen=True, slots=True)
class HandOutSettings:
    """What is configured."""

    mode: HandOutMode = HandOutMode.AUTO
    tier: tuple[Address, ...] = ()
    node_limit: int = NODE_LIMIT


def hand_out(settings: HandOutSettings, snapshot: Snapshot, speaking: frozenset[ServerName], turn: int = 0) -> HandOut:
    """Choose the lists for one snapshot.

    speaking: real servers that were seen to answer ClientMetaService.
    turn: chooses the sample where there are more servers than `node_limit`; another turn gives another sample.
    """
    active = snapshot.active_master.value.server_name if snapshot.active_master.value else None
    if settings.mode is HandOutMode.TIER or (settings.mode is HandOutMode.AUTO and settings.tier):
        tier = tuple(ServerName(address.host, address.port) for address in settings.tier)
        marked = next((name for name in tier if active is not None and name.address == active.address), None)
        masters = tier
        if marked is None and active in speaking:
            # The MasterRegistry of HBase 2.4 never calls GetActiveMaster: it looks for the marked one in this list, and
            # without one its Admin hangs. Left out where it would close the connection of clients that refresh.
            marked, masters = active, (active, *tier)
        return HandOut(masters, marked, _sample(tier, settings.node_limit, turn), "tier: hbeacon.registry.servers")
    masters = (
        *((active,) if active else ()),
        *(name for name in snapshot.backup_masters.value or () if name != active),
    )
    workers = tuple(server.server_name for server in snapshot.region_servers.value or ())
    if settings.mode is HandOutMode.AUTO:
        masters = tuple(name for name in masters if name in speaking)
        workers = tuple(name for name in workers if name in speaking)
        source = "auto: real servers seen to answer ClientMetaService"
        if not masters and not workers:
            source = "auto: nobody, because no real server was seen to answer ClientMetaService"
    else:
        source = "cluster: the masters and region servers in ZooKeeper"
    nodes = _sample(workers, settings.node_limit, turn)
    return HandOut(masters, active if active in masters else None, nodes, source)


def _sample(servers: Iterable[ServerName], node_limit: int, turn: int) -> tuple[ServerName, ...]:
    """At most `node_limit` of the servers, another choice each turn, in an order that differs by turn too."""
    return tuple(sorted(servers, key=lambda server: _rank(server, turn))[:node_limit])


def _rank(server: ServerName, turn: int) -> bytes:
    return hashlib.blake2b(f"{turn} {server}".encode(), digest_size=8).digest()
