"""Calls of our own masters among those of clients: the hidden family, and the epoch that fences old masters off.

A master's call carries its epoch as an attribute (registry.wire.epoch). A region with the family `hbeacon`
(hbase:meta) keeps the highest epoch of all masters that have asked it anything, in a row before all others, so that it
goes where the region goes:

    row 00 "epoch", family hbeacon, qualifier epoch:  8 bytes big-endian, which are the timestamp too
                                    qualifier master: who had that epoch first

Whoever is lower than that, or another with the same number, is refused for good; clients see neither row nor family.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from weakref import WeakKeyDictionary

from protos.hbase import Client_pb2, HBase_pb2, RPC_pb2
from regionserver.client_service.rows import as_hbase
from regionserver.engine.store import Durability, StoreError
from regionserver.region.mutations import Change, Mutation, MutationKind
from regionserver.region.region import Region
from regionserver.region.visible import Wanted
from registry.clock import Clock
from registry.rpc.services import Call
from registry.wire.cellblock import KeyType, decode_cells
from registry.wire.epoch import EPOCH_ATTRIBUTE, EPOCH_BYTES, NO_EPOCH, MasterEpoch, deposed
from registry.wire.errors import HBaseError

HIDDEN_FAMILY = b"hbeacon"
EPOCH_ROW, EPOCH_QUALIFIER, MASTER_QUALIFIER = b"\0epoch", b"epoch", b"master"

_views: WeakKeyDictionary[Region, Region] = WeakKeyDictionary()


def client_view(region: Region) -> Region:
    """The region as clients see it: without the hidden family."""
    if HIDDEN_FAMILY not in region.families:
        return region
    view = _views.get(region)
    if view is None:
        view = _views[region] = copy(region)
        view.families = {name: rules for name, rules in region.families.items() if name != HIDDEN_FAMILY}
    return view


def epoch_of(header: RPC_pb2.RequestHeader) -> MasterEpoch | None:
    """The epoch that a call carries; None for calls of clients. Raises DoNotRetryIOException."""
    for attribute in header.attribute:
        if attribute.name == EPOCH_ATTRIBUTE:
            return MasterEpoch.decode(attribute.value)
    return None


class MasterCalls:
    """Judges masters' calls for one server. Belongs to its loop."""

    def __init__(
        self,
        region_of: Callable[[HBase_pb2.RegionSpecifier], Region],
        check_epoch: Callable[[MasterEpoch], None],
        clock: Clock,
    ) -> None:
        """`check_epoch` raises where this server has heard of a later master."""
        self._region_of = region_of
        self._check_epoch = check_epoch
        self._clock = clock
        self._kept: WeakKeyDictionary[Region, MasterEpoch] = WeakKeyDictionary()
        """The highest epoch that each region has durably."""

    def may_go_on(self, call: Call, epoch: MasterEpoch, resume: Callable[[HBaseError | None], None]) -> bool:
        """Whether the call may be done now; otherwise `resume` is called once the epoch is kept, or could not be.

        Raises DoNotRetryIOException for a master that was deposed, and whatever a region that is not here means.
        """
        self._check_epoch(epoch)
        regions = [region for region in map(self._region_of, _specifiers(call)) if HIDDEN_FAMILY in region.families]
        new: list[Region] = []
        for region in regions:
            kept = self._kept.get(region)
            if kept is None:
                kept = self._kept[region] = self._read(region)
            if not epoch.may_follow(kept):
                raise deposed(epoch, kept)
            if epoch != kept:
                new.append(region)
        if not new:
            return True
        self._keep(new, epoch, resume)
        return False

    def _keep(self, regions: list[Region], epoch: MasterEpoch, resume: Callable[[HBaseError | None], None]) -> None:
        region, *others = regions

        def committed(error: StoreError | None) -> None:
            if error is not None:
                resume(as_hbase(error))
                return
            if epoch.number > self._kept.get(region, NO_EPOCH).number:
                self._kept[region] = epoch
            if others:
                self._keep(others, epoch, resume)
            else:
                resume(None)

        # The epoch is its own timestamp, so that the highest is the newest, whatever clocks say.
        values = (EPOCH_QUALIFIER, epoch.number.to_bytes(EPOCH_BYTES, "big")), (MASTER_QUALIFIER, epoch.master.encode())
        changes = [Change(HIDDEN_FAMILY, name, epoch.number, KeyType.PUT, value) for name, value in values]
        now_ms = int(self._clock.wall_ms())
        try:
            region.mutate([Mutation(MutationKind.PUT, EPOCH_ROW, changes)], Durability.PROCESS, committed, now_ms)
        except StoreError as error:
            resume(as_hbase(error))

    def _read(self, region: Region) -> MasterEpoch:
        wanted = {HIDDEN_FAMILY: Wanted((EPOCH_QUALIFIER, MASTER_QUALIFIER))}
        found = region.get(EPOCH_ROW, wanted, int(self._clock.wall_ms()))
        kept = {cell.qualifier: cell.value for cell in decode_cells(found.block, with_tags=True)}
        number = int.from_bytes(kept.get(EPOCH_QUALIFIER, b""), "big")
        return MasterEpoch(number, kept.get(MASTER_QUALIFIER, b"").decode("utf-8", "replace"))


def _specifiers(call: Call) -> list[HBase_pb2.RegionSpecifier]:
    """The regions that a call names; a scan that goes on was judged at its opening."""
    request = call.request
    if isinstance(request, Client_pb2.MultiRequest):
        return [action.region for action in request.regionAction]
    if isinstance(request, Client_pb2.ScanRequest) and not request.HasField("region"):
        return []
    assert isinstance(request, Client_pb2.GetRequest | Client_pb2.MutateRequest | Client_pb2.ScanRequest)
    return [request.region]
