"""The look-ups over gRPC: what they tell, how new it is, and how they are refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from protos.hbeacon import RegistryV1_pb2 as pb
from registry.grpcface.picture import encode_age
from registry.grpcface.server import REQUEST_BYTES_MAX
from registry.grpcface.service import CODES, LOOKUPS
from registry.lookup.fresh_reader import WAITING_MAX
from registry.lookup.freshness import STALENESS_MS_MAX, ZXID_MAX, Unmet
from registry.lookup.snapshot import Fact, FactState
from tests.support.grpc_face import Face, refusal, serving
from tests.support.rpc import eventually
from tests.support.status import ACTIVE, CLUSTER_ID, STANDBY, small_snapshot, unread_snapshot

SNAPSHOT = small_snapshot()
FRESH = pb.Freshness(fresh=True)
CODE = grpc.StatusCode


def name_of(message: pb.ServerName) -> tuple[str, int, int]:
    return message.host, message.port, message.start_code


async def ask(face: Face, method: str, *, timeout_s: float | None = 10.0, **freshness: Any) -> Any:
    request = getattr(pb, f"{method}Request")(freshness=pb.Freshness(**freshness) if freshness else None)
    return await getattr(face.registry, method)(request, timeout=timeout_s)


async def test_each_look_up_tells_its_fact_and_how_new_it_is() -> None:
    async with serving() as face:
        face.clock.advance(41.4)
        whole = await ask(face, "GetRegistry")
        for method, facts in LOOKUPS.items():
            answer = await ask(face, method)
            assert (answer.version.generation, answer.version.zxid) == (1, SNAPSHOT.version.zxid)
            assert (answer.age_ms, answer.complete) == (41, True)
            for fact in facts:
                assert getattr(answer, fact) == getattr(whole, fact)
                assert getattr(answer, fact).state == pb.FACT_STATE_KNOWN
            assert len(answer.ListFields()) == 3 + len(facts)
        assert whole.cluster_id.cluster_id == CLUSTER_ID
        assert whole.cluster_id.changed_zxid == SNAPSHOT.cluster_id.changed_zxid
        assert name_of(whole.active_master.server_name) == (ACTIVE.host, ACTIVE.port, ACTIVE.start_code)
        assert whole.active_master.info_port == 16010
        assert [(name_of(row.server_name)[0], row.is_active) for row in whole.masters.masters] == [
            (ACTIVE.host, True),
            (STANDBY.host, False),
        ]
        assert whole.masters.source == "tier"
        (meta,) = whole.meta_region_locations.locations
        assert (meta.replica_id, meta.server_name.host, meta.region_state) == (0, "rs0.example.org", "OPEN")
        assert [name_of(row)[0] for row in whole.bootstrap_nodes.servers] == [STANDBY.host]
        assert face.server.service.calls == {**dict.fromkeys(LOOKUPS, 1), "GetRegistry": 2, "WatchRegistry": 0}


async def test_what_is_not_read_yet_is_told_as_that() -> None:
    async with serving(snapshot=unread_snapshot()) as face:
        answer = await ask(face, "GetClusterId")
        assert answer.cluster_id.state == pb.FACT_STATE_UNREAD
        assert not answer.complete
        assert not answer.HasField("age_ms")
        states = {
            FactState.ABSENT: pb.FACT_STATE_ABSENT,
            FactState.FORBIDDEN: pb.FACT_STATE_FORBIDDEN,
            FactState.UNDECODABLE: pb.FACT_STATE_UNDECODABLE,
        }
        for state, told in states.items():
            fact: Fact[str] = Fact(state, "/hbase/hbaseid", None, 7, "why")
            face.source.snapshot = replace(SNAPSHOT, cluster_id=fact)
            face.move_version(8)
            cluster_id = (await ask(face, "GetClusterId")).cluster_id
            assert (cluster_id.state, cluster_id.changed_zxid, cluster_id.problem) == (told, 7, "why")


def test_an_age_is_whole_milliseconds_and_never_negative() -> None:
    assert pb.GetRegistryResponse.FromString(encode_age(-3.0)).age_ms == 0
    assert pb.GetRegistryResponse.FromString(encode_age(1e300)).age_ms == (1 << 64) - 1
    assert not pb.GetRegistryResponse.FromString(encode_age(float("inf"))).HasField("age_ms")


async def test_a_fresh_answer_waits_for_the_read_that_all_share() -> None:
    async with serving() as face:
        tasks = [asyncio.create_task(ask(face, method, fresh=True)) for method in LOOKUPS]
        await eventually(lambda: len(face.source.waiting) == len(LOOKUPS))
        face.clock.advance(1.0)
        face.move_cluster(2, SNAPSHOT.version.zxid + 9)
        face.source.read()
        answers = await asyncio.gather(*tasks)
        assert {answer.version.zxid for answer in answers} == {SNAPSHOT.version.zxid + 9}
        assert answers[0].cluster_id.cluster_id == "cluster-2"
        await ask(face, "GetMasters", min_zxid=SNAPSHOT.version.zxid + 9, generation=1, max_staleness_ms=1)
        assert len(face.source.asked) == len(LOOKUPS), "that was met as it was"


async def test_refusals_have_codes_of_their_own() -> None:
    async with serving() as face:
        behind = asyncio.create_task(refusal(ask(face, "GetClusterId", min_zxid=SNAPSHOT.version.zxid + 1)))
        await eventually(lambda: face.source.waiting)
        face.clock.advance(1.0)
        face.source.read()
        code, text = await behind
        assert code is CODE.FAILED_PRECONDITION
        assert f"0x{SNAPSHOT.version.zxid + 1:x} is asked for" in text
        face.clock.advance(1.0)
        silent = asyncio.create_task(refusal(ask(face, "GetClusterId", fresh=True)))
        await eventually(lambda: face.source.waiting)
        face.source.run_out()
        code, text = await silent
        assert code is CODE.UNAVAILABLE
        assert "has not answered" in text
        face.reader.waiting_count = WAITING_MAX
        assert (await refusal(ask(face, "GetClusterId", fresh=True)))[0] is CODE.RESOURCE_EXHAUSTED
        assert (await ask(face, "GetClusterId")).cluster_id.cluster_id == CLUSTER_ID
        face.refusing = True
        code, text = await refusal(ask(face, "GetClusterId"))
        assert code is CODE.UNAVAILABLE
        assert "hbeacon.registry.stale" in text
        assert set(CODES) == set(Unmet)


async def test_the_clients_deadline_is_heeded() -> None:
    async with serving() as face:
        late = asyncio.create_task(refusal(ask(face, "GetClusterId", timeout_s=0.3, fresh=True)))
        await eventually(lambda: face.source.waiting)
        assert 0 < face.source.asked[-1] < 300
        assert (await late)[0] is CODE.DEADLINE_EXCEEDED
        await eventually(lambda: not face.reader.waiting_count)


@pytest.mark.parametrize(
    "freshness",
    [{"min_zxid": ZXID_MAX + 1}, {"generation": ZXID_MAX + 1}, {"max_staleness_ms": int(STALENESS_MS_MAX) + 1}],
)
async def test_numbers_out_of_range(freshness: dict[str, int]) -> None:
    async with serving() as face:
        code, text = await refusal(ask(face, "GetClusterId", **freshness))
        assert code is CODE.INVALID_ARGUMENT
        assert "at most" in text


async def test_a_request_that_is_too_long_or_nonsense() -> None:
    async with serving() as face:
        path = "/hbeacon.registry.v1.Registry/GetClusterId"
        assert (await refusal(face.channel.unary_unary(path)(bytes(REQUEST_BYTES_MAX + 1))))[
            0
        ] is CODE.RESOURCE_EXHAUSTED
        code, _ = await refusal(face.channel.unary_unary(path)(b"\xff\xff"))
        assert code in {CODE.INTERNAL, CODE.UNKNOWN}
        code, _ = await refusal(face.channel.unary_unary("/hbeacon.registry.v1.Registry/Nothing")(b""))
        assert code is CODE.UNIMPLEMENTED
        assert (await ask(face, "GetClusterId")).cluster_id.cluster_id == CLUSTER_ID


# --- health ---------------------------------------------------------------------------------------------------------


async def test_health_says_whether_clients_may_be_sent_here() -> None:
    async with serving() as face:
        stub: Any = health_pb2_grpc.HealthStub(face.channel)  # type: ignore[no-untyped-call]
        response = health_pb2.HealthCheckResponse

        async def check(service: str = "") -> int:
            return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status

        for service in ("", "hbeacon.registry.v1.Registry"):
            assert await check(service) == response.SERVING
        assert (await refusal(check("nobody")))[0] is CODE.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        assert (await watch.read()).status == response.SERVING
        assert (await unknown.read()).status == response.SERVICE_UNKNOWN
        face.ready = False
        assert (await watch.read()).status == response.NOT_SERVING
        assert await check() == response.NOT_SERVING
        face.ready = True
        assert (await watch.read()).status == response.SERVING
        face.server.drain()
        assert (await watch.read()).status == response.NOT_SERVING
        assert await watch.read() is cast("Any", grpc.aio).EOF
        assert await check() == response.NOT_SERVING, "for good, whatever is looked at"


# --- reflection -----------------------------------------------------------------------------------------------------


async def test_reflection_tells_everything_that_a_tool_needs() -> None:
    async with serving() as face:

        def look() -> tuple[list[str], set[str], set[str]]:
            with grpc.insecure_channel(face.address) as channel:
                database: Any = ProtoReflectionDescriptorDatabase(channel)  # type: ignore[no-untyped-call]
                file = database.FindFileContainingSymbol("hbeacon.registry.v1.Registry")
                methods = {method.name for method in file.service[0].method}
                return list(database.get_services()), methods, {message.name for message in file.message_type}

        services, methods, messages = await asyncio.to_thread(look)
        assert {"hbeacon.registry.v1.Registry", "grpc.health.v1.Health"} <= set(services)
        assert methods == {*LOOKUPS, "WatchRegistry"}
        assert {"Freshness", "WatchRegistryResponse", "ServerName"} <= messages
