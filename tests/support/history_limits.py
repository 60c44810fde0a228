"""What histories leave out, for a real server answers it in its own way: by what it has flushed, or by mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain

from google.protobuf.message import Message

from protos.hbase import Client_pb2, Filter_pb2
from regionserver.region.dead import LOOKED_AT_CELLS, LOOKED_AT_NEW
from registry.wire.cellblock import Cell, KeyType
from tests.support.history_calls import cells_of
from tests.support.history_player import Call, Step

Filtered = Client_pb2.Get | Client_pb2.Scan | Client_pb2.Condition
ENDLESS_DOWNWARDS = (b"filter.PrefixFilter", b"filter.FuzzyRowFilter")
"""With these a real server may be told to go on at the row that it is at, and then it never ends."""
ENDS_FAMILIES = (b"filter.ColumnCountGetFilter",)
"""Where it had enough each family ends of which there is a cell in that row, and be it a marker: of those that hide
nothing any more a real server keeps some longer."""
READS_PAST_ROWS = (b"filter.PrefixFilter",)
"""A real server may ask about the row that the scan begins with though it is not there, and fails where that is shorter
than the prefix; then the scanner stays open, and clean-ups keep what it could see, until its lease is over."""
HINTS_AT_COLUMNS = tuple(
    b"filter." + name
    for name in (b"ColumnPrefix", b"MultipleColumnPrefix", b"ColumnRange", b"ColumnPagination", b"Timestamps")
)
"""A real server goes on at the place of the hint, and has not seen a marker of the family that lies behind a newer put
of the column without a name: it shows what is deleted."""
LEAVES_COLUMNS = tuple(b"filter." + name for name in (b"ColumnCount", b"ColumnPagination", b"ColumnValueFilter"))
"""Of markers that have not been flushed, and share a time, a raw scan of a real server passes over each second one."""
FAILS_WHOLE_CALL = (b"filter.SkipFilter", b"filter.MultiRowRangeFilter")
"""Within each other they fail: a real server fails all of a Multi then, ours the action alone."""


def agreed(
    steps: Iterable[Step], families: Sequence[bytes], in_order: Collection[bytes], puts_max: Mapping[bytes, int]
) -> list[Step]:
    """The steps as they can be played.

    `in_order`: families in which the order of writing counts: a third put of one version is taken for the one that
    replaced the first there. `puts_max`: of one column, by family.
    """
    apart = [_apart(step, in_order) for step in steps]
    few = _at_most(_at_most(apart, dict.fromkeys(in_order, 2), of_version=True), puts_max, of_version=False)
    return _without_hints_over_markers(_seen_whole(few, families), families)


def _seen_whole(steps: list[Step], families: Sequence[bytes]) -> list[Step]:
    """Without raw scans where a row may grow until our stores look for dead cells: these see them no longer."""
    calls = [step for step in steps if isinstance(step, Call)]
    written = chain.from_iterable(_written(call, families) for call in calls)
    sizes = Counter((cell.row, cell.family) for cell in written)
    if max(sizes.values(), default=0) >= min(LOOKED_AT_CELLS, 3 * LOOKED_AT_NEW):
        for request in (call.request for call in calls):
            if isinstance(request, Client_pb2.ScanRequest):
                kept = [each for each in request.scan.attribute if each.name != "_raw_"]
                del request.scan.attribute[:]
                request.scan.attribute.extend(kept)
    return steps


def _apart(step: Step, names: Collection[bytes]) -> Step:
    """Without a column of these families that one change writes twice: HBase counts both as one version."""
    if not isinstance(step, Call) or not isinstance(step.request, Client_pb2.MultiRequest):
        return step
    written: set[tuple[bytes, bytes, bytes]] = set()
    for part in step.request.regionAction:
        for mutation in (action.mutation for action in part.action if action.HasField("mutation")):
            for column in mutation.column_value:
                if column.family in names and mutation.mutate_type != Client_pb2.MutationProto.DELETE:
                    for one in column.qualifier_value:
                        while (key := (mutation.row, column.family, one.qualifier)) in written:
                            one.qualifier += b"+"
                        written.add(key)
    return step


def _at_most(steps: list[Step], puts_max: Mapping[bytes, int], *, of_version: bool) -> list[Step]:
    """Without more puts of a column of these families, or of a version of it: they are of another column."""
    counts: Counter[tuple[bytes, bytes, bytes, int]] = Counter()

    def counted(row: bytes, family: bytes, qualifier: bytes, timestamp_ms: int) -> bytes:
        version = timestamp_ms if of_version else 0
        while counts[row, family, qualifier, version] >= puts_max[family]:
            qualifier += b"-"
        counts[row, family, qualifier, version] += 1
        return qualifier

    done: list[Step] = []
    for step in steps:
        if not isinstance(step, Call):
            done.append(step)
            continue
        call = deepcopy(step)  # what comes again is the same object
        for mutation in _mutations_of(call):
            if mutation.mutate_type == Client_pb2.MutationProto.DELETE:
                continue
            for column in mutation.column_value:
                if column.family in puts_max:
                    for one in column.qualifier_value:
                        one.qualifier = counted(mutation.row, column.family, one.qualifier, one.timestamp)
        cells = [
            cell._replace(qualifier=counted(cell.row, cell.family, cell.qualifier, cell.timestamp_ms))
            if cell.family in puts_max and cell.key_type == KeyType.PUT
            else cell
            for cell in call.cells
        ]
        done.append(replace(call, cells=tuple(cells)))
    return done


def names_in(asked: Filter_pb2.Filter, names: Iterable[bytes]) -> bool:
    """Whether one of these classes is in it, at any depth."""
    return any(name in asked.SerializeToString() for name in names)


def is_filtered_by(message: Filtered, names: Iterable[bytes]) -> bool:
    """Whether it has a filter with one of these classes in it."""
    return message.HasField("filter") and names_in(message.filter, names)


def _without_hints_over_markers(steps: list[Step], families: Sequence[bytes]) -> list[Step]:
    """See HINTS_AT_COLUMNS."""
    requests = [step.request for step in steps if isinstance(step, Call)]
    written = [cell for step in steps if isinstance(step, Call) for cell in _written(step, families)]
    puts, markers = (
        {(cell.row, cell.family) for cell in written if not cell.qualifier and (cell.key_type == KeyType.PUT) is puts}
        for puts in (True, False)
    )
    if puts & markers:
        for each in chain.from_iterable(map(_filtered_parts, requests)):
            if is_filtered_by(each, HINTS_AT_COLUMNS):
                each.ClearField("filter")
    return steps


def _filtered_parts(request: Message) -> list[Filtered]:
    match request:
        case Client_pb2.ScanRequest():
            return [request.scan]
        case Client_pb2.GetRequest():
            return [request.get]
        case Client_pb2.MutateRequest():
            return [request.condition]
        case Client_pb2.MultiRequest():
            gets = [action.get for part in request.regionAction for action in part.action if action.HasField("get")]
            return [*gets, *(part.condition for part in request.regionAction)]
        case _:
            return []


def _written(call: Call, families: Sequence[bytes]) -> Iterator[Cell]:
    """The cells of a call, a marker for each family where it deletes a row."""
    yield from call.cells
    for each in _mutations_of(call):
        if not each.column_value and not each.associated_cell_count:
            for family in families:
                yield Cell(each.row, family, b"", each.timestamp, KeyType.DELETE_FAMILY, b"")
        yield from cells_of(each)


def _mutations_of(call: Call) -> list[Client_pb2.MutationProto]:
    if isinstance(call.request, Client_pb2.MutateRequest):
        return [call.request.mutation]
    if isinstance(call.request, Client_pb2.MultiRequest):
        actions = chain.from_iterable(part.action for part in call.request.regionAction)
        return [action.mutation for action in actions if action.HasField("mutation")]
    return []
