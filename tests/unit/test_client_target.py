"""From URI, arguments, files and environment to whom to ask, and with which time-outs."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.client.answers import What
from registry.client.connect import ConnectRequest
from registry.client.probing import Policy
from registry.client.target import RpcTarget, ZooKeeperTarget
from registry.config.settings import BadSetting
from registry.names import Address

SITE = """<configuration>{}</configuration>"""


def request(
    uri: str = "",
    *,
    environ: dict[str, str] | None = None,
    settings: dict[str, str] | None = None,
    masters: str | None = None,
) -> ConnectRequest:
    return ConnectRequest(uri=uri, masters=masters, environ=environ or {}, settings=settings or {})


def servers(asked: ConnectRequest) -> str:
    target = asked.evaluate()[1]
    return ",".join(map(str, target.servers))


def rpc(asked: ConnectRequest) -> RpcTarget:
    target = asked.evaluate()[1]
    assert isinstance(target, RpcTarget)
    return target


def zookeeper(asked: ConnectRequest) -> ZooKeeperTarget:
    target = asked.evaluate()[1]
    assert isinstance(target, ZooKeeperTarget)
    return target


def test_nothing_configured_is_the_local_host_as_in_hbase_3() -> None:
    assert rpc(request()).servers == (Address("localhost", 16000),)
    assert rpc(request(settings={"hbase.master.port": "26000"})).servers == (Address("localhost", 26000),)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hbase+rpc://a:1,b:2", "a:1,b:2"),
        ("HBASE+RPC://a", "a:16000"),
        ("hbase+rpc://[::1]:16000", "[::1]:16000"),
        ("a:1,b", "a:1,b:16000"),
        ("hbase+rpc://a:1,a:1", "a:1"),
        ("hbase+rpc://a:1?hbase.rpc.timeout=5", "a:1"),
    ],
)
def test_uri_of_registry_servers(uri: str, expected: str) -> None:
    assert servers(request(uri)) == expected
    assert rpc(request(uri)).renewed_by is What.BOOTSTRAP_NODES


@pytest.mark.parametrize(
    ("uri", "expected", "root"),
    [
        ("hbase+zk://a:1,b/hbase", "a:1,b:2181", "/hbase"),
        ("hbase+zk://a/one/two", "a:2181", "/one/two"),
        ("hbase+zk://a/hbase/", "a:2181", "/hbase"),
        ("hbase+zk://a", "a:2181", "/hbase"),
    ],
)
def test_uri_of_zookeeper(uri: str, expected: str, root: str) -> None:
    assert servers(request(uri)) == expected
    assert zookeeper(request(uri)).root == root


@pytest.mark.parametrize(
    "uri",
    [
        "hbase+rpc://",
        "hbase+rpc://a:x",
        "hbase+rpc://a:1/hbase",
        "hbase+zk:///hbase",
        "hbase+zk://a/",
        "hbase+zk://a//b",
        "http://a:1",
        "hbase+rpc://a:1?timeout=5",
        "hbase+rpc://a:1?hbase.rpc.timeout=soon",
    ],
)
def test_uris_that_are_none_are_refused_in_one_line(uri: str) -> None:
    if uri == "hbase+zk://a/":
        assert zookeeper(request(uri)).root == "/hbase", "an empty path is no path"
        return
    with pytest.raises(BadSetting) as caught:
        request(uri).evaluate()
    assert "\n" not in str(caught.value)


def test_masters() -> None:
    target = rpc(request(masters="a,b:2"))
    assert (servers(request(masters="a,b:2")), target.renewed_by) == ("a:16000,b:2", What.MASTERS)
    assert rpc(ConnectRequest(masters=("a", "b:2"), environ={})).servers == target.servers
    with pytest.raises(BadSetting):
        request(masters="").evaluate()


def test_keys() -> None:
    environ = {"HBASE_MASTERS": "m1,m2"}
    assert servers(request(environ=environ)) == "m1:16000,m2:16000"
    assert rpc(request(environ=environ)).renewed_by is What.BOOTSTRAP_NODES, "RpcConnectionRegistry falls back to it"
    environ["HBASE_CLIENT_BOOTSTRAP_SERVERS"] = "b1:1"
    assert servers(request(environ=environ)) == "b1:1"
    registry = {"hbase.client.registry.impl": "org.apache.hadoop.hbase.client.MasterRegistry"}
    assert servers(request(environ=environ, settings=registry)) == "m1:16000,m2:16000"
    assert rpc(request(environ=environ, settings=registry)).renewed_by is What.MASTERS
    assert servers(request("hbase+rpc://u:1", environ=environ)) == "u:1", "the URI wins"


@pytest.mark.parametrize("name", ["ZKConnectionRegistry", "ZKAsyncRegistry", "ZooKeeperRegistry"])
def test_zookeeper_by_key(name: str) -> None:
    settings = {
        "hbase.client.registry.impl": f"org.apache.hadoop.hbase.client.{name}",
        "hbase.zookeeper.quorum": "z1,z2:2182",
        "hbase.zookeeper.property.clientPort": "3181",
        "zookeeper.znode.parent": "/hbase-unsecure",
    }
    target = zookeeper(request(settings=settings))
    assert (servers(request(settings=settings)), target.root) == ("z1:3181,z2:2182", "/hbase-unsecure")
    own = settings | {"hbase.client.zookeeper.quorum": "c1", "hbase.client.zookeeper.property.clientPort": "4181"}
    assert servers(request(settings=own)) == "c1:4181", "clients may have a ZooKeeper of their own"


def test_a_registry_that_does_not_exist() -> None:
    with pytest.raises(BadSetting, match="MasterRegistry"):
        request(settings={"hbase.client.registry.impl": "com.example.Registry"}).evaluate()


def test_one_set_of_keys_governs_every_call(tmp_path: Path) -> None:
    keys = {
        "hbase.rpc.timeout": 1,
        "hbase.client.operation.timeout": 2,
        "hbase.client.meta.operation.timeout": 3,
        "hbase.client.retries.number": 4,
        "hbase.client.pause": 5,
        "hbase.ipc.client.socket.timeout.connect": 6,
        "hbase.ipc.client.socket.timeout.read": 7,
        "hbase.client.bootstrap.hedged.fanout": 8,
        "hbase.client.bootstrap.refresh_interval_secs": 9,
        "hbase.client.bootstrap.min_secs_between_refreshes": 10,
        "hbase.client.bootstrap.initial_refresh_delay_secs": 11,
        "hbase.client.master_registry.hedged.fanout": 12,
    }
    properties = "".join(
        f"<property><name>{key}</name><value>{value}</value></property>" for key, value in keys.items()
    )
    (tmp_path / "hbase-site.xml").write_text(SITE.format(properties))
    own = ConnectRequest(conf_dir=tmp_path, environ={}, policy=Policy.FANOUT).evaluate()[2]
    assert own.rpc_timeout_ms == 1
    assert own.operation_timeout_ms == 2
    assert own.meta_operation_timeout_ms == 3
    assert own.retries_count == 4
    assert own.pause_ms == 5
    assert own.connect_timeout_ms == 6
    assert own.read_timeout_ms == 7
    assert own.fanout == 8
    assert own.refresh_interval_ms == 9_000
    assert own.refresh_min_interval_ms == 10_000
    assert own.refresh_initial_delay_ms == 11_000
    assert own.policy is Policy.FANOUT
    by_masters = ConnectRequest(conf_dir=tmp_path, environ={}, masters="a").evaluate()[2]
    assert by_masters.fanout == 12, "MasterRegistry has keys of its own"
    query = ConnectRequest("hbase+rpc://a:1?hbase.rpc.timeout=77", conf_dir=tmp_path, environ={}).evaluate()[2]
    assert query.rpc_timeout_ms == 77
    given = ConnectRequest("a:1?hbase.rpc.timeout=77", environ={}, settings={"hbase.rpc.timeout": "78"}).evaluate()[2]
    assert given.rpc_timeout_ms == 78


@pytest.mark.parametrize(
    "key", ["hbase.client.bootstrap.initial_refresh_delay_secs", "hbase.client.bootstrap.hedged.fanout"]
)
@pytest.mark.parametrize("value", ["many", "0x", "-"])
def test_bad_numbers_of_client_keys(key: str, value: str) -> None:
    with pytest.raises(BadSetting, match=key):
        request(settings={key: value}).evaluate()
