"""A worker for tests of the guard: answers its process id on TCP, and can be told to misbehave.

Run as `python guarded_worker.py PORT [CODE]`: listens on PORT (0: any; the guard keeps the choice for the next worker)
and prints `PORT PID RESTARTS REASON`. With CODE it ends with that exit code at once. A client that sends `stall` makes
its loop stand still, `crash` makes it exit with 1.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from registry.guarded import Beats, GuardLink, die_with_guard

TIMEOUT_MS = int(os.environ.get("GUARDED_WORKER_TIMEOUT_MS", "300"))


def say(line: str) -> None:
    """One line for the test."""
    os.write(1, line.encode() + b"\n")


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    link = GuardLink.take(os.environ)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: say("HUP"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            if data == b"stall":
                while True:
                    pass
            if data == b"crash":
                os._exit(1)
            writer.write(str(os.getpid()).encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", int(link.kept) if link and link.kept else port)
    port = server.sockets[0].getsockname()[1]
    beats = None
    if link is not None:
        beats = Beats(link, TIMEOUT_MS, lambda: os._exit(9))
        beats.start()
        beats.keep(str(port))
        die_with_guard(link.guard_pid)
    say(f"{port} {os.getpid()} {link.restarts if link else 0} {link.reason if link else 0}")
    await stopped.wait()
    if beats is not None:
        beats.stop()
    os._exit(0)


if len(sys.argv) > 2:
    sys.exit(int(sys.argv[2]))
asyncio.run(serve(int(sys.argv[1])))
