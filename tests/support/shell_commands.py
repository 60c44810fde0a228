"""The commands of the hbase shell: the calls that they make, what a real HBase answers, and what hbeacon answers.

ShellStory and ShellToolsStory (tests/cluster/java) make the calls. What a real HBase 2.6.4 answered is kept as that of
the other stories is; of hbeacon only the lines that differ are kept, and DIFFERENT says why. docs/shell-commands.md is
made from both.

    python -m tests.support.shell_commands hbase      tells the stories of a real HBase and keeps the lines
    python -m tests.support.shell_commands hbeacon    of hbeacon, and keeps what differs
    python -m tests.support.shell_commands page       writes the page
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from registry.names import Address
from tests.support.java import CURRENT_SERVER
from tests.support.stories import RECORDED, Line, parsed, recorded, told, zookeeper_settings

VERSION = "2.6.4"
PROGRAMS = ("ShellStory", "ShellToolsStory")
OURS = RECORDED / "hbeacon-shell.txt"
PAGE = Path(__file__).parents[2] / "docs" / "shell-commands.md"
CALLS = "calls"
STEP_MS = 20_000
"""None of the calls may take a client longer than that."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "general": ("status", "version", "table_help", "whoami", "processlist"),
    "ddl": (
        *("alter", "alter_async", "alter_status", "clone_table_schema", "create", "describe", "disable", "disable_all"),
        *("drop", "drop_all", "enable", "enable_all", "exists", "get_table", "is_disabled", "is_enabled", "list"),
        *("list_disabled_tables", "list_enabled_tables", "list_regions", "locate_region", "show_filters"),
    ),
    "namespace": (
        *("alter_namespace", "create_namespace", "describe_namespace", "drop_namespace", "list_namespace"),
        "list_namespace_tables",
    ),
    "dml": (
        *("append", "count", "delete", "deleteall", "get", "get_counter", "get_splits", "incr", "put", "scan"),
        *("truncate", "truncate_preserve"),
    ),
    "tools": (
        *("assign", "balance_switch", "balancer", "balancer_enabled", "catalogjanitor_enabled", "catalogjanitor_run"),
        *("catalogjanitor_switch", "cleaner_chore_enabled", "cleaner_chore_run", "cleaner_chore_switch"),
        *("clear_block_cache", "clear_compaction_queues", "clear_deadservers", "clear_slowlog_responses"),
        *("close_region", "compact", "compact_rs", "compaction_state", "compaction_switch"),
        *("decommission_regionservers", "flush", "flush_master_store", "get_balancer_decisions"),
        *("get_balancer_rejections", "get_largelog_responses", "get_prefetched_files", "get_slowlog_responses"),
        *("hbck_chore_run", "is_in_maintenance_mode", "list_deadservers", "list_decommissioned_regionservers"),
        *("list_liveservers", "list_unknownservers", "major_compact", "merge_region", "move", "normalize"),
        *("normalizer_enabled", "normalizer_switch", "recommission_regionserver", "regioninfo", "rit"),
        *("snapshot_cleanup_enabled", "snapshot_cleanup_switch", "split", "splitormerge_enabled"),
        *("splitormerge_switch", "stop_master", "stop_regionserver", "trace", "truncate_region", "unassign"),
        *("wal_roll", "zk_dump"),
    ),
    "replication": (
        *("add_peer", "append_peer_exclude_namespaces", "append_peer_exclude_tableCFs", "append_peer_namespaces"),
        *("append_peer_tableCFs", "disable_peer", "disable_table_replication", "enable_peer"),
        *("enable_table_replication", "get_peer_config", "list_peer_configs", "list_peers", "list_replicated_tables"),
        *("peer_modification_enabled", "peer_modification_switch", "remove_peer", "remove_peer_exclude_namespaces"),
        *("remove_peer_exclude_tableCFs", "remove_peer_namespaces", "remove_peer_tableCFs", "set_peer_bandwidth"),
        *("set_peer_exclude_namespaces", "set_peer_exclude_tableCFs", "set_peer_namespaces"),
        *("set_peer_replicate_all", "set_peer_serial", "set_peer_tableCFs", "show_peer_tableCFs"),
        "update_peer_config",
    ),
    "snapshots": (
        *("clone_snapshot", "delete_all_snapshot", "delete_snapshot", "delete_table_snapshots", "list_snapshots"),
        *("list_table_snapshots", "restore_snapshot", "snapshot"),
    ),
    "configuration": ("update_all_config", "update_config", "update_rsgroup_config"),
    "quotas": (
        *("disable_exceed_throttle_quota", "disable_rpc_throttle", "enable_exceed_throttle_quota"),
        *("enable_rpc_throttle", "list_quota_snapshots", "list_quota_table_sizes", "list_quotas"),
        *("list_snapshot_sizes", "set_quota"),
    ),
    "security": ("grant", "list_security_capabilities", "revoke", "user_permission"),
    "procedures": ("list_locks", "list_procedures"),
    "visibility labels": ("add_labels", "clear_auths", "get_auths", "list_labels", "set_auths", "set_visibility"),
    "rsgroup": (
        *("add_rsgroup", "alter_rsgroup_config", "balance_rsgroup", "get_namespace_rsgroup", "get_rsgroup"),
        *("get_server_rsgroup", "get_table_rsgroup", "list_rsgroups", "move_namespaces_rsgroup"),
        *("move_servers_namespaces_rsgroup", "move_servers_rsgroup", "move_servers_tables_rsgroup"),
        *("move_tables_rsgroup", "remove_rsgroup", "remove_servers_rsgroup", "rename_rsgroup", "show_rsgroup_config"),
    ),
    "storefiletracker": ("change_sft", "change_sft_all"),
}
"""As the shell's own help has them; shell.rb of branch-2.6. `desc` and `hlog_roll` are other names of two of them."""

SAME_AS_HBASE = ("ddl", "namespace", "dml", "procedures")
"""Groups in which nothing may differ."""

DIFFERENT: Mapping[str, str] = {
    "status": "without replication, no server tells of its sink",
    "processlist": "the list of tasks is empty; the servers that were recorded have no pages",
    "balancer": "there is no balancer yet: its switch is kept, and it answers that it did not run",
    "normalize": "there is no normalizer yet: its switch is kept, and it answers that it did not run",
    "hbck_chore_run": "there is no such chore: the active master checks hbase:meta when it takes over",
    "decommission_regionservers": "not there yet",
    "recommission_regionserver": "not there yet",
    "split": "regions are not split or merged yet",
    "merge_region": "regions are not split or merged yet",
    "truncate_region": "not there: `truncate_preserve` truncates a whole table",
    "snapshot": "the list of snapshots is empty, and none can be taken",
    "clone_snapshot": "there are no snapshots",
    "add_peer": "the list of peers is empty, and none can be added",
    "enable_peer": "the same error; HBase finds it out in a procedure",
    "disable_peer": "the same error; HBase finds it out in a procedure",
    "remove_peer": "the same error; HBase finds it out in a procedure",
    "change_sft": "not there",
    "change_sft_all": "not there",
}
"""Commands of which lines differ, and why."""
DIFFERENT_LINES: Mapping[str, str] = {
    "scan: 'hbase:meta', {ROWPREFIXFILTER => 'shell,', COLUMNS => 'info:regioninfo'}": (
        "of rows of `hbase:meta` that begin with a table's name and a comma, HBase leaves out the table's first region"
    ),
}
"""Single lines of commands that are the same otherwise."""

_REGION = re.compile(r"\b[0-9a-f]{32}\b(?!\.)")


def of_hbase() -> list[Line]:
    """What was recorded."""
    return _told(recorded(VERSION, PROGRAMS))


def of_hbeacon() -> list[Line]:
    """The same lines as hbeacon answers them."""
    own = {line.key: line for line in _told(parsed(OURS.read_text()))}
    return [own.get(line.key, line) for line in of_hbase()]


def _told(lines: Iterable[Line]) -> list[Line]:
    """Without what a story begins and ends with, and without names of regions."""
    return [replace(line, outcome=_REGION.sub("<region>", line.outcome)) for line in lines if line.feature != "connect"]


def differing(ours: Iterable[Line]) -> list[Line]:
    """Those that are not as HBase's; which methods were called before an error is no line of its own."""
    theirs = {line.key: line for line in of_hbase()}
    return [line for line in ours if line.what != CALLS and theirs.get(line.key) != line]


def tell(zookeeper: str, log: Path) -> list[Line]:
    """The stories of the cluster there; at their end a region server and the active master are stopped."""
    settings = zookeeper_settings(zookeeper, VERSION)
    return _told(told(VERSION, settings, log, programs=PROGRAMS, step_ms=STEP_MS, jars=CURRENT_SERVER))


# --- the page -----------------------------------------------------------------------------------------------------


def page() -> str:
    """The text of docs/shell-commands.md."""
    theirs, ours = _by_command(of_hbase()), _by_command(of_hbeacon())
    parts = [_HEAD]
    for group, commands in GROUPS.items():
        parts += [f"\n## {group}\n", "| command | calls | here |\n| --- | --- | --- |"]
        parts += [_row(command, theirs[command], ours[command]) for command in commands]
    return "\n".join(parts) + "\n"


def _by_command(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.feature, []).append(line)
    return found


def _row(command: str, theirs: list[Line], ours: list[Line]) -> str:
    [calls] = [line.outcome for line in theirs if line.what == CALLS]
    here = [line for line in ours if line.what != CALLS]
    refused = ""
    if all(line.outcome.startswith("! ") for line in here):
        told = [line for line in here if line not in theirs] or here
        refused = f"answers `{_error(told[0].outcome)}`"
    if command in DIFFERENT:
        said = f"**differs**: {DIFFERENT[command]}{refused and f'; {refused}'}"
    else:
        but = [why for key, why in DIFFERENT_LINES.items() if key.startswith(f"{command}: ")]
        said = "; ".join([f"{refused}, as HBase" if refused else "works", *but])
    return f"| `{command}` | {calls or 'none'} | {said} |"


_PACKAGE = re.compile(r"\b(?:org|java)\.(?:\w+\.)+(?=[A-Z])")
_TWICE = re.compile(r"\b(\w+: )\1+")


def _error(outcome: str) -> str:
    """The exception that a client throws, its message as people read it."""
    first = outcome.removeprefix("! ").split(" <- ")[0]
    return _TWICE.sub(r"\1", _PACKAGE.sub("", first)).replace("|", "\\|")


_HEAD = f"""# Commands of the hbase shell

The shell of HBase 2.6 talks to hbeacon through the Java client: each command is calls of `Admin`, `Table` and
`Connection`. A test makes these calls, with hbase-client {VERSION}, of a real HBase {VERSION} and of hbeacon, and
compares line by line what comes of them; this page is written from its lines.

- **works**: whatever was tried came out as it does there.
- **differs**: not here, or not the same, and why.
- An error *as HBase* is what an HBase answers that was not told to have the feature.

Nothing waits, and no client tries again for long what is not here: such errors are of classes that Java clients give
to their callers at once. What flushes, compactions and rolled logs mean for the stores is in
[admin-calls.md](admin-calls.md)."""


# --- recording ----------------------------------------------------------------------------------------------------


def record_hbase(directory: Path) -> None:
    """Tells a real HBase and keeps the lines."""
    from tests.support.hbase import HBaseCluster
    from tests.support.master_calls import initialized
    from tests.support.zookeeper import ZooKeeperServer, debian

    zookeeper = ZooKeeperServer(debian(), directory / "zookeeper")
    zookeeper.start()
    cluster = HBaseCluster(directory / "hbase", zookeeper.address)
    try:
        cluster.wait_ready()
        host, port, _ = cluster.witness.master.last().split(",")
        asyncio.run(initialized(Address(host, int(port))))
        lines = tell(zookeeper.address, directory / "client.log")
    finally:
        cluster.close()
        zookeeper.close()
    first = next(number for number, line in enumerate(lines) if line.feature == "flush")
    for program, own in zip(PROGRAMS, (lines[:first], lines[first:]), strict=True):
        (RECORDED / f"{VERSION}-{program}.txt").write_text("".join(f"= {line}\n" for line in own))


def record_hbeacon(directory: Path) -> None:
    """Tells hbeacon and keeps what differs."""
    from tests.support.own_cluster import OwnCluster

    with OwnCluster(directory / "own", session_ms=20_000) as cluster:
        cluster.wait_ready()
        lines = tell(cluster.zookeeper, directory / "client.log")
    OURS.write_text("".join(f"= {line}\n" for line in differing(lines)))


def main() -> None:
    """What the first word says."""
    with tempfile.TemporaryDirectory() as directory:
        if sys.argv[1] == "hbase":
            record_hbase(Path(directory))
        elif sys.argv[1] == "hbeacon":
            record_hbeacon(Path(directory))
        else:
            PAGE.write_text(page())


if __name__ == "__main__":
    main()
