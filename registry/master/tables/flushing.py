"""Flushes of all regions of a table: FlushRegion to each region server that has some, in turn.

A region that moves meanwhile was flushed when it was closed, or is flushed where it is now. One that does not know a
family of the table yet (a schema that was changed without opening the regions again) holds nothing of it.

Source: FlushTableProcedure, FlushRegionProcedure, RSRpcServices#flushRegion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from protos.hbase import Admin_pb2, HBase_pb2
from registry.master.catalogue import RegionState
from registry.master.cluster_work import ClusterWork
from registry.names import ServerName
from registry.rpc.client import RpcChannel
from registry.wire.errors import HBaseError, NoSuchColumnFamilyException, NotServingRegionException
from registry.wire.region_info import RegionInfo

TIMEOUT_MS = 60_000.0
PAUSE_MS, PAUSE_MS_MAX = 100.0, 5_000.0


async def flush(regions: Sequence[RegionInfo], families: Sequence[bytes], work: ClusterWork) -> None:
    """Until what these regions held in memory when it began is on disk; no families: all. Raises NotActing."""
    todo = {info.encoded_name: info for info in regions}
    pause_ms = PAUSE_MS
    while True:
        by_server: dict[ServerName, list[RegionInfo]] = {}
        for name, info in list(todo.items()):
            row = work.catalogue.region(name)
            if row is None or row.state is RegionState.CLOSED:
                del todo[name]  # gone, or closed and so flushed
            elif row.state is RegionState.OPEN and row.sn is not None:
                by_server.setdefault(row.sn, []).append(info)
        done = await asyncio.gather(*(_on(server, infos, families) for server, infos in by_server.items()))
        for name in (name for names in done for name in names):
            todo.pop(name, None)
        if not todo:
            return
        work.token.check()
        await asyncio.sleep(pause_ms / 1000)
        pause_ms = min(pause_ms * 2, PAUSE_MS_MAX)


async def _on(server: ServerName, regions: Sequence[RegionInfo], families: Sequence[bytes]) -> list[str]:
    """The encoded names of those that are flushed; what fails is tried again by the caller, wherever it is then."""
    done: list[str] = []
    try:
        async with await RpcChannel.connect(server.address, "AdminService") as channel:
            for info in regions:
                done += await _region(channel, info, families)
    except HBaseError:
        return done
    return done


async def _region(channel: RpcChannel, info: RegionInfo, families: Sequence[bytes]) -> list[str]:
    specifier = HBase_pb2.RegionSpecifier(type=HBase_pb2.RegionSpecifier.REGION_NAME, value=info.name)
    for family in families or (b"",):
        request = Admin_pb2.FlushRegionRequest(region=specifier)
        if family:
            request.family = family
        try:
            await channel.call("FlushRegion", request, Admin_pb2.FlushRegionResponse, timeout_ms=TIMEOUT_MS)
        except NotServingRegionException:
            return []
        except NoSuchColumnFamilyException:
            continue
    return [info.encoded_name]
