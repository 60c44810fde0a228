"""Somebody who looks up the cluster id all the time, in a process of its own: `python -m tests.support.look_ups PORT`.

One kept connection and new ones in turn; at the end of standard input it tells how long each look-up took.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from registry.wire.calls import encode_answer, encode_request
from tests.support.rpc import BODIES, hello

ROOT = Path(__file__).parent.parent.parent
LOOK_UP = encode_request(1, "GetClusterId", b"")
ANSWER = encode_answer(1, BODIES["GetClusterId"])


class LookUps:
    """Runs while the block runs; then `took_ms` is there."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.took_ms: list[float] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.look_ups", str(self._port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        out, _ = self._process.communicate(timeout=15)
        assert self._process.returncode == 0, "each look-up got its answer"
        self.took_ms = json.loads(out)


def _connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=10)
    connected.sendall(hello())
    return connected


def _ask(connected: socket.socket) -> float:
    started = time.perf_counter()
    connected.sendall(LOOK_UP)
    got = b""
    while len(got) < len(ANSWER) and (more := connected.recv(1000)):
        got += more
    assert got == ANSWER
    return (time.perf_counter() - started) * 1000


def _main(port: int) -> None:
    kept = _connect(port)
    took_ms = [_ask(kept)]
    print("begun", flush=True)
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        took_ms.append(_ask(kept))
        fresh = _connect(port)
        took_ms.append(_ask(fresh))
        fresh.close()
    kept.close()
    print(json.dumps(took_ms))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
