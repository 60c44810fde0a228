"""One procedure, and how it is kept: a value that each step replaces by the next.

It is kept as HBase's own message, under the names of HBase's classes and states, so that clients that list procedures
read it, and so that what is stored says what it is:

    [uint8 format][hbase.pb.Procedure]

    class_name       org.apache.hadoop.hbase.master.procedure.CreateTableProcedure, ...
    state_message    StateMachineProcedureData: the states it was in, the last is the one to go on from;
                     then what HBase keeps for that class, such as CreateTableStateData
    state_data       JSON, what HBase has no field for: {"life": n}

Pure.

Source: ProcedureUtil#convertToProtoProcedure, StateMachineProcedure#serializeStateData, ForeignExceptionUtil.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message

from protos.hbase import ErrorHandling_pb2, HBase_pb2, MasterProcedure_pb2, Procedure_pb2
from registry.wire.error_base import BY_JAVA_CLASS, RemoteError
from registry.wire.errors import HBaseError
from registry.wire.text import lenient_text

FORMAT = 1
"""Rises when an older master must not go on with what a newer one has begun."""

RUNNABLE, WAITING, FAILED = (Procedure_pb2.RUNNABLE, Procedure_pb2.WAITING, Procedure_pb2.FAILED)
SUCCESS, ROLLED_BACK = Procedure_pb2.SUCCESS, Procedure_pb2.ROLLEDBACK

M = TypeVar("M", bound=Message)


class UnknownProcedure(Exception):
    """A record that this version does not know; it is left as it is."""


@dataclass(frozen=True, slots=True)
class Nonce:
    """What a client marks its operation with, so that asking twice does it once."""

    nonce_group: int
    nonce: int

    @classmethod
    def of(cls, nonce_group: int, nonce: int) -> Nonce | None:
        """None where the client gave none. Source: ProcedureExecutor#createNonceKey."""
        return None if nonce == 0 else cls(nonce_group, nonce)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a procedure has failed, as its client is told."""

    source: str
    """Which operation, such as `master-create-table`; clients are not told, lists of procedures are."""
    java_class: str
    message: str
    do_not_retry: bool = True

    @classmethod
    def of(cls, source: str, error: HBaseError) -> Failure:
        """Of an error that a step has raised."""
        return cls(source, error.java_class, error.message, error.do_not_retry)

    def error(self) -> HBaseError:
        """To be raised where a call has waited for it."""
        known = BY_JAVA_CLASS.get(self.java_class)
        if known is None:
            return RemoteError(self.java_class, self.message, do_not_retry=self.do_not_retry)
        return known.from_wire(self.message, "", 0)

    def foreign(self, *, with_source: bool) -> ErrorHandling_pb2.ForeignExceptionMessage:
        """As answers and records carry it."""
        generic = ErrorHandling_pb2.GenericExceptionMessage(class_name=self.java_class, message=self.message)
        foreign = ErrorHandling_pb2.ForeignExceptionMessage(generic_exception=generic)
        if with_source:
            foreign.source = self.source
        return foreign


@dataclass(frozen=True, slots=True)
class Procedure:
    """Never changed: `procedures.machine` puts the next one in its place when it is durable."""

    proc_id: int
    class_name: str
    """HBase's, with its package."""
    states: tuple[int, ...]
    """Numbers of the class's states; the last is where it goes on."""
    parts: tuple[Message, ...]
    """What HBase keeps for the class."""
    submitted_ms: int
    last_update_ms: int
    own: dict[str, int] = field(default_factory=dict[str, int])
    """What HBase has no field for."""
    nonce: Nonce | None = None
    owner: str = ""
    phase: Procedure_pb2.ProcedureState = RUNNABLE
    failure: Failure | None = None

    @property
    def state(self) -> int:
        """Where it goes on."""
        return self.states[-1]

    @property
    def is_finished(self) -> bool:
        """Nothing more is done."""
        return self.phase in (SUCCESS, ROLLED_BACK)

    @property
    def has_begun(self) -> bool:
        """At least one step is behind it."""
        return len(self.states) > 1

    def part(self, kind: type[M]) -> M:
        """The part of that type."""
        return next(part for part in self.parts if isinstance(part, kind))

    def failed(self, failure: Failure, now_ms: int) -> Procedure:
        """As it is after an error, with nothing to undo."""
        return replace(self, phase=ROLLED_BACK, failure=failure, last_update_ms=now_ms)

    def message(self) -> Procedure_pb2.Procedure:
        """As clients are told of it."""
        message = Procedure_pb2.Procedure(
            class_name=self.class_name,
            proc_id=self.proc_id,
            submitted_time=self.submitted_ms,
            owner=self.owner or None,
            state=self.phase,
            last_update=self.last_update_ms,
            executed=self.has_begun or self.is_finished,
        )
        if self.failure is not None:
            message.exception.CopyFrom(self.failure.foreign(with_source=True))
        if self.nonce is not None:
            message.nonce_group, message.nonce = self.nonce.nonce_group, self.nonce.nonce
        for part in (Procedure_pb2.StateMachineProcedureData(state=self.states), *self.parts):
            message.state_message.add().Pack(part)
        return message

    def value(self) -> bytes:
        """As it is kept."""
        message = self.message()
        if self.own:
            message.state_data = json.dumps(self.own).encode()
        return bytes((FORMAT,)) + message.SerializeToString()

    @classmethod
    def from_value(cls, value: bytes) -> Procedure:
        """Read what is kept. Raises UnknownProcedure."""
        if value[:1] != bytes((FORMAT,)):
            raise UnknownProcedure(f"a procedure of format {value[:1].hex()}, and this version knows {FORMAT:02x}")
        try:
            message = Procedure_pb2.Procedure.FromString(value[1:])
            states, *parts = map(_unpacked, message.state_message)
            own = cast("dict[str, int]", json.loads(message.state_data or b"{}"))
        except (DecodeError, ValueError) as error:
            raise UnknownProcedure(f"a procedure that cannot be read: {error}") from None
        if not isinstance(states, Procedure_pb2.StateMachineProcedureData) or not states.state:
            raise UnknownProcedure(f"a procedure {message.class_name[:200]} without its states")
        generic = message.exception.generic_exception
        failure = Failure(message.exception.source, lenient_text(generic.class_name), lenient_text(generic.message))
        return cls(
            message.proc_id,
            message.class_name,
            tuple(states.state),
            tuple(parts),
            message.submitted_time,
            message.last_update,
            own,
            Nonce.of(message.nonce_group, message.nonce),
            message.owner,
            message.state,
            failure if message.HasField("exception") else None,
        )


_KEPT: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in cast(
        "Sequence[type[Message]]",
        (
            Procedure_pb2.StateMachineProcedureData,
            HBase_pb2.RegionInfo,
            MasterProcedure_pb2.CreateTableStateData,
            MasterProcedure_pb2.DeleteTableStateData,
            MasterProcedure_pb2.TruncateTableStateData,
            MasterProcedure_pb2.EnableTableStateData,
            MasterProcedure_pb2.DisableTableStateData,
            MasterProcedure_pb2.ModifyTableStateData,
            MasterProcedure_pb2.CreateNamespaceStateData,
            MasterProcedure_pb2.ModifyNamespaceStateData,
            MasterProcedure_pb2.DeleteNamespaceStateData,
            MasterProcedure_pb2.FlushTableProcedureStateData,
            MasterProcedure_pb2.RegionStateTransitionStateData,
        ),
    )
}


def _unpacked(packed: AnyMessage) -> Any:
    kind = _KEPT.get(packed.type_url.rpartition("/")[2])
    if kind is None:
        raise ValueError(f"a part of type {packed.type_url[:200]}")
    return kind.FromString(packed.value)
