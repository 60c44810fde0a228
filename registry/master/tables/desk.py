"""What handlers of MasterService share: the cluster to work on, procedures, and who asks.

Source: MasterRpcServices, HMaster#checkInitialized, MasterProcedureUtil#submitProcedure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from registry.master.catalogue import Catalogue
from registry.master.cluster_work import ClusterWork
from registry.master.epoch import NotActing
from registry.master.procedures.procedure import Nonce
from registry.master.procedures.runner import Ack, ProcedureRunner
from registry.master.procedures.steps import Class
from registry.rpc.services import Call
from registry.wire.errors import DoNotRetryIOException, PleaseHoldException, ServerNotRunningYetException
from registry.wire.text import no_text_in

M = TypeVar("M", bound=Message)


class Asked(Protocol):
    """A request that says which operation it is, so that it can be asked again."""

    @property
    def nonce_group(self) -> int:
        """Of the client."""
        ...

    @property
    def nonce(self) -> int:
        """Of the operation; 0: none."""
        ...


class Desk:
    """Belongs to the loop. Its methods raise what a master says that is not active, or not ready."""

    def __init__(self, work: Callable[[], ClusterWork]) -> None:
        """`work` gives the cluster, or raises ServerNotRunningYetException or PleaseHoldException."""
        self._work = work
        self.runner: ProcedureRunner | None = None
        """Of the present reign."""

    @property
    def work(self) -> ClusterWork:
        """The cluster."""
        return self._work()

    @property
    def catalogue(self) -> Catalogue:
        """All tables, regions and namespaces."""
        return self._work().catalogue

    @property
    def procedures(self) -> ProcedureRunner:
        """Those of this reign."""
        self._work()
        if self.runner is None:
            raise PleaseHoldException("Master is initializing")
        return self.runner

    def check(self) -> None:
        """Nothing, where this master may answer."""
        assert self.procedures is not None

    async def submit(
        self,
        call: Call,
        kind: Class,
        make: Callable[[], Message | Sequence[Message]],
        *,
        asked: Asked | None = None,
        ack: Ack = Ack.CHECKED,
    ) -> int:
        """The id of the procedure that does what is asked; `make` gives what it is about, or refuses."""

        def parts() -> Sequence[Message]:
            made = make()
            return (made,) if isinstance(made, Message) else made

        nonce = None if asked is None else Nonce.of(asked.nonce_group, asked.nonce)
        try:
            return await self.procedures.submit(kind, parts, nonce=nonce, owner=owner(call), ack=ack)
        except NotActing:
            raise ServerNotRunningYetException("Server is not running yet") from None


def request_of(call: Call, kind: type[M]) -> M:
    """The request, which has the method's type. Raises DoNotRetryIOException where a text in it is none."""
    assert isinstance(call.request, kind), f"{call.method.name} takes {kind.DESCRIPTOR.name}"
    if field := no_text_in(call.request):
        raise DoNotRetryIOException(f"{field} is not UTF-8")
    return call.request


def owner(call: Call) -> str:
    """Who asks, as lists of procedures show it."""
    return call.info.user.partition("@")[0].partition("/")[0]
