"""New connections to adapters of which one and two of three hang for good, and no guard is there: what it is for.

They wait, beside the tests of the modules before this one that begin them.
"""

from __future__ import annotations

import pytest

from tests.support.compatibility import Results
from tests.support.new_connections import TABLE, Unguarded, summary

pytestmark = [pytest.mark.cluster, pytest.mark.chaos, pytest.mark.timeout(300)]


def test_without_guard_for_contrast(unguarded: Unguarded, results: Results) -> None:
    for hung, asked in unguarded.asked.items():
        row = summary(asked.result(200).value)
        results.record_times(TABLE, f"guard off, {hung} of 3 hung for good", row)
        assert float(row["connect max, s"]) >= 10, f"nothing hung, so nothing was shown: {row}"
    unguarded.close()
