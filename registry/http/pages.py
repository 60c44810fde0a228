"""The status page, rendered here from one moment's status: nothing from other hosts, everything escaped.

It is whole without a script; with one it follows the server (registry.http.live).
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from registry.faults.machine import FaultRow
from registry.http.activity import Activity
from registry.http.answers import iso_time
from registry.http.cluster_status import ClusterStatus
from registry.http.grants import Grant, grants
from registry.http.health import Health, health
from registry.http.picture import draw, shown_s
from registry.http.process import LoopLag, ProcessFigures, process_figures
from registry.http.region_server_status import RegionServerStatus
from registry.http.status import StatusSource
from registry.lookup.agreement import Disagreement
from registry.lookup.firewall import FirewallAnswer
from registry.lookup.readiness import Check
from registry.lookup.snapshot import Fact, FactState, RegionServer, Snapshot
from registry.lookup.visitors import Visitor, VisitPath

HERE = Path(__file__).parent
REFRESH_S = 5
REGION_SERVERS_MAX = 200
VISITORS_MAX = 200
HOSTS_MAX = 50
ROWS_MAX = 200
"""Thousands of regions would make the page heavier than what it tells; /jmx and /metrics count all."""
NAMES_MAX = 12
"""Names listed in one cell of the table of answers."""

STATIC: dict[str, str] = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
"""Files under /static, by name, with their media types."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One look-up and what it answers now."""

    method: str
    values: tuple[str, ...]
    more: int
    """Values not listed."""
    state: str
    """State of the fact behind it; `known` where the answer is composed of several."""
    note: str
    source: str
    changed_zxid: int


@dataclass(frozen=True, slots=True)
class VisitorRow:
    """A client as the table shows it."""

    visitor: Visitor
    ago_ms: float
    last_seen: str


@functools.cache
def _templates() -> Environment:
    """Compiled, which takes a tenth of a second, once in a process."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        auto_reload=False,  # or every rendering asks the disk whether a file has changed
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in made.list_templates():
        made.get_template(name)
    return made


class Pages:
    """The pages for people."""

    def __init__(self) -> None:
        templates = _templates()
        self._status = templates.get_template("status.html")
        self._missing = templates.get_template("missing.html")
        self._log_levels = templates.get_template("log_level.html")
        self.static = {name: (HERE / "static" / name).read_bytes() for name in STATIC}

    def status(self, source: StatusSource, lag: LoopLag, activity: Activity, *, refresh: bool = True) -> str:
        """The page at /."""
        return self._status.render(
            page=StatusPage.of(source, lag),
            source=source,
            activity=activity,
            picture=draw(activity.seconds),
            refresh_s=REFRESH_S if refresh else 0,
            duration=duration,
            shown_s=shown_s,
            size=size,
            iso_time=iso_time,
            inf=math.inf,
        )

    def log_levels(self, loggers: Sequence[tuple[str, str, str]], *, enabled: bool, base: str) -> str:
        """The page at /logLevel: name, level set and level that applies of each logger."""
        return self._log_levels.render(loggers=loggers, enabled=enabled, base=base, asked=None)

    def log_level(self, name: str, effective: str) -> str:
        """The page at /logLevel?log=NAME."""
        return self._log_levels.render(asked=name, effective=effective)

    def missing(self, path: str, paths: Sequence[tuple[str, str]]) -> str:
        """The page for a path that does not exist, with those that do."""
        return self._missing.render(path=path, paths=paths)


@dataclass(frozen=True, slots=True)
class StatusPage:
    """One moment, ready to be written into the template."""

    now: str
    started: str
    age_ms: float | None
    """None before the first complete snapshot."""
    verdict: Health
    ready: bool
    checks: tuple[Check, ...]
    answers: tuple[AnswerRow, ...]
    grants: tuple[Grant, ...]
    disagreements: tuple[Disagreement, ...]
    faults: tuple[FaultRow, ...]
    """Set on purpose."""
    region_servers: tuple[RegionServer, ...]
    region_servers_total: int
    table_counts: tuple[tuple[str, int], ...]
    visitors: tuple[VisitorRow, ...]
    visitors_total: int
    versions: tuple[tuple[str, int], ...]
    """Client versions of the last day, with how many clients told them."""
    preamble_hosts: int
    firewall: FirewallAnswer
    watching_since: str
    """Of `firewall`."""
    hosts_max: int
    """Hosts named in one line."""
    session_since: str
    session_ms: float
    epoch_since: str
    figures: ProcessFigures
    lag: LoopLag
    serving: RegionServerStatus | None
    cluster: ClusterStatus | None
    rows_max: int
    """Of each list of regions, tables, servers and procedures."""

    @classmethod
    def of(cls, source: StatusSource, lag: LoopLag) -> StatusPage:
        """Read everything once."""
        snapshot, readiness, visitors = source.snapshot, source.readiness(), source.visitors
        age_ms, now_ms = source.age_ms(), source.wall_ms()
        election, monotonic_ms = source.election(), source.monotonic_ms()
        session_ms = max(0.0, monotonic_ms - source.session.since_ms)
        servers, firewall = snapshot.region_servers.value or (), source.firewall()
        versions = visitors.versions()
        told = Counter({version: count for (path, version), count in versions.items() if path is VisitPath.HEADER})
        return cls(
            now=iso_time(now_ms),
            started=iso_time(source.identity.started_wall_ms),
            age_ms=age_ms if math.isfinite(age_ms) else None,
            verdict=health(source),
            ready=readiness.ready,
            checks=readiness.checks,
            answers=answer_rows(source),
            grants=grants(snapshot, source.identity.znode_parent),
            disagreements=tuple(source.disagreements()),
            faults=tuple(control.rows()) if (control := source.faults()) is not None else (),
            region_servers=servers[:REGION_SERVERS_MAX],
            region_servers_total=len(servers),
            table_counts=tuple(sorted(Counter((snapshot.table_states.value or {}).values()).items())),
            visitors=tuple(
                VisitorRow(row, max(0.0, now_ms - row.last_seen_ms), iso_time(row.last_seen_ms))
                for row in visitors.rows(VISITORS_MAX)
            ),
            visitors_total=len(visitors),
            versions=tuple(told.most_common(NAMES_MAX)),
            preamble_hosts=versions[VisitPath.PREAMBLE, ""],
            firewall=firewall,
            watching_since=iso_time(firewall.watching_since_ms),
            hosts_max=HOSTS_MAX,
            session_since=iso_time(now_ms - session_ms),
            session_ms=session_ms,
            epoch_since=iso_time(now_ms - monotonic_ms + election.since_ms) if election else "",
            figures=process_figures(),
            lag=lag,
            serving=source.region_server(),
            cluster=source.cluster(),
            rows_max=ROWS_MAX,
        )


def answer_rows(source: StatusSource) -> tuple[AnswerRow, ...]:
    """Each method of ClientMetaService with its answer, where it comes from and when that last changed."""
    snapshot, hand_out = source.snapshot, source.hand_out()
    hand_out_source = f"hand-out: {hand_out.source}"
    return (
        _fact_row("GetClusterId", snapshot.cluster_id, [snapshot.cluster_id.value or ""]),
        _fact_row("GetActiveMaster", snapshot.active_master, _active_master(snapshot)),
        _fact_row("GetMetaRegionLocations", snapshot.meta_locations, _meta_locations(snapshot)),
        _list_row("GetMasters", hand_out.masters, hand_out_source, snapshot.backup_masters),
        _list_row("GetBootstrapNodes", hand_out.bootstrap_nodes, hand_out_source, snapshot.region_servers),
    )


def _active_master(snapshot: Snapshot) -> list[str]:
    master = snapshot.active_master.value
    return [str(master.server_name)] if master else []


def _meta_locations(snapshot: Snapshot) -> list[str]:
    locations = snapshot.meta_locations.value or ()
    return [
        f"{location.server_name} {location.state}" + (f" replica {location.replica_id}" if len(locations) > 1 else "")
        for location in locations
    ]


def _fact_row(method: str, fact: Fact[object], values: Sequence[str]) -> AnswerRow:
    shown = tuple(value for value in values if value)
    return AnswerRow(
        method,
        shown[:NAMES_MAX],
        max(0, len(shown) - NAMES_MAX),
        fact.state.value,
        fact.problem,
        fact.path,
        fact.changed_zxid,
    )


def _list_row(method: str, names: Sequence[object], source: str, fact: Fact[object]) -> AnswerRow:
    note = "" if names else "An empty list: clients keep the servers they were configured with."
    if fact.state in (FactState.FORBIDDEN, FactState.UNDECODABLE):
        note = f"{note} {fact.path} is {fact.state.value}.".strip()
    shown = tuple(str(name) for name in names[:NAMES_MAX])
    return AnswerRow(
        method, shown, max(0, len(names) - NAMES_MAX), FactState.KNOWN.value, note, source, fact.changed_zxid
    )


def duration(ms: float) -> str:
    """A span of time for people: two units at most."""
    if not math.isfinite(ms):
        return "unknown"
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def size(bytes_count: float | None) -> str:
    """A number of bytes for people."""
    if bytes_count is None:
        return "\u2013"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes_count < 1024:
            return f"{bytes_count:.0f} {unit}" if unit == "B" else f"{bytes_count:.1f} {unit}"
        bytes_count /= 1024
    return f"{bytes_count:.1f} TiB"
