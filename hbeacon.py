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

from registry.client.answers import Answer, RegionLocation, RegistryMaster, What
from registry.client.attempts import Attempt, RegistryLookupError
from registry.client.blocking import BlockingConnection, connect_blocking
from registry.client.connect import Connecting, connect
from registry.client.connection import Connection
from registry.client.probing import Policy
from registry.config.values import BadSetting
from registry.lookup.snapshot import Version
from registry.names import Address, ServerName
from registry.version import VERSION
from registry.wire.errors import HBaseError

__version__ = VERSION

__all__ = [
    "Address",
    "Answer",
    "Attempt",
    "BadSetting",
    "BlockingConnection",
    "Connecting",
    "Connection",
    "HBaseError",
    "Policy",
    "RegionLocation",
    "RegistryLookupError",
    "RegistryMaster",
    "ServerName",
    "Version",
    "What",
    "__version__",
    "connect",
    "connect_blocking",
]
