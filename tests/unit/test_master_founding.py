"""Founding on a model ZooKeeper: once, by one of many, never in somebody else's tree, never twice on one directory."""

from __future__ import annotations

import json
import random
from itertools import count
from pathlib import Path

import pytest

from registry.master.founding import PERSISTENT, Founded, Founder, Founding, Pause, found
from registry.master.identity import DataDirectory, Memory, ProcessMemory
from registry.master.mark import Mark, Refusal
from registry.wire.znode import decode_cluster_id, encode_cluster_id
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Create, Delete, Get, Multi, Reply, Request, Result
from tests.sim.model_sessions import ModelServer

PATHS = ZNodePaths("/hbase")
SALT = bytes(8)


def empty() -> ModelServer:
    return ModelServer(random.Random(0), 2000)


def do(server: ModelServer, request: Request) -> Reply:
    return server.carry_out(request, owner=7)


def founding(memory: Memory | None = None, name: str = "a") -> Founding:
    ids = count(1)
    founder = Founder(
        PATHS, "master:16000", "hbeacon", "2026-11-21T08:20:29Z", lambda: SALT, lambda: f"id-{name}{next(ids)}"
    )
    return found(founder, memory or ProcessMemory())


def drive(server: ModelServer, steps: Founding) -> tuple[Founded, int]:
    """To the end; also how often it paused."""
    pauses = 0
    request = next(steps)
    while True:
        if isinstance(request, Pause):
            pauses += 1
            reply = Reply(Result.OK)
        else:
            reply = do(server, request)
        try:
            request = steps.send(reply)
        except StopIteration as done:
            return done.value, pauses


def cluster_id(server: ModelServer) -> str:
    return decode_cluster_id(server.nodes[PATHS.cluster_id].data)


def test_on_an_empty_zookeeper():
    server = empty()
    founded, pauses = drive(server, founding())
    assert founded == Founded(Mark("id-a1", "hbeacon", "2026-11-21T08:20:29Z"), by_us=True)
    assert cluster_id(server) == "id-a1"
    assert set(server.nodes) == {
        "/hbase",
        PATHS.cluster_id,
        "/hbase/hbeacon",
        *(f"/hbase/{name}" for name in PERSISTENT),
    }
    mark, hbaseid = server.nodes["/hbase/hbeacon"], server.nodes[PATHS.cluster_id]
    assert mark.czxid == hbaseid.czxid, "one transaction"
    assert json.loads(mark.data)["format"] == 1
    assert pauses == 0
    again, _ = drive(server, founding(name="b"))
    assert (again.mark.cluster_id, again.by_us) == ("id-a1", False)


def test_below_a_root_of_several_parts():
    server = empty()
    paths = ZNodePaths("/apps/hbeacon/one")
    founder = Founder(paths, "m", "h", "t", lambda: SALT, lambda: "id")
    assert drive(server, found(founder, ProcessMemory()))[0].by_us
    assert "/apps/hbeacon/one/backup-masters" in server.nodes


@pytest.mark.parametrize("entry", ["hbaseid", "master", "backup-masters/h,1,2", "rs/h,1,2"])
def test_a_foreign_cluster(entry: str):
    server = empty()
    for path in ("/hbase", "/hbase/backup-masters", "/hbase/rs", "/hbase/table"):
        do(server, Create(path))
    do(server, Create(f"/hbase/{entry}"))
    before = set(server.nodes)
    with pytest.raises(Refusal) as refusal:
        drive(server, founding())
    text = str(refusal.value)
    assert entry.partition("/")[0] in text
    assert "hbeacon adapter" in text
    assert "zookeeper.znode.parent" in text
    assert "\n" not in text
    assert set(server.nodes) == before, "nothing was written"


def test_directories_that_an_hbase_left_behind_are_no_cluster():
    server = empty()
    for path in ("/hbase", "/hbase/rs", "/hbase/backup-masters", "/hbase/table", "/hbase/table/t1"):
        do(server, Create(path))
    assert drive(server, founding())[0].by_us


@pytest.mark.parametrize("seed", range(40))
def test_two_who_found_at_one_moment(seed: int, tmp_path: Path):
    """In whatever order their steps come, with one data directory, with two, or with none."""
    rng, server = random.Random(seed), empty()
    directories = (tmp_path, tmp_path if seed % 2 else tmp_path / "other")
    memories: list[Memory] = [ProcessMemory() if seed % 3 == 2 else DataDirectory(one) for one in directories]
    running = {name: founding(memory, name) for name, memory in zip("ab", memories, strict=True)}
    asked = {name: next(steps) for name, steps in running.items()}
    results: dict[str, Founded] = {}
    while running:
        name = rng.choice(sorted(running))
        request = asked[name]
        assert not isinstance(request, Pause)
        try:
            asked[name] = running[name].send(do(server, request))
        except StopIteration as done:
            results[name] = done.value
            del running[name]
    assert sorted(result.by_us for result in results.values()) == [False, True]
    assert {result.mark.cluster_id for result in results.values()} == {cluster_id(server)}
    for memory in memories:
        assert memory.was_founded()
        assert memory.propose("another") == cluster_id(server)


def test_a_founder_that_dies_in_between_founds_the_same_cluster_later(tmp_path: Path):
    server = empty()
    steps = founding(DataDirectory(tmp_path))
    request = next(steps)
    while not isinstance(request, Multi):
        assert not isinstance(request, Pause)
        request = steps.send(do(server, request))
    del steps  # before the transaction
    founded, pauses = drive(server, founding(DataDirectory(tmp_path), "b"))
    assert founded.mark.cluster_id == "id-a1"
    assert pauses == 0, "it was never there, so nobody can act in it"


def test_a_wiped_zookeeper_gets_its_cluster_back(tmp_path: Path):
    first, _ = drive(empty(), founding(DataDirectory(tmp_path)))
    server = empty()
    second, pauses = drive(server, founding(DataDirectory(tmp_path), "b"))
    assert second.mark.cluster_id == first.mark.cluster_id == cluster_id(server)
    assert second.by_us
    assert pauses == 1, "the last master may act for the rest of its lease"


def test_a_data_directory_of_another_cluster(tmp_path: Path):
    drive(empty(), founding(DataDirectory(tmp_path)))
    server = empty()
    drive(server, founding(name="b"))
    with pytest.raises(Refusal, match=r"ZooKeeper holds cluster id-b1, .* belongs to cluster id-a1: .*--data-dir"):
        drive(server, founding(DataDirectory(tmp_path)))


def test_a_process_without_a_directory_follows_whoever_is_there():
    memory = ProcessMemory()
    drive(empty(), founding(memory))
    server = empty()
    drive(server, founding(name="b"))
    assert drive(server, founding(memory))[0].mark.cluster_id == "id-b1"


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", '{"format": 2, "cluster_id": "x", "founded": true}'])
def test_a_file_that_is_none_of_ours(text: str, tmp_path: Path):
    (tmp_path / "cluster-id").write_text(text)
    with pytest.raises(Refusal, match="cluster-id"):
        drive(empty(), founding(DataDirectory(tmp_path)))


def test_a_directory_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="cannot be"):
        drive(empty(), founding(DataDirectory(tmp_path / "file")))


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": "x"}', b"\xff\0\0"])
def test_a_mark_that_is_none(data: bytes):
    server = empty()
    drive(server, founding())
    server.nodes["/hbase/hbeacon"].data = data
    with pytest.raises(Refusal, match="/hbase/hbeacon"):
        drive(server, founding())


def test_a_mark_of_a_newer_program():
    server = empty()
    drive(server, founding())
    server.nodes["/hbase/hbeacon"].data = json.dumps(
        {"format": 2, "cluster_id": "x", "founded_by": "hbeacon 9"}
    ).encode()
    with pytest.raises(Refusal, match="has format 2, this hbeacon reads 1: run the newer one"):
        drive(server, founding())


def test_hbaseid_is_made_again_from_the_mark():
    server = empty()
    drive(server, founding())
    do(server, Delete(PATHS.cluster_id))
    assert drive(server, founding(name="b"))[0].mark.cluster_id == "id-a1"
    assert cluster_id(server) == "id-a1"


def test_an_hbase_started_on_our_znodes():
    server = empty()
    drive(server, founding())
    server.nodes[PATHS.cluster_id].data = encode_cluster_id("theirs", "master:16000", SALT)
    with pytest.raises(Refusal, match="tells of cluster theirs, /hbase/hbeacon of id-a1"):
        drive(server, founding())


@pytest.mark.parametrize("result", [Result.NO_AUTH, Result.FAILED])
def test_what_zookeeper_does_not_let_us_do(result: Result):
    steps = founding()
    assert next(steps) == Get(PATHS.cluster_id)
    with pytest.raises(Refusal):
        steps.send(Reply(result, problem="UnimplementedError"))


def test_somebody_who_keeps_removing_what_we_make():
    class Vandal(ModelServer):
        def carry_out(self, request: Request, owner: int) -> Reply:
            if isinstance(request, Multi):
                self.wipe()
            return super().carry_out(request, owner)

    with pytest.raises(Refusal, match="keeps changing"):
        drive(Vandal(random.Random(0), 2000), founding())
