"""Settings of region servers.

Source: hbase-default.xml and HConstants of HBase 2.6; keys of our own begin with `hbeacon.`.
"""

from __future__ import annotations

from registry.config.key import LONG_MAX, Key, Kind

REGION_SERVER = (
    Key(
        "hbeacon.engine",
        Kind.CHOICE,
        "rocksdb",
        "What keeps the rows of regions: rocksdb, in hbeacon.data.dir, or memory, where they are gone with the process."
        " Without hbeacon.data.dir it is memory, with a warning.",
        choices=("rocksdb", "memory"),
    ),
    Key(
        "hbeacon.engine.cache_bytes",
        Kind.BYTES,
        "67108864",
        "What a region server remembers of the files of all its stores together, beside what the system remembers of"
        " them. More is worth it where rows that are read again and again are more than that.",
        minimum=1 << 20,
    ),
    Key(
        "hbeacon.engine.buffers_bytes",
        Kind.BYTES,
        "268435456",
        "What is written and not in files yet, of all stores of a region server together.",
        minimum=1 << 20,
    ),
    Key(
        "hbase.regionserver.port",
        Kind.INT,
        "16020",
        "RPC port of region servers where hbeacon.rpc.address is not set.",
        maximum=65535,
    ),
    Key(
        "hbase.regionserver.info.port",
        Kind.INT,
        "16030",
        "Port of a region server's pages where hbeacon.http.address is not set; -1 is off.",
        minimum=-1,
        maximum=65535,
    ),
    Key(
        "hbase.regionserver.msginterval",
        Kind.MS_PLAIN,
        "3000",
        "How often a region server reports to the active master.",
        minimum=100,
        maximum=60_000,
        live=True,
    ),
    Key(
        "hbase.regionserver.handler.count",
        Kind.INT,
        "30",
        "Calls of ordinary priority that a region server works on at once; ten times as many may wait.",
        minimum=1,
        maximum=100_000,
    ),
    Key(
        "hbase.regionserver.metahandler.count",
        Kind.INT,
        "20",
        "The same of calls for the system's own tables and for administration.",
        minimum=1,
        maximum=100_000,
    ),
    Key(
        "hbase.wal.hsync",
        Kind.BOOL,
        "false",
        "Whether every change that is to survive the death of all processes (SYNC_WAL, the default of tables) survives"
        " the loss of power too.",
    ),
    Key(
        "hbase.server.keyvalue.maxsize",
        Kind.BYTES,
        "10485760",
        "The largest cell that is taken, its names and all; 0: no limit.",
    ),
    Key(
        "hbase.table.max.rowsize",
        Kind.BYTES,
        "1073741824",
        "A Get that finds more than this is answered with RowTooBigException.",
        minimum=1024,
    ),
    Key(
        "hbase.hregion.keyvalue.timestamp.slop.millisecs",
        Kind.MS_PLAIN,
        str(LONG_MAX),
        "A put of a time farther ahead of the server's clock is refused; the default refuses none. Tables may say"
        " otherwise; it does not hold for hbase:meta.",
        maximum=LONG_MAX,
    ),
    Key(
        "hbase.hstore.time.to.purge.deletes",
        Kind.MS_PLAIN,
        "0",
        "How old the marker of a delete is at least when a clean-up takes it. Tables and families may say otherwise.",
        maximum=LONG_MAX,
    ),
    Key(
        "hbase.hregion.scan.loadColumnFamiliesOnDemand",
        Kind.BOOL,
        "true",
        "Whether a scan that does not say reads the families that its filter does not judge by of rows only that have"
        " passed. Tables may say otherwise.",
    ),
    Key(
        "hbase.coprocessor.enabled",
        Kind.BOOL,
        "true",
        "Whether regions have coprocessors at all; off: no class is loaded, whoever names it, and no service is found.",
    ),
    Key(
        "hbase.coprocessor.user.enabled",
        Kind.BOOL,
        "true",
        "Whether classes are loaded that tables name; off: only those of the two settings below. Tables keep what they"
        " name.",
    ),
    Key(
        "hbase.coprocessor.region.classes",
        Kind.TEXT,
        "",
        "Coprocessor classes of all regions, separated by commas: HBase's AggregateImplementation and"
        " MultiRowMutationEndpoint by their Java names, names of installed ones (entry points of the group"
        " hbeacon.coprocessors), or module:Class.",
    ),
    Key(
        "hbase.coprocessor.user.region.classes",
        Kind.TEXT,
        "",
        "The same, of all regions but those of tables of the system.",
    ),
    Key(
        "hbeacon.endpoints.timeout",
        Kind.MS,
        "30s",
        "How long a call of an installed endpoint may take; then its client is told so.",
        minimum=1,
    ),
    Key(
        "hbeacon.observers.timeout",
        Kind.MS,
        "5s",
        "How long observers of a call may take before what it asks is done, and again behind it; then its client is"
        " told so.",
        minimum=1,
    ),
    Key(
        "hbase.hregion.majorcompaction",
        Kind.MS_PLAIN,
        "604800000",
        "How often each region is freed of dead cells (deleted, expired, too many versions), sooner or later by up to"
        " half of it; 0: only when it is asked for.",
        minimum=0,
    ),
    Key(
        "hbase.server.scanner.max.result.size",
        Kind.BYTES,
        "104857600",
        "Cells of one answer to a Scan, where its client allows more, and to a Multi, whose other actions its client"
        " asks for again.",
        minimum=1,
        maximum=1 << 30,
    ),
    Key(
        "hbeacon.scanner.ahead_bytes",
        Kind.BYTES,
        "67108864",
        "Of all scans together, what a region server reads of the page behind a large answer while its client looks at"
        " that answer; 0: nothing.",
        minimum=0,
    ),
    Key(
        "hbase.regionserver.nonces.enabled",
        Kind.BOOL,
        "true",
        "Whether an increment or append that its client sends again, because the answer got lost, is done once.",
    ),
    Key(
        "hbase.server.hashNonce.gracePeriod",
        Kind.MS_PLAIN,
        "1800000",
        "How long one that was done is remembered.",
        minimum=1,
    ),
    Key(
        "hbase.client.scanner.timeout.period",
        Kind.MS_PLAIN,
        "60000",
        "A scanner whose client does not come back for so long is closed.",
        minimum=100,
    ),
)
