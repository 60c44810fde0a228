"""The face of a hedged look-up: whoever answers, nobody is left running, and whose cancellation it was stays clear."""

from __future__ import annotations

import asyncio
import random

import pytest

from registry.client.hedging.asking import Refusal, hedge
from registry.client.hedging.budget import HedgePool
from registry.client.hedging.lookup import HedgedLookup
from registry.client.hedging.policy import HedgePolicy, HedgeSettings
from registry.clock import SystemClock

HUNG_S = 3600.0
TOOK_S = {"hung": HUNG_S, "slow": 0.3, "quick": 0.0, "refusing": 0.0, "broken": 0.0}


class Asked:
    """Who was asked and who has heard of being cancelled."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []

    async def ask(self, server: str) -> str | Refusal:
        self.begun.append(server)
        try:
            await asyncio.sleep(TOOK_S[server])
        except asyncio.CancelledError:
            self.cancelled.append(server)
            raise
        if server == "broken":
            raise RuntimeError("a mistake in the caller's code")
        return Refusal.FAILED if server == "refusing" else f"answer of {server}"


def lookup_of(*servers: str) -> HedgedLookup[str]:
    """They are asked in this order: who is near comes first while nothing is known."""
    policy = HedgePolicy[str](HedgeSettings(), HedgePool(0.05, 20.0), random.Random(1))
    return HedgedLookup(policy, servers, "m", SystemClock().monotonic_ms(), 20_000.0, near=servers[:1])


async def test_the_first_call_needs_no_task_of_its_own() -> None:
    asked = Asked()
    before = asyncio.all_tasks()
    assert await hedge(lookup_of("quick", "hung"), asked.ask, SystemClock()) == "answer of quick"
    assert asked.begun == ["quick"]
    assert asyncio.all_tasks() == before


async def test_the_first_call_is_cancelled_when_another_has_answered() -> None:
    asked = Asked()
    task = asyncio.current_task()
    assert task is not None
    assert await hedge(lookup_of("hung", "quick"), asked.ask, SystemClock()) == "answer of quick"
    assert asked.cancelled == ["hung"]
    assert task.cancelling() == 0, "the caller was not cancelled"
    await asyncio.sleep(0)


async def test_another_call_is_cancelled_when_the_first_has_answered_after_all() -> None:
    asked = Asked()
    assert await hedge(lookup_of("slow", "hung"), asked.ask, SystemClock()) == "answer of slow"
    assert asked.cancelled == ["hung"]


async def test_one_that_refuses_is_replaced_at_once() -> None:
    asked = Asked()
    assert await hedge(lookup_of("refusing", "quick"), asked.ask, SystemClock()) == "answer of quick"
    assert asked.begun == ["refusing", "quick"]
    assert await hedge(lookup_of("refusing"), asked.ask, SystemClock()) is None
    assert await hedge(lookup_of(), asked.ask, SystemClock()) is None


@pytest.mark.parametrize("servers", [("hung", "hung"), ("refusing", "hung")])
async def test_a_caller_that_gives_up_is_told_so_and_leaves_nothing_running(servers: tuple[str, str]) -> None:
    asked = Asked()
    names = {f"{server} {number}": server for number, server in enumerate(servers)}

    async def ask(name: str) -> str | Refusal:
        if len(asked.begun) == 1:
            patience.reschedule(0.0)  # it is over as soon as the second is asked
        return await asked.ask(names[name])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as patience:
            await hedge(lookup_of(*names), ask, SystemClock())
    assert sorted(asked.cancelled) == sorted(server for server in asked.begun if server == "hung")
    assert len(asked.begun) == 2


@pytest.mark.parametrize("servers", [("broken", "hung"), ("hung", "broken")])
async def test_a_mistake_is_not_taken_for_a_refusal(servers: tuple[str, str]) -> None:
    asked = Asked()
    with pytest.raises(RuntimeError, match="mistake"):
        await hedge(lookup_of(*servers), asked.ask, SystemClock())
    assert asked.cancelled == [server for server in asked.begun if server == "hung"]
