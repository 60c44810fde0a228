"""Faults of a test's cluster as the test sets them; what they are and do is said in docs/faults.md.

They are gone with the process that has them: one that was killed has none in its next life.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from registry.testing.zygote import ClusterError, ProcessGone


class Servers(Protocol):
    """What is needed of a cluster."""

    def servers(self, on: str = "") -> list[str]:
        """Names of processes."""
        ...

    def ask_server(self, process: str, request: Mapping[str, Any]) -> Any:
        """Ask a process. Raises ClusterError."""
        ...


class Fault:
    """One fault, on one or more servers; `with` removes it at the end."""

    def __init__(self, cluster: Servers, numbers: Mapping[str, int], sentence: str, seed: int) -> None:
        self._cluster = cluster
        self._numbers = dict(numbers)
        self.sentence = sentence
        """For people: `delay by 200 ms of Get, 5 %, seed 7`."""
        self.seed = seed
        """Of its chance."""

    @property
    def applied(self) -> int:
        """How often it was applied, on all servers; of one that is gone, 0."""
        return self._sum("applied")

    @property
    def matched(self) -> int:
        """How many connections or calls it was for."""
        return self._sum("matched")

    def remove(self) -> None:
        """Take it away. What it left hanging goes on hanging: `Faults.clear` resets that."""
        for process, number in self._numbers.items():
            with contextlib.suppress(ProcessGone):
                self._cluster.ask_server(process, {"do": "remove fault", "number": number})

    def _sum(self, what: str) -> int:
        total = 0
        for process, told in _told(self._cluster, self._numbers):
            total += sum(row[what] for row in told["set"] if row["number"] == self._numbers[process])
        return total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<Fault {self.sentence}>"


class Faults:
    """All faults of a cluster: to be listed, added and cleared."""

    def __init__(self, cluster: Servers) -> None:
        self._cluster = cluster

    def add(self, rule: Mapping[str, Any], processes: Sequence[str]) -> Fault:
        """Set one where it has a meaning. Raises ClusterError where it has none on any of the servers."""
        numbers: dict[str, int] = {}
        told: dict[str, Any] = {}
        problem = "this cluster has no such servers"
        for process in processes:
            try:
                told = self._cluster.ask_server(process, {"do": "fault", "rule": dict(rule)})
            except ClusterError as error:
                problem = str(error)
            else:
                numbers[process] = told["number"]
        if not numbers:
            raise ClusterError(problem)
        return Fault(self._cluster, numbers, told["sentence"], told["seed"])

    def clear(self) -> None:
        """Take all away, and reset the connections that they have left hanging."""
        for process in self._cluster.servers():
            with contextlib.suppress(ProcessGone):
                self._cluster.ask_server(process, {"do": "clear faults"})

    @property
    def applied(self) -> dict[str, int]:
        """How often each kind was applied since the start, on all servers together; by faults that are gone too."""
        total: dict[str, int] = {}
        for _, told in _told(self._cluster, self._cluster.servers()):
            for kind, count in told["applied"].items():
                total[kind] = total.get(kind, 0) + count
        return total

    def __iter__(self) -> Iterator[str]:
        """A sentence for each that is set, with its server."""
        for process, told in _told(self._cluster, self._cluster.servers()):
            for row in told["set"]:
                yield f"{process.replace('rs', 'regionserver')}: {row['sentence']}"

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _told(cluster: Servers, processes: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the processes say that run."""
    for process in processes:
        with contextlib.suppress(ProcessGone):
            yield process, cluster.ask_server(process, {"do": "faults"})
