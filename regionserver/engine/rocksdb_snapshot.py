"""One moment of the embedded store: an iterator that finds its place again, and streams that only go on.

Source: https://github.com/facebook/rocksdb/wiki (iterators, snapshots), docs of rocksdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from rocksdict import RdictIter

from regionserver.engine.store import StoreNotUsable

AHEAD_BYTES = 32 * 1024
"""Read ahead of who takes it; kept while a scan is open and nobody asks for more."""
AHEAD_PAIRS_MAX = 256
STREAM_PAIRS = 16
"""So many at once are worth a stream of their own."""
AHEAD_VALUES_BYTES = 96 * 1024
"""The same of values alone: who reads these judges all of them together."""
STEP_MAX = 64
"""No more are taken from a stream before their bytes are counted."""

_Given = TypeVar("_Given")


class Stream(Generic[_Given]):
    """What lies in one moment from a key on, in half of the time that the iterator takes; it only goes on."""

    __slots__ = ("_fitting", "_given", "_held", "behind", "upper")

    def __init__(self, given: Iterator[_Given], upper: bytes, held: object) -> None:
        """`held` must live as long as it."""
        self._given = given
        self._held = held
        self._fitting = 1
        """So many would have fitted the last time."""
        self.upper = upper
        self.behind: object = None
        """What was given last, or the key that follows it."""

    def take(self, count_max: int, bytes_max: int, bytes_of: Callable[[list[_Given]], int]) -> list[_Given]:
        """The next ones, until they are that much. One alone may be more, so no step is longer than looks safe."""
        given = self._given
        taken = list(islice(given, min(self._fitting, STEP_MAX, count_max)))
        count = step = len(taken)
        if not taken:
            return taken
        taken_bytes = bytes_of(taken)
        while taken_bytes < bytes_max and count < count_max:
            fitting = (bytes_max - taken_bytes) * count // (taken_bytes + 1)
            step = max(1, min(4 * step, fitting, STEP_MAX, count_max - count))
            some = list(islice(given, step))
            if not some:
                break
            taken += some
            count += len(some)
            taken_bytes += bytes_of(some)
        self._fitting = max(1, bytes_max * count // (taken_bytes + 1))
        return taken


class Streams(Protocol):
    """The store, as one of its moments sees it."""

    def pairs_of(self, number: int, lower: bytes, upper: bytes) -> Stream[tuple[bytes, bytes]] | None:
        """Those of the moment of which this was the number before it was taken; None: there were writes since."""
        ...

    def values_of(self, number: int, lower: bytes, upper: bytes) -> Stream[bytes] | None:
        """Their values alone."""
        ...


def _bytes_of_values(values: list[bytes]) -> int:
    return sum(map(len, values))


def _bytes_of_pairs(pairs: list[tuple[bytes, bytes]]) -> int:
    return sum(map(len, map(itemgetter(1), pairs)))


class RocksSnapshot:
    """One moment of it: an iterator that all its scans share, each finding its place again after another.

    The snapshots of rocksdict cannot be scanned: their iterators show what was written later. And what it gives for
    pairs of keys and values ends at a damaged block as if nothing followed, without a word: where such a stream ends,
    the iterator says whether that is the end.
    """

    def __init__(self, moment: RdictIter, name: str, store: Streams | None = None, number: int = 0) -> None:
        """`store` makes streams of the same moment, which had this `number` then."""
        self._moment: RdictIter | None = moment
        self._name = name
        self._store, self._number = store, number
        self._stream: Stream[tuple[bytes, bytes]] | None = None
        self._values: Stream[bytes] | None = None
        self.held: object = None
        """What must live as long as the iterator."""
        self._mover: object = None
        """The scan downwards that has moved the iterator last; upwards the key that its next step leads to."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key then."""
        found = self._seek(key)
        return found[1] if found is not None and found[0] == key else None

    def scan(
        self, lower: bytes, upper: bytes, *, reverse: bool = False, ahead_count: int = 1
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys of [lower, upper) with their values then; upwards up to AHEAD_BYTES are read ahead."""
        self._open()
        if reverse:
            return self._down(lower, upper)
        return chain.from_iterable(self._up(lower, upper, ahead_count))

    def pairs(self, lower: bytes, upper: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """The first of [lower, upper), up to AHEAD_BYTES at once."""
        moment = self._open()
        if count_max >= STREAM_PAIRS and (found := self._streamed(lower, upper, count_max)):
            return found
        if self._mover == lower:
            moment.next()
        else:
            moment.seek(lower)
        self._mover = None
        pairs: list[tuple[bytes, bytes]] = []
        size_bytes = 0
        move, key_of, value_of = moment.next, moment.key, moment.value
        while (key := key_of()) is not None and key < upper:
            value = value_of()
            pairs.append((key, value))
            size_bytes += len(value)
            if len(pairs) == count_max or size_bytes >= AHEAD_BYTES:
                self._mover = key + b"\0"
                return pairs
            move()
        if key is None:
            self._check(moment)
        return pairs

    def values(self, lower: bytes, upper: bytes, count_max: int, behind: bytes | None = None) -> list[bytes]:
        """The values alone, up to AHEAD_VALUES_BYTES at once, in less time; nothing: there is no stream."""
        self._open()
        stream = self._values
        if stream is None or behind is None or stream.behind is not behind or stream.upper != upper:
            stream = self._store.values_of(self._number, lower, upper) if self._store is not None else None
        values = [] if stream is None else stream.take(count_max, AHEAD_VALUES_BYTES, _bytes_of_values)
        if stream is not None and values:
            stream.behind = values[-1]
        self._values = stream if values else None
        return values

    def close(self) -> None:
        """Let go of it, and of what reads it."""
        self._moment = self._stream = self._values = self._store = None

    # Generators hold no iterator of RocksDB between two of their values: that would keep the database open.

    def _up(self, lower: bytes, upper: bytes, ahead_count: int) -> Iterator[list[tuple[bytes, bytes]]]:
        left = ahead_count
        while pairs := self.pairs(lower, upper, left):
            yield pairs
            lower = pairs[-1][0] + b"\0"
            left -= len(pairs)
            if not left:
                left = ahead_count = min(2 * ahead_count, AHEAD_PAIRS_MAX)

    def _streamed(self, lower: bytes, upper: bytes, count_max: int) -> list[tuple[bytes, bytes]]:
        """The same from a stream; nothing: there is no stream, or nothing more in it."""
        stream = self._stream
        if stream is None or stream.behind != lower or stream.upper != upper:
            stream = self._store.pairs_of(self._number, lower, upper) if self._store is not None else None
        pairs = [] if stream is None else stream.take(count_max, AHEAD_BYTES, _bytes_of_pairs)
        if stream is not None and pairs:
            stream.behind = pairs[-1][0] + b"\0"
        self._stream = stream if pairs else None
        return pairs

    def _down(self, lower: bytes, upper: bytes) -> Iterator[tuple[bytes, bytes]]:
        mover = object()
        found = self._seek_before(upper, mover)
        while found is not None and found[0] >= lower:
            yield found
            found = self._previous(found[0], mover)

    def _seek(self, key: bytes) -> tuple[bytes, bytes] | None:
        moment = self._open()
        self._mover = None
        moment.seek(key)
        return self._here(moment)

    def _seek_before(self, key: bytes, mover: object) -> tuple[bytes, bytes] | None:
        moment = self._open()
        self._mover = mover
        moment.seek_for_prev(key)
        if moment.valid() and moment.key() == key:
            moment.prev()
        return self._here(moment)

    def _previous(self, key: bytes, mover: object) -> tuple[bytes, bytes] | None:
        moment = self._open()
        if self._mover is not mover:
            return self._seek_before(key, mover)
        moment.prev()
        return self._here(moment)

    def _here(self, moment: RdictIter) -> tuple[bytes, bytes] | None:
        if moment.valid():
            return moment.key(), moment.value()
        self._check(moment)
        return None

    def _check(self, moment: RdictIter) -> None:
        """One that stops for an error is not at its end."""
        try:
            moment.status()
        except Exception as error:  # noqa: BLE001  rocksdict knows no other class
            raise StoreNotUsable(f"{self._name}: {error}") from None

    def _open(self) -> RdictIter:
        if self._moment is None:
            raise StoreNotUsable(f"{self._name}: the snapshot is closed")
        return self._moment
