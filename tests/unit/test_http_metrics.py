"""Metrics: they parse, their labels are bounded, and docs/metrics.md lists exactly what there is."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from registry.client.table_states import TableStatesView
from registry.faults.rules import FaultKind, Rule
from registry.histogram import Histogram
from registry.http.accept import Form
from registry.http.app import create_app
from registry.http.cluster_status import ClusterStatus
from registry.http.process import LoopLag
from registry.http.prometheus import LABEL_VALUES_MAX, OTHER, Exposition, StatusCollector, bounded
from registry.http.region_server_status import RegionServerStatus, StoreReach
from registry.http.status import ElectionStatus, RpcStatus
from registry.lookup.agreement import Disagreement
from registry.lookup.firewall import ZooKeeperLooks
from registry.lookup.snapshot import Fact, FactState, RegionServer
from registry.names import ServerName
from tests.support.http import asking
from tests.support.status import CLUSTER_ID, FakeStatus, Info, allow_faults, forbid, small_snapshot, unread_snapshot

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
MIXIN_NAMES = {
    "master_num_open_connections",
    "master_queue_size",
    "master_authentication_successes",
    "master_authentication_failures",
    "server_num_region_servers",
    *(
        f"master_num_calls_in_{queue}_queue"
        for queue in ("general", "priority", "read", "write", "scan", "replication")
    ),
}
"""What Grafana's apache-hbase-mixin asks a master for, as far as a registry can know it."""


def full() -> FakeStatus:
    """A source with a sample in every family."""
    source = FakeStatus(
        snapshot=forbid(small_snapshot(), "/hbase/rs/rs9,16020,1"),
        disagreeing=[Disagreement("b:16000", "GetActiveMaster", 2.5, "x", "y", False)],
        counters=RpcStatus(
            connections_open=3,
            connections_accepted=9,
            connections_refused={"total": 2},
            calls={("ClientMetaService", "GetClusterId"): 4, ("MasterService", "IsMasterRunning"): 1},
            preambles={"Regist": 5, "HBas": 1},
            exceptions={"org.apache.hadoop.hbase.ipc.UnknownServiceException": 1},
            protocol_errors={"frame-too-long": 1},
            calls_in_queue={"general": 7},
            authentication_successes=6,
        ),
        meta_tables=TableStatesView(wanted=True, age_ms=400.0, tables=3, readings=9, failures=1, problem="slow"),
        elected=ElectionStatus("active", "m,16000,1", "m,16000,1", acting=True, epoch=12, lives=2, elections=1),
        led=ClusterStatus(initialized=True),
    )
    source.visitors.header_seen("10.0.0.1", Info())
    faults = allow_faults(source)
    faults.add(Rule(FaultKind.HANG), "somebody")
    for _ in range(2):
        faults.at_look_up("GetClusterId", "10.0.0.1")
    faults.clear("somebody")
    return source


def serving() -> FakeStatus:
    """A region server with a sample in every family of its own."""
    store = StoreReach("1", "open", home=True, data_bytes=5)
    return FakeStatus(
        serving=RegionServerStatus(
            *("rs,16020,1", True, "m,16000,1", 5.0, 6.0),
            regions_count=1,
            stores=[store],
            **dict.fromkeys(("memstore_bytes", "store_files", "store_file_bytes", "log_bytes"), 1),
        )
    )


def families(source: FakeStatus) -> list[Metric]:
    return list(StatusCollector(source, LoopLag()).collect())


def text(source: FakeStatus, form: Form = Form.TEXT) -> str:
    return Exposition(StatusCollector(source, LoopLag())).text(form)[0].decode()


def samples(source: FakeStatus) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text(source))
        for sample in family.samples
    }


def value(source: FakeStatus, name: str, **labels: str) -> float:
    return samples(source)[name, frozenset(labels.items())]


def test_both_formats_parse_and_say_the_same():
    source = full()
    plain = {
        (sample.name, *sorted(sample.labels.items()))
        for family in text_string_to_metric_families(text(source))
        for sample in family.samples
    }
    open_metrics = {
        (sample.name, *sorted(sample.labels.items()))
        for family in openmetrics.text_string_to_metric_families(  # pyright: ignore[reportUnknownMemberType]
            text(source, Form.OPEN_METRICS)
        )
        for sample in family.samples
    }
    assert plain == open_metrics
    assert len(plain) > 100


def test_the_names_that_dashboards_ask_for():
    found = samples(full())
    assert {name for name, _ in found} >= MIXIN_NAMES
    assert (
        found["master_num_calls_in_general_queue", frozenset({"context": "master", "hostname": "gate-1"}.items())] == 7
    )
    ((_, labels),) = (key for key in found if key[0] == "server_num_region_servers")
    assert dict(labels) == {
        "context": "master",
        "hostname": "gate-1",
        "clusterid": CLUSTER_ID,
        "servername": "gate-1.example.org:16000",
        "zookeeperquorum": "zk1:2181,zk2:2181,zk3:2181",
        "isactivemaster": "true",
        "liveregionservers": ";".join(
            f"rs{number}.example.org,16020,{1_795_000_000_100 + number}" for number in range(3)
        ),
        "deadregionservers": "",
    }


def test_an_adapter_is_no_master():
    found = samples(FakeStatus())
    assert not [name for name, _ in found if name.startswith("hbeacon_master")]
    ((_, labels),) = (key for key in found if key[0] == "server_num_region_servers")
    assert dict(labels)["isactivemaster"] == "false"


def test_the_question_of_the_firewall():
    source = FakeStatus()
    source.visitors.facade_seen("old")
    source.clock.advance(3_600_000)
    assert value(source, "hbeacon_firewall_verdict", verdict="not yet") == 1
    assert value(source, "hbeacon_firewall_verdict", verdict="yes") == 0
    assert value(source, "hbeacon_firewall_watched_seconds") == 3600
    assert value(source, "hbeacon_firewall_hosts", needs="facade_only") == 1
    assert not [key for key in samples(source) if dict(key[1]).get("needs") == "zookeeper"], "nobody looks"
    source.looks = [ZooKeeperLooks("zk1:2181", source.clock.monotonic_ms())]
    source.visitors.zookeeper_seen("stays")
    assert value(source, "hbeacon_firewall_hosts", needs="zookeeper") == 1
    assert value(source, "hbeacon_firewall_verdict", verdict="no") == 1


def test_states_of_tables_from_meta():
    assert value(full(), "hbeacon_meta_table_states_age_seconds") == 0.4
    assert not [name for name, _ in samples(FakeStatus()) if name.startswith("hbeacon_meta")], "there is no façade"


def test_lookups_count_calls_and_preambles():
    source = full()
    assert value(source, "hbeacon_registry_lookups_total", method="GetClusterId", path="call") == 4
    assert value(source, "hbeacon_registry_lookups_total", method="GetClusterId", path="preamble") == 5
    assert not any("IsMasterRunning" in str(key) for key in samples(source) if key[0].startswith("hbeacon_registry"))


def test_what_is_unknown_has_no_sample_and_no_made_up_zero():
    source = FakeStatus(snapshot=unread_snapshot(), age=math.inf)
    names = {name for name, _ in samples(source)}
    for name in ("server_num_region_servers", "hbeacon_cluster_region_servers", "hbeacon_cluster_meta_replicas"):
        assert name not in names
    assert value(source, "hbeacon_registry_snapshot_age_seconds") == math.inf
    assert value(source, "hbeacon_registry_fact_state", fact="cluster_id", state="unread") == 1
    assert value(source, "hbeacon_ready") == 0
    assert value(source, "hbeacon_zk_session_state", state="connected") == 1
    assert value(source, "hbeacon_zk_session_state", state="suspended") == 0


def test_process_metrics_are_real():
    source = FakeStatus()
    assert value(source, "process_resident_memory_bytes") > 1 << 20
    assert value(source, "process_open_fds") >= 3
    assert value(source, "process_max_fds") >= value(source, "process_open_fds")
    assert value(source, "process_cpu_seconds_total") > 0


def test_no_peer_and_no_cluster_can_make_the_number_of_samples_grow():
    def crowded(count: int) -> FakeStatus:
        servers = tuple(RegionServer(ServerName(f"rs{number}", 16020, 1)) for number in range(count))
        snapshot = replace(
            small_snapshot(),
            region_servers=Fact(FactState.KNOWN, "/hbase/rs", servers),
            table_states=Fact(FactState.KNOWN, "/hbase/table", {f"t{number}": f"S{number}" for number in range(count)}),
        )
        source = FakeStatus(
            snapshot=snapshot,
            counters=RpcStatus(
                calls={(f"Service{number}", "M"): number for number in range(count)},
                exceptions={f"java.lang.E{number}": 1 for number in range(count)},
                protocol_errors={f"kind{number}": 1 for number in range(count)},
            ),
            disagreeing=[Disagreement(f"p{number}", "M", 1.0, "", "", False) for number in range(count)],
        )
        for number in range(count):
            source.visitors.header_seen(f"10.0.0.{number}", Info(version=f"9.{number}"))
        return source

    assert len(samples(crowded(2000))) == len(samples(crowded(400)))
    label = next(dict(labels)["liveregionservers"] for name, labels in samples(crowded(400)) if "num_region" in name)
    assert label.endswith(";(200 more)")


def test_the_rest_is_counted_together():
    counts = {("a", str(number)): number for number in range(LABEL_VALUES_MAX + 10)}
    kept = bounded(counts)
    assert len(kept) == LABEL_VALUES_MAX + 1
    assert kept[OTHER, OTHER] == sum(range(10))
    assert sum(kept.values()) == sum(counts.values())
    assert bounded({("only",): 1}) == {("only",): 1}


def test_hostile_names_are_escaped():
    source = FakeStatus(counters=RpcStatus(exceptions={'E"\n\\} 7\nforged_metric 1': 1}))
    source.visitors.header_seen("h", Info(version='2"} 9\nforged_metric 1'))
    for form in (Form.TEXT, Form.OPEN_METRICS):
        assert not re.search("^forged_metric", text(source, form), re.MULTILINE)
    assert "forged_metric" not in {name for name, _ in samples(source)}


@pytest.mark.parametrize("path", ["/metrics", "/prometheus"])
async def test_scrapers_choose_the_format(path: str):
    async with asking(create_app(FakeStatus())) as client:
        plain = await client.get(path)
        hostile = await client.get(path, headers={"accept": "text/plain;version=abc;escaping=zzz"})
        wanted = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3"
        open_metrics = await client.get(path, headers={"accept": wanted})
    for answer in (plain, hostile):
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.text.endswith("# EOF\n")


def documented() -> list[tuple[str, str, str, str]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", DOCS.read_text(), re.MULTILINE)
    return [(name, kind, re.sub("`", "", labels).strip(), sentence) for name, kind, labels, sentence in rows]


def test_faults_are_told_where_they_are_enabled():
    assert value(full(), "hbeacon_faults_applied_total", kind="hang") == 2
    assert value(full(), "hbeacon_faults_set", kind="hang") == 0
    assert not [name for name, _ in samples(FakeStatus()) if "fault" in name]


def test_the_time_of_look_ups_is_a_histogram():
    times = Histogram()
    for duration_s in (0.000_01, 0.000_02, 0.004, 30.0):
        times.add(duration_s)
    found = samples(FakeStatus(counters=RpcStatus(lookup_times=times)))

    def below(bound: str) -> float:
        return found["hbeacon_registry_lookup_seconds_bucket", frozenset({("le", bound)})]

    assert [below(bound) for bound in ("5e-06", "1e-05", "2e-05", "0.002", "0.005", "1.0", "+Inf")] == [
        *(0, 1, 2, 2, 3, 3, 4)
    ]
    assert found["hbeacon_registry_lookup_seconds_count", frozenset()] == 4
    assert found["hbeacon_registry_lookup_seconds_sum", frozenset()] == pytest.approx(30.00403)


def test_the_documentation_lists_what_there_is():
    here: list[tuple[str, str, str, str]] = []
    told = families(full())
    names = {family.name for family in told}
    for family in (*told, *(each for each in families(serving()) if each.name not in names)):
        assert family.samples, f"{family.name} has no sample in the full source"
        suffix = "_total" if family.type == "counter" else ""
        kind = "untyped" if family.type == "unknown" else family.type
        here.append((family.name + suffix, kind, ", ".join(family.samples[0].labels), family.documentation))
    assert documented() == here
    assert max(Counter(name for name, *_ in here).values()) == 1
