"""HBase's keys as the client uses them: one set for every call, look-ups included (HBASE-18095).

Source: hbase-default.xml, HConstants, RpcConnectionRegistry, MasterRegistry, RegistryEndpointsRefresher.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from registry.client.hedging.policy import HedgeSettings
from registry.client.probing import Policy
from registry.config.settings import Settings
from registry.config.values import parse_int

MASTER_REGISTRY_PREFIX = "hbase.client.master_registry."
BOOTSTRAP_PREFIX = "hbase.client.bootstrap."


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Time-outs, retries and the policy of one connection; the defaults are HBase's."""

    rpc_timeout_ms: float = 60_000
    """One call, connecting not included: hbase.rpc.timeout."""
    operation_timeout_ms: float = 1_200_000
    """One look-up with all its retries: hbase.client.operation.timeout."""
    meta_operation_timeout_ms: float = 1_200_000
    """The same for the location of hbase:meta: hbase.client.meta.operation.timeout."""
    retries_count: int = 15
    """Passes through the list of servers after the first: hbase.client.retries.number."""
    pause_ms: float = 100
    """Unit of the growing pause between passes: hbase.client.pause."""
    connect_timeout_ms: float = 10_000
    """hbase.ipc.client.socket.timeout.connect"""
    read_timeout_ms: float = 20_000
    """Silence while calls are outstanding: hbase.ipc.client.socket.timeout.read."""
    policy: Policy = Policy.HEDGED
    hedging: HedgeSettings = field(default_factory=HedgeSettings)
    """The numbers of Policy.HEDGED."""
    fanout: int = 2
    """Servers asked at once with Policy.FANOUT."""
    refresh_interval_ms: float = 300_000
    """Between two refreshes of the server list; 0 or less switches all of them off."""
    refresh_initial_delay_ms: float = 300_000
    """From the first look-up to the first refresh that no error asks for."""
    refresh_min_interval_ms: float = 60_000
    """At least this between two refreshes, and before the first that an error asks for."""
    failed_server_expiry_ms: float = 2_000
    """A server that failed is asked last for this long: hbase.ipc.client.failed.servers.expiry."""
    idle_timeout_ms: float = 120_000
    """A connection without a call for this long is closed: hbase.ipc.client.connection.minIdleTimeBeforeClose."""
    user: str = "hbeacon"
    """Who we say we are; without security servers believe it."""

    def __post_init__(self) -> None:
        assert self.fanout >= 1, "at least one server is asked"
        assert self.retries_count >= 0, "the first pass is no retry"


def client_settings(
    settings: Settings, *, policy: Policy = Policy.HEDGED, registry_prefix: str = BOOTSTRAP_PREFIX
) -> ClientSettings:
    """The client's part of all settings. `registry_prefix` says whose keys rule fan-out and refreshes.

    Raises BadSetting for a value of a key that only clients read.
    """
    interval_ms = 1000.0 * _seconds(settings, f"{registry_prefix}refresh_interval_secs", 300)
    return ClientSettings(
        rpc_timeout_ms=settings.int_("hbase.rpc.timeout"),
        operation_timeout_ms=settings.int_("hbase.client.operation.timeout"),
        meta_operation_timeout_ms=settings.int_("hbase.client.meta.operation.timeout"),
        retries_count=settings.int_("hbase.client.retries.number"),
        pause_ms=settings.int_("hbase.client.pause"),
        connect_timeout_ms=settings.int_("hbase.ipc.client.socket.timeout.connect"),
        read_timeout_ms=settings.int_("hbase.ipc.client.socket.timeout.read"),
        policy=policy,
        hedging=HedgeSettings(
            delay_unknown_ms=settings.ms("hbeacon.client.hedge.delay_ms"),
            budget_ratio=settings.int_("hbeacon.client.hedge.extra_percent") / 100,
        ),
        fanout=_number(settings, f"{registry_prefix}hedged.fanout", 2),
        refresh_interval_ms=interval_ms,
        # HBase's default for this is a slip of units (30000 s): a periodic refresh that never comes. Ours is the
        # interval itself, which is what the key next to it promises.
        refresh_initial_delay_ms=1000.0
        * _seconds(settings, f"{registry_prefix}initial_refresh_delay_secs", round(interval_ms / 1000)),
        refresh_min_interval_ms=1000.0 * _seconds(settings, f"{registry_prefix}min_secs_between_refreshes", 60),
        failed_server_expiry_ms=_seconds(settings, "hbase.ipc.client.failed.servers.expiry", 2000),
        idle_timeout_ms=_seconds(settings, "hbase.ipc.client.connection.minIdleTimeBeforeClose", 120_000),
        user=_user(),
    )


def _user() -> str:
    """As Hadoop finds it without security: HADOOP_USER_NAME, else the account."""
    return os.environ.get("HADOOP_USER_NAME") or os.environ.get("USER") or os.environ.get("LOGNAME") or "hbeacon"


def _number(settings: Settings, key: str, default: int) -> int:
    number = _seconds(settings, key, default)
    if number < 1:
        raise settings.bad(key, f"write a number from 1 on, such as {default}")
    return number


def _seconds(settings: Settings, key: str, default: int) -> int:
    """A number of a key that may or may not be in the table of keys."""
    text = settings.str_(key)
    if not text.strip():
        return default
    try:
        return parse_int(text)
    except ValueError:
        raise settings.bad(key, f"write a number such as {default}") from None
