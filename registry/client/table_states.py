"""States of tables as hbase:meta has them: one scan of the column table:state, and a follower that repeats it.

HBase 2.0 and later write a row for each table, its name as the row, the message TableState as the value (without the
magic that values in ZooKeeper begin with). hbase:meta has no row of its own: it is always enabled. HBase 1.x has no
such family: its states are in ZooKeeper alone.

Source: org.apache.hadoop.hbase.MetaTableAccessor#getTableStates, TableStateManager, client.TableState.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf.message import DecodeError

from protos.hbase import HBase_pb2
from registry.client.rows import Row
from registry.client.scan import META_REGION, Scan
from registry.client.scanner import Scanner
from registry.clock import Clock
from registry.names import Address
from registry.rpc.services import SYSTEMTABLE_QOS
from registry.wire.errors import HBaseError, NoSuchColumnFamilyException, ProtocolError

logger = logging.getLogger("registry.tables")

META_TABLE = "hbase:meta"
FAMILY, QUALIFIER = b"table", b"state"
STATES_SCAN = Scan(META_REGION, columns=((FAMILY, (QUALIFIER,)),), priority=SYSTEMTABLE_QOS)
TABLES_BYTES_MAX = 64 << 20
"""Of cells in one reading: some 500 000 tables, more than any master bears."""
READ_TIMEOUT_MS = 5000.0
"""For one reading. A region server that holds hbase:meta answers in milliseconds; one that hangs is to be noticed."""
BACK_OFF_MAX_MS = 30_000.0
"""The longest pause after failures; the place of hbase:meta changing ends it."""


@dataclass(frozen=True, slots=True)
class TableStatesView:
    """For pages and metrics: how the reading of hbase:meta goes."""

    wanted: bool
    age_ms: float
    """Infinite before the first reading."""
    tables: int
    readings: int
    failures: int
    problem: str
    """Why the last reading failed; empty where it did not."""


def decode_table_states(rows: Iterable[Row]) -> tuple[dict[str, str], tuple[str, ...]]:
    """States by table, and the names of the tables whose state cannot be read; those are left out."""
    states, unreadable = {META_TABLE: "ENABLED"}, list[str]()
    for row in rows:
        value = row.value(FAMILY, QUALIFIER)
        if not value:
            continue  # deleted, as MetaTableAccessor has it
        try:
            name = row.key.decode("utf-8")
            states[name] = HBase_pb2.TableState.State.Name(_state(value))
        except (UnicodeDecodeError, DecodeError):
            unreadable.append(row.key.decode("utf-8", "backslashreplace"))
    return states, tuple(unreadable)


def _state(value: bytes) -> HBase_pb2.TableState.State:
    message = HBase_pb2.TableState.FromString(value)
    if not message.IsInitialized():
        raise DecodeError("no state, or one that is not known")
    return message.state


def until_next_ms(interval_ms: float, failed_in_a_row: int, chance: random.Random) -> float:
    """From the begin of one reading to the next: the interval, and after failures up to a growing pause more.

    The whole of that pause is by chance, so that many readers do not come back to a tired server together.
    """
    if not failed_in_a_row:
        return interval_ms
    return interval_ms + chance.uniform(0.0, min(BACK_OFF_MAX_MS, interval_ms * 2 ** min(failed_in_a_row, 16)))


async def read_table_states(scanner: Scanner, *, timeout_ms: float = READ_TIMEOUT_MS) -> dict[str, str]:
    """Table name to ENABLED, DISABLED, DISABLING or ENABLING; empty on HBase 1.x. Raises HBaseError."""
    try:
        rows = await scanner.read_all(STATES_SCAN, timeout_ms=timeout_ms, bytes_max=TABLES_BYTES_MAX)
    except NoSuchColumnFamilyException:
        return {}
    states, unreadable = decode_table_states(rows)
    if unreadable:
        logger.warning("hbase:meta has states that cannot be read, of %s", ", ".join(unreadable[:10]))
    return states


class TableStatesFollower:
    """Reads the states again and again while somebody wants them. Implements registry.facade.tables.TableStates.

    Belongs to one loop. Nobody who asks for the states ever waits.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Mapping[str, str]]],
        clock: Clock,
        interval_ms: Callable[[], float],
        chance: random.Random,
        place: Callable[[], Address | None],
    ) -> None:
        """`place` tells where hbase:meta is, None where that is not known."""
        self._read = read
        self._clock = clock
        self._interval_ms = interval_ms
        self._chance = chance
        self._place = place
        self._read_from: Address | None = None
        self._states: Mapping[str, str] | None = None
        self._asked_at_ms: float | None = None
        """When the reading was begun that `states` is of."""
        self._wanted = asyncio.Event()
        self._look_again = asyncio.Event()
        self._reading: asyncio.Task[Mapping[str, str]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._subscribers: list[Callable[[], None]] = []
        self._failed_in_a_row = 0
        self._readings = self._failures = 0
        self._problem = ""

    @property
    def states(self) -> Mapping[str, str] | None:
        """Table to state; None until they have been read once. Never changed: a change makes another mapping."""
        return self._states

    def age_ms(self) -> float:
        """Since the youngest complete reading was begun; infinite before the first."""
        return float("inf") if self._asked_at_ms is None else self._clock.monotonic_ms() - self._asked_at_ms

    def view(self) -> TableStatesView:
        """How it goes."""
        return TableStatesView(
            wanted=self._wanted.is_set(),
            age_ms=self.age_ms(),
            tables=len(self._states or ()),
            readings=self._readings,
            failures=self._failures,
            problem=self._problem,
        )

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after `states` became another mapping; the answer ends that. It must not wait."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    def set_wanted(self, wanted: bool) -> None:
        """Begin to read, or leave hbase:meta in peace; what was read stays, and grows older."""
        if wanted == self._wanted.is_set():
            return
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()
            self._problem = ""  # of yesterday, and nobody looks after it any more
        self._interrupt()

    def place_changed(self) -> None:
        """Tell that something has changed: where hbase:meta is elsewhere now, what is under way begins anew there."""
        if self._place() != self._read_from:
            self._failed_in_a_row = 0
            self._interrupt()

    def start(self) -> None:
        """Begin; call on the loop."""
        assert self._task is None, "started twice"
        self._task = asyncio.create_task(self.run(), name="table states")

    async def stop(self) -> None:
        """End, with the reading under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def run(self) -> None:
        """Follow until cancelled: what `start` starts, for who has tasks of its own."""
        while True:
            await self._wanted.wait()
            self._look_again.clear()
            begun_ms = self._clock.monotonic_ms()
            await self._read_once(begun_ms)
            if self._look_again.is_set():
                continue
            wait_ms = until_next_ms(self._interval_ms(), self._failed_in_a_row, self._chance)
            wait_ms -= self._clock.monotonic_ms() - begun_ms
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_ms) / 1000):
                    await self._look_again.wait()

    async def _read_once(self, begun_ms: float) -> None:
        self._read_from = self._place()
        self._reading = asyncio.ensure_future(self._read())
        try:
            states = await self._reading
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # it is this task that shall end, not the reading alone
        except (HBaseError, ProtocolError, OSError) as error:
            self._failed(str(error))
        else:
            self._took(states, begun_ms)
        finally:
            self._reading = None

    def _took(self, states: Mapping[str, str], begun_ms: float) -> None:
        if self._failed_in_a_row:
            logger.info("hbase:meta is read again: %d tables", len(states))
        self._readings += 1
        self._failed_in_a_row, self._problem = 0, ""
        self._asked_at_ms = begun_ms
        if states == self._states:
            return
        self._states = MappingProxyType(dict(states))
        for callback in tuple(self._subscribers):
            try:
                callback()
            except Exception:
                logger.exception("a subscriber failed on new table states")

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            logger.warning("states of tables: %s", problem)
        self._failures += 1
        self._failed_in_a_row += 1
        self._problem = problem

    def _interrupt(self) -> None:
        """Have `run` look again at once."""
        self._look_again.set()
        if self._reading is not None:
            self._reading.cancel()
