"""What pages, probes and metrics show of a region server, read at one moment on its loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.http.region_server_status import OPEN, HostedRegion, RegionServerStatus, StoreReach
from registry.wire.preamble import string_binary

if TYPE_CHECKING:
    from regionserver.server import RegionServer

REACH_WORDS = ("open", "free", "owned")


def region_server_status(server: RegionServer) -> RegionServerStatus:
    """All of it."""
    now_ms = server.clock.wall_ms()
    link = server.link.view
    regions = [
        HostedRegion(
            name=string_binary(hosted.info.name),
            encoded_name=hosted.info.encoded_name,
            table=hosted.info.table,
            state=OPEN,
            store_id=hosted.store_id,
            start_key=string_binary(hosted.info.start_key),
            end_key=string_binary(hosted.info.end_key),
            read_requests=hosted.read_requests_count,
            write_requests=hosted.write_requests_count,
            families=len(hosted.region.families),
            open_for_ms=max(0.0, now_ms - hosted.opened_ms),
        )
        for hosted in server.regions.online()
    ]
    stores = [StoreReach(store.store_id, REACH_WORDS[store.reach], store.home, store.owner) for store in server.reached]
    name = server.gate.name
    return RegionServerStatus(
        server_name=str(name or ""),
        registered=name is not None,
        master=str(link.master or ""),
        reported_ms=link.answered_ms_ago,
        lease_left_ms=server.lease_left_ms,
        regions=regions,
        stores=stores,
        engine=server.engine,
        link_problem=link.problem,
        storage_problem=server.storage_problem,
        read_requests=sum(region.read_requests for region in regions),
        write_requests=sum(region.write_requests for region in regions),
        scanners=len(server.door.scanners),
        scanner_leases_expired=server.door.scanners.expired_count,
    )
