"""Locks on namespaces, tables and regions, first come first served.

Whoever wants locks queues for all of them at one moment, in the order in which procedures were submitted, so no two
can wait for each other. A shared lock of a table waits for every exclusive one that was asked for before it. That of a
namespace does not: all operations on tables share it, and one that has to wait for a region whose rows nobody reaches
would, with one change of the namespace behind it, keep out all others. Pure.

Source: MasterProcedureScheduler (a table's lock takes a shared one of its namespace), LockStatus.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple


class Kind(enum.IntEnum):
    """What is locked, as LockedResourceType numbers it."""

    NAMESPACE = 2
    TABLE = 3
    REGION = 4


class Lock(NamedTuple):
    """A lock that a procedure needs from its first step to its last."""

    kind: Kind
    name: str
    exclusive: bool


class Queue:
    """All who hold or want one resource, by ticket."""

    __slots__ = ("exclusive", "overtakes", "shared")

    def __init__(self, *, overtakes: bool) -> None:
        self.shared: OrderedDict[int, None] = OrderedDict()
        self.exclusive: OrderedDict[int, None] = OrderedDict()
        self.overtakes = overtakes
        """Shared locks do not wait for an exclusive one that waits itself."""

    def grants(self, owner: int, granted: AbstractSet[int], *, exclusive: bool) -> bool:
        """Whether that one may go on, as far as this resource goes."""
        first_exclusive = next(iter(self.exclusive), None)
        if not exclusive:
            if first_exclusive is None or (first_exclusive not in granted and self.overtakes):
                return True
            return not self.overtakes and owner < first_exclusive
        if first_exclusive != owner:
            return False
        if self.overtakes:
            return not any(each in granted for each in self.shared)
        return not self.shared or owner < next(iter(self.shared))


class Locks:
    """Of one master. Owners are procedure ids: lower ones came first."""

    def __init__(self) -> None:
        self._queues: dict[tuple[Kind, str], Queue] = {}
        self._wanted: dict[int, Sequence[Lock]] = {}
        self._granted: set[int] = set()

    def ask(self, owner: int, locks: Sequence[Lock]) -> bool:
        """Queue for all of them; true where they are held at once. Owners must come in their order."""
        assert owner not in self._wanted, f"{owner} has asked already"
        self._wanted[owner] = locks
        for kind, name, exclusive in locks:
            queue = self._queues.setdefault((kind, name), Queue(overtakes=kind is Kind.NAMESPACE))
            (queue.exclusive if exclusive else queue.shared)[owner] = None
        return self._grant(owner)

    def give_back(self, owner: int) -> list[int]:
        """No more wanted or held; gives those who hold theirs now."""
        candidates: dict[int, None] = {}
        for kind, name, exclusive in self._wanted.pop(owner, ()):
            queue = self._queues[kind, name]
            del (queue.exclusive if exclusive else queue.shared)[owner]
            if not queue.shared and not queue.exclusive:
                del self._queues[kind, name]
                continue
            next_exclusive = next(iter(queue.exclusive), None)
            if next_exclusive is not None:
                candidates[next_exclusive] = None
            if exclusive:  # those behind a shared lock were never kept out by it
                for waiting in queue.shared:
                    if next_exclusive is not None and waiting > next_exclusive and not queue.overtakes:
                        break
                    candidates[waiting] = None
        self._granted.discard(owner)
        return [each for each in sorted(candidates) if each not in self._granted and self._grant(each)]

    def holds(self, owner: int) -> bool:
        """Whether it has what it asked for."""
        return owner in self._granted

    def listed(self) -> Iterator[tuple[Kind, str, list[int], list[int], int]]:
        """Each resource: kind, name, exclusive holder (or none), those who wait, and how many share it."""
        for (kind, name), queue in sorted(self._queues.items()):
            holders = [owner for owner in queue.exclusive if owner in self._granted]
            sharing = [owner for owner in queue.shared if owner in self._granted]
            waiting = sorted({*queue.exclusive, *queue.shared} - self._granted)
            yield kind, name, holders, waiting, len(sharing)

    def _grant(self, owner: int) -> bool:
        granted = self._granted
        if all(self._queues[kind, name].grants(owner, granted, exclusive=ex) for kind, name, ex in self._wanted[owner]):
            self._granted.add(owner)
            return True
        return False


def table_locks(table: str, *, exclusive: bool = True) -> tuple[Lock, ...]:
    """Of an operation on a table: its namespace is shared with all others in it."""
    namespace, colon, _ = table.partition(":")
    return (
        Lock(Kind.NAMESPACE, namespace if colon else "default", exclusive=False),
        Lock(Kind.TABLE, table, exclusive),
    )
