"""Exit codes of the command, the same for every role."""

from __future__ import annotations

STOPPED = 0
"""Ended as asked."""
FAILED = 1
"""Anything that has no code of its own."""
BAD_SETTING = 2
"""A setting or the command line cannot be used; one line on standard error says which and what to write."""
CANNOT_LISTEN = 3
"""An address is in use or not ours; the line names the flag that mends it."""
REFUSED = 4
"""ZooKeeper refuses us for good: authentication, missing chroot."""
INCOMPLETE = 5
"""Done, but for what was bad and was to be left out; each is named on standard error."""
INTERRUPTED = 130
"""Ctrl-C, as shells count it."""
