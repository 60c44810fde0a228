"""Batches over sockets: all servers at once, in rounds, until every operation has its result.

Source: AsyncBatchRpcRetryingCaller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from registry.client.data.attempts import Attempts
from registry.client.data.batch import Batch, Entry, MultiCall, worst
from registry.client.data.calls import Calls, unusable
from registry.client.data.failures import Again, BatchError, OutcomeUnknownException, RetriesExhaustedException
from registry.client.data.finding import TableRegions
from registry.client.data.results import Row
from registry.wire.errors import ErrorAction, HBaseError, ProtocolError

REQUESTS_AT_ONCE = 4
"""To one server, of a batch that is alone: where several are under way, servers have enough to do while one is made."""


async def run_batch(calls: Calls, table: TableRegions, entries: Sequence[Entry], timeout_ms: float) -> list[Row | None]:
    """The result of each operation, in order. Raises BatchError where some failed."""
    batch = Batch(entries, calls.nonce_group)
    what = f"Multi of {len(entries)} operations in {table.name}"
    attempts = Attempts(what, calls.settings, calls.clock.monotonic_ms(), timeout_ms)
    calls.batches_under_way += 1
    try:
        while batch.left:
            try:
                await _round(calls, table, batch, attempts)
            except HBaseError as error:
                _give_up(batch, error)
    finally:
        calls.batches_under_way -= 1
    if any(isinstance(result, HBaseError) for result in batch.results):
        raise BatchError(batch.results, [entry.row for entry in entries])
    return cast("list[Row | None]", batch.results)  # errors have been raised


async def _round(calls: Calls, table: TableRegions, batch: Batch, attempts: Attempts) -> None:
    """Every operation that is left once. Raises HBaseError where what is left then is not to be tried again."""
    requests_max = REQUESTS_AT_ONCE // calls.batches_under_way
    before_count = len(batch.left)
    planned, unknown = batch.plan(table.known.find, requests_max)
    batch.left = unknown
    missed = await _locate(calls, table, batch, attempts)
    more, batch.left = batch.plan(table.known.find, requests_max)
    planned += more
    if len(planned) == 1:
        await _send(calls, table, batch, planned[0], attempts)
    elif planned:
        await asyncio.gather(*(_send(calls, table, batch, call, attempts) for call in planned))
    refusals = batch.next_round()
    for refusal in refusals:
        calls.forget(table, refusal.region, refusal.error)
    if missed is None and not refusals:
        return
    error = missed if missed is not None else worst(refusals)
    if error.action is ErrorAction.RETRY_NOW and len(batch.left) < before_count:
        attempts.progress()  # the answer was full, not the server at its end
    servers = ", ".join(sorted({str(refusal.region.address) for refusal in refusals}))
    wait_ms = attempts.failed(error, servers, calls.clock.monotonic_ms(), calls.chance)
    await calls.check_enabled(attempts, table, error)
    await calls.pause(wait_ms)


async def _locate(calls: Calls, table: TableRegions, batch: Batch, attempts: Attempts) -> HBaseError | None:
    """Have the regions of what is left known: from the last row downwards, as look-ups bring those before."""
    for entry in sorted(batch.left, key=lambda entry: entry.row, reverse=True):
        if table.known.find(entry.row) is None:
            try:
                await calls.finder.locate(table, entry.row, calls.remaining_ms(attempts))
            except HBaseError as error:
                return error
    return None


async def _send(calls: Calls, table: TableRegions, batch: Batch, call: MultiCall, attempts: Attempts) -> None:
    """One request and its answer; errors are the batch's."""
    try:
        answer = await calls.send(
            call.address,
            "Multi",
            call.param(batch.nonce_group),
            calls.remaining_ms(attempts),
            cells=call.cells(),
            priority=table.priority,
        )
        try:
            batch.take(call, answer.message, answer.cells)
        except ProtocolError as error:
            raise unusable("Multi", call.address, error) from None
    except HBaseError as error:
        batch.failed(call, error)


def _give_up(batch: Batch, error: HBaseError) -> None:
    """No more rounds: each operation tells the error that it met itself, where it met any."""
    batch.next_round()

    def error_of(entry: Entry) -> HBaseError:
        own = batch.results[entry.index]
        if not isinstance(own, HBaseError) or not isinstance(error, RetriesExhaustedException):
            return error
        what = f"Multi of {entry.row[:64]!r}"
        is_unknown = entry.again is not Again.ALWAYS and entry.may_be_done
        kind = OutcomeUnknownException if is_unknown else RetriesExhaustedException
        return kind(what, error.attempts, error.elapsed_ms, error.servers, own)

    batch.give_up(error_of)
