"""All kinds of procedures, and what each is made of by those who ask for it."""

from __future__ import annotations

from registry.master.procedures.namespace_classes import CreateNamespace, DeleteNamespace, ModifyNamespace
from registry.master.procedures.region_classes import FlushTable, TransitRegion
from registry.master.procedures.state_classes import DisableTable, EnableTable, ModifyTable
from registry.master.procedures.steps import Class
from registry.master.procedures.table_classes import CreateTable, DeleteTable, TruncateTable

CREATE_TABLE, DELETE_TABLE, TRUNCATE_TABLE = CreateTable(), DeleteTable(), TruncateTable()
ENABLE_TABLE, DISABLE_TABLE, MODIFY_TABLE = EnableTable(), DisableTable(), ModifyTable()
CREATE_NAMESPACE, MODIFY_NAMESPACE, DELETE_NAMESPACE = CreateNamespace(), ModifyNamespace(), DeleteNamespace()
TRANSIT_REGION, FLUSH_TABLE = TransitRegion(), FlushTable()

CLASSES: tuple[Class, ...] = (
    CREATE_TABLE,
    DELETE_TABLE,
    TRUNCATE_TABLE,
    ENABLE_TABLE,
    DISABLE_TABLE,
    MODIFY_TABLE,
    CREATE_NAMESPACE,
    MODIFY_NAMESPACE,
    DELETE_NAMESPACE,
    TRANSIT_REGION,
    FLUSH_TABLE,
)
