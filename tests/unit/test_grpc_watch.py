"""WatchRegistry: a snapshot, each change, heartbeats; who reads slowly skips and costs nothing; limits and ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.hbeacon import RegistryV1_pb2 as pb
from registry.grpcface.board import NOTHING_SEEN, Board
from registry.grpcface.picture import FACTS, take_picture
from registry.grpcface.server import GrpcSettings
from registry.grpcface.watchers import WAKES_PER_TURN, Watchers
from registry.lookup.snapshot import Fact, FactState, Snapshot, Version
from tests.support.grpc_face import LISTS, Face, refusal, serving
from tests.support.rpc import eventually
from tests.support.status import CLUSTER_ID, small_snapshot

SNAPSHOT = small_snapshot()
ZXID = SNAPSHOT.version.zxid
Event = pb.WatchRegistryResponse
QUIET = GrpcSettings(heartbeat_ms=3_600_000.0)


def watch(face: Face, **freshness: Any) -> Any:
    return face.registry.WatchRegistry(
        pb.WatchRegistryRequest(freshness=pb.Freshness(**freshness) if freshness else None)
    )


async def read(stream: Any) -> pb.WatchRegistryResponse:
    async with asyncio.timeout(10):
        return await stream.read()


async def test_a_snapshot_first_then_each_change_whole() -> None:
    async with serving(QUIET) as face:
        stream = watch(face)
        first = await read(stream)
        assert (first.kind, first.cluster_id.cluster_id, first.version.zxid) == (Event.SNAPSHOT, CLUSTER_ID, ZXID)
        assert {field.name for field, _ in first.ListFields()} >= set(FACTS)
        face.clock.advance(7.0)
        for number in range(1, 4):
            face.move_cluster(number, ZXID + number)
            change = await read(stream)
            assert (change.kind, change.version.zxid, change.age_ms) == (Event.CHANGE, ZXID + number, 7)
            assert change.cluster_id.cluster_id == f"cluster-{number}"
            assert change.cluster_id.changed_zxid == ZXID + number
            assert {field.name for field, _ in change.ListFields()} & set(FACTS) == {"cluster_id"}


async def test_a_version_that_moves_alone_is_told_by_the_heartbeat() -> None:
    async with serving(GrpcSettings(heartbeat_ms=100.0)) as face:
        stream = watch(face)
        assert (await read(stream)).kind == Event.SNAPSHOT
        face.move_version(ZXID + 5)
        beat = await read(stream)
        while beat.version.zxid == ZXID:
            beat = await read(stream)
        assert (beat.kind, beat.version.zxid, beat.complete) == (Event.HEARTBEAT, ZXID + 5, True)
        assert len(beat.ListFields()) == 4, "version, age, complete and kind"


async def test_a_new_generation_is_told_though_no_fact_changes() -> None:
    async with serving(QUIET) as face:
        stream = watch(face)
        await read(stream)
        face.server.publish(face.source.at(5, generation=2), LISTS)
        change = await read(stream)
        assert (change.kind, change.version.generation, change.version.zxid) == (Event.CHANGE, 2, 5)


async def test_a_slow_reader_skips_to_the_newest_state_and_bounds_what_is_kept() -> None:
    big = "x" * 30_000
    async with serving(QUIET) as face:
        slow, quick = watch(face), watch(face)
        await read(slow)
        await read(quick)
        for number in range(1, 301):
            fact: Fact[str] = Fact(FactState.KNOWN, "/hbase/hbaseid", f"{number}-{big}", ZXID + number)
            face.source.snapshot = replace(face.source.snapshot, version=Version(1, ZXID + number), cluster_id=fact)
            face.server.publish(face.source.snapshot, LISTS)
            assert (await read(quick)).version.zxid == ZXID + number, "nobody waits for the slow one"
        told_to_slow = face.server.watchers.told - 302
        assert told_to_slow < 290, "most of it was never written"
        kinds: list[int] = []
        event = await read(slow)
        while True:
            kinds.append(event.kind)
            if event.version.zxid == ZXID + 300:
                break
            event = await read(slow)
        assert kinds[-1] == Event.SNAPSHOT, "what was missed comes as a whole"
        assert len(kinds) < 290
        assert event.cluster_id.cluster_id.startswith("300-")


async def test_who_comes_back_asks_for_what_it_has_seen_and_never_goes_back() -> None:
    async with serving(QUIET) as face:
        stream = watch(face, min_zxid=ZXID + 3, generation=1)
        await eventually(lambda: face.source.waiting)
        face.clock.advance(1.0)
        face.move_cluster(1, ZXID + 3)
        face.source.read()
        assert (await read(stream)).version.zxid == ZXID + 3
        ahead = watch(face, min_zxid=ZXID + 4)
        await eventually(lambda: face.source.waiting)
        face.clock.advance(1.0)
        face.source.read()
        code, _ = await refusal(ahead.read())
        assert code is grpc.StatusCode.FAILED_PRECONDITION


async def test_the_limit_of_streams() -> None:
    async with serving(GrpcSettings(streams_max=2, heartbeat_ms=3_600_000.0)) as face:
        first, second = watch(face), watch(face)
        await read(first)
        await read(second)
        code, text = await refusal(watch(face).read())
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "hbeacon.grpc.streams_max" in text
        first.cancel()
        await eventually(lambda: face.server.watchers.streams_count == 1)
        assert (await read(watch(face))).kind == Event.SNAPSHOT


async def test_streams_end_with_the_server_and_where_look_ups_are_refused() -> None:
    async with serving(QUIET) as face:
        stream = watch(face)
        await read(stream)
        face.refusing = True
        face.move_cluster(1, ZXID + 1)
        code, text = await refusal(stream.read())
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "hbeacon.registry.stale" in text
        face.refusing = False
        stream = watch(face)
        await read(stream)
        face.server.drain()
        code, text = await refusal(stream.read())
        assert (code, text) == (grpc.StatusCode.UNAVAILABLE, "this server is stopping")
        assert face.server.watchers.streams_count == 0


async def test_many_are_told_the_same_bytes_over_several_turns() -> None:
    watchers = Watchers(take_picture(SNAPSHOT, LISTS), lambda: 3.0, streams_max=1000, heartbeat_ms=3_600_000.0)
    told: list[bytes | None] = []
    joined = [watchers.join() for _ in range(100)]
    for watcher in joined:
        assert await watcher.next() is not None

    async def wait(watcher: Any) -> None:
        told.append(await watcher.next())

    tasks = [asyncio.create_task(wait(watcher)) for watcher in joined]
    await asyncio.sleep(0)
    encodings = watchers.board.encodings
    watchers.put(take_picture(changed(SNAPSHOT, 1), LISTS))
    await asyncio.sleep(0)
    assert 0 < len(told) <= 3 * WAKES_PER_TURN, "look-ups get their turn in between"
    await asyncio.gather(*tasks)
    assert len(told) == 100
    assert len({id(message) for message in told}) == 1
    assert watchers.board.encodings == encodings + 1
    watchers.close()
    assert await joined[0].next() is None


def changed(snapshot: Snapshot, number: int) -> Snapshot:
    fact: Fact[str] = Fact(FactState.KNOWN, "/hbase/hbaseid", f"cluster-{number}", ZXID + number)
    return replace(snapshot, version=Version(1, ZXID + number), cluster_id=fact)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=30))
def test_whoever_looks_at_whatever_moments_ends_up_with_the_newest_state(steps: list[tuple[int, bool, bool]]) -> None:
    """Steps: the cluster id that is put, whether a standby is handed out, and whether the reader looks then."""
    snapshot = SNAPSHOT
    board = Board(take_picture(snapshot, LISTS))
    seen, known = NOTHING_SEEN, pb.GetRegistryResponse()
    for version, (number, standby, looks) in enumerate([*steps, (9, True, True)], 1):
        snapshot = replace(changed(snapshot, number), version=Version(1, ZXID + version))
        board.put(take_picture(snapshot, LISTS if standby else replace(LISTS, masters=LISTS.masters[:1])))
        if looks and board.number != seen:
            event = Event.FromString(board.event_after(seen))
            seen = board.number
            if event.kind == Event.SNAPSHOT:
                known.Clear()
            facts = pb.GetRegistryResponse(
                version=event.version,
                **{field.name: value for field, value in event.ListFields() if field.name in FACTS},
            )
            for field, _ in facts.ListFields():
                known.ClearField(field.name)
            known.MergeFrom(facts)
    newest = pb.GetRegistryResponse.FromString(board.picture.encode())
    assert known.cluster_id == newest.cluster_id
    assert known.masters == newest.masters
    assert known.version == newest.version
    assert Event.FromString(board.heartbeat()).kind == Event.HEARTBEAT


@pytest.mark.parametrize("streams", [50])
async def test_look_ups_are_answered_while_many_are_told(streams: int) -> None:
    async with serving(QUIET) as face:
        watching = [watch(face) for _ in range(streams)]
        for stream in watching:
            await read(stream)
        face.move_cluster(1, ZXID + 1)
        answer, *events = await asyncio.gather(
            face.registry.GetClusterId(pb.GetClusterIdRequest()), *(read(stream) for stream in watching)
        )
        assert answer.cluster_id.cluster_id == "cluster-1"
        assert {event.cluster_id.cluster_id for event in events} == {"cluster-1"}
