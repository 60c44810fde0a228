"""What the read operations need of a tree: the coordinator's own, or the façade's picture of somebody else's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from registry.coordinator.jute import ACL


class ViewedNode(Protocol):
    """A node as it is read. Its bytes lie ready: a reply is a header and one of them."""

    @property
    def body(self) -> bytes:
        """The GetDataResponse: data behind its length (-1 for null), then the 68 bytes of the Stat."""
        ...

    @property
    def acl(self) -> tuple[ACL, ...]:
        """Who may do what. Where everybody may do all, best the very tuple jute.OPEN_ACL_UNSAFE: it is not checked."""
        ...

    def children_bytes(self) -> bytes:
        """The names of the children as a jute vector: count, then each name behind its length."""
        ...


class NodeView(Protocol):
    """A tree as it is read."""

    @property
    def zxid(self) -> int:
        """The last processed transaction, which goes into every reply header."""
        ...

    def find(self, path: str, /) -> ViewedNode | None:
        """The node, or None. Paths are as clients sent them, not validated; "" is the root as well as "/"."""
        ...

    def ephemerals(self, session_id: int) -> Iterable[str]:
        """Paths of the session's ephemeral nodes."""
        ...

    def descendant_count(self, path: str) -> int:
        """How many nodes lie below the path."""
        ...
