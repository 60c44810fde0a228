"""An RPC server in a process of its own, so that its memory can be weighed: `python -m tests.support.rpc_process`."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import uvloop

from protos.hbase import RPC_pb2
from registry.clock import SystemClock
from registry.rpc.context import RpcServerSettings
from registry.rpc.server import RpcServer
from registry.rpc.services import ServiceTable
from tests.support.rpc import BODIES, CLUSTER_ID, SERVICE

ROOT = Path(__file__).parent.parent.parent
OTHER_SERVICE = "MasterService"
"""A service whose requests may be as long as HBase's."""
BIG_ANSWER_BYTES = 20_000


def raise_open_files() -> int:
    """Allow this process as many open files as it may have; how many."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    return hard_limit


class RpcProcess:
    """The server's process."""

    def __init__(self, **settings: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.rpc_process", json.dumps(settings)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def resident_bytes(self) -> int:
        """What it has in memory now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    def stop(self) -> dict[str, int]:
        """End it; its counters."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0
        return json.loads(out)

    def kill(self) -> None:
        """Make sure that it is gone."""
        self.process.kill()
        self.process.communicate()


async def _serve(settings: RpcServerSettings) -> None:
    services = ServiceTable()
    services.add(OTHER_SERVICE, "Big", RPC_pb2.CellBlockMeta, lambda call: bytes(BIG_ANSWER_BYTES))
    server = RpcServer(settings, services, SystemClock())
    server.set_ready(SERVICE, {**BODIES, "Big": bytes(BIG_ANSWER_BYTES)})
    server.set_cluster_id(CLUSTER_ID)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    address = await server.start("127.0.0.1", 0)
    gc.collect()
    gc.freeze()
    print(address.port, flush=True)
    await stop.wait()
    await server.stop()
    stats = server.stats
    names = (
        "connections_accepted", "connections_open", "slow_readers_closed", "slow_writers_closed",
        "slow_handshakes_closed", "received_bytes", "sent_bytes", "queue_bytes",
    )  # fmt: skip
    print(json.dumps({name: getattr(stats, name) for name in names}), flush=True)


if __name__ == "__main__":
    raise_open_files()
    uvloop.run(_serve(RpcServerSettings(**json.loads(sys.argv[1]))))
