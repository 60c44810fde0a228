"""One reading of HBase's znodes: a session is opened, everything is read, the session is closed.

For clients that look a cluster up by ZooKeeper. It runs in a thread of its own, since kazoo blocks while it connects;
the loop only waits. The session is asked to be read-only where the ensemble has lost its quorum.

Source: kazoo.client.KazooClient; ZKConnectionRegistry, which reads lazily and sets no watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry.lookup.snapshot import FactState, Znode
from registry.zk.paths import ZNodePaths

SESSION_TIMEOUT_MS = 10_000
"""Asked for; the session ends with its close, so this matters only where the process dies before."""


class ZooKeeperUnavailable(Exception):
    """No session, or it was lost while reading; the text says which and with whom."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Znodes by path as they were read, and the last zxid that the session saw."""

    znodes: Mapping[str, Znode]
    zxid: int


async def read_registry(
    hosts: str,
    paths: ZNodePaths,
    *,
    timeout_ms: float,
    connect_timeout_ms: float,
    auth: str = "",
    from_leader: bool = False,
) -> Reading:
    """Read what look-ups need below one root. `hosts` is `host:port,...`, `auth` `SCHEME:CREDENTIAL` or empty.

    With `from_leader` the server catches up with its leader first (`sync`), and one that has none is not taken.
    Raises ZooKeeperUnavailable within `timeout_ms`. Who cancels it leaves a thread behind that ends by itself in
    that time.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Reading] = loop.create_future()

    def deliver(reading: Reading | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        elif reading is not None:
            result.set_result(reading)

    def work() -> None:
        reading, error = None, None
        try:
            reading = _read(hosts, paths, timeout_ms / 1000, connect_timeout_ms / 1000, auth, from_leader)
        except BaseException as problem:  # noqa: BLE001 - handed to who waits
            error = problem
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, reading, error)

    # Not the loop's executor: that is joined at the end of asyncio.run, and would hold up whoever gave up waiting.
    threading.Thread(target=work, name="zookeeper reading", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await result
    except TimeoutError:
        raise ZooKeeperUnavailable(f"{hosts} was not read within {timeout_ms:.0f} ms") from None


def _read(
    hosts: str, paths: ZNodePaths, timeout_s: float, connect_timeout_s: float, auth: str, from_leader: bool
) -> Reading:
    """The reading itself, in its own thread."""
    from kazoo.client import KazooClient
    from kazoo.exceptions import KazooException
    from kazoo.handlers.threading import KazooTimeoutError
    from kazoo.retry import KazooRetry

    deadline = time.monotonic() + timeout_s
    scheme, _, credential = auth.partition(":")
    client: Any = KazooClient(
        hosts=hosts,
        timeout=SESSION_TIMEOUT_MS / 1000,
        read_only=not from_leader,
        auth_data=[(scheme, credential)] if auth else None,
        connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=2, max_delay=1.0),
    )
    connect_s = min(connect_timeout_s, timeout_s)
    connected = False
    try:
        client.start(timeout=connect_s)
        connected = True
        reads = _Reads(client, deadline)
        if from_leader:
            reads.catch_up()
        listed = reads.children(paths.root)
        # What the first answer is known to contain; the later reads are at least as new.
        zxid = client.last_zxid
        for path in dict.fromkeys((paths.cluster_id, paths.master, paths.meta, *paths.meta_children(listed))):
            reads.data(path)
        reads.children(paths.backup_masters)
        reads.children(paths.rs)
    except KazooTimeoutError:
        what = f"did not answer within {timeout_s:.1f} s" if connected else f"gave no session within {connect_s:.1f} s"
        raise ZooKeeperUnavailable(f"{hosts} {what}") from None
    except KazooException as error:
        raise ZooKeeperUnavailable(f"{hosts}: {type(error).__name__} {error}".rstrip()) from None
    finally:
        client.stop()
        client.close()
    return Reading(reads.znodes, max(zxid, 0))


class _Reads:
    """Reads one after the other within one deadline; what is absent or forbidden is an answer too."""

    def __init__(self, client: Any, deadline_s: float) -> None:
        self.znodes: dict[str, Znode] = {}
        self._client = client
        self._deadline_s = deadline_s

    def catch_up(self) -> None:
        """Wait until the server has all that its leader has now."""
        self._get(self._client.sync_async("/"))

    def data(self, path: str) -> None:
        """The data of a znode."""
        self._take(path, lambda: Znode(path, FactState.KNOWN, bytes(self._get(self._client.get_async(path))[0] or b"")))

    def children(self, path: str) -> tuple[str, ...]:
        """The names of the children of a znode."""
        listing = self._client.get_children_async
        self._take(path, lambda: Znode(path, FactState.KNOWN, children=tuple(sorted(self._get(listing(path))))))
        return self.znodes[path].children or ()

    def _take(self, path: str, read: Callable[[], Znode]) -> None:
        from kazoo.exceptions import NoAuthError, NoNodeError

        try:
            self.znodes[path] = read()
        except NoNodeError:
            self.znodes[path] = Znode(path, FactState.ABSENT)
        except NoAuthError:
            self.znodes[path] = Znode(path, FactState.FORBIDDEN)

    def _get(self, waiting: Any) -> Any:
        return waiting.get(timeout=max(0.001, self._deadline_s - time.monotonic()))
