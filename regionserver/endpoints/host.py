"""Which services a region has, and their calls: those of HBase on the loop, those of users in threads.

A service is there on the regions of tables whose attributes name its class, and on all where the server's settings do
(`hbase.coprocessor.region.classes`, `hbase.coprocessor.user.region.classes`); hbase:meta has MultiRowMutationService.

Source: HRegion#execService, CoprocessorRpcUtils#getServiceName, RSRpcServices#execService, CoprocessorHost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from google.protobuf.message import DecodeError, Message

from protos.hbase import Aggregate_pb2, Client_pb2, HBase_pb2, MultiRowMutation_pb2
from regionserver.client_service.known_gets import is_of_system
from regionserver.client_service.rows import as_hbase
from regionserver.endpoints.aggregates import METHODS
from regionserver.endpoints.aggregating import Aggregating
from regionserver.endpoints.api import Endpoint, RegionView, unknown_method
from regionserver.endpoints.multi_rows import mutate_rows
from regionserver.endpoints.threads import Place, Threads
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

logger = logging.getLogger("regionserver.endpoints")

M = TypeVar("M", bound=Message)

Told = Callable[[HBase_pb2.NameBytesPair | HBaseError], None]
"""Hears once what the service answered."""
Found = tuple[Region, HBase_pb2.TableSchema]

HBASE_PACKAGE = "hbase.pb."
_GENERATED = "org.apache.hadoop.hbase.protobuf.generated."
_AGGREGATE_RESPONSE = _GENERATED + "AggregateProtos$AggregateResponse"
_MUTATE_ROWS_RESPONSE = _GENERATED + "MultiRowMutationProtos$MutateRowsResponse"
_SERVICES = {"AggregateService": AGGREGATE, "MultiRowMutationService": MULTI_ROW}
"""Of HBase's own classes; clients leave out the package of these."""


class HostSettings(NamedTuple):
    """What the server says of coprocessors."""

    classes: Sequence[str] = ()
    """hbase.coprocessor.region.classes: of all regions."""
    user_classes: Sequence[str] = ()
    """hbase.coprocessor.user.region.classes: of all but those of the system."""
    timeout_ms: float = 30_000.0
    """hbeacon.endpoints.timeout_ms: how long a user's endpoint may take."""


class Asked(NamedTuple):
    """One call of a service."""

    call: Client_pb2.CoprocessorServiceCall
    is_wanted: Callable[[], bool]
    """Whether anybody still waits for the answer."""
    told: Told


class EndpointHost:
    """Those of one server. Belongs to its loop."""

    def __init__(
        self,
        find: Callable[[HBase_pb2.RegionSpecifier], Found],
        gate: Gate,
        clock: Clock,
        turns: Turns,
        settings: HostSettings | None = None,
    ) -> None:
        """`find` gives a region with its table's schema, or raises NotServingRegionException and its kind."""
        self._find = find
        self._gate = gate
        self._clock = clock
        self._turns = turns
        self._settings = settings or HostSettings()
        self._threads = Threads()
        self._classes: dict[str, type[Endpoint] | None] = {}
        """Users' classes that were asked for; None where loading failed."""
        self._instances: WeakKeyDictionary[Region, dict[str, Endpoint]] = WeakKeyDictionary()

    def run(self, spec: HBase_pb2.RegionSpecifier, asked: Asked) -> None:
        """Do a call. Raises what is known at once; later `told` hears it."""
        region, schema = self._find(spec)
        name = lenient_text(asked.call.service_name)
        short = name.removeprefix(HBASE_PACKAGE)
        classes = self._classes_of(spec, schema)
        if short in _SERVICES and _SERVICES[short] in classes:
            try:
                self._run_own(spec, client_view(region), short, asked)
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

    def running(self, name: str) -> int:
        """Calls of a user's class that have not ended."""
        return self._threads.running(name)

    def _classes_of(self, spec: HBase_pb2.RegionSpecifier, schema: HBase_pb2.TableSchema) -> list[str]:
        classes = [*self._settings.classes, *coprocessors.classes_of(schema)]
        if is_of_system(spec):
            classes.append(MULTI_ROW)
        else:
            classes += self._settings.user_classes
        return classes

    def _check(self, spec: HBase_pb2.RegionSpecifier, region: Region) -> None:
        """Raise where a region that was found is not this server's any more."""
        self._gate.check()
        if self._find(spec)[0] is not region:
            raise NotServingRegionException(f"{region.where.name} was opened anew")

    # --- HBase's own ------------------------------------------------------------------------------------------------

    def _run_own(self, spec: HBase_pb2.RegionSpecifier, region: Region, service: str, asked: Asked) -> None:
        method, now_ms = lenient_text(asked.call.method_name), int(self._clock.wall_ms())
        found = self._find(spec)[0]
        if service == "AggregateService":
            if method not in METHODS:
                raise unknown_method(method, HBASE_PACKAGE + service)
            request = _parsed(Aggregate_pb2.AggregateRequest, asked.call.request)
            aggregating = Aggregating(region, method, request, now_ms)
            self._turns.take(_AggregateWork(aggregating, asked, partial(self._check, spec, found)))
            return
        if method != "MutateRows":
            raise unknown_method(method, HBASE_PACKAGE + service)

        def changed(outcome: MultiRowMutation_pb2.MutateRowsResponse | HBaseError) -> None:
            doubt = self._gate.doubt()
            if doubt is not None or isinstance(outcome, HBaseError):
                asked.told(doubt or outcome)  # pyright: ignore[reportArgumentType]  one of them is an error
            else:
                asked.told(_pair(_MUTATE_ROWS_RESPONSE, outcome))

        mutate_rows(region, _parsed(MultiRowMutation_pb2.MutateRowsRequest, asked.call.request), now_ms, changed)

    # --- users' -----------------------------------------------------------------------------------------------------

    def _run_users(
        self, spec: HBase_pb2.RegionSpecifier, region: Region, classes: Sequence[str], service: str, asked: Asked
    ) -> None:
        """Find the class that has the service, in a thread where one of them was not loaded yet, and call it."""
        unknown = [name for name in classes if name not in self._classes]
        if unknown:

            def loaded(outcome: bytes | HBaseError) -> None:
                if isinstance(outcome, HBaseError):
                    asked.told(outcome)
                    return
                try:
                    self._run_users(spec, region, classes, service, asked)
                except HBaseError as error:
                    asked.told(error)

            place = Place(region, self._gate.check, self._clock)
            self._threads.start("(loading)", lambda _: self._load(unknown), place, self._settings.timeout_ms, loaded)
            return
        for name in classes:
            made = self._classes[name]
            if made is not None and service in (made.service, made.service.removeprefix(HBASE_PACKAGE)):
                self._call(spec, region, name, made, asked)
                return
        raise no_service(service, region)

    def _load(self, names: Sequence[str]) -> bytes:
        """In a thread: imports are nothing for a loop."""
        for name in names:
            self._classes[name] = _loaded(name, from_settings=name in self._from_settings())
        return b""

    def _from_settings(self) -> Sequence[str]:
        return [*self._settings.classes, *self._settings.user_classes]

    def _call(
        self, spec: HBase_pb2.RegionSpecifier, region: Region, name: str, made: type[Endpoint], asked: Asked
    ) -> None:
        instances = self._instances.setdefault(region, {})
        method, request = lenient_text(asked.call.method_name), asked.call.request

        def work(view: RegionView) -> bytes:
            endpoint = instances.get(name)
            if endpoint is None:
                endpoint = instances.setdefault(name, made())
            answer = endpoint.call(view, method, request)
            names.append(endpoint.response_name(method))
            return answer

        def told(outcome: bytes | HBaseError) -> None:
            if isinstance(outcome, HBaseError):
                asked.told(outcome)
            elif (doubt := self._gate.doubt()) is not None:
                asked.told(doubt)
            else:
                asked.told(HBase_pb2.NameBytesPair(name=names[0], value=outcome))

        names: list[str] = []
        place = Place(client_view(region), partial(self._check, spec, region), self._clock)
        self._threads.start(name, work, place, self._settings.timeout_ms, told)


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


def _loaded(name: str, *, from_settings: bool) -> type[Endpoint] | None:
    """A class that is installed under that name, or named as `module:Class` by the server's settings."""
    entry = coprocessors.installed().get(name)
    try:
        if entry is not None:
            made = entry.load()
        elif from_settings and ":" in name:
            module, _, attribute = name.partition(":")
            made = getattr(import_module(module), attribute)
        else:
            logger.warning("coprocessor %s is not installed", name)
            return None
        if not (isinstance(made, type) and issubclass(made, Endpoint) and made.service):
            raise TypeError(f"{name} is no Endpoint with a service")
    except Exception:
        logger.exception("coprocessor %s cannot be loaded", name)
        return None
    return made


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
