"""What HBase's masters have and this one has not: snapshots, replication peers, quotas, permissions, a balancer's log.

Nothing of the kind is there: what is asked about one is answered as HBase answers it of one that does not exist, and as
HBase answers where the feature is off. To make one is refused at once, in words for administrators, with a class that
clients do not try again.

Source: MasterRpcServices, SnapshotManager#deleteSnapshot, #restoreOrCloneSnapshot, #isSnapshotDone,
ReplicationPeerManager#checkPeerExists, MasterQuotaManager#checkQuotaSupport, ClientSnapshotDescriptionUtils#toString;
texts as recorded from 2.6.4.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from protos.hbase import HBase_pb2, Master_pb2, Snapshot_pb2
from registry.master.tables.desk import request_of
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import (
    DoNotRetryIOException,
    IOException,
    ReplicationPeerNotFoundException,
    SnapshotDoesNotExistException,
    UnknownSnapshotException,
)
from registry.wire.text import lenient_text

_SNAPSHOTS = "there are no snapshots here; CopyTable or Export keep a table's rows elsewhere"
_REGIONS = "a table has the regions that it was made with"
_PEERS = "there is no replication to other clusters here"
_SERVERS = "regions are moved off a server one by one with move, or when it is stopped"
_STORE_FILES = "there are no store files of HBase here to be tracked"
WHY: Mapping[str, str] = {
    "Snapshot": _SNAPSHOTS,
    "SplitRegion": _REGIONS,
    "MergeTableRegions": _REGIONS,
    "DispatchMergingRegions": _REGIONS,
    "TruncateRegion": "a table is truncated as a whole",
    "AddReplicationPeer": _PEERS,
    "TransitReplicationPeerSyncReplicationState": _PEERS,
    "DecommissionRegionServers": _SERVERS,
    "RecommissionRegionServer": _SERVERS,
    "ModifyTableStoreFileTracker": _STORE_FILES,
    "ModifyColumnStoreFileTracker": _STORE_FILES,
}
"""Methods that are refused, with what administrators read behind their names; others are refused by name alone."""

_LOGS = {
    "BalancerDecisionsRequest": "BalancerDecisionsResponse",
    "BalancerRejectionsRequest": "BalancerRejectionsResponse",
}


def refusal(method: str) -> DoNotRetryIOException:
    """As HBase refuses a method that it does not know, with the reason behind it where there is one to tell."""
    why = WHY.get(method)
    return DoNotRetryIOException(f"java.lang.UnsupportedOperationException: {method}{f': {why}' if why else ''}")


def handlers() -> Mapping[str, Handler]:
    """By method of MasterService."""
    return {
        "DeleteSnapshot": _delete_snapshot,
        "RestoreSnapshot": _restore_snapshot,
        "IsSnapshotDone": _is_snapshot_done,
        **dict.fromkeys(_OF_A_PEER, _no_peer),
        "SetQuota": _no_quotas,
        **dict.fromkeys(("Grant", "Revoke", "GetUserPermissions", "HasUserPermissions"), _no_permissions),
        "GetLogEntries": get_log_entries,
    }


_OF_A_PEER = (
    "GetReplicationPeerConfig",
    "IsReplicationPeerEnabled",
    "EnableReplicationPeer",
    "DisableReplicationPeer",
    "RemoveReplicationPeer",
    "UpdateReplicationPeerConfig",
)


def _no_snapshot(snapshot: Snapshot_pb2.SnapshotDescription) -> SnapshotDoesNotExistException:
    return SnapshotDoesNotExistException(f"Snapshot '{snapshot.name}' doesn't exist on the filesystem")


def _delete_snapshot(call: Call) -> Handled:
    raise _no_snapshot(request_of(call, Master_pb2.DeleteSnapshotRequest).snapshot)


def _restore_snapshot(call: Call) -> Handled:
    raise _no_snapshot(request_of(call, Master_pb2.RestoreSnapshotRequest).snapshot)


def _is_snapshot_done(call: Call) -> Handled:
    asked = request_of(call, Master_pb2.IsSnapshotDoneRequest).snapshot
    kind = Snapshot_pb2.SnapshotDescription.Type.Name(asked.type)
    raise UnknownSnapshotException(
        f"Snapshot {{ ss={asked.name} table={asked.table} type={kind} ttl={asked.ttl} }} is not currently running or"
        " one of the known completed snapshots."
    )


def _no_peer(call: Call) -> Handled:
    # each of these messages has one
    raise ReplicationPeerNotFoundException(getattr(request_of(call, Message), "peer_id", ""))


def _no_quotas(call: Call) -> Handled:
    del call  # whatever it asks
    raise DoNotRetryIOException("java.lang.UnsupportedOperationException: quota support disabled")


def _no_permissions(call: Call) -> Handled:
    del call  # whatever it asks
    raise DoNotRetryIOException(
        "java.lang.UnsupportedOperationException: org.apache.hadoop.hbase.security.access.AccessController is not"
        " loaded"
    )


def get_log_entries(call: Call) -> Message:
    """What the balancer decided: nothing, in the form that clients of 2.4 and later ask for it."""
    asked = lenient_text(request_of(call, HBase_pb2.LogRequest).log_class_name)
    package, _, name = asked.rpartition("$")
    if name not in _LOGS:
        raise IOException("Invalid request params")
    return HBase_pb2.LogEntry(log_class_name=f"{package}${_LOGS[name]}", log_message=b"")
