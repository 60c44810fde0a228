"""Regions as hbase:meta and messages name them.

    TABLE,START,ID.MD5.      the name; MD5 is the encoded name, 32 hex digits over all that stands before the first dot
    TABLE,START,ID_0001.MD5. of a replica, with its number
    hbase:meta,,1            the one name of the old form; its encoded name is 1588230740

Source: RegionInfo#createRegionName, #encodeRegionName; ProtobufUtil#toRegionInfo.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from protos.hbase import HBase_pb2
from registry.wire.errors import ProtocolError
from registry.wire.text import lenient_text

MAGIC = b"PBUF"
DEFAULT_NAMESPACE = "default"
META_TABLE = "hbase:meta"
META_NAME = b"hbase:meta,,1"
META_ENCODED_NAME = "1588230740"


@dataclass(frozen=True)
class RegionInfo:
    """A region: a range of rows in one life of it."""

    table: str
    """`qualifier` in the default namespace, `namespace:qualifier` in others."""
    start_key: bytes = b""
    end_key: bytes = b""
    """Exclusive; empty: to the end of the table."""
    region_id: int = 0
    """When it was made, in ms; with the start key it tells it from all others of its table."""
    offline: bool = False
    split: bool = False
    replica_id: int = 0

    @functools.cached_property
    def name(self) -> bytes:
        """Its whole name, the row of hbase:meta."""
        if self.table == META_TABLE and not self.replica_id:
            return META_NAME
        replica = f"_{self.replica_id:04X}" if self.replica_id else ""
        plain = b"%b,%b,%d%b" % (self.table.encode(), self.start_key, self.region_id, replica.encode())
        return b"%b.%b." % (plain, hashlib.md5(plain, usedforsecurity=False).hexdigest().encode())

    @functools.cached_property
    def encoded_name(self) -> str:
        """The short name in messages and logs."""
        return META_ENCODED_NAME if self.name == META_NAME else self.name[-33:-1].decode()

    def __str__(self) -> str:
        return lenient_text(self.name)

    def message(self) -> HBase_pb2.RegionInfo:
        """As messages carry it."""
        return HBase_pb2.RegionInfo(
            region_id=self.region_id,
            table_name=table_name(self.table),
            start_key=self.start_key,
            end_key=self.end_key,
            offline=self.offline,
            split=self.split,
            replica_id=self.replica_id,
        )

    @classmethod
    def from_message(cls, message: HBase_pb2.RegionInfo) -> RegionInfo:
        """Of a message, whose names need not be of any shape."""
        return cls(
            table_text(message.table_name),
            message.start_key,
            message.end_key,
            message.region_id,
            message.offline,
            message.split,
            message.replica_id,
        )

    def value(self) -> bytes:
        """As info:regioninfo holds it."""
        return MAGIC + self.message().SerializeToString()

    @classmethod
    def from_value(cls, value: bytes) -> RegionInfo:
        """Read info:regioninfo. Raises ProtocolError."""
        try:
            if not value.startswith(MAGIC):
                raise DecodeError("no PBUF before it")
            message = HBase_pb2.RegionInfo.FromString(value[len(MAGIC) :])
            if not message.IsInitialized():
                raise DecodeError("a required field is missing")
            return cls.from_message(message)
        except DecodeError as error:
            raise ProtocolError(f"{value[:40]!r} is no RegionInfo: {error}", kind="region info") from None


def table_name(table: str) -> HBase_pb2.TableName:
    """A table's name as messages carry it."""
    namespace, colon, qualifier = table.partition(":")
    if not colon:
        namespace, qualifier = DEFAULT_NAMESPACE, table
    return HBase_pb2.TableName(namespace=namespace.encode(), qualifier=qualifier.encode())


def table_text(message: HBase_pb2.TableName) -> str:
    """A table's name as people write it."""
    namespace, qualifier = lenient_text(message.namespace), lenient_text(message.qualifier)
    return qualifier if namespace == DEFAULT_NAMESPACE else f"{namespace}:{qualifier}"


META = RegionInfo(META_TABLE, region_id=1)
"""The one region of hbase:meta."""
