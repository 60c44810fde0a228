"""Facts as the bytes of gRPC messages, encoded once per snapshot and put together by concatenation.

All answers of `hbeacon.registry.v1` have the same fields under the same numbers, and a protobuf message is the sequence
of its fields, so an answer is: version and completeness, the facts it tells, and the age at the moment it is sent.

Source: https://protobuf.dev/programming-guides/encoding/; protos/hbeacon/RegistryV1.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from protos.hbeacon import RegistryV1_pb2 as pb
from registry.lookup.handout import HandOut
from registry.lookup.snapshot import Fact, FactState, Snapshot, Version
from registry.names import ServerName
from registry.wire.framing import delimited, encode_varint

FACTS: Mapping[str, int] = {
    name: pb.GetRegistryResponse.DESCRIPTOR.fields_by_name[name].number
    for name in ("cluster_id", "active_master", "masters", "meta_region_locations", "bootstrap_nodes")
}
"""Fact to its field number."""

_WIRE_DELIMITED = 2
_AGE_TAG = encode_varint(pb.GetRegistryResponse.DESCRIPTOR.fields_by_name["age_ms"].number << 3)
_KIND_TAG = encode_varint(pb.WatchRegistryResponse.DESCRIPTOR.fields_by_name["kind"].number << 3)
_UINT64_MAX = (1 << 64) - 1

_STATES = {
    FactState.UNREAD: pb.FACT_STATE_UNREAD,
    FactState.ABSENT: pb.FACT_STATE_ABSENT,
    FactState.FORBIDDEN: pb.FACT_STATE_FORBIDDEN,
    FactState.UNDECODABLE: pb.FACT_STATE_UNDECODABLE,
    FactState.KNOWN: pb.FACT_STATE_KNOWN,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is told at one version."""

    version: Version
    complete: bool
    head: bytes
    """`version` and `complete`, encoded."""
    fields: Mapping[str, bytes]
    """Fact to its field: tag, length, message."""

    def encode(self, names: Iterable[str] = FACTS) -> bytes:
        """An answer that tells these facts, but for its age."""
        return self.head + b"".join(self.fields[name] for name in names)


def encode_age(age_ms: float) -> bytes:
    """The field `age_ms`, which may stand anywhere in an answer; nothing while the age is infinite."""
    if age_ms == float("inf"):
        return b""
    return _AGE_TAG + encode_varint(min(round(max(age_ms, 0.0)), _UINT64_MAX))


def encode_kind(kind: pb.WatchRegistryResponse.Kind) -> bytes:
    """The field `kind` of WatchRegistryResponse."""
    return _KIND_TAG + encode_varint(kind)


def take_picture(snapshot: Snapshot, handout: HandOut) -> Picture:
    """Encode a snapshot and the lists that clients are given."""
    version = pb.Version(generation=snapshot.version.generation, zxid=snapshot.version.zxid)
    head = pb.GetRegistryResponse(version=version, complete=snapshot.complete).SerializeToString()
    facts: dict[str, Message] = {
        "cluster_id": _cluster_id(snapshot.cluster_id),
        "active_master": _active_master(snapshot),
        "masters": _masters(snapshot, handout),
        "meta_region_locations": _meta_locations(snapshot),
        "bootstrap_nodes": _bootstrap_nodes(snapshot, handout),
    }
    fields = {
        name: encode_varint(FACTS[name] << 3 | _WIRE_DELIMITED) + delimited(fact.SerializeToString())
        for name, fact in facts.items()
    }
    return Picture(snapshot.version, snapshot.complete, head, fields)


def _cluster_id(fact: Fact[str]) -> pb.ClusterId:
    return pb.ClusterId(
        state=_STATES[fact.state], changed_zxid=fact.changed_zxid, problem=fact.problem, cluster_id=fact.value or ""
    )


def _active_master(snapshot: Snapshot) -> pb.ActiveMaster:
    fact = snapshot.active_master
    message = pb.ActiveMaster(state=_STATES[fact.state], changed_zxid=fact.changed_zxid, problem=fact.problem)
    if fact.value is not None:
        message.server_name.CopyFrom(_server_name(fact.value.server_name))
        message.info_port = fact.value.info_port
    return message


def _masters(snapshot: Snapshot, handout: HandOut) -> pb.Masters:
    behind = (snapshot.active_master, snapshot.backup_masters)
    return pb.Masters(
        state=_list_state(behind, handout.masters),
        changed_zxid=max(fact.changed_zxid for fact in behind),
        problem="; ".join(fact.problem for fact in behind if fact.problem),
        masters=[
            pb.Masters.Master(server_name=_server_name(name), is_active=name == handout.active_master)
            for name in handout.masters
        ],
        source=handout.source,
    )


def _meta_locations(snapshot: Snapshot) -> pb.MetaRegionLocations:
    fact = snapshot.meta_locations
    return pb.MetaRegionLocations(
        state=_STATES[fact.state],
        changed_zxid=fact.changed_zxid,
        problem=fact.problem,
        locations=[
            pb.MetaRegionLocations.Location(
                replica_id=location.replica_id,
                server_name=_server_name(location.server_name),
                region_state=location.state,
            )
            for location in fact.value or ()
        ],
    )


def _bootstrap_nodes(snapshot: Snapshot, handout: HandOut) -> pb.BootstrapNodes:
    fact = snapshot.region_servers
    return pb.BootstrapNodes(
        state=_list_state((fact,), handout.bootstrap_nodes),
        changed_zxid=fact.changed_zxid,
        problem=fact.problem,
        servers=[_server_name(name) for name in handout.bootstrap_nodes],
        source=handout.source,
    )


def _list_state(behind: Iterable[Fact[object]], names: tuple[ServerName, ...]) -> pb.FactState:
    """A list that names somebody is known, also where a tier is handed out while ZooKeeper tells nothing."""
    unknown = (fact.state for fact in behind if fact.state not in {FactState.KNOWN, FactState.ABSENT})
    return pb.FACT_STATE_KNOWN if names else _STATES[next(unknown, FactState.KNOWN)]


def _server_name(name: ServerName) -> pb.ServerName:
    return pb.ServerName(host=name.host, port=name.port, start_code=max(name.start_code, 0))
