"""What is asked about tables: names, descriptors, states.

Source: HMaster#listTableDescriptors, #getTableDescriptors, #filterTablesByRegex, MasterRpcServices; the order is that
of FSTableDescriptors#getAll, by `namespace:qualifier`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from protos.hbase import HBase_pb2, Master_pb2
from registry.java_regex.effort import Effort
from registry.java_regex.parser import compile_pattern
from registry.master.catalogue import TableState
from registry.master.meta_schema import meta_schema
from registry.master.tables.desk import Desk, request_of
from registry.master.tables.names import checked_table
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import DoNotRetryIOException, NamespaceNotFoundException, TableNotFoundException
from registry.wire.gone_families import with_gone_families
from registry.wire.region_info import META_TABLE, table_name, table_text

SYSTEM_NAMESPACES = ("hbase", "backup")
COST_MAX = 20_000_000
"""States of a pattern that are looked at for all names together."""
COST_SLICE = 5000
"""States of a pattern that are looked at before others get a turn."""

Schemas = list[HBase_pb2.TableSchema]


class Reading:
    """Handlers of the methods that change nothing of tables."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        return {
            "GetTableDescriptors": self._get_descriptors,
            "GetTableNames": self._get_names,
            "GetTableState": self._get_state,
            "GetSchemaAlterStatus": self._get_alter_status,
            "ListTableDescriptorsByState": self._descriptors_by_state,
            "ListTableNamesByState": self._names_by_state,
            "ListTableDescriptorsByNamespace": self._descriptors_by_namespace,
            "ListTableNamesByNamespace": self._names_by_namespace,
        }

    async def _get_descriptors(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.GetTableDescriptorsRequest)
        if request.table_names:
            schemas = self._named([checked_table(name) for name in request.table_names])
        else:
            schemas = self._all(request.namespace, include_system=request.include_sys_tables)
        if request.HasField("regex"):
            schemas = await _matching(schemas, request.regex)
        return Master_pb2.GetTableDescriptorsResponse(table_schema=schemas)

    async def _get_names(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.GetTableNamesRequest)
        schemas = self._all(request.namespace, include_system=request.include_sys_tables)
        if request.HasField("regex"):
            schemas = await _matching(schemas, request.regex)
        return Master_pb2.GetTableNamesResponse(table_names=_names(schemas))

    def _get_state(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.GetTableStateRequest)
        name = checked_table(request.table_name)
        state = HBase_pb2.TableState(state=self._state(name))
        return Master_pb2.GetTableStateResponse(table_state=state)

    def _get_alter_status(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.GetSchemaAlterStatusRequest)
        name = checked_table(request.table_name)
        yet, total = (0, 1) if name == META_TABLE else self._desk.work.yet_to_open(name)
        return Master_pb2.GetSchemaAlterStatusResponse(yet_to_update_regions=yet, total_regions=total)

    def _descriptors_by_state(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ListTableDescriptorsByStateRequest)
        schemas = self._in_state(enabled=request.is_enabled)
        return Master_pb2.ListTableDescriptorsByStateResponse(table_schema=schemas)

    def _names_by_state(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ListTableNamesByStateRequest)
        names = _names(self._in_state(enabled=request.is_enabled))
        return Master_pb2.ListTableNamesByStateResponse(table_names=names)

    def _descriptors_by_namespace(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ListTableDescriptorsByNamespaceRequest)
        schemas = self._all(request.namespaceName, include_system=True)
        return Master_pb2.ListTableDescriptorsByNamespaceResponse(tableSchema=schemas)

    def _names_by_namespace(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.ListTableNamesByNamespaceRequest)
        names = _names(self._all(request.namespaceName, include_system=True))
        return Master_pb2.ListTableNamesByNamespaceResponse(tableName=names)

    # --- the catalogue ------------------------------------------------------------------------------------------

    def _all(self, namespace: str, *, include_system: bool) -> Schemas:
        """Those of a namespace, or all where it is empty."""
        catalogue = self._desk.catalogue
        if namespace and namespace not in catalogue.namespaces:
            raise NamespaceNotFoundException(namespace)
        found = {full_name(name): with_gone_families(row.schema, ()) for name, row in catalogue.tables.items()}
        found[META_TABLE] = meta_schema()
        return [
            schema
            for name, schema in sorted(found.items())
            if (not namespace or name.startswith(f"{namespace}:"))
            and (include_system or name.partition(":")[0] not in SYSTEM_NAMESPACES)
        ]

    def _named(self, names: Sequence[str]) -> Schemas:
        """Those of them that are there."""
        catalogue = self._desk.catalogue
        tables = catalogue.tables
        schemas = {name: with_gone_families(tables[name].schema, ()) for name in names if name in tables}
        schemas[META_TABLE] = meta_schema()
        return [schemas[name] for name in names if name in schemas]

    def _in_state(self, *, enabled: bool) -> Schemas:
        state = TableState.ENABLED if enabled else TableState.DISABLED
        schemas = self._all("", include_system=False)
        return [schema for schema in schemas if self._state(table_text(schema.table_name)) == state]

    def _state(self, name: str) -> str:
        row = self._desk.catalogue.tables.get(name)
        if row is None and name != META_TABLE:
            raise TableNotFoundException(f"No state found for {name}")
        return TableState.ENABLED if row is None else row.state


def full_name(table: str) -> str:
    """With its namespace, also the default one."""
    return table if ":" in table else f"default:{table}"


async def _matching(schemas: Schemas, regex: str) -> Schemas:
    """Those whose names match, with `default:` before them or without."""
    effort = Effort()
    pattern = compile_pattern(regex, 0, effort)
    found: Schemas = []
    cost = 0
    for schema in schemas:
        name = table_text(schema.table_name)
        if pattern.matches(name) or (":" not in name and pattern.matches(f"default:{name}")):
            found.append(schema)
        if effort.left < -COST_SLICE:
            cost -= effort.left
            effort.begin()
            if cost > COST_MAX:
                raise DoNotRetryIOException("this pattern costs too much for the number of tables here")
            await asyncio.sleep(0)
    return found


def _names(schemas: Schemas) -> list[HBase_pb2.TableName]:
    return [table_name(table_text(schema.table_name)) for schema in schemas]
