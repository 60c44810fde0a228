"""Nonces: an increment or append that a client sends twice, because the first answer got lost, is applied once.

They outlive the server. A key goes with the commit of each such change, and who opens the store next reads them:

    [8 bytes ff]"nonce/"[int64 BE: ms since 1970][uint64 BE: group][uint64 BE: nonce]    empty

The first eight bytes of tables' keys are a life, and no life is all ones (regionserver.hosting.reserved). A region that
is moved leaves its nonces behind, as in HBase.

Source: ServerNonceManager; hbase.server.hashNonce.gracePeriod, hbase.regionserver.nonces.enabled. HBase keeps nonces
with the changes in its log, and reads them again with those that a crash left there
(ServerNonceManager#reportOperationFromWal); a change whose memstore was flushed before is known here, and there it is
not.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import islice

from regionserver.engine.store import Batch, Durability, Store, StoreError
from registry.wire.errors import HBaseError, IOException

logger = logging.getLogger("regionserver.nonces")

GRACE_MS = 30 * 60_000.0
"""hbase.server.hashNonce.gracePeriod: how long what was done is remembered."""
NONCES_MAX = 1_000_000
"""Remembered at once, some 200 bytes each; beyond it the oldest is forgotten early."""

Nonce = tuple[int, int]
"""The client's group, which is the same for its life, and the number of its operation; 0 stands for none."""

_KEPT = b"\xff" * 8 + b"nonce/"
_PLACE = struct.Struct(">QQQ")


def kept_key(nonce: Nonce, at_ms: int) -> bytes:
    """What is put with the change that has this nonce."""
    return _KEPT + _PLACE.pack(at_ms, *nonce)


def read_kept(store: Store, nonces_max: int = NONCES_MAX) -> dict[Nonce, float]:
    """The newest that a store knows, from the last one on, and when each began, in ms since 1970.

    For a thread: a million take a second or two.
    """
    found: dict[Nonce, float] = {}
    for key, _ in islice(store.scan(_KEPT, _KEPT + b"\xff" * _PLACE.size, reverse=True), nonces_max):
        at_ms, group, nonce = _PLACE.unpack_from(key, len(_KEPT))
        found.setdefault((group, nonce), at_ms)
    return found


def drop_kept(store: Store, before_ms: float) -> None:
    """Take those from a store that are older; where it is busy, the next time."""
    end = kept_key((0, 0), max(0, int(before_ms)))
    with contextlib.suppress(StoreError):
        if next(store.scan(_KEPT, end), None) is not None:  # a range that is cleared for nothing slows later reads
            batch = Batch()
            batch.clear(_KEPT, end)
            store.commit(batch, Durability.LATER, lambda _error: None)


class Seen(enum.Enum):
    """What is known of an operation."""

    NEW = "new"
    RUNNING = "running"
    """The first is not answered yet."""
    DONE = "done"


class Nonces:
    """Those of one server. Belongs to its loop; time is told by the caller."""

    def __init__(self, grace_ms: float = GRACE_MS, nonces_max: int = NONCES_MAX, *, is_enabled: bool = True) -> None:
        self.is_enabled = is_enabled
        """Whether anybody asks; else what comes again is done again."""
        self._grace_ms = grace_ms
        self._nonces_max = nonces_max
        self._running: dict[Nonce, list[Callable[[bool], None]]] = {}
        """Who waits for the end of the first."""
        self._done: OrderedDict[Nonce, float] = OrderedDict()
        """Until when it is remembered."""
        self._inherited: list[Mapping[Nonce, float]] = []
        """When those began that earlier owners of stores did, a mapping for each store."""
        self._evicted_ms = 0.0
        """When the newest of those began that were forgotten early."""

    def __len__(self) -> int:
        """Operations remembered or under way."""
        return len(self._running) + len(self._done)

    def begin(self, nonce: Nonce, now_ms: float) -> Seen:
        """An operation comes. NEW: it runs now, and `end` tells how it ended."""
        while self._done and next(iter(self._done.values())) <= now_ms:
            self._done.popitem(last=False)
        since_ms = now_ms - self._grace_ms
        if nonce in self._done or any(since_ms < each.get(nonce, since_ms) for each in self._inherited):
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
                self._evicted_ms = max(self._evicted_ms, self._done.popitem(last=False)[1] - self._grace_ms)
        for ended in waiting:
            ended(succeeded)

    def inherit(self, done: Mapping[Nonce, float]) -> None:
        """What `read_kept` gave of a store that this server has opened; before a region of it is served."""
        if done and self.is_enabled:
            self._inherited.append(done)

    def forgotten_ms(self, now_ms: float) -> float:
        """Operations that began before this moment are not remembered, and need not be kept; to be called now and then.

        Those inherited are let go of too, store by store.
        """
        since_ms = now_ms - self._grace_ms
        self._inherited = [each for each in self._inherited if next(iter(each.values())) > since_ms]  # the newest
        return max(since_ms, self._evicted_ms)

    def once(
        self,
        nonce: Nonce,
        now_ms: float,
        run: Callable[[Callable[[bool], None]], None],
        tell: Callable[[], None],
        refuse: Callable[[HBaseError | StoreError], None],
    ) -> None:
        """Do it now, or `tell` what is there where it was done before; wait where it is being done.

        `run` calls what it is given at its end, with whether it was done. Whatever it raises has ended it, as failed;
        that is raised here too, or given to `refuse` where it had to wait.
        """

        def again(succeeded: bool) -> None:
            if succeeded:
                tell()
                return
            try:
                self.once(nonce, now_ms, run, tell, refuse)
            except (HBaseError, StoreError) as error:
                refuse(error)
            except Exception as error:  # as of a handler: it is its client's error, and the others still wait
                logger.exception("an operation that came again failed")
                refuse(IOException(f"{type(error).__name__}: {error}"))

        match self.begin(nonce, now_ms):
            case Seen.NEW:
                waiting = self._running[nonce]

                def ended(done: bool) -> None:
                    if self._running.get(nonce) is waiting:  # it may have said so before it raised, or after
                        self.end(nonce, now_ms, succeeded=done)

                try:
                    run(ended)
                except Exception:
                    ended(False)
                    raise
            case Seen.RUNNING:
                self.wait(nonce, again)
            case Seen.DONE:
                tell()
