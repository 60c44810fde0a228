"""multi: operations that happen all or not at all, each with its own result.

Every operation is checked against what those before it will have done; only when all are allowed is one transaction
made of them. Source: MultiOperationRecord, MultiResponse, PrepRequestProcessor, DataTree.processTxn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from registry.coordinator.client import Client
from registry.coordinator.codes import CreateMode, ErrorCode, KeeperException, OpCode
from registry.coordinator.jute import MULTI_HEADER, MarshallingError, Reader, pack_string, reply_frame
from registry.coordinator.preparing import NO_TTL, TTL_MODES, Preparation
from registry.coordinator.reads import MULTI_END, Frame, multi_error
from registry.coordinator.transactions import Change, Create, Failed, Multi
from registry.coordinator.writes import CreateRequest, Writes, read_create

CREATIONS = (OpCode.CREATE, OpCode.CREATE2, OpCode.CREATE_CONTAINER, OpCode.CREATE_TTL)


class VersionRequest(NamedTuple):
    """The record of delete and check."""

    path: str
    version: int


class SetDataRequest(NamedTuple):
    """The record of setData."""

    path: str
    data: bytes | None
    version: int


Operation = tuple[int, CreateRequest | VersionRequest | SetDataRequest]
"""An OpCode and its record."""


def read_operations(reader: Reader) -> list[Operation]:
    """The operations of a multi; raises MarshallingError, also for operations that only read."""
    operations: list[Operation] = []
    while True:
        kind, done, _ = reader.int32(), reader.boolean(), reader.int32()
        if done:
            return operations
        if kind in CREATIONS:
            operations.append(_creation(kind, read_create(reader, has_ttl=kind == OpCode.CREATE_TTL)))
        elif kind in (OpCode.DELETE, OpCode.CHECK):
            operations.append((kind, VersionRequest(reader.text(), reader.int32())))
        elif kind == OpCode.SET_DATA:
            operations.append((kind, SetDataRequest(reader.text(), reader.buffer(), reader.int32())))
        else:
            raise MarshallingError(f"operation {kind} in multi")


def _creation(kind: int, request: CreateRequest) -> Operation:
    """What 3.9 makes of kind and flags where they do not fit each other; 3.8 goes by the flags alone."""
    if kind != OpCode.CREATE_TTL and not 0 <= request.flags <= CreateMode.CONTAINER:
        raise MarshallingError(f"create mode {request.flags}")
    if kind == OpCode.CREATE_TTL and request.flags not in TTL_MODES:
        kind, request = OpCode.CREATE, request._replace(ttl_ms=NO_TTL)
    if kind == OpCode.CREATE and request.flags == CreateMode.CONTAINER:
        kind = OpCode.CREATE_CONTAINER
    return kind, request


class Multis:
    """The handler of multi, over the same writes as the single operations."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def multi(self, client: Client, xid: int, frame: Frame) -> None:
        """Do all operations or none. The reply's header says OK either way; the results say what happened."""
        try:
            operations = read_operations(Reader(frame, 8))
        except MarshallingError:
            self._writes.run(client.session_id, Failed(ErrorCode.MARSHALLING_ERROR))
            raise
        prepared: list[Change | None] = []
        preparation = self._writes.preparation
        preparation.begin()
        try:
            for operation in operations:
                prepared.append(_prepare(preparation, client, operation))  # noqa: PERF401 - counts those before an error
        except KeeperException as error:
            self._writes.run(client.session_id, Failed(error.code))
            results = _failures(len(operations), len(prepared), error.code)
        else:
            stats: list[bytes] = []
            changes = tuple(change for change in prepared if change is not None)
            self._writes.run(client.session_id, Multi(changes), stats)
            results = _successes(operations, prepared, stats)
        finally:
            preparation.end()
        client.send(reply_frame(xid, self._writes.tree.zxid, 0, b"".join(results) + MULTI_END))


def _prepare(preparation: Preparation, client: Client, operation: Operation) -> Change | None:
    """The change an operation makes; None for a check."""
    kind, request = operation
    if isinstance(request, CreateRequest):
        return preparation.create(client.ids, client.session_id, *request, kind == OpCode.CREATE_CONTAINER)
    if isinstance(request, SetDataRequest):
        return preparation.set_data(client.ids, *request)
    if kind == OpCode.DELETE:
        return preparation.delete(client.ids, *request)
    preparation.check(client.ids, *request)
    return None


def _failures(count: int, failed_index: int, code: int) -> list[bytes]:
    """Errors only: OK for those that would have been done, the code, and RuntimeInconsistency for what follows."""
    return [
        *(multi_error(ErrorCode.OK) for _ in range(failed_index)),
        multi_error(code),
        *(multi_error(ErrorCode.RUNTIME_INCONSISTENCY) for _ in range(failed_index + 1, count)),
    ]


def _successes(operations: Sequence[Operation], prepared: Sequence[Change | None], stats: list[bytes]) -> list[bytes]:
    """A result of each operation. Of the creations, only `create` itself gets no Stat; the others are create2's."""
    results: list[bytes] = []
    remaining = iter(stats)
    for (kind, _), change in zip(operations, prepared, strict=True):
        stat = b"" if change is None else next(remaining)
        if isinstance(change, Create):
            body = pack_string(change.path)
            if kind != OpCode.CREATE:
                kind, body = OpCode.CREATE2, body + stat
        else:
            body = stat if kind == OpCode.SET_DATA else b""
        results.append(MULTI_HEADER.pack(kind, False, ErrorCode.OK) + body)
    return results
