"""Observers as users write them: good ones, and ones that do all that is wrong."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

from protos.hbase import Client_pb2
from regionserver.endpoints.api import Endpoint, EndpointTimeout, RegionView
from regionserver.endpoints.observer import CheckAndMutate, MiniBatch, Mutation, Observer, ObserverContext
from registry.wire.cellblock import Cell
from registry.wire.errors import AccessDeniedException

HERE = "tests.endpoints.observers"


class Recorder(Observer):
    """Notes each hook that is called, and changes nothing."""

    calls: ClassVar[list[str]] = []

    def post_open(self, c: ObserverContext) -> None:
        self.calls.append(f"post_open {c.region.name}")

    def post_close(self, c: ObserverContext) -> None:
        self.calls.append(f"post_close {c.region.name}")

    def pre_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        self.calls.append(f"pre_get {get.row!r} {results}")

    def post_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        self.calls.append(f"post_get {[each.value for each in results]}")

    def pre_scanner_open(self, c: ObserverContext, scan: Client_pb2.Scan) -> None:
        self.calls.append("pre_scanner_open")

    def post_scanner_next(self, c: ObserverContext, scan: Client_pb2.Scan, results: list[list[Cell]]) -> None:
        self.calls.append(f"post_scanner_next {len(results)}")

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        self.calls.append(f"pre_put {put.row!r}")

    def post_put(self, c: ObserverContext, put: Mutation) -> None:
        self.calls.append(f"post_put {put.row!r}")

    def pre_delete(self, c: ObserverContext, delete: Mutation) -> None:
        self.calls.append(
            f"pre_delete {[each.family for each in delete.cells]} {[each.value for each in delete.cells if each.value]}"
        )

    def post_delete(self, c: ObserverContext, delete: Mutation) -> None:
        self.calls.append("post_delete")

    def pre_increment(self, c: ObserverContext, increment: Mutation, results: list[Cell]) -> None:
        self.calls.append(f"pre_increment {increment.cells[0].value[-1]}")

    def post_increment(self, c: ObserverContext, increment: Mutation, results: list[Cell]) -> None:
        self.calls.append(f"post_increment {results[0].value[-1]}")

    def pre_append(self, c: ObserverContext, append: Mutation, results: list[Cell]) -> None:
        self.calls.append("pre_append")

    def post_append(self, c: ObserverContext, append: Mutation, results: list[Cell]) -> None:
        self.calls.append(f"post_append {results[0].value!r}")

    def pre_check_and_mutate(self, c: ObserverContext, check: CheckAndMutate) -> None:
        self.calls.append(f"pre_check_and_mutate {check.condition.expected!r}")

    def post_check_and_mutate(self, c: ObserverContext, check: CheckAndMutate) -> None:
        self.calls.append(f"post_check_and_mutate {check.processed}")

    def pre_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        self.calls.append(f"pre_batch_mutate {len(batch.operations)}")

    def post_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        self.calls.append(f"post_batch_mutate {len(batch.operations)}")


class Named(Observer):
    """Appends its name to each value that is put, and to what is found."""

    name = "?"

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        for cell in list(put.cells):
            put.set(cell.family, cell.qualifier, cell.value + self.name.encode())

    def post_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        results[:] = [cell._replace(value=cell.value + self.name.lower().encode()) for cell in results]


class First(Named):
    name = "A"


class Second(Named):
    name = "B"


class Bypasser(Observer):
    """Answers rows that begin with `own` by itself, and knows nothing of others."""

    def pre_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        if get.row.startswith(b"own"):
            # out of order, as users' code may have them
            results += [Cell(get.row, b"f", name, 7, 4, b"from nowhere") for name in (b"y", b"x")]
            c.bypass()

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        if put.row.startswith(b"own"):
            c.bypass()

    def pre_delete(self, c: ObserverContext, delete: Mutation) -> None:
        delete.cells.clear()

    def pre_increment(self, c: ObserverContext, increment: Mutation, results: list[Cell]) -> None:
        results.append(increment.cells[0]._replace(value=(42).to_bytes(8, "big"), timestamp_ms=1))
        c.bypass()

    def pre_check_and_mutate(self, c: ObserverContext, check: CheckAndMutate) -> None:
        check.processed = True
        c.bypass()

    def pre_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        if any(each.row == b"batch" for each in batch.operations):
            c.bypass()


class Guard(Observer):
    """Refuses by who calls and what; its arguments say which rows are hidden from scans."""

    def pre_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        assert c.address == "127.0.0.1", c.address
        if get.row.startswith(b"secret"):
            raise AccessDeniedException(f"{c.user!r} may not read {get.row!r}")

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        if put.row.startswith(b"secret") and put.attributes.get("token") != b"open":
            raise AccessDeniedException(f"{c.user!r} may not write {put.row!r}")

    def pre_scanner_open(self, c: ObserverContext, scan: Client_pb2.Scan) -> None:
        if scan.start_row == b"no":
            raise AccessDeniedException("not from there")

    def post_scanner_next(self, c: ObserverContext, scan: Client_pb2.Scan, results: list[list[Cell]]) -> None:
        hidden = c.arguments.get("hidden", "secret").encode()
        results[:] = [row for row in results if not row[0].row.startswith(hidden)]


class Index(Observer):
    """An index of f:q in rows `i/<value>/<row>` of the same region, of puts and of deletes of whole rows."""

    def pre_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        for number, each in enumerate(batch.operations):
            if each.row.startswith(b"i/"):
                continue
            value = each.get(b"f", b"q")
            added = [Mutation.put(b"i/%s/%s" % (value, each.row), {(b"f", b"at"): b""})] if value is not None else []
            for old in c.region.get(each.row, {b"f": [b"q"]}):
                # what a delete hides is as old as it is: so the same value may come again
                name = b"i/%s/%s" % (old.value, each.row)
                added.append(Mutation.delete(name, {b"f": None}, timestamp_ms=old.timestamp_ms))
            batch.add_operations(number, added)


class Audited(Observer):
    """Writes a row of its own behind each put, in a batch of its own."""

    def post_put(self, c: ObserverContext, put: Mutation) -> None:
        c.region.put(b"audit/" + put.row, {(b"f", b"user"): c.user.encode()})


class BadOnes(Observer):
    """What goes wrong is said by the row."""

    interrupted: ClassVar[threading.Event] = threading.Event()
    may_end: ClassVar[threading.Event] = threading.Event()
    slow_s: ClassVar[float] = 0.0

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        match put.row:
            case b"raise":
                raise RuntimeError("whatever")
            case b"exit":
                raise SystemExit(3)
            case b"spin":
                try:
                    while True:
                        pass
                except EndpointTimeout:
                    self.interrupted.set()
                    raise
            case b"wait":
                self.may_end.wait(30)
            case _:
                time.sleep(self.slow_s)
                self._spoil(put)

    @staticmethod
    def _spoil(put: Mutation) -> None:
        """Leave what cannot be written."""
        match put.row:
            case b"other row":
                put.cells[0] = put.cells[0]._replace(row=b"x")
            case b"text":
                put.cells[0] = put.cells[0]._replace(value="text")  # type: ignore[arg-type]
            case b"nonsense":
                put.cells[:] = [None]  # type: ignore[list-item]
            case b"delete type":
                put.cells[0] = put.cells[0]._replace(key_type=8)
            case b"no family":
                put.set(b"nofamily", b"q", b"v")
            case b"bad tags":
                put.cells[0] = put.cells[0]._replace(tags=b"\x7f")
            case _:
                pass

    def post_put(self, c: ObserverContext, put: Mutation) -> None:
        if put.row == b"behind":
            raise RuntimeError("too late")

    def pre_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        if get.row == b"hang":
            self.may_end.wait(30)

    def post_scanner_next(self, c: ObserverContext, scan: Client_pb2.Scan, results: list[list[Cell]]) -> None:
        if scan.start_row == b"behind":
            raise RuntimeError("whatever")


class Unmakeable(Observer):
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("no such luck")


class Both(Endpoint, Observer):
    """An endpoint that counts the puts that it observes."""

    service = "example.PutCount"

    def __init__(self) -> None:
        self.count = 0

    def post_put(self, c: ObserverContext, put: Mutation) -> None:
        self.count += 1

    def call(self, region: RegionView, method: str, request: bytes) -> bytes:
        return b"%d" % self.count


class OfStory(Index):
    """What tests/cluster/java/ObserverStory.java tells of, on its table; of others it is asked and says nothing."""

    def pre_put(self, c: ObserverContext, put: Mutation) -> None:
        if c.region.table != "observed":
            return
        if put.row == b"forbidden":
            raise AccessDeniedException(f"{put.row!r} may not be written")
        for cell in list(put.cells):
            put.set(cell.family, cell.qualifier, cell.value.upper())

    def pre_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        if c.region.table != "observed":
            return
        match get.row:
            case b"raise":
                raise RuntimeError("whatever")
            case b"hang":
                time.sleep(60)
            case b"ping":
                results.append(Cell(get.row, b"f", b"q", 1, 4, b"pong"))
                c.bypass()
            case _:
                pass

    def post_get(self, c: ObserverContext, get: Client_pb2.Get, results: list[Cell]) -> None:
        pass

    def post_scanner_next(self, c: ObserverContext, scan: Client_pb2.Scan, results: list[list[Cell]]) -> None:
        if c.region.table == "observed":
            results[:] = [row for row in results if not row[0].row.startswith((b"hidden", b"i/"))]

    def pre_batch_mutate(self, c: ObserverContext, batch: MiniBatch) -> None:
        if c.region.table in {"observed", "indexed"}:
            super().pre_batch_mutate(c, batch)
