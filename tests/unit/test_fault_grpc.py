"""Faults over gRPC: the same verbs and the same rule of who may, in a server that lists the service by reflection."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from protos.hbeacon import FaultsV1_pb2 as pb
from protos.hbeacon import RegistryV1_pb2
from protos.hbeacon.FaultsV1_pb2_grpc import FaultsStub
from registry.faults.control import FaultAccess
from registry.faults.machine import FaultRow
from registry.faults.rules import BadFault, FaultKind, parse_rule
from registry.grpcface.faults import SERVICE, document_of, peer_host, status_of
from registry.grpcface.health import Context
from tests.support.grpc_face import refusal, serving
from tests.support.rpc import eventually
from tests.support.status import CLUSTER_ID, FakeStatus, allow_faults


async def services(channel: Any) -> set[str]:
    stub = cast("Any", reflection_pb2_grpc.ServerReflectionStub)(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([asked])):
        return {service.name for service in answer.list_services_response.service}
    raise AssertionError("no answer")


async def test_set_listed_removed_and_cleared() -> None:
    control = allow_faults(FakeStatus())
    async with serving(faults=control) as face:
        assert SERVICE in await services(face.channel)
        faults = cast("Any", FaultsStub)(face.channel)
        hang = pb.Fault(kind=pb.FAULT_KIND_HANG, methods=["Get*", "Regist"], probability=0.25, seed=9, count=2)
        made = (await faults.SetFault(pb.SetFaultRequest(fault=hang))).fault
        assert (made.id, made.sentence) == (1, "hang of Get*, Regist, 25 %, 2 times, seed 9")
        assert made.fault == hang
        delay = pb.Fault(kind=pb.FAULT_KIND_DELAY, delay_ms=5, delay_most_ms=9, peers=["10.0.0.0/8"])
        assert (await faults.SetFault(pb.SetFaultRequest(fault=delay))).fault.id == 2
        listed = (await faults.ListFaults(pb.ListFaultsRequest())).faults
        assert [row.id for row in listed] == [1, 2]
        assert (listed[1].fault.delay_ms, listed[1].fault.delay_most_ms, listed[1].fault.seed) == (5, 9, 1)
        assert not listed[1].HasField("left_ms")
        await faults.RemoveFault(pb.RemoveFaultRequest(id=1))
        assert (await refusal(faults.RemoveFault(pb.RemoveFaultRequest(id=1))))[0] == grpc.StatusCode.NOT_FOUND
        assert (await faults.ClearFaults(pb.ClearFaultsRequest())).cleared == 1
        assert not control.rows()
        for bad, part in (
            (pb.Fault(), "a fault has a kind"),
            (pb.Fault(kind=pb.FAULT_KIND_HANG, methods=["GetClusterID"]), "did you mean GetClusterId"),
            (pb.Fault(kind=pb.FAULT_KIND_HANG, probability=7), "from 0 to 1"),
            (pb.Fault(kind=pb.FAULT_KIND_HANG, delay_ms=7), "belongs to the kind delay"),
            (pb.Fault(kind=pb.FAULT_KIND_DELAY, delay_most_ms=7), "goes with delay_ms"),
        ):
            code, details = await refusal(faults.SetFault(pb.SetFaultRequest(fault=bad)))
            assert code == grpc.StatusCode.INVALID_ARGUMENT
            assert part in details
        assert not control.rows()


async def test_only_with_the_token() -> None:
    control = allow_faults(FakeStatus(), FaultAccess("sesame"))
    async with serving(faults=control) as face:
        faults = cast("Any", FaultsStub)(face.channel)
        asked = pb.SetFaultRequest(fault=pb.Fault(kind=pb.FAULT_KIND_STALE))
        for metadata, part in (
            ((), "a token is needed"),
            ((("authorization", "Bearer sesam"),), "the token is another one"),
            ((("authorization", "Bearer sesame"), ("origin", "http://x")), "web pages"),
        ):
            for call in (
                faults.SetFault(asked, metadata=metadata),
                faults.RemoveFault(pb.RemoveFaultRequest(id=1), metadata=metadata),
                faults.ClearFaults(pb.ClearFaultsRequest(), metadata=metadata),
            ):
                code, details = await refusal(call)
                assert code == grpc.StatusCode.PERMISSION_DENIED
                assert part in details
        assert not control.rows()
        await faults.SetFault(asked, metadata=(("authorization", "Bearer sesame"),))
        assert [row.fault.kind for row in (await faults.ListFaults(pb.ListFaultsRequest())).faults] == [
            pb.FAULT_KIND_STALE
        ]


async def test_where_they_are_not_enabled_there_is_no_such_service() -> None:
    async with serving() as face:
        assert SERVICE not in await services(face.channel)
        code, _ = await refusal(cast("Any", FaultsStub)(face.channel).ListFaults(pb.ListFaultsRequest()))
        assert code == grpc.StatusCode.UNIMPLEMENTED


async def test_look_ups_of_grpc_are_late_or_held_too() -> None:
    control = allow_faults(FakeStatus())
    asked = RegistryV1_pb2.GetClusterIdRequest()
    async with serving(faults=control) as face:

        async def cluster_id(timeout_s: float = 10.0) -> str:
            return (await face.registry.GetClusterId(asked, timeout=timeout_s)).cluster_id.cluster_id

        def put(kind: str, **fields: object) -> None:
            control.add(parse_rule({"kind": kind, **fields}), "a test")

        assert await cluster_id() == CLUSTER_ID
        put("delay", methods=["GetClusterId"], delay_ms=150, count=1)
        begun_s = time.monotonic()
        assert await cluster_id() == CLUSTER_ID
        assert time.monotonic() - begun_s >= 0.145
        for kind in ("half", "reset", "drop", "stale", "wrong-cluster-id", "refuse", "hang-accept"):
            put(kind, seed=1)  # of HBase's RPC alone
        assert await cluster_id() == CLUSTER_ID
        assert not any(row.matched for row in control.rows())
        put("hang", methods=["GetClusterId", "WatchRegistry", "GetRegistry"])
        assert (await refusal(cluster_id(0.2)))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
        held = [asyncio.ensure_future(cluster_id()) for _ in range(3)]
        stream = face.registry.WatchRegistry(RegistryV1_pb2.WatchRegistryRequest())
        first = asyncio.ensure_future(stream.read())
        assert (await face.registry.GetActiveMaster(RegistryV1_pb2.GetActiveMasterRequest())).complete
        await eventually(lambda: control.applied[FaultKind.HANG] == 5)
        assert not any(each.done() for each in (*held, first))
        control.clear("a test")
        for each in (*held, first):
            code, details = await refusal(each)
            assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "a fault that was set on purpose is over")
        assert await cluster_id() == CLUSTER_ID


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_stays_the_same_both_ways(kind: FaultKind) -> None:
    document: dict[str, object] = {
        "kind": kind.value,
        "peers": ["10.0.0.0/8"],
        "count": 3,
        "seed": 4,
        "duration_ms": 50,
    }
    document |= {FaultKind.DELAY: {"delay_ms": [1, 2]}, FaultKind.HALF: {"bytes": 3}}.get(kind, {})
    rule = parse_rule(document)
    assert parse_rule(document_of(status_of(FaultRow(1, rule, 0, 0, None)).fault)) == rule


def test_a_kind_of_a_later_version_is_refused() -> None:
    with pytest.raises(BadFault, match="a fault has a kind"):
        parse_rule(document_of(pb.Fault(kind=cast("Any", 99))))


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("ipv6:[::ffff:10.0.0.1]:4711", "::ffff:10.0.0.1"),
        ("unix:/tmp/x", ""),
        ("", ""),
    ],
)
def test_whose_call_it_is(peer: str, host: str) -> None:
    class Called:
        def peer(self) -> str:
            return peer

    assert peer_host(cast("Context", Called())) == host
