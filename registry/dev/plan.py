"""Which addresses the roles of one `hbeacon dev` get, and their listening sockets.

HBase's own ports for the first master, 100 more for each further one, and so for region servers, whose ports are 20
above those of the master of the same number: what a person knows by heart is right.
All sockets listen before anything is started: a taken port ends the start at once, and no role races for one.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from registry.config.settings import BadSetting
from registry.names import PORT_MAX, Address
from registry.role.listening import CannotListen, address_of, is_loopback, is_wildcard, listen

PORT_STEP = 100
REGION_SERVER_STEP = 20
"""From 16000 and 16010, HBase's ports of a master, to 16020 and 16030, those of a region server."""
MASTERS_MAX = REGION_SERVERS_MAX = 16
"""Each is a process of some tens of MiB; more would only show that a laptop is busy."""
REGION_SERVERS_UNASKED = 4
"""At most, where nobody has said how many: one for each core."""

ZOOKEEPER_FLAG, RPC_FLAG, HTTP_FLAG, GRPC_FLAG = "--zookeeper-listen", "--rpc", "--http", "--grpc"


@dataclass(frozen=True, slots=True)
class ServerDoors:
    """Where one master or region server listens; port 0 stands for any free one."""

    rpc: Address
    http: Address | None
    """None: no pages."""
    grpc: Address | None = None
    """None: no gRPC."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All addresses. `masters[i]` are those of master number i, `region_servers[i]` of region server number i."""

    zookeeper: Address
    masters: tuple[ServerDoors, ...]
    region_servers: tuple[ServerDoors, ...] = ()


def plan_of(
    zookeeper: Address,
    rpc: Address,
    http: Address | None,
    masters_count: int,
    *,
    region_servers_count: int = 0,
    grpc: Address | None = None,
    free_ports: bool = False,
) -> Plan:
    """Addresses from those of master 0. `free_ports`: any free ones, whatever ports the addresses name.

    Raises BadSetting where the ports of the last server would not be ports.
    """
    if free_ports:
        zookeeper, rpc, http, grpc = _on(zookeeper, 0), _on(rpc, 0), _where(http, 0), _where(grpc, 0)
    return Plan(
        zookeeper,
        tuple(
            _server_doors(rpc, http, grpc, PORT_STEP * number, f"master {number}") for number in range(masters_count)
        ),
        tuple(
            _server_doors(rpc, http, None, PORT_STEP * number + REGION_SERVER_STEP, f"region server {number}")
            for number in range(region_servers_count)
        ),
    )


def _server_doors(rpc: Address, http: Address | None, grpc: Address | None, more: int, whose: str) -> ServerDoors:
    for flag, base in ((RPC_FLAG, rpc), (HTTP_FLAG, http), (GRPC_FLAG, grpc)):
        if base is not None and base.port and base.port + more > PORT_MAX:
            cure = f"{whose} would listen on port {base.port + more}: choose a lower port for master 0"
            raise BadSetting(flag, str(base), "command line", cure)
    return ServerDoors(_moved(rpc, more), _moved(http, more) if http else None, _moved(grpc, more) if grpc else None)


class Doors:
    """The sockets of a plan, listening; `plan` holds their real ports. Close what nobody has taken."""

    def __init__(self, wanted: Plan) -> None:
        """Opens all of them. Raises CannotListen, whose sentence names the flag that mends it."""
        self._sockets: list[socket.socket] = []
        try:
            self.zookeeper = self._open(wanted.zookeeper, ZOOKEEPER_FLAG, "the coordinator")
            self.masters: list[dict[str, socket.socket]] = []
            self.region_servers: list[dict[str, socket.socket]] = []
            masters = [self._server(doors, f"master {n}", self.masters) for n, doors in enumerate(wanted.masters)]
            servers = [
                self._server(doors, f"region server {n}", self.region_servers)
                for n, doors in enumerate(wanted.region_servers)
            ]
        except CannotListen:
            self.close()
            raise
        zookeeper = _on(wanted.zookeeper, address_of(self.zookeeper).port)
        self.plan = Plan(zookeeper, tuple(masters), tuple(servers))

    def close(self) -> None:
        """Let go of every socket; processes that have inherited some keep theirs."""
        for opened in self._sockets:
            opened.close()

    def _server(self, wanted: ServerDoors, whose: str, into: list[dict[str, socket.socket]]) -> ServerDoors:
        """Open the doors of one server, put its sockets into the list, and give the real addresses."""
        opened = {RPC_FLAG: self._open(wanted.rpc, RPC_FLAG, whose)}
        into.append(opened)
        http = None
        if wanted.http is not None:
            opened[HTTP_FLAG] = self._open(wanted.http, HTTP_FLAG, f"the pages of {whose}")
            http = _on(wanted.http, address_of(opened[HTTP_FLAG]).port)
        grpc = self._reserve(wanted.grpc, f"gRPC of {whose}") if wanted.grpc is not None else None
        return ServerDoors(_on(wanted.rpc, address_of(opened[RPC_FLAG]).port), http, grpc)

    def _reserve(self, address: Address, whose: str) -> Address:
        """The port of gRPC, kept by a socket that does not listen: its library opens those that do."""
        opened = open_door(address, GRPC_FLAG, whose, reserve_only=True)
        self._sockets.append(opened)
        return _on(address, address_of(opened).port)

    def _open(self, address: Address, flag: str, whose: str) -> socket.socket:
        opened = open_door(address, flag, whose)
        self._sockets.append(opened)
        return opened


def open_door(address: Address, flag: str, whose: str, *, reserve_only: bool = False) -> socket.socket:
    """One listening socket. Raises CannotListen with a sentence for people who run `hbeacon dev`."""
    try:
        return listen(address, flag, reserve_only=reserve_only)
    except CannotListen as error:
        more = "" if address.port == 0 else "; --ports free takes free ones for all"
        raise CannotListen(f"{whose}: {error}{more}") from None


def open_doors(doors: Mapping[str, Address], whose: str) -> dict[str, socket.socket]:
    """All sockets of one role once more, after its death. Raises CannotListen; nothing stays open then."""
    opened: dict[str, socket.socket] = {}
    try:
        for flag, address in doors.items():
            opened[flag] = open_door(address, flag, whose)
    except CannotListen:
        for each in opened.values():
            each.close()
        raise
    return opened


def reached_at(address: Address) -> Address:
    """How a process of this machine connects to what listens there."""
    if not is_wildcard(address.host):
        return address
    return Address("::1" if ":" in address.host else "127.0.0.1", address.port)


def told(address: Address, advertised_host: str) -> Address:
    """What clients are told: the advertised host where there is one, and a name instead of a wildcard."""
    if advertised_host:
        return Address(advertised_host, address.port)
    if is_wildcard(address.host):
        return Address(socket.gethostname(), address.port)
    return address


def is_local_only(plan: Plan) -> bool:
    """Whether nobody on another machine can connect."""
    servers = (*plan.masters, *plan.region_servers)
    return all(is_loopback(address.host) for address in (plan.zookeeper, *(server.rpc for server in servers)))


def _on(address: Address, port: int) -> Address:
    return Address(address.host, port)


def _where(address: Address | None, port: int) -> Address | None:
    return None if address is None else _on(address, port)


def _moved(address: Address, more: int) -> Address:
    return _on(address, address.port + more if address.port else 0)
