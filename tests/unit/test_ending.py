"""A server told to stop does: no task of it goes on because a cancellation was lost."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from registry import ending
from registry.clock import SystemClock
from registry.ending import end_tasks, left_behind
from registry.lookup.feed import RegistryFeed
from registry.master.campaign import Campaign
from registry.master.cluster import Cluster
from registry.master.epoch import Mastership


async def deaf(times: int) -> None:
    """Takes cancellations for something else."""
    while times:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            times -= 1


async def failing() -> None:
    raise ValueError("of a part that has failed meanwhile")


async def test_a_task_that_has_lost_a_cancellation_gets_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ending, "AGAIN_MS", 1.0)
    tasks = [asyncio.create_task(work) for work in (deaf(0), deaf(1), deaf(ending.CANCELS_MAX - 1), failing())]
    await asyncio.sleep(0)
    await end_tasks(tasks)
    assert all(task.done() for task in tasks)
    await end_tasks([])
    assert not left_behind(asyncio.get_running_loop())


async def test_one_that_does_not_end_is_named_and_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(ending, "AGAIN_MS", 1.0)
    task = asyncio.create_task(deaf(100), name="a deaf one")
    await asyncio.sleep(0)
    await end_tasks([task])
    assert not task.done()
    assert "a deaf one does not end" in caplog.text
    assert left_behind(asyncio.get_running_loop()) == [task]
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)


async def test_a_master_that_stands_by_ends_whenever_it_is_told(monkeypatch: pytest.MonkeyPatch):
    """Between two looks it waited for a task that it had cancelled itself.

    A cancellation that came in that moment was taken for the end of that task: the master did not end. A whole run of
    CI failed of it: 30 s after SIGTERM the process had to be killed.
    """
    monkeypatch.setattr("registry.master.cluster.LOOK_MS", 0.0)
    clock = SystemClock()
    unused_campaign, unused_feed = cast("Campaign", None), cast("RegistryFeed", None)
    for turns in range(40):
        cluster = Cluster(Mastership(clock), unused_campaign, unused_feed, clock)
        task = asyncio.create_task(cluster.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        task.cancel()
        assert done, f"cancelled after {turns} turns of the loop, and still there"
