"""Seeds of tests that a campaign repeats: HBEACON_SEEDS=20 runs so many, HBEACON_SEED=17 that one."""

from __future__ import annotations

import os


def seeds(usual: int) -> list[int]:
    """Those of this run; `usual`: how many of them a run has that asks for none."""
    if "HBEACON_SEED" in os.environ:
        return [int(os.environ["HBEACON_SEED"])]
    return list(range(int(os.environ.get("HBEACON_SEEDS", usual))))
