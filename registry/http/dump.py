"""Everything a bug report needs, as one text."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Iterable, Iterator

from registry.http.answers import iso_time
from registry.http.health import health
from registry.http.process import LoopLag, process_figures
from registry.http.stacks import stacks_text
from registry.http.status import StatusSource
from registry.lookup.readiness import Readiness

ZNODES_MAX = 500
VISITORS_MAX = 200
REGIONS_MAX = 1000
"""Of regions, tables and servers."""
VALUE_CHARS_MAX = 400


def dump_text(source: StatusSource, lag: LoopLag) -> str:
    """Sections with a title each; long ones are cut, and say so."""
    sections = (
        ("server", _server(source, lag)),
        ("readiness", readiness_lines(source.readiness())),
        ("zookeeper session", _session(source)),
        ("region server", _serving(source)),
        ("cluster", _cluster(source)),
        ("answers", _answers(source)),
        ("znodes", _znodes(source)),
        ("disagreements", _disagreements(source)),
        ("rpc", _rpc(source)),
        ("clients of the last day", _clients(source)),
        ("zookeeper's firewall", _firewall(source)),
        ("settings", _settings(source)),
        ("flight recorder", source.flight_lines()),
        ("election", source.election_lines()),
        ("stacks", [stacks_text()]),
    )
    head = "hbeacon dump. It names hosts, users and addresses, and no secrets: read it before you send it.\n"
    return head + "".join(
        f"\n==== {title} ====\n" + "".join(f"{line}\n" for line in lines) for title, lines in sections
    )


def readiness_lines(readiness: Readiness) -> Iterator[str]:
    """Each check as Kubernetes writes it: `[+]name ok` or `[-]name failed: reason`.

    What is only told stays [+], so that whoever looks for [-] finds what keeps the server from being ready.
    """
    for check in readiness.checks:
        if check.ok:
            yield f"[+]{check.name} ok"
        elif check.required:
            yield f"[-]{check.name} failed: {check.sentence}"
        else:
            yield f"[+]{check.name} ok, but: {check.sentence}"
    yield f"readyz check {'passed' if readiness.ready else 'failed'}"


def _server(source: StatusSource, lag: LoopLag) -> Iterator[str]:
    identity, verdict, figures, guard = source.identity, health(source), process_figures(), source.guard()
    yield f"role {identity.role}"
    yield f"version {identity.version} {identity.revision}".rstrip()
    yield f"time {iso_time(source.wall_ms())}, up {source.uptime_ms() / 1000:.1f} s"
    yield f"host {identity.host}, pid {identity.pid}, advertised {identity.advertised}"
    yield from (f"bound {door} {address}" for door, address in identity.bound.items())
    yield f"zookeeper {identity.zookeeper_quorum} {identity.znode_parent}"
    yield f"python {sys.version.split()[0]}, {platform.system()} {platform.release()} {platform.machine()}"
    yield f"health {verdict.state.value}"
    yield from (f"  {reason}" for reason in verdict.reasons)
    yield f"memory {figures.resident_bytes >> 20} MiB, cpu {figures.cpu_seconds:.1f} s, fds {figures.fds_open}"
    yield f"loop lag {lag.last_s * 1000:.1f} ms, highest {lag.max_s * 1000:.1f} ms"
    if guard.enabled:
        yield f"guard pid {guard.pid}, timeout {guard.timeout_ms:g} ms, restarts {guard.restarts} {guard.last_reason}"
    else:
        yield "guard off"


def _serving(source: StatusSource) -> Iterator[str]:
    serving = source.region_server()
    if serving is None:
        return
    yield f"name {serving.server_name or 'none'}, registered {serving.registered}, serves {serving.serves}"
    yield f"master {serving.master or 'none'}, heard {serving.reported_ms:.0f} ms ago {serving.link_problem}".rstrip()
    yield f"lease {serving.lease_left_ms:.0f} ms left, engine {serving.engine} {serving.storage_problem}".rstrip()
    yield f"rows read {serving.read_requests}, written {serving.write_requests}, scanners {serving.scanners}"
    yield from (f"store {row.store_id} {row.reach} {row.owner}{' home' if row.home else ''}" for row in serving.stores)
    yield from (f"opening {name}" for name in serving.opening[:REGIONS_MAX])
    for region in serving.first_regions(REGIONS_MAX):
        rows = f"read {region.read_requests} written {region.write_requests}"
        yield f"region {region.name} store {region.store_id} {rows}"
    yield from _cut(serving.regions_count, REGIONS_MAX)


def _cluster(source: StatusSource) -> Iterator[str]:
    cluster = source.cluster()
    if cluster is None:
        return
    yield f"initialized {cluster.initialized} {cluster.waits_for}".rstrip()
    yield f"hbase:meta on {cluster.meta_server or 'nobody'}"
    for server in cluster.servers[:REGIONS_MAX]:
        stores = " ".join(f"{row.store_id}:{row.reach}" for row in server.stores)
        yield f"server {server.server_name} regions {server.regions} stores {stores}"
    yield from (f"dead {name}" for name in cluster.dead_servers[:REGIONS_MAX])
    yield from (f"table {row.name} {row.state} {dict(row.regions)}" for row in cluster.tables[:REGIONS_MAX])
    yield from _cut(len(cluster.tables), REGIONS_MAX)
    for row in cluster.transitions[:REGIONS_MAX]:
        yield f"transition {row.name} {row.state} for {row.since_ms:.0f} ms {row.server} {row.reason}".rstrip()
    for row in cluster.procedures[:REGIONS_MAX]:
        yield f"procedure {row.proc_id} {row.kind} {row.target} {row.state} {row.step} {row.problem}".rstrip()
    for row in cluster.fatal_errors:
        yield f"fatal error of {row.server_name} at {iso_time(row.wall_ms)}: {row.text}"


def _session(source: StatusSource) -> Iterator[str]:
    session = source.session
    yield f"state {session.state} for {(source.monotonic_ms() - session.since_ms) / 1000:.1f} s"
    yield f"session 0x{session.session_id:x}, timeout {session.negotiated_timeout_ms:g} ms"
    yield f"last zxid 0x{session.last_zxid:x}"
    yield f"connects {session.connects}, suspensions {session.suspensions}, expirations {session.expirations}"
    if session.fatal:
        yield f"fatal {session.fatal}"


def _answers(source: StatusSource) -> Iterator[str]:
    snapshot, age_ms, hand_out = source.snapshot, source.age_ms(), source.hand_out()
    age = f"{age_ms / 1000:.1f} s old" if math.isfinite(age_ms) else "never complete"
    complete = "complete" if snapshot.complete else "incomplete"
    yield f"generation {snapshot.version.generation}, zxid 0x{snapshot.version.zxid:x}, {complete}, {age}"
    for name, fact in snapshot.facts():
        yield f"{name} {fact.state.value} changed 0x{fact.changed_zxid:x} {_short(fact.value)} {fact.problem}".rstrip()
    yield f"hand-out from {hand_out.source}"
    yield f"  masters {_joined(hand_out.masters)}"
    yield f"  bootstrap nodes {_joined(hand_out.bootstrap_nodes)}"


def _znodes(source: StatusSource) -> Iterator[str]:
    znodes = source.snapshot.znodes
    for path in sorted(znodes)[:ZNODES_MAX]:
        znode = znodes[path]
        stat = f" mzxid 0x{znode.stat.mzxid:x} version {znode.stat.version}" if znode.stat else ""
        children = f" children {len(znode.children)}" if znode.children is not None else ""
        yield f"{path} {znode.state.value} {len(znode.data)} bytes{stat}{children}"
    yield from _cut(len(znodes), ZNODES_MAX)


def _disagreements(source: StatusSource) -> Iterator[str]:
    for row in source.disagreements():
        behind = " (the peer says that it is behind)" if row.peer_behind else ""
        yield f"{row.peer} {row.method} for {row.seconds:.1f} s{behind}: ours {row.ours!r}, theirs {row.theirs!r}"


def _rpc(source: StatusSource) -> Iterator[str]:
    rpc = source.rpc()
    yield (
        f"connections open {rpc.connections_open}, accepted {rpc.connections_accepted}, "
        f"closed {rpc.connections_closed}, idle {rpc.idle_closed}, slow readers {rpc.slow_readers_closed}"
    )
    yield f"bytes in {rpc.received_bytes}, out {rpc.sent_bytes}; in queues {rpc.queue_bytes}"
    yield f"calls executing {rpc.calls_executing}, expired {rpc.calls_expired}, shed {rpc.calls_shed}"
    yield from (f"call {service}.{method} {count}" for (service, method), count in sorted(rpc.calls.items()))
    for title, counts in (
        ("preamble", rpc.preambles),
        ("exception", rpc.exceptions),
        ("protocol error", rpc.protocol_errors),
        ("refused", rpc.connections_refused),
        ("queue", rpc.calls_in_queue),
    ):
        yield from (f"{title} {name} {count}" for name, count in sorted(counts.items()))


def _clients(source: StatusSource) -> Iterator[str]:
    for row in source.visitors.rows(VISITORS_MAX):
        told = " ".join(part for part in (row.user, row.client_version, row.service) if part) or "-"
        yield f"{row.path.value} {row.host} {told} count {row.count} last {iso_time(row.last_seen_ms)}"
    yield from _cut(len(source.visitors), VISITORS_MAX)


def _firewall(source: StatusSource) -> Iterator[str]:
    answer = source.firewall()
    yield f"{answer.verdict.value}: {answer.sentence}"
    yield f"watching since {iso_time(answer.watching_since_ms)}"
    for title, hosts in (("façade alone", answer.facade_only), ("zookeeper", answer.zookeeper_hosts)):
        for row in hosts[:VISITORS_MAX]:
            yield f"{title} {row.host} last {iso_time(row.last_seen_ms)} {row.count} times"
        yield from _cut(len(hosts), VISITORS_MAX)
    yield from answer.blind_spots


def _settings(source: StatusSource) -> Iterator[str]:
    yield from (f"{row.key}={row.value} ({row.origin})" for row in source.settings())


def _cut(count: int, limit: int) -> Iterator[str]:
    if count > limit:
        yield f"... and {count - limit} more"


def _joined(names: Iterable[object]) -> str:
    return " ".join(map(str, names)) or "(empty)"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}... ({len(text)} characters)"
