"""What each role of `hbeacon dev` is told: the person's settings, and above them what joins it to the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from registry.cli.flags import Flags
from registry.config.settings import Settings
from registry.dev.plan import ServerDoors, reached_at, told
from registry.names import Address

SESSION_TIMEOUT_MS = 3000
"""HBase's 90 s are made for garbage collections of minutes; here a killed master should be missed while one watches."""
REGION_SERVER_SESSION_TIMEOUT_MS = 10_000
"""Longer: one that is killed is missed at once, when its next life registers, and one that only waits for a processor
must not lose its regions."""
QUIET = "warn,registry.dev=info"
"""The log level where nobody chose one: the screen belongs to what a client needs."""
ORIGIN = "hbeacon dev"


def with_values(flags: Flags, values: Mapping[str, str]) -> Flags:
    """The same command line with `values` on top, which can be loaded again and again."""
    return dataclasses.replace(
        flags, values={**flags.values, **values}, names={**flags.names, **dict.fromkeys(values, ORIGIN)}
    )


def quiet(flags: Flags, settings: Settings) -> Flags:
    """With the log level of dev where nobody has set one."""
    return flags if settings.is_set("hbeacon.log.level") else with_values(flags, {"hbeacon.log.level": QUIET})


def coordinator_values(settings: Settings, address: Address, journal: Path, *, temporary: bool) -> dict[str, str]:
    """Settings of the coordinator. `temporary`: nothing of it has to outlive the power."""
    values = {
        "hbeacon.coordinator.address": str(address),
        "hbeacon.data.dir": str(journal),
        "hbeacon.guard": "on",  # the parent holds the guard's end of the link
    }
    if temporary and not settings.is_set("hbeacon.coordinator.fsync"):
        values["hbeacon.coordinator.fsync"] = "off"
    return values


def master_values(
    settings: Settings,
    doors: ServerDoors,
    zookeeper: Address,
    servers: Sequence[Address],
    data_dir: Path,
    *,
    region_servers: bool = False,
) -> dict[str, str]:
    """Settings of one master. `servers` are all masters as clients reach them; all servers share `data_dir`.

    `region_servers`: there are some, and clients are given them to begin with.
    """
    return _server_values(settings, doors, zookeeper, servers, data_dir, SESSION_TIMEOUT_MS, region_servers)


def region_server_values(
    settings: Settings, doors: ServerDoors, zookeeper: Address, servers: Sequence[Address], data_dir: Path
) -> dict[str, str]:
    """Settings of one region server; the same as for a master."""
    values = _server_values(settings, doors, zookeeper, servers, data_dir, REGION_SERVER_SESSION_TIMEOUT_MS, True)
    values.pop("hbeacon.registry.servers", None)  # what they hand out they know from ZooKeeper
    return values


def _server_values(
    settings: Settings,
    doors: ServerDoors,
    zookeeper: Address,
    servers: Sequence[Address],
    data_dir: Path,
    session_timeout_ms: int,
    region_servers: bool,
) -> dict[str, str]:
    values = {
        "hbase.zookeeper.quorum": str(reached_at(zookeeper)),
        "hbase.client.zookeeper.quorum": "",
        "hbeacon.rpc.address": str(doors.rpc),
        "hbeacon.http.address": str(doors.http or "off"),
        "hbeacon.grpc.address": str(doors.grpc or "off"),
        "hbeacon.facade.address": "off",  # the coordinator is there for clients that know no registry
        "hbeacon.data.dir": str(data_dir),
        "hbeacon.guard": "on",  # the parent holds the guard's end of the link
    }
    if not settings.is_set("zookeeper.session.timeout"):
        values["zookeeper.session.timeout"] = str(session_timeout_ms)
    if not settings.is_set("hbeacon.registry.servers"):
        values["hbeacon.registry.servers"] = ",".join(map(str, servers))
    if region_servers and not settings.is_set("hbeacon.registry.handout"):
        values["hbeacon.registry.handout"] = "cluster"  # all of them are ours, and clients outlive any of them
    return values


def servers_of(servers: Sequence[ServerDoors], advertised_host: str) -> list[Address]:
    """All of them as clients reach them."""
    return [told(server.rpc, advertised_host) for server in servers]
