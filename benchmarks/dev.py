"""`hbeacon dev`: from the command to the ready line, to the end, through the loss of the active master; its memory.

    python -m benchmarks.dev [--runs N] [--record]

Starts the installed command as a shell does, on free ports, and takes medians. There is no other side:
the goal is a time. `--record` puts the table into docs/track-record.md.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.probe import RegistryProbe
from benchmarks.record import Record, markdown
from benchmarks.samples import Samples, quantile
from benchmarks.servers import pss_mib
from benchmarks.table import HELD, LOST
from registry.names import Address
from tests.support.dev import DevProcess

SIDE = "hbeacon dev"
START, STOP, FAIL_OVER, MEMORY = "start", "stop", "fail-over", "memory"
START_GOAL_MS = 1200.0
FAIL_OVER_S_MAX = 15.0
RECORD = Record("dev")
HEADINGS = ("measure", "median", "spread", "goal", "")
Row = tuple[str, str, str, str, str]


def command() -> list[str]:
    """What a person types, where it is installed beside this Python."""
    installed = Path(sys.executable).with_name("hbeacon")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "registry.cli.main"]


def start_and_stop(samples: Samples) -> None:
    """One run: to the ready line, pages asked at once, then Ctrl-C."""
    began = time.perf_counter()
    with subprocess.Popen(
        [*command(), "dev", "--ports", "free"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready_ms = (time.perf_counter() - began) * 1000
        sample: dict[str, Any] = {"ms": ready_ms}
        pages = re.search(r"http=(\S+)", line)
        if pages is None:
            sample |= {"errors": 1, "error": f"no ready line: {line!r}"}
        else:
            for page in pages[1].split(","):
                try:
                    urllib.request.urlopen(f"http://{page}/readyz", timeout=5).close()
                except OSError as error:
                    sample |= {"errors": 1, "error": f"{page}: {error}"}
        samples.add(START, SIDE, sample)
        told = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        samples.add(STOP, SIDE, {"ms": (time.perf_counter() - told) * 1000})


def fail_over(samples: Samples) -> None:
    """One life: memory of all processes, then kill -9 of the active master until the other answers the next one."""
    with tempfile.TemporaryDirectory(prefix="hbeacon-benchmark-") as directory:
        dev = DevProcess(Path(directory) / "log")
        try:
            dev.wait_ready()
            samples.add(MEMORY, SIDE, {"mib": pss_mib(dev.pids()), "processes": len(dev.pids())})
            active = dev.active(0)
            assert active is not None, "it is ready"
            victim = dev.number_of(active)
            pid = dev.pid(f"master{victim}")
            probe = RegistryProbe(Address.parse(dev.masters[1 - victim]))
            slowest_ms, seen = 0.0, active
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            while seen in (active, None) and time.perf_counter() - began < FAIL_OVER_S_MAX:
                asked = time.perf_counter()
                seen = probe.active_master()
                slowest_ms = max(slowest_ms, (time.perf_counter() - asked) * 1000)
                time.sleep(0.001)
            probe.close()
            samples.add(FAIL_OVER, SIDE, {"ms": (time.perf_counter() - began) * 1000, "slowest_look_up_ms": slowest_ms})
        finally:
            dev.process.stop()


def rows(samples: Samples) -> list[Row]:
    """Measure, median, spread, goal, verdict."""
    names = (
        (START, "ms", "command to ready line, two masters, pages answer", f"at most {START_GOAL_MS / 1000:g} s"),
        (STOP, "ms", "Ctrl-C to the end of all", ""),
        (FAIL_OVER, "ms", "kill -9 of the active master to the next one answered", ""),
        (FAIL_OVER, "slowest_look_up_ms", "the slowest look-up meanwhile", ""),
        (MEMORY, "mib", "memory of all four processes (PSS)", ""),
    )
    found: list[Row] = []
    for measure, figure, words, goal in names:
        values = samples.series(measure, SIDE, figure)
        if not values:
            continue
        unit, digits = ("MiB", 0) if figure == "mib" else ("ms", 1 if figure.startswith("slowest") else 0)
        middle = quantile(values, 0.5)
        verdict = (HELD if middle <= START_GOAL_MS else LOST) if goal else ""
        spread = f"{min(values):.{digits}f} to {max(values):.{digits}f} {unit}, {len(values)} runs"
        found.append((words, f"{middle:.{digits}f} {unit}", spread, goal, verdict))
    return found


def main() -> int:
    """Run it; 1 when a run had errors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dev", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each measure (5); one more warms the disk's cache")
    options = RECORD.parsed(parser)
    document = RECORD.begun()
    start_and_stop(Samples())
    samples = Samples()
    for _ in range(options.runs):
        start_and_stop(samples)
        fail_over(samples)
    found = rows(samples)
    document |= {"samples": samples.as_json(), "table": found}
    table = markdown(HEADINGS, found, figures=(1,))
    path = RECORD.keep(document, options, table=table, versions=("python", "fastapi"))
    for row in found:
        print("  ".join(filter(None, row)))
    print(f"samples: {path}")
    for line in samples.errors():
        print(f"errors: {line}")
    return 1 if samples.errors() else 0


if __name__ == "__main__":
    sys.exit(main())
