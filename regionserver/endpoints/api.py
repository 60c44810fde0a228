"""What users write endpoints with: a class with a service's name, and a view of the region that it is called on.

    class RowCounter(Endpoint):
        service = "example.RowCountService"

        def call(self, region: RegionView, method: str, request: bytes) -> bytes:
            return sum(1 for _ in region.scan()).to_bytes(8, "big")

Calls come in threads of their own, many at one time; one instance serves a region from its first call on. What a call
raises its client is told: an HBaseError as it is, anything else as DoNotRetryIOException.

`ProtoEndpoint` does the same with a service's descriptor, messages instead of bytes and a method for each of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Protocol

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from registry.wire.cellblock import LATEST_TIMESTAMP, Cell
from registry.wire.errors import DoNotRetryIOException, UnknownProtocolException

Columns = Mapping[bytes, Sequence[bytes] | None]
"""Qualifiers by family; None for all of them."""


class RegionView(Protocol):
    """A region as an endpoint's call may use it, from its own thread. Each method is answered by the server's loop.

    Methods raise HBase's exceptions: a region that has gone meanwhile is NotServingRegionException. When the call's
    time is over they raise EndpointTimeout, which is no Exception.
    """

    @property
    def name(self) -> str:
        """The region's, as clients see it."""
        ...

    @property
    def table(self) -> str:
        """Its table, with the namespace where that is not the default."""
        ...

    @property
    def start_key(self) -> bytes:
        """The first row that may lie in it."""
        ...

    @property
    def end_key(self) -> bytes:
        """The first one behind it; empty: to the end of the table."""
        ...

    def get(self, row: bytes, columns: Columns | None = None, *, versions_max: int = 1) -> list[Cell]:
        """The cells of a row, newest first within a column."""
        ...

    def scan(
        self, start_row: bytes = b"", stop_row: bytes = b"", columns: Columns | None = None, *, versions_max: int = 1
    ) -> Iterator[tuple[bytes, list[Cell]]]:
        """Rows of [start_row, stop_row) that lie here, at one moment, read as they are taken."""
        ...

    def put(
        self, row: bytes, values: Mapping[tuple[bytes, bytes], bytes], *, timestamp_ms: int = LATEST_TIMESTAMP
    ) -> None:
        """Write cells by family and qualifier, and wait until they are as durable as the table says."""
        ...

    def delete(self, row: bytes, columns: Columns | None = None) -> None:
        """Delete all versions of columns, of whole families, or, where none are given, of the row."""
        ...


class EndpointTimeout(BaseException):
    """A call has taken too long: its client has been told, and it is to end."""


class Endpoint(ABC):
    """A service of the regions of tables that name its class."""

    service: ClassVar[str]
    """What clients call it: the full name of the protobuf service."""

    @abstractmethod
    def call(self, region: RegionView, method: str, request: bytes) -> bytes:
        """Answer one call. May block."""

    def response_name(self, method: str) -> str:
        """What the answer's message is called; no client is known to read it."""
        del method
        return ""


class ProtoEndpoint(Endpoint):
    """An endpoint with methods that take the region and a message and give a message, named as the service has them."""

    descriptor: ClassVar[ServiceDescriptor]

    def __init_subclass__(cls) -> None:
        cls.service = cls.descriptor.full_name

    def call(self, region: RegionView, method: str, request: bytes) -> bytes:
        """Find the method, read the request, write the answer."""
        described = self.descriptor.methods_by_name.get(method)
        if described is None:
            raise unknown_method(method, self.service)
        try:
            message = GetMessageClass(described.input_type).FromString(request)
        except DecodeError as error:
            raise DoNotRetryIOException(f"the request of {method} cannot be read: {error}") from None
        answer: Message = getattr(self, method)(region, message)
        return answer.SerializeToString()

    def response_name(self, method: str) -> str:
        """The full name of the message."""
        return self.descriptor.methods_by_name[method].output_type.full_name


def unknown_method(method: str, service: str) -> UnknownProtocolException:
    """The service has no such method."""
    return UnknownProtocolException(f"Unknown method {method} called on service {service}")
