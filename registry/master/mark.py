"""The mark beside `hbaseid` by which hbeacon's masters know a cluster of their own, and why they keep out of others.

`/hbase/hbeacon`, persistent, JSON without HBase's envelope so that zkCli shows it:

    {"format": 1, "cluster_id": "...", "founded_by": "hbeacon 0.1.0 master:16000", "founded_at": "2026-11-21T08:20:29Z"}

HBase's own servers and tools read no child of `/hbase` that they do not know. The version of the znode counts the
lives of `/hbase/master`: a master writes the mark in the one transaction in which it creates that node, so that a
condition on the version is one on the master as well.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from registry.kept_object import read_kept

MARK_ZNODE = "hbeacon"
FORMAT = 1
"""Rises when an older program must not take part in the cluster any more."""


class Refusal(Exception):
    """The master may not take part here, however long it waits; `str()` is one line with the cure."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What founded the cluster."""

    cluster_id: str
    founded_by: str = ""
    founded_at: str = ""
    format: int = FORMAT

    def data(self) -> bytes:
        """As it lies in ZooKeeper."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, path: str, data: bytes) -> Mark:
        """Read a mark; Refusal where it is none, or one of a newer program."""

        def fields(row: dict[str, Any]) -> Mark:
            by, at = str(row.get("founded_by", "")), str(row.get("founded_at", ""))
            return cls(str(row["cluster_id"]), by, at, int(row["format"]))

        return read_kept(path, data, FORMAT, fields, Refusal)


def mark_path(root: str) -> str:
    """Where the mark of the cluster at `zookeeper.znode.parent` is."""
    return f"{root}/{MARK_ZNODE}"
