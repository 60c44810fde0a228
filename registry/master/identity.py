"""The cluster id that a data directory belongs to: founded once, whatever becomes of ZooKeeper.

The file `cluster-id` is one line of JSON, {"format": 1, "cluster_id": "...", "founded": true}. It is written before
ZooKeeper is (`founded` false) and once more after that. A directory whose id was only meant to be founded takes the
id of the cluster that it finds; one whose id was founded takes no other. Several masters may share the directory.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Protocol

from registry.durable import sync_directory
from registry.kept_object import read_kept
from registry.master.mark import Refusal

FILE = "cluster-id"
FORMAT = 1


class Memory(Protocol):
    """What is known of the cluster's id beside ZooKeeper. Raises Refusal where it cannot be read or kept."""

    def was_founded(self) -> bool:
        """Whether a cluster is known to have been there: where it is gone, one of its masters may still act."""
        ...

    def propose(self, cluster_id: str) -> str:
        """The id to found: the one that is known, else `cluster_id`, which is known from now on."""
        ...

    def settle(self, cluster_id: str) -> None:
        """The cluster has this id. Refusal where another one is known to have been founded."""
        ...


class ProcessMemory:
    """Without a data directory: the id is known as long as the process lives."""

    def __init__(self) -> None:
        self._known = ""
        self._founded = False

    def was_founded(self) -> bool:
        """Whether this process has seen the cluster."""
        return self._founded

    def propose(self, cluster_id: str) -> str:
        """The id to found."""
        self._known = self._known or cluster_id
        return self._known

    def settle(self, cluster_id: str) -> None:
        """Another cluster may stand where ours was: nothing of ours is lost with it, for nothing was kept."""
        self._known, self._founded = cluster_id, True


class DataDirectory:
    """The file in `--data-dir`. Small, so it is read and written where it is needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / FILE

    def was_founded(self) -> bool:
        """Whether the cluster of this directory has been there."""
        known = self._read()
        return known is not None and known[1]

    def propose(self, cluster_id: str) -> str:
        """The id to found; when this returns it is on disk."""
        known = self._read()
        if known is not None:
            return known[0]
        self._write(cluster_id, founded=False, replace=False)
        again = self._read()
        assert again is not None, "it has just been written, by us or by another master of this directory"
        return again[0]

    def settle(self, cluster_id: str) -> None:
        """Keep the id as founded; Refusal where the directory belongs to another cluster."""
        known = self._read()
        if known is not None and known[1] and known[0] != cluster_id:
            raise Refusal(
                f"ZooKeeper holds cluster {cluster_id}, {self._directory} belongs to cluster {known[0]}: give the"
                " data directory of this cluster with --data-dir, or the ZooKeeper of that one with --zookeeper"
            )
        if known != (cluster_id, True):
            self._write(cluster_id, founded=True, replace=True)

    def _read(self) -> tuple[str, bool] | None:
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Refusal(f"{self._path} cannot be read: {error}") from None

        def fields(row: dict[str, Any]) -> tuple[str, bool]:
            if not row["cluster_id"]:
                raise ValueError("a cluster has an id")
            return str(row["cluster_id"]), bool(row["founded"])

        return read_kept(str(self._path), text, FORMAT, fields, Refusal)

    def _write(self, cluster_id: str, *, founded: bool, replace: bool) -> None:
        """Whole or not at all, also when the power goes; without `replace`, whoever comes first has written it."""
        partial = self._directory / f".{FILE}.{os.getpid()}"
        row = {"format": FORMAT, "cluster_id": cluster_id, "founded": founded}
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
            if replace:
                partial.replace(self._path)
            else:
                with contextlib.suppress(FileExistsError):
                    os.link(partial, self._path)
                partial.unlink()
            sync_directory(self._directory)
        except OSError as error:
            raise Refusal(f"{self._path} cannot be written: {error}") from None
