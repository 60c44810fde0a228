"""Calls found by the bytes of their headers: the same as the machine reads, or left to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from protos.hbase import HBase_pb2, RPC_pb2
from registry.rpc.known_headers import FRAME_BYTES_MAX, REMEMBERED_MAX, KnownHeaders
from registry.rpc.scheduler import LATER, NOW, REFUSED, Start
from registry.rpc.services import Call, Method
from registry.wire.calls import encode_request
from registry.wire.events import CallRead
from registry.wire.framing import delimited, encode_frame
from registry.wire.header import ConnectionInfo
from registry.wire.limits import WireLimits
from registry.wire.server_side import ServerConnection

Request = RPC_pb2.CellBlockMeta
METHODS = {
    "Echo": Method("S", "Echo", Request, lambda call: b""),
    "Pair": Method("S", "Pair", HBase_pb2.NameBytesPair, lambda call: b""),
}
INFO = ConnectionInfo("S")


def start_of(frame_bytes: int) -> Start:
    raise AssertionError(f"{frame_bytes} bytes of a method that answers nothing at once")


@dataclass
class Taker:
    """Implements known_headers.Taker."""

    info: ConnectionInfo | None = INFO
    peer_host: str = "h"
    held: int = 0
    is_open: bool = True
    holds_after: int = 1 << 30
    calls: list[tuple[int, str, bytes, bytes, int, int]] = field(
        default_factory=list[tuple[int, str, bytes, bytes, int, int]]
    )

    answered: list[tuple[int, str, bytes, bytes]] = field(default_factory=list[tuple[int, str, bytes, bytes]])

    def answer_at_once(self, call_id: int, method: Method, message: bytes, cells: bytes) -> None:
        self.answered.append((call_id, method.name, message, cells))
        self.held = int(len(self.answered) >= self.holds_after)

    def submit(self, call: Call, timeout_ms: int) -> None:
        request = call.request.SerializeToString()
        self.calls.append((call.call_id, call.method.name, request, call.cells, timeout_ms, call.frame_bytes))
        self.held = int(len(self.calls) >= self.holds_after)

    def wait_turn(self) -> None:
        self.held = 1


class NoCaller:
    is_open = True

    def answer(self, call: Call, message: bytes, cells: bytes) -> None: ...

    def fail(self, call: Call, error: BaseException) -> None: ...

    def drop(self, call: Call) -> None: ...


def take(data: bytes, *, calls_max: int = 1000, known: KnownHeaders | None = None, taker: Taker | None = None) -> Taker:
    taker = Taker() if taker is None else taker
    known = KnownHeaders(METHODS, start_of) if known is None else known
    taken_bytes, count = known.take_calls(data, NoCaller(), taker, calls_max)
    assert count == len(taker.calls)
    assert sum(row[-1] for row in taker.calls) == taken_bytes
    return taker


def by_the_machine(data: bytes) -> list[tuple[int, str, bytes, bytes, int, int]]:
    wire = ServerConnection({"S"}, WireLimits(), peer_host="h", peer_port=1, local="l", info=INFO)
    wire.receive_data(data)
    rows: list[tuple[int, str, bytes, bytes, int, int]] = []
    while isinstance(event := wire.next_event(), CallRead):
        header = event.header
        rows.append((event.call_id, header.method_name, event.param, event.cells, header.timeout, event.frame_bytes))
    return rows


def test_calls_are_those_that_the_machine_reads() -> None:
    chance = random.Random(7)
    data = b""
    for _ in range(300):
        call_id = chance.choice([0, 1, 127, 128, 5000, (1 << 31) - 1, (1 << 32) - 1])
        param = Request(length=chance.choice([0, 5, 1 << 30])).SerializeToString()
        cells = bytes(chance.choice([0, 0, 1, 200, 20_000]))
        timeout_ms, priority = chance.choice([0, 1, 60_000]), chance.choice([0, 200])
        data += encode_request(call_id, "Echo", param, timeout_ms=timeout_ms, priority=priority, cells=cells)
    assert take(data).calls == by_the_machine(data)
    for cut in (1, 4, 5, 20, len(data) - 1):
        assert take(data[:cut]).calls == by_the_machine(data[:cut])


def test_a_long_request() -> None:
    pair = HBase_pb2.NameBytesPair(name="n", value=bytes(20_000)).SerializeToString()
    data = encode_request(3, "Pair", pair) * 2
    assert take(data).calls == by_the_machine(data)
    assert len(take(data).calls) == 2


@pytest.mark.parametrize(
    "frame",
    [
        encode_request(1, "NoSuch", b""),
        encode_request(1, "Echo", b"\xff\xff"),
        encode_request(1, "Pair", b""),
        encode_frame(delimited(RPC_pb2.RequestHeader(call_id=1, method_name="Echo").SerializeToString())),
        encode_frame(
            delimited(b"\x08\x01" + RPC_pb2.RequestHeader(call_id=2, method_name="Echo", request_param=True)
                      .SerializeToString()), b"\0",
        ),
        encode_frame(
            delimited(RPC_pb2.RequestHeader(method_name="Echo", request_param=True).SerializeToString()), b"\0"
        ),
        encode_request(1, "Echo", b"") [:-1] + b"\x05",
        encode_frame(b"\x02\x08\xff", b"\xff" * 20),
        encode_frame(b"\x00" * 12),
        encode_frame(),
        encode_request(1, "Echo", b"", attributes={"a" * 200: b""}),
        encode_request(1, "Echo", b"", cells=bytes(FRAME_BYTES_MAX)),
        b"\xff\xff\xff\xff" + bytes(40),
        b"\x00\x00",
    ],
    ids=[
        "unknown method", "no message", "required field", "no param flag", "two call ids", "no call id", "cut param",
        "long varint", "zeros", "empty", "long header", "long frame", "negative length", "half a length",
    ],
)  # fmt: skip
def test_what_is_not_usual_is_left_to_the_machine(frame: bytes) -> None:
    good = encode_request(9, "Echo", Request(length=1).SerializeToString())
    known = KnownHeaders(METHODS, start_of)
    for _ in range(2):  # nothing of it is remembered
        assert [row[0] for row in take(good + frame + good, known=known).calls] == [9]


def test_any_bytes_do_no_harm() -> None:
    chance = random.Random(11)
    good = encode_request(300, "Echo", Request(length=1).SerializeToString(), timeout_ms=5, cells=b"cells")
    known = KnownHeaders(METHODS, start_of)
    for _ in range(20_000):
        data = bytearray(good * 2)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = data[: chance.randrange(len(data) + 1)]
        machine = by_the_machine(bytes(data))
        taken = take(bytes(data), known=known).calls
        assert [row[0] for row in taken] == [row[0] for row in machine[: len(taken)]]


def test_the_connection_says_when_it_takes_no_more() -> None:
    data = encode_request(1, "Echo", b"") * 10
    assert len(take(data, calls_max=4).calls) == 4
    assert len(take(data, taker=Taker(holds_after=3)).calls) == 3


def test_memory_for_headers_is_bounded() -> None:
    known = KnownHeaders(METHODS, start_of)
    for timeout_ms in range(1, REMEMBERED_MAX + 100):
        take(encode_request(1, "Echo", b"", timeout_ms=timeout_ms), known=known)
    assert len(known) == REMEMBERED_MAX


# --- what is answered from its bytes ----------------------------------------------------------------------------------

SIZED = Request(length=3).SerializeToString()


def at_once(param: bytes, info: ConnectionInfo) -> tuple[bytes, bytes] | None:
    assert info is INFO
    if param == b"\x08\x09":
        raise ZeroDivisionError("a fault of ours")
    return (b"at once " + param, b"cells") if param == SIZED else None


def known_at_once(priority: int = 0, *, starts: Callable[[], Start] = lambda: NOW) -> KnownHeaders:
    methods = {"Echo": Method("S", "Echo", Request, lambda call: b"", priority, at_once=at_once)}
    return KnownHeaders(methods, lambda frame_bytes: starts() if frame_bytes > 0 else REFUSED)


def test_a_request_may_be_answered_from_its_bytes() -> None:
    """In the order in which calls came; what is not answered so is handed on, as is all that comes behind it."""
    params = [SIZED, b"", SIZED, b"\x08\x09", SIZED]
    data = b"".join(encode_request(number, "Echo", param) for number, param in enumerate(params))
    taker, known = Taker(), known_at_once()
    assert known.take_calls(data, NoCaller(), taker, 1000) == (len(data), 5)
    assert taker.answered == [(number, "Echo", b"at once " + SIZED, b"cells") for number in (0, 2, 4)]
    assert [row[0] for row in taker.calls] == [1, 3]


@pytest.mark.parametrize(
    "frame",
    [
        encode_request(1, "Echo", SIZED, attributes={"a": b"b"}),
        encode_request(1, "Echo", SIZED, priority=200),
        encode_request(1, "Echo", SIZED, priority=5),
        encode_request(1, "Echo", SIZED, cells=b"cells"),
    ],
    ids=["attributes", "priority", "replication", "cells"],
)
def test_headers_that_ask_for_more_are_for_the_handler(frame: bytes) -> None:
    taker = Taker()
    known_at_once().take_calls(frame, NoCaller(), taker, 1000)
    assert (len(taker.answered), len(taker.calls)) == (0, 1)


def test_methods_of_high_priority_and_calls_that_are_refused_are_for_the_scheduler() -> None:
    frame = encode_request(1, "Echo", SIZED)
    for known in (known_at_once(priority=100), known_at_once(starts=lambda: REFUSED)):
        taker = Taker()
        known.take_calls(frame, NoCaller(), taker, 1000)
        assert (len(taker.answered), len(taker.calls)) == (0, 1)


def test_a_connection_that_is_full_of_answers_takes_no_more() -> None:
    data = encode_request(1, "Echo", SIZED) * 10
    taker = Taker(holds_after=3)
    taken_bytes, count = known_at_once().take_calls(data, NoCaller(), taker, 1000)
    assert (taken_bytes, count, len(taker.answered)) == (3 * len(data) // 10, 3, 3)


def test_a_call_that_has_to_wait_is_not_taken_and_holds_the_connection() -> None:
    starts = iter([NOW, NOW, LATER, NOW])
    taker, known = Taker(), known_at_once(starts=lambda: next(starts))
    data = encode_request(1, "Echo", SIZED) * 3
    assert known.take_calls(data, NoCaller(), taker, 1000) == (2 * len(data) // 3, 2)
    assert (taker.held, len(taker.answered), len(taker.calls)) == (1, 2, 0)
    assert known.take_calls(data[2 * len(data) // 3 :], NoCaller(), taker, 1000) == (len(data) // 3, 1)
