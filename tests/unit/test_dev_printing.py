"""What `hbeacon dev` prints and writes for clients, and what it tells its roles."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry.cli.flags import Flags
from registry.config.hadoop_xml import read_properties
from registry.config.settings import load_settings
from registry.dev.announce import Cluster, announcement, ready_line
from registry.dev.hbase_site import NotOurFileError, by_registry, by_zookeeper, write_files, xml_lines
from registry.dev.plan import plan_of
from registry.dev.roles import (
    QUIET,
    coordinator_values,
    master_values,
    quiet,
    region_server_values,
    servers_of,
    with_values,
)
from registry.names import Address

PLAN = plan_of(Address("127.0.0.1", 2181), Address("127.0.0.1", 16000), Address("127.0.0.1", 16010), 2)
MASTERS = tuple(servers_of(PLAN.masters, ""))
CLUSTER = Cluster(
    plan=PLAN,
    zookeeper=PLAN.zookeeper,
    masters=MASTERS,
    pages=tuple(master.http for master in PLAN.masters if master.http),
    cluster_id="6e7a",
    founded_before=False,
    znode_parent="/hbase",
    data_dir=Path("/tmp/x"),
    temporary=True,
    pids={"coordinator": 10, "master0": 11, "master1": 12},
    took_ms=640,
    local_only=True,
)


def test_one_line_for_programs() -> None:
    assert ready_line(PLAN) == (
        "hbeacon dev ready zookeeper=127.0.0.1:2181 masters=127.0.0.1:16000,127.0.0.1:16100"
        " http=127.0.0.1:16010,127.0.0.1:16110"
    )
    grpc = plan_of(Address("::1", 2181), Address("::1", 16000), None, 1, grpc=Address("::1", 16005))
    assert ready_line(grpc).endswith("masters=[::1]:16000 http=off grpc=[::1]:16005")
    whole = plan_of(Address("h", 1), Address("h", 16000), Address("h", 16010), 1, region_servers_count=2)
    assert ready_line(whole).endswith(" http=h:16010 regionservers=h:16020,h:16120 regionservers-http=h:16030,h:16130")
    without = plan_of(Address("::1", 2181), Address("::1", 16000), None, 1)
    assert ready_line(without) == "hbeacon dev ready zookeeper=[::1]:2181 masters=[::1]:16000 http=off"


def test_everything_a_client_needs_is_there() -> None:
    text = announcement(CLUSTER, coloured=False)
    assert "\033" not in text
    assert "hbeacon lookup hbase+rpc://127.0.0.1:16000,127.0.0.1:16100" in text
    assert "http://127.0.0.1:16010/" in text
    assert 'KazooClient("127.0.0.1:2181")' in text
    assert "zkCli.sh -server 127.0.0.1:2181 ls /hbase" in text
    assert "coordinator 10, master0 11, master1 12" in text
    assert "all of it is gone at Ctrl-C (--data-dir DIR keeps it)" in text
    assert max(map(len, text.splitlines())) <= 140
    assert "gRPC" not in text
    grpc = replace(CLUSTER, grpc=(Address("127.0.0.1", 16005),))
    assert re.search(r"gRPC\s+127\.0\.0\.1:16005\n", announcement(grpc, coloured=False))
    assert "region servers" not in text
    assert "hbeacon shell" not in text  # of no use without tables
    serving = replace(CLUSTER, region_servers=(Address("h", 16020),), region_server_pages=(Address("h", 16030),))
    shown = announcement(serving, coloured=False)
    assert "on region servers h:16020\n" in shown
    assert "http://h:16030/rs-status\n" in shown
    assert "hbeacon shell hbase+rpc://127.0.0.1:16000,127.0.0.1:16100\n" in shown
    for properties in (by_registry(MASTERS), by_zookeeper(PLAN.zookeeper, "/hbase")):
        assert "\n".join(f"  {line}" for line in xml_lines(properties)) in text


def test_colours_say_nothing_of_their_own() -> None:
    coloured = announcement(CLUSTER, coloured=True)
    assert "\033[" in coloured
    assert re.sub(r"\033\[\d+m", "", coloured) == announcement(CLUSTER, coloured=False)


def test_state_that_stays_is_said_to_stay() -> None:
    text = announcement(replace(CLUSTER, temporary=False, founded_before=True, local_only=False), coloured=False)
    assert "gone" not in text
    assert "6e7a (as in the runs before)" in text
    assert "the next start with this --data-dir goes on from there" in text
    assert "this machine alone" not in text


def properties_of(path: Path) -> dict[str, str]:
    return {found.name: found.value for found in read_properties(path)}


def test_files_for_java_are_what_java_reads(tmp_path: Path) -> None:
    registry, zookeeper = by_registry(MASTERS), by_zookeeper(Address("h&st", 2182), "/a<b")
    paths = write_files(tmp_path / "conf", registry, zookeeper)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "conf/hbase-site.xml",
        "conf/zookeeper/hbase-site.xml",
    ]
    assert properties_of(paths[0]) == registry
    assert properties_of(paths[1]) == zookeeper
    write_files(tmp_path / "conf", by_registry(MASTERS[:1]), zookeeper)
    assert properties_of(paths[0])["hbase.client.bootstrap.servers"] == "127.0.0.1:16000"


def test_files_of_others_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "zookeeper").mkdir()
    (tmp_path / "zookeeper" / "hbase-site.xml").write_text("<configuration/>")
    with pytest.raises(NotOurFileError, match="is there and was not written by hbeacon dev"):
        write_files(tmp_path, by_registry(MASTERS), by_zookeeper(PLAN.zookeeper, "/hbase"))
    assert not (tmp_path / "hbase-site.xml").exists()


Load = Callable[[dict[str, str]], dict[str, str]]


def told(values: dict[str, str], number: int = 0) -> dict[str, str]:
    """What a master gets where a person has set `values`."""
    settings = load_settings(values, {})
    return master_values(settings, PLAN.masters[number], PLAN.zookeeper, MASTERS, Path("/data"))


def test_masters_belong_to_this_coordinator_whatever_the_files_say() -> None:
    values = told({"hbase.zookeeper.quorum": "prod1,prod2", "hbase.client.zookeeper.quorum": "prod3"}, 1)
    assert values["hbase.zookeeper.quorum"] == "127.0.0.1:2181"
    assert values["hbase.client.zookeeper.quorum"] == ""
    assert values["hbeacon.rpc.address"] == "127.0.0.1:16100"
    assert values["hbeacon.http.address"] == "127.0.0.1:16110"
    assert values["hbeacon.registry.servers"] == "127.0.0.1:16000,127.0.0.1:16100"
    assert values["zookeeper.session.timeout"] == "3000"


def test_clients_of_a_cluster_with_region_servers_are_given_them() -> None:
    settings = load_settings({}, {})
    plan = plan_of(PLAN.zookeeper, MASTERS[0], None, 1, region_servers_count=1)
    server = region_server_values(settings, plan.region_servers[0], PLAN.zookeeper, MASTERS, Path("/data"))
    master = master_values(settings, PLAN.masters[0], PLAN.zookeeper, MASTERS, Path("/data"), region_servers=True)
    assert server["hbeacon.registry.handout"] == master["hbeacon.registry.handout"] == "cluster"
    assert server["hbeacon.rpc.address"] == "127.0.0.1:16020"
    assert server["hbeacon.http.address"] == "off"
    assert "hbeacon.registry.servers" not in server
    assert server["hbeacon.data.dir"] == master["hbeacon.data.dir"], "all servers of a machine share it"
    assert "hbeacon.registry.handout" not in told({})
    chosen = load_settings({"hbeacon.registry.handout": "auto"}, {})
    assert "hbeacon.registry.handout" not in region_server_values(
        chosen, plan.region_servers[0], PLAN.zookeeper, MASTERS, Path("/data")
    )


def test_what_a_person_set_stays() -> None:
    values = told({"zookeeper.session.timeout": "9000", "hbeacon.registry.servers": "lb:16000"})
    assert "zookeeper.session.timeout" not in values
    assert "hbeacon.registry.servers" not in values


def test_every_value_is_a_setting_that_can_be_loaded_again() -> None:
    flags = Flags({"hbase.masters": "a:1"}, {"hbase.masters": "--set"})
    journal = Path("/data/coordinator")
    for values in (told({}), coordinator_values(flags.load(), PLAN.zookeeper, journal, temporary=True)):
        settings = with_values(flags, values).load()
        assert not [warning for warning in settings.warnings if "not a setting" in warning]
        assert all(settings.str_(name) == value for name, value in values.items())
        assert settings.origin("hbase.masters") == "--set"
        assert settings.origin(next(iter(values))) == "hbeacon dev"


def test_what_does_not_stay_is_not_made_safe_against_loss_of_power() -> None:
    def fsync(values: dict[str, str], *, temporary: bool) -> str:
        told = coordinator_values(load_settings(values, {}), PLAN.zookeeper, Path("/data"), temporary=temporary)
        return told.get("hbeacon.coordinator.fsync", "as set")

    assert fsync({}, temporary=True) == "off"
    assert fsync({}, temporary=False) == "as set"
    assert fsync({"hbeacon.coordinator.fsync": "on"}, temporary=True) == "as set"


def test_it_is_quiet_unless_somebody_wants_to_hear() -> None:
    flags = Flags()
    assert quiet(flags, load_settings({}, {})).load().str_("hbeacon.log.level") == QUIET
    loud = Flags({"hbeacon.log.level": "debug"})
    assert quiet(loud, loud.load()) is loud
