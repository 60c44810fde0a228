"""ClientService.Get and Mutate: one row, one answer.

An answer to a change leaves when the change is as durable as it was asked to be; the store says when that is.

Source: RSRpcServices#get, #mutate, #increment, #append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.nonces import Nonces, kept_key
from regionserver.client_service.quick_puts import quick_put
from regionserver.client_service.reads import GetAsked, read_get
from regionserver.client_service.results import (
    NOT_PROCESSED,
    PROCESSED,
    Answer,
    CellForm,
    Reply,
    get_answer,
    result_of,
)
from regionserver.client_service.watched import ChangeRow, RowChanged
from regionserver.client_service.writes import (
    DURABILITIES,
    MutationAsked,
    read_condition,
    read_mutation,
)
from regionserver.engine.store import Batch, Committed, StoreBusy, StoreError
from regionserver.region.conditions import Condition
from regionserver.region.filtered_reads import filtered_get
from regionserver.region.mutations import Mutation, MutationKind
from regionserver.region.record import has_tags
from regionserver.region.region import Found, Region
from regionserver.region.visible import Wanted
from registry.wire.cellblock import Cell
from registry.wire.errors import DoNotRetryIOException, HBaseError, IOException, ProtocolError, RegionTooBusyException

RegionOf = Callable[[HBase_pb2.RegionSpecifier], Region]
DELTAS = (MutationKind.INCREMENT, MutationKind.APPEND)


class RowCalls:
    """Answers them for one server. Belongs to its loop; time is told by the caller."""

    def __init__(self, region_of: RegionOf, nonces: Nonces) -> None:
        """`region_of` raises NotServingRegionException and its kind."""
        self._region_of = region_of
        self.nonces = nonces

    def get(self, request: Client_pb2.GetRequest, form: CellForm, now_ms: int) -> Answer:
        """Raises HBase's exceptions, Watched."""
        region = self._region_of(request.region)
        asked = read_get(request.get)
        found = got(region, asked, now_ms)
        return get_answer(found, form, existence_only=asked.existence_only)

    def mutate(
        self, request: Client_pb2.MutateRequest, cells: Iterator[Cell], form: CellForm, now_ms: int, reply: Reply
    ) -> None:
        """`reply` gets the answer or the error. Raises Watched, and nothing of HBase's, nor of the store's."""

        def put(error: StoreError | None) -> None:
            reply(PROCESSED if error is None else as_hbase(error))

        try:
            region = self._region_of(request.region)
            if not request.HasField("condition") and put_at_once(region, request.mutation, cells, now_ms, put):
                return
        except (HBaseError, StoreError, ProtocolError) as error:
            reply(as_hbase(error))
            return
        self.mutate_by(change_row, region, request, cells, form, now_ms, reply)

    def mutate_by(
        self,
        change: ChangeRow,
        region: Region,
        request: Client_pb2.MutateRequest,
        cells: Iterator[Cell],
        form: CellForm,
        now_ms: int,
        reply: Reply,
    ) -> None:
        """The same of any mutation of a region, by that way."""
        try:
            asked = read_mutation(request.mutation, cells)
            condition = read_condition(request.condition) if request.HasField("condition") else None
            self.apply(region, asked, request.nonce_group, condition, form, now_ms, reply, change)
        except (HBaseError, StoreError, ProtocolError) as error:
            reply(as_hbase(error))

    def apply(
        self,
        region: Region,
        asked: MutationAsked,
        nonce_group: int,
        condition: Condition | None,
        form: CellForm,
        now_ms: int,
        reply: Reply,
        change: ChangeRow | None = None,
    ) -> None:
        """Do one mutation. Raises HBase's exceptions and StoreError, and then `reply` is not called.

        The first of its nonce is applied; what comes again is told what is there now, as a real server does. Its
        condition is judged again before that, also as a real server does: it may be met no longer by what the first
        has done.
        """

        def run(ended: Callable[[bool], None], note: bytes = b"") -> None:
            def changed(outcome: RowChanged | HBaseError) -> None:
                # What was not done, because of its condition too, may be done when it comes again.
                ended(isinstance(outcome, RowChanged) and outcome.held and outcome.is_written)
                if isinstance(outcome, HBaseError):
                    reply(outcome)
                elif outcome.error is not None:
                    reply(outcome.error)
                elif not outcome.held:
                    reply(NOT_PROCESSED)
                else:
                    made = outcome.made[0] if outcome.made else ()
                    reply(_changed(asked, made, form, conditional=condition is not None))

            (change or change_row)(region, [asked], condition, now_ms, note, changed)

        if not asked.nonce or asked.mutation.kind not in DELTAS or not self.nonces.is_enabled:
            run(_nobody_waits)
            return
        nonce = (nonce_group, asked.nonce)

        def tell() -> None:
            self._tell(region, asked, condition, form, now_ms, reply)

        note = kept_key(nonce, now_ms)
        self.nonces.once(nonce, now_ms, lambda ended: run(ended, note), tell, lambda error: reply(as_hbase(error)))

    def _tell(
        self,
        region: Region,
        asked: MutationAsked,
        condition: Condition | None,
        form: CellForm,
        now_ms: int,
        reply: Reply,
    ) -> None:
        """The columns of an increment or append that was applied before."""
        try:
            if condition is not None and not region.check(condition, now_ms).matches:
                reply(NOT_PROCESSED)
                return
            found = region.get(asked.mutation.row, columns_of(asked.mutation), now_ms)
        except (HBaseError, StoreError) as error:
            reply(as_hbase(error))
            return
        if not asked.returns_results:
            found = Found(b"", 0, tagged=False)
        result, cells = result_of(found, form)
        response = Client_pb2.MutateResponse(result=result, processed=True if condition is not None else None)
        reply(Answer(response.SerializeToString(), cells))


def change_row(
    region: Region,
    asked: Sequence[MutationAsked],
    condition: Condition | None,
    now_ms: int,
    note: bytes,
    told: Callable[[RowChanged | HBaseError], None],
) -> None:
    """Change one row by all of these or none; `told` hears when that is as durable as it was asked to be.

    Raises HBase's exceptions and StoreError, and then `told` is not called.
    """
    ends: list[StoreError | None] = []
    changed: RowChanged | None = None

    def committed(error: StoreError | None) -> None:
        ends.append(error)
        if changed is not None:
            told(changed if error is None else as_hbase(error))

    durability = max(region.rules.durability_of(each.durability) for each in asked)
    mutations = [each.mutation for each in asked]
    changed = RowChanged(*region.mutate(mutations, durability, committed, now_ms, condition, note))
    if not changed.held:
        told(changed)
    elif ends:  # before `mutate` was back
        told(changed if ends[0] is None else as_hbase(ends[0]))


def got(region: Region, asked: GetAsked, now_ms: int) -> Found:
    """What a Get finds. Raises HBase's exceptions."""
    wanted = asked.wanted(region.families)
    if asked.filter is not None:
        return filtered_get(region, asked.row, wanted, asked.filter, now_ms)
    return region.get(asked.row, wanted, now_ms)


def put_at_once(
    region: Region, message: Client_pb2.MutationProto, cells: Iterator[Cell], now_ms: int, committed: Committed
) -> bool:
    """Do a put that is quickly done; whether it was one. Raises HBase's exceptions, StoreError."""
    put = quick_put(message, cells, now_ms)
    if put is None:
        return False
    batch = Batch()
    region.put_quick(put, batch, now_ms)
    region.store.commit(batch, region.rules.durability_of(DURABILITIES[message.durability]), committed)
    return True


def as_hbase(error: HBaseError | StoreError | ProtocolError) -> HBaseError:
    """What a client is told."""
    match error:
        case HBaseError():
            return error
        case ProtocolError():
            return DoNotRetryIOException(str(error))
        case StoreBusy():
            return RegionTooBusyException(str(error))
        case _:
            return IOException(str(error))


def columns_of(mutation: Mutation) -> dict[bytes, Wanted]:
    """The newest of the columns that it changes, within the time that it reads: a real server makes a Get of it."""
    by_family: dict[bytes, set[bytes]] = {}
    for change in mutation.changes:
        by_family.setdefault(change.family, set()).add(change.qualifier)
    from_ms, to_ms = mutation.from_ms, mutation.to_ms
    return {family: Wanted(tuple(sorted(names)), 1, from_ms, to_ms) for family, names in by_family.items()}


def _nobody_waits(succeeded: bool) -> None:
    """For the end of what has no nonce."""


def _changed(asked: MutationAsked, made: Sequence[bytes], form: CellForm, *, conditional: bool) -> Answer:
    """What a client hears of a change: a put that it was processed, an increment what it left."""
    if asked.mutation.kind not in DELTAS:
        return PROCESSED
    cells = made if asked.returns_results else ()
    found = Found(b"".join(cells), len(cells), tagged=any(map(has_tags, cells)))
    result, block = result_of(found, form)
    response = Client_pb2.MutateResponse(result=result, processed=True if conditional else None)
    return Answer(response.SerializeToString(), block)
