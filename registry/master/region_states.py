"""What each order, report and death means to a region in each state: the heart of assignment, pure.

    machine.want_open(names)                 what is wanted; also want_closed, want_move, want_reopen
    machine.reported(server, transition)     what servers tell; also died, met
    machine.advance(now_ms)                  everything that follows from it
    machine.take_changes()                   rows that must be durable before anything rests on them
    machine.written(batch)                   they are: their orders may leave, their reports be acknowledged
    machine.outbox                           what each server is to be told

A row is changed here first and counts as done when it was written. Nothing leaves before: no order whose OPENING or
CLOSING is not durable, no acknowledgment of an opening before its OPEN is.

    CLOSED, OFFLINE, ABNORMALLY_CLOSED --open wanted, a spot is there--> OPENING --OPENED--> OPEN
    OPENING --FAILED_OPEN--> OFFLINE;  OPENING, OPEN, CLOSING --its server dies--> ABNORMALLY_CLOSED (CLOSED if wanted)
    OPEN --close, move or new schema wanted--> CLOSING --CLOSED--> CLOSED, or OFFLINE where it is to be opened again

A row names one store as the place of its rows, and that changes at OPEN alone: whatever fails on the way of a region
from one store to another, it is opened again where its rows are.

Source: TransitRegionStateProcedure, AssignmentManager#reportRegionStateTransition, ServerCrashProcedure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from registry.master.catalogue import RegionRow, RegionState
from registry.master.held import Batch, Code, Goal, Held, Order, Transition, Verdict
from registry.master.outbox import Outbox
from registry.master.placement import Placement, Spot
from registry.names import ServerName

SEQ_NUM_FIRST = 2
"""Clients take lower ones for no number."""
RETRY_MS_FIRST, RETRY_MS_MAX = 100.0, 30_000.0
"""Pause after an opening that failed, doubled each time."""
REMIND_MS = 30_000.0
"""An order without an answer is given again after this long."""
ON_A_SERVER = frozenset({RegionState.OPENING, RegionState.OPEN, RegionState.CLOSING})


class RegionStates:
    """All regions that one sink keeps: those of hbase:meta, or hbase:meta itself."""

    def __init__(self, placement: Placement, new_id: Callable[[], int], meta_is_fresh: bool | None = None) -> None:
        """`new_id` gives numbers that no order ever had.

        `meta_is_fresh` is told for hbase:meta, whose rows count from its founding on, not from its first opening.
        """
        self.held: dict[str, Held] = {}
        self.meta_is_fresh = meta_is_fresh
        self._placement = placement
        self._new_id = new_id
        self._todo: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        self._dirty: dict[str, int] = {}
        """In the order in which they became so, with a number that rises."""
        self._on: dict[ServerName, dict[str, None]] = {}
        """OPENING, OPEN and CLOSING by server."""
        self.outbox = Outbox()
        self._retry_at_ms = float("inf")
        self._now_ms = 0.0
        self.changes = 0
        """How often a region that was as written became another."""

    # --- what is there ------------------------------------------------------------------------------------------

    def put(self, row: RegionRow, goal: Goal, *, is_written: bool = True) -> None:
        """Know a region; one that is not written is written as it is."""
        held = Held(row, goal, since_ms=self._now_ms)
        name = row.info.encoded_name
        self.held[name] = held
        if is_written:
            held.written, held.written_version = row, held.version
        else:
            self._mark(name)
        self._index(held)
        self._todo[name] = None

    def forget(self, name: str) -> None:
        """A region is gone from the catalogue."""
        held = self.held.pop(name, None)
        if held is not None:
            self._unindex(held)
            if held.row.sn is not None:
                self.outbox.drop(held.row.sn, name)
        for names in (self._todo, self._waiting, self._dirty):
            names.pop(name, None)

    def on(self, server: ServerName) -> list[str]:
        """Encoded names of what is OPENING, OPEN or CLOSING there."""
        return list(self._on.get(server, ()))

    def servers(self) -> list[ServerName]:
        """All that something is on."""
        return [server for server, names in self._on.items() if names]

    def in_transition(self) -> Iterator[Held]:
        """Regions that are not, or not yet, where they are wanted."""
        return (held for held in self.held.values() if held.in_transition)

    # --- what is wanted -----------------------------------------------------------------------------------------

    def want_open(self, names: Iterable[str]) -> None:
        """Open them, and keep them open."""
        self._want(names, Goal.OPEN)

    def want_closed(self, names: Iterable[str]) -> None:
        """Close them, and keep them closed."""
        for name in self._want(names, Goal.CLOSED):
            held = self.held[name]
            held.reopen = False
            self._end_move(held, "it is to be closed")

    def want_reopen(self, names: Iterable[str]) -> None:
        """Those that are open, or are opening with what was said before, are to be opened anew."""
        for name in names:
            held = self.held.get(name)
            if held is not None and held.row.state in (RegionState.OPEN, RegionState.OPENING):
                held.reopen = True
                self._todo[name] = None

    def want_move(self, name: str, destination: ServerName) -> None:
        """Have it on that server, its rows too."""
        held = self.held[name]
        held.destination, held.move_problem = destination, ""
        held.goal = Goal.OPEN
        self._todo[name] = None

    def _want(self, names: Iterable[str], goal: Goal) -> list[str]:
        wanted = [name for name in names if name in self.held]
        for name in wanted:
            held = self.held[name]
            if held.goal is not goal:
                held.goal, held.failures, held.retry_at_ms, held.problem = goal, 0, 0.0, ""
            self._todo[name] = None
        return wanted

    # --- what servers tell --------------------------------------------------------------------------------------

    def reported(self, server: ServerName, told: Transition) -> Verdict:
        """A line of a server's report."""
        held = self.held.get(told.region)
        if told.code is Code.OPENED:
            return self._opened(server, held, told)
        if held is None or held.row.sn != server:
            return Verdict.TAKEN
        if told.code is Code.CLOSED:
            if held.row.state is RegionState.CLOSING and self._answers(held, told):
                self._closed(held)
        elif held.row.state is RegionState.OPENING and self._answers(held, told):
            self._failed_open(held, server)
        return Verdict.TAKEN

    def died(self, server: ServerName) -> None:
        """All that was on it is not any more."""
        self.outbox.forget(server)
        for name in self.on(server):
            held = self.held[name]
            state = held.row.state
            self._end_move(held, f"{server} has died")
            held.reopen = False
            if state is RegionState.CLOSING and held.goal is not Goal.OPEN:
                self._change(held, state=RegionState.CLOSED)
            elif state is RegionState.OPENING and self._is_fresh(held):
                self._change(held, state=RegionState.OFFLINE)
            else:
                self._change(held, state=RegionState.ABNORMALLY_CLOSED)
            held.problem = f"{server} has died"
        for held in self.held.values():
            if held.destination == server:
                self._end_move(held, f"{server} has died")
                self._todo[held.row.info.encoded_name] = None

    def met(self, server: ServerName, online: Collection[str], before: Collection[str]) -> list[str]:
        """A server has said what is open there; `before` was on it when it was asked. Gives what must not be there.

        What a master before has begun is begun anew: an opening, for it may have been one into another store.
        """
        for name in before:
            held = self.held.get(name)
            if held is None or held.row.sn != server:
                continue
            if held.row.state is RegionState.OPENING and not held.order_id:
                self._change(held, state=RegionState.OFFLINE)
            elif held.row.state is RegionState.OPEN and name not in online:
                held.problem = f"{server} does not have it"
                self._change(held, state=RegionState.ABNORMALLY_CLOSED)
        stray: list[str] = []
        for name in online:
            held = self.held.get(name)
            if held is None or held.row.sn != server or held.row.state is RegionState.CLOSED:
                stray.append(name)
        return stray

    def _opened(self, server: ServerName, held: Held | None, told: Transition) -> Verdict:
        if held is None or held.row.sn != server:
            return Verdict.REFUSED
        row = held.row
        if row.state is RegionState.OPENING and self._answers(held, told):
            if told.open_seq_num < held.open_seq_num:
                return Verdict.REFUSED  # higher it may be: what clients were told before is never taken back
            leftover = f"{row.store} {held.hand_over}" if held.hand_over else row.leftover
            self._change(
                held,
                state=RegionState.OPEN,
                server=server,
                open_seq_num=told.open_seq_num,
                store=held.to_store,
                leftover=leftover,
            )
            held.problem, held.failures = "", 0
            held.avoid.clear()
            if held.destination == server:
                held.destination = None
            return Verdict.TAKEN
        is_known = row.state in (RegionState.OPEN, RegionState.CLOSING) and row.open_seq_num == told.open_seq_num
        return Verdict.TAKEN if is_known and row.server == server else Verdict.REFUSED

    def _closed(self, held: Held) -> None:
        held.reopen = False
        opens_again = held.goal is Goal.OPEN
        self._change(held, state=RegionState.OFFLINE if opens_again else RegionState.CLOSED)

    def _failed_open(self, held: Held, server: ServerName) -> None:
        held.problem = f"{server} could not open it"
        if held.hand_over:
            self._end_move(held, held.problem)
        else:
            held.failures += 1
            held.retry_at_ms = self._now_ms + min(RETRY_MS_FIRST * 2 ** min(held.failures, 12), RETRY_MS_MAX)
            held.avoid.add(server)
            if held.row.store:
                self._placement.failed(held.row.store, server)
        self._change(held, state=RegionState.OFFLINE)

    def _answers(self, held: Held, told: Transition) -> bool:
        """Whether a report answers the order that holds; servers that do not say which are believed."""
        return bool(held.order_id) and (not told.order_ids or held.order_id in told.order_ids)

    # --- what follows -------------------------------------------------------------------------------------------

    def look_again(self) -> None:
        """Servers or stores have changed: what waits may find a spot."""
        self._todo |= self._waiting
        self._waiting.clear()

    def remind(self, now_ms: float) -> None:
        """Say again what was said long ago and has not been answered: whoever has done it says so again."""
        for name in [name for names in self._on.values() for name in names]:
            held = self.held[name]
            if held.row.state is RegionState.OPEN or not held.order_id or held.version != held.written_version:
                continue
            if now_ms - held.since_ms > REMIND_MS:
                held.since_ms = now_ms
                self._give_order(held)

    def advance(self, now_ms: float) -> list[str]:
        """Do what can be done now; gives the regions that were looked at."""
        self._now_ms = now_ms
        if now_ms >= self._retry_at_ms:
            self._retry_at_ms = float("inf")
            self.look_again()
        todo, self._todo = self._todo, {}
        for name in todo:
            held = self.held.get(name)
            if held is not None:
                self._step(name, held)
        return list(todo)

    def _step(self, name: str, held: Held) -> None:
        state = held.row.state
        if state is RegionState.OPENING:
            return
        if state is RegionState.CLOSING:
            if not held.order_id:
                held.order_id = self._new_id()
                self._touch(held)  # its order goes out when what is there now was written
            return
        if state is RegionState.OPEN:
            if held.goal is Goal.CLOSED or held.reopen or self._moves(held):
                self._begin_close(held)
            return
        if held.goal is Goal.CLOSED:
            if state is not RegionState.CLOSED:
                self._change(held, state=RegionState.CLOSED)
        elif held.goal is Goal.OPEN:
            self._begin_open(name, held)

    def _moves(self, held: Held) -> bool:
        """Whether it has to go from where it is; a move that cannot be made ends here."""
        destination = held.destination
        if destination is None:
            return False
        home = self._placement.home_of(destination)
        if destination == held.row.sn:
            held.destination = None
        elif not home:
            self._end_move(held, f"{destination} has no store of its own, or is not there")
        elif held.row.leftover:
            self._end_move(held, f"an old copy of it in store {held.row.leftover.split()[0]} has not been removed yet")
        return held.destination is not None

    def _begin_close(self, held: Held) -> None:
        held.order_id = self._new_id()
        held.hand_over = f"{held.row.info.encoded_name}-{held.order_id:x}" if held.destination is not None else ""
        self._change(held, keeps_order=True, state=RegionState.CLOSING)

    def _begin_open(self, name: str, held: Held) -> None:
        if self._now_ms < held.retry_at_ms:
            self._wait(name, held.retry_at_ms)
            return
        spot = self._spot(held)
        if isinstance(spot, str):
            held.problem = spot
            self._wait(name, float("inf"))
            return
        held.order_id, held.reopen = self._new_id(), False
        held.to_store = spot.store_id
        held.open_seq_num = max(SEQ_NUM_FIRST, held.row.open_seq_num + 1, held.open_seq_num + 1)
        store = spot.store_id if self._is_fresh(held) else held.row.store
        self._change(held, keeps_order=True, state=RegionState.OPENING, sn=spot.server, store=store)

    def _spot(self, held: Held) -> Spot | str:
        if held.hand_over:
            assert held.destination is not None, "a hand-over is for somebody"
            home = self._placement.home_of(held.destination)
            if home:
                return Spot(held.destination, home)
            self._end_move(held, f"{held.destination} is not there any more")
        if self._is_fresh(held):
            near = "" if held.failures else held.row.store
            return self._placement.fresh(near, held.avoid)
        return self._placement.of_store(held.row.store)

    def _is_fresh(self, held: Held) -> bool:
        return held.row.is_fresh if self.meta_is_fresh is None else self.meta_is_fresh

    def _wait(self, name: str, until_ms: float) -> None:
        self._waiting[name] = None
        self._retry_at_ms = min(self._retry_at_ms, until_ms)

    def _end_move(self, held: Held, why: str) -> None:
        if held.destination is not None:
            held.move_problem = why
        held.destination = None
        if held.row.state is not RegionState.OPENING:  # one that opens has its rows by it, whatever is wanted by now
            held.hand_over = ""

    # --- rows and orders ----------------------------------------------------------------------------------------

    def leftover_gone(self, name: str, leftover: str) -> None:
        """That old copy is no more."""
        held = self.held.get(name)
        if held is not None and held.row.leftover == leftover:
            held.row = replace(held.row, leftover="")
            self._touch(held)

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to write."""
        return bool(self._dirty)

    @property
    def oldest_dirty(self) -> float:
        """What `changes` was when the region changed that has waited longest; infinite where none waits."""
        return next(iter(self._dirty.values()), float("inf"))

    def take_changes(self, rows_max: int) -> Batch:
        """What is to be written next; `written` when it is."""
        names = list(islice(self._dirty, rows_max))
        for name in names:
            del self._dirty[name]
        held = [(name, self.held[name]) for name in names]
        return Batch(
            [(each.written, each.row) for _, each in held],
            {name: each.version for name, each in held},
        )

    def written(self, batch: Batch) -> list[str]:
        """It is durable. Gives the regions it was of; orders of those that have not changed since may go."""
        names: list[str] = []
        for (_, row), (name, version) in zip(batch.rows, batch.versions.items(), strict=True):
            held = self.held.get(name)
            if held is None:
                continue
            names.append(name)
            held.written, held.written_version = row, version
            if held.version == version and held.order_id:
                self._give_order(held)
        return names

    def _give_order(self, held: Held) -> None:
        row = held.row
        server = row.sn
        assert server is not None, "a region that has an order is on its way to a server"
        order = Order(
            held.order_id,
            row.info,
            opens=row.state is RegionState.OPENING,
            life=row.life,
            store_id=held.to_store,
            open_seq_num=held.open_seq_num,
            is_fresh=self._is_fresh(held),
            hand_over=held.hand_over,
            destination=held.destination if row.state is RegionState.CLOSING else None,
        )
        self.outbox.give(server, order)

    def _change(
        self,
        held: Held,
        *,
        keeps_order: bool = False,
        state: RegionState,
        sn: ServerName | None = None,
        server: ServerName | None = None,
        open_seq_num: int | None = None,
        store: str | None = None,
        leftover: str | None = None,
    ) -> None:
        name, row = held.row.info.encoded_name, held.row
        self._unindex(held)
        if row.sn is not None:
            self.outbox.drop(row.sn, name)
        if not keeps_order:
            held.order_id = 0
        if row.state is RegionState.OPENING:  # by which the rows came is told, or they did not come
            held.hand_over = ""
        held.row = RegionRow(
            row.info,
            row.life,
            state,
            row.sn if sn is None else sn,
            row.server if server is None else server,
            row.open_seq_num if open_seq_num is None else open_seq_num,
            row.store if store is None else store,
            row.leftover if leftover is None else leftover,
        )
        held.since_ms = self._now_ms
        self._index(held)
        self._touch(held)

    def _touch(self, held: Held) -> None:
        held.version += 1
        name = held.row.info.encoded_name
        self._mark(name)
        self._todo[name] = None

    def _mark(self, name: str) -> None:
        if name not in self._dirty:
            self.changes += 1
            self._dirty[name] = self.changes

    def _index(self, held: Held) -> None:
        if held.row.state in ON_A_SERVER and held.row.sn is not None:
            self._on.setdefault(held.row.sn, {})[held.row.info.encoded_name] = None

    def _unindex(self, held: Held) -> None:
        if held.row.state in ON_A_SERVER and held.row.sn is not None:
            on = self._on.get(held.row.sn, {})
            on.pop(held.row.info.encoded_name, None)
            if not on:
                self._on.pop(held.row.sn, None)
