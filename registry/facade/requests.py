"""Requests as a façade takes them: reads from its picture, everything else refused as ZooKeeper refuses strangers.

Source: PrepRequestProcessor (the order of checks: path, node, then permission), FinalRequestProcessor (multi).
"""

from __future__ import annotations

from registry.coordinator import preparing
from registry.coordinator.acl import check
from registry.coordinator.client import Client
from registry.coordinator.codes import READ, ErrorCode, EventType, KeeperException, OpCode
from registry.coordinator.jute import MULTI_HEADER, Reader, event_frame, reply_frame
from registry.coordinator.multi import CREATIONS, read_operations
from registry.coordinator.paths import is_valid_path
from registry.coordinator.reads import MULTI_END, Frame, Handler, Reads, multi_error, path_and_watch
from registry.coordinator.tree import SPECIAL_PATHS
from registry.coordinator.watches import DATA, WatchManager
from registry.facade.changes import NO_ZXID
from registry.facade.picture import Picture

ANY_VERSION = -1


class FacadeReads(Reads):
    """Reads of what is followed; what is not gives NoAuth."""

    def __init__(self, picture: Picture, watches: WatchManager) -> None:
        super().__init__(picture, watches)
        self._picture = picture

    def get_data(self, client: Client, xid: int, frame: Frame) -> None:
        """Data and Stat; NoAuth for a directory whose data is not followed."""
        path, watch = path_and_watch(frame)
        node = self._picture.find(path)
        if node is None:
            raise KeeperException(ErrorCode.NO_NODE, path)
        check(node.acl, READ, client.ids, path)
        if not node.has_data:
            raise KeeperException(ErrorCode.NO_AUTH, path)
        if watch:
            self.watches.add(path, client, DATA)
        self._reply(client, xid, node.body)

    def get_acl(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """Not served: the registry does not read ACLs."""
        path = Reader(frame, 8).text()
        if self._picture.find(path) is None:
            raise KeeperException(ErrorCode.NO_NODE, path)
        raise KeeperException(ErrorCode.NO_AUTH, path)

    def _take_over(
        self, client: Client, relative_zxid: int, data: list[str], exist: list[str], child: list[str]
    ) -> None:
        """Tell of all that cannot be compared: what is not served here, and what other façades stamp otherwise."""
        picture = self._picture
        for path in self._incomparable(data):
            client.send(event_frame(EventType.NODE_DATA_CHANGED, path, NO_ZXID))
        for path in exist:
            if not picture.is_served(path):
                client.send(event_frame(EventType.NODE_CREATED, path, NO_ZXID))
        for path in self._incomparable(child):
            client.send(event_frame(EventType.NODE_CHILDREN_CHANGED, path, NO_ZXID))
        super()._take_over(
            client,
            relative_zxid,
            [path for path in data if self._is_comparable(path)],
            [path for path in exist if picture.is_served(path)],
            [path for path in child if self._is_comparable(path)],
        )

    def _is_comparable(self, path: str) -> bool:
        return path not in self._picture.made_paths and self._picture.is_served(path)

    def _incomparable(self, paths: list[str]) -> list[str]:
        return [path for path in paths if not self._is_comparable(path)]


class Refusals:
    """Answers what would change something."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.handlers: dict[int, Handler] = {
            **dict.fromkeys(CREATIONS, self.refuse_creation),
            **dict.fromkeys((OpCode.DELETE, OpCode.DELETE_CONTAINER), self.refuse_deletion),
            **dict.fromkeys((OpCode.SET_DATA, OpCode.SET_ACL), self.refuse_of_node),
            OpCode.CHECK: self.refuse_of_node,
            OpCode.RECONFIG: self.refuse,
            OpCode.MULTI: self.multi,
        }

    def refuse(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """NoAuth whatever it is."""
        raise KeeperException(ErrorCode.NO_AUTH)

    def refuse_creation(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """Create and its like."""
        raise self._of_parent(Reader(frame, 8).text())

    def refuse_deletion(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """Delete and its like."""
        raise self._of_deletion(Reader(frame, 8).text())

    def refuse_of_node(self, client: Client, xid: int, frame: Frame) -> None:  # noqa: ARG002 - a Handler
        """SetData and setACL, which need a permission of the node."""
        raise self._of_node(Reader(frame, 8).text())

    def multi(self, client: Client, xid: int, frame: Frame) -> None:
        """Fails at its first operation that is not a check that holds."""
        operations = read_operations(Reader(frame, 8))
        results: list[bytes] = []
        for index, (kind, request) in enumerate(operations):
            error = self._error_of(
                kind, str(request[0]), int(str(request[-1])) if kind == OpCode.CHECK else ANY_VERSION
            )
            if error is None:
                results.append(MULTI_HEADER.pack(kind, False, 0))
                continue
            results = [multi_error(ErrorCode.OK)] * index + [multi_error(error.code)]
            results += [multi_error(ErrorCode.RUNTIME_INCONSISTENCY)] * (len(operations) - index - 1)
            break
        client.send(reply_frame(xid, self._picture.zxid, 0, b"".join(results) + MULTI_END))

    def _error_of(self, kind: int, path: str, version: int) -> KeeperException | None:
        if kind == OpCode.CHECK:
            return self._check(path, version)
        if kind == OpCode.SET_DATA:
            return self._of_node(path)
        return self._of_deletion(path) if kind == OpCode.DELETE else self._of_parent(path)

    def _check(self, path: str, version: int) -> KeeperException | None:
        try:
            node = self._picture.find(path)
            if node is None:
                return KeeperException(ErrorCode.NO_NODE, path)
            check(node.acl, READ, (), path)
        except KeeperException as error:
            return error
        if version not in (ANY_VERSION, node.version):
            return KeeperException(ErrorCode.BAD_VERSION, path)
        return None

    def _of_deletion(self, path: str) -> KeeperException:
        if path in SPECIAL_PATHS:
            return KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        return self._of_parent(path)

    def _of_parent(self, path: str) -> KeeperException:
        """The permission is the parent's, and is looked at before the path's form."""
        try:
            parent = preparing.parent_of(path) or "/"
        except KeeperException as error:
            return error
        return self._of_there(parent)

    def _of_node(self, path: str) -> KeeperException:
        if not is_valid_path(path):
            return KeeperException(ErrorCode.BAD_ARGUMENTS, path)
        return self._of_there(path)

    def _of_there(self, path: str) -> KeeperException:
        if self._picture.is_served(path) and self._picture.find(path) is None:
            return KeeperException(ErrorCode.NO_NODE, path)
        return KeeperException(ErrorCode.NO_AUTH, path)
