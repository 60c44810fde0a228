"""Switches that clients set and ask for, and what is told of chores that there are not yet.

Balancer, normaliser and snapshots do not exist yet: their switches are remembered for those that will, and a request
to run one is answered with "did not run". The rows of dropped regions are cleaned up by themselves. Quotas are off, as
in an HBase that has not been told otherwise, so their switches stay where they are.

    ZNODE below zookeeper.znode.parent    JSON: {"format": 1, "balancer": true, ...}; missing ones are as in DEFAULTS

Source: MasterRpcServices, BooleanStateStore, SplitOrMergeStateStore; first values as recorded from 2.6.4.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from google.protobuf.message import Message

from protos.hbase import Master_pb2, Quota_pb2, Replication_pb2
from registry.master.tables.desk import Desk, request_of
from registry.rpc.services import Call, Handled, Handler
from registry.wire.errors import IOException
from registry.zk.requests import Create, Get, Reply, Request, Result, SetData

logger = logging.getLogger("registry.master.tables")

ZNODE = "hbeacon/switches"
FORMAT = 1
DEFAULTS: Mapping[str, bool] = {
    "balancer": True,
    "normalizer": True,
    "catalog_janitor": True,
    "cleaner_chore": True,
    "split": True,
    "merge": True,
    "snapshot_cleanup": True,
    "peer_modification": True,
}

Ask = Callable[[Request], Awaitable[Reply]]


class KeptSwitches:
    """Their positions, in memory and in ZooKeeper. Belongs to the loop."""

    def __init__(self, root: str, ask: Ask) -> None:
        self._path = f"{root}/{ZNODE}"
        self._ask = ask
        self._on = dict(DEFAULTS)

    def __getitem__(self, name: str) -> bool:
        return self._on[name]

    async def read(self) -> None:
        """As the master before has left them."""
        reply = await self._ask(Get(self._path))
        self._on = dict(DEFAULTS)
        if not reply.ok:
            return
        try:
            found = cast("dict[str, Any]", json.loads(reply.data))
            if found["format"] == FORMAT:
                self._on |= {name: bool(found[name]) for name in DEFAULTS if name in found}
                return
        except (ValueError, KeyError, TypeError):
            pass
        logger.error("%s cannot be read: switches are where they are at first", self._path)

    async def set(self, name: str, on: bool) -> bool:
        """Where it was before. Raises IOException where it cannot be remembered."""
        before, self._on[name] = self._on[name], on
        if before == on:
            return before
        data = json.dumps({"format": FORMAT, **self._on}).encode()
        reply = await self._ask(SetData(self._path, data))
        if reply.result is Result.NO_NODE:
            reply = await self._ask(Create(self._path, data))
        if not reply.ok:
            self._on[name] = before
            raise IOException(f"{name} cannot be switched: {self._path}: {reply.problem or reply.result.value}")
        return before


class Switches:
    """Handlers."""

    def __init__(self, desk: Desk, kept: KeptSwitches) -> None:
        self._desk = desk
        self._kept = kept

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        return {
            "IsBalancerEnabled": self._tells("balancer", Master_pb2.IsBalancerEnabledResponse, "enabled"),
            "IsNormalizerEnabled": self._tells("normalizer", Master_pb2.IsNormalizerEnabledResponse, "enabled"),
            "IsCatalogJanitorEnabled": self._tells(
                "catalog_janitor", Master_pb2.IsCatalogJanitorEnabledResponse, "value"
            ),
            "IsCleanerChoreEnabled": self._tells("cleaner_chore", Master_pb2.IsCleanerChoreEnabledResponse, "value"),
            "IsSnapshotCleanupEnabled": self._tells(
                "snapshot_cleanup", Master_pb2.IsSnapshotCleanupEnabledResponse, "enabled"
            ),
            "IsReplicationPeerModificationEnabled": self._tells(
                "peer_modification", Replication_pb2.IsReplicationPeerModificationEnabledResponse, "enabled"
            ),
            "ReplicationPeerModificationSwitch": self._set_peer_modification,
            "SetBalancerRunning": self._set_balancer,
            "SetNormalizerRunning": self._set_normalizer,
            "EnableCatalogJanitor": self._set_janitor,
            "SetCleanerChoreRunning": self._set_cleaner,
            "SwitchSnapshotCleanup": self._set_snapshot_cleanup,
            "IsSplitOrMergeEnabled": self._split_or_merge,
            "SetSplitOrMergeEnabled": self._set_split_or_merge,
            "Balance": self._says(
                lambda: Master_pb2.BalanceResponse(balancer_ran=False, moves_calculated=0, moves_executed=0)
            ),
            "Normalize": self._says(lambda: Master_pb2.NormalizeResponse(normalizer_ran=False)),
            "RunCatalogScan": self._says(lambda: Master_pb2.RunCatalogScanResponse(scan_result=0)),
            "RunCleanerChore": self._says(lambda: Master_pb2.RunCleanerChoreResponse(cleaner_chore_ran=True)),
            **self._nothing_there(),
        }

    def _nothing_there(self) -> dict[str, Handler]:
        """What is asked about things of which there are none."""
        return {
            "GetCompletedSnapshots": self._says(Master_pb2.GetCompletedSnapshotsResponse),
            "ListReplicationPeers": self._says(Replication_pb2.ListReplicationPeersResponse),
            "GetReplicationPeerModificationProcedures": self._says(
                Replication_pb2.GetReplicationPeerModificationProceduresResponse
            ),
            "ListDecommissionedRegionServers": self._says(Master_pb2.ListDecommissionedRegionServersResponse),
            "GetQuotaStates": self._says(Quota_pb2.GetQuotaStatesResponse),
            "GetSpaceQuotaRegionSizes": self._says(Quota_pb2.GetSpaceQuotaRegionSizesResponse),
            "FlushMasterStore": self._says(Master_pb2.FlushMasterStoreResponse),
            "IsRpcThrottleEnabled": self._says(
                lambda: Master_pb2.IsRpcThrottleEnabledResponse(rpc_throttle_enabled=False)
            ),
            "SwitchRpcThrottle": self._says(
                lambda: Master_pb2.SwitchRpcThrottleResponse(previous_rpc_throttle_enabled=False)
            ),
            "SwitchExceedThrottleQuota": self._says(
                lambda: Master_pb2.SwitchExceedThrottleQuotaResponse(previous_exceed_throttle_quota_enabled=False)
            ),
        }

    def _says(self, answer: Callable[[], Message]) -> Handler:
        def handler(call: Call) -> Handled:
            del call  # whatever it asks
            return answer()

        return handler

    def _tells(self, name: str, response_type: Callable[..., Message], field: str) -> Handler:
        return self._says(lambda: response_type(**{field: self._kept[name]}))

    async def _set_balancer(self, call: Call) -> Handled:
        on = request_of(call, Master_pb2.SetBalancerRunningRequest).on
        before = await self._kept.set("balancer", on)
        return Master_pb2.SetBalancerRunningResponse(prev_balance_value=before)

    async def _set_normalizer(self, call: Call) -> Handled:
        on = request_of(call, Master_pb2.SetNormalizerRunningRequest).on
        before = await self._kept.set("normalizer", on)
        return Master_pb2.SetNormalizerRunningResponse(prev_normalizer_value=before)

    async def _set_janitor(self, call: Call) -> Handled:
        before = await self._kept.set(
            "catalog_janitor", request_of(call, Master_pb2.EnableCatalogJanitorRequest).enable
        )
        return Master_pb2.EnableCatalogJanitorResponse(prev_value=before)

    async def _set_cleaner(self, call: Call) -> Handled:
        on = request_of(call, Master_pb2.SetCleanerChoreRunningRequest).on
        before = await self._kept.set("cleaner_chore", on)
        return Master_pb2.SetCleanerChoreRunningResponse(prev_value=before)

    async def _set_snapshot_cleanup(self, call: Call) -> Handled:
        before = await self._kept.set(
            "snapshot_cleanup", request_of(call, Master_pb2.SetSnapshotCleanupRequest).enabled
        )
        return Master_pb2.SetSnapshotCleanupResponse(prev_snapshot_cleanup=before)

    async def _set_peer_modification(self, call: Call) -> Handled:
        on = request_of(call, Replication_pb2.ReplicationPeerModificationSwitchRequest).on
        before = await self._kept.set("peer_modification", on)
        return Replication_pb2.ReplicationPeerModificationSwitchResponse(previous_value=before)

    def _split_or_merge(self, call: Call) -> Handled:
        kind = request_of(call, Master_pb2.IsSplitOrMergeEnabledRequest).switch_type
        return Master_pb2.IsSplitOrMergeEnabledResponse(enabled=self._kept[_NAMES[kind]])

    async def _set_split_or_merge(self, call: Call) -> Handled:
        request = request_of(call, Master_pb2.SetSplitOrMergeEnabledRequest)
        before = [await self._kept.set(_NAMES[kind], request.enabled) for kind in request.switch_types]
        return Master_pb2.SetSplitOrMergeEnabledResponse(prev_value=before)


_NAMES: Mapping[int, str] = {Master_pb2.SPLIT: "split", Master_pb2.MERGE: "merge"}
