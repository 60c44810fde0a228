"""`hbeacon status`: what a running server says of itself, over HTTP, or what the master of a cluster says of all."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, cast

from registry.cli.flags import add_common_flags, flags_of, parser, positive
from registry.cli.servers import HttpAsker, base_of, own_base, sentence_of
from registry.client.target import BOOTSTRAP_SERVERS, CLIENT_QUORUM, MASTERS, QUORUM
from registry.exits import BAD_SETTING, FAILED, STOPPED

EPILOG = """\
Without an address the server of these settings is asked (hbeacon.http.address, 127.0.0.1:16010). Where none is there,
and the settings name a cluster, what its master says is printed below.

examples:
  hbeacon status                          the server on this machine
  hbeacon status beacon1:16010 beacon2    the port defaults to 16010
  hbeacon status --json http://beacon1:16010
  hbeacon status hbase+rpc://master1,master2   masters and region servers of a cluster, HBase's own too

exit codes: 0 every server is ready (the master answers), 1 one is not or does not answer, 2 bad command line.
"""

CLUSTER_SCHEMES = ("hbase+rpc://", "hbase+zk://")
CLUSTER_KEYS = (BOOTSTRAP_SERVERS, MASTERS, QUORUM, CLIENT_QUORUM)
HOSTS_MAX = 20
"""Hosts printed for each way to the cluster that keeps ZooKeeper's port open; --json has all."""
PATHS = (
    ("readyz", "/readyz?verbose"),
    ("health", "/health"),
    ("registry", "/api/v1/registry"),
    ("firewall", "/api/v1/firewall"),
)


def run(argv: Sequence[str]) -> int:
    """Ask each server and print what it says."""
    made = parser("status", "Print what running servers know, how old that is, and whether they are ready.", EPILOG)
    made.add_argument("servers", metavar="HOST[:PORT]|URL|URI", nargs="*")
    made.add_argument("--json", action="store_true", help="the servers' own JSON, one object by server")
    made.add_argument("--timeout", metavar="SECONDS", type=positive, default=3.0, help="for each question (3)")
    add_common_flags(made)
    arguments = made.parse_args(argv)
    if any(text.startswith(CLUSTER_SCHEMES) for text in arguments.servers):
        if len(arguments.servers) > 1:
            made.error("a cluster is asked alone, without other clusters and servers")
        return _of_cluster(arguments, arguments.servers[0])
    settings = flags_of(arguments).load()
    bases = [base_of(text) for text in arguments.servers] or [own_base(settings.str_("hbeacon.http.address"))]
    if not bases[0]:
        print("hbeacon status: hbeacon.http.address is off; name a server", file=sys.stderr)
        return BAD_SETTING
    found = {base: _ask(base, arguments.timeout) for base in bases}
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join("\n".join(_lines(base, answers)) for base, answers in found.items()))
        elsewhere = any(settings.is_set(key) for key in CLUSTER_KEYS) or arguments.zookeeper is not None
        if not arguments.servers and elsewhere and "error" in found[bases[0]]:
            print("\nThe cluster of these settings:", flush=True)
            _of_cluster(arguments, "")
    return STOPPED if all(answers.get("ready") for answers in found.values()) else FAILED


def _of_cluster(arguments: argparse.Namespace, uri: str) -> int:
    """The shell's `status 'detailed'`, within the time-out."""
    from registry.cli import shell
    from registry.cli.clusters import request_of

    timeout_ms = arguments.timeout * 1000
    request = request_of(arguments, uri, timeout_ms=timeout_ms, retries=shell.RETRIES)
    return shell.do(request, ["status 'detailed'"], as_json=arguments.json)


def _ask(base: str, timeout_s: float) -> dict[str, Any]:
    """Readiness, health, registry and firewall of one server; `error` where it does not answer."""
    asker = HttpAsker(timeout_s, "hbeacon-status")
    answers: dict[str, Any] = {"ready": False}
    try:
        for name, path in PATHS:
            accept = "text/plain" if "/readyz" in path else "application/json"
            status, body = asker.ask(base + path, {"Accept": accept})
            if status == 404:
                continue  # a server of an earlier version
            if name == "readyz":
                answers["ready"] = status == 200
                answers[name] = body.decode("utf-8", "replace").splitlines()
            else:
                answers[name] = json.loads(body)
    except (OSError, ValueError) as error:
        answers |= {"ready": False, "error": sentence_of(error)}
    return answers


def _lines(base: str, answers: dict[str, Any]) -> list[str]:
    if "error" in answers:
        return [f"{base}: {answers['error']}"]
    if not {"readyz", "health", "registry"} <= answers.keys():
        return [f"{base}: is no server of hbeacon; of HBase the masters are asked: hbeacon status hbase+rpc://HOST"]
    health = answers["health"]
    lines = [f"{base}: {'ready' if answers['ready'] else 'NOT READY'}, {health.get('status', '?')}"]
    lines += [f"  {reason}" for reason in cast("list[str]", health.get("reasons") or [])]
    lines += _election(health.get("election"))
    lines += cluster_lines(health.get("cluster"))
    lines += serving_lines(health.get("serving"))
    for name, value in answers["registry"].items():
        lines += _rows(name, value)
    lines += _firewall(answers.get("firewall"))
    lines += [f"  {line}" for line in answers["readyz"] if line.startswith("[-]")]
    return lines


def _election(answer: Any) -> list[str]:
    """A master's place; nothing of other roles."""
    if not isinstance(answer, dict):
        return []
    told = cast("dict[str, Any]", answer)
    line = f"  election: {told.get('role')} as {told.get('server_name') or 'nobody'}"
    if told.get("role") != "active":
        return [f"{line}, active master {told.get('active_master') or 'unknown'}"]
    acts = "acts" if told.get("acting") else f"does not act: {told.get('why_not')}"
    return [f"{line}, epoch 0x{int(told.get('epoch') or 0):x}, {acts}"]


def cluster_lines(answer: Any) -> list[str]:
    """What the active master leads; nothing of others."""
    if not isinstance(answer, dict):
        return []
    told = cast("dict[str, Any]", answer)
    waits = f", {told.get('waits_for')}" if told.get("waits_for") else ""
    state = "initialized" if told.get("initialized") else "not initialized"
    counts = f"{told.get('tables')} tables, {told.get('regions')} regions on {told.get('region_servers')} servers"
    under_way = f"{told.get('regions_in_transition')} in transition, {told.get('procedures')} procedures"
    lines = [f"  cluster: {state}{waits}; {counts}, {under_way}"]
    rows = cast("list[dict[str, Any]]", told.get("transitions") or [])
    lines += [f"    {row.get('region')} {row.get('state')}: {row.get('reason') or 'on its way'}" for row in rows]
    lines += [f"    dead: {name}" for name in cast("list[str]", told.get("dead_region_servers") or [])]
    errors = cast("list[dict[str, Any]]", told.get("fatal_errors") or [])
    return lines + [f"    {row.get('server_name')} ended at {row.get('time')}: {row.get('text')}" for row in errors]


def serving_lines(answer: Any) -> list[str]:
    """A region server's work; nothing of other roles."""
    if not isinstance(answer, dict):
        return []
    told = cast("dict[str, Any]", answer)
    registered = "registered" if told.get("registered") else "not registered"
    name = told.get("server_name") or "without a name"
    rows = f"{told.get('read_requests')} rows read, {told.get('write_requests')} written"
    lines = [f"  region server: {name}, {registered}, {told.get('regions')} regions, {rows}"]
    for store in cast("list[dict[str, Any]]", told.get("stores") or []):
        home = ", home" if store.get("home") else ""
        owner = f" of {store.get('owner')}" if store.get("reach") != "open" and store.get("owner") else ""
        lines.append(f"    store {store.get('store_id')}: {store.get('reach')}{home}{owner}")
    return lines


def _firewall(answer: Any) -> list[str]:
    """May ZooKeeper be firewalled: the answer, and who speaks against it."""
    if not isinstance(answer, dict):
        return []
    told = cast("dict[str, Any]", answer)
    lines = [f"  may ZooKeeper be firewalled: {told.get('sentence')} (watching since {told.get('watching_since')})"]
    for name, title in (("zookeeper_hosts", "connected to ZooKeeper"), ("facade_only", "by the façade alone")):
        hosts = cast("list[dict[str, Any]]", told.get(name) or [])
        lines += [f"    {title}: {row.get('host')}, last seen {row.get('last_seen')}" for row in hosts[:HOSTS_MAX]]
        if len(hosts) > HOSTS_MAX:
            lines.append(f"    {title}: and {len(hosts) - HOSTS_MAX} more")
    lines += [f"    not seen: {spot}" for spot in cast("list[str]", told.get("blind_spots") or [])]
    return lines


def _rows(name: str, value: Any) -> list[str]:
    """One answer for people: its value, or why there is none; long lists one element a line."""
    if isinstance(value, dict) and "state" in value:
        fact = cast("dict[str, Any]", value)
        problem = f" ({fact['problem']})" if fact.get("problem") else ""
        if fact["state"] != "known":
            return [f"  {name}: {fact['state']}{problem}"]
        return _rows(name + problem, fact.get("value"))
    if isinstance(value, list):
        elements = cast("list[Any]", value)
        return [f"  {name}: {len(elements)}", *(f"    {_text(element)}" for element in elements)]
    return [f"  {name}: {_text(value)}"]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        if "server_name" in pairs:
            extra = [f"{key}={_text(each)}" for key, each in pairs.items() if key in ("replica_id", "version")]
            return " ".join([str(pairs["server_name"]), *(word for word in extra if not word.endswith("="))])
        return " ".join(f"{key}={_text(each)}" for key, each in pairs.items())
    return value if isinstance(value, str) else json.dumps(value)
