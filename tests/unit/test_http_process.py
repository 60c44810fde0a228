"""Figures of the process, and the lag of a loop that is made to lag."""

from __future__ import annotations

import asyncio
import mmap
import time
from pathlib import Path

import pytest

from registry.http import process
from registry.http.process import LoopLag, process_figures


def test_figures_follow_the_process(tmp_path: Path):
    before = process_figures()
    files = [(tmp_path / str(number)).open("w") for number in range(5)]
    # Pages of its own, each touched: memory that was freed before and is used again would not be more.
    with mmap.mmap(-1, 8 << 20) as ballast:
        for start in range(0, len(ballast), mmap.PAGESIZE):
            ballast[start] = 1
        after = process_figures()
    for file in files:
        file.close()
    assert after.fds_open - before.fds_open == 5
    assert after.resident_bytes - before.resident_bytes > 6 << 20
    assert after.virtual_bytes > after.resident_bytes > 0
    assert 0 < before.cpu_seconds <= after.cpu_seconds
    assert after.fds_max > after.fds_open


async def test_lag_sees_what_blocks_the_loop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "LAG_INTERVAL_S", 0.01)
    lag = LoopLag()
    lag.start(asyncio.get_running_loop())
    lag.start(asyncio.get_running_loop())
    await asyncio.sleep(0.05)
    before_s = lag.max_s  # a busy machine has its own
    time.sleep(before_s + 0.25)  # noqa: ASYNC251 - the very thing to be seen
    await asyncio.sleep(0.05)
    assert lag.max_s >= before_s + 0.2
    lag.stop()
    lag.stop()


async def test_lag_forgets_after_two_windows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "LAG_INTERVAL_S", 0.01)
    monkeypatch.setattr(process, "LAG_WINDOW_S", 0.1)
    lag = LoopLag()
    lag.start(asyncio.get_running_loop())
    await asyncio.sleep(0.02)
    time.sleep(0.3)  # noqa: ASYNC251 - the very thing to be seen
    await asyncio.sleep(0.02)
    assert lag.max_s >= 0.2
    deadline = time.monotonic() + 10
    while lag.max_s >= 0.2 and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert lag.max_s < 0.2
    lag.stop()
