"""From settings to what the coordinator's machine, journal and door are made with.

Source: QuorumPeerConfig (tickTime, minSessionTimeout, maxSessionTimeout, dataDir), ZKConfig of HBase, which gives every
hbase.zookeeper.property.NAME to ZooKeeper as NAME.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry.config.settings import Settings
from registry.coordinator.journal.log import JournalSettings
from registry.coordinator.limits import DoorLimits, DoorNature
from registry.coordinator.machine import CoordinatorSettings
from registry.names import Address

PROPERTY = "hbase.zookeeper.property."
MIN_TICKS, MAX_TICKS = 2, 20
"""Bounds of session time-outs where none are set, in ticks."""
SESSION_MAX_MS = 60_000
"""The longest session time-out where not even the tick is set: 20 of ZooKeeper's ticks of 3 s. Ours is short so that
the dead are missed soon, not so that the living have less time."""
OWN_DIRECTORY = "hbeacon-coordinator"

IN_MEMORY = "one node without a quorum, in memory: all is gone when it ends"
ON_DISK = (
    "one node without a quorum, on disk: what it has acknowledged survives it, but while it is down nobody answers"
)


@dataclass(frozen=True, slots=True)
class CoordinatorRoleSettings:
    """Everything that one coordinator process needs to know."""

    address: Address
    machine: CoordinatorSettings
    limits: DoorLimits
    nature: DoorNature
    directory: Path | None
    journal: JournalSettings
    drain_timeout_ms: int


def role_settings(settings: Settings) -> CoordinatorRoleSettings:
    """Raises BadSetting for what is well-formed and still cannot be used."""
    tick_ms = settings.int_(PROPERTY + "tickTime")
    shortest_ms, longest_ms = _session_bounds(settings, tick_ms)
    directory = _directory(settings)
    words = settings.str_(PROPERTY + "4lw.commands.whitelist").split(",")
    return CoordinatorRoleSettings(
        address=_address(settings),
        machine=CoordinatorSettings(
            tick_ms=tick_ms,
            session_timeout_ms_min=shortest_ms,
            session_timeout_ms_max=longest_ms,
            super_digest=settings.str_("zookeeper.DigestAuthenticationProvider.superDigest") or None,
        ),
        limits=DoorLimits(
            frame_bytes_max=settings.bytes_("jute.maxbuffer"),
            connections_max=settings.int_("hbeacon.coordinator.connections_max"),
            connections_per_peer_max=settings.int_(PROPERTY + "maxClientCnxns"),
            # as ZooKeeper: nobody waits longer for a client than the longest session lasts
            slow_reader_timeout_ms=max(longest_ms, shortest_ms),
            four_letter_words=frozenset(word.strip() for word in words),
        ),
        nature=DoorNature(
            ON_DISK if directory else IN_MEMORY,
            tick_ms=tick_ms,
            session_min_ms=shortest_ms,
            session_max_ms=longest_ms,
            directory=directory,
        ),
        directory=directory,
        journal=JournalSettings(
            fsync=settings.bool_("hbeacon.coordinator.fsync"),
            snapshot_records=settings.int_("hbeacon.coordinator.snapshot_records"),
            snapshot_bytes=settings.bytes_("hbeacon.coordinator.snapshot_bytes"),
            snapshots_kept=settings.int_("hbeacon.coordinator.snapshots_kept"),
        ),
        drain_timeout_ms=settings.ms("hbeacon.drain.timeout_ms"),
    )


def _address(settings: Settings) -> Address:
    address = settings.address("hbeacon.coordinator.address")
    assert address is not None, "the kind of the key has no off"
    if settings.is_set("hbeacon.coordinator.address"):
        return address
    return Address(address.host, settings.int_(PROPERTY + "clientPort"))


def _session_bounds(settings: Settings, tick_ms: int) -> tuple[int, int]:
    shortest_ms = settings.int_(PROPERTY + "minSessionTimeout")
    longest_ms = settings.int_(PROPERTY + "maxSessionTimeout")
    if shortest_ms < 0:
        shortest_ms = MIN_TICKS * tick_ms
    if longest_ms < 0:
        longest_ms = MAX_TICKS * tick_ms if settings.is_set(PROPERTY + "tickTime") else SESSION_MAX_MS
    if longest_ms < shortest_ms:
        key = PROPERTY + "maxSessionTimeout"
        raise settings.bad(key, f"write {shortest_ms}, which is the shortest time-out granted, or more")
    return shortest_ms, longest_ms


def _directory(settings: Settings) -> Path | None:
    own = settings.str_("hbeacon.data.dir").strip()
    if own:
        return Path(own).absolute()
    theirs = settings.str_(PROPERTY + "dataDir").strip()
    return Path(theirs.removeprefix("file:")).absolute() / OWN_DIRECTORY if theirs else None
