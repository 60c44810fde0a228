"""What the active master tells clients of its cluster: the parts of GetClusterStatus that no standby knows.

Source: HMaster#getClusterMetricsWithoutCoprocessor, AssignmentManager#getRegionStatesCount, RegionStates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from protos.hbase import ClusterStatus_pb2, HBase_pb2
from registry.master.held import Held
from registry.master.reign import Reign
from registry.names import ServerName
from registry.wire.region_info import META_TABLE, table_name
from registry.wire.znode import encode_server_name


def dead_servers(reign: Reign) -> list[ServerName]:
    """Those whose address has no later life."""
    alive = {name.address for name in reign.servers.known}
    return sorted(name for name in reign.servers.dead if name.address not in alive)


def in_transition(reign: Reign) -> list[Held]:
    """Regions that are not where they are wanted, those first that are so for longest."""
    held = [*reign.meta_states.in_transition(), *reign.states.in_transition()]
    return sorted(held, key=lambda each: each.since_ms)


def region_counts(reign: Reign) -> Mapping[str, Mapping[str, int]]:
    """Table to state to how many of its regions are in it; hbase:meta first."""
    counts: dict[str, Counter[str]] = {META_TABLE: Counter()} if reign.knows_meta else {}
    counts |= {name: Counter() for name in sorted(reign.catalogue.tables)}
    for states in (reign.meta_states, reign.states):
        for held in states.held.values():
            counts.setdefault(held.row.info.table, Counter())[str(held.row.state)] += 1
    return counts


def fill_live_servers(reign: Reign, status: ClusterStatus_pb2.ClusterStatus) -> None:
    """With the load of their last report."""
    for server in reign.servers.live():
        status.live_servers.add(server=encode_server_name(server.name), server_load=server.load)


def fill_dead_servers(reign: Reign, status: ClusterStatus_pb2.ClusterStatus) -> None:
    """Those whose address has no later life."""
    status.dead_servers.extend(encode_server_name(name) for name in dead_servers(reign))


def fill_in_transition(reign: Reign, status: ClusterStatus_pb2.ClusterStatus) -> None:
    """By whole name."""
    wall_ms, now_ms = reign.clock.wall_ms(), reign.clock.monotonic_ms()
    for held in in_transition(reign):
        info = held.row.info
        row = status.regions_in_transition.add()
        row.spec.type = HBase_pb2.RegionSpecifier.REGION_NAME
        row.spec.value = info.name
        stamp = int(wall_ms - (now_ms - held.since_ms))
        state = ClusterStatus_pb2.RegionState(region_info=info.message(), state=str(held.row.state), stamp=stamp)
        row.region_state.CopyFrom(state)


def fill_region_counts(reign: Reign, status: ClusterStatus_pb2.ClusterStatus) -> None:
    """Of each table, hbase:meta among them."""
    moving = Counter(held.row.info.table for held in in_transition(reign))
    for name, counted in region_counts(reign).items():
        row = status.table_region_states_count.add(table_name=table_name(name))
        counts = row.region_states_count
        counts.open_regions, counts.closed_regions = counted.get("OPEN", 0), counted.get("CLOSED", 0)
        counts.split_regions, counts.regions_in_transition = 0, moving[name]
        counts.total_regions = sum(counted.values())
