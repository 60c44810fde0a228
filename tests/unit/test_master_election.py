"""A candidate's single steps: what tests/sim plays at random, told one by one."""

from __future__ import annotations

import random

import pytest

from registry.lookup.snapshot import Master
from registry.master.election import Ask, BecomeActive, Candidate, Doubt, Effect, End, StandBy, Standing
from registry.names import ServerName
from registry.wire.znode import encode_master
from registry.zk.paths import ZNodePaths
from registry.zk.requests import Children, Create, Delete, Get, Multi, Reply, Result
from tests.sim.model_sessions import ModelServer

PATHS = ZNodePaths("/hbase")
ME, OTHER = ServerName("m1", 16000, 10), ServerName("m2", 16000, 20)
MY_SESSION, OTHER_SESSION = 1, 2


def standing(name: ServerName = ME) -> Standing:
    master = Master(name, 16010)
    return Standing(PATHS, master, encode_master(master, "master:16000", bytes(8)), "/hbase/hbeacon", b"{}")


class Table:
    """A candidate and a ZooKeeper, with a hand between them."""

    def __init__(self, name: ServerName = ME) -> None:
        self.server = ModelServer(random.Random(0), 2000)
        for path in ("/hbase", "/hbase/backup-masters", "/hbase/hbeacon"):
            self.server.carry_out(Create(path), 0)
        self.candidate = Candidate(standing(name), MY_SESSION)
        self.told: list[Effect] = []

    def elect(self, name: ServerName, session: int = OTHER_SESSION) -> None:
        """Somebody else, as candidates do it."""
        place = standing(name)
        self.server.carry_out(Create(PATHS.master, place.data, ephemeral=True), session)
        self.server.nodes["/hbase/hbeacon"].version += 1

    def play(self, effects: list[Effect], *, steps: int = 20) -> list[Effect]:
        """Carry out what is asked; gives what is told, and what is asked last where the steps are used up."""
        told: list[Effect] = []
        while effects:
            effect = effects.pop(0)
            if isinstance(effect, Ask):
                if steps == 0:
                    return [*told, effect]
                steps -= 1
                effects += self.candidate.answered(effect.ticket, self.server.carry_out(effect.request, MY_SESSION))
            else:
                told.append(effect)
        return told

    def children(self) -> list[str]:
        return [path for path in self.server.nodes if path.startswith("/hbase/backup-masters/")]


def test_alone():
    table = Table()
    (told,) = table.play(table.candidate.connected())
    assert told == BecomeActive(table.server.nodes[PATHS.master].czxid)
    assert table.children() == [], "an active master is no backup"
    assert table.server.nodes["/hbase/hbeacon"].version == 1


def test_second():
    table = Table()
    table.elect(OTHER)
    assert table.play(table.candidate.connected()) == [StandBy(OTHER)]
    assert table.children() == [f"/hbase/backup-masters/{ME}"]
    table.server.delete(PATHS.master)
    (told,) = table.play(table.candidate.fired(PATHS.master))
    assert isinstance(told, BecomeActive)


def test_a_create_whose_answer_was_lost():
    """It was carried out: NodeExists would say that somebody else won."""
    table = Table()
    asked = table.play(table.candidate.connected(), steps=1)[-1]
    assert isinstance(asked, Ask)
    assert isinstance(asked.request, Multi)
    table.server.carry_out(asked.request, MY_SESSION)
    assert table.candidate.answered(asked.ticket, Reply(Result.LOST)) == []
    table.candidate.suspended()
    (told,) = table.play(table.candidate.connected())
    assert isinstance(told, BecomeActive)
    assert table.candidate.answered(asked.ticket, Reply(Result.OK)) == [], "what comes late counts for nothing"


def test_an_earlier_life_at_this_address_is_removed():
    table = Table()
    table.elect(ServerName("m1", 16000, 5))
    told = table.play(table.candidate.connected())
    assert isinstance(told[-1], BecomeActive)


def test_an_earlier_life_that_went_while_it_was_looked_at():
    """Another master is elected between the last read and the delete, whose version would be right: 0."""
    table = Table()
    table.elect(ServerName("m1", 16000, 5))
    asked = table.play(table.candidate.connected(), steps=5)[-1]
    assert isinstance(asked, Ask)
    assert isinstance(asked.request, Multi)
    assert Delete(PATHS.master) in asked.request.operations
    table.server.delete(PATHS.master)
    table.elect(OTHER)
    assert table.server.nodes[PATHS.master].version == 0
    told = table.play([asked])
    assert told == [StandBy(OTHER)]
    assert table.server.nodes[PATHS.master].owner == OTHER_SESSION


def backup(name: str) -> str:
    return f"/hbase/backup-masters/{name}"


def test_what_an_earlier_life_left_among_the_backups_is_removed():
    left = ("m1,16000,5", "m1,16000,9")
    stay = ("m1,16001,5", "m2,16000,5", "m1,16000,11", "m1", "not,a,name")
    for active in (True, False):
        table = Table()
        for name in (*left, *stay):
            table.server.carry_out(Create(backup(name), b"", ephemeral=True), OTHER_SESSION)
        if not active:
            table.elect(OTHER)
        table.play(table.candidate.connected())
        mine = [] if active else [backup(str(ME))]
        assert sorted(table.children()) == sorted([*map(backup, stay), *mine])
        asked = table.play(table.candidate.suspended() + table.candidate.connected(), steps=0)
        assert not [each for each in asked if isinstance(each, Ask) and isinstance(each.request, Children)], "once"


def test_the_election_comes_before_tidiness():
    table = Table()
    for number in range(3):
        table.server.carry_out(Create(backup(f"m1,16000,{number}"), b"", ephemeral=True), OTHER_SESSION)
    table.elect(OTHER)
    asked = table.play(table.candidate.connected(), steps=4)[-1]
    assert isinstance(asked, Ask)
    assert asked.request == Delete(backup("m1,16000,0"))
    table.server.delete(PATHS.master)
    assert table.candidate.fired(PATHS.master) == []
    (told,) = table.play([asked])
    assert isinstance(told, BecomeActive)
    assert table.children() == [], "and then the rest of it"


@pytest.mark.parametrize("refused", [Result.NO_AUTH, Result.FAILED, Result.NO_NODE])
@pytest.mark.parametrize(("steps", "request_type"), [(4, Children), (5, Delete)])
def test_backups_that_may_not_be_removed_end_nothing(refused: Result, steps: int, request_type: type) -> None:
    table = Table()
    table.server.carry_out(Create(backup("m1,16000,5"), b"", ephemeral=True), OTHER_SESSION)
    asked = table.play(table.candidate.connected(), steps=steps)[-1]
    assert isinstance(asked, Ask)
    assert isinstance(asked.request, request_type)
    assert table.candidate.answered(asked.ticket, Reply(refused)) == []
    assert not table.candidate.ended


def test_a_node_that_is_no_masters():
    table = Table()
    table.server.carry_out(Create(PATHS.master, b"nonsense"), 0)
    assert table.play(table.candidate.connected()) == [StandBy(None)]


def test_an_active_master_whose_node_is_gone():
    table = Table()
    table.play(table.candidate.connected())
    table.server.delete(PATHS.master)
    (told,) = table.play(table.candidate.fired(PATHS.master))
    assert isinstance(told, End)
    assert table.candidate.connected() == [], "the end is the end"


def test_an_active_master_whose_node_was_made_again():
    table = Table()
    table.play(table.candidate.connected())
    table.server.delete(PATHS.master)
    table.elect(OTHER)
    assert table.play(table.candidate.fired(PATHS.master)) == [End("another master has been elected")]


def test_after_another_connection_an_active_master_looks_first():
    table = Table()
    (active,) = table.play(table.candidate.connected())
    table.candidate.suspended()
    effects = table.candidate.connected()
    assert effects[0] == Doubt()
    assert isinstance(effects[1], Ask)
    assert effects[1].request == Get(PATHS.master, watch=True)
    assert table.play(effects) == [Doubt(), active]


def test_a_watch_that_fires_while_something_is_asked():
    table = Table()
    table.elect(OTHER)
    asked = table.play(table.candidate.connected(), steps=2)[-1]
    assert isinstance(asked, Ask)
    assert table.candidate.fired(PATHS.master) == []
    told = table.play([asked])
    assert told == [StandBy(OTHER), StandBy(OTHER)], "looked again"


def test_the_end_of_the_session():
    table = Table()
    table.play(table.candidate.connected())
    assert table.candidate.session_ended("expired") == [End("expired")]
    assert table.candidate.session_ended("expired") == []
    assert table.candidate.epoch == 0


def test_a_tree_that_is_gone():
    table = Table()
    table.server.wipe()
    assert table.play(table.candidate.connected()) == [End("the znodes of the cluster are gone")]


def test_what_zookeeper_refuses():
    table = Table()
    (asked,) = table.candidate.connected()
    assert isinstance(asked, Ask)
    (told,) = table.candidate.answered(asked.ticket, Reply(Result.NO_AUTH))
    assert isinstance(told, End)
