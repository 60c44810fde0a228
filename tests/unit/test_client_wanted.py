"""A client that says how new an answer has to be gets nothing older, whoever answers and whatever is kept."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hbeacon
from registry.client.answers import Answer, What
from registry.client.attempts import RegistryLookupError
from registry.client.probing import Policy
from registry.client.settings import ClientSettings
from registry.client.wanted import Kept, LookupOptions, attributes_of, wants_of
from registry.lookup.freshness import NOTHING, STALENESS_MS_MAX, ZXID_MAX, Wants, read_wants, words_of
from registry.lookup.snapshot import Version
from registry.wire.calls import encode_answer
from registry.wire.errors import PleaseHoldException
from registry.wire.stamp import Stamp, encode_stamp
from tests.support.registry import CLUSTER_ID, bodies, connection_to
from tests.support.scripted import Peer, Script, answering, hanging, scripted_server
from tests.unit.test_client_blocking import server_thread

MET = Stamp(3, 99, 12.0, 90, wants_met=True)


def noting(seen: list[dict[str, bytes]], stamp: Stamp = MET) -> Script:
    """A server that notes the attributes of each call."""

    async def script(peer: Peer) -> None:
        await peer.read_hello()
        while True:
            header, _ = await peer.read_call()
            seen.append({pair.name: pair.value for pair in header.attribute})
            peer.write(encode_answer(header.call_id, bodies()[header.method_name], header_extra=encode_stamp(stamp)))

    return script


@given(
    st.builds(
        Wants,
        max_staleness_ms=st.none() | st.floats(0, STALENESS_MS_MAX),
        min_zxid=st.integers(0, ZXID_MAX),
        generation=st.none() | st.integers(0, ZXID_MAX),
        fresh=st.booleans(),
    )
)
def test_wants_go_round_in_words_and_attributes(wants: Wants) -> None:
    assert read_wants(words_of(wants)) == wants
    again = {name.removeprefix("hbeacon."): value.decode() for name, value in attributes_of(wants).items()}
    assert read_wants(again) == wants


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        ({}, NOTHING),
        ({"timeout_ms": 5.0}, NOTHING),
        ({"fresh": False, "min_zxid": 0, "max_staleness_ms": None, "generation": None}, NOTHING),
        ({"fresh": True}, Wants(fresh=True)),
        ({"min_zxid": 7, "generation": 0, "timeout_ms": 1.0}, Wants(min_zxid=7, generation=0)),
        ({"max_staleness_ms": 0}, Wants(max_staleness_ms=0.0)),
    ],
)
def test_options(options: LookupOptions, wants: Wants) -> None:
    assert wants_of(options) == wants


@pytest.mark.parametrize("options", [{"min_zxid": -1}, {"max_staleness_ms": -0.5}, {"generation": "x"}, {"fresh": 7}])
async def test_an_option_that_is_no_number_asks_nobody(options: Any) -> None:
    seen: list[dict[str, bytes]] = []
    async with scripted_server(noting(seen)) as address, connection_to(address) as cluster:
        with pytest.raises(ValueError, match=next(iter(options))):
            await cluster.cluster_id(**options)
        assert not seen


async def test_the_server_is_told_and_its_word_is_taken() -> None:
    seen: list[dict[str, bytes]] = []
    async with scripted_server(noting(seen)) as address, connection_to(address) as cluster:
        answer = await cluster.cluster_id(max_staleness_ms=20, min_zxid=0x60, generation=3, fresh=True)
        assert (answer.value, answer.version, answer.age_ms) == (CLUSTER_ID, Version(3, 99), 12.0)
        assert seen == [
            {
                "hbeacon.stamp": b"1",
                "hbeacon.max_staleness_ms": b"20.0",
                "hbeacon.min_zxid": b"96",
                "hbeacon.generation": b"3",
                "hbeacon.fresh": b"true",
            }
        ]
        assert (await cluster.cluster_id()).cached, "who wants nothing is answered from it"
        assert len(seen) == 1


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("stamp", [None, Stamp(3, 99, 12.0)], ids=["HBase's own", "knows stamps only"])
async def test_who_does_not_say_that_it_is_met_is_not_believed(stamp: Stamp | None, policy: Policy) -> None:
    settings = ClientSettings(policy=policy, fanout=1, retries_count=3, pause_ms=1)
    async with (
        scripted_server(answering(bodies(), stamp=stamp, cluster_id=CLUSTER_ID)) as old,
        scripted_server(answering(bodies(), stamp=MET)) as new,
    ):
        async with connection_to(old, new, settings=settings) as cluster:
            for _ in range(4):
                answer = await cluster.cluster_id(fresh=True, timeout_ms=5000)
                assert answer.server == str(new)
        async with connection_to(old, settings=settings) as cluster:
            with pytest.raises(RegistryLookupError, match="does not say whether its answer is as new") as raised:
                await cluster.cluster_id(min_zxid=1, timeout_ms=5000)
            assert not raised.value.timed_out
            assert len(raised.value.attempts) == 1, "a retry would tell the same"
            assert (await cluster.cluster_id(timeout_ms=5000)).value == CLUSTER_ID


async def test_a_refusal_goes_to_the_next_and_is_held_against_nobody() -> None:
    refusal = PleaseHoldException("zxid 0x64 is asked for, and ZooKeeper was at zxid 0x63")
    asked: list[str] = []
    refusing = answering({**bodies(), "GetClusterId": refusal}, stamp=MET, seen=asked)
    async with (
        scripted_server(refusing) as behind,
        scripted_server(answering(bodies(), stamp=MET)) as ahead,
        connection_to(behind, ahead) as cluster,
    ):
        for _ in range(30):
            assert (await cluster.cluster_id(min_zxid=100, fresh=True)).server == str(ahead)
        assert len(asked) > 3, "it is asked again: nothing is wrong with it"
        async with connection_to(behind) as alone:
            with pytest.raises(RegistryLookupError, match="0x64 is asked for"):
                await alone.cluster_id(min_zxid=100)


async def test_all_servers_of_a_hedge_are_told() -> None:
    seen: list[dict[str, bytes]] = []
    async with (
        scripted_server(hanging) as hung,
        scripted_server(noting(seen)) as answers,
    ):
        for seed in range(6):
            async with connection_to(hung, answers, seed=seed) as cluster:
                await cluster.cluster_id(fresh=True, timeout_ms=10_000)
        assert [attributes["hbeacon.fresh"] for attributes in seen] == [b"true"] * 6


async def test_what_is_kept_is_used_where_it_will_do() -> None:
    seen: list[dict[str, bytes]] = []
    async with scripted_server(noting(seen)) as address, connection_to(address) as cluster:
        await cluster.cluster_id()
        assert (await cluster.cluster_id(min_zxid=99)).cached
        assert (await cluster.cluster_id(max_staleness_ms=60_000)).cached
        assert len(seen) == 1
        assert not (await cluster.cluster_id(min_zxid=100)).cached
        assert not (await cluster.cluster_id(max_staleness_ms=11)).cached
        assert not (await cluster.cluster_id(fresh=True)).cached
        assert not (await cluster.cluster_id(fresh=True)).cached
        assert len(seen) == 5


async def test_those_who_ask_together_share() -> None:
    seen: list[dict[str, bytes]] = []
    async with scripted_server(noting(seen)) as address, connection_to(address) as cluster:
        answers = await asyncio.gather(*(cluster.cluster_id(fresh=True) for _ in range(50)))
        assert {answer.value for answer in answers} == {CLUSTER_ID}
        assert len(seen) <= 2, "one had begun when the others asked"


def test_without_a_loop_it_is_the_same() -> None:
    seen: list[dict[str, bytes]] = []
    with server_thread(noting(seen)) as address, hbeacon.connect_blocking(str(address)) as cluster:
        assert cluster.cluster_id(fresh=True, timeout_ms=10_000).value == CLUSTER_ID
        assert cluster.active_master(min_zxid=9, max_staleness_ms=5.0).version == Version(3, 99)
        with pytest.raises(ValueError, match="min_zxid"):
            cluster.masters(min_zxid=-1)
    assert ["hbeacon.fresh" in attributes for attributes in seen] == [True, False]


def test_an_answer_is_as_old_as_it_can_be() -> None:
    answer = Answer(What.CLUSTER_ID, "x", "s:1", Version(0, 50), 10.0)
    kept = Kept(answer, asked_at_ms=1000.0, was_fresh=True)
    assert kept.meets(Wants(max_staleness_ms=30.0), 1020.0)
    assert not kept.meets(Wants(max_staleness_ms=29.0), 1020.0)
    assert kept.meets(Wants(fresh=True), 1000.0)
    assert not kept.meets(Wants(fresh=True), 1000.1), "it began before the question"
    assert not Kept(answer, 1000.0, was_fresh=False).meets(Wants(fresh=True), 900.0)
    assert not kept.meets(Wants(min_zxid=51), 900.0)
    assert not kept.meets(Wants(min_zxid=1, generation=1), 900.0)
    untold = Kept(Answer(What.CLUSTER_ID, "x", "s:1"), 1000.0, was_fresh=False)
    assert not untold.meets(Wants(max_staleness_ms=1e9), 1000.0)
    assert untold.meets(NOTHING, 5000.0)


async def test_a_deadline_ends_it() -> None:
    async with scripted_server(hanging) as hung, connection_to(hung) as cluster:
        begun = time.monotonic()
        with pytest.raises(RegistryLookupError) as raised:
            await cluster.cluster_id(fresh=True, timeout_ms=200)
        assert raised.value.elapsed_ms >= 190
        assert time.monotonic() - begun < 10
