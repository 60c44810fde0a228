"""What a region server tells of itself: its regions, its stores, its link to the master, its lease.

Read on the role's loop when a page is asked for, as all of registry.http.status; spans are milliseconds at that moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from registry.lookup.readiness import Check

REGIONS_NAMED_MAX = 3
"""In one sentence."""


@dataclass(frozen=True, slots=True)
class HostedRegion:
    """One region of this server."""

    name: str
    """As HBase writes it: `table,start key,id.encoded.`, bytes that are no letters as hex escapes."""
    store_id: str
    """Where its rows lie."""
    start_key: str = ""
    end_key: str = ""
    read_requests: int = 0
    write_requests: int = 0
    open_for_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreReach:
    """One store of the data directory, as this server reaches it."""

    store_id: str
    reach: str
    """`open` here, `free`, or `owned` by another process."""
    home: bool = False
    """This server's own, where regions without rows go."""
    owner: str = ""
    """Server name of who has it, or had it last; empty where that never got one."""
    data_bytes: int | None = None
    """On the disk; None where it is not known."""


def no_regions(count: int) -> Sequence[HostedRegion]:
    """What a server without regions has."""
    del count
    return ()


@dataclass(frozen=True, slots=True)
class RegionServerStatus:
    """One moment of a region server."""

    server_name: str
    """host,port,startcode; empty before it has one."""
    registered: bool
    """The master knows it, and its znode is there."""
    master: str
    """Server name of the active master it reports to; empty where there is none."""
    reported_ms: float
    """Since a report was last answered; infinite before that."""
    lease_left_ms: float
    """How long calls of clients are answered without another answer of ZooKeeper."""
    regions_count: int = 0
    """Open here."""
    families_count: int = 0
    """Of those regions: HBase's stores."""
    opening: Sequence[str] = ()
    """Encoded names of regions that are being opened."""
    first_regions: Callable[[int], Sequence[HostedRegion]] = no_regions
    """So many of the open ones, by table and key: thousands are not described for a page that shows hundreds."""
    stores: Sequence[StoreReach] = ()
    engine: str = ""
    link_problem: str = ""
    """Why the last report failed; empty where it did not."""
    storage_problem: str = ""
    """Why rows cannot be read or written; empty where they can."""
    read_requests: int = 0
    """Rows read, in all its life; those of regions that have left are counted on."""
    write_requests: int = 0
    checks_passed: int = 0
    """Conditions of check-and-mutate that held."""
    checks_failed: int = 0
    scanners: int = 0
    """Open now."""
    scanner_leases_expired: int = 0
    coprocessor_failed: int = 0
    """Calls of users' endpoints and observers that raised what is no exception of HBase's."""
    coprocessor_late: int = 0
    """Whose time was over."""
    coprocessor_refused: int = 0
    """Not begun, because others of their class did not end."""
    memstore_bytes: int | None = None
    """Written and not yet in a file; None where the engine does not tell."""
    store_files: int | None = None
    store_file_bytes: int | None = None
    log_bytes: int | None = None

    @property
    def serves(self) -> bool:
        """Whether calls of clients are answered now."""
        return self.registered and self.lease_left_ms > 0 and not self.storage_problem


def region_server_checks(status: RegionServerStatus) -> Iterator[Check]:
    """What /ready asks of a region server, beside what it asks of every registry."""
    if status.registered:
        yield Check("registered", True, f"as {status.server_name}")
    else:
        yield Check("registered", False, status.link_problem or "no active master has taken this server in yet")
    if status.opening:
        more = len(status.opening) - REGIONS_NAMED_MAX
        shown = ", ".join(status.opening[:REGIONS_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        yield Check("regions", False, f"being opened: {shown}")
    else:
        yield Check("regions", True, f"{status.regions_count} open")
    lease = f"{status.lease_left_ms / 1000:.1f} s left" if math.isfinite(status.lease_left_ms) else "no end"
    over = "ZooKeeper has been silent for two thirds of the session time-out: clients are refused"
    yield Check("lease", status.lease_left_ms > 0, lease if status.lease_left_ms > 0 else over)
    yield Check("storage", not status.storage_problem, status.storage_problem or "rows can be read and written")
    if status.registered:
        sentence = status.link_problem or f"to {status.master}"
        yield Check("master-link", not status.link_problem, sentence, required=False)
