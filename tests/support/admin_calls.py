"""AdminService asked method by method, of a region server and of a master: requests, and what came of each as a line.

What a real HBase 2.6.4 answered is kept in tests/cluster/stories/2.6.4-AdminService.txt; `python -m
tests.support.admin_calls` writes it again. Names, times and sizes that differ from run to run are not in the lines.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.hbase import Admin_pb2, HBase_pb2
from registry.names import Address
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError
from registry.wire.region_info import RegionInfo
from tests.support.master_calls import MasterCalls, initialized, table_name
from tests.support.stories import RECORDED, Line, parsed

TABLE = "admincalls"
SPLITS = (b"h", b"p")
KEPT = RECORDED / "2.6.4-AdminService.txt"
METHODS = {method.name: method for method in Admin_pb2.DESCRIPTOR.services_by_name["AdminService"].methods}
TIMEOUT_MS = 20_000
SHADED = "org.apache.hadoop.hbase.shaded.protobuf.generated.AdminProtos$"
GONE = RegionInfo(TABLE, b"x", b"y", 1)
"""A region that nobody has."""

OURS: Mapping[str, str] = {
    "GetStoreFile: of all families": r'store_file: ".*/stores/\d+/db"',
    "GetStoreFile: of a family": r'store_file: ".*/stores/\d+/db"',
    "GetRegionLoad: of a table": (
        r'region_loads \{ region_specifier \{ type: REGION_NAME value: "admincalls,,<time>.<hash>." \} stores: 1'
        r" storefiles: 0 store_uncompressed_size_MB: 0 storefile_size_MB: 0 mem_store_size_MB: 0 read_requests_count: 0"
        r" write_requests_count: 0 complete_sequence_id: <number> data_locality: 1.0 region_size_MB: 0 \}"
    ),
    "GetServerInfo: ": r"server_info \{ server_name \{ .* \} webui_port: <number> \}",
    **dict.fromkeys(
        ("FlushRegion: a region", "FlushRegion: with a mark in the log", "FlushRegion: a family"),
        r"last_flush_time: <number> flushed: true wrote_flush_wal_marker: false",
    ),
}
"""Lines that differ, with what hbeacon answers (a pattern); docs/admin-calls.md says why."""
UNASKED: Mapping[str, str] = {
    "StopServer": "the story of the shell's commands stops servers",
    "ExecuteProcedures": "of masters; hbeacon's own orders travel in it",
    "OpenRegion": "of masters",
    "ReplicateToReplica": "of 3.0",
    "SplitRegion": "of 1.4",
    "MergeRegions": "of 1.4",
}
"""Methods that are not asked here, and why."""

_CHANGING = (
    (re.compile(r"region_id: \d+"), "region_id: <time>"),
    (re.compile(r"\b\d{13}\.[0-9a-f]{32}\b"), "<time>.<hash>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<hash>"),
    (re.compile(r"(last_flush_time|last_major_compaction_ts|port|start_code|webui_port): \d+"), r"\1: <number>"),
    (re.compile(r"\b[\w.-]+,\d+,\d{13}\b"), "<server>"),
    (re.compile(r"(max_cache_size|complete_sequence_id): \d+"), r"\1: <number>"),
    (re.compile(r"\\n\\tat .*?\\n(?=\")"), ""),  # a stack
)


@dataclass(frozen=True)
class Asked:
    """One call: the method, what is special about it, the request."""

    method: str
    words: str
    request: Message


@dataclass(frozen=True)
class Asking:
    """What the calls are about."""

    regions: Sequence[RegionInfo]
    """Of TABLE, those that this server has."""
    server: HBase_pb2.ServerName = field(default_factory=HBase_pb2.ServerName)


def specifier(info: RegionInfo) -> HBase_pb2.RegionSpecifier:
    return HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=info.name)


def calls(asking: Asking) -> list[Asked]:
    """In an order in which none disturbs another."""
    region, gone = specifier(asking.regions[0]), specifier(GONE)
    slow = Admin_pb2.SlowLogResponseRequest(limit=10, table_name="nobody")
    found: list[Asked] = []

    def ask(method: str, words: str, **fields: object) -> None:
        found.append(Asked(method, words, GetMessageClass(METHODS[method].input_type)(**fields)))

    ask("GetRegionInfo", "a region", region=region)
    ask("GetRegionInfo", "its compaction", region=region, compaction_state=True)
    ask("GetRegionInfo", "where it would be split", region=region, best_split_row=True)
    ask("GetRegionInfo", "one that is not here", region=gone)
    ask("GetStoreFile", "of all families", region=region)
    ask("GetStoreFile", "of a family", region=region, family=[b"f"])
    ask("GetStoreFile", "one that is not here", region=gone)
    ask("GetOnlineRegion", "")
    ask("GetRegionLoad", "of a table", table_name=table_name(TABLE))
    ask("GetRegionLoad", "of a table that nobody made", table_name=table_name("nobody"))
    ask("GetServerInfo", "")
    ask("FlushRegion", "a region", region=region)
    ask("FlushRegion", "unless it was since then", region=region, if_older_than_ts=1)
    ask("FlushRegion", "with a mark in the log", region=region, write_flush_wal_marker=True)
    ask("FlushRegion", "a family", region=region, family=b"f")
    ask("FlushRegion", "a family that it has not", region=region, family=b"none")
    ask("FlushRegion", "one that is not here", region=gone)
    ask("CompactRegion", "a region", region=region)
    ask("CompactRegion", "a family, wholly", region=region, major=True, family=b"f")
    ask("CompactRegion", "a family that it has not", region=region, family=b"none")
    ask("CompactRegion", "one that is not here", region=gone)
    ask("CompactionSwitch", "off", enabled=False)
    ask("CompactionSwitch", "off again", enabled=False)
    ask("CompactionSwitch", "on", enabled=True)
    ask("ClearCompactionQueues", "both", queue_name=["long", "short"])
    ask("ClearCompactionQueues", "one that is none", queue_name=["middle"])
    ask("ClearCompactionQueues", "none")
    ask("ClearRegionBlockCache", "a region", region=[region])
    ask("ClearRegionBlockCache", "one that is not here", region=[gone])
    ask("RollWALWriter", "")
    ask("WarmupRegion", "one that is open", regionInfo=asking.regions[0].message())
    ask("UpdateConfiguration", "")
    ask("UpdateFavoredNodes", "none")
    ask("UpdateFavoredNodes", "of a region", update_info=[_favored(asking)])
    ask("GetSpaceQuotaSnapshots", "")
    ask("GetSlowLogResponses", "", limit=10)
    ask("GetLargeLogResponses", "", limit=10)
    ask("ClearSlowLogsResponses", "")
    for_log = f"{SHADED}SlowLogResponseRequest"
    ask("GetLogEntries", "slow calls", log_class_name=for_log, log_message=slow.SerializeToString())
    ask("GetLogEntries", "of a kind that is none", log_class_name=f"{SHADED}GetServerInfoRequest", log_message=b"")
    ask("GetCachedFilesList", "")
    ask("ReplicateWALEntry", "nothing")
    ask("Replay", "nothing")
    ask("CloseRegion", "one that is not here", region=gone)
    return found


def _favored(asking: Asking) -> Admin_pb2.UpdateFavoredNodesRequest.RegionUpdateInfo:
    return Admin_pb2.UpdateFavoredNodesRequest.RegionUpdateInfo(
        region=asking.regions[0].message(), favored_nodes=[asking.server]
    )


async def lines(master: Address, servers: Sequence[Address]) -> list[Line]:
    """All of it, of the server that has the table's first region, and what a master says to the same."""
    async with MasterCalls.connected(master) as tables:
        await tables.create(TABLE, SPLITS)
        found: list[Line] = []
        for address in servers:
            async with await RpcChannel.connect(address, "AdminService") as channel:
                answer = await channel.call(
                    "GetOnlineRegion", Admin_pb2.GetOnlineRegionRequest(), Admin_pb2.GetOnlineRegionResponse
                )
                own = [RegionInfo.from_message(each) for each in answer.region_info]
                own = [each for each in own if each.table == TABLE]
                if own and not own[0].start_key:
                    asking = Asking(own, HBase_pb2.ServerName(host_name=address.host, port=address.port, start_code=1))
                    found = [Line(each.method, each.words, await _outcome(channel, each)) for each in calls(asking)]
                    found += await _of_master(master, asking)
        await tables.disable(TABLE)
        await tables.delete(TABLE)
    return found


async def _of_master(master: Address, asking: Asking) -> list[Line]:
    """What Java's Admin and the shell ask of masters too."""
    of_masters = ("GetRegionInfo", "UpdateConfiguration", "GetCachedFilesList")
    asked = [each for each in calls(asking) if each.method in of_masters]
    async with await RpcChannel.connect(master, "AdminService") as channel:
        return [Line(each.method, f"master, {each.words}", await _outcome(channel, each)) for each in asked]


async def _outcome(channel: RpcChannel, asked: Asked) -> str:
    response_type = GetMessageClass(METHODS[asked.method].output_type)
    try:
        answer = await channel.call(asked.method, asked.request, response_type, timeout_ms=TIMEOUT_MS)
    except HBaseError as error:
        text = f"! {error.java_class}: {error.message}".split("\n", 1)[0]
    else:
        text = text_format.MessageToString(_told(answer), as_one_line=True)
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text


def _told(answer: Message) -> Message:
    """Of lists what is the same wherever regions lie: the first of the table."""
    if isinstance(answer, Admin_pb2.GetOnlineRegionResponse):
        first = [each for each in answer.region_info if each.table_name == table_name(TABLE) and not each.start_key]
        return Admin_pb2.GetOnlineRegionResponse(region_info=first)
    if isinstance(answer, Admin_pb2.GetRegionLoadResponse):
        start = f"{TABLE},,".encode()
        first_loads = [each for each in answer.region_loads if each.region_specifier.value.startswith(start)]
        return Admin_pb2.GetRegionLoadResponse(region_loads=first_loads)
    return answer


async def real(directory: Path) -> list[Line]:
    """Of a real HBase."""
    from tests.support.hbase import HBaseCluster
    from tests.support.zookeeper import ZooKeeperServer, debian

    zookeeper = ZooKeeperServer(debian(), directory / "zookeeper")
    zookeeper.start()
    cluster = HBaseCluster(directory / "hbase", zookeeper.address)
    try:
        await asyncio.to_thread(cluster.wait_ready)
        host, port, _ = cluster.witness.master.last().split(",")
        master = Address(host, int(port))
        await initialized(master)
        return await lines(master, [Address(cluster.bind, port) for port in cluster.region_server_ports])
    finally:
        cluster.close()
        zookeeper.close()


def kept() -> list[Line]:
    """What a real HBase answered."""
    return parsed(KEPT.read_text())


def wrong(ours: Sequence[Line]) -> list[str]:
    """Lines that are neither HBase's nor as OURS has them."""
    answered = {line.key: line.outcome for line in ours}
    found: list[str] = []
    for line in kept():
        outcome = answered.pop(line.key, "no such line")
        expected = OURS.get(line.key)
        if not (outcome == line.outcome if expected is None else re.fullmatch(expected, outcome)):
            found.append(f"{line.key}\n    HBase   {line.outcome}\n    hbeacon {outcome}")
    return found + [f"{key}: HBase was not asked" for key in answered]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        KEPT.write_text("".join(f"= {line}\n" for line in asyncio.run(real(Path(scratch)))))
