"""What to do about znodes that may not be read, in words that can be typed into zkCli.

With security on, HBase makes only the znodes that every client needs readable for all; `backup-masters`, and the
children of `rs` with what they hold, are for HBase's own user.
Source: org.apache.hadoop.hbase.zookeeper.ZNodePaths.isClientReadable, ZKUtil.createACL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from registry.lookup.snapshot import Snapshot

CHILDREN_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """One cure, for one znode or for the children of one."""

    paths: str
    """What may not be read, for people."""
    cure: str
    """A sentence."""
    command: str = ""
    """To be typed into zkCli by an administrator; empty where no lasting grant is possible."""


def grants(snapshot: Snapshot, znode_parent: str) -> tuple[Grant, ...]:
    """A cure for everything forbidden, children of one znode together, sorted by path."""
    lasting: list[str] = []
    ephemeral: defaultdict[str, list[str]] = defaultdict(list)
    for path in snapshot.forbidden_paths:
        parent = path.rpartition("/")[0]
        if parent in (f"{znode_parent}/rs", f"{znode_parent}/backup-masters") or path == f"{znode_parent}/master":
            ephemeral[parent].append(path)
        else:
            lasting.append(path)
    found = [_lasting(path) for path in lasting]
    found += [_ephemeral(parent, paths) for parent, paths in ephemeral.items()]
    return tuple(sorted(found, key=lambda grant: grant.paths))


def _lasting(path: str) -> Grant:
    return Grant(
        path,
        "Let everybody read it, or give this server a credential with hbeacon.zookeeper.auth. setAcl replaces the "
        f"whole list, so keep the entries that getAcl {path} shows; on a Kerberos cluster that is",
        f"setAcl {path} sasl:hbase:cdrwa,world:anyone:r",
    )


def _ephemeral(parent: str, paths: Iterable[str]) -> Grant:
    ordered = sorted(paths)
    shown = ", ".join(ordered[:CHILDREN_SHOWN_MAX])
    more = f" and {len(ordered) - CHILDREN_SHOWN_MAX} more" if len(ordered) > CHILDREN_SHOWN_MAX else ""
    return Grant(
        shown + more,
        f"Servers make these znodes under {parent or '/'} anew, each with HBase's own ACL, so a grant would not last: "
        "give this server a credential with hbeacon.zookeeper.auth.",
    )
