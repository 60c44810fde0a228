"""The façade of happybase: what its own tests do not ask."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Iterator

import pytest

import hbeacon
from hbeacon import Put, happybase
from registry.client.data.operations import Mutation
from registry.client.happybase.columns import column, family_attributes, family_options
from registry.client.happybase.connection import servers
from registry.testing.cluster import Cluster
from tests.test_docs import blocks


@pytest.fixture
def connection(hbeacon_session: Cluster) -> Iterator[happybase.Connection]:
    opened = happybase.Connection(hbeacon_session.uri, timeout=20_000, table_prefix="of_these")
    opened.create_table("t", {"cf": {}, "keep": {"max_versions": 5}, b"one:": {"max_versions": 1}})
    yield opened
    opened.delete_table("t", disable=True)
    opened.close()


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        (None, None, ""),
        ("m1", None, "m1:16000"),
        ("m1", 9090, "m1:16000"),
        ("m1", "16001", "m1:16001"),
        ("m1,m2:16100", 16000, "m1:16000,m2:16100"),
        (["m1", "m2"], None, "m1:16000,m2:16000"),
        ("hbase+zk://zk1:2181/hbase", 9090, "hbase+zk://zk1:2181/hbase"),
        ("::1", None, "[::1]:16000"),
        ("[::1]:16100", None, "[::1]:16100"),
    ],
)
def test_host_and_port_are_servers_of_the_registry(host: str | None, port: int | None, target: str) -> None:
    assert servers(host, port) == target


def test_the_port_of_thrift_is_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        servers("m1", 9090)
    assert "asking port 16000" in caplog.text


def test_columns_are_split_as_thrift_does() -> None:
    assert column("cf:a:b") == (b"cf", b"a:b")
    assert column(b"cf:") == (b"cf", b"")
    assert column("cf") == (b"cf",)


def test_families_have_the_defaults_of_thrift_and_are_told_so() -> None:
    made = family_attributes({"compression": "gz", "time_to_live": 60})
    assert made["VERSIONS"] == "3"
    assert made["BLOCKCACHE"] == "false"
    assert made["COMPRESSION"] == "GZ"
    told = family_options(b"cf", made)
    assert told["name"] == b"cf:"
    assert told["time_to_live"] == 60
    assert family_options(b"cf", {"TTL": "FOREVER"})["time_to_live"] == 0x7FFF_FFFF
    with pytest.raises(TypeError, match="max_version: families have max_versions"):
        family_attributes({"max_version": 1})


def test_puts_of_a_batch_come_before_its_deletes(connection: happybase.Connection) -> None:
    """As the Thrift server sends them: who deletes and puts one column in one batch has it deleted."""
    table = connection.table("t")
    with table.batch() as batch:
        batch.delete("row", ["cf:x"])
        batch.put("row", {"cf:x": "new", "cf:y": b"y"})
    assert table.row("row") == {b"cf:y": b"y"}


def test_a_put_that_makes_no_sense_leaves_nothing_in_its_batch() -> None:
    sent: list[Mutation] = []
    batch = happybase.Batch(sent.extend, list[bytes])
    batch.put("row", {"cf:x": "1"})
    for bad in ({"cf:y": "2", "cf": "3"}, {"cf:y": "2", "cf:z": 3}):
        with pytest.raises((ValueError, TypeError)):
            batch.put("row", bad)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        batch.delete("row", ["cf:x", 7])  # type: ignore[list-item]
    batch.put("row", {"cf:w": b"4"}, wal=False)
    batch.send()
    assert sent == [Put(b"row", {(b"cf", b"x"): b"1", (b"cf", b"w"): b"4"}, durability=hbeacon.Durability.SKIP_WAL)]


def test_a_batch_without_a_log_and_with_times(connection: happybase.Connection) -> None:
    table = connection.table("t")
    with table.batch(timestamp=1000, wal=False) as batch:
        for number in range(30):
            batch.put(f"r{number:02}", {"keep:v": str(number)})
    table.put("r05", {"keep:v": "newer"}, timestamp=2000)
    assert table.row("r05", include_timestamp=True) == {b"keep:v": (b"newer", 2000)}
    assert table.row("r05", timestamp=2000) == {b"keep:v": b"5"}, "the time itself is not in"
    assert table.cells("r05", "keep:v", include_timestamp=True) == [(b"newer", 2000), (b"5", 1000)]
    assert [key for key, _ in table.rows(["r07", "none", "r02"])] == [b"r07", b"r02"], (
        "as asked; what is not there is not"
    )
    assert [key for key, _ in table.scan(row_prefix="r1", reverse=True, limit=2)] == [b"r19", b"r18"]
    assert len(list(table.scan(scan_batching=1, columns=["keep"]))) == 30
    table.delete("r05", ["keep"], timestamp=1500)
    assert table.cells("r05", "keep:v") == [b"newer"]


def test_regions_and_families_are_told(connection: happybase.Connection) -> None:
    table = connection.table("t")
    (region,) = table.regions()
    assert region["name"].startswith(b"of_these_t,,")
    assert region["start_key"] == region["end_key"] == b""
    assert region["port"] > 0
    assert {name: each["max_versions"] for name, each in table.families().items()} == {b"cf": 3, b"keep": 5, b"one": 1}
    assert connection.tables() == [b"t"]


def test_errors_are_hbases(connection: happybase.Connection) -> None:
    with pytest.raises(hbeacon.HBaseError, match="TableNotFoundException"):
        connection.table("nowhere").row("r")
    with pytest.raises(ValueError, match="has no qualifier"):
        connection.table("t").put("r", {"cf": "v"})
    with pytest.raises(TypeError, match="'columns' must be"):
        connection.table("t").row("r", "cf:x")  # pyright: ignore[reportArgumentType]


def _threads() -> int:
    return sum(thread.name.startswith("hbeacon c") for thread in threading.enumerate())


def test_a_connection_that_nobody_has_any_more_is_closed(hbeacon_session: Cluster) -> None:
    """Programs of happybase rely on it."""
    before = _threads()
    for _ in range(3):
        happybase.Connection(hbeacon_session.uri).tables()
    gc.collect()
    ends = time.monotonic() + 20
    while _threads() > before:
        assert time.monotonic() < ends, [thread.name for thread in threading.enumerate()]
        time.sleep(0.05)


def test_a_closed_connection_can_be_opened_again(hbeacon_session: Cluster) -> None:
    connection = happybase.Connection(hbeacon_session.uri, autoconnect=False)
    assert not connection.transport.is_open()
    connection.open()
    connection.close()
    connection.close()
    assert connection.tables() is not None, "what needs it opens it"
    connection.close()


def test_a_wrong_address_shows_at_once() -> None:
    with pytest.raises(hbeacon.RegistryLookupError):
        happybase.Connection("127.0.0.1", 1, timeout=300)


def test_a_pool_gives_a_thread_one_connection_and_takes_it_back(hbeacon_session: Cluster) -> None:
    pool = happybase.ConnectionPool(1, host=hbeacon_session.uri)
    with pool.connection() as outer, pool.connection() as inner:
        assert inner is outer
    refused: list[str] = []

    def other() -> None:
        try:
            with pool.connection(timeout=0.05):
                pass
        except happybase.NoConnectionsAvailable as error:
            refused.append(str(error))

    with pool.connection() as held:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == ["No connection available from pool within specified timeout"]
    held.close()


def test_the_page_does_what_it_shows(hbeacon_session: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = [text for page, text in blocks("python") if page.name == "happybase.md"]
    with hbeacon.connect_blocking(hbeacon_session.uri) as hbase:
        exec(compile(example.replace("master1", hbeacon_session.uri), "happybase.md", "exec"), {})
        assert capsys.readouterr().out == "b'row1' b'Ada'\nb'row2' b'Bob'\n"
        hbase.admin.disable_table("users")
        hbase.admin.delete_table("users")
