"""From settings to what each part wants to know: the one place where keys and parts meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protos.hbase import Registry_pb2
from registry.config.settings import Settings
from registry.logs import parse_levels
from registry.lookup.answers import SERVICE
from registry.lookup.feed import FeedSettings
from registry.lookup.handout import HandOutMode, HandOutSettings
from registry.names import Address
from registry.rpc.context import RpcServerSettings
from registry.rpc.scheduler import SchedulerSettings
from registry.rpc.services import Call, Handled, ServiceTable
from registry.wire.errors import ServerNotRunningYetException
from registry.wire.limits import READY_FRAME_BYTES_MAX, WireLimits

if TYPE_CHECKING:
    from registry.lookup.selfcheck import SelfCheckSettings

SELF_CHECK_TIMEOUT_MS = 1000.0
"""A peer that needs longer for a look-up is as good as away."""

REQUEST_TYPES = (
    ("GetClusterId", Registry_pb2.GetClusterIdRequest),
    ("GetActiveMaster", Registry_pb2.GetActiveMasterRequest),
    ("GetMasters", Registry_pb2.GetMastersRequest),
    ("GetMetaRegionLocations", Registry_pb2.GetMetaRegionLocationsRequest),
    ("GetBootstrapNodes", Registry_pb2.GetBootstrapNodesRequest),
)


def check(settings: Settings) -> None:
    """Raise BadSetting for what is well-formed and still cannot be used by a server."""
    try:
        parse_levels(settings.str_("hbeacon.log.level"))
    except ValueError as error:
        raise settings.bad("hbeacon.log.level", str(error)) from None
    handout_settings(settings)
    feed_settings(settings)
    if settings.bool_("hbeacon.loglevel.enabled") and not settings.str_("hbeacon.loglevel.token").strip():
        raise settings.bad("hbeacon.loglevel.enabled", "set hbeacon.loglevel.token too: without one nobody may")


def handout_settings(settings: Settings) -> HandOutSettings:
    """Whom clients are told to talk to. Raises BadSetting where `tier` is asked for and there is none."""
    mode = HandOutMode(settings.choice("hbeacon.registry.handout"))
    tier = settings.addresses("hbeacon.registry.servers")
    if mode is HandOutMode.TIER and not tier:
        raise settings.bad("hbeacon.registry.handout", "set hbeacon.registry.servers too: there is no tier to hand out")
    return HandOutSettings(mode, tier, settings.int_("hbase.client.bootstrap.node.limit"))


def selfcheck_settings(settings: Settings, own: frozenset[Address]) -> SelfCheckSettings:
    """Whom to compare answers with, and how often."""
    from registry.lookup.selfcheck import SelfCheckSettings  # comparing begins after the first answers

    return SelfCheckSettings(
        interval_ms=float(settings.ms("hbeacon.selfcheck.interval_ms")),
        timeout_ms=SELF_CHECK_TIMEOUT_MS,
        peers=settings.addresses("hbeacon.registry.servers"),
        own=own,
    )


def feed_settings(settings: Settings) -> FeedSettings:
    """Where ZooKeeper is, and how it is talked to."""
    return FeedSettings(
        hosts=zookeeper_hosts(settings),
        root=settings.str_("zookeeper.znode.parent").strip(),
        session_timeout_ms=float(settings.ms("zookeeper.session.timeout")),
        auth=zookeeper_auth(settings),
        others=settings.address("hbeacon.facade.address") is not None,
    )


def zookeeper_hosts(settings: Settings) -> tuple[Address, ...]:
    """HBase's quorum, whose members may or may not name a port."""
    default_port = settings.int_("hbase.zookeeper.property.clientPort")
    parts = [part.strip() for part in settings.str_("hbase.zookeeper.quorum").split(",") if part.strip()]
    try:
        hosts = tuple(Address.parse(part, default_port) for part in parts)
    except ValueError as error:
        raise settings.bad("hbase.zookeeper.quorum", str(error)) from None
    if not hosts:
        raise settings.bad("hbase.zookeeper.quorum", "write HOST or HOST:PORT, several separated by commas")
    return hosts


def zookeeper_text(settings: Settings) -> str:
    """`host:port,host:port`, as the ready line and pages have it."""
    return ",".join(map(str, zookeeper_hosts(settings)))


def zookeeper_auth(settings: Settings) -> tuple[tuple[str, str], ...]:
    """(scheme, credential) pairs for ZooKeeper's addauth."""
    text = settings.str_("hbeacon.zookeeper.auth").strip()
    if not text:
        return ()
    scheme, colon, credential = text.partition(":")
    if not colon or not scheme or not credential:
        raise settings.bad("hbeacon.zookeeper.auth", "write SCHEME:CREDENTIAL, such as digest:user:password")
    return ((scheme, credential),)


def rpc_settings(settings: Settings) -> RpcServerSettings:
    """How much the RPC door takes on. A registry's requests are empty, so far less than HBase's limits is enough."""
    ours = RpcServerSettings()
    frame_bytes_max = min(settings.bytes_("hbase.ipc.max.request.size"), READY_FRAME_BYTES_MAX)
    return RpcServerSettings(
        limits=WireLimits(frame_bytes_max=frame_bytes_max),
        scheduler=SchedulerSettings(
            queue_bytes_max=min(settings.bytes_("hbase.ipc.server.max.callqueue.size"), ours.ready_receive_bytes_max)
        ),
        connections_max=settings.int_("hbeacon.rpc.connections_max"),
        connections_per_peer_max=settings.int_("hbeacon.rpc.connections_per_peer_max"),
        idle_timeout_ms=float(settings.ms("hbeacon.rpc.idle_timeout_ms")),
        write_buffer_bytes_max=settings.bytes_("hbeacon.rpc.write_buffer_bytes_max"),
        receive_bytes_max=ours.ready_receive_bytes_max,
    )


def service_table() -> ServiceTable:
    """ClientMetaService as it is while it has no answers to give: each call tells the client to ask another server."""
    table = ServiceTable()
    for method, request_type in REQUEST_TYPES:
        table.add(SERVICE, method, request_type, _refuse)
    return table


def _refuse(call: Call) -> Handled:
    raise ServerNotRunningYetException(
        f"{call.method.name} is refused: ZooKeeper has been silent for so long that the answer may be wrong"
        " (hbeacon.registry.stale is refuse)"
    )
