"""Settings of the coordinator; the keys of ZooKeeper's own properties are those of HBase, which hands them to it.

Source: ZooKeeper administrator's guide; HBase's ZKConfig.
"""

from __future__ import annotations

from registry.config.key import Key, Kind

COORDINATOR = (
    Key(
        "hbeacon.coordinator.address",
        Kind.ADDRESS,
        "127.0.0.1:2181",
        "Where the coordinator listens for ZooKeeper's clients; port 0 takes a free one. Where it is not set, the port"
        " is hbase.zookeeper.property.clientPort.",
    ),
    Key(
        "hbeacon.data.dir",
        Kind.TEXT,
        "",
        "Where the coordinator keeps its tree and sessions, and a master the id of its cluster; empty: in memory, and"
        " all is gone with the process.",
    ),
    Key(
        "hbeacon.coordinator.fsync",
        Kind.BOOL,
        "on",
        "Whether an acknowledged write survives a loss of power; off: only the death of the process (ZooKeeper's"
        " forceSync).",
    ),
    Key(
        "hbeacon.coordinator.snapshot_records",
        Kind.INT,
        "100000",
        "Transactions after which the coordinator makes a snapshot, which shortens its next start (ZooKeeper's"
        " snapCount); more where the last snapshot held more records.",
        minimum=1,
    ),
    Key(
        "hbeacon.coordinator.snapshot_bytes",
        Kind.BYTES,
        "67108864",
        "Bytes of transactions after which the coordinator makes a snapshot; more where the last one was larger.",
        minimum=4096,
    ),
    Key(
        "hbeacon.coordinator.snapshots_kept",
        Kind.INT,
        "3",
        "Snapshots that are kept, with all transactions since the oldest of them (ZooKeeper's"
        " autopurge.snapRetainCount).",
        minimum=1,
        maximum=1000,
    ),
    Key(
        "hbeacon.coordinator.connections_max",
        Kind.INT,
        "20000",
        "Connections open at once; what comes beyond is closed at once.",
        minimum=1,
    ),
    Key(
        "hbase.zookeeper.property.maxClientCnxns",
        Kind.INT,
        "300",
        "Connections open at once from one IP address; 0: no limit but hbeacon.coordinator.connections_max.",
    ),
    Key(
        "hbase.zookeeper.property.tickTime",
        Kind.INT,
        "500",
        "The coordinator's unit of time in milliseconds: sessions end at the first tick after their time-out."
        " ZooKeeper's own default is 3000.",
        minimum=10,
        maximum=60_000,
    ),
    Key(
        "hbase.zookeeper.property.minSessionTimeout",
        Kind.INT,
        "-1",
        "The shortest session time-out that the coordinator grants, in milliseconds; -1: two ticks.",
        minimum=-1,
    ),
    Key(
        "hbase.zookeeper.property.maxSessionTimeout",
        Kind.INT,
        "-1",
        "The longest session time-out that the coordinator grants, in milliseconds; -1: 20 ticks of a tickTime that is"
        " set, else 60000, which ZooKeeper's default tick gives.",
        minimum=-1,
    ),
    Key(
        "hbase.zookeeper.property.dataDir",
        Kind.TEXT,
        "",
        "ZooKeeper's directory: where hbeacon.data.dir is not set, the coordinator keeps its own in hbeacon-coordinator"
        " below it, and touches nothing else there.",
    ),
    Key(
        "hbase.zookeeper.property.4lw.commands.whitelist",
        Kind.TEXT,
        "srvr",
        "Four-letter words that the coordinator answers, separated by commas; * is all. srvr is always answered.",
    ),
    Key(
        "zookeeper.DigestAuthenticationProvider.superDigest",
        Kind.TEXT,
        "",
        "Who may do everything on the coordinator: super: and the base64 of the SHA-1 of super:PASSWORD.",
        secret=True,
    ),
    Key(
        "jute.maxbuffer",
        Kind.BYTES,
        "1048575",
        "The longest request that the coordinator takes, as ZooKeeper has it.",
        minimum=1024,
        maximum=256 << 20,
    ),
)
