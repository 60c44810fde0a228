"""Mutations of a region with observers: their hooks, and the write between them in one turn of the loop.

    pre_check_and_mutate                 may bypass all of it
    pre_put, pre_delete, ...             each may refuse, change or bypass its mutation
    ┌ rows locked, where anybody has a hook of batches
    │ pre_batch_mutate                   may add mutations
    │ one turn: condition judged, batch made and given to the store; then until it is durable
    └ post_batch_mutate
    post_put, post_delete, ...           what was written
    post_check_and_mutate

Hooks never come between the judging of a condition and the write: that is one turn, whatever they have done before.

Source: HRegion#batchMutate, #doMiniBatchMutate, #checkAndMutate, MutationBatchOperation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from regionserver.client_service.rows import as_hbase
from regionserver.client_service.watched import Client, RowChanged
from regionserver.client_service.writes import MutationAsked
from regionserver.endpoints.observer import CheckAndMutate, MiniBatch
from regionserver.endpoints.seen import Operation, cells_of, in_order, nothing_of, operation_of, written
from regionserver.endpoints.watching import Asked, Hook, Watching
from regionserver.engine.store import Committed, Durability, StoreError
from regionserver.region.conditions import Condition
from regionserver.region.mutations import Mutation, MutationKind
from registry.wire.errors import DoNotRetryIOException, HBaseError, ProtocolError

T = TypeVar("T")

_NAMES = {
    MutationKind.PUT: "put",
    MutationKind.DELETE: "delete",
    MutationKind.INCREMENT: "increment",
    MutationKind.APPEND: "append",
}
_DELTAS = (MutationKind.INCREMENT, MutationKind.APPEND)
Added = dict[int, list[Mutation]]
"""What hooks have added, by the place of the operation."""


class WatchedWrites:
    """Of one region whose observers are ready. Belongs to its loop."""

    def __init__(self, watching: Watching) -> None:
        self._watching = watching

    async def change_row(
        self, client: Client, asked: Sequence[MutationAsked], condition: Condition | None, note: bytes
    ) -> RowChanged:
        """As `rows.change_row`. Raises HBase's exceptions, StoreError."""
        watching, region = self._watching, self._watching.region
        operations = [operation_of(each, region.families) for each in asked]
        check = None
        if condition is not None:
            check = CheckAndMutate(condition, [each.seen for each in operations])
            if await watching.ask_one(client, "pre_check_and_mutate", check):
                return RowChanged(check.processed, (), is_written=False)
        await self._before(client, operations)
        _raise_first(operations)
        to_do = [each for each in operations if each.is_to_do]

        def write(added: Added, committed: Committed) -> bool:
            mutations = [each.asked.mutation for each in to_do] or [nothing_of(asked[0].mutation)]
            held, made = region.mutate(
                mutations, self._durability(to_do), committed, watching.now_ms, condition, note, _all_of(added)
            )
            for each, left in zip(to_do, made, strict=False):
                each.made = left
            return held

        held, error = await self._written(client, to_do, write)
        if held and error is None:
            error = await self._behind(client, to_do)
        if check is not None and error is None:
            check.processed = held
            try:
                await watching.ask_one(client, "post_check_and_mutate", check)
            except HBaseError as raised:
                error = raised
        if error is not None and held and (check is not None or any(each.kind in _DELTAS for each in to_do)):
            error = _told_once(error)
        return RowChanged(held, [each.made for each in operations], bool(to_do), error)

    async def change_each(self, client: Client, asked: Sequence[MutationAsked]) -> list[HBaseError | None]:
        """Puts and deletes of different rows, each done or not; for each what keeps it from that."""
        watching, region = self._watching, self._watching.region
        operations = [operation_of(each, region.families) for each in asked]
        await self._before(client, operations)
        to_do = [each for each in operations if each.is_to_do]

        def write_all(added: Added, committed: Committed) -> bool:
            mutations = [*(each.asked.mutation for each in to_do), *_all_of(added)]
            region.mutate_rows(mutations, self._durability(to_do), committed, watching.now_ms)
            return True

        if to_do:
            error: HBaseError | StoreError | ProtocolError | None
            try:
                _, error = await self._written(client, to_do, write_all, one_by_one=True)
            except (HBaseError, StoreError, ProtocolError) as refused:
                error = refused
            if error is not None:
                for each in to_do:
                    each.error = each.error or as_hbase(error)
        await self._behind(client, [each for each in operations if each.is_to_do])
        return [each.error for each in operations]

    async def change_rows(self, client: Client, asked: Sequence[MutationAsked], holds: Callable[[], bool]) -> bool:
        """All of several rows or none of them, where `holds` says so in the turn in which they are written."""
        watching, region = self._watching, self._watching.region
        operations = [operation_of(each, region.families) for each in asked]
        await self._before(client, operations)
        _raise_first(operations)
        to_do = [each for each in operations if each.is_to_do]

        def write(added: Added, committed: Committed) -> bool:
            if not holds():
                return False
            mutations = [*(each.asked.mutation for each in to_do), *_all_of(added)]
            region.mutate_rows(mutations, self._durability(to_do), committed, watching.now_ms)
            return True

        held, error = await self._written(client, to_do, write)
        if held and error is None:
            error = await self._behind(client, to_do)
        if error is not None:
            raise _told_once(error)
        return held

    # --- one after another ------------------------------------------------------------------------------------------

    async def _before(self, client: Client, operations: Sequence[Operation]) -> None:
        hooks = [_hook("pre", each) for each in operations]
        if not self._watching.has(*(name for name, _ in hooks)):
            return

        def read_back(outcomes: Sequence[Asked]) -> None:
            for each, outcome in zip(operations, outcomes, strict=True):
                try:
                    _take(each, outcome)
                except HBaseError as error:
                    each.error = error

        await self._watching.ask(client, hooks, read_back)

    async def _written(
        self,
        client: Client,
        to_do: Sequence[Operation],
        write: Callable[[Added, Committed], bool],
        *,
        one_by_one: bool = False,
    ) -> tuple[bool, HBaseError | None]:
        """Whether it was done, and what a hook behind it has raised.

        `one_by_one`: where they cannot be written together because of one of them, the others are.
        """
        watching = self._watching
        batch = MiniBatch([each.seen for each in to_do])
        async with self._locked(to_do):
            added: Added = {}
            if to_do and watching.has("pre_batch_mutate"):
                added = await self._batch_hook(client, batch, to_do)
            try:
                held = await self._commit(lambda committed: write(added, committed))
            except HBaseError:
                if not one_by_one:
                    raise
                for number, each in enumerate(to_do):
                    await self._write_one(each, added.get(number, ()))
                held = _leave_written(batch, to_do)
            if held and to_do:
                try:
                    await watching.ask_one(client, "post_batch_mutate", batch)
                except HBaseError as error:
                    return held, error
        return held, None

    async def _batch_hook(self, client: Client, batch: MiniBatch, to_do: Sequence[Operation]) -> Added:
        def read_back(outcomes: Sequence[Asked]) -> Added:
            [outcome] = outcomes
            if isinstance(outcome, HBaseError):
                raise outcome
            for each in to_do:
                each.read_back()
            return {
                number: [mutation for mutation in map(written, mutations) if mutation.changes]
                for number, mutations in batch.added.items()
            }

        return (await self._watching.ask(client, [("pre_batch_mutate", (batch,))], read_back))[1]

    async def _write_one(self, operation: Operation, also: Sequence[Mutation]) -> None:
        region, watching = self._watching.region, self._watching

        def write(committed: Committed) -> bool:
            mutation, durability = operation.asked.mutation, self._durability([operation])
            return region.mutate([mutation], durability, committed, watching.now_ms, also=also)[0]

        try:
            await self._commit(write)
        except (HBaseError, StoreError, ProtocolError) as error:
            operation.error = as_hbase(error)

    async def _behind(self, client: Client, done: Sequence[Operation]) -> HBaseError | None:
        """What hooks have raised, the first of it."""
        hooks = [_hook("post", each) for each in done]
        if not self._watching.has(*(name for name, _ in hooks)):
            return None
        for each in done:
            each.results[:] = cells_of(b"".join(each.made))

        def read_back(outcomes: Sequence[Asked]) -> None:
            for each, outcome in zip(done, outcomes, strict=True):
                if isinstance(outcome, HBaseError):
                    each.error = outcome
                elif each.kind in _DELTAS:
                    each.made = in_order(each.results)

        try:
            await self._watching.ask(client, hooks, read_back)
        except HBaseError as error:
            for each in done:
                each.error = error
        return next((each.error for each in done if each.error is not None), None)

    # --- the write --------------------------------------------------------------------------------------------------

    async def _commit(self, write: Callable[[Committed], bool]) -> bool:
        """Do it in this turn; whether it was done, once that is durable."""
        self._watching.check()
        end: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()

        def committed(error: StoreError | None) -> None:
            if not end.done():
                end.set_result(error)

        if not write(committed):
            return False
        error = await end
        if error is not None:
            raise error
        return True

    @asynccontextmanager
    async def _locked(self, to_do: Iterable[Operation]) -> AsyncGenerator[None]:
        if not self._watching.has("pre_batch_mutate", "post_batch_mutate"):
            yield
            return
        async with self._watching.locks.hold(each.seen.row for each in to_do):
            yield

    def _durability(self, operations: Iterable[Operation]) -> Durability:
        rules = self._watching.region.rules
        return max((rules.durability_of(each.asked.durability) for each in operations), default=rules.durability)


def _hook(when: str, operation: Operation) -> Hook:
    given = (operation.seen, operation.results) if operation.kind in _DELTAS else (operation.seen,)
    return f"{when}_{_NAMES[operation.kind]}", given


def _take(operation: Operation, outcome: Asked) -> None:
    """What its hook has made of a mutation."""
    if isinstance(outcome, HBaseError):
        raise outcome
    if outcome:
        operation.is_bypassed = True
        operation.made = in_order(operation.results)
    else:
        operation.read_back()


def _told_once(error: HBaseError) -> HBaseError:
    """What a client hears of a change that was made and counts twice if it asks again: nothing by which it would."""
    return (
        error if isinstance(error, DoNotRetryIOException) else DoNotRetryIOException(f"{error}, and the change is made")
    )


def _leave_written(batch: MiniBatch, operations: Sequence[Operation]) -> bool:
    """Have a batch those alone that were written; whether any was."""
    left = [number for number, each in enumerate(operations) if each.error is None]
    batch.operations = [batch.operations[number] for number in left]
    batch.added = {place: batch.added[number] for place, number in enumerate(left) if number in batch.added}
    return bool(left)


def _raise_first(operations: Iterable[Operation]) -> None:
    for each in operations:
        if each.error is not None:
            raise each.error


def _all_of(added: Added) -> list[Mutation]:
    return [mutation for mutations in added.values() for mutation in mutations]
