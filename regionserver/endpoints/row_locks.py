"""Rows that one call changes at a time, in the order in which calls come; for regions whose observers ask for it.

Plain regions need none: what they judge and what they write is one turn of the loop. Belongs to the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager


class RowLocks:
    """Those of one region."""

    def __init__(self) -> None:
        self._last: dict[bytes, asyncio.Future[None]] = {}
        """Of each row that is locked or waited for, the end of who came last."""

    def __len__(self) -> int:
        """Rows locked."""
        return len(self._last)

    @asynccontextmanager
    async def hold(self, rows: Iterable[bytes]) -> AsyncGenerator[None]:
        """All of these rows, once all who came earlier are done with any of them: nobody waits in a ring."""
        mine = frozenset(rows)
        end = asyncio.get_running_loop().create_future()
        before = {self._last[row] for row in mine if row in self._last}
        self._last.update(dict.fromkeys(mine, end))
        try:
            for each in before:
                await asyncio.shield(each)
            yield
        finally:
            end.set_result(None)
            for row in mine:
                if self._last.get(row) is end:
                    del self._last[row]
