"""What a master sends to ZooKeeper beside reads: create, set, delete and multi, through the one queue of `client`.

The requests are put on kazoo's queue as they are. Its comfortable methods try again by themselves, and a create that
is tried again after a lost connection tells a master that somebody else has its node.

Source: kazoo 2.11, `client.py` (`_call`) and `protocol/serialization.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from kazoo import exceptions as kazoo_exceptions
from kazoo import security as kazoo_security
from kazoo.protocol import serialization as kazoo_serialization

from registry.lookup.snapshot import ZnodeStat
from registry.zk.client import ZooKeeperClient
from registry.zk.requests import Check, Children, Create, Delete, Get, Multi, Reply, Request, Result, SetData

# kazoo has no types: what is taken from it is Any, and stays in this file
_exceptions: Any = cast("Any", kazoo_exceptions)
_wire: Any = cast("Any", kazoo_serialization)
_OPEN: Any = cast("Any", kazoo_security).OPEN_ACL_UNSAFE
_EPHEMERAL_FLAG = 1

_RESULTS: tuple[tuple[Any, Result], ...] = (
    (_exceptions.NoNodeError, Result.NO_NODE),
    (_exceptions.NodeExistsError, Result.NODE_EXISTS),
    (_exceptions.NotEmptyError, Result.NOT_EMPTY),
    (_exceptions.BadVersionError, Result.BAD_VERSION),
    (_exceptions.NoAuthError, Result.NO_AUTH),
    (_exceptions.ConnectionLoss, Result.LOST),
    (_exceptions.SessionExpiredError, Result.LOST),
    (_exceptions.AuthFailedError, Result.LOST),
)
_FOLLOWS: Any = (_exceptions.RolledBackError, _exceptions.RuntimeInconsistency)
"""What the operations of a multi get that did not fail themselves."""

Done = Callable[[Reply], object]


class WritingClient(ZooKeeperClient):
    """One kazoo client, one session; all methods and callbacks on the loop, as in `ZooKeeperClient`."""

    def ask(self, request: Request, fired: Callable[[str], None], done: Done) -> None:
        """Send a request; `fired` is called once with the path when what a `Get` watches changes."""
        if isinstance(request, Get):
            result = self._client.get_async(request.path, watch=_Watch(fired) if request.watch else None)
        elif isinstance(request, Children):
            result = self._client.get_children_async(request.path)
        else:
            result = self._client.handler.async_result()
            self._client._call(_written(request), result)  # noqa: SLF001

        def completed(ended: Any) -> None:
            done(_reply(request, ended))

        result.rawlink(completed)


class _Watch:
    """Called by kazoo for each event; news of the connection come another way."""

    __slots__ = ("_fired",)

    def __init__(self, fired: Callable[[str], None]) -> None:
        self._fired = fired

    def __call__(self, event: Any) -> None:
        if event.type != "NONE":
            self._fired(str(event.path))


def _written(request: Create | Delete | SetData | Check | Multi) -> Any:
    if isinstance(request, Create):
        return _wire.Create(request.path, request.data, _OPEN, _EPHEMERAL_FLAG if request.ephemeral else 0)
    if isinstance(request, Delete):
        return _wire.Delete(request.path, request.version)
    if isinstance(request, SetData):
        return _wire.SetData(request.path, request.data, request.version)
    if isinstance(request, Check):
        return _wire.CheckVersion(request.path, request.version)
    return _wire.Transaction([_written(operation) for operation in request.operations])


def _reply(request: Request, ended: Any) -> Reply:
    error: Any = ended.exception
    value: Any = ended.value
    if error is None and isinstance(request, Multi):
        failures = [one for one in value if isinstance(one, Exception)]
        error = next((one for one in failures if not isinstance(one, _FOLLOWS)), failures[0] if failures else None)
    if error is not None:
        result = next((result for kind, result in _RESULTS if isinstance(error, kind)), Result.FAILED)
        return Reply(result, problem=f"{type(error).__name__}: {error}".rstrip(": "))
    if isinstance(request, Get):
        return Reply(Result.OK, bytes(value[0] or b""), ZnodeStat(*value[1]))
    if isinstance(request, Children):
        return Reply(Result.OK, children=tuple(sorted(value)))
    return Reply(Result.OK)
