"""Which addresses the roles of one `hbeacon dev` get, and their listening sockets.

HBase's own ports for the first master, 100 more for each further one, so that what a person knows by heart is right.
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
MASTERS_MAX = 16
"""Each is a process of some tens of MiB; more would only show that a laptop is busy."""

ZOOKEEPER_FLAG, RPC_FLAG, HTTP_FLAG, GRPC_FLAG = "--zookeeper-listen", "--rpc", "--http", "--grpc"


@dataclass(frozen=True, slots=True)
class MasterDoors:
    """Where one master listens; port 0 stands for any free one."""

    rpc: Address
    http: Address | None
    """None: no pages."""
    grpc: Address | None = None
    """None: no gRPC."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All addresses. `masters[i]` are those of master number i."""

    zookeeper: Address
    masters: tuple[MasterDoors, ...]


def plan_of(
    zookeeper: Address,
    rpc: Address,
    http: Address | None,
    masters_count: int,
    *,
    grpc: Address | None = None,
    free_ports: bool = False,
) -> Plan:
    """Addresses from those of master 0. `free_ports`: any free ones, whatever ports the addresses name.

    Raises BadSetting where the ports of the last master would not be ports.
    """
    if free_ports:
        master = MasterDoors(_on(rpc, 0), _where(http, 0), _where(grpc, 0))
        return Plan(_on(zookeeper, 0), (master,) * masters_count)
    doors: list[MasterDoors] = []
    for number in range(masters_count):
        more = PORT_STEP * number
        for flag, base in ((RPC_FLAG, rpc), (HTTP_FLAG, http), (GRPC_FLAG, grpc)):
            if base is not None and base.port and base.port + more > PORT_MAX:
                cure = f"master {number} would listen on port {base.port + more}: choose a lower port for master 0"
                raise BadSetting(flag, str(base), "command line", cure)
        doors.append(
            MasterDoors(_moved(rpc, more), _moved(http, more) if http else None, _moved(grpc, more) if grpc else None)
        )
    return Plan(zookeeper, tuple(doors))


class Doors:
    """The sockets of a plan, listening; `plan` holds their real ports. Close what nobody has taken."""

    def __init__(self, wanted: Plan) -> None:
        """Opens all of them. Raises CannotListen, whose sentence names the flag that mends it."""
        self._sockets: list[socket.socket] = []
        try:
            self.zookeeper = self._open(wanted.zookeeper, ZOOKEEPER_FLAG, "the coordinator")
            self.masters: list[dict[str, socket.socket]] = []
            doors: list[MasterDoors] = []
            for number, master in enumerate(wanted.masters):
                opened = {RPC_FLAG: self._open(master.rpc, RPC_FLAG, f"master {number}")}
                if master.http is not None:
                    opened[HTTP_FLAG] = self._open(master.http, HTTP_FLAG, f"the pages of master {number}")
                self.masters.append(opened)
                grpc = self._reserve(master.grpc, f"gRPC of master {number}") if master.grpc is not None else None
                doors.append(
                    MasterDoors(
                        _on(master.rpc, address_of(opened[RPC_FLAG]).port),
                        _on(master.http, address_of(opened[HTTP_FLAG]).port) if master.http else None,
                        grpc,
                    )
                )
        except CannotListen:
            self.close()
            raise
        self.plan = Plan(_on(wanted.zookeeper, address_of(self.zookeeper).port), tuple(doors))

    def close(self) -> None:
        """Let go of every socket; processes that have inherited some keep theirs."""
        for opened in self._sockets:
            opened.close()

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
    return all(is_loopback(address.host) for address in (plan.zookeeper, *(master.rpc for master in plan.masters)))


def _on(address: Address, port: int) -> Address:
    return Address(address.host, port)


def _where(address: Address | None, port: int) -> Address | None:
    return None if address is None else _on(address, port)


def _moved(address: Address, more: int) -> Address:
    return _on(address, address.port + more if address.port else 0)
