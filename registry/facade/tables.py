"""Where states of tables come from when ZooKeeper has none.

HBase 3.0 keeps them in hbase:meta alone, 2.x too where `hbase.mirror.table.state.to.zookeeper` is false. Clients 1.x
look for `/hbase/table/<table>` all the same: without it Admin.isTableEnabled and isTableDisabled are both false.

Source: ZKTableStateClientSideReader (1.x), MirroringTableStateManager, TableStateManager (2.x).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol


class TableStates(Protocol):
    """States of tables as hbase:meta has them; everything on the loop of the door that asks."""

    @property
    def states(self) -> Mapping[str, str] | None:
        """Full table name (`ns:t`, or `t` in the default namespace) to ENABLED, DISABLED, DISABLING or ENABLING.

        None until the states have been read once. A mapping that was given out is never changed afterwards: a change
        makes another one. hbase:meta itself may be left out, for it is always enabled.
        """
        ...

    def age_ms(self) -> float:
        """Since the moment at which the youngest complete reading was asked for; infinite before the first."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, without arguments, after `states` became another mapping; the answer ends that."""
        ...

    def set_wanted(self, wanted: bool) -> None:
        """Whether anybody needs the states: while ZooKeeper has them itself, hbase:meta is left in peace."""
        ...
