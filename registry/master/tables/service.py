"""MasterService of the active master, all but what `registry.master.services` answers itself.

A method that HBase has and this master does not is answered as one that nobody knows, which clients take for an older
server; a standby sends them to the active master first.

Source: MasterRpcServices, HMaster#shutdown, #stopMaster.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping

from protos.hbase import Client_pb2, Master_pb2
from registry.clock import Clock
from registry.master.cluster_work import ClusterWork
from registry.master.procedures.classes import CLASSES
from registry.master.procedures.runner import ProcedureRunner
from registry.master.tables import absent
from registry.master.tables.changing import Changing
from registry.master.tables.desk import Desk, request_of
from registry.master.tables.namespaces import Namespaces
from registry.master.tables.outside import TablesOutside
from registry.master.tables.progress import Progress
from registry.master.tables.reading import Reading
from registry.master.tables.regions import Regions
from registry.master.tables.switches import KeptSwitches, Switches
from registry.rpc.services import KEPT, Answer, Call, Handled, Handler, Kept
from registry.wire.errors import HBaseError, UnknownProtocolException
from registry.wire.text import lenient_text

logger = logging.getLogger("registry.master.tables")

ANSWER_FIRST_S = 0.1
"""A master that is told to stop answers first."""


class TableService:
    """Of one master process, over all its reigns. Belongs to the loop."""

    def __init__(
        self,
        work: Callable[[], ClusterWork],
        outside: TablesOutside,
        kept: KeptSwitches,
        clock: Clock,
        stop: Callable[[], None],
        shut_down: Callable[[], Awaitable[None]],
    ) -> None:
        """`work` raises what a master says that is not active or not ready; `stop` ends this process.

        `shut_down` has all servers of the cluster end.
        """
        self._desk = Desk(work)
        self._clock = clock
        self._outside = outside
        self._kept = kept
        self._stop = stop
        self._shut_down = shut_down
        self._progress = Progress(self._desk)
        self._switches = Switches(self._desk, kept)
        self._ending: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._mending: asyncio.Task[None] | None = None

    @property
    def procedures(self) -> ProcedureRunner | None:
        """Of the present reign, for pages and metrics."""
        return self._desk.runner

    @property
    def balancer_on(self) -> bool:
        """Where its switch is; there is no balancer yet that would heed it."""
        return self._kept["balancer"]

    async def begin(self, work: ClusterWork) -> None:
        """A reign has read hbase:meta: put right what ZooKeeper says, then go on with procedures."""
        await self._kept.read()
        mirror = self._outside.mirror
        await mirror.all(work)
        self._mending = asyncio.get_running_loop().create_task(mirror.mend(work), name="mirror")
        runner = ProcedureRunner(CLASSES, work, self._outside, self._clock)
        self._desk.runner = runner
        runner.start()

    def ended(self) -> None:
        """The reign is over."""
        self._progress.forget()
        if self._mending is not None:
            self._mending.cancel()
            self._mending = None
        runner, self._desk.runner = self._desk.runner, None
        if runner is not None:
            for task in runner.halt():
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    def handlers(self) -> Mapping[str, Handler]:
        """By method."""
        desk = self._desk
        found: dict[str, Handler] = {
            "getSecurityCapabilities": self._capabilities,
            "IsMasterInMaintenanceMode": self._maintenance,
            "getLastMajorCompactionTimestamp": self._compacted,
            "getLastMajorCompactionTimestampForRegion": self._compacted,
            "ClearDeadServers": self._clear_dead,
            "Shutdown": self._shutdown,
            "ExecMasterService": self._exec_service,
        }
        parts = (Reading(desk), Changing(desk, self._clock.wall_ms), Namespaces(desk), Regions(desk))
        for part in (*parts, self._progress, self._switches):
            found |= part.handlers()
        found |= absent.handlers()
        return {"StopMaster": self._stop_master, **{name: self._guarded(each) for name, each in found.items()}}

    def refuse(self, call: Call) -> Handled:
        """What is said to methods that are not here."""
        self._desk.check()
        raise absent.refusal(call.method.name)

    def _guarded(self, handler: Handler) -> Handler:
        """Where this master is active, and ready."""

        def guarded(call: Call) -> Handled | Kept:
            self._desk.check()
            handled = handler(call)
            if not inspect.isawaitable(handled):
                return handled
            # a procedure may take its time: it must not hold one of the handlers that others are answered by
            task = asyncio.get_running_loop().create_task(_answer_later(call, handled))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return KEPT

        return guarded

    def _capabilities(self, call: Call) -> Handled:
        del call  # it asks for all
        simple = Master_pb2.SecurityCapabilitiesResponse.SIMPLE_AUTHENTICATION
        return Master_pb2.SecurityCapabilitiesResponse(capabilities=[simple])

    def _maintenance(self, call: Call) -> Handled:
        del call  # there is no such mode
        return Master_pb2.IsInMaintenanceModeResponse(inMaintenanceMode=False)

    def _compacted(self, call: Call) -> Handled:
        del call  # stores do not tell
        return Master_pb2.MajorCompactionTimestampResponse(compaction_timestamp=0)

    def _clear_dead(self, call: Call) -> Handled:
        """Gives those that are not cleared: all, for the dead are forgotten by themselves."""
        asked = request_of(call, Master_pb2.ClearDeadServersRequest).server_name
        return Master_pb2.ClearDeadServersResponse(server_name=asked)

    def _exec_service(self, call: Call) -> Handled:
        """There are none on masters."""
        name = request_of(call, Client_pb2.CoprocessorServiceRequest).call.service_name
        raise UnknownProtocolException(
            f"No registered Master Coprocessor Endpoint found for {lenient_text(name)}. Has it been enabled?"
        )

    # --- ends -------------------------------------------------------------------------------------------------------

    def _stop_master(self, call: Call) -> Handled:
        """Without security anybody may, as in HBase; a standby is told by its own connection."""
        logger.warning("%s at %s stops this master", call.info.user or "somebody", call.peer_host)
        asyncio.get_running_loop().call_later(ANSWER_FIRST_S, self._stop)
        return Master_pb2.StopMasterResponse()

    async def _shutdown(self, call: Call) -> Handled:
        logger.warning("%s at %s shuts the cluster down", call.info.user or "somebody", call.peer_host)
        await self._shut_down()
        return Master_pb2.ShutdownResponse()


async def _answer_later(call: Call, handled: Awaitable[Handled]) -> None:
    try:
        message = await handled
    except asyncio.CancelledError:
        call.drop()
        raise
    except Exception as error:  # as the server's own, it is told to the client
        if not isinstance(error, HBaseError):
            logger.exception("%s failed", call.method.name)
        call.fail(error)
        return
    assert not isinstance(message, Answer), "no method of MasterService has cells"
    call.answer(message if isinstance(message, bytes) else message.SerializeToString())
