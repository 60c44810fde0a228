"""Calls to the active master, whoever that is by now, and the procedures that it runs.

A procedure is begun under a nonce, by which masters know it again, and its end is asked for until it comes: also of
the master that took over.

Source: org.apache.hadoop.hbase.client.RawAsyncHBaseAdmin, AsyncMasterRequestRpcRetryingCaller, ProcedureFuture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from protos.hbase import ErrorHandling_pb2, Master_pb2, RPC_pb2
from registry.client.answers import Answer
from registry.client.channels import Channels
from registry.client.data.attempts import Attempts
from registry.client.data.calls import Calls
from registry.client.data.failures import RetriesExhaustedException
from registry.names import ServerName
from registry.wire.errors import (
    CallTimeoutException,
    ErrorAction,
    HBaseError,
    MasterStoppedException,
    ServerNotRunningYetException,
    decode_exception,
)

M = TypeVar("M", bound=Message)

FIRST_POLL_MS = 10.0
LONGEST_POLL_MS = 1000.0
POLL_FACTOR = 1.6


class Masters(Protocol):
    """The part of registry.client.connection.Connection that is needed here."""

    async def active_master(self, *, timeout_ms: float) -> Answer[ServerName]:
        """The active master."""
        ...

    def stale(self, answer: Answer[object]) -> bool:
        """`answer` has turned out to be wrong: ask anew."""
        ...


class WithProcedure(Protocol):
    """An answer that names the procedure which was begun."""

    proc_id: int

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Whether a field is there."""
        ...


class MasterCalls:
    """Belongs to one loop."""

    def __init__(self, masters: Masters, calls: Calls) -> None:
        self._masters = masters
        self._calls = calls
        self._channels = Channels(calls.settings, "MasterService", remember_failed=True)

    async def call(self, method: str, request: Message, response_type: type[M], timeout_ms: float) -> M:
        """Ask the active master. Raises what it says, or RetriesExhaustedException."""
        calls = self._calls
        attempts = Attempts(method, calls.settings, calls.clock.monotonic_ms(), timeout_ms)
        while True:
            answer: Answer[ServerName] | None = None
            try:
                answer = await self._masters.active_master(timeout_ms=calls.remaining_ms(attempts))
                remaining_ms = calls.remaining_ms(attempts)
                channel = await self._channels.get(answer.value.address, connect_timeout_ms=remaining_ms)
                limit_ms = min(calls.settings.rpc_timeout_ms, calls.remaining_ms(attempts))
                return await channel.call(method, request, response_type, timeout_ms=limit_ms)
            except HBaseError as error:
                await self._recover(attempts, answer, error)

    async def procedure(self, method: str, request: Message, response_type: type[Message], timeout_ms: float) -> bytes:
        """Begin a procedure and wait for its end; what it gives. Raises the error that it ended with."""
        begun_ms = self._calls.clock.monotonic_ms()
        request_with_nonce = _with_nonce(request, self._calls.nonce_group, self._calls.nonce())
        answer = await self.call(method, request_with_nonce, response_type, timeout_ms)
        proc_id: int | None = getattr(answer, "proc_id", None)
        if proc_id is None or not answer.HasField("proc_id"):
            return b""  # as some of 1.x: it is done
        return await self._end_of(proc_id, timeout_ms - (self._calls.clock.monotonic_ms() - begun_ms))

    async def until(
        self, done: Callable[[M], bool], method: str, request: Message, kind: type[M], timeout_ms: float
    ) -> M:
        """Ask again and again, with growing pauses, until the answer is as wanted. Raises as `call`."""
        calls = self._calls
        attempts = Attempts(method, calls.settings, calls.clock.monotonic_ms(), timeout_ms)
        wait_ms, polls = FIRST_POLL_MS, 0
        while True:
            answer = await self.call(method, request, kind, calls.remaining_ms(attempts))
            polls += 1
            if done(answer):
                return answer
            if (left_ms := calls.remaining_ms(attempts)) <= 1:
                late = CallTimeoutException("what was asked about has not come to its end in time")
                elapsed_ms = calls.clock.monotonic_ms() - attempts.begun_ms
                raise RetriesExhaustedException(method, polls, elapsed_ms, (), late)
            await calls.pause(min(wait_ms, left_ms))
            wait_ms = min(wait_ms * POLL_FACTOR, LONGEST_POLL_MS)

    async def close(self) -> None:
        """End all."""
        await self._channels.close()

    async def _end_of(self, proc_id: int, timeout_ms: float) -> bytes:
        """What a procedure gives, when it has ended. One that the master has forgotten has ended well, as in Java."""
        kind = Master_pb2.GetProcedureResultResponse
        result = await self.until(
            lambda answer: answer.state != kind.RUNNING,
            "getProcedureResult",
            Master_pb2.GetProcedureResultRequest(proc_id=proc_id),
            kind,
            timeout_ms,
        )
        if result.HasField("exception"):
            raise foreign_error(result.exception)
        return result.result

    async def _recover(self, attempts: Attempts, answer: Answer[ServerName] | None, error: HBaseError) -> None:
        """Another master may be active by now."""
        server = str(answer.value.address) if answer is not None else ""
        if isinstance(error, MasterStoppedException):
            error = ServerNotRunningYetException(error.message)  # of this master: there is another, or will be
        if answer is not None and error.action in (ErrorAction.RELOCATE, ErrorAction.RECONNECT):
            self._masters.stale(answer)
            if error.action is ErrorAction.RECONNECT:
                self._channels.drop(answer.value.address)
        calls = self._calls
        await calls.pause(attempts.failed(error, server, calls.clock.monotonic_ms(), calls.chance))


def foreign_error(message: ErrorHandling_pb2.ForeignExceptionMessage) -> HBaseError:
    """The error that a procedure ended with."""
    told = message.generic_exception
    return decode_exception(
        RPC_pb2.ExceptionResponse(
            exception_class_name=told.class_name,
            stack_trace=f"{told.class_name}: {told.message}",
            do_not_retry=True,
        )
    )


def _with_nonce(request: M, nonce_group: int, nonce: int) -> M:
    if "nonce" in request.DESCRIPTOR.fields_by_name:
        request.nonce_group, request.nonce = nonce_group, nonce  # type: ignore[attr-defined]
    return request
