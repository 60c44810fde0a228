"""Faults as rules: any rule survives its JSON, the same seed decides the same, counts and ends hold."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from registry.faults.machine import Decision, Faults
from registry.faults.rules import AT_ACCEPT, CLUSTER_ID_METHODS, BadFault, FaultKind, Rule, parse_rule

METHODS = ("GetClusterId", "GetMasters", "Regist", "IsMasterRunning")
PEERS = ("127.0.0.1", "10.1.2.3", "10.1.9.9", "::1", "fe80::1%eth0", "")
NETWORKS = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "10.1.2.0/24", "10.1.0.0/16", "::1/128", "fe80::/10")))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kind = draw(st.sampled_from(FaultKind))
    names = CLUSTER_ID_METHODS if kind is FaultKind.WRONG_CLUSTER_ID else (*METHODS, "Get*", "*", "????st")
    methods = () if kind in AT_ACCEPT else tuple(draw(st.lists(st.sampled_from(names), unique=True)))
    if kind is FaultKind.WRONG_CLUSTER_ID and not methods:
        methods = CLUSTER_ID_METHODS
    delay_ms = (
        sorted(draw(st.tuples(st.floats(0, 600_000), st.floats(0, 600_000)))) if kind is FaultKind.DELAY else (0, 0)
    )
    return Rule(
        kind,
        methods,
        tuple(draw(st.lists(st.sampled_from(NETWORKS), unique=True, max_size=3))),
        draw(st.floats(0, 1)),
        draw(st.none() | st.integers(1, 20)),
        draw(st.none() | st.integers(0, 2**53 - 1)),
        draw(st.none() | st.floats(1, 86_400_000)),
        (delay_ms[0], delay_ms[1]),
        draw(st.none() | st.integers(1, 4096)) if kind is FaultKind.HALF else None,
        draw(st.sampled_from(("", "another-cluster"))) if kind is FaultKind.WRONG_CLUSTER_ID else "",
    )


EVENTS = st.lists(
    st.tuples(st.none() | st.sampled_from(METHODS), st.sampled_from(PEERS), st.floats(0, 10_000)), max_size=120
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ("kind", "methods", "peers", "probability", "count", "seed", "duration_ms", "delay_ms", "bytes", "cluster_id")
)


def made(new_seed: int = 99) -> Faults:
    return Faults(random.Random, lambda: new_seed)


def decisions(faults: Faults, events: list[tuple[str | None, str, float]]) -> list[Decision | None]:
    now_ms, found = 0.0, list[Decision | None]()
    for method, peer, after_ms in events:
        now_ms += after_ms
        found.append(faults.at_accept(peer, now_ms) if method is None else faults.at_call(method, peer, now_ms))
    return found


@given(rules())
def test_a_rule_survives_its_document(rule: Rule) -> None:
    assert parse_rule(rule.as_document()) == rule


@given(JSON | st.dictionaries(FIELDS, JSON | st.sampled_from([kind.value for kind in FaultKind])))
def test_any_document_is_a_rule_or_teaches(document: object) -> None:
    problem = "none"
    try:
        rule = parse_rule(document)
    except BadFault as error:
        problem = str(error)
    else:
        assert parse_rule(rule.as_document()) == rule
        assert str(rule)
    assert problem
    assert "\n" not in problem


@given(st.lists(rules(), min_size=1, max_size=6), EVENTS, st.integers(0, 2**32))
def test_the_same_seeds_decide_the_same(
    set_rules: list[Rule], events: list[tuple[str | None, str, float]], seed: int
) -> None:
    first, second = made(seed), made(seed)
    for rule in set_rules:
        assert first.add(rule, 0.0) == second.add(rule, 0.0)
    assert decisions(first, events) == decisions(second, events)


@given(rules(), rules(), EVENTS)
def test_a_rule_fires_at_the_same_events_whatever_stands_before_it(
    rule: Rule, before: Rule, events: list[tuple[str | None, str, float]]
) -> None:
    alone, behind = made(), made()
    alone.add(rule, 0.0)
    behind.add(before, 0.0)
    number = behind.add(rule, 0.0).number
    for one, other in zip(decisions(alone, events), decisions(behind, events), strict=True):
        if rule.count is None and one is not None:
            assert other is not None, "a rule before can only take its place"
        if rule.count is None and other is not None and other.number == number:
            assert one is not None
            assert other.delay_ms == one.delay_ms


@given(st.lists(rules(), min_size=1, max_size=6), EVENTS)
def test_counts_ends_and_aims_hold(set_rules: list[Rule], events: list[tuple[str | None, str, float]]) -> None:
    faults = made()
    rows = {row.number: row.rule for row in (faults.add(rule, 0.0) for rule in set_rules)}
    applied: Counter[int] = Counter()
    now_ms = 0.0
    for method, peer, after_ms in events:
        now_ms += after_ms
        decision = faults.at_accept(peer, now_ms) if method is None else faults.at_call(method, peer, now_ms)
        if decision is None:
            continue
        rule = rows[decision.number]
        applied[decision.number] += 1
        assert decision.rule is rule
        assert (rule.kind in AT_ACCEPT) is (method is None)
        assert rule.probability > 0
        assert rule.duration_ms is None or now_ms < rule.duration_ms
        assert rule.delay_ms[0] <= decision.delay_ms <= rule.delay_ms[1]
        assert not rule.peers or (
            peer and any(ipaddress.ip_address(peer.partition("%")[0]) in each for each in rule.peers)
        )
        if method is not None and rule.methods and not any("*" in name or "?" in name for name in rule.methods):
            assert method in rule.methods
    faults.expire(now_ms)
    left = {row.number: row for row in faults.rows(now_ms)}
    for number, rule in rows.items():
        if rule.count is not None:
            assert applied[number] <= rule.count
            assert number not in left or applied[number] < rule.count
        over = rule.duration_ms is not None and rule.duration_ms <= now_ms
        assert (number in left) is (not over and applied[number] != rule.count)
        if number in left:
            assert left[number].applied == applied[number]
    assert sum(faults.applied.values()) == applied.total()


def test_probability_is_what_it_says() -> None:
    faults = made()
    faults.add(Rule(FaultKind.HANG, probability=0.3, seed=7), 0.0)
    fired = sum(faults.at_call("GetMasters", "127.0.0.1", 0.0) is not None for _ in range(10_000))
    assert 2_800 < fired < 3_200
