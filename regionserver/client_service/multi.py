"""ClientService.Multi: many actions on many regions, each with its own result or error.

Actions of a region are answered in the order in which they came, with the indexes that they came with: every client
can read that, and some can read nothing else. A region that fails as a whole has one exception and no results, and its
cells in the block are passed over. What is atomic, or stands under a condition, is one change of one row.

Source: RSRpcServices#multi, #doNonAtomicRegionMutation, #doAtomicBatchOp, #checkAndMutate.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.nonces import kept_key
from regionserver.client_service.quick_puts import quick_put
from regionserver.client_service.reads import read_get
from regionserver.client_service.results import Answer, CellForm, get_result, inline_cells
from regionserver.client_service.rows import DELTAS, RegionOf, Reply, RowCalls, as_hbase, columns_of, got, put_at_once
from regionserver.client_service.service_calls import RunService, run_service
from regionserver.client_service.writes import (
    DURABILITIES,
    MutationAsked,
    read_condition,
    read_mutation,
)
from regionserver.engine.store import Batch, Durability, StoreError
from regionserver.region.conditions import Condition
from regionserver.region.plain_puts import PlainPut
from regionserver.region.region import Region
from regionserver.region.shapes import Shaped
from registry.wire.cellblock import Cell
from registry.wire.errors import (
    DoNotRetryIOException,
    HBaseError,
    MultiActionResultTooLarge,
    NotServingRegionException,
    ProtocolError,
)
from registry.wire.framing import encode_varint

RESULT_BYTES_MAX = 100 * 1024 * 1024
"""Cells of one answer; what is left is to be asked for again."""

NO_CELLS: Iterator[Cell] = iter(())

LOOK_AT_CLOCK = 8
"""Actions between two looks."""

Outcome = tuple[Client_pb2.Result, bytes] | Client_pb2.CoprocessorServiceResult | HBaseError
"""Of one action: a result with its cells in the block, what a service gave, or why there is none."""


class MultiCalls:
    """Answers Multi for one server. Belongs to its loop; time is told by the caller."""

    def __init__(self, rows: RowCalls, region_of: RegionOf, run: RunService) -> None:
        """`rows` does the increments, so that nonces are the same everywhere; `run` does calls of services."""
        self._rows = rows
        self._run = run
        self._region_of = region_of

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
                reply(_one_done(one.index))
                return
            whole = _Whole(reply)
            _Part(whole, action, is_conditional=False).set(0, as_hbase(error))
            whole.all_begun()

        try:
            region = self._region_of(action.region)
        except HBaseError:
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
    ) -> Generator[None, None, None]:
        """The same turn by turn: gives whenever `is_turn_over`, with nothing half done.

        An HBaseError that is thrown in there ends it: what was done stays done, and `reply` gets the error.
        """
        whole = _Whole(reply)
        try:
            for number, action in enumerate(request.regionAction):
                old_condition = request.HasField("condition") and number == 0
                condition = request.condition if old_condition else action.condition
                part = _Part(whole, action, is_conditional=old_condition or action.HasField("condition"))
                if part.is_conditional or action.atomic:
                    self._atomic(part, condition if part.is_conditional else None, cells, request.nonceGroup, now_ms)
                    if is_turn_over():
                        yield
                else:
                    yield from self._each(part, cells, request.nonceGroup, form, now_ms, is_turn_over)
            whole.all_begun()
        except (ProtocolError, HBaseError) as error:  # of the first: nobody knows whose cells these are
            whole.fail(as_hbase(error))

    # --- action by action ---------------------------------------------------------------------------------------

    def _each(
        self,
        part: _Part,
        cells: Iterator[Cell],
        nonce_group: int,
        form: CellForm,
        now_ms: int,
        is_turn_over: Callable[[], bool],
    ) -> Generator[None, None, None]:
        try:
            region = self._region_of(part.action.region)
        except HBaseError as error:
            part.fail(error)
            _pass_over(part.action.action, cells)
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
            try:
                if put is not None:
                    puts.add_quick(index, put, DURABILITIES[mutation.durability], now_ms)
                elif action.HasField("get"):
                    puts.write()
                    part.set(index, _got(region, action.get, form, now_ms, part.whole))
                elif action.HasField("service_call"):
                    puts.write()
                    part.whole.expect_one()
                    run_service(self._run, part.action.region, action.service_call, partial(part.served, index))
                elif not action.HasField("mutation"):
                    raise DoNotRetryIOException("an action that is neither Get nor mutation")
                else:
                    asked = read_mutation(mutation, own)
                    if asked.mutation.kind in DELTAS:
                        puts.write()
                        told = part.expect(index)
                        try:
                            self._rows.apply(region, asked, nonce_group, None, form, now_ms, told)
                        except (HBaseError, StoreError) as error:
                            told(as_hbase(error))
                    else:
                        puts.add(index, asked, now_ms)
            except (HBaseError, StoreError, ProtocolError) as error:
                part.set(index, as_hbase(error))
        puts.write()

    def _has_gone(self, region: Region, part: _Part, index: int, cells: Iterator[Cell]) -> bool:
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
        part: _Part,
        condition: Client_pb2.Condition | None,
        cells: Iterator[Cell],
        nonce_group: int,
        now_ms: int,
    ) -> None:
        own = [list(_own_cells(action, cells)) for action in part.action.action]
        try:
            region = self._region_of(part.action.region)
            if any(action.HasField("get") for action in part.action.action):
                raise DoNotRetryIOException("Atomic put and/or delete only, not a Get")
            asked = [
                read_mutation(action.mutation, iter(taken))
                for action, taken in zip(part.action.action, own, strict=True)
            ]
            if not asked:
                raise DoNotRetryIOException("an atomic change without a mutation")
            held = read_condition(condition) if condition is not None else None
            self._change_row(part, region, asked, held, nonce_group, now_ms)
        except (HBaseError, StoreError, ProtocolError) as error:
            part.fail(as_hbase(error))

    def _change_row(
        self,
        part: _Part,
        region: Region,
        asked: list[MutationAsked],
        condition: Condition | None,
        nonce_group: int,
        now_ms: int,
    ) -> None:
        """All of it is one operation, of the nonce of its first increment or append."""
        deltas = [each for each in asked if each.mutation.kind in DELTAS]
        nonce = next((each.nonce for each in deltas if each.nonce), 0)
        durability = max(region.rules.durability_of(each.durability) for each in asked)
        told = part.expect_commit()

        def run(ended: Callable[[bool], None]) -> None:
            def committed(error: StoreError | None) -> None:
                ended(error is None)
                told(error)

            note = kept_key((nonce_group, nonce), now_ms) if nonce else b""
            mutations = [each.mutation for each in asked]
            held, made = region.mutate(mutations, durability, committed, now_ms, condition, note)
            answers = zip(asked, made, strict=False)
            part.row_changed(held, [cell for each, left in answers for cell in left if each.returns_results])
            if not held:
                ended(False)
                told(None)

        def tell() -> None:
            """It was done before; its condition is judged all the same, as a real server does."""
            wanted = columns_of(each.mutation for each in deltas if each.returns_results)
            try:
                if condition is not None and not region.check(condition, now_ms).matches:
                    part.row_changed(False, [])
                    told(None)
                    return
                found = region.get(asked[0].mutation.row, wanted, now_ms).block if wanted else b""
            except (HBaseError, StoreError) as error:
                refuse(error)
                return
            part.row_changed(True, [found] if found else [])
            told(None)

        def refuse(error: HBaseError | StoreError) -> None:
            part.fail(as_hbase(error))
            told(None)

        try:
            if nonce:
                self._rows.nonces.once((nonce_group, nonce), now_ms, run, tell, refuse)
            else:
                run(lambda _: None)
        except (HBaseError, StoreError):
            part.whole.drop_one()
            raise


class _Whole:
    """The answer while it is made: told when nothing of it is awaited any more."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._awaited = 1
        """Commits under way, and the reading of the request."""
        self.parts: list[_Part] = []
        self.size_bytes = 0

    def expect_one(self) -> None:
        self._awaited += 1

    def drop_one(self) -> None:
        self._awaited -= 1
        if not self._awaited:
            response = Client_pb2.MultiResponse()
            blocks: list[bytes] = []
            results = [_field(part.write(blocks)) for part in self.parts]
            processed = [part.processed for part in self.parts if part.processed is not None]
            if processed:
                response.processed = processed[0]
            response.regionStatistics.SetInParent()
            message = b"".join([*results, response.SerializeToString()])
            self._reply(Answer(message, b"".join(blocks)))

    def all_begun(self) -> None:
        self.drop_one()

    def fail(self, error: HBaseError) -> None:
        self._awaited = -1  # what still ends is not told
        self._reply(error)


class _Part:
    """The results of one region's actions."""

    def __init__(self, whole: _Whole, action: Client_pb2.RegionAction, *, is_conditional: bool) -> None:
        self.whole = whole
        self.action = action
        self.is_conditional = is_conditional
        self.processed: bool | None = None
        self._error: HBaseError | None = None
        self._outcomes: dict[int, Outcome] = {}
        """Of those that have more to say than that they were done."""
        whole.parts.append(self)

    def set(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome

    def fail(self, error: HBaseError) -> None:
        self._error = error

    def served(self, index: int, outcome: Outcome) -> None:
        self.set(index, outcome)
        self.whole.drop_one()

    def expect(self, index: int) -> Reply:
        """A change that tells later what it left."""

        def told(outcome: Answer | HBaseError) -> None:
            if isinstance(outcome, HBaseError):
                self.set(index, outcome)
            else:
                self.set(index, (Client_pb2.MutateResponse.FromString(outcome.message).result, outcome.cells))
            self.whole.drop_one()

        self.whole.expect_one()
        return told

    def expect_commit(self) -> Callable[[StoreError | None], None]:
        def ended(error: StoreError | None) -> None:
            if error is not None:
                self.fail(as_hbase(error))
            self.whole.drop_one()

        self.whole.expect_one()
        return ended

    def row_changed(self, held: bool, left: Sequence[bytes]) -> None:
        """An atomic change: what increments have left is told with the first action, in the message."""
        self.processed = held
        if left:
            cells = inline_cells(b"".join(left))
            self._outcomes[0] = (Client_pb2.Result(cell=cells, stale=False, partial=False), b"")

    def write(self, blocks: list[bytes]) -> bytes:
        """The RegionActionResult; the cells of its results are added to `blocks`."""
        result = Client_pb2.RegionActionResult()
        if self._error is not None:
            _fill(result.exception, self._error)
            return result.SerializeToString()
        if self.processed is not None:
            result.processed = self.processed
        if not self._outcomes and self.processed is None:
            return b"".join([_done(index) for index in self._indexes()])
        for number, index in enumerate(self._indexes()):
            entry = result.resultOrException.add(index=index)
            outcome = self._outcomes.get(number)
            if isinstance(outcome, HBaseError):
                _fill(entry.exception, outcome)
            elif isinstance(outcome, Client_pb2.CoprocessorServiceResult):
                entry.service_result.CopyFrom(outcome)
            elif outcome is not None:
                entry.result.CopyFrom(outcome[0])
                blocks.append(outcome[1])
            elif self.processed is None:
                entry.result.SetInParent()  # of what is atomic clients read `processed`, where there is none
        return result.SerializeToString()

    def _indexes(self) -> list[int]:
        """As they came; where there is none, the place."""
        return [
            action.index if action.HasField("index") else number for number, action in enumerate(self.action.action)
        ]


class _Puts:
    """Puts and deletes of one region that are written together."""

    def __init__(self, region: Region, part: _Part) -> None:
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


@lru_cache(maxsize=8192)
def _done(index: int) -> bytes:
    """A RegionActionResult of one action that was done and has no more to say."""
    entry = Client_pb2.ResultOrException(index=index, result=Client_pb2.Result())
    return Client_pb2.RegionActionResult(resultOrException=[entry]).SerializeToString()


@lru_cache(maxsize=8192)
def _one_done(index: int) -> Answer:
    """The answer to a Multi of one such action; its own place is 0."""
    response = Client_pb2.MultiResponse()
    response.regionStatistics.SetInParent()
    return Answer(_field(_done(index)) + response.SerializeToString())


def _field(part: bytes) -> bytes:
    """It as the first field of a MultiResponse, which is written before the others."""
    return b"\x0a" + encode_varint(len(part)) + part


def _got(
    region: Region, get: Client_pb2.Get, form: CellForm, now_ms: int, whole: _Whole
) -> tuple[Client_pb2.Result, bytes]:
    if whole.size_bytes > RESULT_BYTES_MAX:
        raise MultiActionResultTooLarge(f"Max size exceeded: CellSize {whole.size_bytes} of {RESULT_BYTES_MAX} bytes")
    asked = read_get(get)
    found = got(region, asked, now_ms)
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


def _fill(message: HBase_pb2.NameBytesPair, error: HBaseError) -> None:
    message.name = error.java_class
    # a stack trace, whose first line clients show: they look for its end
    message.value = (error.stack_trace or f"{error.java_class}: {error.message}\n").encode()
