"""What pages, probes and metrics show of a region server, read at one moment on its loop."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING

from regionserver.hosting.hosted import Hosted
from regionserver.hosting.store_files import StoreFiles
from registry.http.region_server_status import HostedRegion, RegionServerStatus, StoreReach
from registry.wire.preamble import string_binary

if TYPE_CHECKING:
    from regionserver.server import RegionServer

REACH_WORDS = ("open", "free", "owned")


def region_server_status(server: RegionServer) -> RegionServerStatus:
    """All of it."""
    link = server.link.view
    online = server.regions.online()
    files = server.files
    stores = [
        StoreReach(
            store.store_id,
            REACH_WORDS[store.reach],
            store.home,
            store.owner,
            files[store.store_id].all_bytes if store.store_id in files else None,
        )
        for store in server.reached
    ]
    whole = sum(files.values(), StoreFiles()) if files else None
    name, counts = server.gate.name, server.regions.counts()
    of_users = server.door.endpoints.counts
    return RegionServerStatus(
        server_name=str(name or ""),
        registered=name is not None,
        master=str(link.master or ""),
        reported_ms=link.answered_ms_ago,
        lease_left_ms=server.lease_left_ms,
        regions_count=len(online),
        families_count=sum(len(hosted.region.families) for hosted in online),
        opening=server.regions.being_opened(),
        first_regions=lambda count: _first(online, count, server.clock.wall_ms()),
        stores=stores,
        engine=server.engine,
        link_problem=link.problem,
        storage_problem=server.storage_problem,
        read_requests=counts.reads_count,
        write_requests=counts.writes_count,
        checks_passed=counts.checks_passed_count,
        checks_failed=counts.checks_failed_count,
        store_files=whole.tables_count if whole else None,
        store_file_bytes=whole.tables_bytes if whole else None,
        log_bytes=whole.log_bytes if whole else None,
        scanners=len(server.door.scanners),
        scanner_leases_expired=server.door.scanners.expired_count,
        coprocessor_failed=of_users.failed_count,
        coprocessor_late=of_users.late_count,
        coprocessor_refused=of_users.refused_count,
    )


def _first(online: Sequence[Hosted], count: int, now_ms: float) -> Sequence[HostedRegion]:
    return [
        HostedRegion(
            name=string_binary(hosted.info.name),
            store_id=hosted.store_id,
            start_key=string_binary(hosted.info.start_key),
            end_key=string_binary(hosted.info.end_key),
            read_requests=hosted.read_requests_count,
            write_requests=hosted.write_requests_count,
            open_for_ms=max(0.0, now_ms - hosted.opened_ms),
        )
        for hosted in nsmallest(count, online, key=lambda hosted: (hosted.info.table, hosted.info.start_key))
    ]
