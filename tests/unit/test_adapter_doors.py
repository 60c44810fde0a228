"""Addresses an adapter listens on and tells, and what it tells systemd."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from registry.config.settings import BadSetting, Settings, load_settings
from registry.names import Address
from registry.role import mapping
from registry.role.listening import CannotListen, address_of, advertised, listen, warnings_of
from registry.role.notify import Notifier


def settings(**values: str) -> Settings:
    return load_settings({key.replace("__", "."): value for key, value in values.items()}, {})


def test_port_0_takes_the_port_of_the_worker_before_while_it_is_free() -> None:
    with listen(Address("127.0.0.1", 0), "--http") as first:
        port = address_of(first).port
    with listen(Address("127.0.0.1", 0), "--http", port) as second:
        assert address_of(second).port == port
        with listen(Address("127.0.0.1", 0), "--http", port) as third:
            assert address_of(third).port not in (0, port)


def test_a_busy_port_names_the_flag() -> None:
    with listen(Address("127.0.0.1", 0), "--http") as taken:
        address = address_of(taken)
        with pytest.raises(CannotListen, match=rf"cannot listen on {address}: the port is in use.*--rpc HOST:PORT"):
            listen(address, "--rpc")


def test_an_address_of_another_machine_names_the_flag() -> None:
    with pytest.raises(CannotListen, match=r"this machine has no such address.*--rpc"):
        listen(Address("203.0.113.1", 0), "--rpc")


def test_ipv6_is_listened_on_and_written_with_brackets() -> None:
    with listen(Address("::1", 0), "--rpc") as made:
        assert str(address_of(made)).startswith("[::1]:")


@pytest.mark.parametrize(
    ("setting", "bound", "expected"),
    [
        ("", "10.0.0.1:16000", "10.0.0.1:16000"),
        ("beacon1", "0.0.0.0:16001", "beacon1:16001"),
        ("beacon1:17000", "0.0.0.0:16000", "beacon1:17000"),
        ("[2001:db8::1]", "[::]:16000", "[2001:db8::1]:16000"),
        ("", "0.0.0.0:16000", f"{socket.gethostname()}:16000"),
    ],
)
def test_what_is_advertised(setting: str, bound: str, expected: str) -> None:
    assert str(advertised(settings(hbeacon__advertise__address=setting), Address.parse(bound))) == expected


def test_a_loopback_address_for_others_is_warned_about() -> None:
    loopback, elsewhere = Address("127.0.0.1", 16000), Address("beacon2", 16000)
    wildcard = Address("0.0.0.0", 16000)
    assert warnings_of(loopback, loopback, ()) == []
    assert warnings_of(loopback, loopback, (loopback, Address("localhost", 16001))) == []
    assert "--advertise" in warnings_of(loopback, loopback, (loopback, elsewhere))[0]
    assert "--advertise" in warnings_of(wildcard, Address("localhost", 16000), ())[0]
    assert "hands out 127.0.0.1:16000" in warnings_of(wildcard, elsewhere, (loopback,))[0]


def test_zookeeper_settings() -> None:
    made = settings(hbase__zookeeper__quorum="a, b:2182 ,[::1]", hbase__zookeeper__property__clientPort="2199")
    assert mapping.zookeeper_text(made) == "a:2199,b:2182,[::1]:2199"
    assert mapping.zookeeper_auth(settings()) == ()
    assert mapping.zookeeper_auth(settings(hbeacon__zookeeper__auth="digest:u:p:q")) == (("digest", "u:p:q"),)
    with pytest.raises(BadSetting, match="SCHEME:CREDENTIAL") as caught:
        mapping.zookeeper_auth(settings(hbeacon__zookeeper__auth="hunter2"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadSetting, match=r"hbase\.zookeeper\.quorum"):
        mapping.zookeeper_hosts(settings(hbase__zookeeper__quorum="a:b"))


def test_a_tier_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(BadSetting, match="no tier to hand out"):
        mapping.handout_settings(settings(hbeacon__registry__handout="tier"))


async def test_systemd_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(0.5)
        environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "40000", "WATCHDOG_PID": str(os.getpid())}
        notifier = Notifier(environ)
        notifier.send("READY=1", "STATUS=x")
        assert manager.recv(100) == b"READY=1\nSTATUS=x"
        notifier.start_watchdog()
        assert manager.recv(100) == b"WATCHDOG=1"
        await asyncio.sleep(0.05)
        assert manager.recv(100) == b"WATCHDOG=1"
        notifier.stop_watchdog()
        await asyncio.sleep(0.05)
        manager.setblocking(False)
        received = 0
        while True:
            try:
                manager.recv(100)
            except BlockingIOError:
                break
            received += 1
        assert received <= 1


async def test_no_manager_and_anothers_watchdog_are_no_trouble(tmp_path: Path) -> None:
    Notifier({}).send("READY=1")
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    notifier.send("READY=1")
    notifier.start_watchdog()
    notifier.stop_watchdog()
    guarded = Notifier({"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "77"}, 77)
    guarded.start_watchdog()
    guarded.stop_watchdog()
