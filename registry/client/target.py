"""Whom to ask: from a URI, arguments and settings to a list of registry servers or a ZooKeeper.

    hbase+rpc://host:port[,host:port]          registry servers (HBASE-28436)
    hbase+zk://host:port[,host:port]/hbase     ZooKeeper and HBase's znode in it
    ...?hbase.rpc.timeout=2000                 either with settings for this connection

Source: RpcConnectionRegistryURIFactory, ZKConnectionRegistryURIFactory, ConnectionRegistryFactory, ZKConfig.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from registry.client.answers import What
from registry.client.settings import BOOTSTRAP_PREFIX, MASTER_REGISTRY_PREFIX
from registry.config.settings import BadSetting, Settings
from registry.config.values import parse_addresses, parse_int
from registry.names import Address

SCHEMES = ("hbase+rpc", "hbase+zk")
MASTERS = "hbase.masters"
BOOTSTRAP_SERVERS = "hbase.client.bootstrap.servers"
IMPLEMENTATION = "hbase.client.registry.impl"
QUORUM = "hbase.zookeeper.quorum"
CLIENT_PORT = "hbase.zookeeper.property.clientPort"
ZNODE = "zookeeper.znode.parent"

RPC_REGISTRY, MASTER_REGISTRY, ZOOKEEPER_REGISTRY = "RpcConnectionRegistry", "MasterRegistry", "ZKConnectionRegistry"
IMPLEMENTATIONS: Mapping[str, str] = {
    "": RPC_REGISTRY,
    RPC_REGISTRY: RPC_REGISTRY,
    MASTER_REGISTRY: MASTER_REGISTRY,
    ZOOKEEPER_REGISTRY: ZOOKEEPER_REGISTRY,
    "ZKAsyncRegistry": ZOOKEEPER_REGISTRY,
    "ZooKeeperRegistry": ZOOKEEPER_REGISTRY,
}
"""Last word of HBase's class name to the registry meant; the last two are those of 2.0 and of 1.x."""


@dataclass(frozen=True, slots=True)
class RpcTarget:
    """Registry servers, and which question renews their list."""

    servers: tuple[Address, ...]
    renewed_by: What
    key: str = ""
    """Which setting named the servers, so that its changes can be followed; empty where an argument did."""
    origin: str = ""

    @property
    def registry_prefix(self) -> str:
        """Where the keys of this kind of registry begin."""
        return MASTER_REGISTRY_PREFIX if self.renewed_by is What.MASTERS else BOOTSTRAP_PREFIX


@dataclass(frozen=True, slots=True)
class ZooKeeperTarget:
    """A ZooKeeper, and HBase's znode in it."""

    servers: tuple[Address, ...]
    root: str
    auth: str = ""
    """`SCHEME:CREDENTIAL`, or empty."""
    origin: str = ""

    @property
    def registry_prefix(self) -> str:
        """Without meaning here, but settings are read all the same."""
        return BOOTSTRAP_PREFIX


CLIENT_QUORUM = "hbase.client.zookeeper.quorum"

Target = RpcTarget | ZooKeeperTarget


def uri_settings(uri: str) -> dict[str, str]:
    """Settings in the query of a URI; raises BadSetting for one that is none."""
    _, _, query = uri.partition("?")
    settings: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if "." not in name:
            raise BadSetting("", uri, _shown(uri), f"{name!r} is no setting: write ?hbase.rpc.timeout=2000")
        settings[name] = value
    return settings


def find_target(settings: Settings, uri: str = "", masters: str | Iterable[str] | None = None) -> Target:
    """The target that URI, `masters` or the settings name, in this order; nothing configured: localhost:16000.

    A URI without a scheme is a list of registry servers. Raises BadSetting.
    """
    if uri:
        return _of_uri(settings, uri)
    if masters is not None:
        text = masters if isinstance(masters, str) else ",".join(masters)
        servers = _addresses("masters", text, "argument", settings.int_("hbase.master.port"))
        return RpcTarget(servers, What.MASTERS, origin="argument masters")
    chosen = settings.str_(IMPLEMENTATION).strip().rpartition(".")[2]
    if chosen not in IMPLEMENTATIONS:
        raise settings.bad(IMPLEMENTATION, f"write one of {RPC_REGISTRY}, {MASTER_REGISTRY}, {ZOOKEEPER_REGISTRY}")
    kind = IMPLEMENTATIONS[chosen]
    return _zookeeper_of(settings) if kind == ZOOKEEPER_REGISTRY else rpc_target(settings, kind)


def last_resort(settings: Settings) -> ZooKeeperTarget | None:
    """The ZooKeeper to ask when no registry server answers: one that somebody configured, never the default."""
    if any(settings.is_set(key) for key in (QUORUM, CLIENT_QUORUM)):
        return _zookeeper_of(settings)
    return None


def rpc_target(settings: Settings, kind: str) -> RpcTarget:
    """The servers that the settings name for one of the registries over RPC."""
    renewed_by = What.MASTERS if kind == MASTER_REGISTRY else What.BOOTSTRAP_NODES
    keys = (MASTERS,) if kind == MASTER_REGISTRY else (BOOTSTRAP_SERVERS, MASTERS)
    for key in keys:
        if settings.str_(key).strip():
            return RpcTarget(_checked(settings, key), renewed_by, key, settings.origin(key))
    here = Address("localhost", settings.int_("hbase.master.port"))
    return RpcTarget((here,), renewed_by, keys[0], "default")


def _checked(settings: Settings, key: str) -> tuple[Address, ...]:
    servers = settings.addresses(key)
    if not servers:
        raise settings.bad(key, "write at least one HOST:PORT")
    return servers


def _of_uri(settings: Settings, uri: str) -> Target:
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = SCHEMES[0], uri
    authority, slash, path = rest.partition("?")[0].partition("/")
    authority = unquote(authority)
    if scheme.lower() == SCHEMES[0]:
        if path:
            raise BadSetting("", uri, _shown(uri), "registry servers have no path: write hbase+rpc://host:16000")
        servers = _addresses("", authority, _shown(uri), settings.int_("hbase.master.port"))
        return RpcTarget(servers, What.BOOTSTRAP_NODES, origin=_shown(uri))
    if scheme.lower() != SCHEMES[1]:
        raise BadSetting("", uri, _shown(uri), f"write {SCHEMES[0]}://host:16000 or {SCHEMES[1]}://host:2181/hbase")
    root = slash + unquote(path).rstrip("/") if path else settings.str_(ZNODE)
    servers = _addresses("", authority, _shown(uri), settings.int_(CLIENT_PORT))
    return ZooKeeperTarget(servers, _root(root, _shown(uri)), settings.str_("hbeacon.zookeeper.auth"), _shown(uri))


def _zookeeper_of(settings: Settings) -> ZooKeeperTarget:
    """ZooKeeper by the settings; clients may have a quorum of their own (hbase.client.zookeeper.quorum)."""
    quorum, port = QUORUM, settings.int_(CLIENT_PORT)
    if settings.is_set(CLIENT_QUORUM):
        quorum, own_port = CLIENT_QUORUM, "hbase.client.zookeeper.property.clientPort"
        try:
            port = parse_int(settings.str_(own_port)) if settings.is_set(own_port) else port
        except ValueError:
            raise settings.bad(own_port, "write a number such as 2181") from None
    servers = _addresses(quorum, settings.str_(quorum), settings.origin(quorum), port)
    auth = settings.str_("hbeacon.zookeeper.auth")
    return ZooKeeperTarget(servers, _root(settings.str_(ZNODE), settings.origin(ZNODE)), auth, settings.origin(quorum))


def _root(text: str, origin: str) -> str:
    root = text.strip()
    if not root.startswith("/") or root == "/" or "//" in root or root.endswith("/"):
        raise BadSetting(ZNODE, text, origin, "write the path of HBase's znode, such as /hbase")
    return root


def _addresses(key: str, text: str, origin: str, default_port: int) -> tuple[Address, ...]:
    try:
        servers = parse_addresses(text, default_port)
    except ValueError as error:
        raise BadSetting(key, text, origin, str(error)) from None
    if not servers:
        raise BadSetting(key, text, origin, "write at least one HOST:PORT")
    return servers


def _shown(uri: str) -> str:
    """The URI without its query, which may hold anything."""
    return uri.partition("?")[0][:200]
