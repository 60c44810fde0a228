"""BootstrapNodeService: one region server tells another which region servers clients may begin with.

HBase's region servers keep such a list by asking: the active master when they start and every ten minutes, one another
every thirty seconds, and drop who does not answer (HBASE-26150, HBASE-26173). Here every server follows ZooKeeper for
look-ups anyway, and asks those that it hands out whether they speak (registry.lookup.selfcheck): the list is as new as
ZooKeeper, and never empty while a region server is known. Of HBase's rules the limits stay: at most twice
hbase.client.bootstrap.node.limit for each other, that limit for clients.

Source: BootstrapNodeManager, RSRpcServices#getAllBootstrapNodes; BootstrapNode.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protos.hbase import BootstrapNode_pb2
from registry.names import ServerName
from registry.rpc.services import Call, Handled, ServiceTable
from registry.wire.znode import encode_server_name

SERVICE = "BootstrapNodeService"
TIMES_LIMIT = 2


def add_bootstrap_service(table: ServiceTable, nodes: Callable[[], Sequence[ServerName]]) -> None:
    """Offer it. `nodes` gives the list of the moment."""

    def get_all(call: Call) -> Handled:
        del call  # the request says nothing
        return BootstrapNode_pb2.GetAllBootstrapNodesResponse(node=[encode_server_name(name) for name in nodes()])

    table.add(SERVICE, "GetAllBootstrapNodes", BootstrapNode_pb2.GetAllBootstrapNodesRequest, get_all)
