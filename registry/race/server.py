"""One registry server of a race: the RPC door of every role, over a cluster that does not change.

Run as `python -m registry.race.server`; prints its port in a line, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys

from registry.clock import SystemClock
from registry.lookup.answers import SERVICE, encode_answers
from registry.lookup.handout import HandOut
from registry.lookup.snapshot import Fact, FactState, Master, MetaLocation, RegionServer, Snapshot, Version
from registry.names import ServerName
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable

HOST = "127.0.0.1"
CLUSTER_ID = "4b5de1d3-7c0f-4b5e-9d3a-6f1a2c7e8d90"
MASTER = ServerName("master.race.invalid", 16000, 1_795_000_000_000)
REGION_SERVER = ServerName("regionserver.race.invalid", 16020, 1_795_000_000_001)


def snapshot() -> Snapshot:
    """A cluster of one master and one region server, complete."""
    return Snapshot(
        Version(1, 1),
        True,
        Fact(FactState.KNOWN, "", CLUSTER_ID, 1),
        Fact(FactState.KNOWN, "", Master(MASTER, -1), 1),
        Fact(FactState.KNOWN, "", (), 1),
        Fact(FactState.KNOWN, "", (MetaLocation(0, REGION_SERVER, "OPEN"),), 1),
        Fact(FactState.KNOWN, "", (RegionServer(REGION_SERVER),), 1),
        Fact(FactState.ABSENT, ""),
    )


async def serve() -> None:
    """Answer until standard input ends."""
    server = RpcServer(RpcServerSettings(), ServiceTable(), SystemClock())
    answers = encode_answers(snapshot(), HandOut())
    server.set_ready(SERVICE, answers.bodies)
    server.set_cluster_id(answers.cluster_id)
    address = await server.start(HOST, 0)
    os.write(sys.stdout.fileno(), f"{address.port}\n".encode())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await server.stop()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:  # it is made for some systems only
        asyncio.run(serve())
    else:
        uvloop.run(serve())
