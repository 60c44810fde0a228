"""A loop in a thread of its own, and how threads without one have it do things."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from registry.loops import loop_factory
from registry.wire.errors import StoppedRpcClientException

T = TypeVar("T")


class LoopThread:
    """For any threads of the process that made it; `stop` ends it."""

    def __init__(self, name: str) -> None:
        self._loop = loop_factory()()
        self._process = os.getpid()
        self._taking = threading.RLock()
        """Held while something is given to the loop: nothing is, once it is told to end, as nobody would do it. The
        collector of garbage may call `begin` within."""
        self._stopping = threading.Lock()
        self._ending: Future[None] | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it, and wait for what it gives. StoppedRpcClientException after the end, and in a forked process."""
        if threading.get_ident() == self._thread.ident:
            work.close()
            raise RuntimeError("the connection's own thread would wait for itself")
        future = self._begun(work)
        try:
            return future.result()
        except CancelledError:
            raise StoppedRpcClientException("the connection was closed") from None
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the call need not go on
            raise

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Run it, if that is still of use: nobody waits, wherever the collector of garbage may have called this."""
        try:
            self._begun(work)
        except StoppedRpcClientException:
            return

    def stop(self, last: Coroutine[Any, Any, None]) -> None:
        """Run `last`, cancel all else and end the thread. Without effect the second time, and in a forked process."""
        if os.getpid() != self._process:
            last.close()
            return
        with self._stopping:
            with self._taking:
                if self._ending is None:
                    self._ending = asyncio.run_coroutine_threadsafe(self._end(last), self._loop)
                else:
                    last.close()
            if self._loop.is_closed():
                return
            try:
                self._ending.result()
            finally:
                if self._ending.done():
                    self._loop.call_soon_threadsafe(self._loop.stop)
                    self._thread.join()
                    self._loop.close()

    def _begun(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        why = "the connection was closed"
        if os.getpid() != self._process:
            why = "the connection is of the process that was forked: connect in this one"
        else:
            with self._taking:
                if self._ending is None:
                    return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise StoppedRpcClientException(why)

    async def _end(self, last: Coroutine[Any, Any, None]) -> None:
        try:
            await last
        finally:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()
