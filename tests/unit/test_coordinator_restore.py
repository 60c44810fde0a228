"""What is journaled and dumped brings everything back; what cannot be ours is refused."""

from __future__ import annotations

import pytest

from registry.coordinator.codes import CreateMode, ErrorCode, OpCode
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE, MarshallingError
from registry.coordinator.machine import CorruptState
from registry.coordinator.transactions import (
    Create,
    Delete,
    Failed,
    Multi,
    SetACL,
    SetData,
    Transaction,
    decode,
    encode,
)
from tests.support import zk_frames
from tests.support.coordinators import Client, CoordinatorBench, MemoryLog


@pytest.fixture
def bench() -> CoordinatorBench:
    return CoordinatorBench(log=MemoryLog())


def busy(bench: CoordinatorBench) -> Client:
    """A session that has done one of everything, after another has ended."""
    first = bench.client()
    first.create("/gone", flags=CreateMode.EPHEMERAL)
    client = bench.client(timeout_ms=20_000)
    client.auth("digest", b"user:secret")
    client.set_data("/", b"of the root")
    client.create("/a", b"data")
    client.create("/a/null", None)
    client.create("/a/s-", flags=CreateMode.PERSISTENT_SEQUENTIAL)
    client.create("/a/e-", flags=CreateMode.EPHEMERAL_SEQUENTIAL)
    client.create("/c", op=OpCode.CREATE_CONTAINER)
    client.create("/t", flags=CreateMode.PERSISTENT_WITH_TTL, op=OpCode.CREATE_TTL, ttl_ms=1000)
    client.set_data("/a", b"more")
    client.set_data("/a", b"", version=9)
    client.set_acl("/a/null", [ACL(31, "auth", ""), ACL(1, "world", "anyone")])
    client.create("/ä", "日本".encode())
    client.create("/b")
    client.delete("/b")
    client.multi(
        (OpCode.CREATE, zk_frames.create_record("/m", b"", OPEN_ACL_UNSAFE, 0)),
        (OpCode.CREATE, zk_frames.create_record("/m/e", b"", OPEN_ACL_UNSAFE, 1)),
        (OpCode.SET_DATA, zk_frames.set_data_record("/m", b"x")),
        (OpCode.CHECK, zk_frames.version_record("/m")),
    )
    client.multi((OpCode.DELETE, zk_frames.version_record("/m")))
    first.close_session()
    return client


@pytest.mark.parametrize("with_dump", [False, True])
def test_all_comes_back(bench: CoordinatorBench, with_dump: bool) -> None:
    client = busy(bench)
    other = bench.restarted(with_dump=with_dump)
    assert other.picture() == bench.picture()
    figures, expected = other.machine.describe(), bench.machine.describe()
    assert (figures.zxid, figures.node_count, figures.ephemeral_count) == (
        expected.zxid, expected.node_count, expected.ephemeral_count,
    )  # fmt: skip
    assert figures.data_bytes == expected.data_bytes
    assert other.machine.inspect().ephemerals == bench.machine.inspect().ephemerals
    again = other.client(session=client.session, last_zxid_seen=expected.zxid)
    assert again.session_id == client.session_id
    assert again.get_children("/a").body == client.get_children("/a").body
    assert again.create("/a/s-", flags=CreateMode.PERSISTENT_SEQUENTIAL).path == "/a/s-0000000003"
    assert other.client().session_id > client.session_id


def test_the_log_has_each_zxid_once_and_commits_when_told(bench: CoordinatorBench) -> None:
    assert bench.log is not None
    busy(bench)
    assert bench.log.zxids == list(range(1, bench.machine.tree.zxid + 1))
    assert bench.log.commits == 0
    bench.machine.commit()
    assert bench.log.commits == 1


def test_sessions_come_back_with_their_whole_time_out_and_expire(bench: CoordinatorBench) -> None:
    client = busy(bench)
    bench.pass_ms(18_000)
    other = bench.restarted()
    other.pass_ms(18_000)
    assert client.session_id in other.machine.tracker.sessions
    other.pass_ms(6000)
    assert other.machine.describe().session_count == 0
    assert other.machine.describe().ephemeral_count == 0


def test_a_journal_that_reaches_back_behind_its_dump_changes_nothing_twice(bench: CoordinatorBench) -> None:
    assert bench.log is not None
    client = busy(bench)
    dump = list(bench.machine.dump())
    client.set_data("/a", b"after")
    for start in range(bench.machine.tree.zxid):
        other = CoordinatorBench()
        other.machine.restore(dump, bench.log.records[start:])
        assert other.picture() == bench.picture()


def test_a_dump_is_of_its_moment_whatever_happens_while_it_is_read(bench: CoordinatorBench) -> None:
    client = busy(bench)
    for number in range(20):
        client.create(f"/a/{number}", b"old")
    expected = list(bench.machine.dump())
    records = bench.machine.dump()
    got = [next(records) for _ in range(8)]
    for number in range(20):
        client.set_data(f"/a/{number}", b"new")
        client.delete(f"/a/{number}")
        client.create(f"/a/{number}", b"newer")
        client.create(f"/a/{number}/child")
    client.set_acl("/c", [ACL(1, "world", "anyone")])
    client.close_session()
    got += records
    assert got == expected
    assert list(bench.machine.dump()) != expected


def test_a_dump_that_nobody_reads_to_the_end_leaves_nothing_behind(bench: CoordinatorBench) -> None:
    client = busy(bench)
    for _ in range(2):
        abandoned = bench.machine.dump()
        next(abandoned)
        del abandoned
        bench.machine.dump()
    client.set_data("/a", b"x")
    assert list(bench.machine.dump())


STEPS = [
    Create("/a", None, OPEN_ACL_UNSAFE, -(1 << 63), 7),
    Create("/ä", b"\0" * 100, (ACL(31, "digest", "u:p"), ACL(1, "ip", "::1")), 1 << 62, -1),
    Delete("/a"),
    SetData("/a", b"", 3),
    SetACL("/a", OPEN_ACL_UNSAFE, 3),
    Failed(ErrorCode.NO_NODE),
    Multi(()),
    Multi((Delete("/a"), Create("/a", b"x", OPEN_ACL_UNSAFE, 0, 1), SetData("/a", None, 1))),
]


@pytest.mark.parametrize("step", STEPS)
def test_transactions_are_read_as_they_were_written(step: Create) -> None:
    transaction = Transaction(1 << 40, 1_795_000_000_000, -5, step)
    record = encode(transaction)
    assert decode(record) == transaction
    for end in range(len(record)):
        with pytest.raises(MarshallingError):
            decode(record[:end])
    with pytest.raises(MarshallingError):
        decode(record + b"\0")


def test_a_state_that_is_not_ours_is_refused(bench: CoordinatorBench) -> None:
    busy(bench)
    dump = list(bench.machine.dump())
    node = next(record for record in dump if record[:1] == b"N")
    wrong: list[tuple[list[bytes], list[bytes]]] = [
        (dump[1:], []),
        ([b"H\0\2" + dump[0][3:], *dump[1:]], []),
        ([*dump, b"X"], []),
        ([*dump, node[:-10]], []),
        ([*dump, node.replace(b"\0\0\0\1/", b"\0\0\0\6/x/y/z")], []),
        ([], [b"\0"]),
        ([], [encode(Transaction(5, 0, 0, SetData("/missing", b"", 1)))]),
        ([], [encode(Transaction(5, 0, 0, Create("/x/y", b"", OPEN_ACL_UNSAFE, 0, 1)))]),
    ]
    for records, transactions in wrong:
        with pytest.raises(CorruptState, match="zxid"):
            CoordinatorBench().machine.restore(records, transactions)
    CoordinatorBench().machine.restore([], [])
