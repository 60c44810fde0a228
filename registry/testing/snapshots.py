"""Snapshots of a test's cluster: what tables there are, said by its master, and rows, saved by region servers in files.

They outlive the processes that made them: rows in memory too come back after a restore.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from registry.testing.zygote import ClusterError


class Snapshot:
    """What a cluster held at one moment. Of use to this cluster, as long as it lives."""

    def __init__(self, directory: Path, catalogue: Mapping[str, Any]) -> None:
        self.directory = directory
        """Where rows are, in files."""
        self.catalogue = catalogue
        """Namespaces, tables and regions."""

    @property
    def tables(self) -> list[str]:
        """Names, sorted."""
        return sorted(self.catalogue["tables"])

    def __repr__(self) -> str:
        return f"<Snapshot of {', '.join(self.tables) or 'no tables'}>"


class Kept(Protocol):
    """What is needed of a cluster."""

    @property
    def directory(self) -> Path:
        """What it keeps."""
        ...

    def servers(self, on: str = "") -> list[str]:
        """Names of processes."""
        ...

    def ask_server(self, process: str, request: Mapping[str, Any]) -> Any:
        """Ask a process. Raises ClusterError."""
        ...

    def ask_master(self, request: Mapping[str, Any]) -> Any:
        """Ask the active master. Raises ClusterError."""
        ...


def taken(cluster: Kept) -> Snapshot:
    """A snapshot of this moment. Raises ClusterError."""
    if not cluster.servers("regionserver"):
        raise ClusterError("a cluster without region servers has no tables")
    directory = _new_directory(cluster.directory / "snapshots")
    catalogue = cluster.ask_master({"do": "catalogue"})
    _on_all(cluster, "save", catalogue["regions"], directory)
    return Snapshot(directory, catalogue)


def restored(cluster: Kept, snapshot: Snapshot) -> None:
    """Have the cluster as it was. Raises ClusterError."""
    if not snapshot.directory.is_relative_to(cluster.directory):
        raise ClusterError(f"{snapshot!r} is another cluster's: take one of this cluster")
    now = cluster.ask_master({"do": "make as", "catalogue": snapshot.catalogue})
    _on_all(cluster, "put back", now["regions"], snapshot.directory)


def _on_all(cluster: Kept, what: str, regions: list[dict[str, Any]], directory: Path) -> None:
    """Have each region server do it with the regions whose rows it has."""
    missing = {each["region"] for each in regions}
    if not missing:
        return
    for process in cluster.servers("regionserver"):
        request = {"do": what, "regions": regions, "directory": str(directory)}
        missing.difference_update(cluster.ask_server(process, request))
    if missing:
        raise ClusterError(f"nobody has the rows of {', '.join(sorted(missing))}")


def _new_directory(parent: Path) -> Path:
    parent.mkdir(exist_ok=True)
    for number in count(1):
        directory = parent / str(number)
        try:
            directory.mkdir()
        except FileExistsError:
            continue
        return directory
    raise AssertionError("there is a free number")
