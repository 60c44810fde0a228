"""What znodes mean: from the bytes that HBase keeps in ZooKeeper to the facts that lookups answer.

Pure functions. A znode that may not be read, or whose bytes are not what HBase writes there, spoils nothing but
itself; the sentence that comes with it names the cure.

Source: MasterAddressTracker, ActiveMasterManager, MetaRegionLocationCache, RegionServerTracker, ZNodePaths
(isClientReadable: what may be read on a secure cluster).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from registry.lookup.snapshot import FactState, Master, MetaLocation, RegionServer, Znode
from registry.names import ServerName
from registry.wire import znode as wire
from registry.wire.error_base import ProtocolError

T = TypeVar("T")

PROBLEMS_SHOWN_MAX = 3
"""A sentence for people names this many of the znodes concerned, and says how many more there are."""


@dataclass(frozen=True, slots=True)
class Decoded(Generic[T]):
    """The meaning of one znode, or of a znode and its children."""

    state: FactState
    value: T | None = None
    problem: str = ""


UNREAD: Decoded[Any] = Decoded(FactState.UNREAD)

Decoder = Callable[[Znode], Decoded[Any]]


def forbidden(path: str) -> str:
    """Why nothing is known of a znode that the ACL keeps us out of, and what to grant."""
    return (
        f"{path} may not be read: grant READ on it (zkCli: setAcl {path} with world:anyone:r added to the entries"
        " that getAcl shows) or give a credential that may read it with hbeacon.zookeeper.auth"
    )


def _decoder(decode: Callable[[Znode], T]) -> Callable[[Znode], Decoded[T]]:
    def decoded(znode: Znode) -> Decoded[T]:
        if znode.state is FactState.FORBIDDEN:
            return Decoded(FactState.FORBIDDEN, None, forbidden(znode.path))
        if znode.state is not FactState.KNOWN:
            return Decoded(znode.state)
        try:
            return Decoded(FactState.KNOWN, decode(znode))
        except ProtocolError as error:
            return Decoded(FactState.UNDECODABLE, None, f"{znode.path} holds what HBase does not write there: {error}")

    return decoded


@_decoder
def cluster_id(znode: Znode) -> str:
    """`hbaseid`."""
    return wire.decode_cluster_id(znode.data)


@_decoder
def active_master(znode: Znode) -> Master:
    """`master`."""
    return wire.decode_master(znode.data)


@_decoder
def table_state(znode: Znode) -> str:
    """A child of `table`."""
    return wire.decode_table_state(znode.data)


def meta_location(replica_id: int) -> Decoder:
    """Decoder of `meta-region-server` and its like for one replica."""

    @_decoder
    def decode(znode: Znode) -> MetaLocation:
        return wire.decode_meta_location(znode.data, replica_id)

    return decode


def region_server(znode: Znode) -> Decoded[RegionServer]:
    """A child of `rs`: its name suffices, so what may not or cannot be read of its data only leaves details out."""
    name = znode.path.rpartition("/")[2]
    try:
        server = RegionServer(ServerName.parse(name))
    except ValueError as error:
        return Decoded(FactState.UNDECODABLE, None, f"{znode.path}: {error}")
    if znode.state is FactState.FORBIDDEN:
        return Decoded(FactState.KNOWN, server, "the data of children of rs may not be read")
    if znode.state is not FactState.KNOWN:
        return Decoded(FactState.KNOWN if znode.state is FactState.UNREAD else znode.state, server)
    try:
        return Decoded(FactState.KNOWN, wire.decode_region_server(name, znode.data))
    except ProtocolError as error:
        return Decoded(FactState.KNOWN, server, f"{znode.path} holds what HBase does not write there: {error}")


def directory(znode: Znode) -> Decoded[tuple[str, ...]]:
    """The names of the children of a znode whose own data says nothing."""
    if znode.state is FactState.FORBIDDEN:
        return Decoded(FactState.FORBIDDEN, None, forbidden(znode.path))
    if znode.state is not FactState.KNOWN:
        return Decoded(znode.state)
    return Decoded(FactState.KNOWN, znode.children or ())


def opaque(znode: Znode) -> Decoded[bytes]:
    """A znode whose bytes are only handed on."""
    return Decoded(znode.state, znode.data if znode.state is FactState.KNOWN else None)


def backup_masters(parent: Znode) -> Decoded[tuple[ServerName, ...]]:
    """`backup-masters`: the names of its children suffice."""
    if parent.state is not FactState.KNOWN:
        return Decoded(parent.state, None, directory(parent).problem)
    names: list[ServerName] = []
    problems: list[str] = []
    for child in parent.children or ():
        try:
            names.append(ServerName.parse(child))
        except ValueError as error:
            problems.append(f"{parent.path}: {error}")
    return Decoded(FactState.KNOWN, tuple(sorted(names)), _sentence(problems))


def meta_locations(root: Znode, replicas: Iterable[Decoded[MetaLocation]]) -> Decoded[tuple[MetaLocation, ...]]:
    """All replicas of hbase:meta that are known, by replica id; `root` is where their znodes are listed."""
    readings = list(replicas)
    problems = [reading.problem for reading in readings if reading.problem]
    if root.state is FactState.FORBIDDEN:
        problems.append(forbidden(root.path))
    found = [reading.value for reading in readings if reading.value is not None]
    if found:
        found.sort(key=lambda location: location.replica_id)
        return Decoded(FactState.KNOWN, tuple(found), _sentence(problems))
    states = {reading.state for reading in readings}
    for state in (FactState.UNDECODABLE, FactState.FORBIDDEN):
        if state in states:
            return Decoded(state, None, _sentence(problems))
    return Decoded(FactState.ABSENT, None, _sentence(problems))


def region_servers(parent: Znode, members: Iterable[Decoded[RegionServer]]) -> Decoded[tuple[RegionServer, ...]]:
    """`rs` and its children, sorted by name."""
    if parent.state is not FactState.KNOWN:
        return Decoded(parent.state, None, directory(parent).problem)
    found: list[RegionServer] = []
    problems: list[str] = []
    for member in members:
        if member.problem:
            problems.append(member.problem)
        if member.state is FactState.KNOWN and member.value is not None:
            found.append(member.value)
    hidden = "the data of children of rs may not be read"
    if hidden in problems:
        problems = [problem for problem in problems if problem != hidden]
        problems.append(
            f"the data of the children of {parent.path} may not be read, so ports of pages and versions of region"
            " servers are left out: give a credential that may read them with hbeacon.zookeeper.auth"
        )
    found.sort(key=lambda server: server.server_name)
    return Decoded(FactState.KNOWN, tuple(found), _sentence(problems))


def table_states(parent: Znode, members: Mapping[str, Decoded[str]]) -> Decoded[Mapping[str, str]]:
    """`table` and its children: name of the table to its state."""
    if parent.state is not FactState.KNOWN:
        return Decoded(parent.state, None, directory(parent).problem)
    states = {name: member.value for name, member in members.items() if member.value is not None}
    problems = [member.problem for member in members.values() if member.problem]
    return Decoded(FactState.KNOWN, MappingProxyType(states), _sentence(problems))


def _sentence(problems: list[str]) -> str:
    shown = "; ".join(problems[:PROBLEMS_SHOWN_MAX])
    more = len(problems) - PROBLEMS_SHOWN_MAX
    return f"{shown}; and {more} more" if more > 0 else shown
