"""Every setting this project reads: one table, from which parsing, `hbeacon config` and the documentation follow.

HBase's keys keep HBase's names, meanings and defaults; keys of our own begin with `hbeacon.`.
Source: hbase-default.xml and HConstants of HBase 2.6; RpcConnectionRegistry, RegistryEndpointsRefresher (HBASE-26150,
HBASE-26173).
"""

from __future__ import annotations

from collections.abc import Mapping

from registry.config.coordinator_keys import COORDINATOR
from registry.config.key import OWN_PREFIX, Key, Kind
from registry.config.region_server_keys import REGION_SERVER

__all__ = ["DEPRECATED", "KEYS", "OWN_PREFIX", "SECTIONS", "Key", "Kind"]

_SERVERS = (
    Key(
        "hbeacon.rpc.address",
        Kind.ADDRESS,
        "127.0.0.1:16000",
        "Where HBase RPC is listened for; port 0 takes a free one. Clients on other hosts need an address that they"
        " can reach.",
    ),
    Key(
        "hbeacon.http.address",
        Kind.ADDRESS_OR_OFF,
        "127.0.0.1:16010",
        "Where the pages, /health, /readyz and /metrics are listened for.",
    ),
    Key(
        "hbeacon.http.subscribers_max",
        Kind.INT,
        "6000",
        "Followers of the live page and of /api/v1/events at once; each takes a file descriptor and some 4 KiB.",
        minimum=0,
    ),
    Key(
        "hbeacon.http.subscribers_per_peer_max",
        Kind.INT,
        "1000",
        "Of them from one IP address, so that one machine cannot take all places.",
        minimum=0,
    ),
    Key(
        "hbeacon.facade.address",
        Kind.ADDRESS_OR_OFF,
        "off",
        "Where the façade listens, a read-only ZooKeeper for clients of HBase that know no registry; port 0: any free"
        " one.",
    ),
    Key(
        "hbeacon.facade.connections_max",
        Kind.INT,
        "20000",
        "Connections of the façade open at once; what comes beyond is closed at once.",
        minimum=1,
    ),
    Key(
        "hbeacon.facade.connections_per_peer_max",
        Kind.INT,
        "12000",
        "Connections of the façade open at once from one IP address; 0: no limit but hbeacon.facade.connections_max."
        " A client costs the real ZooKeeper nothing, so there may be many.",
    ),
    Key(
        "hbeacon.grpc.address",
        Kind.ADDRESS_OR_OFF,
        "off",
        "Where gRPC is answered (hbeacon.registry.v1, health, reflection), by custom on port 16005; port 0: any free"
        " one; off costs neither its memory nor its part of the start.",
    ),
    Key(
        "hbeacon.grpc.streams_max",
        Kind.INT,
        "5000",
        "Streams of WatchRegistry open at once; what comes beyond is told RESOURCE_EXHAUSTED. As many of health.",
        minimum=1,
    ),
    Key(
        "hbeacon.grpc.heartbeat_ms",
        Kind.MS,
        "5000",
        "How often a stream of WatchRegistry is told version and age when nothing changes.",
        minimum=100,
    ),
    Key(
        "hbeacon.registry.fresh.timeout_ms",
        Kind.MS,
        "2000",
        "How long ZooKeeper may take to answer for a look-up that asks for a fresher answer than there is.",
        minimum=10,
        live=True,
    ),
    Key(
        "hbeacon.advertise.address",
        Kind.ADVERTISED,
        "",
        "The name under which clients and other servers reach this one, where it is not the address it listens on.",
    ),
    Key(
        "hbeacon.registry.handout",
        Kind.CHOICE,
        "auto",
        "Which servers GetMasters and GetBootstrapNodes hand out: tier (hbeacon.registry.servers), cluster (the real"
        " masters and region servers) or auto (the tier where it is set, else real servers seen to answer look-ups,"
        " else none).",
        choices=("auto", "tier", "cluster"),
        live=True,
    ),
    Key(
        "hbeacon.registry.servers",
        Kind.ADDRESSES,
        "",
        "All hbeacon servers of this cluster as clients reach them, this one included; the port defaults to 16000.",
        live=True,
    ),
    Key(
        "hbeacon.registry.ready.max_age_ms",
        Kind.MS,
        "30000",
        "A server whose snapshot is older than this is not ready.",
        minimum=100,
        live=True,
    ),
    Key(
        "hbeacon.registry.stale",
        Kind.CHOICE,
        "serve",
        "What happens to look-ups while the snapshot is older than hbeacon.registry.ready.max_age_ms: serve the old"
        " answer, or refuse with an exception that makes clients try the next server.",
        choices=("serve", "refuse"),
        live=True,
    ),
    Key(
        "hbeacon.selfcheck.interval_ms",
        Kind.MS,
        "1000",
        "How often answers are compared with those of the other servers and of real masters; 0 switches it off.",
        maximum=3_600_000,
    ),
    Key(
        "hbeacon.tables.interval_ms",
        Kind.MS,
        "2000",
        "How often states of tables are read from hbase:meta, while a façade is open and ZooKeeper has none.",
        minimum=100,
        maximum=60_000,
        live=True,
    ),
    Key(
        "hbeacon.zookeeper.connections.interval_ms",
        Kind.MS,
        "0",
        "How often each ZooKeeper server is asked who is connected to it (its word cons, which its"
        " 4lw.commands.whitelist has to allow), to say whether ZooKeeper may be firewalled; 0 asks nobody.",
        maximum=3_600_000,
        live=True,
    ),
    Key(
        "hbeacon.guard",
        Kind.BOOL,
        "on",
        "Whether a small parent process watches the server and replaces it when it hangs or dies. The coordinator and"
        " hbeacon dev do so only where this is set.",
    ),
    Key(
        "hbeacon.guard.timeout_ms",
        Kind.MS,
        "1000",
        "How long the server's loop may be silent before the guard kills it; region servers: 3000.",
        minimum=100,
        maximum=600_000,
    ),
    Key(
        "hbeacon.drain.timeout_ms",
        Kind.MS,
        "5000",
        "How long calls in progress may take to end after SIGTERM.",
        maximum=600_000,
    ),
    Key(
        "hbeacon.rpc.connections_max",
        Kind.INT,
        "20000",
        "Connections open at once; what comes beyond is closed at once.",
        minimum=1,
    ),
    Key(
        "hbeacon.rpc.connections_per_peer_max",
        Kind.INT,
        "12000",
        "Connections open at once from one IP address.",
        minimum=1,
    ),
    Key(
        "hbeacon.rpc.idle_timeout_ms",
        Kind.MS,
        "600000",
        "A connection without a call for this long is closed.",
        minimum=1000,
    ),
    Key(
        "hbeacon.rpc.write_buffer_bytes_max",
        Kind.BYTES,
        "1048576",
        "Answers that may wait for one slow reader before its connection is closed.",
        minimum=65536,
    ),
    Key(
        "hbeacon.zookeeper.auth",
        Kind.TEXT,
        "",
        "Credentials for ZooKeeper as SCHEME:CREDENTIAL, for example digest:user:password.",
        secret=True,
    ),
    Key(
        "hbeacon.faults.enabled",
        Kind.BOOL,
        "off",
        "Whether this server can be told to do wrong (delay, hang, reset, ...), for tests of clients;"
        " see docs/faults.md.",
    ),
    Key(
        "hbeacon.faults.token",
        Kind.TEXT,
        "",
        "What who sets faults has to show; without one they are set from the machine itself only.",
        secret=True,
    ),
    Key(
        "hbeacon.faults.peers",
        Kind.TEXT,
        "127.0.0.0/8,::1/128",
        "From which addresses faults may be set: IP addresses or networks, separated by commas. Others than loopback"
        " need hbeacon.faults.token too.",
    ),
    Key(
        "hbeacon.loglevel.enabled",
        Kind.BOOL,
        "off",
        "Whether /logLevel changes levels of the log, for who shows hbeacon.loglevel.token; it shows them in any case.",
    ),
    Key(
        "hbeacon.loglevel.token",
        Kind.TEXT,
        "",
        "What who changes a level over HTTP has to show.",
        secret=True,
    ),
    Key("hbeacon.log.format", Kind.CHOICE, "text", "How log lines look.", choices=("text", "json")),
    Key(
        "hbeacon.log.level",
        Kind.TEXT,
        "info",
        "Level of the log, and of single loggers: info,registry.zk=debug.",
        live=True,
    ),
)

_ZOOKEEPER = (
    Key(
        "hbase.zookeeper.quorum",
        Kind.TEXT,
        "127.0.0.1",
        "ZooKeeper's servers, HOST or HOST:PORT, separated by commas.",
    ),
    Key(
        "hbase.zookeeper.property.clientPort",
        Kind.INT,
        "2181",
        "Port of the ZooKeeper servers that are named without one.",
        minimum=1,
        maximum=65535,
    ),
    Key(
        "hbase.client.zookeeper.quorum",
        Kind.TEXT,
        "",
        "ZooKeeper for clients, where it is another than the servers' own.",
    ),
    Key(
        "hbase.client.zookeeper.property.clientPort",
        Kind.INT,
        "2181",
        "Port of the servers in hbase.client.zookeeper.quorum that are named without one.",
        minimum=1,
        maximum=65535,
    ),
    Key("zookeeper.znode.parent", Kind.ZNODE, "/hbase", "The znode under which HBase keeps its own."),
    Key(
        "zookeeper.session.timeout",
        Kind.MS_PLAIN,
        "90000",
        "The session time-out asked of ZooKeeper, which may grant less.",
        minimum=1000,
    ),
)

_REGISTRY = (
    Key(
        "hbase.masters",
        Kind.ADDRESSES,
        "",
        "Registry servers for clients with MasterRegistry; the port defaults to hbase.master.port.",
        live=True,
    ),
    Key(
        "hbase.client.bootstrap.servers",
        Kind.ADDRESSES,
        "",
        "Registry servers for clients with RpcConnectionRegistry; hbase.masters where it is not set.",
        live=True,
    ),
    Key(
        "hbase.client.registry.impl",
        Kind.TEXT,
        "",
        "Class of the client's registry: ...RpcConnectionRegistry, ...MasterRegistry or ...ZKConnectionRegistry."
        " Empty: by RPC, as HBase 3 does.",
    ),
    Key("hbase.master.port", Kind.INT, "16000", "RPC port of masters named without one.", minimum=1, maximum=65535),
    Key("hbase.master.info.port", Kind.INT, "16010", "Port of a master's pages; -1 is off.", minimum=-1, maximum=65535),
    Key(
        "hbase.client.bootstrap.node.limit",
        Kind.INT,
        "10",
        "Region servers that GetBootstrapNodes hands out at most.",
        minimum=1,
        live=True,
    ),
    Key(
        "hbeacon.client.hedge.delay_ms",
        Kind.MS,
        "10",
        "After so long a second server is asked too, while nothing is known of the first; later its own answers tell.",
        minimum=1,
        maximum=60_000,
    ),
    Key(
        "hbeacon.client.hedge.extra_percent",
        Kind.INT,
        "5",
        "Extra calls that a hedging client may make for a hundred needed ones; those that win are not counted.",
        maximum=100,
    ),
    Key(
        "hbase.client.bootstrap.hedged.fanout",
        Kind.INT,
        "2",
        "Servers that RpcConnectionRegistry asks at once.",
        minimum=1,
    ),
    Key(
        "hbase.client.master_registry.hedged.fanout",
        Kind.INT,
        "2",
        "Servers that MasterRegistry asks at once.",
        minimum=1,
    ),
    Key(
        "hbase.client.bootstrap.refresh_interval_secs",
        Kind.INT,
        "300",
        "Seconds between a client's refreshes of its server list; -1 switches them off.",
        minimum=-1,
    ),
    Key(
        "hbase.client.bootstrap.min_secs_between_refreshes",
        Kind.INT,
        "60",
        "Seconds that pass at least between two refreshes.",
    ),
    Key(
        "hbase.client.bootstrap.initial_refresh_delay_secs",
        Kind.TEXT,
        "",
        "Seconds before the first refresh; the interval where it is not set (HBase: 30000, a slip of units).",
    ),
    Key(
        "hbase.client.master_registry.refresh_interval_secs",
        Kind.INT,
        "300",
        "Seconds between the refreshes of a client with MasterRegistry; -1 switches them off.",
        minimum=-1,
    ),
    Key(
        "hbase.client.master_registry.min_secs_between_refreshes",
        Kind.INT,
        "60",
        "Seconds that pass at least between two refreshes of a client with MasterRegistry.",
    ),
    Key(
        "hbase.client.master_registry.initial_refresh_delay_secs",
        Kind.TEXT,
        "",
        "Seconds before the first refresh of a client with MasterRegistry; the interval where it is not set.",
    ),
)

_CALLS = (
    Key("hbase.rpc.timeout", Kind.MS_PLAIN, "60000", "How long one call may take.", minimum=1),
    Key(
        "hbase.client.operation.timeout",
        Kind.MS_PLAIN,
        "1200000",
        "How long one operation with all its retries may take.",
        minimum=1,
    ),
    Key(
        "hbase.client.meta.operation.timeout",
        Kind.MS_PLAIN,
        "1200000",
        "How long a look-up in hbase:meta with all its retries may take.",
        minimum=1,
    ),
    Key("hbase.client.retries.number", Kind.INT, "15", "Retries after the first attempt."),
    Key("hbase.client.pause", Kind.MS_PLAIN, "100", "The unit of the growing pause between retries.", minimum=1),
    Key(
        "hbase.ipc.client.socket.timeout.connect",
        Kind.MS_PLAIN,
        "10000",
        "How long connecting may take.",
        minimum=1,
    ),
    Key(
        "hbase.ipc.client.socket.timeout.read",
        Kind.MS_PLAIN,
        "20000",
        "How long a client waits for the next bytes of an answer.",
        minimum=1,
    ),
    Key(
        "hbase.ipc.max.request.size",
        Kind.BYTES,
        "268435456",
        "Size of a request; a larger one is answered with RequestTooBigException.",
        minimum=1024,
    ),
    Key(
        "hbase.ipc.server.max.callqueue.size",
        Kind.BYTES,
        "1073741824",
        "Bytes of all calls that wait; beyond them CallQueueTooBigException is answered.",
        minimum=1024,
    ),
    Key(
        "hbase.ipc.client.failed.servers.expiry",
        Kind.MS_PLAIN,
        "2000",
        "How long a server that failed is asked last.",
    ),
    Key(
        "hbase.ipc.client.connection.minIdleTimeBeforeClose",
        Kind.MS_PLAIN,
        "120000",
        "A client's connection that has had no call for so long is closed.",
    ),
)

SECTIONS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("Servers", _SERVERS),
    ("ZooKeeper", _ZOOKEEPER),
    ("Region servers", REGION_SERVER),
    ("Coordinator", COORDINATOR),
    ("Registry, as clients know it", _REGISTRY),
    ("Calls", _CALLS),
)

KEYS: Mapping[str, Key] = {key.name: key for _, keys in SECTIONS for key in keys}
"""All settings by name, in the order in which documentation and `hbeacon config` show them."""

DEPRECATED: Mapping[str, str] = {
    "hbase.client.registry.hedged.fanout": "hbase.client.bootstrap.hedged.fanout",
    "hbase.rpc.hedged.fanout": "hbase.client.master_registry.hedged.fanout",
}
"""Old name to new name. The old one is read, with a warning, where the new one is not set."""
