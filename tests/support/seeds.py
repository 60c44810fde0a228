"""How much a run tries, where a campaign tries more.

HBEACON_SEEDS=20 runs so many seeds of a test, HBEACON_SEED=17 that one; HBEACON_EXAMPLES=2000 has Hypothesis make so
many examples for each test.
"""

from __future__ import annotations

import os


def seeds(usual: int) -> list[int]:
    """Those of this run; `usual`: how many of them a run has that asks for none."""
    if "HBEACON_SEED" in os.environ:
        return [int(os.environ["HBEACON_SEED"])]
    return list(range(int(os.environ.get("HBEACON_SEEDS", usual))))


def examples(usual: int) -> int:
    """How many Hypothesis generates in this run; `usual`: in one that asks for none."""
    return int(os.environ.get("HBEACON_EXAMPLES", usual))
