"""Calls on connections whose cell blocks are compressed: plain before the handler sees them, compressed after it.

    frame ─► submit ─► cells decompressed ─► scheduler ─► handler ─► answer ─► cells compressed ─► frame

Small blocks are done where they are met; larger ones in threads, for the loop stands still for none of them.
Connections without a compressor do not come here.

Source: ServerRpcConnection#processRequest, ServerCall#setResponse; CellBlockBuilder. A real server takes whatever comes
out of a block; here it is bounded as an uncompressed request is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from registry.rpc.services import Call, Caller
from registry.wire.compression import COMPRESSORS, BlockTooLarge
from registry.wire.errors import (
    CallQueueTooBigException,
    DoNotRetryIOException,
    HBaseError,
    ProtocolError,
    RequestTooBigException,
)
from registry.wire.preamble import unable_to_read, worded

AT_ONCE_BYTES_MAX = 64 * 1024
"""Plain bytes that the loop compresses itself: less than a millisecond, and a thread costs a tenth of one."""
LATER_BYTES_MAX = 256 * 1024 * 1024
"""Blocks that are with the threads or wait for them; more are refused, and their clients come again."""
THREADS = 2


class Connection(Protocol):
    """The connection that a call came on."""

    def fail(self, call: Call, error: BaseException) -> None:
        """Send the error."""
        ...

    def close(self) -> None:
        """Send what is written, then close."""
        ...


class PackedCalls:
    """Those of one server. Belongs to its loop."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._threads: ThreadPoolExecutor | None = None
        self._loaded: set[str] = set()
        """Compressors that have run in a thread before: their libraries are there."""
        self.later_bytes = 0
        """What is with the threads."""

    def close(self) -> None:
        """Nothing more is compressed; calls that wait for it get no answer."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def take(self, call: Call, submit: Callable[[Call], None], connection: Connection, local: str) -> None:
        """Have `submit` get the call with its cells in plain, now or later; what it raises its client is told."""
        name = call.info.cell_block_compressor
        call.caller = _PackingCaller(call.caller, name, self)
        packed = call.cells
        if not packed:
            submit(call)
            return
        unpack, bytes_max = COMPRESSORS[name].decompress, self._frame_bytes_max

        def go_on(plain: bytes | BaseException) -> None:
            try:
                if isinstance(plain, BaseException):
                    raise plain
                call.cells = plain
                call.frame_bytes += len(plain) - len(packed)
                submit(call)
            except BlockTooLarge:
                connection.fail(call, _too_big(call, bytes_max))
                connection.close()
            except ProtocolError as error:
                connection.fail(call, unable_to_read(DoNotRetryIOException(str(error)), local, call.peer_host))
            except HBaseError as error:
                connection.fail(call, error)

        if name in self._loaded and len(packed) <= AT_ONCE_BYTES_MAX:
            try:
                plain = unpack(packed, min(AT_ONCE_BYTES_MAX, bytes_max))
            except BlockTooLarge:
                pass  # for the loop; a thread may take more
            except ProtocolError as error:
                go_on(error)
                return
            else:
                go_on(plain)
                return
        self.later(call, name, len(packed), partial(unpack, packed, bytes_max), go_on)

    def pack(self, call: Call, name: str, plain: bytes, go_on: Callable[[bytes | BaseException], None]) -> None:
        """Compress the cells of an answer, now or later."""
        compress = COMPRESSORS[name].compress
        if name in self._loaded and len(plain) <= AT_ONCE_BYTES_MAX:
            go_on(compress(plain))
        else:
            self.later(call, name, len(plain), partial(compress, plain), go_on)

    def later(
        self,
        call: Call,
        name: str,
        count_bytes: int,
        work: Callable[[], bytes],
        go_on: Callable[[bytes | BaseException], None],
    ) -> None:
        """Do the work of that compressor in a thread, and go on here with what came of it."""
        if self.later_bytes + count_bytes > LATER_BYTES_MAX:
            go_on(CallQueueTooBigException("too many bytes of cell blocks wait to be compressed"))
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "cell blocks")
        self.later_bytes += count_bytes
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)

        def ended(done: asyncio.Future[bytes]) -> None:
            self.later_bytes -= count_bytes
            if done.cancelled():
                call.caller.drop(call)
                return
            self._loaded.add(name)
            go_on(done.exception() or done.result())

        done.add_done_callback(ended)


class _PackingCaller:
    """Stands before the caller of one call, and compresses the cells of its answer. Implements services.Caller."""

    __slots__ = ("_caller", "_calls", "_name")

    def __init__(self, caller: Caller, name: str, calls: PackedCalls) -> None:
        self._caller = caller
        self._name = name
        self._calls = calls

    @property
    def is_open(self) -> bool:
        return self._caller.is_open

    def answer(self, call: Call, message: bytes, cells: bytes) -> None:
        if not cells or not self.is_open:
            self._caller.answer(call, message, b"")
            return

        def go_on(packed: bytes | BaseException) -> None:
            if isinstance(packed, BaseException):
                self.fail(call, packed)
            else:
                self._caller.answer(call, message, packed)

        self._calls.pack(call, self._name, cells, go_on)

    def fail(self, call: Call, error: BaseException) -> None:
        self._caller.fail(call, error)

    def drop(self, call: Call) -> None:
        self._caller.drop(call)


def _too_big(call: Call, bytes_max: int) -> HBaseError:
    text = (
        f"RPC data length of more than {bytes_max} received from {call.peer_host} is greater than max allowed "
        f'{bytes_max}. Set "hbase.ipc.max.request.size" on server to override this limit (not recommended)'
    )
    return worded((RequestTooBigException if call.info.has_minimum_version(1, 3) else DoNotRetryIOException)(text))
