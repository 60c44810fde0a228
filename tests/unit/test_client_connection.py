"""Look-ups through servers that answer, hang, close, do not know or are not there."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time

import pytest

from protos.hbase import Registry_pb2
from registry.client.answers import What
from registry.client.attempts import RegistryLookupError
from registry.client.probing import Policy
from registry.client.settings import ClientSettings
from registry.lookup.snapshot import Version
from registry.names import Address, ServerName
from registry.wire.calls import encode_answer
from registry.wire.errors import (
    AccessDeniedException,
    CallQueueTooBigException,
    DoNotRetryIOException,
    HBaseError,
    StoppedRpcClientException,
)
from registry.wire.stamp import Stamp
from tests.support.registry import CLUSTER_ID, MASTER, META, bodies, connection_to
from tests.support.scripted import (
    Peer,
    answering,
    closing,
    hanging,
    refused_address,
    resetting,
    scripted_server,
    shouting,
    unanswered_address,
)

pytestmark = pytest.mark.usefixtures("nothing_blocks_the_loop")

ONE_PASS = ClientSettings(retries_count=0, pause_ms=1)


async def test_all_questions() -> None:
    stamp = Stamp(generation=3, zxid=99, age_ms=12.0, changed_zxid=90)
    async with (
        scripted_server(answering(bodies(nodes=[Address("b1", 1)]), stamp=stamp)) as address,
        connection_to(address) as cluster,
    ):
        answer = await cluster.cluster_id()
        assert answer.value == CLUSTER_ID
        assert answer.server == str(address)
        assert (answer.version, answer.age_ms, answer.changed_zxid) == (Version(3, 99), 12.0, 90)
        assert (answer.calls, answer.cached) == (1, False)
        assert 0 < answer.elapsed_ms < 5000
        assert (await cluster.active_master()).value == MASTER
        (master,) = (await cluster.masters()).value
        assert (master.server_name, master.is_active) == (ServerName("b1", 1, 1), False)
        (location,) = (await cluster.meta_locations()).value
        assert (location.replica_id, location.server_name, location.seq_num) == (0, META, -1)
        assert (await cluster.bootstrap_nodes()).value == (ServerName("b1", 1, 1),)


async def test_hbases_own_servers_tell_no_version() -> None:
    async with scripted_server(answering(bodies())) as address, connection_to(address) as cluster:
        answer = await cluster.cluster_id()
        assert (answer.version, answer.age_ms, answer.changed_zxid) == (None, None, None)


async def test_one_connection_serves_all_questions_and_answers_are_kept() -> None:
    seen: list[str] = []
    hellos = 0
    serve = answering(bodies(), seen=seen)

    async def counting(peer: Peer) -> None:
        nonlocal hellos
        hellos += 1
        await serve(peer)

    async with scripted_server(counting) as address, connection_to(address) as cluster:
        for _ in range(3):
            await cluster.cluster_id()
            await cluster.meta_locations()
        assert (await cluster.meta_locations()).cached
        assert seen == ["GetClusterId", "GetMetaRegionLocations"]
        assert hellos == 1
        cluster.refresh(What.META_LOCATIONS)
        await cluster.cluster_id()
        assert not (await cluster.meta_locations()).cached
        cluster.refresh()
        await cluster.cluster_id()
        assert seen == [*["GetClusterId", "GetMetaRegionLocations"], "GetMetaRegionLocations", "GetClusterId"]
        assert hellos == 1


async def test_many_askers_share_one_call() -> None:
    seen: list[str] = []
    async with scripted_server(answering(bodies(), seen=seen)) as address, connection_to(address) as cluster:
        answers = await asyncio.gather(*(cluster.active_master() for _ in range(50)))
        assert {answer.value for answer in answers} == {MASTER}
        assert seen == ["GetActiveMaster"]


async def test_a_stale_answer_is_asked_again_elsewhere() -> None:
    """One of three servers is cut off and tells of a master that is gone."""
    old = ServerName("gone.example", 16000, 1)
    async with (
        scripted_server(answering(bodies(master=old))) as cut_off,
        scripted_server(answering(bodies())) as first,
        scripted_server(answering(bodies())) as second,
    ):
        met = 0
        for seed in range(12):
            async with connection_to(cut_off, first, second, seed=seed) as cluster:
                answer = await cluster.active_master()
                if answer.value != old:
                    continue
                met += 1
                assert cluster.stale(answer)
                assert not cluster.stale(answer), "said twice"
                renewed = await cluster.active_master()
                assert renewed.value == MASTER
                assert not cluster.stale(answer), "a late complaint does not throw the new answer away"
                assert (await cluster.active_master()).cached
        assert met, "at least one of the seeds asks the cut-off server first"


async def test_every_server_is_asked_before_giving_up_and_named() -> None:
    async with (
        scripted_server(hanging) as hung,
        scripted_server(closing) as old,
        scripted_server(resetting) as killed,
        scripted_server(shouting) as http,
        scripted_server(answering(bodies(master=None))) as unknowing,
        scripted_server(answering({"GetActiveMaster": CallQueueTooBigException("full")})) as busy,
    ):
        with refused_address() as refused, unanswered_address() as dark:
            servers = (hung, old, killed, http, unknowing, busy, refused, dark, Address("name.invalid", 16000))
            async with connection_to(*servers) as cluster:
                begin = time.monotonic()
                with pytest.raises(RegistryLookupError) as caught:
                    await cluster.active_master(timeout_ms=1500)
                assert time.monotonic() - begin < 10, "a hung server alone has a minute"
    said = dict(caught.value.by_server())
    assert set(said) == {str(server) for server in servers}
    assert "no answer yet after" in said[str(hung)]
    assert "closed by the server" in said[str(old)]
    assert "reset by the server" in said[str(killed)]
    assert "does not speak the protocol" in said[str(http)]
    assert said[str(unknowing)] == "knows no active master"
    assert said[str(busy)] == "full"
    assert said[str(refused)] == "connection refused"
    assert "no answer yet after" in said[str(dark)]
    assert "no such host" in said["name.invalid:16000"]
    for server, problem in said.items():
        assert f"{server}: {problem}" in str(caught.value)
    assert "9 servers asked" in str(caught.value)


@pytest.mark.parametrize("policy", Policy)
async def test_deadline_bounds_all_retries_and_names_who_was_silent(policy: Policy) -> None:
    settings = ClientSettings(retries_count=1000, pause_ms=1, policy=policy)
    async with (
        scripted_server(hanging) as one,
        scripted_server(hanging) as two,
        connection_to(one, two, settings=settings) as cluster,
    ):
        begin = time.monotonic()
        with pytest.raises(RegistryLookupError) as caught:
            await cluster.meta_locations(timeout_ms=800)  # a hedge may be late on a busy machine
        assert 0.7 < time.monotonic() - begin < 10
        assert {server for server, _ in caught.value.by_server()} == {str(one), str(two)}


async def test_a_hung_server_does_not_take_the_others_time() -> None:
    """Two of three hang; whoever comes first, the third answers within the deadline."""
    async with (
        scripted_server(hanging) as one,
        scripted_server(hanging) as two,
        scripted_server(answering(bodies())) as good,
    ):
        for seed in range(4):
            async with connection_to(one, two, good, seed=seed) as cluster:
                answer = await cluster.cluster_id(timeout_ms=600)
                assert (answer.value, answer.server) == (CLUSTER_ID, str(good))


async def test_retries_until_the_cluster_is_there() -> None:
    """A cluster that starts: no active master at first. The pauses between the passes are hbase.client.pause's."""
    known = bodies(master=None)
    seen: list[str] = []
    settings = ClientSettings(retries_count=20, pause_ms=20)
    async with (
        scripted_server(answering(known, seen=seen)) as address,
        connection_to(address, settings=settings) as cluster,
    ):
        lookup = asyncio.create_task(cluster.active_master(timeout_ms=5000))
        await asyncio.sleep(0.15)
        assert 2 <= len(seen) <= 5
        known.update(bodies())
        answer = await lookup
        assert answer.value == MASTER
        assert answer.calls == len(seen)


async def test_number_of_retries() -> None:
    seen: list[str] = []
    settings = ClientSettings(retries_count=3, pause_ms=1)
    async with (
        scripted_server(answering(bodies(master=None), seen=seen)) as address,
        connection_to(address, settings=settings) as cluster,
    ):
        with pytest.raises(RegistryLookupError, match=r"knows no active master \(asked 4 times\)") as caught:
            await cluster.active_master(timeout_ms=5000)
    assert len(seen) == 4
    assert len(caught.value.attempts) == 4
    assert not caught.value.timed_out


async def test_what_no_retry_mends_is_not_retried() -> None:
    seen: list[str] = []
    refusals: dict[str, bytes | HBaseError] = {"GetActiveMaster": AccessDeniedException("not you")}
    settings = ClientSettings(retries_count=10, pause_ms=1)
    async with (
        scripted_server(answering(refusals, seen=seen)) as address,
        connection_to(address, settings=settings) as cluster,
    ):
        with pytest.raises(RegistryLookupError, match="not you"):
            await cluster.active_master()
    assert len(seen) == 1


async def test_cluster_id_by_the_preamble_where_calls_are_refused() -> None:
    """A cluster with Kerberos tells its id to everybody, but takes no calls from us."""
    seen: list[str] = []
    refusals: dict[str, bytes | HBaseError] = {"GetClusterId": AccessDeniedException("Authentication is required")}
    async with (
        scripted_server(answering(refusals, cluster_id=CLUSTER_ID, seen=seen)) as address,
        connection_to(address) as cluster,
    ):
        answer = await cluster.cluster_id()
        assert (answer.value, answer.calls) == (CLUSTER_ID, 2)
    assert seen == ["GetClusterId", "Regist"]
    async with scripted_server(answering(refusals)) as address, connection_to(address) as cluster:
        with pytest.raises(RegistryLookupError, match="Authentication is required"):
            await cluster.cluster_id()


async def test_fan_out_takes_the_first_answer_and_forgets_the_others() -> None:
    settings = ClientSettings(retries_count=0, policy=Policy.FANOUT, fanout=3)
    seen: list[str] = []
    async with (
        scripted_server(hanging) as hung,
        scripted_server(closing) as old,
        scripted_server(answering(bodies(), seen=seen)) as good,
        connection_to(hung, old, good, settings=settings) as cluster,
    ):
        begin = time.monotonic()
        answer = await cluster.cluster_id(timeout_ms=5000)
        assert time.monotonic() - begin < 4
        assert answer.server == str(good)
        assert len([task for task in asyncio.all_tasks() if "ask_one" in repr(task)]) == 0


async def test_fan_out_asks_the_next_group_when_all_of_the_first_have_failed() -> None:
    settings = ClientSettings(retries_count=0, policy=Policy.FANOUT, fanout=2)
    seen: list[str] = []
    async with scripted_server(answering(bodies(), seen=seen)) as good:
        with refused_address() as refused:
            nobody = [refused, *(Address(f"127.0.0.{n}", refused.port) for n in range(2, 6))]
            async with connection_to(*nobody, good, settings=settings, seed=3) as cluster:
                answer = await cluster.cluster_id(timeout_ms=3000)
    assert answer.server == str(good)
    assert seen == ["GetClusterId"]


async def test_a_kept_connection_that_died_is_made_anew_without_a_failure() -> None:
    peers: list[Peer] = []
    serve = answering(bodies())

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await serve(peer)

    async with scripted_server(script) as address, connection_to(address) as cluster:
        await cluster.cluster_id()
        peers[0].reset()
        assert (await cluster.active_master()).value == MASTER
        assert len(peers) == 2


async def test_a_connection_on_which_a_call_was_lost_is_not_used_again() -> None:
    """A server that was stopped and has come back, or a firewall that forgot the connection."""
    serve = answering(bodies())
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await (peer.hang() if connections == 1 else serve(peer))

    settings = ClientSettings(retries_count=1, pause_ms=1, rpc_timeout_ms=80)
    async with scripted_server(script) as address, connection_to(address, settings=settings) as cluster:
        assert (await cluster.cluster_id(timeout_ms=3000)).value == CLUSTER_ID
    assert connections == 2


@pytest.mark.parametrize("meta", [True, False])
async def test_operation_timeouts_hold_without_a_deadline(meta: bool) -> None:
    """hbase.client.meta.operation.timeout is for the location of meta, hbase.client.operation.timeout for the rest."""
    settings = ClientSettings(
        retries_count=0,
        operation_timeout_ms=3_600_000 if meta else 80,
        meta_operation_timeout_ms=80 if meta else 3_600_000,
    )
    async with scripted_server(hanging) as address, connection_to(address, settings=settings) as cluster:
        with pytest.raises(RegistryLookupError):
            async with asyncio.timeout(3):
                await (cluster.meta_locations() if meta else cluster.active_master())


async def test_meta_that_is_on_no_server_is_not_found() -> None:
    """A real cache holds entries for replicas that are in transition, too."""
    nowhere = Registry_pb2.GetMetaRegionLocationsResponse.FromString(bodies()["GetMetaRegionLocations"])
    nowhere.meta_locations[0].ClearField("server_name")
    answers = {**bodies(), "GetMetaRegionLocations": nowhere.SerializeToString()}
    async with scripted_server(answering(answers)) as address, connection_to(address) as cluster:
        with pytest.raises(RegistryLookupError, match="knows no location of hbase:meta"):
            await cluster.meta_locations()
        nowhere.meta_locations.add().CopyFrom(
            Registry_pb2.GetMetaRegionLocationsResponse.FromString(bodies()["GetMetaRegionLocations"]).meta_locations[0]
        )
        nowhere.meta_locations[0].region_info.replica_id = 1
        answers["GetMetaRegionLocations"] = nowhere.SerializeToString()
        found = (await cluster.meta_locations()).value
        assert [(each.replica_id, each.server_name) for each in found] == [(0, META), (1, None)]


async def test_idle_connections_are_closed() -> None:
    ended = asyncio.Event()
    serve = answering(bodies())

    async def script(peer: Peer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await serve(peer)
        ended.set()

    settings = ClientSettings(retries_count=0, idle_timeout_ms=30)
    async with scripted_server(script) as address, connection_to(address, settings=settings) as cluster:
        await cluster.cluster_id()
        await asyncio.wait_for(ended.wait(), 2)
        cluster.refresh()
        assert (await cluster.cluster_id()).value == CLUSTER_ID


async def test_several_clusters_in_one_process() -> None:
    other = bodies(cluster_id="other", master=None)
    async with (
        scripted_server(answering(bodies())) as one,
        scripted_server(answering(other)) as two,
        connection_to(one) as first,
        connection_to(two) as second,
    ):
        ids = await asyncio.gather(first.cluster_id(), second.cluster_id())
        assert [answer.value for answer in ids] == [CLUSTER_ID, "other"]


async def test_waiting_for_another_ones_look_up_keeps_its_own_deadline() -> None:
    async with scripted_server(hanging) as address, connection_to(address) as cluster:
        patient = asyncio.create_task(cluster.cluster_id(timeout_ms=5000))
        await asyncio.sleep(0.02)
        begin = time.monotonic()
        with pytest.raises(RegistryLookupError, match=str(address)) as caught:
            await cluster.cluster_id(timeout_ms=50)
        assert time.monotonic() - begin < 4
        assert caught.value.timed_out
        patient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await patient


async def test_a_callers_own_timeout_is_left_alone() -> None:
    async with scripted_server(hanging) as address, connection_to(address) as cluster:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await cluster.cluster_id()


async def test_close_ends_look_ups_and_tasks() -> None:
    async with scripted_server(hanging) as address:
        cluster = connection_to(address)
        lookup = asyncio.create_task(cluster.cluster_id())
        await asyncio.sleep(0.02)
        await cluster.close()
        await cluster.close()
        with pytest.raises(StoppedRpcClientException):
            await lookup
        with pytest.raises(StoppedRpcClientException):
            await cluster.active_master()
        left = [task for task in asyncio.all_tasks() if task.get_name().startswith("refresh")]
        assert left == []


async def test_a_connection_closed_at_once_has_followed_nothing() -> None:
    """It warned of a coroutine that was never awaited, below what a command line had to say."""

    async def changes() -> None:
        pytest.fail("begun after the end")

    async with scripted_server(hanging) as address:
        cluster = connection_to(address)
        cluster.follow(changes)
        await cluster.close()
    gc.collect()


async def test_answers_of_another_kind_than_asked_for_do_not_get_in() -> None:
    nonsense = {**bodies(), "GetActiveMaster": b"\x0a\x04\x0a\x02\xff\xfe"}
    async with scripted_server(answering(nonsense)) as address, connection_to(address) as cluster:
        with pytest.raises(RegistryLookupError, match="answers nonsense: host name is not UTF-8"):
            await cluster.active_master()


async def test_what_newer_servers_add_is_ignored() -> None:
    """Unknown fields of every wire type behind each answer and in its header."""
    unknown = bytes.fromhex("f87f 01 f97f 0102030405060708 fa7f 03 6e6577 fd7f 01020304")
    newer = {method: body + unknown for method, body in bodies().items()}

    async def script(peer: Peer) -> None:
        await peer.read_hello()
        while True:
            header, _ = await peer.read_call()
            peer.write(encode_answer(header.call_id, newer[header.method_name], header_extra=unknown))

    async with scripted_server(script) as address, connection_to(address) as cluster:
        assert (await cluster.cluster_id()).value == CLUSTER_ID
        assert (await cluster.active_master()).value == MASTER
        assert (await cluster.masters()).value[0].server_name == MASTER
        assert (await cluster.meta_locations()).value[0].server_name == META
        assert (await cluster.bootstrap_nodes()).version is None


async def test_old_servers_do_not_know_bootstrap_nodes() -> None:
    unknown: dict[str, bytes | HBaseError] = {
        **bodies(),
        "GetBootstrapNodes": DoNotRetryIOException("java.lang.UnsupportedOperationException: GetBootstrapNodes"),
    }
    async with scripted_server(answering(unknown)) as address, connection_to(address) as cluster:
        with pytest.raises(RegistryLookupError, match="UnsupportedOperationException"):
            await cluster.bootstrap_nodes()
        assert (await cluster.cluster_id()).value == CLUSTER_ID
