"""The stores of one region server: its home, and those that it has taken over from others of its machine.

    DATA/stores/1, 2, ...    one store each (regionserver.engine.place); all region servers of the machine see them
    DATA/stores/N/founded    one line, the store's id: from then on its database has that id, or is not the store's
    DATA/stores/N/cluster    what it remembers of its cluster (regionserver.hosting.store_mark)
    DATA/stores/lock         flock(2) while a server looks for its own or makes it: one after another

At its start a server takes the lowest-numbered store that nobody has, or makes the next. Others it opens when the
master orders a region that lies there. Where the owner is one that the master holds for dead, and it still runs, it is
killed first: a server that hangs or was stopped never writes again, whatever it meant to do.

Source: pidfd_open(2), flock(2). HBase fences by the lease of a log's file instead (RecoverLeaseFSUtils).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from protos.hbeacon import ClusterV1_pb2
from regionserver.client_service.nonces import Nonce, read_kept
from regionserver.engine.grouped import GroupedStore
from regionserver.engine.memory import MemoryStore
from regionserver.engine.place import Owner, StoreInUse, StorePlace, identity_of, owner_of, process_started
from regionserver.engine.store import Batch, Durability, Store, StoreError, StoreNotUsable
from regionserver.hosting.reserved import IDENTITY_KEY
from regionserver.hosting.store_files import StoreFiles, files_of
from regionserver.hosting.store_mark import UNMARKED, StoreMark, read_mark, write_mark
from registry.durable import read_line, write_line
from registry.locked import Held, take_lock

if TYPE_CHECKING:
    from regionserver.engine.rocksdb import RocksMemory

ROCKSDB, MEMORY = "rocksdb", "memory"
STORES, HAND_OVERS, FOUNDED, LOCK = "stores", "hand-over", "founded", "lock"
CACHE_BYTES = 64 << 20
BUFFERS_BYTES = 256 << 20
KILL_WAIT_S = 10.0
"""A process that was killed is gone when the kernel is done with its last call; a disk may hold that up."""
RACE_WAIT_S = 0.2
"""A process that has just ended holds its lock until the kernel is done with it."""
START_WAIT_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenStore:
    """One that this server has."""

    store_id: str
    store: GroupedStore
    """Commits of one turn of the loop are one."""
    place: StorePlace | None
    """None in memory."""
    nonces: Mapping[Nonce, float] = field(default_factory=dict[Nonce, float])
    """What its earlier owners did for clients that may ask again."""
    mark: StoreMark = UNMARKED
    """What it remembers."""


class Stores:
    """Those of one process. What touches the disk: `open_home`, `reached`, `files`, `close`; the rest is the loop's."""

    def __init__(
        self,
        data_dir: Path | None,
        engine: str = ROCKSDB,
        *,
        cache_bytes: int = CACHE_BYTES,
        buffers_bytes: int = BUFFERS_BYTES,
        broken: Callable[[StoreError], object] = lambda _error: None,
        inherit: Callable[[Mapping[Nonce, float]], object] = lambda _done: None,
    ) -> None:
        """`cache_bytes` and `buffers_bytes` for all its stores together.

        `broken` is called, more than once maybe, when a store can no longer be trusted: the server has to end.
        `inherit` is called with the nonces of each store before it is used.
        """
        assert engine in (ROCKSDB, MEMORY), engine
        assert engine == MEMORY or data_dir is not None, "rocksdb needs a directory"
        self.data_dir = data_dir
        self._engine = engine
        self._limits = cache_bytes, buffers_bytes
        self._memory: RocksMemory | None = None
        self._broken = broken
        self._inherit = inherit
        self._server = ""
        self._open: dict[str, OpenStore] = {}
        self._opening: dict[str, asyncio.Task[Store]] = {}
        self._known: dict[str, str] = {}
        """Ids of directories; they never change."""
        self._marking = asyncio.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._home = ""

    # --- what is open -----------------------------------------------------------------------------------------------

    @property
    def home(self) -> str:
        """The id of this server's own store."""
        return self._home

    @property
    def hand_overs(self) -> Path | None:
        """Where regions lie on their way from one store to another; None in memory without a directory."""
        return None if self.data_dir is None else self.data_dir / HAND_OVERS

    def get(self, store_id: str) -> Store | None:
        """A store that is open here."""
        found = self._open.get(store_id)
        return found.store if found is not None else None

    def __iter__(self) -> Iterator[OpenStore]:
        """Open ones, home first."""
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def set_server(self, server: str) -> None:
        """The name under which this process serves, for others of the machine; a few microseconds a store."""
        self._server = server
        for each in self._open.values():
            if each.place is not None:
                each.place.set_server(server)

    # --- opening ----------------------------------------------------------------------------------------------------

    def open_home(self) -> str:
        """Take or make this server's own store, and give its id. Raises StoreNotUsable; takes 10 to 50 ms."""
        if self._engine == MEMORY:
            opened = OpenStore(str(uuid.uuid4()), GroupedStore(MemoryStore(), _call_soon), None)
        else:
            with self._start_of_one():
                place = self._home_place()
            opened = self._opened(place)
        self._inherit(opened.nonces)
        self._open[opened.store_id] = opened
        self._home = opened.store_id
        return self._home

    @contextlib.contextmanager
    def _start_of_one(self) -> Generator[None]:
        """Servers that start together find, make and take their stores one after another."""
        directory = self._stores_dir()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = take_lock(directory / LOCK, START_WAIT_S)
        except OSError as error:
            raise StoreNotUsable(f"{directory} cannot be used: {error.strerror or error}") from None
        except Held:
            raise StoreNotUsable(
                f"{directory / LOCK} has been held by another server for {START_WAIT_S:.0f} s"
            ) from None
        try:
            yield
        finally:
            os.close(lock)

    def _home_place(self) -> StorePlace:
        for number in count(1):
            directory = self._stores_dir() / str(number)
            identity_of(directory, self._engine)  # a newer format is no reason to begin beside it
            owner = owner_of(directory)
            wait_s = 0.0 if owner is not None and owner.is_alive else RACE_WAIT_S
            with contextlib.suppress(StoreInUse):
                return StorePlace(directory, self._engine, self._server, wait_s)
        raise AssertionError("there is a free number")

    async def open(self, store_id: str, dead: Collection[str] = ()) -> Store:
        """Open a store of the machine by its id, in a thread; several may ask for it at once.

        `dead`: server names whose stores may be taken by killing them. Raises StoreNotUsable.
        """
        found = self._open.get(store_id)
        if found is not None:
            return found.store
        task = self._opening.get(store_id)
        if task is None:
            task = self._opening[store_id] = asyncio.ensure_future(self._take(store_id, dead))
            task.add_done_callback(lambda _task: self._opening.pop(store_id, None))
        return await asyncio.shield(task)

    async def _take(self, store_id: str, dead: Collection[str]) -> Store:
        if self._engine == MEMORY:
            raise StoreNotUsable(f"{store_id} is no store of this server, and its rows are in memory only")
        if self._threads is None:  # one thread: a database holds up all others anyway while it opens
            self._threads = ThreadPoolExecutor(1, "stores")
        opened = await asyncio.get_running_loop().run_in_executor(self._threads, self._taken, store_id, dead)
        self._inherit(opened.nonces)
        self._open[store_id] = opened
        if opened.place is not None and self._server:
            opened.place.set_server(self._server)
        return opened.store

    def _taken(self, store_id: str, dead: Collection[str]) -> OpenStore:
        directory = self._directory_of(store_id)
        if directory is None:
            raise StoreNotUsable(f"{self._stores_dir()} has no store {store_id}")
        owner = owner_of(directory)
        wait_s = RACE_WAIT_S
        if owner is not None and owner.is_alive and owner.server and owner.server in dead:
            _log.warning("%s belongs to %s, which is dead to the master: process %d is killed",
                         directory, owner.server, owner.pid)  # fmt: skip
            kill_owner(owner)
            wait_s = KILL_WAIT_S
        elif owner is None or not owner.is_alive:
            wait_s = KILL_WAIT_S  # what still holds the lock is on its way out
        opened = self._opened(StorePlace(directory, self._engine, self._server, wait_s))
        _log.info("%s is open: store %s, last of %s", directory, store_id, owner.server if owner else "nobody")
        return opened

    def _opened(self, place: StorePlace) -> OpenStore:
        from regionserver.engine.rocksdb import RocksMemory, RocksStore  # rocksdict takes 20 ms to import

        try:
            if self._memory is None:
                self._memory = RocksMemory.of(*self._limits)
            store = RocksStore(place.database, self._memory)
            store.when_broken = self._broken
            try:
                _check_identity(place, store)
                nonces = read_kept(store)
                mark = _mark_of(place.directory)
            except BaseException:
                store.close()
                raise
        except BaseException:
            place.close()
            raise
        return OpenStore(place.store_id, GroupedStore(store, _call_soon), place, nonces, mark)

    # --- what they remember -----------------------------------------------------------------------------------------

    async def mark_cluster(self) -> None:
        """All that are open belong to a cluster that has an hbase:meta. Raises StoreNotUsable."""
        async with self._marking:
            for each in self:
                if not each.mark.in_cluster:
                    await self._write_mark(each.store_id, StoreMark(True))

    async def mark_meta(self, store_id: str, meta: tuple[int, int]) -> None:
        """It has hbase:meta, by this order: said before the opening is reported. Raises StoreNotUsable."""
        async with self._marking:
            await self._write_mark(store_id, StoreMark(True, meta))

    async def unmark_meta(self, store_id: str) -> None:
        """Rows of hbase:meta were dropped from it. Raises StoreNotUsable."""
        async with self._marking:
            await self._write_mark(store_id, StoreMark(True))

    async def _write_mark(self, store_id: str, mark: StoreMark) -> None:
        opened = self._open[store_id]
        if opened.place is not None:
            try:
                await asyncio.to_thread(write_mark, opened.place.directory, mark)
            except OSError as error:
                raise StoreNotUsable(f"{opened.place.directory} cannot be marked: {error.strerror or error}") from None
        self._open[store_id] = replace(opened, mark=mark)

    # --- what there is ----------------------------------------------------------------------------------------------

    def reached(self) -> list[ClusterV1_pb2.ReachedStore]:
        """All stores that this server sees, open or not, as it reports them to the master."""
        states = ClusterV1_pb2.ReachedStore
        found = [
            _marked(
                states(store_id=each.store_id, reach=states.OPEN, home=each.store_id == self._home, owner=self._server),
                each.mark,
            )
            for each in self
        ]
        mine = set(self._open)
        for directory in self._directories():
            store_id = self._identity(directory)
            if store_id is None or store_id in mine:
                continue
            owner = owner_of(directory)
            is_owned = owner is not None and owner.is_alive
            reached = states(
                store_id=store_id,
                reach=states.OWNED if is_owned else states.FREE,
                owner=owner.server if owner is not None else "",
            )
            found.append(_marked(reached, _mark_of(directory)))
        return found

    def files(self) -> dict[str, StoreFiles]:
        """What lies in files of each that is open here, by its id; nothing of stores in memory."""
        return {each.store_id: files_of(each.place.database) for each in self if each.place is not None}

    def close(self) -> None:
        """Close all; their locks are free afterwards."""
        if self._threads is not None:
            self._threads.shutdown()
        for each in self:
            each.store.close()
            if each.place is not None:
                each.place.close()
        self._open.clear()

    def _stores_dir(self) -> Path:
        assert self.data_dir is not None
        return self.data_dir / STORES

    def _directories(self) -> list[Path]:
        if self._engine == MEMORY:
            return []
        with contextlib.suppress(OSError):
            numbered = [path for path in self._stores_dir().iterdir() if path.name.isdecimal()]
            return sorted(numbered, key=lambda path: int(path.name))
        return []

    def _identity(self, directory: Path) -> str | None:
        known = self._known.get(directory.name)
        if known is None:
            try:
                known = identity_of(directory, self._engine)
            except StoreNotUsable as error:
                _log.warning("%s", error)
            if known is not None:
                self._known[directory.name] = known
        return known

    def _directory_of(self, store_id: str) -> Path | None:
        return next((path for path in self._directories() if self._identity(path) == store_id), None)


def _mark_of(directory: Path) -> StoreMark:
    """One that cannot be read hides no store: it is one more reason to found nothing."""
    try:
        return read_mark(directory)
    except (OSError, ValueError) as error:
        _log.warning("%s", error)
        return StoreMark(in_cluster=True)


def _marked(message: ClusterV1_pb2.ReachedStore, mark: StoreMark) -> ClusterV1_pb2.ReachedStore:
    if mark.in_cluster:
        message.in_cluster = True
    if mark.meta is not None:
        message.meta_epoch, message.meta_open_seq_num = mark.meta
    return message


def _call_soon(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


def kill_owner(owner: Owner) -> None:
    """Kill that very process, and no other that has its number by now. Raises StoreNotUsable where it may not."""
    try:
        process = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return
    except OSError as error:
        raise StoreNotUsable(f"process {owner.pid} {owner.server} cannot be killed: {error.strerror}") from None
    try:
        if process_started(owner.pid) == owner.started:  # the descriptor is of that process from here on
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except OSError as error:
        raise StoreNotUsable(f"process {owner.pid} {owner.server} cannot be killed: {error.strerror}") from None
    finally:
        os.close(process)


def _check_identity(place: StorePlace, store: Store) -> None:
    """A database that was lost, and made anew by the engine's opening, is not opened empty."""
    found = store.get(IDENTITY_KEY)
    founded = place.directory / FOUNDED
    expected = place.store_id.encode()
    if found is None and read_line(founded) is None:
        errors: list[StoreError | None] = []
        batch = Batch()
        batch.put(IDENTITY_KEY, expected)
        store.commit(batch, Durability.POWER, errors.append)
        if errors and errors[0] is not None:
            raise StoreNotUsable(str(errors[0]))
        write_line(founded, place.store_id)
    elif found != expected:
        said = "none" if found is None else found[:64].decode("utf-8", "replace")
        raise StoreNotUsable(
            f"{place.directory}: its database was lost or is another's: store {place.store_id} is expected, it says"
            f" {said}"
        )
    elif read_line(founded) is None:
        write_line(founded, place.store_id)
