"""Operations as messages, rows as mappings: what callers may write, and what bytes it becomes."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbeacon import Append, Delete, Durability, Get, If, Increment, Put, Row
from protos.hbase import Client_pb2, Filter_pb2, HBase_pb2
from registry.client.data import cells
from registry.client.data.attempts import Attempts
from registry.client.data.batch import Batch, Entry
from registry.client.data.failures import RetriesExhaustedException
from registry.client.data.messages import counted_mutation, get_message, mutation_message
from registry.client.data.names import columns, table_name, to_bytes
from registry.client.data.operations import Mutation
from registry.client.data.region_map import Region, RegionMap
from registry.client.data.results import Cells, newest_values, row_of
from registry.client.data.table import scan_spec
from registry.client.settings import ClientSettings
from registry.names import ServerName
from registry.wire.cellblock import LATEST_TIMESTAMP, Cell, KeyType, decode_cells, encode_cells
from registry.wire.errors import ConnectException, IOException, ProtocolError, RpcThrottlingException
from tests.support.seeds import examples

_Proto = Client_pb2.MutationProto


def test_columns_are_written_in_many_ways() -> None:
    assert columns(["cf:q", b"cf:r", ("cf", "s:t"), "d", "e:", ("g", "")]) == (
        (b"cf", (b"q", b"r", b"s:t")),
        (b"d", ()),
        (b"e", ()),
        (b"g", (b"",)),
    )
    assert columns(["cf", "cf:q"]) == ((b"cf", ()),), "a family that is read whole is read whole"
    assert columns(None) == ()
    assert [table_name(name) for name in ("t", b"ns:t", "default:t")] == ["t", "ns:t", "t"]


NONSENSE: list[Callable[[], object]] = [
    lambda: mutation_message(Put("", {"f:q": "v"})),
    lambda: mutation_message(Put("r" * 40_000, {"f:q": "v"})),
    lambda: Put("r", {}),
    lambda: mutation_message(Put("r", {"f": "v"})),
    lambda: mutation_message(Put("r", {":q": "v"})),
    lambda: mutation_message(Put("r", {"f:q": "v"}, timestamp=-1)),
    lambda: mutation_message(Put("r", {"f:q": "v"}, ttl_ms=0)),
    lambda: mutation_message(Delete("r", [])),
    lambda: mutation_message(Delete("r", ["f"], versions="latest")),
    lambda: Delete("r", versions="some"),  # type: ignore[arg-type]
    lambda: Increment("r", {"f:n": 1 << 63}),
    lambda: get_message(Get("r", versions=0)),
    lambda: get_message(Get("r", time_range=(5, 4))),
    lambda: get_message(Get("r", filter="NoSuchFilter()")),
    lambda: mutation_message(Put("r", {"f:q": 5})),  # type: ignore[dict-item] - bytes(5) would be five zeros
    lambda: mutation_message(Put("r", {"f:q": [1, 2]})),  # type: ignore[dict-item]
    lambda: mutation_message(Put("r", {"f:q": None})),  # type: ignore[dict-item]
    lambda: mutation_message(Put(7, {"f:q": "v"})),  # type: ignore[arg-type]
    lambda: mutation_message(Put("r", {("f", 7): "v"})),  # type: ignore[dict-item]
    lambda: mutation_message(Put("r", {"f:q": "v"}, timestamp=1.5)),  # type: ignore[arg-type]
    lambda: counted_mutation(Put("r", {"f:q": "v"}, timestamp=1.5)),  # type: ignore[arg-type]
    lambda: mutation_message(Put("r", {"f:q": "v"}, timestamp=1 << 63)),
    lambda: Increment("r", {"f:n": 1.5}),  # type: ignore[dict-item]
    lambda: Delete("r", "cf"),  # the families "c" and "f"?
    lambda: Delete("r", b"cf"),  # type: ignore[arg-type]
    lambda: columns("cf"),
    lambda: get_message(Get("r", columns=b"cf")),  # type: ignore[arg-type]
    lambda: scan_spec({"columns": "cf"}),
    lambda: scan_spec({"limit": -1}),
    lambda: scan_spec({"prefix": "a", "stop": "b"}),
    lambda: get_message(Get("r", time_range=(0, 1.5))),  # type: ignore[arg-type]
    lambda: mutation_message(Put("r", {"f:q": "v"}, ttl_ms=0.5)),  # type: ignore[arg-type]
    lambda: If("f"),
    lambda: If("f:q") == 5,
]


def test_an_option_that_scans_do_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="'row_prefix'"):
        scan_spec({"row_prefix": "user-", "limit": 5})  # type: ignore[typeddict-unknown-key]


def test_bytes_are_whatever_has_them() -> None:
    assert [to_bytes(each) for each in (b"a", "ä", bytearray(b"b"), memoryview(b"c"))] == [
        b"a",
        "ä".encode(),
        b"b",
        b"c",
    ]


@pytest.mark.parametrize("make", NONSENSE)
def test_what_makes_no_sense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()


def test_a_delete_says_what_goes() -> None:
    def told(delete: Delete) -> list[tuple[bytes, int, int]]:
        message = mutation_message(delete)
        return [
            (column.family + b":" + each.qualifier, each.delete_type, each.timestamp)
            for column in message.column_value
            for each in column.qualifier_value
        ]

    assert told(Delete("r")) == []
    assert mutation_message(Delete("r", timestamp=7)).timestamp == 7
    assert told(Delete("r", ["f:q", "g"])) == [
        (b"f:q", _Proto.DELETE_MULTIPLE_VERSIONS, 0),
        (b"g:", _Proto.DELETE_FAMILY, 0),
    ]
    assert told(Delete("r", ["f:q"], versions="latest")) == [(b"f:q", _Proto.DELETE_ONE_VERSION, 0)]
    assert told(Delete("r", ["f:q", "g"], 7, "latest")) == [
        (b"f:q", _Proto.DELETE_ONE_VERSION, 7),
        (b"g:", _Proto.DELETE_FAMILY_VERSION, 7),
    ]


MUTATIONS = st.one_of(
    st.builds(Put, st.just("r"), st.just({"f:q": b"v", ("f", b"a:b"): "w"}), st.sampled_from([None, 7])),
    st.builds(Delete, st.just("r"), st.sampled_from([None, ("f:q", "g")]), st.sampled_from([None, 7])),
    st.builds(Increment, st.just("r"), st.just({"f:n": -5})),
    st.builds(Append, st.just("r"), st.just({"f:q": b"more"}), durability=st.sampled_from(Durability)),
)


@given(MUTATIONS)
@settings(max_examples=examples(60), deadline=None)
def test_a_mutation_is_the_same_in_both_encodings(mutation: Mutation) -> None:
    whole = mutation_message(mutation, nonce=9)
    counted, block = counted_mutation(mutation, nonce=9)
    cells = list(decode_cells(block))
    assert counted.associated_cell_count == len(cells)
    assert counted.nonce == whole.nonce == 9
    assert (counted.durability, counted.mutate_type, counted.row) == (whole.durability, whole.mutate_type, whole.row)
    inline = [
        (column.family, each.qualifier, each.value, each.timestamp if each.HasField("timestamp") else LATEST_TIMESTAMP)
        for column in whole.column_value
        for each in column.qualifier_value
    ]
    assert [(cell.family, cell.qualifier, cell.value, cell.timestamp_ms) for cell in cells] == inline
    kinds = {
        _Proto.DELETE_MULTIPLE_VERSIONS: KeyType.DELETE_COLUMN,
        _Proto.DELETE_FAMILY: KeyType.DELETE_FAMILY,
    }
    if isinstance(mutation, Delete):
        told = [each.delete_type for column in whole.column_value for each in column.qualifier_value]
        assert [cell.key_type for cell in cells] == [kinds[kind] for kind in told]


@given(
    st.builds(
        Put,
        st.binary(min_size=1, max_size=300) | st.just("rów") | st.just(bytearray(b"r")),
        st.dictionaries(
            st.sampled_from(["f:q", b"f:a:b", ("f", b"x" * 130), "g:"]),
            st.binary(max_size=200) | st.just("wört") | st.just(memoryview(b"w")),
            min_size=1,
        ),
        st.none() | st.integers(0, (1 << 63) - 1),
        st.none() | st.just(5),
        st.sampled_from(Durability),
    )
)
@settings(max_examples=examples(60), deadline=None)
def test_a_put_of_a_batch_is_the_message_that_it_would_be_alone(put: Put) -> None:
    message, block = counted_mutation(put)
    entry = Entry(put, lambda: 1)
    assert (entry.row, entry.cells) == (message.row, block)
    assert entry.actions == (Client_pb2.Action(mutation=message).SerializeToString(),)
    assert entry.size_bytes == len(entry.actions[0]) + len(block)


NO_PUTS: list[tuple[Callable[[], Put], str]] = [
    (lambda: Put("", {"f:q": "v"}), "a row key has"),
    (lambda: Put(b"r" * 32768, {"f:q": "v"}), "a row key has"),
    (lambda: Put(7, {"f:q": "v"}), "bytes or str are meant"),  # type: ignore[arg-type]
    (lambda: Put("r", {"f": "v"}), "a column is meant"),
    (lambda: Put("r", {"f:q": 5}), "bytes or str are meant"),  # type: ignore[dict-item]
    (lambda: Put("r", {"f:q": "v"}, timestamp=1.5), "is no timestamp"),  # type: ignore[arg-type]
    (lambda: Put("r", {"f:q": "v"}, timestamp=1 << 63), "is no timestamp"),
    (lambda: Put("r", {"f:q": "v"}, ttl_ms=0), "ttl_ms=0"),
]


@pytest.mark.parametrize(("put", "text"), NO_PUTS)
def test_a_put_that_makes_no_sense_makes_none_in_a_batch(put: Callable[[], Put], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        counted_mutation(put())
    with pytest.raises(ValueError, match=text):
        Entry(put(), lambda: 1)


def test_cells_that_java_could_not_count_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "INT32_MAX", 100)
    assert counted_mutation(Put("r", {"f:q": b"v" * 70}))[1]
    with pytest.raises(ValueError, match="the cells of row b'r' have more than the 100 bytes"):
        counted_mutation(Put("r", {"f:q": b"v" * 70, "f:r": b""}))
    with pytest.raises(ValueError, match="the cells of row b'r' have more than the 100 bytes"):
        Entry(Put("r", {"f:q": b"v" * 70, "f:r": b""}), lambda: 1)


def test_a_condition_has_the_given_value_on_the_left() -> None:
    message = (If("f:q") > b"5").message(b"r")
    assert message.compare_type == HBase_pb2.LESS, "5 < stored"
    assert (If("f:q") == "x").message(b"r").comparator.name.endswith("BinaryComparator")
    within = (If("f:q") == "x").within(1, 2).message(b"r")
    assert within.time_range.to == 2
    filtered = If.filter("PrefixFilter('a')").message(b"r")
    assert filtered.filter.name.endswith("PrefixFilter")
    assert not filtered.HasField("family")


def test_filters_are_messages_texts_or_what_makes_one() -> None:
    class Own:
        def to_proto(self) -> Filter_pb2.Filter:
            return Filter_pb2.Filter(name="own")

    assert get_message(Get("r", filter=Own())).filter.name == "own"
    assert get_message(Get("r", filter=Filter_pb2.Filter(name="x"))).filter.name == "x"
    assert get_message(Get("r", filter=b"KeyOnlyFilter()")).filter.name.endswith("KeyOnlyFilter")


# --- rows -------------------------------------------------------------------------------------------------------


def row_with(*cells: tuple[str, int, bytes]) -> Row:
    made = [
        Cell(b"r", name.split(":")[0].encode(), name.split(":")[1].encode(), at, KeyType.PUT, value)
        for name, at, value in cells
    ]
    return Row(encode_cells(made))


def test_a_row_is_a_mapping_to_the_newest_values() -> None:
    row = row_with(("f:a", 9, b"new"), ("f:a", 3, b"old"), ("f:n", 4, (5).to_bytes(8, "big")), ("g:", 1, b""))
    assert row.key == b"r"
    assert dict(row) == {b"f:a": b"new", b"f:n": (5).to_bytes(8, "big"), b"g:": b""}
    assert row["f:a"] == row[b"f:a"] == b"new"
    assert row.get(b"f:none") is None
    assert "f:a" in row
    assert b"f:b" not in row
    assert row.versions("f:a") == [(9, b"new"), (3, b"old")]
    assert row.timestamp("f:a") == 9
    assert row.integer("f:n") == 5
    assert row.integer("f:none") is None
    assert row.cell(("g", "")) == row.cells[3]
    assert row == {b"f:a": b"new", b"f:n": (5).to_bytes(8, "big"), b"g:": b""}
    part = Row(row.block, partial=True)
    for each in (row, part):
        assert pickle.loads(pickle.dumps(each)) == each
        assert pickle.loads(pickle.dumps(each)).partial == each.partial
    with pytest.raises(ValueError, match="no counter"):
        row.integer("f:a")


def test_markers_of_deletes_have_no_values() -> None:
    row = Row(encode_cells([Cell(b"r", b"f", b"a", 9, KeyType.DELETE_COLUMN, b"")]))
    assert dict(row) == {}
    assert row.cells[0].key_type == KeyType.DELETE_COLUMN


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
@settings(max_examples=examples(120), deadline=None)
def test_bytes_that_are_no_cells_are_told_of(extra: bytes, at: int, byte: int) -> None:
    block = bytearray(row_with(("f:a", 9, b"new"), ("f:bbb", 3, b"old")).block + extra)
    block[at % len(block)] = byte
    try:
        values = newest_values(bytes(block))
    except ProtocolError:
        return
    assert all(b":" in name for name in values)
    try:
        _ = Row(bytes(block)).cells
    except ProtocolError:
        return
    assert len(values) <= len(Row(bytes(block)).cells)


def test_results_take_their_cells_from_the_block_in_turn() -> None:
    block = row_with(("f:a", 9, b"1"), ("f:b", 9, b"2")).block + row_with(("f:c", 9, b"3")).block
    cells = Cells(block)
    assert row_of(Client_pb2.Result(associated_cell_count=2), cells) == {b"f:a": b"1", b"f:b": b"2"}
    assert row_of(Client_pb2.Result(), cells) is None
    assert row_of(Client_pb2.Result(associated_cell_count=1), cells) == {b"f:c": b"3"}
    assert not cells.left_bytes
    with pytest.raises(ProtocolError):
        row_of(Client_pb2.Result(associated_cell_count=1), cells)


# --- batches and attempts ---------------------------------------------------------------------------------------


def known() -> RegionMap:
    made = RegionMap()
    made.add(Region(b"t,,1", b"", b"", ServerName("s", 1, 1)))
    return made


def test_a_long_batch_is_several_requests() -> None:
    batch = Batch([Entry(Put(f"r{number}", {"f:q": b"v" * (1 << 20)}), lambda: 1) for number in range(9)], 1)
    calls, unknown = batch.plan(known().find)
    assert not unknown
    assert [call.actions_count for call in calls] == [3, 3, 3]
    assert [entry.index for call in calls for entry in call.entries] == list(range(9))


SPOILS: list[Callable[[Client_pb2.MultiResponse], object]] = [
    lambda response: response.regionActionResult.add(),
    lambda response: response.regionActionResult[0].resultOrException.add(index=0),
    lambda response: response.regionActionResult[0].ClearField("resultOrException"),
    lambda response: setattr(response.regionActionResult[0].resultOrException[0], "index", 7),
    lambda response: setattr(response.regionActionResult[0].resultOrException[0], "index", 1),
    lambda response: setattr(response.regionActionResult[0].resultOrException[0].result, "associated_cell_count", 3),
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_an_answer_that_does_not_fit_is_not_taken(spoil: Callable[[Client_pb2.MultiResponse], object]) -> None:
    batch = Batch([Entry(Get(row), lambda: 1) for row in "ab"], 1)
    ((call,), _) = batch.plan(known().find)
    response = Client_pb2.MultiResponse()
    result = response.regionActionResult.add()
    for index in range(2):
        result.resultOrException.add(index=index).result.associated_cell_count = 1
    block = row_with(("f:a", 9, b"1")).block * 2
    batch.take(call, response.SerializeToString(), block)
    assert all(isinstance(each, Row) for each in batch.results)
    spoil(response)
    with pytest.raises(ProtocolError):
        batch.take(call, response.SerializeToString(), block)


def test_pauses_grow_and_come_to_an_end() -> None:
    chance = random.Random(1)
    attempts = Attempts("x", ClientSettings(pause_ms=100, retries_count=3), 0.0, 10_000)
    waits = [attempts.failed(IOException("no"), "s:1", 1.0, chance) for _ in range(3)]
    assert [round(wait / 100) for wait in waits] == [1, 2, 3]
    with pytest.raises(RetriesExhaustedException, match="x failed after 4 attempts of s:1"):
        attempts.failed(IOException("no"), "s:1", 1.0, chance)
    patient = Attempts("x", ClientSettings(pause_ms=100), 0.0, 1000)
    assert patient.failed(RpcThrottlingException("wait", wait_ms=900), "", 0.0, chance) == 900
    with pytest.raises(RetriesExhaustedException):
        patient.failed(ConnectException("refused"), "", 950.0, chance)
