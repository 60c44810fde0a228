"""An adapter's answers beside those of the real servers, by bytes.

What may differ is named where it is masked: the order of bootstrap nodes (a random sample in HBase), Java's stack
traces, and the addresses of server and peer in the text of an error.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator

import pytest

from protos.hbase import Registry_pb2, RPC_pb2
from tests.support import registry_probe
from tests.support.adapters import AdapterProcess
from tests.support.hbase import HBaseCluster
from tests.support.processes import wait_for
from tests.support.real_cluster import RealClusters
from tests.support.registry_probe import (
    METHODS,
    REGISTRY_PREAMBLE,
    SECURITY_PREAMBLE,
    ChannelClosedError,
    varint,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

Address = tuple[str, int]


@pytest.fixture(scope="module")
def adapter(clusters: RealClusters) -> Generator[AdapterProcess]:
    """Hands out the real servers, as a real master does."""
    started = clusters.adapter(clusters.current, settings={"hbeacon.registry.handout": "cluster"}).wait_ready()
    yield started
    started.close()


def _masters(cluster: HBaseCluster) -> tuple[Address, Address]:
    """The active one and the standby."""
    active = int(cluster.witness.master.last().split(",")[1])
    (standby,) = (port for port in cluster.master_ports if port != active)
    return (cluster.bind, active), (cluster.bind, standby)


@pytest.mark.parametrize("call_id", [0, 1, 127, 128, 2**31 - 1])
@pytest.mark.parametrize("method", METHODS)
def test_every_method(clusters: RealClusters, adapter: AdapterProcess, method: str, call_id: int) -> None:
    ours = registry_probe.call(adapter.rpc_address, method, call_id=call_id)
    for server in _masters(clusters.current):
        theirs = registry_probe.call(server, method, call_id=call_id)
        assert ours.header == theirs.header
        if method == "GetBootstrapNodes":
            assert _nodes(ours.body) == _nodes(theirs.body)
            assert len(ours.body) == len(theirs.body)
        else:
            assert ours.body == theirs.body


def _nodes(body: bytes) -> list[bytes]:
    names = Registry_pb2.GetBootstrapNodesResponse.FromString(body).server_name
    assert names, "a live cluster has region servers"
    return sorted(name.SerializeToString() for name in names)


def test_a_region_server_says_the_same(clusters: RealClusters, adapter: AdapterProcess) -> None:
    """HBase 2.5 and later. Its bootstrap nodes are a list of its own, filled half a minute after its start.

    Standby masters are left out of its GetMasters for as long as it runs when there was none at its start (seen with
    2.6.4, with /hbase/backup-masters full): of that answer the active master is compared.
    """
    server = (clusters.current.bind, clusters.current.region_server_ports[0])
    for method in ("GetClusterId", "GetActiveMaster", "GetMetaRegionLocations"):
        assert registry_probe.call(adapter.rpc_address, method) == registry_probe.call(server, method), method
    ours = registry_probe.call(adapter.rpc_address, "GetMasters").body
    theirs = registry_probe.call(server, "GetMasters").body
    assert ours.startswith(theirs[: 2 + theirs[1]])


def test_registry_preamble(clusters: RealClusters, adapter: AdapterProcess) -> None:
    """Every byte until the server closes: one frame."""
    ours = registry_probe.raw_exchange(adapter.rpc_address, REGISTRY_PREAMBLE)
    for server in _masters(clusters.current):
        assert ours == registry_probe.raw_exchange(server, REGISTRY_PREAMBLE)
    assert len(ours) > 40


def test_security_preamble(clusters: RealClusters, adapter: AdapterProcess) -> None:
    """Refused on an insecure cluster; the connection stays open for the ordinary preamble."""
    ours = registry_probe.preamble(adapter.rpc_address, SECURITY_PREAMBLE)
    for server in _masters(clusters.current):
        theirs = registry_probe.preamble(server, SECURITY_PREAMBLE)
        assert _without_stack(ours.header) == _without_stack(theirs.header)
        assert ours.body == theirs.body
    question = SECURITY_PREAMBLE + b"HBas\x00\x50" + _hello() + _request("GetClusterId")
    for server in (adapter.rpc_address, _masters(clusters.current)[0]):

        def is_answered(server: Address = server) -> bool:
            received = registry_probe.raw_exchange(server, question, timeout_s=1.0)
            return len(received) > 4 and len(received) > 4 + struct.unpack(">i", received[:4])[0]

        wait_for(f"{server}: something after the refusal", is_answered, 20)


def test_unknown_method(clusters: RealClusters, adapter: AdapterProcess) -> None:
    ours = registry_probe.call(adapter.rpc_address, "GetNothing")
    theirs = registry_probe.call(_masters(clusters.current)[0], "GetNothing")
    assert ours.exception == theirs.exception != ""
    assert _error(ours.header, adapter.rpc_address) == _error(theirs.header, _masters(clusters.current)[0])


@pytest.mark.parametrize("service", ["NoSuchService", ""])
def test_unknown_service(clusters: RealClusters, adapter: AdapterProcess, service: str) -> None:
    """Closed without a word, after the connection header."""
    for server in (adapter.rpc_address, _masters(clusters.current)[0]):
        with pytest.raises(ChannelClosedError):
            registry_probe.call(server, "GetClusterId", service=service)


@pytest.mark.parametrize("opening", [b"GET / ", b"HBas\x01\x50", b"HBas\x00\x63", b"\x00\x00\x00\x00\x00\x00"])
def test_wrong_preamble(clusters: RealClusters, adapter: AdapterProcess, opening: bytes) -> None:
    """The same frame (or the same silence), then the end of the connection."""
    server = _masters(clusters.current)[0]
    ours = registry_probe.raw_exchange(adapter.rpc_address, opening, timeout_s=10.0)
    theirs = registry_probe.raw_exchange(server, opening, timeout_s=10.0)
    assert bool(ours) == bool(theirs)
    if theirs:
        assert _error(_header(ours), adapter.rpc_address) == _error(_header(theirs), server)


def test_auto_hands_out_the_real_servers_that_answer(clusters: RealClusters) -> None:
    """Without a tier the self-check finds that every server of a 2.6.4 speaks the service."""
    cluster = clusters.current
    real_masters = sorted(f"{cluster.bind}:{port}" for port in cluster.master_ports)
    region_servers = sorted(f"{cluster.bind}:{port}" for port in cluster.region_server_ports)
    adapter = clusters.adapter(cluster).wait_ready()
    try:

        def all_handed_out() -> bool:
            masters, nodes = registry_probe.handed_out(adapter.rpc_address)
            return sorted(masters) == real_masters and sorted(nodes) == region_servers

        wait_for("every real server in the hand-out", all_handed_out, 20)
    finally:
        adapter.close()


def _hello() -> bytes:
    hello = RPC_pb2.ConnectionHeader(service_name="ClientMetaService")
    hello.user_info.effective_user = "probe"
    data = hello.SerializeToString()
    return struct.pack(">i", len(data)) + data


def _request(method: str) -> bytes:
    header = RPC_pb2.RequestHeader(call_id=7, method_name=method, request_param=True).SerializeToString()
    data = varint(len(header)) + header + varint(0)
    return struct.pack(">i", len(data)) + data


def _header(frame: bytes) -> bytes:
    length = frame[4]
    assert length < 0x80 or frame[5] < 0x80, frame[:8]
    start, size = (5, length) if length < 0x80 else (6, (length & 0x7F) | frame[5] << 7)
    return frame[start : start + size]


def _without_stack(header: bytes) -> RPC_pb2.ResponseHeader:
    """The header with Java's stack trace cut to its first line, which is the message."""
    parsed = RPC_pb2.ResponseHeader.FromString(header)
    parsed.exception.stack_trace = parsed.exception.stack_trace.split("\n")[0].strip()
    return parsed


def _error(header: bytes, server: Address) -> RPC_pb2.ResponseHeader:
    parsed = _without_stack(header)
    text = parsed.exception.stack_trace.replace(f"{server[0]}:{server[1]}", "SERVER")
    parsed.exception.stack_trace = re.sub(r" from [0-9.]+:\d+", " from PEER", text)
    return parsed
