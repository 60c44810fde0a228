"""What a crash leaves behind, and how the worker tells the guard that none is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from registry.adapter.process import run_adapter
from registry.config.settings import load_settings
from registry.guard import LINK_VARIABLE, UNGUARDED_CODE

ROOT = Path(__file__).parent.parent.parent
CRASH = """
import sys
from registry.adapter import process, server
from registry.config.settings import load_settings

async def fails(self):
    raise RuntimeError("a part is broken")

server.Adapter.run = fails
sys.exit(process.run_adapter(lambda: load_settings({}, {})))
"""


def test_a_crash_writes_the_flight_recorder() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "FATAL [adapter] registry.role: the adapter fails" in done.stderr
    assert "RuntimeError: a part is broken" in done.stderr
    assert "/hbase" in done.stderr.rpartition("RuntimeError")[2], "the recorder names the tree it follows"


def test_files_may_switch_the_guard_off() -> None:
    """The guard is chosen before files are read; the worker finds out, and the guard runs it again in its own place."""
    beats_fd, beat_fd = os.pipe()
    try:
        os.environ[LINK_VARIABLE] = f"{beat_fd}|{beats_fd}|1|0|0||"
        assert run_adapter(lambda: load_settings({"hbeacon.guard": "off"}, {})) == UNGUARDED_CODE
        assert LINK_VARIABLE not in os.environ
    finally:
        os.close(beats_fd)
        os.close(beat_fd)
