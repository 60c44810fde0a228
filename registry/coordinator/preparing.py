"""Checks of writes: from a request to the change it makes, or the error it gets. Changes nothing.

Within a multi, each operation is checked against what the operations before it will have done.
Source: PrepRequestProcessor (pRequest2Txn, ChangeRecord), CreateMode, EphemeralType.validateTTL.
"""

from __future__ import annotations

from registry.coordinator.acl import Id, check, expanded
from registry.coordinator.codes import ADMIN, CREATE, DELETE, READ, WRITE, CreateMode, ErrorCode, KeeperException
from registry.coordinator.jute import ACL, OPEN_ACL_UNSAFE, STAT, STAT_BYTES
from registry.coordinator.paths import is_valid_path
from registry.coordinator.transactions import Create, Delete, SetACL, SetData
from registry.coordinator.tree import (
    CONTAINER_OWNER,
    SPECIAL_PATHS,
    TTL_MS_MAX,
    TTL_OWNER_BASE,
    DataTree,
    creation_count_of,
    is_session,
)

EPHEMERAL_MODES = frozenset((CreateMode.EPHEMERAL, CreateMode.EPHEMERAL_SEQUENTIAL))
SEQUENTIAL_MODES = frozenset(
    (
        CreateMode.PERSISTENT_SEQUENTIAL,
        CreateMode.EPHEMERAL_SEQUENTIAL,
        CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL,
    )
)
TTL_MODES = frozenset((CreateMode.PERSISTENT_WITH_TTL, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL))
NO_TTL = -1
ANY_VERSION = -1
_stat_at = STAT.unpack_from


def next_version(version: int, expected_version: int, path: str) -> int:
    """The version after a change; raises BadVersion. It wraps as Java's int does and leaves out -1 (ZOOKEEPER-4743)."""
    if expected_version not in (ANY_VERSION, version):
        raise KeeperException(ErrorCode.BAD_VERSION, path)
    following = version + 1 if version < 0x7FFFFFFF else -0x80000000
    return 0 if following == -1 else following


def parent_of(path: str) -> str:
    """The parent's path, "" for the root; raises BadArguments for what is no path at all."""
    slash = path.rfind("/")
    if slash == -1 or "\0" in path:
        raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
    return path[:slash]


def _key(path: str) -> str:
    """The root has two names: as a parent it is ""."""
    return "" if path == "/" else path


def _is_valid_mode(flags: int, ttl_ms: int) -> bool:
    if flags in TTL_MODES:
        return 0 < ttl_ms <= TTL_MS_MAX
    return 0 <= flags <= CreateMode.CONTAINER and ttl_ms == NO_TTL


class ChangeRecord:
    """What checks need to know of a node, as it will be."""

    __slots__ = ("acl", "aversion", "child_count", "creation_count", "owner", "version")

    def __init__(
        self, acl: tuple[ACL, ...], version: int, aversion: int, creation_count: int, child_count: int, owner: int
    ) -> None:
        self.acl = acl
        self.version = version
        self.aversion = aversion
        self.creation_count = creation_count
        self.child_count = child_count
        self.owner = owner


class Preparation:
    """Checks against the tree and, between `begin` and `end`, against changes that have been prepared but not done."""

    def __init__(self, tree: DataTree) -> None:
        self._tree = tree
        self._pending: dict[str, ChangeRecord | None] | None = None

    def begin(self) -> None:
        """A multi begins."""
        self._pending = {}

    def end(self) -> None:
        """It has ended, well or not: what was pending is forgotten."""
        self._pending = None

    def create(
        self,
        ids: tuple[Id, ...],
        session_id: int,
        path: str,
        data: bytes | None,
        acl: tuple[ACL, ...],
        flags: int,
        ttl_ms: int,
        is_container: bool,
    ) -> Create:
        """Check a creation; `ttl_ms` is -1 where the request has none. Gives the sequential name too."""
        if not _is_valid_mode(flags, ttl_ms):
            raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        parent_path = parent_of(path)
        if acl is not OPEN_ACL_UNSAFE:
            acl = expanded(acl, ids, path)
        parent = self._record(parent_path)
        if parent.acl is not OPEN_ACL_UNSAFE:
            check(parent.acl, CREATE, ids, path)
        if flags in SEQUENTIAL_MODES:
            path += f"{parent.creation_count:010d}"
        if not is_valid_path(path):
            raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        if self._exists(path):
            raise KeeperException(ErrorCode.NODE_EXISTS, path)
        if parent.owner and is_session(parent.owner):
            raise KeeperException(ErrorCode.NO_CHILDREN_FOR_EPHEMERALS, path)
        owner = session_id if flags in EPHEMERAL_MODES else 0
        if is_container:
            owner = CONTAINER_OWNER
        elif flags in TTL_MODES:
            owner = TTL_OWNER_BASE + ttl_ms
        parent.creation_count += 1
        parent.child_count += 1
        if self._pending is not None:
            self._pending[parent_path] = parent
            self._pending[path] = ChangeRecord(acl, 0, 0, 0, 0, owner)
        return Create(path, data, acl, owner, parent.creation_count)

    def delete(self, ids: tuple[Id, ...], path: str, expected_version: int) -> Delete:
        """Check a deletion."""
        parent_path = parent_of(path)
        if path in SPECIAL_PATHS:
            raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        parent = self._record(parent_path)
        check(parent.acl, DELETE, ids, path)
        node = self._record(path)
        next_version(node.version, expected_version, path)
        if node.child_count:
            raise KeeperException(ErrorCode.NOT_EMPTY, path)
        if self._pending is not None:
            parent.child_count -= 1
            self._pending[parent_path] = parent
            self._pending[path] = None
        return Delete(path)

    def set_data(self, ids: tuple[Id, ...], path: str, data: bytes | None, expected_version: int) -> SetData:
        """Check new data."""
        if self._pending is None and path and (there := self._tree.find(path)) is not None:
            if there.acl is not OPEN_ACL_UNSAFE:
                check(there.acl, WRITE, ids, path)
            return SetData(path, data, next_version(there.version(), expected_version, path))
        node = self._valid_record(path)
        if node.acl is not OPEN_ACL_UNSAFE:
            check(node.acl, WRITE, ids, path)
        node.version = next_version(node.version, expected_version, path)
        if self._pending is not None:
            self._pending[_key(path)] = node
        return SetData(path, data, node.version)

    def set_acl(self, ids: tuple[Id, ...], path: str, acl: tuple[ACL, ...], expected_version: int) -> SetACL:
        """Check a new ACL."""
        if not is_valid_path(path):
            raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        acl = expanded(acl, ids, path)
        node = self._record(path)
        check(node.acl, ADMIN, ids, path)
        return SetACL(path, acl, next_version(node.aversion, expected_version, path))

    def check(self, ids: tuple[Id, ...], path: str, expected_version: int) -> None:
        """Check that a node is there and has a version."""
        node = self._valid_record(path)
        check(node.acl, READ, ids, path)
        next_version(node.version, expected_version, path)

    def _valid_record(self, path: str) -> ChangeRecord:
        if not is_valid_path(path):
            raise KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        return self._record(path)

    def _exists(self, path: str) -> bool:
        if self._pending is not None and path in self._pending:
            return self._pending[path] is not None
        return path in self._tree.nodes

    def _record(self, path: str) -> ChangeRecord:
        """A copy of what is known of a node; raises NoNode."""
        if self._pending is not None:
            key = _key(path)
            if key in self._pending:
                record = self._pending[key]
                if record is None:
                    raise KeeperException(ErrorCode.NO_NODE, path)
                return record
        node = self._tree.find(path)
        if node is None:
            raise KeeperException(ErrorCode.NO_NODE, path)
        body = node.body  # the Stat's fields without a Stat: half of what a write costs is spent here
        _, _, _, _, version, cversion, aversion, owner, _, child_count, _ = _stat_at(body, len(body) - STAT_BYTES)
        creation_count = creation_count_of(cversion, child_count)
        return ChangeRecord(node.acl, version, aversion, creation_count, child_count, owner)
