"""Which services a region has, and their calls: those of HBase on the loop, those of users in threads.

A service is there on the regions of tables whose attributes name its class, and on all where the server's settings do
(`hbase.coprocessor.region.classes`, `hbase.coprocessor.user.region.classes`); hbase:meta has MultiRowMutationService.
Where coprocessors are switched off (`hbase.coprocessor.enabled`, `hbase.coprocessor.user.enabled`) it is not.

Source: HRegion#execService, CoprocessorRpcUtils#getServiceName, RSRpcServices#execService, CoprocessorHost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from protos.hbase import Aggregate_pb2, Client_pb2, HBase_pb2, MultiRowMutation_pb2
from regionserver.client_service.known_gets import is_of_system
from regionserver.client_service.rows import as_hbase
from regionserver.client_service.watched import Client
from regionserver.endpoints.aggregates import METHODS
from regionserver.endpoints.aggregating import Aggregating
from regionserver.endpoints.api import Endpoint, unknown_method
from regionserver.endpoints.classes import LOADING
from regionserver.endpoints.multi_rows import RowsChange
from regionserver.endpoints.observers import Find, ObserverHost, UsersCode
from regionserver.endpoints.threads import Counts, Running
from regionserver.endpoints.view import Place
from regionserver.engine.store import StoreError
from regionserver.gate import Gate
from regionserver.master_calls import client_view
from regionserver.region.region import Region
from regionserver.turns import IsOver, Turns
from registry import coprocessors
from registry.clock import Clock
from registry.coprocessors import AGGREGATE, MULTI_ROW
from registry.wire.errors import DoNotRetryIOException, HBaseError, NotServingRegionException, UnknownProtocolException
from registry.wire.text import lenient_text

M = TypeVar("M", bound=Message)

Told = Callable[[HBase_pb2.NameBytesPair | HBaseError], None]
"""Hears once what the service answered."""

HBASE_PACKAGE = "hbase.pb."
_GENERATED = "org.apache.hadoop.hbase.protobuf.generated."
_AGGREGATE_RESPONSE = _GENERATED + "AggregateProtos$AggregateResponse"
_MUTATE_ROWS_RESPONSE = _GENERATED + "MultiRowMutationProtos$MutateRowsResponse"
_SERVICES = {"AggregateService": AGGREGATE, "MultiRowMutationService": MULTI_ROW}
"""Of HBase's own classes; clients leave out the package of these."""


class Asked(NamedTuple):
    """One call of a service."""

    call: Client_pb2.CoprocessorServiceCall
    is_wanted: Callable[[], bool]
    """Whether anybody still waits for the answer."""
    told: Told
    client: Client = Client()


class EndpointHost:
    """Those of one server. Belongs to its loop."""

    def __init__(
        self, find: Find, gate: Gate, clock: Clock, turns: Turns, users: UsersCode, observers: ObserverHost
    ) -> None:
        """`find` gives a region with its table's schema, or raises NotServingRegionException and its kind."""
        self._find = find
        self._gate = gate
        self._clock = clock
        self._turns = turns
        self._users = users
        self._observers = observers
        observers.run = self.run_action

    def run(self, spec: HBase_pb2.RegionSpecifier, asked: Asked) -> None:
        """Do a call. Raises what is known at once; later `told` hears it."""
        region, schema = self._find(spec)
        name = lenient_text(asked.call.service_name)
        short = name.removeprefix(HBASE_PACKAGE)
        classes = self._classes_of(spec, schema)
        if short in _SERVICES and _SERVICES[short] in classes:
            try:
                self._run_own(spec, region, short, asked)
            except StoreError as error:
                raise as_hbase(error) from error
            return
        own = _SERVICES.values()
        users = [each for each in classes if each not in own]
        if not users:
            raise no_service(name, region)
        self._run_users(spec, region, users, name, asked)

    def run_action(self, spec: HBase_pb2.RegionSpecifier, call: Client_pb2.CoprocessorServiceCall, told: Told) -> None:
        """The same of an action of a Multi, which is done to its end."""
        self.run(spec, Asked(call, lambda: True, told))

    @property
    def counts(self) -> Counts:
        """What has gone wrong with users' code, endpoints and observers alike."""
        return self._users.threads.counts

    def running(self, name: str) -> int:
        """Calls of a user's class that have not ended."""
        return self._users.threads.running(name)

    def _classes_of(self, spec: HBase_pb2.RegionSpecifier, schema: HBase_pb2.TableSchema) -> list[str]:
        settings = self._users.settings
        classes = [*settings.classes, *(coprocessors.classes_of(schema) if settings.of_tables else ())]
        if not is_of_system(spec):
            classes += settings.user_classes
        elif settings.of_tables:  # hbase:meta is a table that names it
            classes.append(MULTI_ROW)
        return classes

    def _check(self, spec: HBase_pb2.RegionSpecifier, region: Region) -> None:
        """Raise where a region that was found is not this server's any more."""
        self._gate.check()
        if self._find(spec)[0] is not region:
            raise NotServingRegionException(f"{region.where.name} was opened anew")

    # --- HBase's own ------------------------------------------------------------------------------------------------

    def _run_own(self, spec: HBase_pb2.RegionSpecifier, found: Region, service: str, asked: Asked) -> None:
        method, name = lenient_text(asked.call.method_name), HBASE_PACKAGE + service
        watched = self._observers.calls_of(spec, found)
        if service == "AggregateService":
            if method not in METHODS:
                raise unknown_method(method, name)
            request = _parsed(Aggregate_pb2.AggregateRequest, asked.call.request)
            if watched is None:
                self._aggregate(spec, found, method, request, asked)
            else:
                opening = partial(watched.reads.opening, asked.client, request.scan)
                watched.told(opening, partial(self._opened, spec, found, method, request, asked))
            return
        if method != "MutateRows":
            raise unknown_method(method, name)
        changes = RowsChange(client_view(found), _parsed(MultiRowMutation_pb2.MutateRowsRequest, asked.call.request))
        if watched is None:
            changes.write(int(self._clock.wall_ms()), partial(self._rows_changed, asked))
        else:
            holds = partial(changes.holds, int(self._clock.wall_ms()))
            work = partial(watched.writes.change_rows, asked.client, changes.asked, holds)
            watched.told(work, partial(self._rows_changed, asked))

    def _opened(
        self,
        spec: HBase_pb2.RegionSpecifier,
        found: Region,
        method: str,
        request: Aggregate_pb2.AggregateRequest,
        asked: Asked,
        outcome: Client_pb2.Scan | HBaseError,
    ) -> None:
        """Observers have let a scan be opened."""
        if isinstance(outcome, HBaseError):
            asked.told(outcome)
            return
        request.scan.CopyFrom(outcome)
        try:
            self._check(spec, found)
            self._aggregate(spec, found, method, request, asked)
        except (HBaseError, StoreError) as error:
            asked.told(as_hbase(error))

    def _aggregate(
        self,
        spec: HBase_pb2.RegionSpecifier,
        found: Region,
        method: str,
        request: Aggregate_pb2.AggregateRequest,
        asked: Asked,
    ) -> None:
        aggregating = Aggregating(client_view(found), method, request, int(self._clock.wall_ms()))
        self._turns.take(_AggregateWork(aggregating, asked, partial(self._check, spec, found)))

    def _rows_changed(self, asked: Asked, outcome: bool | HBaseError) -> None:
        doubt = self._gate.doubt()
        if doubt is not None or isinstance(outcome, HBaseError):
            asked.told(doubt or outcome)  # pyright: ignore[reportArgumentType]  one of them is an error
        else:
            response = MultiRowMutation_pb2.MutateRowsResponse(processed=outcome)
            asked.told(_pair(_MUTATE_ROWS_RESPONSE, response))

    # --- users' -----------------------------------------------------------------------------------------------------

    def _run_users(
        self, spec: HBase_pb2.RegionSpecifier, region: Region, classes: Sequence[str], service: str, asked: Asked
    ) -> None:
        """Find the class that has the service, in a thread where one of them was not loaded yet, and call it."""
        known, threads = self._users.classes, self._users.threads
        unknown = known.unknown_of(classes)
        if unknown:

            def load(_: Running[None]) -> None:
                known.load(unknown)

            def loaded(outcome: HBaseError | None) -> None:
                if outcome is not None:
                    asked.told(outcome)
                    return
                try:
                    self._run_users(spec, region, classes, service, asked)
                except HBaseError as error:
                    asked.told(error)

            place = Place(region, self._gate.check, self._clock)
            threads.start([LOADING], load, place, self._users.settings.timeout_ms, loaded, may_wait=True)
            return
        for name in classes:
            made = known.get(name)
            if made is None or not issubclass(made, Endpoint):
                continue
            if service in (made.service, made.service.removeprefix(HBASE_PACKAGE)):
                self._call(spec, region, name, asked)
                return
        raise no_service(service, region)

    def _call(self, spec: HBase_pb2.RegionSpecifier, region: Region, name: str, asked: Asked) -> None:
        classes = self._users.classes
        instances = classes.instances(region)
        method, request = lenient_text(asked.call.method_name), asked.call.request

        def work(running: Running[HBase_pb2.NameBytesPair]) -> HBase_pb2.NameBytesPair:
            endpoint = classes.make(name, instances)
            assert isinstance(endpoint, Endpoint), "it is of that class"
            answer = endpoint.call(running.view, method, request)
            if not isinstance(answer, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  it is a user's
                raise TypeError(f"{name} answers bytes, not {type(answer).__name__}")
            return HBase_pb2.NameBytesPair(name=endpoint.response_name(method), value=answer)

        def told(outcome: HBase_pb2.NameBytesPair | HBaseError) -> None:
            doubt = None if isinstance(outcome, HBaseError) else self._gate.doubt()
            asked.told(doubt or outcome)

        place = Place(client_view(region), partial(self._check, spec, region), self._clock)
        self._users.threads.start([name], work, place, self._users.settings.timeout_ms, told)


class _AggregateWork:
    """An aggregation, for a call that was kept."""

    __slots__ = ("_aggregating", "_asked", "_check")

    def __init__(self, aggregating: Aggregating, asked: Asked, check: Callable[[], None]) -> None:
        self._aggregating = aggregating
        self._asked = asked
        self._check = check

    def turn(self, now_ms: float, is_over: IsOver) -> bool:
        """Read on; all is done when there is an answer, or nobody waits for it."""
        del now_ms
        outcome: HBase_pb2.NameBytesPair | HBaseError
        try:
            if not self._asked.is_wanted():
                outcome = DoNotRetryIOException("nobody waits for the answer any more")
            else:
                self._check()
                response = self._aggregating.turn(is_over)
                if response is None:
                    return False
                outcome = _pair(_AGGREGATE_RESPONSE, response)
        except (HBaseError, StoreError) as error:
            outcome = as_hbase(error)
        self._aggregating.close()
        self._asked.told(outcome)
        return True

    def fail(self, error: HBaseError) -> None:
        """Tell the client."""
        self._aggregating.close()
        self._asked.told(error)


def no_service(name: str, region: Region) -> UnknownProtocolException:
    """No class of the region's has it."""
    return UnknownProtocolException(f"No registered coprocessor service found for {name} in region {region.where.name}")


def _parsed(message: type[M], data: bytes) -> M:
    try:
        request = message.FromString(data)
        if not request.IsInitialized():
            raise DecodeError(f"Message of type {request.DESCRIPTOR.full_name} is missing required fields")
    except DecodeError as error:
        raise DoNotRetryIOException(str(error)) from None
    return request


def _pair(name: str, message: Message) -> HBase_pb2.NameBytesPair:
    return HBase_pb2.NameBytesPair(name=name, value=message.SerializeToString())
