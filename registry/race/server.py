"""One registry server of a race: the RPC door of every role, over a cluster that does not change.

Run as `python -m registry.race.server [PORT]`, alone or behind the guard. It says `serving PORT PID` in a line, answers
each line of its standard input by one of its own, and ends with it:

    delay MS PERCENT SEED   so many of a hundred calls are answered later from now on  -> done
    plain                   every call is answered at once                            -> done
    count                   -> counts {"accepted": 12, "open": 3, "refused": 0, "calls": {"GetClusterId": 9}, ...}
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys

from registry.clock import SystemClock
from registry.faults.control import FaultAccess
from registry.faults.machine import Faults
from registry.faults.rules import FaultKind, Rule
from registry.guarded import Beats, GuardLink, die_with_guard
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
GUARD_TIMEOUT_MS = 1000
COMMAND_BYTES_MAX = 4096
"""Standard input is the race itself; a line is some words."""


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


class Commands:
    """Does what the lines say. Belongs to the loop of its server."""

    def __init__(self, server: RpcServer) -> None:
        self.server = server
        self.desk = server.allow_faults(Faults(random.Random, lambda: 0), FaultAccess())
        self.ended = asyncio.Event()
        """Standard input has ended."""
        self._line = b""
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._read)

    def run(self, words: list[str]) -> str:
        """Do what one line says; gives the answer."""
        match words:
            case ["delay", delay_ms, percent, seed]:
                exactly_ms = float(delay_ms)
                share = float(percent) / 100
                rule = Rule(FaultKind.DELAY, delay_ms=(exactly_ms, exactly_ms), probability=share, seed=int(seed))
                self.desk.add(rule, "the race")
            case ["plain"]:
                self.desk.clear("the race")
            case ["count"]:
                return f"counts {json.dumps(self.counts())}"
            case _:
                return f"unknown {words}"
        return "done"

    def counts(self) -> dict[str, object]:
        """What was taken and answered since the start."""
        stats = self.server.stats
        return {
            "accepted": stats.connections_accepted,
            "open": stats.connections_open,
            "refused": stats.connections_refused.total(),
            "queued": stats.queue_depth,
            "calls": {method: count for (_, method), count in stats.calls.items()},
            "preambles": stats.preambles.total(),
            "cpu_s": sum(os.times()[:2]),
        }

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), 65_536)
        if not data:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.ended.set()
            return
        *lines, self._line = (self._line + data).split(b"\n")
        self._line = self._line[-COMMAND_BYTES_MAX:]
        for line in lines:
            say(self.run(line.decode().split()))


def say(line: str) -> None:
    """One line by one system call: somebody waits for it."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


async def serve(port: int) -> None:
    """Answer until standard input ends."""
    link = GuardLink.take(os.environ)
    if link is not None:
        die_with_guard(link.guard_pid)
        port = int(link.kept or port)
    server = RpcServer(RpcServerSettings(), ServiceTable(), SystemClock())
    answers = encode_answers(snapshot(), HandOut())
    server.set_ready(SERVICE, answers.bodies)
    server.set_cluster_id(answers.cluster_id)
    commands = Commands(server)
    address = await server.start(HOST, port)
    beats = None
    if link is not None:
        beats = Beats(link, GUARD_TIMEOUT_MS, commands.ended.set)
        beats.start()
        beats.keep(str(address.port))
    say(f"serving {address.port} {os.getpid()}")
    await commands.ended.wait()
    if beats is not None:
        beats.stop()
    await server.stop()


def main() -> None:
    """Serve on the port of the command line, or on a free one."""
    logging.getLogger().addHandler(logging.NullHandler())  # the race says itself what is wrong with its servers
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    try:
        import uvloop
    except ImportError:  # it is made for some systems only
        asyncio.run(serve(port))
    else:
        uvloop.run(serve(port))


if __name__ == "__main__":
    main()
