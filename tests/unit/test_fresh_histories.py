"""The checker of histories calls good what is good, and finds each kind of lie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fresh_histories import History, Look, Write, problems

WRITES = [Write(1, 0.0, 1.0, 101), Write(2, 2.0, 3.0, 102), Write(3, 4.0, None), Write(4, 6.0, 7.0, 104)]
LOOK = Look("rpc", "a:1", 3.5, 3.9, 2, 0, 102)


@pytest.mark.parametrize(
    "looks",
    [
        [LOOK],
        [replace(LOOK, asked_s=2.5)],
        [replace(LOOK, asked_s=2.5, value=1, zxid=101)],
        [replace(LOOK, asked_s=4.5, answered_s=5.0), replace(LOOK, asked_s=5.1, answered_s=5.5, value=3, zxid=103)],
        [replace(LOOK, asked_s=5.0, answered_s=9.0, value=4, zxid=104), replace(LOOK, asked_s=6.0, answered_s=8.0)],
        [replace(LOOK, min_zxid=101, value=1, zxid=101)],
        [LOOK, replace(LOOK, server="b:1", asked_s=4.0, answered_s=4.1)],
    ],
)
def test_what_can_be(looks: list[Look]) -> None:
    assert not problems(History(WRITES, looks))


@pytest.mark.parametrize(
    ("looks", "part"),
    [
        ([replace(LOOK, value=1, zxid=101)], "2 was acknowledged 500.0 ms before"),
        ([replace(LOOK, zxid=101)], "0x66 was acknowledged before"),
        ([replace(LOOK, value=4, zxid=104)], "only afterwards"),
        ([replace(LOOK, value=9)], "nobody wrote that"),
        (
            [
                replace(LOOK, asked_s=4.2, answered_s=4.5, value=3, zxid=103),
                replace(LOOK, server="b:1", asked_s=4.6, answered_s=5.0),
            ],
            "before it was asked, rpc fresh of a:1: 3",
        ),
        (
            [LOOK, replace(LOOK, asked_s=4.0, answered_s=4.1, min_zxid=1, zxid=101)],
            "version 0:0x66 had been answered",
        ),
        ([replace(LOOK, min_zxid=103)], "not as far as was asked"),
    ],
)
def test_what_cannot_be(looks: list[Look], part: str) -> None:
    found = problems(History(WRITES, looks))
    assert any(part in problem for problem in found), found
