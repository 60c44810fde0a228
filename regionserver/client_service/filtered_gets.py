"""Gets with a filter, turn by turn: the filter may be large, and the row, too.

Source: RSRpcServices#get, HRegion#get.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from protos.hbase import Client_pb2
from regionserver.client_service.reads import GetAsked, read_get
from regionserver.client_service.results import Answer, CellForm, get_answer
from regionserver.client_service.rows import as_hbase
from regionserver.engine.store import StoreError
from regionserver.filters.parsing import filter_steps
from regionserver.region.filtered_reads import filtered_get_steps
from regionserver.region.region import Found, Region
from regionserver.region.scan import PageLimits
from registry.wire.errors import CallerDisconnectedException, HBaseError

Made = TypeVar("Made")
IsOver = Callable[[], bool]


def found_steps(
    region: Region, message: Client_pb2.Get, now_ms: int, is_turn_over: IsOver
) -> Generator[None, None, tuple[GetAsked, Found]]:
    """What such a Get asks and finds; gives whenever `is_turn_over`. Raises HBase's exceptions, StoreError."""
    made = yield from in_turns(filter_steps(message.filter, random.random), is_turn_over)
    asked = read_get(message, made)
    limits = PageLimits(is_turn_over=is_turn_over)
    found = yield from filtered_get_steps(region, asked.row, asked.wanted(region.families), made, now_ms, limits)
    return asked, found


def answer_steps(
    region: Region,
    message: Client_pb2.Get,
    form: CellForm,
    now_ms: int,
    is_turn_over: IsOver,
    is_wanted: Callable[[], bool],
    reply: Callable[[Answer], None],
) -> Generator[None, None, None]:
    """A whole call; it ends where the answer `is_wanted` no more. Raises HBase's exceptions."""
    with closing(found_steps(region, message, now_ms, is_turn_over)) as steps:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                asked, found = end.value
                reply(get_answer(found, form, existence_only=asked.existence_only))
                return
            except StoreError as error:
                raise as_hbase(error) from error
            yield
            if not is_wanted():
                raise CallerDisconnectedException("nobody waits for the answer any more")


def outcome_steps(
    region: Region, message: Client_pb2.Get, now_ms: int, is_turn_over: IsOver
) -> Generator[None, None, tuple[GetAsked, Found] | HBaseError]:
    """The same as `found_steps`, or why there is nothing. What is thrown in there comes out again."""
    with closing(found_steps(region, message, now_ms, is_turn_over)) as steps:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                told: tuple[GetAsked, Found] = end.value
                return told
            except (HBaseError, StoreError) as error:
                return as_hbase(error)
            yield


def in_turns(steps: Generator[None, None, Made], is_turn_over: IsOver) -> Generator[None, None, Made]:
    """What gives at each step gives only where a turn is over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: Made = end.value
            return made
        if is_turn_over():
            yield
