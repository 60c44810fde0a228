"""A cluster's coordination at work: `hbeacon dev`, look-ups on both paths, kill -9 of the active master, the next one.

Started by deploy/demo.py with a Python that has everything; `python -m deploy.demo_dev` where it is.
"""

# ruff: noqa: T201 (printing is its job)
from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient

from benchmarks.probe import RegistryProbe
from registry.names import Address, ServerName
from registry.wire.znode import decode_master
from tests.support.dev import DevProcess
from tests.support.processes import accepts

HOST = "127.0.0.1"
PORTS = (2181, *(16000 + 100 * number + more for number in range(4) for more in (0, 10, 20, 30)))
ARRIVAL_S_MAX = 15.0


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


def start(directory: Path) -> DevProcess:
    """`hbeacon dev` on HBase's own ports, or on free ones where something has those."""
    taken = [port for port in PORTS if accepts(HOST, port)]
    step(f"\n  $ hbeacon dev{' --ports free' if taken else ''}")
    began = time.perf_counter()
    dev = DevProcess(directory / "dev.log", free_ports=bool(taken))
    try:
        dev.wait_ready()
    except AssertionError:
        dev.process.stop()
        raise
    for line in dev.lines:
        step(f"    {line}")
    step(f"  announced {time.perf_counter() - began:.2f} s after the command was typed")
    return dev


def as_old_clients_do(dev: DevProcess) -> ServerName:
    """The active master by ZooKeeper's protocol, with kazoo."""
    client: Any = KazooClient(dev.zookeeper)
    client.start(10)
    try:
        step(f'\n  >>> client = KazooClient("{dev.zookeeper}"); client.start()')
        step(f'  >>> client.get_children("/hbase")\n      {client.get_children("/hbase")}')
        active = decode_master(client.get("/hbase/master")[0]).server_name
        step(f'  >>> client.get("/hbase/master")\n      (decoded) {active}')
        return active
    finally:
        client.stop()
        client.close()


def fail_over(dev: DevProcess, active: ServerName) -> None:
    """Kill the active master; say when each master answers the next one, and what look-ups did meanwhile."""
    victim = dev.number_of(active)
    other = 1 - victim
    pid = dev.pid(f"master{victim}")
    step(f"\n  $ kill -9 {pid}        # master{victim}, the active one; master{other} is asked without a pause")
    probe = RegistryProbe(Address.parse(dev.masters[other]))
    try:
        answers, slowest_ms = 0, 0.0
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        while True:
            asked = time.perf_counter()
            seen = probe.active_master()
            now = time.perf_counter()
            answers, slowest_ms = answers + 1, max(slowest_ms, (now - asked) * 1000)
            if seen is not None and seen != active:
                break
            if now - began > ARRIVAL_S_MAX:
                raise AssertionError(f"no master was elected within {ARRIVAL_S_MAX:g} s")
            time.sleep(0.001)
    finally:
        probe.close()
    step(
        f"    master{other} answers {seen} after {(now - began) * 1000:.0f} ms;"
        f" {answers} look-ups meanwhile, none refused, the slowest {slowest_ms:.1f} ms"
    )
    while dev.active(victim) != seen:
        if time.perf_counter() - began > ARRIVAL_S_MAX:
            raise AssertionError(f"master{victim} did not come back")
        time.sleep(0.005)
    after_ms = (time.perf_counter() - began) * 1000
    step(f"    master{victim} is back as pid {dev.pid(f'master{victim}')} and answers the same after {after_ms:.0f} ms")
    step("    (its new life gives up the old one's place; nobody there to do so, the session's 3 s would have passed)")


def show(dev: DevProcess) -> None:
    """Look-ups on both paths, and a fail-over between them."""
    uri = "hbase+rpc://" + ",".join(dev.masters)
    command("lookup", uri)
    active = as_old_clients_do(dev)
    fail_over(dev, active)
    command("lookup", uri)


def main() -> int:
    """Show it; 0 when everything went as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the show instead of waiting for Ctrl-C")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="hbeacon-demo-") as directory:
        dev: DevProcess | None = None
        try:
            dev = start(Path(directory))
            show(dev)
            step("\n  pages: " + "  ".join(f"http://{address}/" for address in dev.http))
            if not options.once:
                step("\n  everything runs until Ctrl-C; afterwards, on your own:  .venv/bin/hbeacon dev")
                signal.pause()
        except KeyboardInterrupt:
            pass
        except (AssertionError, OSError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        finally:
            if dev is not None:
                dev.process.stop()
    step("  ended: nothing is left running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
