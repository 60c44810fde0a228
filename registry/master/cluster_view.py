"""What the active master shows of its cluster on pages and in metrics."""

from __future__ import annotations

from collections.abc import Mapping

from protos.hbeacon import ClusterV1_pb2
from registry.http.cluster_status import ClusterStatus, FatalErrorRow, ServerRow, TableRow, TransitionRow
from registry.http.region_server_status import StoreReach
from registry.master.cluster_metrics import dead_servers, in_transition, region_counts
from registry.master.held import Held
from registry.master.live_servers import LiveServer
from registry.master.procedure_view import procedure_rows
from registry.master.procedures.runner import ProcedureRunner
from registry.master.reign import Reign
from registry.wire.region_info import META_TABLE

MIB = 1 << 20
REACHES: Mapping[int, str] = {ClusterV1_pb2.ReachedStore.OPEN: "open", ClusterV1_pb2.ReachedStore.FREE: "free"}


def cluster_status(reign: Reign, problem: str, runner: ProcedureRunner | None) -> ClusterStatus:
    """One moment of it."""
    now_ms = reign.clock.monotonic_ms()
    meta_server = reign.meta_server()
    return ClusterStatus(
        initialized=reign.is_initialized,
        waits_for=problem or (reign.waits_for and f"it waits until {reign.waits_for}"),
        meta_server=str(meta_server or ""),
        servers=[_server_row(reign, server, now_ms) for server in reign.servers.live()],
        dead_servers=[str(name) for name in dead_servers(reign)],
        tables=_table_rows(reign),
        transitions=[_transition_row(held, now_ms) for held in in_transition(reign)],
        fatal_errors=[
            FatalErrorRow(str(error.server), error.text, error.at_wall_ms) for error in reversed(reign.servers.fatal)
        ],
        errors_seen=reign.servers.fatal_count,
        procedures=procedure_rows(runner.machine, reign.clock.wall_ms()) if runner is not None else (),
    )


def _server_row(reign: Reign, server: LiveServer, now_ms: float) -> ServerRow:
    load = server.load
    return ServerRow(
        str(server.name),
        regions=len(reign.states.on(server.name)) + len(reign.meta_states.on(server.name)),
        info_port=load.info_server_port if load.HasField("info_server_port") else -1,
        draining=server.name in reign.servers.draining,
        read_requests=sum(region.read_requests_count for region in load.region_loads),
        write_requests=sum(region.write_requests_count for region in load.region_loads),
        requests_per_s=float(load.number_of_requests) if load.HasField("number_of_requests") else None,
        store_file_bytes=sum(region.storefile_size_MB for region in load.region_loads) * MIB,
        memstore_bytes=sum(region.mem_store_size_MB for region in load.region_loads) * MIB,
        reported_ms=None if server.reported_ms is None else now_ms - server.reported_ms,
        stores=[
            StoreReach(store.store_id, REACHES.get(store.reach, "owned"), store.home, store.owner)
            for store in server.stores.values()
        ],
    )


def _table_rows(reign: Reign) -> list[TableRow]:
    tables = reign.catalogue.tables
    rows: list[TableRow] = []
    for name, counted in region_counts(reign).items():
        state = "ENABLED" if name == META_TABLE else tables[name].state if name in tables else ""
        rows.append(TableRow(name, state, counted))
    return rows


def _transition_row(held: Held, now_ms: float) -> TransitionRow:
    row = held.row
    return TransitionRow(
        str(row.info), row.info.table, row.state, now_ms - held.since_ms, str(row.sn or ""), held.problem
    )
