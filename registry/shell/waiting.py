"""What is said to who waits for a cluster, and who waited for none."""

from __future__ import annotations

from registry.client.attempts import RegistryLookupError

WAIT_S = 1.0
"""After so long it is said who is waited for."""
WHICH = "is this the cluster? Another is named by a URI, by --zookeeper, or by hbase-site.xml in HBASE_CONF_DIR"


def is_nobody_there(error: BaseException) -> bool:
    """Whether an operation, or a look-up, ended because no server of the cluster gave its answer."""
    return isinstance(getattr(error, "last", error), RegistryLookupError)
