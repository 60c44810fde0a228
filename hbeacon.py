"""hbeacon: where an HBase cluster is, asked of registry servers or of its ZooKeeper.

    import asyncio
    import hbeacon

    async def main():
        async with hbeacon.connect("hbase+rpc://beacon1:16000,beacon2:16000") as cluster:
            print((await cluster.active_master(timeout_ms=2000)).value)
            for location in (await cluster.meta_locations(timeout_ms=2000)).value:
                print(location.replica_id, location.server_name)

    asyncio.run(main())

Without a loop:

    with hbeacon.connect_blocking(masters="m1:16000,m2:16000") as cluster:
        print(cluster.cluster_id(timeout_ms=2000).value)

With nothing configured it is localhost:16000, as in HBase 3. These names are the public ones; everything else may
change without notice.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from registry.client.admin.admin import Admin
from registry.client.admin.blocking import BlockingAdmin
from registry.client.admin.schema import TableDescriptor
from registry.client.admin.status import ClusterStatus, ServerStatus
from registry.client.answers import Answer, RegionLocation, RegistryMaster, What
from registry.client.attempts import Attempt, RegistryLookupError
from registry.client.blocking import BlockingConnection, connect_blocking
from registry.client.connect import Connecting, connect
from registry.client.connection import Connection
from registry.client.data.blocking import BlockingBatchWriter, BlockingScanner, BlockingTable
from registry.client.data.conditions import Condition, If
from registry.client.data.failures import BatchError, OutcomeUnknownException, RetriesExhaustedException
from registry.client.data.operations import Append, Delete, Durability, Get, Increment, Put, RowMutations
from registry.client.data.region_map import Region
from registry.client.data.results import Row
from registry.client.data.scanning import Scanner
from registry.client.data.table import CheckResult, Table
from registry.client.data.writer import BatchWriter
from registry.client.probing import Policy
from registry.config.values import BadSetting
from registry.lookup.snapshot import Version
from registry.names import Address, ServerName
from registry.version import VERSION
from registry.wire.cellblock import Cell
from registry.wire.errors import HBaseError

if TYPE_CHECKING:
    from registry.client import filters, happybase

__version__ = VERSION

__all__ = [
    "Address",
    "Admin",
    "Answer",
    "Append",
    "Attempt",
    "BadSetting",
    "BatchError",
    "BatchWriter",
    "BlockingAdmin",
    "BlockingBatchWriter",
    "BlockingConnection",
    "BlockingScanner",
    "BlockingTable",
    "Cell",
    "CheckResult",
    "ClusterStatus",
    "Condition",
    "Connecting",
    "Connection",
    "Delete",
    "Durability",
    "Get",
    "HBaseError",
    "If",
    "Increment",
    "OutcomeUnknownException",
    "Policy",
    "Put",
    "Region",
    "RegionLocation",
    "RegistryLookupError",
    "RegistryMaster",
    "RetriesExhaustedException",
    "Row",
    "RowMutations",
    "Scanner",
    "ServerName",
    "ServerStatus",
    "Table",
    "TableDescriptor",
    "Version",
    "What",
    "__version__",
    "connect",
    "connect_blocking",
    "filters",
    "happybase",
]


def __getattr__(name: str) -> ModuleType:
    """`happybase` and `filters` are loaded when somebody asks for them."""
    if name in ("filters", "happybase"):
        return import_module(f"registry.client.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
