"""/jmx: what HBase's servers tell by JMX, under HBase's and Java's bean names, as far as it is true here.

What this server is not (a heap, a garbage collector, dead region servers that nobody has counted) has no bean and no
attribute, rather than a made-up 0.
Source: org.apache.hadoop.hbase.http.jmx.JMXJsonServlet, JSONBean; MetricsMasterSource, MetricsHBaseServerSource;
javax.management.ObjectName for patterns.
"""

from __future__ import annotations

import fnmatch
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from registry.http.hbase_metrics import QUEUES, server_names
from registry.http.hbase_names import assignment_figures, master_figures, region_server_figures
from registry.http.process import process_figures
from registry.http.status import StatusSource
from registry.lookup.snapshot import FactState

Value = str | int | float | bool | None
Bean = dict[str, Value]

PATTERN_CHARS_MAX = 256
"""Of a query; longer ones are nobody's."""


STARS_MAX = 3
"""In one pattern of attributes: each more takes a search longer by a factor."""


class BadQuery(ValueError):
    """`str()` says what is wrong with ?qry= or ?get=."""


class ObjectName:
    """A bean's name, `domain:key=value,...`, or a pattern of names with `*` and `?`."""

    def __init__(self, text: str) -> None:
        domain, colon, rest = text.partition(":")
        if not colon or not rest or len(text) > PATTERN_CHARS_MAX:
            raise BadQuery(f"not a name of beans: {text[:64]}")
        parts = [part.strip() for part in rest.split(",")]
        self.domain = domain
        self.is_open = "*" in parts
        """More keys than those named may be there."""
        self.keys: dict[str, str] = {}
        for part in parts:
            key, sign, value = part.partition("=")
            if part != "*":
                if not sign or not key or not value:
                    raise BadQuery(f"not a name of beans: {text[:64]}")
                self.keys[key] = value

    def covers(self, other: ObjectName) -> bool:
        """Whether a bean of that name is meant."""
        if not fnmatch.fnmatchcase(other.domain, _literal(self.domain)):
            return False
        if not self.is_open and self.keys.keys() != other.keys.keys():
            return False
        return all(
            key in other.keys and fnmatch.fnmatchcase(other.keys[key], _literal(value))
            for key, value in self.keys.items()
        )


def jmx(source: StatusSource, query: str | None, get: str | None) -> tuple[int, dict[str, object]]:
    """HTTP status and answer. `query` is a pattern of names; `get` is NAME::ATTRIBUTE, or NAME::PATTERN,..."""
    try:
        if get is None:
            pattern = ObjectName(query or "*:*")
            return 200, {"beans": [_shown(name, bean) for name, bean in _beans(source, pattern)]}
        name_text, colons, attribute = get.partition("::")
        if not colons or not name_text or not attribute or "::" in attribute:
            return 400, {"result": "ERROR", "message": "query format is not as expected."}
        return _get(_beans(source, ObjectName(name_text)), attribute)
    except BadQuery as error:
        return 400, {"result": "ERROR", "message": str(error)}


def _get(beans: Iterator[tuple[str, Bean]], attribute: str) -> tuple[int, dict[str, object]]:
    if "*" in attribute:
        keeps = _attribute_patterns(attribute)
        found = [(name, {key: value for key, value in bean.items() if keeps(key)}) for name, bean in beans]
        return 200, {"beans": [_shown(name, bean) for name, bean in found]}
    shown: list[dict[str, Value]] = []
    for name, bean in beans:
        if attribute not in bean:
            message = f"No attribute with name {attribute[:PATTERN_CHARS_MAX]} was found."
            shown.append(_shown(name, {"result": "ERROR", "message": message}))
            return 404, {"beans": shown}
        shown.append(_shown(name, {attribute: bean[attribute]}))
    return 200, {"beans": shown}


def _attribute_patterns(text: str) -> Callable[[str], bool]:
    """Java's regular expressions, of which classes, `.` and `*` are known here: nobody may make this server think."""
    if len(text) > PATTERN_CHARS_MAX or not re.fullmatch(r"(?:[\w.,*-]|\[[\w-]+\])+", text):
        raise BadQuery(f"not a list of attributes: {text[:64]}")
    if max(part.count("*") for part in text.split(",")) > STARS_MAX:
        raise BadQuery(f"at most {STARS_MAX} stars in a pattern")
    try:
        # In Java a `*` that stands alone is an error; here it means what whoever writes it means.
        patterns = [re.compile(re.sub(r"(?<![\w.\]])\*+", ".*", part)) for part in text.split(",")[:16]]
    except re.error as error:
        raise BadQuery(f"not a list of attributes: {text[:64]}") from error
    return lambda name: any(pattern.search(name) for pattern in patterns)


def _shown(name: str, bean: Mapping[str, Value]) -> dict[str, Value]:
    keys = ObjectName(name).keys
    kind = keys["name"] + (f",sub={keys['sub']}" if "sub" in keys else "") if "name" in keys else keys["type"]
    return {"name": name, "modelerType": kind, **bean}


def _beans(source: StatusSource, pattern: ObjectName) -> Iterator[tuple[str, Bean]]:
    for name, make in _MAKERS.items():
        shown = _SERVES.get(name)
        if pattern.covers(ObjectName(name)) and (shown is None or shown(source)):
            yield name, make(source)


def _literal(pattern: str) -> str:
    """A pattern whose only wildcards are * and ?: brackets are letters in a name."""
    return pattern.replace("[", "[[]")


def _server(source: StatusSource) -> Bean:
    identity, snapshot, election = source.identity, source.snapshot, source.election()
    bean: Bean = {
        "tag.Context": "master",
        "tag.zookeeperQuorum": identity.zookeeper_quorum,
        "tag.serverName": election.server_name
        if election is not None and election.server_name
        else identity.advertised,
        "tag.clusterId": snapshot.cluster_id.value or "",
        "tag.isActiveMaster": "true" if election is not None and election.acting else "false",
        "tag.Hostname": identity.host,
        "masterStartTime": int(identity.started_wall_ms),
    }
    if election is not None:
        active_ms = source.wall_ms() - source.monotonic_ms() + election.since_ms
        bean["masterActiveTime"] = int(active_ms) if election.acting else 0
    if snapshot.region_servers.state is FactState.KNOWN:
        servers = snapshot.region_servers.value or ()
        bean["tag.liveRegionServers"] = server_names(servers)
        bean["numRegionServers"] = len(servers)
    if (cluster := source.cluster()) is not None:
        bean["tag.deadRegionServers"] = ";".join(cluster.dead_servers)
        bean.update({name: value for name, _, value in master_figures(cluster)})
    return bean


def _assignment(source: StatusSource) -> Bean:
    bean: Bean = {"tag.Context": "master", "tag.Hostname": source.identity.host}
    if (cluster := source.cluster()) is not None:
        bean.update({name: value for name, _, value in assignment_figures(cluster)})
    return bean


def _region_server(source: StatusSource) -> Bean:
    identity, serving = source.identity, source.region_server()
    bean: Bean = {
        "tag.Context": "regionserver",
        "tag.zookeeperQuorum": identity.zookeeper_quorum,
        "tag.clusterId": source.snapshot.cluster_id.value or "",
        "tag.Hostname": identity.host,
        "regionServerStartTime": int(identity.started_wall_ms),
    }
    if serving is not None:
        bean["tag.serverName"] = serving.server_name or identity.advertised
        bean.update({name: value for name, _, value, _ in region_server_figures(source.rpc(), serving)})
    return bean


def _ipc(source: StatusSource) -> Bean:
    rpc = source.rpc()
    bean: Bean = {
        "tag.Context": "master" if source.region_server() is None else "regionserver",
        "tag.Hostname": source.identity.host,
        "queueSize": rpc.queue_bytes,
        "numOpenConnections": rpc.connections_open,
        "numActiveHandler": rpc.calls_executing,
        "receivedBytes": rpc.received_bytes,
        "sentBytes": rpc.sent_bytes,
        "authenticationSuccesses": rpc.authentication_successes,
        "authenticationFailures": rpc.authentication_failures,
        "numGeneralCallsDropped": rpc.calls_expired,
        "exceptions": sum(rpc.exceptions.values()),
    }
    for queue in QUEUES:
        bean[f"numCallsIn{queue.title()}Queue"] = rpc.calls_in_queue.get(queue, 0)
    for java_class, count in sorted(rpc.exceptions.items())[:50]:
        bean[f"exceptions.{java_class.rpartition('.')[2]}"] = count
    times = rpc.lookup_times
    bean["ProcessCallTime_num_ops"] = times.total
    bean["ProcessCallTime_mean"] = times.sum_s * 1000 / times.total if times.total else 0.0
    return bean


def _runtime(source: StatusSource) -> Bean:
    identity = source.identity
    return {
        "Name": f"{identity.pid}@{identity.host}",
        "Pid": identity.pid,
        "StartTime": int(identity.started_wall_ms),
        "Uptime": int(source.uptime_ms()),
    }


def _operating_system(_source: StatusSource) -> Bean:
    figures = process_figures()
    return {
        "OpenFileDescriptorCount": figures.fds_open,
        "MaxFileDescriptorCount": figures.fds_max,
        "CommittedVirtualMemorySize": figures.virtual_bytes,
        "ProcessCpuTime": int(figures.cpu_seconds * 1e9),
        "AvailableProcessors": os.cpu_count() or 1,
        "SystemLoadAverage": os.getloadavg()[0],
    }


def _threading(_source: StatusSource) -> Bean:
    return {"ThreadCount": threading.active_count(), "CurrentThreadCpuTime": time.thread_time_ns()}


_MAKERS: dict[str, Callable[[StatusSource], Bean]] = {
    "Hadoop:service=HBase,name=Master,sub=Server": _server,
    "Hadoop:service=HBase,name=Master,sub=IPC": _ipc,
    "Hadoop:service=HBase,name=Master,sub=AssignmentManager": _assignment,
    "Hadoop:service=HBase,name=RegionServer,sub=Server": _region_server,
    "Hadoop:service=HBase,name=RegionServer,sub=IPC": _ipc,
    "java.lang:type=Runtime": _runtime,
    "java.lang:type=OperatingSystem": _operating_system,
    "java.lang:type=Threading": _threading,
}


def _is_region_server(source: StatusSource) -> bool:
    return source.region_server() is not None


def _is_no_region_server(source: StatusSource) -> bool:
    return source.region_server() is None


_SERVES: dict[str, Callable[[StatusSource], bool]] = {
    "Hadoop:service=HBase,name=Master,sub=Server": _is_no_region_server,
    "Hadoop:service=HBase,name=Master,sub=IPC": _is_no_region_server,
    "Hadoop:service=HBase,name=Master,sub=AssignmentManager": lambda source: source.cluster() is not None,
    "Hadoop:service=HBase,name=RegionServer,sub=Server": _is_region_server,
    "Hadoop:service=HBase,name=RegionServer,sub=IPC": _is_region_server,
}
"""Who has such a bean; the others are everybody's."""
