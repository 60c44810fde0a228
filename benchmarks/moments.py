"""How long until: the first right answer of a new server, and the new answer after a change in ZooKeeper."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from kazoo.client import KazooClient  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.probe import RegistryProbe, http_answers, meta_location, regist_answers
from benchmarks.samples import Sample, Samples
from benchmarks.servers import ADAPTER, READY_S_MAX, Adapter, Side, elapsed_ms
from registry.names import Address, ServerName
from registry.wire.znode import decode_meta_location, encode_meta_location

PROBE_PAUSE_MS = 2.0
ARRIVAL_S_MAX = 10.0
PAGES = ("/readyz", "/health", "/metrics", "/api/v1/registry", "/")
CHANGE_PAUSE_MS_MAX = 10.0
SWEEP_PAUSE_MS = 0.2
"""Between two rounds of asking everybody: asking without a pause would take one of two processors from those asked."""
_SALT = b"benchmrk"


def _until(done: Callable[[], bool], since_s: float, what: str, limit_s: float = READY_S_MAX) -> float:
    """Milliseconds from `since_s` until it is so."""
    while not done():
        assert elapsed_ms(since_s) < limit_s * 1000, f"{what}: not within {limit_s:g} s"
        time.sleep(PROBE_PAUSE_MS / 1000)
    return elapsed_ms(since_s)


def first_answer_ms(address: Address, since_s: float, limit_s: float) -> float:
    """Until a server that was started at `since_s` says where hbase:meta is."""
    return _until(lambda: meta_location(address) is not None, since_s, f"an answer from {address}", limit_s)


def measure_starts(
    zookeeper: str, expected: ServerName, directory: Path, count: int, samples: Samples, tick: Callable[[str], None]
) -> None:
    """Start an adapter beside a ZooKeeper that is up, again and again."""
    for number in range(count):
        tick(f"start {number + 1} of {count}")
        samples.add("start", ADAPTER, _one_start(zookeeper, expected, directory / f"start-{number}.log"))


def _one_start(zookeeper: str, expected: ServerName, log: Path) -> Sample:
    since_s = time.perf_counter()
    adapter = Adapter(zookeeper, log)
    try:
        rpc_ms = _until(lambda: meta_location(adapter.rpc) == expected, since_s, adapter.name)
        regist_ms = _until(lambda: regist_answers(adapter.rpc), since_s, f"{adapter.name}, Regist")
        for path in PAGES:
            _until(lambda path=path: http_answers(adapter.http, path), since_s, f"{adapter.name}, {path}")
        return {"rpc_ms": rpc_ms, "regist_ms": regist_ms, "faces_ms": elapsed_ms(since_s)}
    except AssertionError as error:
        raise AssertionError(f"{error}; its log ends:\n{adapter.tail()}") from error
    finally:
        adapter.stop()


class MetaMover:
    """Writes new locations of hbase:meta into ZooKeeper, and the old one at the end."""

    def __init__(self, zookeeper: str, parent: str = "/hbase") -> None:
        """Connect and remember what is there."""
        self._path = f"{parent}/meta-region-server"
        self._client = cast("Any", KazooClient(hosts=zookeeper, timeout=10.0))
        self._client.start(timeout=20)
        self._original = cast("bytes", self._client.get(self._path)[0])
        self.location = decode_meta_location(self._original, 0)

    def move(self, start_code: int) -> float:
        """Write another life of the same server; the moment before the write was sent, of `time.perf_counter`."""
        name = replace(self.location.server_name, start_code=start_code)
        data = encode_meta_location(replace(self.location, server_name=name), "benchmark:0", _SALT)
        since_s = time.perf_counter()
        self._client.set(self._path, data)
        return since_s

    def close(self) -> None:
        """Put the old location back."""
        self._client.set(self._path, self._original)
        self._client.stop()
        self._client.close()


def measure_changes(
    zookeeper: str, sides: Sequence[Side], count: int, samples: Samples, tick: Callable[[str], None]
) -> None:
    """Move hbase:meta in ZooKeeper and ask everybody until everybody tells of it.

    The time counts from before the write is sent, so it holds ZooKeeper's own share, and ends with the answer.
    """
    pauses = random.Random(1)
    mover = MetaMover(zookeeper)
    probes = {side.name: RegistryProbe(side.rpc) for side in sides}
    try:
        for number in range(count):
            tick(f"change {number + 1} of {count}")
            start_code = mover.location.server_name.start_code + 1 + number
            since_s = mover.move(start_code)
            written_ms = elapsed_ms(since_s)
            waiting = dict(probes)
            while waiting:
                assert elapsed_ms(since_s) < ARRIVAL_S_MAX * 1000, f"the change never reached {', '.join(waiting)}"
                for name, probe in list(waiting.items()):
                    seen = probe.meta_location()
                    if seen is not None and seen.start_code == start_code:
                        sample = {"arrival_ms": elapsed_ms(since_s), "written_ms": written_ms}
                        samples.add("change", name, sample)
                        del waiting[name]
                time.sleep(SWEEP_PAUSE_MS / 1000)
            time.sleep(pauses.uniform(0, CHANGE_PAUSE_MS_MAX) / 1000)
    finally:
        for probe in probes.values():
            probe.close()
        mover.close()
