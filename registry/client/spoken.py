"""What we tell servers that we are: they choose cell blocks and exceptions by it."""

from __future__ import annotations

from protos.hbase import HBase_pb2
from registry.version import VERSION

SPOKEN = HBase_pb2.VersionInfo(
    version=f"hbeacon-{VERSION}",
    url="",
    revision="",
    user="",
    date="",
    src_checksum="",
    version_major=2,
    version_minor=6,
)
"""Servers choose cells and exceptions by this: we understand what a 2.6 client does."""
