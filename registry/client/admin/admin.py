"""Tables, namespaces, regions and the cluster, by their names.

    await hbase.admin.create_table("users", {"cf": {"VERSIONS": 3, "TTL": 86400}}, splits=["m"])

Source: org.apache.hadoop.hbase.client.AsyncAdmin, RawAsyncHBaseAdmin; MasterService in Master.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

from protos.hbase import Admin_pb2, HBase_pb2, Master_pb2
from registry.client.admin.masters import MasterCalls, Masters
from registry.client.admin.regions import RegionCalls, by_encoded_name, by_name
from registry.client.admin.schema import (
    FAMILY_DEFAULTS,
    Attributes,
    Families,
    TableDescriptor,
    configuration_of,
    descriptor_of,
    families_of,
    family_message,
    namespace_message,
    new_families,
    split_keys,
    texts_of,
)
from registry.client.admin.status import ClusterStatus, status_of
from registry.client.data.calls import Calls
from registry.client.data.names import Bytes, table_name, to_bytes
from registry.client.data.region_map import Region
from registry.names import ServerName
from registry.wire.errors import DoNotRetryIOException, TableNotFoundException
from registry.wire.region_info import table_name as name_message
from registry.wire.region_info import table_text

M = TypeVar("M", bound=Message)

Name = str | bytes


class Admin:
    """Made by `Connection.admin`; belongs to the connection's loop.

    Every call takes `timeout_ms`; without one hbase.client.operation.timeout holds. What takes the cluster some time
    is waited for. Raises what the master says: TableExistsException, TableNotFoundException, TableNotDisabledException,
    InvalidFamilyOperationException, NamespaceNotFoundException, ...
    """

    def __init__(self, masters: Masters, calls: Calls) -> None:
        """Use `Connection.admin`."""
        self._calls = calls
        self._master = MasterCalls(masters, calls)
        self._regions = RegionCalls(calls)

    # --- tables -------------------------------------------------------------------------------------------------

    async def tables(
        self,
        pattern: str | None = None,
        *,
        namespace: str | None = None,
        include_system: bool = False,
        timeout_ms: float | None = None,
    ) -> list[str]:
        """Names of tables, those that a Java pattern matches as a whole, or those of one namespace."""
        request = Master_pb2.GetTableNamesRequest(include_sys_tables=include_system)
        if pattern is not None:
            request.regex = pattern
        if namespace is not None:
            request.namespace = namespace
        kind = Master_pb2.GetTableNamesResponse
        answer = await self._master.call("GetTableNames", request, kind, self._until(timeout_ms))
        return sorted(table_text(name) for name in answer.table_names)

    async def table_exists(self, name: Name, *, timeout_ms: float | None = None) -> bool:
        """Whether there is such a table."""
        return bool(await self._descriptors(table_name(name), timeout_ms))

    async def describe(self, name: Name, *, timeout_ms: float | None = None) -> TableDescriptor:
        """Families and attributes of a table. Raises TableNotFoundException."""
        plain = table_name(name)
        found = await self._descriptors(plain, timeout_ms)
        if not found:
            raise TableNotFoundException(plain)
        return descriptor_of(found[0])

    async def create_table(
        self,
        name: Name,
        families: Families,
        *,
        splits: Iterable[Bytes] = (),
        attributes: Attributes | None = None,
        timeout_ms: float | None = None,
    ) -> None:
        """Make a table and wait until it can be used; `splits` are the first rows of its regions but the first."""
        table = TableDescriptor(table_name(name), new_families(families), texts_of(attributes or {}))
        request = Master_pb2.CreateTableRequest(table_schema=table.message(), split_keys=split_keys(splits))
        await self._procedure("CreateTable", request, Master_pb2.CreateTableResponse, timeout_ms)

    async def delete_table(self, name: Name, *, timeout_ms: float | None = None) -> None:
        """Delete a disabled table with all its rows."""
        request = Master_pb2.DeleteTableRequest(table_name=_named(name))
        await self._procedure("DeleteTable", request, Master_pb2.DeleteTableResponse, timeout_ms)
        self._calls.finder.forget(table_name(name))

    async def enable_table(self, name: Name, *, timeout_ms: float | None = None) -> None:
        """Have the regions of a disabled table opened."""
        request = Master_pb2.EnableTableRequest(table_name=_named(name))
        await self._procedure("EnableTable", request, Master_pb2.EnableTableResponse, timeout_ms)

    async def disable_table(self, name: Name, *, timeout_ms: float | None = None) -> None:
        """Have the regions of a table closed: nobody reads or writes it then."""
        request = Master_pb2.DisableTableRequest(table_name=_named(name))
        await self._procedure("DisableTable", request, Master_pb2.DisableTableResponse, timeout_ms)

    async def is_enabled(self, name: Name, *, timeout_ms: float | None = None) -> bool:
        """Whether a table is enabled, by its state in hbase:meta.

        Raises TableNotFoundException, and DoNotRetryIOException on HBase 1.x, which keeps states in ZooKeeper alone.
        """
        return await self._state(name, timeout_ms) == "ENABLED"

    async def is_disabled(self, name: Name, *, timeout_ms: float | None = None) -> bool:
        """Whether a table is disabled. Raises as `is_enabled`."""
        return await self._state(name, timeout_ms) == "DISABLED"

    async def truncate_table(
        self, name: Name, *, preserve_splits: bool = True, timeout_ms: float | None = None
    ) -> None:
        """Delete all rows of a disabled table, which is enabled then."""
        request = Master_pb2.TruncateTableRequest(tableName=_named(name), preserveSplits=preserve_splits)
        await self._procedure("truncateTable", request, Master_pb2.TruncateTableResponse, timeout_ms)
        self._calls.finder.forget(table_name(name))

    async def alter_table(
        self,
        name: Name,
        families: Families | None = None,
        *,
        delete_families: Iterable[str] = (),
        attributes: Attributes | None = None,
        delete_attributes: Iterable[str] = (),
        timeout_ms: float | None = None,
    ) -> TableDescriptor:
        """Change a table, in one step: families that are new are added, the attributes given are set.

        `delete_attributes` are those that the table loses. Families keep the attributes that are not given. Gives what
        the table is then.
        """
        ends_ms = self._calls.clock.monotonic_ms() + self._until(timeout_ms)

        def left_ms() -> float:
            return max(1.0, ends_ms - self._calls.clock.monotonic_ms())

        table = await self.describe(name, timeout_ms=left_ms())
        for family, given in families_of(families or {}).items():
            table.families[family] = {**table.families.get(family, FAMILY_DEFAULTS), **given}
        for family in delete_families:
            if table.families.pop(family.removesuffix(":"), None) is None:
                raise ValueError(f"table {table.name} has no family {family!r}")
        for attribute in delete_attributes:
            found = [each.pop(attribute, None) for each in (table.attributes, table.configuration)]
            if found == [None, None]:
                raise ValueError(f"table {table.name} has no attribute {attribute!r}")
        table.attributes.update(texts_of(attributes or {}))
        request = Master_pb2.ModifyTableRequest(table_name=_named(name), table_schema=table.message())
        await self._procedure("ModifyTable", request, Master_pb2.ModifyTableResponse, left_ms())
        await self._master.until(  # 1.x has the regions opened anew after its procedure
            lambda answer: not answer.yet_to_update_regions,
            "GetSchemaAlterStatus",
            Master_pb2.GetSchemaAlterStatusRequest(table_name=_named(name)),
            Master_pb2.GetSchemaAlterStatusResponse,
            left_ms(),
        )
        return table

    async def add_family(
        self, name: Name, family: str, attributes: Attributes | None = None, *, timeout_ms: float | None = None
    ) -> None:
        """Add one family. Raises InvalidFamilyOperationException where there is one of that name."""
        ((plain, given),) = new_families({family: attributes}).items()
        message = family_message(plain, given)
        request = Master_pb2.AddColumnRequest(table_name=_named(name), column_families=message)
        await self._procedure("AddColumn", request, Master_pb2.AddColumnResponse, timeout_ms)

    async def delete_family(self, name: Name, family: str, *, timeout_ms: float | None = None) -> None:
        """Delete one family with its cells. Raises InvalidFamilyOperationException where there is none."""
        column_name = family.removesuffix(":").encode()
        request = Master_pb2.DeleteColumnRequest(table_name=_named(name), column_name=column_name)
        await self._procedure("DeleteColumn", request, Master_pb2.DeleteColumnResponse, timeout_ms)

    # --- namespaces ---------------------------------------------------------------------------------------------

    async def namespaces(self, *, timeout_ms: float | None = None) -> dict[str, dict[str, str]]:
        """Namespaces and what each is configured with."""
        kind = Master_pb2.ListNamespaceDescriptorsResponse
        request = Master_pb2.ListNamespaceDescriptorsRequest()
        answer = await self._master.call("ListNamespaceDescriptors", request, kind, self._until(timeout_ms))
        return {each.name.decode(): configuration_of(each) for each in answer.namespaceDescriptor}

    async def describe_namespace(self, name: str, *, timeout_ms: float | None = None) -> dict[str, str]:
        """What a namespace is configured with. Raises NamespaceNotFoundException."""
        kind = Master_pb2.GetNamespaceDescriptorResponse
        request = Master_pb2.GetNamespaceDescriptorRequest(namespaceName=name)
        answer = await self._master.call("GetNamespaceDescriptor", request, kind, self._until(timeout_ms))
        return configuration_of(answer.namespaceDescriptor)

    async def create_namespace(
        self, name: str, configuration: Attributes | None = None, *, timeout_ms: float | None = None
    ) -> None:
        """Make a namespace. Raises NamespaceExistException."""
        request = Master_pb2.CreateNamespaceRequest(namespaceDescriptor=namespace_message(name, configuration or {}))
        await self._procedure("CreateNamespace", request, Master_pb2.CreateNamespaceResponse, timeout_ms)

    async def alter_namespace(self, name: str, configuration: Attributes, *, timeout_ms: float | None = None) -> None:
        """Configure a namespace with exactly this."""
        request = Master_pb2.ModifyNamespaceRequest(namespaceDescriptor=namespace_message(name, configuration))
        await self._procedure("ModifyNamespace", request, Master_pb2.ModifyNamespaceResponse, timeout_ms)

    async def delete_namespace(self, name: str, *, timeout_ms: float | None = None) -> None:
        """Delete an empty namespace. Raises ConstraintException where it has tables."""
        request = Master_pb2.DeleteNamespaceRequest(namespaceName=name)
        await self._procedure("DeleteNamespace", request, Master_pb2.DeleteNamespaceResponse, timeout_ms)

    # --- regions ------------------------------------------------------------------------------------------------

    async def regions(self, name: Name, *, timeout_ms: float | None = None) -> list[Region]:
        """All regions of a table in order, as hbase:meta has them now."""
        return await self._calls.finder.read_all(self._calls.finder.table(table_name(name)), self._until(timeout_ms))

    async def move(
        self,
        region: Region | Name,
        server: ServerName | str | None = None,
        *,
        timeout_ms: float | None = None,
    ) -> None:
        """Move a region to a server, `host,port,startcode`, or to one that the master chooses."""
        request = Master_pb2.MoveRegionRequest(region=by_encoded_name(region))
        if server is not None:
            name = ServerName.parse(server) if isinstance(server, str) else server
            request.dest_server_name.host_name = name.host
            request.dest_server_name.port, request.dest_server_name.start_code = name.port, name.start_code
        await self._call("MoveRegion", request, Master_pb2.MoveRegionResponse, timeout_ms)

    async def assign(self, region: Region | Name, *, timeout_ms: float | None = None) -> None:
        """Have a region opened somewhere."""
        request = Master_pb2.AssignRegionRequest(region=by_encoded_name(region))
        await self._call("AssignRegion", request, Master_pb2.AssignRegionResponse, timeout_ms)

    async def unassign(self, region: Region | Name, *, timeout_ms: float | None = None) -> None:
        """Have a region closed; 1.x opens it again somewhere."""
        request = Master_pb2.UnassignRegionRequest(region=by_encoded_name(region))
        await self._call("UnassignRegion", request, Master_pb2.UnassignRegionResponse, timeout_ms)

    async def flush(self, table: Name, *, timeout_ms: float | None = None) -> int:
        """Have what is in memory written to files, of all regions of a table; how many these are."""

        def request(region: Region) -> Message:
            return Admin_pb2.FlushRegionRequest(region=by_name(region.name))

        kind, until_ms = Admin_pb2.FlushRegionResponse, self._until(timeout_ms)
        return await self._regions.of_table(table_name(table), "FlushRegion", request, kind, until_ms)

    async def compact(
        self, table: Name, *, major: bool = False, family: Name = b"", timeout_ms: float | None = None
    ) -> int:
        """Have the files of all regions of a table compacted, which is only begun; how many regions these are."""

        def request(region: Region) -> Message:
            made = Admin_pb2.CompactRegionRequest(region=by_name(region.name), major=major)
            if family:
                made.family = to_bytes(family)
            return made

        kind, until_ms = Admin_pb2.CompactRegionResponse, self._until(timeout_ms)
        return await self._regions.of_table(table_name(table), "CompactRegion", request, kind, until_ms)

    # --- the cluster --------------------------------------------------------------------------------------------

    async def cluster_status(self, *, timeout_ms: float | None = None) -> ClusterStatus:
        """Masters, region servers and what they have to do."""
        kind = Master_pb2.GetClusterStatusResponse
        answer = await self._call("GetClusterStatus", Master_pb2.GetClusterStatusRequest(), kind, timeout_ms)
        return status_of(answer.cluster_status)

    async def set_balancer(self, *, on: bool, timeout_ms: float | None = None) -> bool:
        """Switch the balancer; whether it was on before."""
        request, kind = Master_pb2.SetBalancerRunningRequest(on=on), Master_pb2.SetBalancerRunningResponse
        answer = await self._master.call("SetBalancerRunning", request, kind, self._until(timeout_ms))
        return answer.prev_balance_value

    async def is_balancer_enabled(self, *, timeout_ms: float | None = None) -> bool:
        """Whether the balancer is on."""
        request, kind = Master_pb2.IsBalancerEnabledRequest(), Master_pb2.IsBalancerEnabledResponse
        return (await self._master.call("IsBalancerEnabled", request, kind, self._until(timeout_ms))).enabled

    async def balance(self, *, timeout_ms: float | None = None) -> bool:
        """Have the balancer run now; whether it did."""
        request, kind = Master_pb2.BalanceRequest(), Master_pb2.BalanceResponse
        return (await self._master.call("Balance", request, kind, self._until(timeout_ms))).balancer_ran

    async def call(
        self, method: str, request: Message, response_type: type[M], *, timeout_ms: float | None = None
    ) -> M:
        """Any method of MasterService, with messages of HBase's protocol; without waiting for a procedure."""
        return await self._call(method, request, response_type, timeout_ms)

    async def close(self) -> None:
        """End its connections; the connection that it is of does that too."""
        await self._master.close()
        await self._regions.close()

    def __repr__(self) -> str:
        return "<hbeacon.Admin>"

    # --- how calls go -------------------------------------------------------------------------------------------

    def _until(self, timeout_ms: float | None) -> float:
        return self._calls.settings.operation_timeout_ms if timeout_ms is None else timeout_ms

    async def _call(self, method: str, request: Message, kind: type[M], timeout_ms: float | None) -> M:
        return await self._master.call(method, request, kind, self._until(timeout_ms))

    async def _procedure(self, method: str, request: Message, kind: type[Message], timeout_ms: float | None) -> None:
        await self._master.procedure(method, request, kind, self._until(timeout_ms))

    async def _descriptors(self, name: str, timeout_ms: float | None) -> list[HBase_pb2.TableSchema]:
        request = Master_pb2.GetTableDescriptorsRequest(table_names=[name_message(name)], include_sys_tables=True)
        kind = Master_pb2.GetTableDescriptorsResponse
        try:
            answer = await self._master.call("GetTableDescriptors", request, kind, self._until(timeout_ms))
        except TableNotFoundException:
            return []
        return list(answer.table_schema)

    async def _state(self, name: Name, timeout_ms: float | None) -> str:
        plain = table_name(name)
        state = await self._calls.finder.state(plain, self._until(timeout_ms))
        if not state:
            await self.describe(plain, timeout_ms=timeout_ms)  # there is none: TableNotFoundException
            raise DoNotRetryIOException(
                f"{plain} has no state in hbase:meta: HBase 1.x keeps states in ZooKeeper alone"
            )
        return state


def _named(name: Name) -> HBase_pb2.TableName:
    return name_message(table_name(name))
