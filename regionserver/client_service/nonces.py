"""Nonces: an increment or append that a client sends twice, because the first answer got lost, is applied once.

Source: ServerNonceManager; hbase.server.hashNonce.gracePeriod.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable

from regionserver.engine.store import StoreError
from registry.wire.errors import HBaseError

GRACE_MS = 30 * 60_000.0
NONCES_MAX = 1_000_000
"""Remembered at once, some 200 bytes each; beyond it the oldest is forgotten early."""

Nonce = tuple[int, int]
"""The client's group, which is the same for its life, and the number of its operation; 0 stands for none."""


class Seen(enum.Enum):
    """What is known of an operation."""

    NEW = "new"
    RUNNING = "running"
    """The first is not answered yet."""
    DONE = "done"


class Nonces:
    """Those of one server. Belongs to its loop; time is told by the caller."""

    def __init__(self, grace_ms: float = GRACE_MS, nonces_max: int = NONCES_MAX) -> None:
        self._grace_ms = grace_ms
        self._nonces_max = nonces_max
        self._running: dict[Nonce, list[Callable[[bool], None]]] = {}
        """Who waits for the end of the first."""
        self._done: OrderedDict[Nonce, float] = OrderedDict()
        """Until when it is remembered."""

    def __len__(self) -> int:
        """Operations remembered or under way."""
        return len(self._running) + len(self._done)

    def begin(self, nonce: Nonce, now_ms: float) -> Seen:
        """An operation comes. NEW: it runs now, and `end` tells how it ended."""
        while self._done and next(iter(self._done.values())) <= now_ms:
            self._done.popitem(last=False)
        if nonce in self._done:
            return Seen.DONE
        if nonce in self._running:
            return Seen.RUNNING
        self._running[nonce] = []
        return Seen.NEW

    def wait(self, nonce: Nonce, ended: Callable[[bool], None]) -> None:
        """Call `ended` when the one that runs has ended; with False where it failed and may be done now."""
        self._running[nonce].append(ended)

    def end(self, nonce: Nonce, now_ms: float, *, succeeded: bool) -> None:
        """The operation is over. One that failed may come again."""
        waiting = self._running.pop(nonce)
        if succeeded:
            self._done[nonce] = now_ms + self._grace_ms
            if len(self._done) > self._nonces_max:
                self._done.popitem(last=False)
        for ended in waiting:
            ended(succeeded)

    def once(
        self,
        nonce: Nonce,
        now_ms: float,
        run: Callable[[Callable[[bool], None]], None],
        tell: Callable[[], None],
        refuse: Callable[[HBaseError | StoreError], None],
    ) -> None:
        """Do it now, or `tell` what is there where it was done before; wait where it is being done.

        `run` calls what it is given at its end, with whether it was done. What it raises had not begun; that is raised
        here too, or given to `refuse` where it had to wait.
        """

        def again(succeeded: bool) -> None:
            if succeeded:
                tell()
                return
            try:
                self.once(nonce, now_ms, run, tell, refuse)
            except (HBaseError, StoreError) as error:
                refuse(error)

        match self.begin(nonce, now_ms):
            case Seen.NEW:
                try:
                    run(lambda done: self.end(nonce, now_ms, succeeded=done))
                except (HBaseError, StoreError):
                    self.end(nonce, now_ms, succeeded=False)
                    raise
            case Seen.RUNNING:
                self.wait(nonce, again)
            case Seen.DONE:
                tell()
