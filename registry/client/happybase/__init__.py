"""The API of happybase over hbeacon's own client: the same names, arguments and results, no Thrift server between.

    from hbeacon import happybase

    connection = happybase.Connection("master1")
    connection.table("users").put(b"row", {b"cf:q": b"value"})

`host` is a master or another server of the registry, a list of them, or an `hbase+rpc://` or `hbase+zk://` URI; without
one hbase-site.xml in HBASE_CONF_DIR tells. What the Thrift server of HBase makes of an argument is made of it here.

Source: the documentation of happybase 1.3; org.apache.hadoop.hbase.thrift.ThriftHBaseServiceHandler.
"""

from registry.client.happybase.batch import Batch
from registry.client.happybase.connection import DEFAULT_HOST, DEFAULT_PORT, Connection
from registry.client.happybase.pool import ConnectionPool, NoConnectionsAvailable
from registry.client.happybase.table import Table

__version__ = "1.3.0"
"""Of the happybase whose API this is."""

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "Batch",
    "Connection",
    "ConnectionPool",
    "NoConnectionsAvailable",
    "Table",
    "__version__",
]
