"""Both sides of a connection under one name; each is a machine of its own in the module named after it.

Source: org.apache.hadoop.hbase.ipc.ServerRpcConnection and NettyRpcConnection, which share no code either.
"""

from __future__ import annotations

from registry.wire.client_side import CLIENT_TRANSITIONS, ClientConnection, ClientInput, ClientState
from registry.wire.limits import WireLimits
from registry.wire.server_side import TRANSITIONS, ServerConnection, ServerInput, ServerState

__all__ = [
    "CLIENT_TRANSITIONS",
    "TRANSITIONS",
    "ClientConnection",
    "ClientInput",
    "ClientState",
    "ServerConnection",
    "ServerInput",
    "ServerState",
    "WireLimits",
]
