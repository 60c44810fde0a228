"""Admin without async: the same names, each call on the connection's loop, in its thread."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

from registry.client.admin.admin import Admin, M, Name
from registry.client.admin.schema import Attributes, Families, TableDescriptor
from registry.client.admin.status import ClusterStatus
from registry.client.data.blocking import Run
from registry.client.data.names import Bytes
from registry.client.data.region_map import Region
from registry.names import ServerName


class BlockingAdmin:
    """Made by `BlockingConnection.admin`; methods, options and errors are those of `Admin`. For any threads."""

    def __init__(self, admin: Admin, run: Run) -> None:
        self._admin = admin
        self._run = run

    def tables(
        self,
        pattern: str | None = None,
        *,
        namespace: str | None = None,
        include_system: bool = False,
        timeout_ms: float | None = None,
    ) -> list[str]:
        """Names of tables, those that a Java pattern matches as a whole, or those of one namespace."""
        return self._run(
            self._admin.tables(pattern, namespace=namespace, include_system=include_system, timeout_ms=timeout_ms)
        )

    def table_exists(self, name: Name, *, timeout_ms: float | None = None) -> bool:
        """Whether there is such a table."""
        return self._run(self._admin.table_exists(name, timeout_ms=timeout_ms))

    def describe(self, name: Name, *, timeout_ms: float | None = None) -> TableDescriptor:
        """Families and attributes of a table. Raises TableNotFoundException."""
        return self._run(self._admin.describe(name, timeout_ms=timeout_ms))

    def create_table(
        self,
        name: Name,
        families: Families,
        *,
        splits: Iterable[Bytes] = (),
        attributes: Attributes | None = None,
        timeout_ms: float | None = None,
    ) -> None:
        """Make a table and wait until it can be used; `splits` are the first rows of its regions but the first."""
        self._run(self._admin.create_table(name, families, splits=splits, attributes=attributes, timeout_ms=timeout_ms))

    def delete_table(self, name: Name, *, timeout_ms: float | None = None) -> None:
        """Delete a disabled table with all its rows."""
        self._run(self._admin.delete_table(name, timeout_ms=timeout_ms))

    def enable_table(self, name: Name, *, timeout_ms: float | None = None) -> None:
        """Have the regions of a disabled table opened."""
        self._run(self._admin.enable_table(name, timeout_ms=timeout_ms))

    def disable_table(self, name: Name, *, timeout_ms: float | None = None) -> None:
        """Have the regions of a table closed: nobody reads or writes it then."""
        self._run(self._admin.disable_table(name, timeout_ms=timeout_ms))

    def is_enabled(self, name: Name, *, timeout_ms: float | None = None) -> bool:
        """Whether a table is enabled, by its state in hbase:meta. Raises TableNotFoundException."""
        return self._run(self._admin.is_enabled(name, timeout_ms=timeout_ms))

    def is_disabled(self, name: Name, *, timeout_ms: float | None = None) -> bool:
        """Whether a table is disabled. Raises TableNotFoundException."""
        return self._run(self._admin.is_disabled(name, timeout_ms=timeout_ms))

    def truncate_table(self, name: Name, *, preserve_splits: bool = True, timeout_ms: float | None = None) -> None:
        """Delete all rows of a disabled table, which is enabled then."""
        self._run(self._admin.truncate_table(name, preserve_splits=preserve_splits, timeout_ms=timeout_ms))

    def alter_table(
        self,
        name: Name,
        families: Families | None = None,
        *,
        delete_families: Iterable[str] = (),
        attributes: Attributes | None = None,
        delete_attributes: Iterable[str] = (),
        timeout_ms: float | None = None,
    ) -> TableDescriptor:
        """Change a table, in one step: families that are new are added, the attributes given are set."""
        return self._run(
            self._admin.alter_table(
                name,
                families,
                delete_families=delete_families,
                attributes=attributes,
                delete_attributes=delete_attributes,
                timeout_ms=timeout_ms,
            )
        )

    def add_family(
        self, name: Name, family: str, attributes: Attributes | None = None, *, timeout_ms: float | None = None
    ) -> None:
        """Add one family. Raises InvalidFamilyOperationException where there is one of that name."""
        self._run(self._admin.add_family(name, family, attributes, timeout_ms=timeout_ms))

    def delete_family(self, name: Name, family: str, *, timeout_ms: float | None = None) -> None:
        """Delete one family with its cells. Raises InvalidFamilyOperationException where there is none."""
        self._run(self._admin.delete_family(name, family, timeout_ms=timeout_ms))

    def namespaces(self, *, timeout_ms: float | None = None) -> dict[str, dict[str, str]]:
        """Namespaces and what each is configured with."""
        return self._run(self._admin.namespaces(timeout_ms=timeout_ms))

    def describe_namespace(self, name: str, *, timeout_ms: float | None = None) -> dict[str, str]:
        """What a namespace is configured with. Raises NamespaceNotFoundException."""
        return self._run(self._admin.describe_namespace(name, timeout_ms=timeout_ms))

    def create_namespace(
        self, name: str, configuration: Attributes | None = None, *, timeout_ms: float | None = None
    ) -> None:
        """Make a namespace. Raises NamespaceExistException."""
        self._run(self._admin.create_namespace(name, configuration, timeout_ms=timeout_ms))

    def alter_namespace(self, name: str, configuration: Attributes, *, timeout_ms: float | None = None) -> None:
        """Configure a namespace with exactly this."""
        self._run(self._admin.alter_namespace(name, configuration, timeout_ms=timeout_ms))

    def delete_namespace(self, name: str, *, timeout_ms: float | None = None) -> None:
        """Delete an empty namespace. Raises ConstraintException where it has tables."""
        self._run(self._admin.delete_namespace(name, timeout_ms=timeout_ms))

    def regions(self, name: Name, *, timeout_ms: float | None = None) -> list[Region]:
        """All regions of a table in order, as hbase:meta has them now."""
        return self._run(self._admin.regions(name, timeout_ms=timeout_ms))

    def move(
        self, region: Region | Name, server: ServerName | str | None = None, *, timeout_ms: float | None = None
    ) -> None:
        """Move a region to a server, `host,port,startcode`, or to one that the master chooses."""
        self._run(self._admin.move(region, server, timeout_ms=timeout_ms))

    def assign(self, region: Region | Name, *, timeout_ms: float | None = None) -> None:
        """Have a region opened somewhere."""
        self._run(self._admin.assign(region, timeout_ms=timeout_ms))

    def unassign(self, region: Region | Name, *, timeout_ms: float | None = None) -> None:
        """Have a region closed; 1.x opens it again somewhere."""
        self._run(self._admin.unassign(region, timeout_ms=timeout_ms))

    def flush(self, table: Name, *, timeout_ms: float | None = None) -> int:
        """Have what is in memory written to files, of all regions of a table; how many these are."""
        return self._run(self._admin.flush(table, timeout_ms=timeout_ms))

    def compact(self, table: Name, *, major: bool = False, family: Name = b"", timeout_ms: float | None = None) -> int:
        """Have the files of all regions of a table compacted, which is only begun; how many regions these are."""
        return self._run(self._admin.compact(table, major=major, family=family, timeout_ms=timeout_ms))

    def cluster_status(self, *, timeout_ms: float | None = None) -> ClusterStatus:
        """Masters, region servers and what they have to do."""
        return self._run(self._admin.cluster_status(timeout_ms=timeout_ms))

    def set_balancer(self, *, on: bool, timeout_ms: float | None = None) -> bool:
        """Switch the balancer; whether it was on before."""
        return self._run(self._admin.set_balancer(on=on, timeout_ms=timeout_ms))

    def is_balancer_enabled(self, *, timeout_ms: float | None = None) -> bool:
        """Whether the balancer is on."""
        return self._run(self._admin.is_balancer_enabled(timeout_ms=timeout_ms))

    def balance(self, *, timeout_ms: float | None = None) -> bool:
        """Have the balancer run now; whether it did."""
        return self._run(self._admin.balance(timeout_ms=timeout_ms))

    def call(self, method: str, request: Message, response_type: type[M], *, timeout_ms: float | None = None) -> M:
        """Any method of MasterService, with messages of HBase's protocol; without waiting for a procedure."""
        return self._run(self._admin.call(method, request, response_type, timeout_ms=timeout_ms))

    def __repr__(self) -> str:
        return "<hbeacon.BlockingAdmin>"
