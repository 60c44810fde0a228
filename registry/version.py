"""The version of this code, known without looking at what is installed."""

from __future__ import annotations

VERSION = "0.1.0.dev0"

HBASE_VERSION = f"2.6.4-hbeacon-{VERSION}"
"""What clients are told: the HBase that is followed, before the dash, is what they compare."""
