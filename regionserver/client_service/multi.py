"""ClientService.Multi: many actions on many regions, each with its own result or error.

Actions of a region are answered in the order in which they came, with the indexes that they came with: every client
can read that, and some can read nothing else. A region that fails as a whole has one exception and no results, and its
cells in the block are passed over. What is atomic, or stands under a condition, is one change of one row.

Source: RSRpcServices#multi, #doNonAtomicRegionMutation, #doAtomicBatchOp, #checkAndMutate.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from itertools import islice

from protos.hbase import Client_pb2
from regionserver.client_service.filtered_gets import outcome_steps
from regionserver.client_service.multi_answer import Part, Whole, one_done
from regionserver.client_service.nonces import kept_key
from regionserver.client_service.quick_puts import quick_put
from regionserver.client_service.reads import GetAsked, read_get
from regionserver.client_service.results import RESULT_BYTES_MAX, CellForm, Reply, get_result
from regionserver.client_service.rows import (
    DELTAS,
    RegionOf,
    RowCalls,
    as_hbase,
    change_row,
    columns_of,
    got,
    put_at_once,
)
from regionserver.client_service.service_calls import RunService, run_service
from regionserver.client_service.watched import ChangeRow, Client, RowChanged, Watched
from regionserver.client_service.writes import (
    DURABILITIES,
    MutationAsked,
    read_condition,
    read_mutation,
)
from regionserver.engine.store import Batch, Durability, StoreError
from regionserver.region.conditions import Condition
from regionserver.region.plain_puts import PlainPut
from regionserver.region.region import Found, Region
from regionserver.region.shapes import Shaped
from registry.wire.cellblock import Cell
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    NotServingRegionException,
    ProtocolError,
)

NO_CELLS: Iterator[Cell] = iter(())

LOOK_AT_CLOCK = 8
"""Actions between two looks."""


class MultiCalls:
    """Answers Multi for one server. Belongs to its loop; time is told by the caller."""

    def __init__(
        self, rows: RowCalls, region_of: RegionOf, run: RunService, result_bytes_max: int = RESULT_BYTES_MAX
    ) -> None:
        """`rows` does the increments, so that nonces are the same everywhere; `run` does calls of services."""
        self._rows = rows
        self._run = run
        self._region_of = region_of
        self._result_bytes_max = result_bytes_max

    def multi(
        self, request: Client_pb2.MultiRequest, cells: Iterator[Cell], form: CellForm, now_ms: int, reply: Reply
    ) -> None:
        """All of it at once. `reply` gets the answer once every change is as durable as it was asked to be."""
        for _ in self.steps(request, cells, form, now_ms, reply, lambda: False):
            raise AssertionError("a turn without an end is the whole")

    def one_put(self, request: Client_pb2.MultiRequest, cells: Iterator[Cell], now_ms: int, reply: Reply) -> bool:
        """Do a Multi of one put that is quickly done, as most are that are not large; whether it was one."""
        if len(request.regionAction) != 1 or request.HasField("condition"):
            return False
        [action] = request.regionAction
        if len(action.action) != 1 or action.atomic or action.HasField("condition"):
            return False
        [one] = action.action
        if one.HasField("get"):
            return False

        def ended(error: HBaseError | StoreError | None) -> None:
            if error is None:
                reply(one_done(one.index))
                return
            whole = Whole(reply)
            Part(whole, action, is_conditional=False).set(0, as_hbase(error))
            whole.all_begun()

        try:
            region = self._region_of(action.region)
        except (HBaseError, Watched):
            return False
        try:
            return put_at_once(region, one.mutation, cells, now_ms, ended)
        except (HBaseError, StoreError) as error:
            ended(error)
            return True

    def steps(
        self,
        request: Client_pb2.MultiRequest,
        cells: Iterator[Cell],
        form: CellForm,
        now_ms: int,
        reply: Reply,
        is_turn_over: Callable[[], bool],
        client: Callable[[], Client] = Client,
    ) -> Generator[None, None, None]:
        """The same turn by turn: gives whenever `is_turn_over`, with nothing half done.

        An HBaseError that is thrown in there ends it: what was done stays done, and `reply` gets the error. `client`
        says whose call it is.
        """
        whole = Whole(reply, self._result_bytes_max)
        try:
            for number, action in enumerate(request.regionAction):
                old_condition = request.HasField("condition") and number == 0
                condition = request.condition if old_condition else action.condition
                part = Part(whole, action, is_conditional=old_condition or action.HasField("condition"))
                if part.is_conditional or action.atomic:
                    held = condition if part.is_conditional else None
                    self._atomic(part, held, cells, request.nonceGroup, now_ms, client)
                    if is_turn_over():
                        yield
                else:
                    yield from self._each(part, cells, request.nonceGroup, form, now_ms, is_turn_over, client)
            whole.all_begun()
        except (ProtocolError, HBaseError) as error:  # of the first: nobody knows whose cells these are
            whole.fail(as_hbase(error))
        except Exception:
            whole.forget()
            raise

    # --- action by action ---------------------------------------------------------------------------------------

    def _each(
        self,
        part: Part,
        cells: Iterator[Cell],
        nonce_group: int,
        form: CellForm,
        now_ms: int,
        is_turn_over: Callable[[], bool],
        client: Callable[[], Client],
    ) -> Generator[None, None, None]:
        region = self._plain_region(part, cells, nonce_group, form, client)
        if region is None:
            return
        puts = _Puts(region, part)
        for index, action in enumerate(part.action.action):
            if index % LOOK_AT_CLOCK == LOOK_AT_CLOCK - 1 and is_turn_over():
                puts.write()  # it was made from what is there now
                yield
                if self._has_gone(region, part, index, cells):
                    return
            mutation = action.mutation
            put = None if action.HasField("get") else quick_put(mutation, cells, now_ms)
            own = NO_CELLS if put is not None else _own_cells(action, cells)
            steps: Generator[None, None, bool] | None = None
            try:
                if put is not None:
                    puts.add_quick(index, put, DURABILITIES[mutation.durability], now_ms)
                elif action.HasField("get"):
                    puts.write()
                    steps = self._get(region, part, index, form, now_ms, is_turn_over, cells)
                elif action.HasField("service_call"):
                    puts.write()
                    part.whole.expect_one()
                    run_service(self._run, part.action.region, action.service_call, partial(part.served, index))
                elif not action.HasField("mutation"):
                    raise DoNotRetryIOException("an action that is neither Get nor mutation")
                else:
                    self._mutate(
                        region, puts, part.expect, index, read_mutation(mutation, own), nonce_group, form, now_ms
                    )
            except (HBaseError, StoreError, ProtocolError) as error:
                part.set(index, as_hbase(error))
            if steps is not None and (yield from steps):
                return
        puts.write()

    def _get(
        self,
        region: Region,
        part: Part,
        index: int,
        form: CellForm,
        now_ms: int,
        is_turn_over: Callable[[], bool],
        cells: Iterator[Cell],
    ) -> Generator[None, None, bool] | None:
        """Do a Get; one with a filter is left to steps, which end with whether the region has gone meanwhile."""
        get = part.action.action[index].get
        part.whole.check_size()
        if not get.HasField("filter"):
            asked = read_get(get)
            part.set(index, _result(asked, got(region, asked, now_ms), form, part.whole))
            return None

        def steps() -> Generator[None, None, bool]:
            told = yield from outcome_steps(region, get, now_ms, is_turn_over)
            part.set(index, told if isinstance(told, HBaseError) else _result(*told, form, part.whole))
            return self._has_gone(region, part, index + 1, cells)

        return steps()

    def _mutate(
        self,
        region: Region,
        puts: _Puts,
        expect: Callable[[int], Reply],
        index: int,
        asked: MutationAsked,
        nonce_group: int,
        form: CellForm,
        now_ms: int,
    ) -> None:
        if asked.mutation.kind not in DELTAS:
            puts.add(index, asked, now_ms)
            return
        puts.write()
        told = expect(index)
        try:
            self._rows.apply(region, asked, nonce_group, None, form, now_ms, told)
        except (HBaseError, StoreError) as error:
            told(as_hbase(error))

    def _plain_region(
        self, part: Part, cells: Iterator[Cell], nonce_group: int, form: CellForm, client: Callable[[], Client]
    ) -> Region | None:
        """None where it is not here, or its actions are done another way: then nothing is left to be done."""
        try:
            return self._region_of(part.action.region)
        except Watched as watched:
            taken = [(action, list(_own_cells(action, cells))) for action in part.action.action]
            part.whole.expect_one()
            watched.calls.multi(part, taken, nonce_group, form, client())
        except HBaseError as error:
            part.fail(error)
            _pass_over(part.action.action, cells)
        return None

    def _has_gone(self, region: Region, part: Part, index: int, cells: Iterator[Cell]) -> bool:
        """Whether the region was closed in the middle; then what is left from `index` on has that for its answer."""
        try:
            if self._region_of(part.action.region) is region:
                return False
            gone: HBaseError = NotServingRegionException(f"{region.where.name} was opened anew")
        except HBaseError as error:
            gone = error
        left = part.action.action[index:]
        _pass_over(left, cells)
        for number in range(index, index + len(left)):
            part.set(number, gone)
        return True

    # --- one row ------------------------------------------------------------------------------------------------

    def _atomic(
        self,
        part: Part,
        condition: Client_pb2.Condition | None,
        cells: Iterator[Cell],
        nonce_group: int,
        now_ms: int,
        client: Callable[[], Client],
    ) -> None:
        own = [list(_own_cells(action, cells)) for action in part.action.action]
        change: ChangeRow = change_row
        try:
            try:
                region = self._region_of(part.action.region)
            except Watched as watched:
                region, change = watched.region, watched.calls.change_row(client())
            if any(action.HasField("get") for action in part.action.action):
                raise DoNotRetryIOException("Atomic put and/or delete only, not a Get")
            asked = [
                read_mutation(action.mutation, iter(taken))
                for action, taken in zip(part.action.action, own, strict=True)
            ]
            if not asked:
                raise DoNotRetryIOException("an atomic change without a mutation")
            held = read_condition(condition) if condition is not None else None
            self._change_row(part, region, change, asked, held, nonce_group, now_ms)
        except (HBaseError, StoreError, ProtocolError) as error:
            part.fail(as_hbase(error))

    def _change_row(
        self,
        part: Part,
        region: Region,
        change: ChangeRow,
        asked: list[MutationAsked],
        condition: Condition | None,
        nonce_group: int,
        now_ms: int,
    ) -> None:
        """All of it is one operation, of the nonce of its first increment or append."""
        deltas = [each for each in asked if each.mutation.kind in DELTAS]
        nonce = next((each.nonce for each in deltas if each.nonce), 0) if self._rows.nonces.is_enabled else 0
        part.whole.expect_one()

        def run(ended: Callable[[bool], None]) -> None:
            def changed(outcome: RowChanged | HBaseError) -> None:
                if isinstance(outcome, HBaseError):
                    part.fail(outcome)
                    ended(False)
                else:
                    answers = zip(asked, outcome.made, strict=False)
                    part.row_changed(
                        outcome.held, [cell for each, left in answers for cell in left if each.returns_results]
                    )
                    if outcome.error is not None:
                        part.fail(outcome.error)
                    ended(outcome.held and outcome.is_written)
                part.whole.drop_one()

            note = kept_key((nonce_group, nonce), now_ms) if nonce else b""
            change(region, asked, condition, now_ms, note, changed)

        def tell() -> None:
            """It was done before: its condition is judged all the same, and each is read alone, as by a real server."""
            told = [each.mutation for each in deltas if each.returns_results]
            try:
                if condition is not None and not region.check(condition, now_ms).matches:
                    part.row_changed(False, [])
                else:
                    found = [region.get(each.row, columns_of(each), now_ms).block for each in told]
                    part.row_changed(True, list(filter(None, found)))
            except (HBaseError, StoreError) as error:
                part.fail(as_hbase(error))
            part.whole.drop_one()

        def refuse(error: HBaseError | StoreError) -> None:
            part.fail(as_hbase(error))
            part.whole.drop_one()

        try:
            if nonce:
                self._rows.nonces.once((nonce_group, nonce), now_ms, run, tell, refuse)
            else:
                run(lambda _: None)
        except (HBaseError, StoreError):
            part.whole.drop_one()
            raise


class _Puts:
    """Puts and deletes of one region that are written together."""

    def __init__(self, region: Region, part: Part) -> None:
        self._region = region
        self._part = part
        self._batch = Batch()
        self._durability = Durability.MEMORY
        self._rows: set[bytes] = set()
        self._indexes: list[int] = []

    def add(self, index: int, asked: MutationAsked, now_ms: int) -> None:
        """Raises HBase's exceptions; then nothing of it is written."""
        row = asked.mutation.row
        if row in self._rows:
            self.write()  # the batch reads the store, and has to see what it changes itself
        self._region.put(asked.mutation, self._batch, now_ms)
        self._added(index, row, asked.durability)

    def add_quick(self, index: int, put: Shaped | PlainPut, durability: Durability | None, now_ms: int) -> None:
        """The same."""
        if put.row in self._rows:
            self.write()
        self._region.put_quick(put, self._batch, now_ms)
        self._added(index, put.row, durability)

    def _added(self, index: int, row: bytes, durability: Durability | None) -> None:
        self._durability = max(self._durability, self._region.rules.durability_of(durability))
        self._rows.add(row)
        self._indexes.append(index)

    def write(self) -> None:
        """Commit what there is."""
        if not self._batch:
            return
        batch, indexes, durability = self._batch, self._indexes, self._durability
        self._batch, self._indexes, self._rows, self._durability = Batch(), [], set(), Durability.MEMORY
        part = self._part

        def ended(error: StoreError | None) -> None:
            if error is not None:
                for index in indexes:
                    part.set(index, as_hbase(error))
            part.whole.drop_one()

        part.whole.expect_one()
        try:
            self._region.store.commit(batch, durability, ended)
        except StoreError as error:
            ended(error)


def _result(asked: GetAsked, found: Found, form: CellForm, whole: Whole) -> tuple[Client_pb2.Result, bytes]:
    if not asked.existence_only:
        whole.size_bytes += len(found.block)
    return get_result(found, form, existence_only=asked.existence_only)


def _own_cells(action: Client_pb2.Action, cells: Iterator[Cell]) -> Iterator[Cell]:
    """As many as it counts; taken before anything of it can fail, so that those of the next stay its own."""
    count = action.mutation.associated_cell_count
    taken = list(islice(cells, count)) if count > 0 else []
    if len(taken) < count:
        raise ProtocolError(f"{count} cells are counted, {len(taken)} are there", kind="cell")
    return iter(taken)


def _pass_over(actions: Iterable[Client_pb2.Action], cells: Iterator[Cell]) -> None:
    for action in actions:
        _own_cells(action, cells)
