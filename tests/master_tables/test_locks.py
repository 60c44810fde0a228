"""Locks of procedures: who holds what together, who waits for whom, and that everybody comes to his turn."""

from __future__ import annotations

import random

from hypothesis import given, note
from hypothesis import strategies as st

from registry.master.procedures.locks import Kind, Lock, Locks, table_locks

NAMES = ["a", "b", "n:c", "n:d"]
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.booleans()).map(lambda each: table_locks(each[0], exclusive=each[1])),
    st.sampled_from(["default", "n"]).map(lambda name: (Lock(Kind.NAMESPACE, name, exclusive=True),)),
    st.sampled_from(NAMES).map(
        lambda name: (*table_locks(name, exclusive=False), Lock(Kind.REGION, f"r-{name}", exclusive=True))
    ),
)


def are_compatible(one: tuple[Lock, ...], other: tuple[Lock, ...]) -> bool:
    return not any(
        (first.kind, first.name) == (second.kind, second.name) and (first.exclusive or second.exclusive)
        for first in one
        for second in other
    )


@given(st.lists(OPERATIONS, max_size=25), st.randoms(use_true_random=False))
def test_holders_go_together_and_all_come_to_their_turn(operations: list[tuple[Lock, ...]], chance: random.Random):
    locks = Locks()
    wanted = dict(enumerate(operations))
    waiting_to_ask = list(wanted)
    holding: set[int] = set()
    asked: set[int] = set()
    while waiting_to_ask or holding:
        if waiting_to_ask and (not holding or chance.random() < 0.6):
            owner = waiting_to_ask.pop(0)
            asked.add(owner)
            if locks.ask(owner, wanted[owner]):
                holding.add(owner)
        else:
            done = chance.choice(sorted(holding))
            holding.discard(done)
            asked.discard(done)
            holding.update(locks.give_back(done))
        note(f"holding {sorted(holding)} of {sorted(asked)}")
        assert {owner for owner in asked if locks.holds(owner)} == holding
        for one in holding:
            for other in holding - {one}:
                assert are_compatible(wanted[one], wanted[other])
        for owner in sorted(asked - holding):  # nobody waits without a reason
            before = [other for other in asked if other < owner] + list(holding)
            assert any(not are_compatible(wanted[owner], wanted[other]) for other in before)
    assert not asked, "somebody was left waiting"
    assert not list(locks.listed())


def test_a_table_serves_first_who_came_first():
    locks = Locks()
    assert locks.ask(1, table_locks("t", exclusive=False))
    assert not locks.ask(2, table_locks("t"))
    assert not locks.ask(3, table_locks("t", exclusive=False))
    assert locks.give_back(1) == [2]
    assert locks.give_back(2) == [3]


def test_other_tables_pass_a_namespace_that_is_waited_for():
    """A table whose region is not reached holds its namespace for ever."""
    locks = Locks()
    assert locks.ask(1, table_locks("n:t"))
    assert not locks.ask(2, (Lock(Kind.NAMESPACE, "n", exclusive=True),))
    assert locks.ask(3, table_locks("n:u"))
    assert locks.give_back(1) == []
    assert locks.give_back(3) == [2]
    assert not locks.ask(4, table_locks("n:t"))
    assert locks.give_back(2) == [4]


def test_what_is_listed():
    locks = Locks()
    locks.ask(1, table_locks("t"))
    locks.ask(2, table_locks("t", exclusive=False))
    assert list(locks.listed()) == [(Kind.NAMESPACE, "default", [], [2], 1), (Kind.TABLE, "t", [1], [2], 0)]
