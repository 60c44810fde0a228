"""What freshness promises, over all questions and all courses of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry.lookup.freshness import Verdict, Wants, judge, reaches
from registry.lookup.snapshot import Version

WANTS = st.builds(
    Wants,
    max_staleness_ms=st.none() | st.floats(0, 100),
    min_zxid=st.integers(0, 20),
    generation=st.none() | st.integers(0, 3),
    fresh=st.booleans(),
)
VERSIONS = st.builds(Version, st.integers(0, 3), st.integers(0, 20))
AGES = st.floats(0, 200)
WAITED = st.floats(0, 200)
READ = st.booleans()


@given(WANTS, VERSIONS, AGES, st.booleans(), WAITED, READ)
def test_an_answer_keeps_every_promise(
    wants: Wants, version: Version, age_ms: float, complete: bool, waited_ms: float, was_read: bool
) -> None:
    age_ms = min(age_ms, waited_ms) if was_read else age_ms
    verdict = judge(wants, version, age_ms, complete=complete, waited_ms=waited_ms, was_read=was_read)
    if verdict is not Verdict.ANSWER:
        return
    assert not wants.fresh or (was_read and complete)
    if wants.max_staleness_ms is not None:
        held_before_question_ms = age_ms - waited_ms
        assert complete
        assert held_before_question_ms <= wants.max_staleness_ms
    if wants.min_zxid:
        assert complete
    if wants.generation is None:
        assert version.zxid >= wants.min_zxid
    else:
        assert version >= Version(wants.generation, wants.min_zxid)


@given(WANTS, VERSIONS, AGES)
def test_a_question_just_asked_is_never_refused_and_one_read_decides_it(
    wants: Wants, version: Version, age_ms: float
) -> None:
    assert judge(wants, version, age_ms) is not Verdict.REFUSE
    after = judge(wants, version, 1.0, waited_ms=2.0, was_read=True)
    assert after is (Verdict.ANSWER if reaches(wants, version) else Verdict.REFUSE)


@given(WANTS, VERSIONS, VERSIONS, AGES)
def test_a_newer_snapshot_is_never_worse(wants: Wants, one: Version, other: Version, age_ms: float) -> None:
    older, newer = sorted((one, other))
    same_history = wants.generation is not None or older.generation == newer.generation
    if same_history and judge(wants, older, age_ms) is Verdict.ANSWER:
        assert judge(wants, newer, age_ms / 2) is Verdict.ANSWER


@given(WANTS, VERSIONS, AGES, WAITED)
def test_who_asks_nothing_is_answered(wants: Wants, version: Version, age_ms: float, waited_ms: float) -> None:
    if not wants:
        assert judge(wants, version, age_ms, waited_ms=waited_ms) is Verdict.ANSWER
        assert judge(wants, version, float("inf"), complete=False, waited_ms=waited_ms) is Verdict.ANSWER
