"""The answer to a Multi while it is made: results of its parts, as their actions end.

Source: RSRpcServices#multi; MultiResponse, RegionActionResult and ResultOrException in Client.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from protos.hbase import Client_pb2, HBase_pb2
from regionserver.client_service.results import RESULT_BYTES_MAX, Answer, Reply, inline_cells
from registry.wire.errors import HBaseError, MultiActionResultTooLarge
from registry.wire.framing import encode_varint

Outcome = tuple[Client_pb2.Result, bytes] | Client_pb2.CoprocessorServiceResult | HBaseError
"""Of one action: a result with its cells in the block, what a service gave, or why there is none."""


class Whole:
    """The answer while it is made: told when nothing of it is awaited any more."""

    def __init__(self, reply: Reply, result_bytes_max: int = RESULT_BYTES_MAX) -> None:
        """`result_bytes_max`: beyond it no more is read; what is left is to be asked for again."""
        self._reply = reply
        self._result_bytes_max = result_bytes_max
        self._awaited = 1
        """Commits under way, and the reading of the request."""
        self.parts: list[Part] = []
        self.size_bytes = 0

    def expect_one(self) -> None:
        """Something more is awaited."""
        self._awaited += 1

    def drop_one(self) -> None:
        """Something that was awaited has ended."""
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

    def check_size(self) -> None:
        """Raise MultiActionResultTooLarge where no more is to be read."""
        if self.size_bytes > self._result_bytes_max:
            raise MultiActionResultTooLarge(
                f"Max size exceeded: CellSize {self.size_bytes} of {self._result_bytes_max} bytes"
            )

    def all_begun(self) -> None:
        """The request is read."""
        self.drop_one()

    def fail(self, error: HBaseError) -> None:
        """All of it fails."""
        self.forget()
        self._reply(error)

    def forget(self) -> None:
        """Another tells the client, and what still ends is not told."""
        self._awaited = -1


class Part:
    """The results of one region's actions."""

    def __init__(self, whole: Whole, action: Client_pb2.RegionAction, *, is_conditional: bool) -> None:
        self.whole = whole
        self.action = action
        self.is_conditional = is_conditional
        self.processed: bool | None = None
        self._error: HBaseError | None = None
        self._outcomes: dict[int, Outcome] = {}
        """Of those that have more to say than that they were done."""
        whole.parts.append(self)

    def set(self, index: int, outcome: Outcome) -> None:
        """What came of one action, by its place."""
        self._outcomes[index] = outcome

    def fail(self, error: HBaseError) -> None:
        """All of the region's actions fail."""
        self._error = error

    def served(self, index: int, outcome: Outcome) -> None:
        """What came of one that was awaited."""
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


@lru_cache(maxsize=8192)
def _done(index: int) -> bytes:
    """A RegionActionResult of one action that was done and has no more to say."""
    entry = Client_pb2.ResultOrException(index=index, result=Client_pb2.Result())
    return Client_pb2.RegionActionResult(resultOrException=[entry]).SerializeToString()


@lru_cache(maxsize=8192)
def one_done(index: int) -> Answer:
    """The answer to a Multi of one such action; its own place is 0."""
    response = Client_pb2.MultiResponse()
    response.regionStatistics.SetInParent()
    return Answer(_field(_done(index)) + response.SerializeToString())


def _field(part: bytes) -> bytes:
    """It as the first field of a MultiResponse, which is written before the others."""
    return b"\x0a" + encode_varint(len(part)) + part


def _fill(message: HBase_pb2.NameBytesPair, error: HBaseError) -> None:
    message.name = error.java_class
    # a stack trace, whose first line clients show: they look for its end
    message.value = (error.stack_trace or f"{error.java_class}: {error.message}\n").encode()
