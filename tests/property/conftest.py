"""How Hypothesis runs here."""

from __future__ import annotations

from hypothesis import settings

# No deadline for single examples: a busy machine is no bug. The test as a whole has pytest's.
settings.register_profile("hbeacon", deadline=None, print_blob=True)
settings.load_profile("hbeacon")
