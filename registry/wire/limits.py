"""How much a peer may announce or send, each with its reason and HBase's default.

Source: hbase-default.xml; org.apache.hadoop.hbase.ipc.RpcServer, NettyRpcFrameDecoder.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_BYTES_MAX = 268_435_456
"""hbase.ipc.max.request.size, the longest request that is read: 256 MiB as in HBase."""

CONNECTION_HEADER_BYTES_MAX = 65_536
"""HBase bounds the connection header by the size of a request only. A Java client's is 260 bytes; attributes of the
connection may make it longer, but nobody may make a server keep 256 MiB before it said who it is."""

SASL_TOKEN_BYTES_MAX = 65_536
"""The one token that is skipped after `switch to simple`. Kerberos tickets with group data reach 64 KiB."""

HEADER_BYTES_MAX = 1_048_576
"""The RequestHeader in front of a request; HBase has no limit of its own. Request attributes are free text, so it is
far over what any client sends, and still too little to keep a parser busy for long."""

READY_FRAME_BYTES_MAX = 1_048_576
"""The longest request on a connection to a service whose requests are all empty, such as ClientMetaService."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """What one connection may ask of the other side."""

    frame_bytes_max: int = FRAME_BYTES_MAX
    header_bytes_max: int = HEADER_BYTES_MAX
    connection_header_bytes_max: int = CONNECTION_HEADER_BYTES_MAX
    sasl_token_bytes_max: int = SASL_TOKEN_BYTES_MAX
