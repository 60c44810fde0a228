"""Readiness: what turns it red, what is only told, and that nothing makes it raise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.lookup.agreement import Disagreement
from registry.lookup.readiness import Check, Readiness, readiness
from registry.lookup.snapshot import Fact, FactState, Snapshot, Version
from tests.support.status import Session, small_snapshot, unread_snapshot

ANSWERED = ("cluster_id", "active_master", "backup_masters", "meta_locations", "region_servers")
PROBLEMS = st.sampled_from(["", "grant it", "%s {x} <b>"])


def verdict(
    snapshot: Snapshot | None = None,
    age_ms: float = 10.0,
    session: Session | None = None,
    disagreements: Sequence[Disagreement] = (),
    **more: Any,
) -> Readiness:
    return readiness(snapshot or small_snapshot(), age_ms, session or Session(), disagreements, 30_000.0, **more)


def check(found: Readiness, name: str) -> Check:
    return next(row for row in found.checks if row.name == name)


def with_fact(name: str, state: FactState, problem: str = "") -> Snapshot:
    snapshot = small_snapshot()
    fact: Fact[object] = getattr(snapshot, name)
    value = fact.value if state is FactState.KNOWN else None
    complete = state is not FactState.UNREAD
    changed: Any = replace(fact, state=state, value=value, problem=problem)
    return replace(snapshot, complete=complete, **{name: changed})


def test_green_with_everything_known():
    found = verdict()
    assert found.ready
    assert found.reasons == ()
    assert all(row.ok for row in found.checks)


def test_red_before_anything_is_read():
    found = verdict(unread_snapshot(), age_ms=math.inf, session=Session(state="disconnected"))
    assert not found.ready
    assert {row.name for row in found.checks if row.required and not row.ok} == {
        "snapshot-complete",
        "snapshot-age",
        "cluster-id",
        "active-master",
    }
    assert "cluster-id" in check(found, "snapshot-complete").sentence


@pytest.mark.parametrize(
    ("age_ms", "ready"), [(0.0, True), (30_000.0, True), (30_000.1, False), (math.inf, False), (math.nan, False)]
)
def test_the_age_has_a_limit(age_ms: float, ready: bool):
    assert verdict(age_ms=age_ms).ready is ready


@pytest.mark.parametrize("name", ["cluster_id", "active_master"])
@pytest.mark.parametrize("state", [FactState.ABSENT, FactState.FORBIDDEN, FactState.UNDECODABLE, FactState.UNREAD])
def test_cluster_id_and_active_master_are_needed(name: str, state: FactState):
    found = verdict(with_fact(name, state))
    assert not found.ready
    reason = next(reason for reason in found.reasons if reason.startswith(name.replace("_", "-")))
    assert getattr(small_snapshot(), name).path in reason


@pytest.mark.parametrize("name", ["backup_masters", "meta_locations", "region_servers"])
def test_other_facts_are_told_when_zookeeper_lacks_or_forbids_them(name: str):
    for state in (FactState.ABSENT, FactState.FORBIDDEN):
        found = verdict(with_fact(name, state, "run setAcl"))
        row = check(found, name.replace("_", "-"))
        assert found.ready
        assert not row.ok
        assert "run setAcl" in row.sentence
    found = verdict(with_fact(name, FactState.UNDECODABLE, "not PBUF"))
    assert not found.ready, "something that ZooKeeper has would be left out"


def test_table_states_never_turn_it_red():
    for state in (FactState.ABSENT, FactState.FORBIDDEN, FactState.UNDECODABLE):
        assert verdict(with_fact("table_states", state)).ready
    assert check(verdict(with_fact("table_states", FactState.ABSENT)), "table-states").ok


def test_a_partly_missing_fact_is_told():
    found = verdict(with_fact("region_servers", FactState.KNOWN, "3 children may not be read"))
    assert found.ready
    assert check(found, "region-servers").sentence == "3 children may not be read"
    assert not check(found, "region-servers").ok


def test_a_suspended_session_is_not_yet_a_reason_and_a_fatal_one_is():
    assert verdict(session=Session(state="suspended")).ready
    found = verdict(session=Session(state="disconnected", fatal="AuthFailed"))
    assert found.reasons == ("zookeeper-session: AuthFailed",)


def differing(seconds: float, *, behind: bool = False) -> Disagreement:
    return Disagreement("b:16000", "GetActiveMaster", seconds, "x", "y", behind)


def test_a_difference_counts_once_it_has_lasted():
    assert verdict(disagreements=[differing(1.0)]).ready
    found = verdict(disagreements=[differing(1.1), differing(9.0)])
    assert not found.ready
    assert "9.0 s (1 more)" in found.reasons[0]
    assert verdict(disagreements=[differing(9.0)], disagreement_ms_max=10_000.0).ready


def test_a_peer_that_is_behind_does_not_make_the_others_unready():
    found = verdict(disagreements=[differing(60.0, behind=True)])
    assert found.ready
    assert "b:16000" in check(found, "agreement").sentence
    assert not verdict(disagreements=[differing(60.0, behind=True), differing(2.0)]).ready


def test_refusing_and_draining_are_reasons():
    assert verdict(refusing_stale=True).reasons[0].startswith("serving: ")
    assert verdict(draining=True).reasons[0].startswith("shutdown: ")


def test_checks_can_be_left_out():
    found = verdict(age_ms=math.inf)
    assert not found.ready
    assert found.without(["snapshot-age", "unheard-of"]).ready
    assert not verdict(unread_snapshot(), age_ms=math.inf).without(["snapshot-age"]).ready


def facts(path: str) -> st.SearchStrategy[Fact[object]]:
    return st.builds(Fact, state=st.sampled_from(FactState), path=st.just(path), problem=PROBLEMS)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    whole = small_snapshot()
    changed: dict[str, Any] = {}
    for name, fact in whole.facts():
        drawn = draw(facts(fact.path))
        changed[name] = replace(drawn, value=fact.value) if drawn.state is FactState.KNOWN else drawn
    complete = draw(st.booleans()) and not any(fact.state is FactState.UNREAD for fact in changed.values())
    version = Version(draw(st.integers(0, 3)), draw(st.integers(0, 1 << 52)))
    return replace(whole, version=version, complete=complete, **changed)


@given(
    snapshot=snapshots(),
    age_ms=st.one_of(st.floats(min_value=0), st.just(math.nan)),
    state=st.sampled_from(["connected", "suspended", "disconnected"]),
    fatal=st.sampled_from(["", "no chroot"]),
    seconds=st.lists(st.floats(0, 100), max_size=3),
    draining=st.booleans(),
)
def test_green_means_what_the_invariant_says(
    snapshot: Snapshot, age_ms: float, state: str, fatal: str, seconds: list[float], draining: bool
):
    rows = [differing(value) for value in seconds]
    found = readiness(snapshot, age_ms, Session(state=state, fatal=fatal), rows, 30_000.0, draining=draining)
    assert found.ready == (not found.reasons)
    assert all(row.sentence for row in found.checks)
    expected = (
        snapshot.complete
        and age_ms <= 30_000.0
        and snapshot.cluster_id.state is FactState.KNOWN
        and snapshot.active_master.state is FactState.KNOWN
        and not any(getattr(snapshot, name).state is FactState.UNDECODABLE for name in ANSWERED)
        and not fatal
        and not draining
        and all(value <= 1.0 for value in seconds)
    )
    assert found.ready == expected
