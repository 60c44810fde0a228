"""Streams of events: encoded once, each subscriber told what it lacks, and those who do not read."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.http import events
from registry.http.events import CHANGES_KEPT, Hub, Section, Stream, Subscriber, SubscriberLimits


class Wire:
    """A transport that takes everything, or nothing. Stands in for asyncio.Transport."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.late: list[bytes] = []
        self.closed = self.aborted = False
        self.protocol: Subscriber | None = None
        self.reading = False

    def write(self, data: bytes) -> None:
        (self.late if self.closed else self.written).append(data)

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == events.WRITE_BUFFER_BYTES

    def set_protocol(self, protocol: Subscriber) -> None:
        self.protocol = protocol

    def is_reading(self) -> bool:
        return self.reading

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and data of each event written."""
        found = re.findall(rb"^event: (\w+)\ndata: (.*)$", b"".join(self.written), re.MULTILINE)
        return [(kind.decode(), json.loads(data)) for kind, data in found]

    @property
    def state(self) -> dict[str, Any]:
        """What a reader of all that was written knows."""
        known: dict[str, Any] = {}
        for kind, data in self.told:
            known = data if kind == "snapshot" else {**known, **data}
        return known

    @property
    def last_id(self) -> str:
        return re.findall(rb"^id: (.*)$", b"".join(self.written), re.MULTILINE)[-1].decode()


def values(**sections: int) -> dict[str, Section]:
    return {name: Section(json.dumps(value)) for name, value in sections.items()}


def join(hub: Hub, stream: Stream, host: str = "10.0.0.1", last_id: str = "") -> Wire:
    wire = Wire()
    hub.join(cast("asyncio.Transport", wire), stream, host, b"HEAD\r\n\r\n", last_id)
    return wire


async def told(hub: Hub, stream: Stream, **sections: int) -> None:
    assert stream.update(values(**sections))
    hub.tell(stream)
    await turns()


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_comes_is_told_everything_and_then_what_changes() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=1, b=2))
    wire = join(hub, stream)
    assert wire.written[0].startswith(b"HEAD\r\n\r\nretry: ")
    assert wire.told == [("snapshot", {"a": 1, "b": 2})]
    assert wire.reading, "or nobody would see it leave"
    assert not stream.update(values(a=1)), "nothing new"
    await told(hub, stream, a=1, b=3)
    assert wire.told[1:] == [("change", {"b": 3})]
    assert wire.last_id == "boot-2"


async def test_all_get_the_very_same_bytes() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=1))
    wires = [join(hub, stream) for _ in range(events.SUBSCRIBERS_PER_TURN * 2 + 5)]
    stream.update(values(a=2))
    hub.tell(stream)
    told_now = sum(len(wire.written) == 2 for wire in wires)
    assert told_now == events.SUBSCRIBERS_PER_TURN, "the rest has to wait for the next turns of the loop"
    await turns()
    assert {id(wire.written[1]) for wire in wires} == {id(wires[0].written[1])}
    assert hub.stats.changes == 1


async def test_a_change_while_others_are_still_told_reaches_all() -> None:
    hub, stream, other = Hub(SubscriberLimits()), Stream("s", "boot"), Stream("o", "boot")
    stream.update(values(a=1))
    other.update(values(x=1))
    wires = [join(hub, stream) for _ in range(events.SUBSCRIBERS_PER_TURN * 3)]
    beside = join(hub, other)
    for number in (2, 3, 4):
        stream.update(values(a=number))
        hub.tell(stream)
    other.update(values(x=2))
    hub.tell(other)
    await turns(12)
    assert all(wire.state == {"a": 4} for wire in wires)
    assert beside.state == {"x": 2}


async def test_a_section_with_a_key_changes_with_its_key_alone() -> None:
    stream = Stream("s", "boot")
    assert stream.update({"age": Section("1", "version 7")})
    assert not stream.update({"age": Section("2", "version 7")})
    assert b'"age":2' in stream.whole(), "who comes gets the newest all the same"
    assert stream.update({"age": Section("0", "version 8")}, {"now": "99", "age": "5"})
    assert stream.since(1).endswith(b'data: {"now":99,"age":0}\n\n')


async def test_who_comes_back_is_told_what_it_missed_while_that_is_kept() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=0, b=0))
    wire = join(hub, stream)
    for number in range(1, 4):
        await told(hub, stream, a=number)
    assert join(hub, stream, last_id="boot-4").told == [], "it knows everything"
    assert join(hub, stream, last_id="boot-3").told == [("change", {"a": 3})]
    assert join(hub, stream, last_id="boot-2").told == [("change", {"a": 2}), ("change", {"a": 3})]
    whole = [("snapshot", {"a": 3, "b": 0})]
    strangers = ("", "boot-", "boot-99", "boot--1", "boot-\u0662", "boot-1e1", f"boot-{'9' * 400}", "other-3", "-")
    for stranger in strangers:
        assert join(hub, stream, last_id=stranger).told == whole, stranger
    for number in range(4, 4 + CHANGES_KEPT):
        await told(hub, stream, a=number)
    assert join(hub, stream, last_id=wire.last_id).told == []
    assert join(hub, stream, last_id="boot-3").told == [("snapshot", {"a": 3 + CHANGES_KEPT, "b": 0})]


async def test_changes_are_kept_up_to_a_number_of_bytes() -> None:
    stream = Stream("s", "boot")
    for number in range(4):
        stream.update({"a": Section(json.dumps(str(number) * 100_000))})
    assert stream.since(3).count(b"event: change") == 1
    assert stream.since(2).count(b"event: change") == 2
    assert stream.since(1).startswith(b"id: boot-4\nevent: snapshot")


async def test_who_does_not_read_is_not_written_to_and_then_told_where_things_stand() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=0, b=0))
    wire = join(hub, stream)
    assert wire.protocol is not None
    wire.protocol.pause_writing()
    before = len(wire.written)
    for number in range(1, 200):
        await told(hub, stream, a=number)
    hub.beat(stream, b": beat\n\n")
    await turns()
    assert len(wire.written) == before, "whatever happens, nothing more waits for it"
    wire.protocol.resume_writing()
    assert wire.told[-1] == ("snapshot", {"a": 199, "b": 0})
    await told(hub, stream, b=5)
    assert wire.told[-1] == ("change", {"b": 5})


async def test_who_does_not_read_for_long_is_dropped_at_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STALLED_S", 0.05)
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=0))
    slow, fast = join(hub, stream), join(hub, stream)
    assert slow.protocol is not None
    slow.protocol.pause_writing()
    hub.beat(stream, b": beat\n\n")
    await turns()
    assert not slow.aborted, "it has its time"
    await asyncio.sleep(0.06)
    hub.beat(stream, b": beat\n\n")
    await turns()
    assert slow.aborted
    assert hub.stats.dropped == 1
    assert fast.written[-1] == b": beat\n\n"


async def test_heartbeats_are_spread_over_turns_of_the_loop_too() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=0))
    wires = [join(hub, stream) for _ in range(events.SUBSCRIBERS_PER_TURN * 3)]
    hub.beat(stream, b": beat\n\n")

    def beaten() -> int:
        return sum(wire.written[-1] == b": beat\n\n" for wire in wires)

    assert beaten() == events.SUBSCRIBERS_PER_TURN
    await turns(1)
    assert beaten() == 2 * events.SUBSCRIBERS_PER_TURN
    stream.update(values(a=1))
    hub.tell(stream)
    await turns(8)
    assert all(wire.state == {"a": 1} for wire in wires)
    assert beaten() == 0, "of who was told the change none hears an older version afterwards"


async def test_a_heartbeat_does_not_overtake_a_change() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=0))
    wire = join(hub, stream)
    stream.update(values(a=1))
    hub.beat(stream, b": beat\n\n")
    await turns()
    assert wire.told[-1] == ("change", {"a": 1})
    assert wire.written[-1] == b": beat\n\n"


async def test_limits_count_those_who_are_here() -> None:
    hub, stream = Hub(SubscriberLimits(total_max=3, per_peer_max=2)), Stream("s", "boot")
    stream.update(values(a=0))
    assert hub.refusal("10.0.0.1") == ""
    first, _ = join(hub, stream), join(hub, stream)
    assert "2 of 10.0.0.1" in hub.refusal("10.0.0.1")
    assert hub.refusal("10.0.0.2") == ""
    join(hub, stream, "10.0.0.2")
    assert "3 follow already" in hub.refusal("10.0.0.3")
    assert first.protocol is not None
    first.protocol.connection_lost(None)
    assert len(hub) == 2
    assert hub.refusal("10.0.0.1") == hub.refusal("10.0.0.3") == ""


async def test_who_leaves_while_a_change_is_told_is_not_written_to() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    stream.update(values(a=0))
    wires = [join(hub, stream) for _ in range(events.SUBSCRIBERS_PER_TURN + 2)]
    stream.update(values(a=1))
    hub.tell(stream)
    last = wires[-1]
    assert last.protocol is not None
    last.closed = True
    last.protocol.connection_lost(None)
    await turns()
    assert last.late == []
    assert wires[-2].state == {"a": 1}


async def test_who_talks_too_much_is_dropped() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    wire = join(hub, stream)
    assert wire.protocol is not None
    wire.protocol.data_received(b"x" * events.REQUEST_BYTES_MAX)
    assert not wire.aborted
    wire.protocol.data_received(b"x")
    assert wire.aborted


async def test_the_end_lets_everybody_go() -> None:
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    wires = [join(hub, stream) for _ in range(3)]
    hub.close([stream])
    assert all(wire.closed and not wire.aborted for wire in wires)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("change"), st.sampled_from("abc"), st.integers(0, 3)),
            st.tuples(st.sampled_from(["pause", "resume", "leave", "turn"]), st.integers(0, 2), st.just(0)),
        ),
        max_size=120,
    )
)
async def test_whoever_reads_knows_what_is(steps: list[tuple[str, Any, int]]) -> None:
    """Whatever the order of changes, pauses and returns: in the end everybody knows the same."""
    hub, stream = Hub(SubscriberLimits()), Stream("s", "boot")
    now = dict.fromkeys("abc", 0)
    stream.update(values(**now))
    wires = [join(hub, stream) for _ in range(3)]
    known = [dict(wire.state) for wire in wires]
    for step, which, value in steps:
        if step == "change":
            now[which] = value
            if stream.update(values(**now)):
                hub.tell(stream)
            continue
        index = int(which)
        wire = wires[index]
        assert wire.protocol is not None
        if step == "pause" and not wire.protocol.is_behind:
            wire.protocol.pause_writing()
        elif step == "resume" and wire.protocol.is_behind:
            wire.protocol.resume_writing()
        elif step == "turn":
            await turns(1)
        elif step == "leave":
            known[index] = {**known[index], **wire.state}
            last_id = wire.last_id if wire.told else ""
            wire.closed = True
            wire.protocol.connection_lost(None)
            wires[index] = join(hub, stream, last_id=last_id)
            if not last_id:
                known[index] = {}
    for wire in wires:
        assert wire.protocol is not None
        if wire.protocol.is_behind:
            wire.protocol.resume_writing()
    await turns(6)
    for wire, before in zip(wires, known, strict=True):
        assert {**before, **wire.state} == now
