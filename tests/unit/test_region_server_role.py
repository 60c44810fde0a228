"""What a region server is told by settings, and whom it hands out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regionserver.engine.store import StoreBroken
from regionserver.process import with_own_defaults
from regionserver.region.rules import TableRules
from regionserver.server import RegionServer
from regionserver.settings import engine_of, host_settings_of, rules_of
from registry.config.settings import BadSetting, Settings, load_settings
from registry.lookup.snapshot import Fact, FactState, Snapshot
from registry.names import ServerName
from registry.zk.lease import Lease
from tests.support.clock import ManualClock
from tests.support.status import ACTIVE, STANDBY, small_snapshot

ME = ServerName("me.example.org", 16020, 5)


def settings(**values: str) -> Settings:
    return load_settings({key.replace("__", "."): value for key, value in values.items()}, {})


def made(tmp_path: Path | None = None, **values: str) -> RegionServer:
    if tmp_path is not None:
        values["hbeacon__data__dir"] = str(tmp_path)
    one = with_own_defaults(settings(**values))
    return RegionServer(one, lambda: one, None, ManualClock())


def sees(server: RegionServer, snapshot: Snapshot, silent: frozenset[ServerName] | None = None) -> None:
    inside: Any = server
    inside.feed._snapshot = snapshot
    inside._selfcheck = None if silent is None else SimpleNamespace(silent=lambda: silent)


def others() -> frozenset[ServerName]:
    return frozenset(server.server_name for server in small_snapshot().region_servers.value or ())


# --- settings ---------------------------------------------------------------------------------------------------------


def test_ports_of_hbase_where_nobody_has_chosen_others() -> None:
    one = with_own_defaults(settings())
    assert str(one.address("hbeacon.rpc.address")) == "127.0.0.1:16020"
    assert str(one.address("hbeacon.http.address")) == "127.0.0.1:16030"
    assert one.address("hbeacon.grpc.address") is None
    assert one.ms("hbeacon.guard.timeout_ms") == 3000
    one = with_own_defaults(settings(hbase__regionserver__port="16120", hbase__regionserver__info__port="-1"))
    assert str(one.address("hbeacon.rpc.address")) == "127.0.0.1:16120"
    assert one.address("hbeacon.http.address") is None
    one = with_own_defaults(settings(hbeacon__rpc__address="10.0.0.1:1", hbeacon__guard__timeout_ms="700"))
    assert str(one.address("hbeacon.rpc.address")) == "10.0.0.1:1"
    assert one.ms("hbeacon.guard.timeout_ms") == 700


def test_what_keeps_the_rows() -> None:
    assert engine_of(settings()) == "memory"
    assert engine_of(settings(hbeacon__data__dir="/x")) == "rocksdb"
    assert engine_of(settings(hbeacon__data__dir="/x", hbeacon__engine="memory")) == "memory"
    with pytest.raises(BadSetting, match="--data-dir"):
        engine_of(settings(hbeacon__engine="rocksdb"))


def test_what_the_server_says_of_all_tables() -> None:
    rules = rules_of(
        settings(hbase__wal__hsync="true", hbase__server__keyvalue__maxsize="100", hbase__table__max__rowsize="2000")
    )
    assert (rules.always_synced, rules.cell_bytes_max, rules.row_bytes_max) == (True, 100, 2000)
    assert rules_of(settings()) == TableRules(), "what HBase does where nobody has said anything"
    rules = rules_of(
        settings(
            hbase__hregion__keyvalue__timestamp__slop__millisecs="60000",
            hbase__hstore__time__to__purge__deletes="0x10",
            hbase__hregion__scan__loadColumnFamiliesOnDemand="false",
        )
    )
    assert rules == TableRules(future_ms_max=60_000, markers_stay_ms=16, on_demand=False)


def test_coprocessors_may_be_switched_off() -> None:
    named = {"hbase__coprocessor__region__classes": "a,b", "hbase__coprocessor__user__region__classes": " c "}
    told = host_settings_of(settings(**named))
    assert (told.classes, told.user_classes, told.of_tables) == (["a", "b"], ["c"], True)
    told = host_settings_of(settings(**named, hbase__coprocessor__user__enabled="false"))
    assert (told.classes, told.user_classes, told.of_tables) == (["a", "b"], ["c"], False)
    told = host_settings_of(settings(**named, hbase__coprocessor__enabled="false"))
    assert (told.classes, told.user_classes, told.of_tables) == ((), (), False)
    assert told.timeout_ms == 30_000


async def test_what_the_server_says_of_answers_and_of_what_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    server = made()
    assert server.door.scanners.result_bytes_max == 100 << 20
    assert server.door.scanners.room_ahead.left_bytes == 64 << 20
    assert server.door.nonces.is_enabled
    assert server.door.nonces.forgotten_ms(1e12) == 1e12 - 30 * 60_000
    assert not caplog.records[1:], "but that it keeps rows in memory"
    server = made(
        hbase__server__scanner__max__result__size="300m",
        hbeacon__scanner__ahead_bytes="0",
        hbase__regionserver__nonces__enabled="false",
        hbase__server__hashNonce__gracePeriod="5000",
    )
    assert server.door.scanners.result_bytes_max == 300 << 20
    assert server.door.scanners.room_ahead.left_bytes == 0
    assert server.rpc_settings(server.settings).write_buffer_bytes_max > 300 << 20
    assert not server.door.nonces.is_enabled
    assert server.door.nonces.forgotten_ms(1e12) == 1e12 - 5000
    assert "gracePeriod is 5000 ms" in caplog.text


async def test_the_door_takes_requests_as_long_as_rows_are(tmp_path: Path) -> None:
    server = made(tmp_path, hbase__ipc__max__request__size="100000000", hbase__regionserver__handler__count="7")
    taken = server.rpc_settings(server.settings)
    assert taken.limits.frame_bytes_max == 100_000_000
    assert taken.scheduler.handlers_max == 7
    assert taken.send_bytes_max > 100 << 20 < taken.write_buffer_bytes_max


# --- hand-out ---------------------------------------------------------------------------------------------------------


async def test_whom_it_hands_out() -> None:
    server = made()
    assert server.own_names() == frozenset()
    assert server.bootstrap_nodes() == []
    sees(server, small_snapshot())
    assert server.own_names() == others() | {ACTIVE, STANDBY}
    assert server.bootstrap_nodes() == sorted(others())
    server.gate.open(ME, Lease())
    assert server.own_names() == others() | {ACTIVE, STANDBY, ME}
    silent = min(others())
    sees(server, small_snapshot(), frozenset({silent, STANDBY}))
    assert server.own_names() == (others() - {silent}) | {ACTIVE, ME}
    assert server.bootstrap_nodes() == sorted((others() - {silent}) | {ME})


async def test_the_list_is_never_empty_while_a_region_server_is_known() -> None:
    server = made()
    sees(server, small_snapshot(), others())
    assert server.bootstrap_nodes() == sorted(others()), "none of them speaks, and somebody is better than nobody"
    alone = dataclasses.replace(small_snapshot(), region_servers=Fact(FactState.ABSENT, "/hbase/rs"))
    sees(server, alone)
    assert server.bootstrap_nodes() == []
    server.gate.open(ME, Lease())
    assert server.bootstrap_nodes() == [ME]


async def test_as_many_as_the_setting_says() -> None:
    server = made(hbase__client__bootstrap__node__limit="1")
    sees(server, small_snapshot())
    assert len(server.bootstrap_nodes()) == 2


# --- ends -------------------------------------------------------------------------------------------------------------


async def test_a_store_that_fails_shuts_the_gate_at_once() -> None:
    server = made()
    lease = Lease()
    lease.granted(1e9)
    lease.answered(server.clock.monotonic_ms())
    server.gate.open(ME, lease)
    assert server.gate.is_open
    inside: Any = server
    inside._store_broken(StoreBroken("rocksdb /x: a write failed: No space left on device"))
    inside._store_broken(StoreBroken("and again"))
    assert not server.gate.is_open
    assert "No space left" in server.storage_problem
    assert [check.name for check in server.more_checks() if not check.ok]
