"""The same connection without async: a thin face over a loop in a thread of its own.

Each BlockingConnection has one thread; `close`, or the end of the `with` block, ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from registry.client.admin.admin import Admin
from registry.client.admin.blocking import BlockingAdmin
from registry.client.answers import Answer, RegionLocation, RegistryMaster, What
from registry.client.connect import Connecting, connect
from registry.client.connection import Connection
from registry.client.data.blocking import BlockingTable
from registry.client.data.operations import Durability
from registry.client.data.table import Table
from registry.client.loop_thread import LoopThread
from registry.client.probing import Policy
from registry.client.wanted import LookupOptions
from registry.names import Address, ServerName


class BlockingConnection:
    """Where one cluster is, for code without a loop; may be used by several threads of its process at once.

    Its methods are those of `Connection`. Not for use inside a running loop, which it would block.
    """

    def __init__(self, connecting: Connecting) -> None:
        """Use `hbeacon.connect_blocking`."""
        self._run = LoopThread("hbeacon client")
        self._admin: BlockingAdmin | None = None
        try:
            self._connection: Connection = self._run(_awaited(connecting))
        except BaseException:
            self._run.stop(_nothing())
            raise

    def cluster_id(self, **options: Unpack[LookupOptions]) -> Answer[str]:
        """The id of the cluster."""
        return self._run(self._connection.cluster_id(**options))

    def active_master(self, **options: Unpack[LookupOptions]) -> Answer[ServerName]:
        """The active master."""
        return self._run(self._connection.active_master(**options))

    def masters(self, **options: Unpack[LookupOptions]) -> Answer[tuple[RegistryMaster, ...]]:
        """The masters that the server hands out."""
        return self._run(self._connection.masters(**options))

    def meta_locations(self, **options: Unpack[LookupOptions]) -> Answer[tuple[RegionLocation, ...]]:
        """Where hbase:meta is, by replica id."""
        return self._run(self._connection.meta_locations(**options))

    def bootstrap_nodes(self, **options: Unpack[LookupOptions]) -> Answer[tuple[ServerName, ...]]:
        """The servers that clients are told to ask from now on."""
        return self._run(self._connection.bootstrap_nodes(**options))

    def table(
        self,
        name: str | bytes,
        *,
        timeout_ms: float | None = None,
        durability: Durability = Durability.USE_DEFAULT,
    ) -> BlockingTable:
        """A table, `name` or `namespace:name`; nobody is asked whether there is one."""

        async def made() -> Table:
            return self._connection.table(name, timeout_ms=timeout_ms, durability=durability)

        return BlockingTable(self._run(made()), self._run)

    @property
    def admin(self) -> BlockingAdmin:
        """Tables, namespaces, regions and the cluster."""
        if self._admin is None:

            async def made() -> Admin:
                return self._connection.admin

            self._admin = BlockingAdmin(self._run(made()), self._run)
        return self._admin

    def stale(self, answer: Answer[object]) -> bool:
        """Say that an answer did not hold: the next look-up asks again."""
        return self._run(_called(self._connection.stale, answer))

    def refresh(self, *what: What) -> None:
        """Forget the answers to these questions, or to all."""
        self._run(_called(self._connection.refresh, *what))

    @property
    def servers(self) -> tuple[Address, ...]:
        """The registry servers in use."""
        return self._connection.servers

    def close(self) -> None:
        """End the connection and its thread; look-ups of other threads fail. May be called again."""
        self._run.stop(self._connection.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._connection).replace("Connection", "BlockingConnection", 1)


def connect_blocking(
    uri: str = "",
    *,
    masters: str | Iterable[str] | None = None,
    conf_dir: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
    policy: Policy | str = Policy.HEDGED,
) -> BlockingConnection:
    """As `connect`, for code without a loop.

    with hbeacon.connect_blocking("hbase+rpc://beacon1:16000") as cluster:
        print(cluster.active_master(timeout_ms=2000).value)
    """
    return BlockingConnection(connect(uri, masters=masters, conf_dir=conf_dir, settings=settings, policy=policy))


async def _nothing() -> None:
    pass


async def _awaited(connecting: Connecting) -> Connection:
    return await connecting


async def _called(function: Any, *arguments: object) -> Any:
    """Run a plain method on the loop it belongs to."""
    return function(*arguments)
