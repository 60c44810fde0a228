"""The adapter at work: a real ZooKeeper with a recorded HBase tree, two adapters, a look-up, changes, their arrival.

Started by `deploy/demo.py adapter` with a Python that has everything; `python -m deploy.demo_adapter` where it is.
"""

# ruff: noqa: T201 (printing is its job)
from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.probe import RegistryProbe
from registry.names import Address, ServerName
from tests.support.adapters import AdapterProcess
from tests.support.hbase_tree import MASTER, STANDBY, WORKER, HBaseTree, HBaseTreeWriter
from tests.support.processes import MissingToolError, free_ports
from tests.support.zookeeper import ZooKeeperServer, debian

HOST = "127.0.0.1"
ADAPTERS = 2
ARRIVAL_S_MAX = 10.0
SECOND_WORKER = replace(WORKER, port=WORKER.port + 2, start_code=WORKER.start_code + 61_000)


def ports(number: int) -> tuple[int, int]:
    """HBase's own ports plus 100 for each further adapter, or free ones where those are taken."""
    wanted = (16000 + 100 * number, 16010 + 100 * number)
    for port in wanted:
        with socket.socket() as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind((HOST, port))
            except OSError:
                first, second = free_ports(HOST, 2)
                return first, second
    return wanted


def step(text: str) -> None:
    """One line for the person who watches."""
    print(text, flush=True)


def command(*words: str) -> None:
    """Run a command of ours as the person would, and show it with what it prints."""
    step(f"\n  $ hbeacon {' '.join(words)}")
    done = subprocess.run(
        [sys.executable, "-m", "registry.cli.main", *words], capture_output=True, text=True, timeout=30, check=False
    )
    for line in (done.stdout + done.stderr).splitlines():
        step(f"    {line}")
    if done.returncode:
        raise AssertionError(f"hbeacon {words[0]} ended with {done.returncode}")


def arrivals(
    adapters: list[AdapterProcess],
    change: Callable[[], object],
    seen: Callable[[RegistryProbe], ServerName | None],
    wanted: ServerName,
) -> None:
    """Make a change in ZooKeeper and say when each adapter answers it, from before the change is sent."""
    probes = {adapter.process.name: RegistryProbe(Address.parse(adapter.rpc)) for adapter in adapters}
    try:
        began = time.perf_counter()
        change()
        waiting = dict(probes)
        while waiting:
            for name, probe in list(waiting.items()):
                if seen(probe) == wanted:
                    step(f"    {name} answers {wanted} after {(time.perf_counter() - began) * 1000:5.1f} ms")
                    del waiting[name]
            assert time.perf_counter() - began < ARRIVAL_S_MAX, f"the change never reached {', '.join(waiting)}"
    finally:
        for probe in probes.values():
            probe.close()


def show(directory: Path, stack: contextlib.ExitStack) -> list[AdapterProcess]:
    """Everything up to the pages; what runs is ended by the stack."""
    began = time.perf_counter()
    zookeeper = ZooKeeperServer(debian(), directory / "zookeeper")
    stack.callback(zookeeper.close)
    zookeeper.start()
    step(f"  ZooKeeper 3.8 at {zookeeper.address}, data in {directory}    {time.perf_counter() - began:.1f} s")
    tree = HBaseTree(workers=(WORKER, SECOND_WORKER))
    cluster = HBaseTreeWriter(zookeeper.address, tree)
    stack.callback(cluster.close)
    cluster.write()
    step(f"  in it the znodes of an HBase 2.6.4: active master {MASTER}, hbase:meta on {WORKER}")

    doors = [ports(number) for number in range(ADAPTERS)]
    servers = ",".join(f"{HOST}:{rpc}" for rpc, _ in doors)
    adapters: list[AdapterProcess] = []
    for number, (rpc, http) in enumerate(doors):
        began = time.perf_counter()
        adapter = AdapterProcess(
            f"adapter {number + 1}",
            directory / f"adapter-{number + 1}.log",
            zookeeper=zookeeper.address,
            rpc=f"{HOST}:{rpc}",
            http=f"{HOST}:{http}",
            settings={"hbeacon.registry.servers": servers},
        )
        stack.callback(adapter.process.stop)
        try:
            adapters.append(adapter.wait_ready())
        except AssertionError as error:
            raise AssertionError(f"{error}\nits log ends:\n{adapter.process.tail()}") from error
        step(f"  {adapter.lines[-1]}    {time.perf_counter() - began:.2f} s")

    command("lookup", f"hbase+rpc://{servers}")
    step(f"\n  hbase:meta moves to {SECOND_WORKER} (one write in ZooKeeper):")
    arrivals(adapters, lambda: cluster.move_meta(SECOND_WORKER), RegistryProbe.meta_location, SECOND_WORKER)
    cluster.remove_master()
    step(f"  the active master is gone, and {STANDBY} takes its place:")
    arrivals(adapters, lambda: cluster.elect(STANDBY), RegistryProbe.active_master, STANDBY)
    command("lookup", f"hbase+rpc://{servers}")
    return adapters


def main() -> int:
    """Show it; 0 when everything went as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the show instead of waiting for Ctrl-C")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    try:
        with tempfile.TemporaryDirectory(prefix="hbeacon-demo-") as directory, contextlib.ExitStack() as stack:
            try:
                adapters = show(Path(directory), stack)
            except (AssertionError, MissingToolError, OSError) as error:
                print(f"demo: {error}", file=sys.stderr)
                return 1
            step("\n  pages: " + "  ".join(f"http://{adapter.http}/" for adapter in adapters))
            step(
                f"  also there: /health  /readyz?verbose  /metrics  /api/v1/registry, for example\n"
                f"    curl -s http://{adapters[0].http}/readyz?verbose"
            )
            if not options.once:
                step("\n  everything runs until Ctrl-C")
                signal.pause()
    except KeyboardInterrupt:
        pass
    step("  ended: nothing is left running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
