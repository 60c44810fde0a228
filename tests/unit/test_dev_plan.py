"""Ports of `hbeacon dev`: whose, where they are taken, and the sentence that mends it."""

from __future__ import annotations

import contextlib
import socket

import pytest

from registry.config.settings import BadSetting
from registry.dev.plan import Doors, ServerDoors, is_local_only, open_doors, plan_of, reached_at, told
from registry.names import Address
from registry.role.listening import CannotListen, listen

HOST = "127.0.0.1"
ZOOKEEPER, RPC, HTTP = Address(HOST, 2181), Address(HOST, 16000), Address(HOST, 16010)


def taken(port: int) -> bool:
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((HOST, port))
            door.listen()
        except OSError:
            return True
    return False


def test_master_0_has_hbases_ports_and_number_i_takes_100_i_more() -> None:
    plan = plan_of(ZOOKEEPER, RPC, HTTP, 3)
    assert plan.zookeeper == ZOOKEEPER
    assert [(master.rpc.port, master.http and master.http.port) for master in plan.masters] == [
        (16000, 16010),
        (16100, 16110),
        (16200, 16210),
    ]


def test_pages_may_be_off() -> None:
    assert plan_of(ZOOKEEPER, RPC, None, 2).masters[1] == ServerDoors(Address(HOST, 16100), None)


def test_grpc_is_there_where_it_is_asked_for() -> None:
    plan = plan_of(ZOOKEEPER, RPC, HTTP, 2, grpc=Address(HOST, 16005))
    assert [master.grpc for master in plan.masters] == [Address(HOST, 16005), Address(HOST, 16105)]
    assert plan_of(ZOOKEEPER, RPC, HTTP, 1, grpc=Address(HOST, 9), free_ports=True).masters[0].grpc == Address(HOST, 0)
    with pytest.raises(BadSetting, match=r"--grpc.*master 1 would listen on port 65600"):
        plan_of(ZOOKEEPER, RPC, HTTP, 2, grpc=Address(HOST, 65500))
    doors = Doors(plan_of(ZOOKEEPER, RPC, None, 2, grpc=Address(HOST, 16005), free_ports=True))
    try:
        first, second = (master.grpc for master in doors.plan.masters)
        assert first is not None
        assert second is not None
        assert first.port != second.port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, first.port), timeout=5)
        again = listen(first, "--grpc", reserve_only=True)  # as the master does when it is started
        again.close()
    finally:
        doors.close()


def test_region_servers_have_hbases_ports_20_above_the_masters() -> None:
    plan = plan_of(ZOOKEEPER, RPC, HTTP, 1, region_servers_count=2, grpc=Address(HOST, 16005))
    assert plan.region_servers == (
        ServerDoors(Address(HOST, 16020), Address(HOST, 16030)),
        ServerDoors(Address(HOST, 16120), Address(HOST, 16130)),
    )
    free = plan_of(ZOOKEEPER, RPC, None, 1, region_servers_count=1, free_ports=True)
    assert free.region_servers == (ServerDoors(Address(HOST, 0), None),)
    with pytest.raises(BadSetting, match=r"--rpc.*region server 2 would listen on port 65550"):
        plan_of(ZOOKEEPER, Address(HOST, 65330), None, 2, region_servers_count=3)
    with contextlib.closing(Doors(plan_of(ZOOKEEPER, RPC, HTTP, 1, region_servers_count=2, free_ports=True))) as doors:
        assert [sorted(opened) for opened in doors.region_servers] == [["--http", "--rpc"]] * 2
        ports = [port for each in doors.plan.region_servers for port in (each.rpc.port, each.http and each.http.port)]
        assert len(set(ports)) == 4
        assert all(port and taken(port) for port in ports)


def test_port_0_stays_0_for_every_master() -> None:
    plan = plan_of(ZOOKEEPER, Address(HOST, 0), HTTP, 2)
    assert [master.rpc.port for master in plan.masters] == [0, 0]
    assert [master.http and master.http.port for master in plan.masters] == [16010, 16110]


def test_free_ports_are_all_free_ones_on_the_hosts_that_were_asked_for() -> None:
    plan = plan_of(ZOOKEEPER, Address("0.0.0.0", 16000), HTTP, 2, free_ports=True)
    assert plan.zookeeper == Address(HOST, 0)
    assert plan.masters == (ServerDoors(Address("0.0.0.0", 0), Address(HOST, 0)),) * 2


def test_ports_end_at_65535() -> None:
    assert plan_of(ZOOKEEPER, Address(HOST, 65335), None, 3).masters[2].rpc.port == 65535
    with pytest.raises(BadSetting, match=r"--rpc.*master 2 would listen on port 65536: choose a lower port"):
        plan_of(ZOOKEEPER, Address(HOST, 65336), None, 3)


def test_doors_listen_and_know_their_real_ports() -> None:
    with contextlib.closing(Doors(plan_of(ZOOKEEPER, RPC, HTTP, 2, free_ports=True))) as doors:
        ports = [doors.plan.zookeeper.port, *(port for m in doors.plan.masters for port in (m.rpc.port, m.http.port))]  # type: ignore[union-attr]
        assert len(set(ports)) == 5
        assert all(map(taken, ports))
        assert [sorted(opened) for opened in doors.masters] == [["--http", "--rpc"]] * 2
    assert not any(map(taken, ports))


@pytest.mark.parametrize(
    ("flag", "whose"),
    [("--zookeeper-listen", "the coordinator"), ("--rpc", "master 0"), ("--http", "the pages of master 0")],
)
def test_a_taken_port_names_the_flag_and_leaves_nothing_open(flag: str, whose: str) -> None:
    with contextlib.closing(Doors(plan_of(ZOOKEEPER, RPC, HTTP, 1, free_ports=True))) as others:
        theirs = others.plan
        free = Doors(plan_of(ZOOKEEPER, RPC, HTTP, 1, free_ports=True))
        mine = free.plan
        free.close()
        wanted = plan_of(
            theirs.zookeeper if flag == "--zookeeper-listen" else mine.zookeeper,
            theirs.masters[0].rpc if flag == "--rpc" else mine.masters[0].rpc,
            theirs.masters[0].http if flag == "--http" else mine.masters[0].http,
            1,
        )
        with pytest.raises(CannotListen) as caught:
            Doors(wanted)
        sentence = str(caught.value)
        assert sentence.startswith(f"{whose}: cannot listen on 127.0.0.1:")
        assert f"the port is in use: choose another with {flag} HOST:PORT" in sentence
        assert sentence.endswith("; --ports free takes free ones for all")
        assert "\n" not in sentence
        left = {mine.zookeeper, mine.masters[0].rpc, mine.masters[0].http}
        assert not any(address and taken(address.port) for address in left)


def test_a_port_of_a_further_master_is_named_with_its_number() -> None:
    with contextlib.closing(Doors(plan_of(ZOOKEEPER, RPC, None, 1, free_ports=True))) as others:
        port = others.plan.masters[0].rpc.port
        with pytest.raises(CannotListen, match=f"master 1: cannot listen on 127.0.0.1:{port}"):
            Doors(plan_of(Address(HOST, 0), Address(HOST, port - 100), None, 2))


def test_reopening_leaves_nothing_open_when_one_is_taken() -> None:
    with contextlib.closing(Doors(plan_of(ZOOKEEPER, RPC, HTTP, 1, free_ports=True))) as others:
        free = Doors(plan_of(ZOOKEEPER, RPC, None, 1, free_ports=True))
        mine = free.plan.masters[0].rpc
        free.close()
        with pytest.raises(CannotListen):
            open_doors({"--rpc": mine, "--http": others.plan.masters[0].rpc}, "master0")
        assert not taken(mine.port)


def test_wildcards_are_reached_on_loopback_and_told_by_name() -> None:
    assert reached_at(Address("0.0.0.0", 1)) == Address("127.0.0.1", 1)
    assert reached_at(Address("::", 1)) == Address("::1", 1)
    assert reached_at(Address("10.0.0.1", 1)) == Address("10.0.0.1", 1)
    assert told(Address("0.0.0.0", 1), "") == Address(socket.gethostname(), 1)
    assert told(Address("0.0.0.0", 1), "dev1") == Address("dev1", 1)
    assert told(ZOOKEEPER, "") == ZOOKEEPER


def test_local_only_is_said_where_all_doors_are_on_loopback() -> None:
    assert is_local_only(plan_of(ZOOKEEPER, RPC, None, 1))
    assert not is_local_only(plan_of(Address("0.0.0.0", 2181), RPC, None, 1))
