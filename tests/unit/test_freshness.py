"""How new an answer has to be: the decision, the words of the question, and the read that all who wait share."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from registry.lookup.fresh_reader import WAITING_MAX, FreshReader
from registry.lookup.freshness import NOTHING, Refusal, Unmet, Verdict, Wants, judge, reaches, read_wants
from registry.lookup.snapshot import Version
from tests.support.clock import ManualClock
from tests.support.fresh import ScriptedSource

NOW = Version(2, 100)


@pytest.mark.parametrize(
    ("wants", "verdict"),
    [
        (NOTHING, Verdict.ANSWER),
        (Wants(max_staleness_ms=50.0), Verdict.ANSWER),
        (Wants(max_staleness_ms=49.9), Verdict.READ),
        (Wants(min_zxid=100), Verdict.ANSWER),
        (Wants(min_zxid=101), Verdict.READ),
        (Wants(min_zxid=100, generation=2), Verdict.ANSWER),
        (Wants(min_zxid=101, generation=2), Verdict.READ),
        (Wants(min_zxid=10_000, generation=1), Verdict.ANSWER),
        (Wants(min_zxid=1, generation=3), Verdict.READ),
        (Wants(fresh=True), Verdict.READ),
    ],
)
def test_the_snapshot_will_do_or_not(wants: Wants, verdict: Verdict) -> None:
    assert judge(wants, NOW, 50.0) is verdict


def test_after_a_read_only_what_is_not_there_is_refused() -> None:
    for wants in (Wants(fresh=True), Wants(max_staleness_ms=0.0), Wants(min_zxid=100)):
        assert judge(wants, NOW, 5.0, was_read=True) is Verdict.ANSWER
    assert judge(Wants(min_zxid=101), NOW, 5.0, was_read=True) is Verdict.REFUSE


def test_a_heartbeat_while_it_waited_does_for_staleness_alone() -> None:
    assert judge(Wants(max_staleness_ms=2.0), NOW, 6.0, waited_ms=5.0) is Verdict.ANSWER
    assert judge(Wants(max_staleness_ms=2.0), NOW, 8.0, waited_ms=5.0) is Verdict.READ
    assert judge(Wants(fresh=True), NOW, 1.0, waited_ms=5.0) is Verdict.READ, "the leader was not asked"
    assert judge(Wants(min_zxid=101), NOW, 1.0, waited_ms=5.0) is Verdict.READ


def test_an_incomplete_snapshot_meets_nothing() -> None:
    for wants in (Wants(fresh=True), Wants(max_staleness_ms=1e9), Wants(min_zxid=1)):
        assert judge(wants, NOW, 0.0, complete=False, waited_ms=10.0, was_read=True) is Verdict.READ
    assert judge(NOTHING, NOW, float("inf"), complete=False) is Verdict.ANSWER


def test_words() -> None:
    assert read_wants({}) == NOTHING
    assert not NOTHING
    assert read_wants({"max_staleness_ms": "250", "min_zxid": "0x10", "generation": "0", "fresh": ""}) == Wants(
        250.0, 16, 0, True
    )
    assert read_wants({"fresh": "false", "other": "x"}) == NOTHING
    assert Wants(generation=0)
    for name, text in (
        ("max_staleness_ms", "-1"),
        ("max_staleness_ms", "nan"),
        ("max_staleness_ms", "soon"),
        ("min_zxid", "-1"),
        ("min_zxid", "0xzz"),
        ("min_zxid", str(1 << 63)),
        ("min_zxid", "9" * 5000),
        ("min_zxid", "0" * 40 + "5"),
        ("min_zxid", " 5"),
        ("min_zxid", "1_0"),
        ("max_staleness_ms", "1_0"),
        ("generation", ""),
        ("fresh", "perhaps"),
    ):
        with pytest.raises(ValueError, match=name) as raised:
            read_wants({name: text})
        assert len(str(raised.value)) < 200


class Reading:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.source = ScriptedSource(self.clock)
        self.refusing = False
        self.reader = FreshReader(self.source, self.clock, lambda: 2000.0, lambda: self.refusing)

    async def ask(self, wants: Wants, left_ms: float = float("inf")) -> asyncio.Task[None]:
        task = asyncio.create_task(self.reader.meet(wants, left_ms))
        await asyncio.sleep(0)
        return task


async def test_what_the_snapshot_meets_asks_nobody() -> None:
    reading = Reading()
    reading.clock.advance(40.0)
    for wants in (NOTHING, Wants(max_staleness_ms=40.0), Wants(min_zxid=1)):
        await reading.reader.meet(wants)
    assert not reading.source.asked
    assert reading.reader.reads_waited == 0


async def test_a_read_that_began_after_the_question_answers_it() -> None:
    reading = Reading()
    tasks = [await reading.ask(Wants(fresh=True)) for _ in range(3)]
    reading.clock.advance(5.0)
    assert reading.reader.waiting_count == 3
    reading.source.read()
    await asyncio.gather(*tasks)
    assert reading.reader.waiting_count == 0


async def test_a_zxid_that_is_not_reached_is_told_apart_from_silence() -> None:
    reading = Reading()
    wanted = reading.source.snapshot.version.zxid + 7
    task = await reading.ask(Wants(min_zxid=wanted))
    assert reading.source.asked == [2000.0]
    reading.clock.advance(1.0)
    reading.source.read()
    with pytest.raises(Refusal, match=f"0x{wanted:x} is asked for") as raised:
        await task
    assert raised.value.unmet is Unmet.NOT_REACHED, "one read tells"

    reading.clock.advance(900.0)
    task = await reading.ask(Wants(min_zxid=wanted))
    reading.clock.advance(2000.0)
    reading.source.run_out()
    with pytest.raises(Refusal, match=r"has not answered within 2000 ms; what is known is 2900 ms old") as raised:
        await task
    assert raised.value.unmet is Unmet.SILENT


async def test_the_clients_own_deadline() -> None:
    reading = Reading()
    task = await reading.ask(Wants(fresh=True), 300.0)
    assert reading.source.asked == [280.0]
    reading.clock.advance(270.0)
    reading.source.beat()
    reading.clock.advance(10.0)
    reading.source.run_out()
    with pytest.raises(Refusal, match="within the 300 ms that the client waits") as raised:
        await task
    assert raised.value.unmet is Unmet.LATE


async def test_a_zxid_of_a_lost_history_is_not_waited_for() -> None:
    reading = Reading()
    reading.source.at(50, generation=3)
    task = await reading.ask(Wants(min_zxid=1 << 40, generation=2, fresh=True))
    assert reading.source.asked == [2000.0]
    reading.source.read()
    await task
    await reading.reader.meet(Wants(min_zxid=1 << 40, generation=2))
    assert len(reading.source.asked) == 1


async def test_refusing_and_crowded() -> None:
    reading = Reading()
    reading.refusing = True
    with pytest.raises(Refusal, match=r"hbeacon\.registry\.stale") as raised:
        await reading.reader.meet(NOTHING)
    assert raised.value.unmet is Unmet.STALE
    reading.refusing = False
    reading.reader.waiting_count = WAITING_MAX
    with pytest.raises(Refusal) as raised:
        await reading.reader.meet(Wants(fresh=True))
    assert raised.value.unmet is Unmet.CROWDED
    await reading.reader.meet(NOTHING)


async def test_before_the_first_complete_snapshot_a_question_waits_for_it() -> None:
    reading = Reading()
    whole = reading.source.snapshot
    reading.source.snapshot = replace(whole, complete=False)
    task = await reading.ask(Wants(max_staleness_ms=60_000.0))
    assert not task.done()
    reading.source.snapshot = whole
    reading.source.read()
    await task


def test_generations_are_compared_first() -> None:
    assert reaches(Wants(min_zxid=1 << 40, generation=1), NOW)
    assert not reaches(Wants(min_zxid=0, generation=3), NOW)
