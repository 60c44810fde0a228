"""The coordinator's store: a journal of opaque records in segments, and snapshots of what they add up to.

`format` is bytes alone, `recovery` reads, `log` writes, `snapshots` shortens, `keeper` has that done beside a loop;
`files` is the directory below them.
"""

from registry.coordinator.journal.format import DataNotUsable
from registry.coordinator.journal.log import Journal, JournalFailed, JournalSettings
from registry.coordinator.journal.recovery import Recovered

__all__ = ["DataNotUsable", "Journal", "JournalFailed", "JournalSettings", "Recovered"]
