"""Peers that mean harm, and one that only wants to look something up meanwhile.

What must hold: a peer's bytes can close its own connection, never another's, and never grow memory past the limits.
The server is a process of its own, and its memory is what the system says.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

import pytest

from registry.wire.calls import encode_request
from registry.wire.framing import encode_length
from tests.support.look_ups import ANSWER, LOOK_UP, LookUps
from tests.support.rpc import hello
from tests.support.rpc_process import OTHER_SERVICE, RpcProcess, raise_open_files

MIB = 1 << 20
SLOWEST_MS = 10_000
"""Far more than any look-up needs here: a busy machine, which took 4.8 s once, is no bug. A server that serves its
greedy clients first stands still for minutes."""


@contextmanager
def _unharmed(port: int) -> Generator[None]:
    """Look-ups by another client go on while the block runs."""
    with LookUps(port) as look_ups:
        yield
    took_ms = sorted(look_ups.took_ms)
    print(f"{len(took_ms)} look-ups, median {took_ms[len(took_ms) // 2]:.2f} ms, slowest {took_ms[-1]:.2f} ms")
    assert len(took_ms) > 2
    assert took_ms[-1] < SLOWEST_MS


@contextmanager
def _server(**settings: float) -> Generator[RpcProcess]:
    process = RpcProcess(**settings)
    try:
        yield process
    finally:
        process.kill()


def _connect(port: int, data: bytes) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=5)
    connected.sendall(data)
    return connected


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_ten_thousand_idle_connections_cost_little() -> None:
    count = 10_000
    assert raise_open_files() >= count + 300, "ulimit -Hn must allow ten thousand connections"
    with _server() as server:
        idle = [_connect(server.port, hello() + LOOK_UP) for _ in range(200)]
        settled_bytes = server.resident_bytes()
        with _unharmed(server.port):
            idle += [_connect(server.port, hello() + LOOK_UP) for _ in range(count - len(idle))]
            for connected in idle:
                assert connected.recv(1000) == ANSWER
            time.sleep(1.2)  # a sweep over all of them
            grown_bytes = server.resident_bytes() - settled_bytes
        for connected in idle:
            connected.close()
        print(f"grown by {grown_bytes / MIB:.1f} MiB")
        assert grown_bytes < 40 * MIB, f"{count} idle connections cost {grown_bytes / MIB:.1f} MiB"
        assert server.stop()["connections_accepted"] >= count


@pytest.mark.parametrize("service", ["ClientMetaService", OTHER_SERVICE])
def test_giant_lengths_and_slow_writers_share_one_budget(service: str) -> None:
    """300 peers announce the longest request there is and send a megabyte each."""
    with _server(receive_bytes_max=32 * MIB, ready_receive_bytes_max=32 * MIB) as server:
        before_bytes = server.resident_bytes()
        most_bytes = 0
        limit_bytes = MIB if service == "ClientMetaService" else 268_435_456
        piece = bytes(64 * 1024)
        with _unharmed(server.port):
            writers = [_connect(server.port, hello(service) + encode_length(limit_bytes) + b"\x7f") for _ in range(300)]
            for _ in range(15):
                for writer in writers:
                    with suppress(OSError):  # closed by the server, as it should be
                        writer.sendall(piece)
                most_bytes = max(most_bytes, server.resident_bytes())
            for writer in writers:
                writer.close()
        grown_bytes = most_bytes - before_bytes
        print(f"grown by {grown_bytes / MIB:.1f} MiB")
        assert grown_bytes < 80 * MIB, f"grown by {grown_bytes / MIB:.1f} MiB for a budget of 32"
        assert server.stop()["slow_writers_closed"] > 100


def test_slow_writers_that_trickle() -> None:
    """Two bytes at a time, on 200 connections, into requests that never end."""
    with _server() as server, _unharmed(server.port):
        before_bytes = server.resident_bytes()
        writers = [_connect(server.port, hello(OTHER_SERVICE) + encode_length(100 * MIB)) for _ in range(200)]
        for writer in writers:
            writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(100):
            for writer in writers:
                writer.sendall(b"xy")
        grown_bytes = server.resident_bytes() - before_bytes
        for writer in writers:
            writer.close()
        assert grown_bytes < 10 * MIB, f"200 connections with 200 bytes each cost {grown_bytes / MIB:.1f} MiB"


@pytest.mark.chaos
@pytest.mark.parametrize("service", ["ClientMetaService", OTHER_SERVICE])
def test_slow_readers_share_one_budget(service: str) -> None:
    """300 peers ask for 20 kB three thousand times each, and read nothing of the 18 GB."""
    with _server(send_bytes_max=16 * MIB) as server, _unharmed(server.port):
        before_bytes = server.resident_bytes()
        most_bytes = 0
        readers = [socket.socket() for _ in range(300)]
        for reader in readers:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", server.port))
            reader.setblocking(False)
            with suppress(OSError):
                reader.send(hello(service) + encode_request(1, "Big", b"") * 3000)
            most_bytes = max(most_bytes, server.resident_bytes())
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            time.sleep(0.05)
            most_bytes = max(most_bytes, server.resident_bytes())
        grown_bytes = most_bytes - before_bytes
        for reader in readers:
            reader.close()
        print(f"grown by {grown_bytes / MIB:.1f} MiB")
        assert grown_bytes < 80 * MIB, f"grown by {grown_bytes / MIB:.1f} MiB for a budget of 16"


def test_noise_and_half_a_handshake(rng: random.Random) -> None:
    """Peers that send anything, reset in the middle, or say nothing at all."""
    beginnings = [b"", b"HBas", b"HBas\0P", hello()[:20], hello(), hello() + LOOK_UP, hello() + LOOK_UP[:9], b"Securi"]
    with _server(handshake_timeout_ms=300, sweep_interval_ms=100) as server:
        with _unharmed(server.port):
            silent = [_connect(server.port, b"HBas") for _ in range(50)]
            for number in range(1500):
                peer = _connect(server.port, rng.choice(beginnings) + rng.randbytes(rng.choice([0, 1, 5, 40, 3000])))
                if number % 2:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close is a reset
                peer.close()
            for peer in silent:
                peer.settimeout(5)
                with suppress(ConnectionResetError):
                    assert peer.recv(100) == b"", "half a handshake does not stay"
                peer.close()
        stats = server.stop()
        assert stats["slow_handshakes_closed"] >= 50
        assert stats["queue_bytes"] == 0


@pytest.mark.chaos
async def test_a_flood_on_one_connection_leaves_room_for_others() -> None:
    """Calls that need the long way, as many as a connection takes, all the time."""
    with _server() as server, _unharmed(server.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(hello(OTHER_SERVICE))
        unknown = encode_request(1, "NoSuchMethod", b"") * 2000
        ends = time.monotonic() + 1.5

        async def read() -> None:
            while await reader.read(1 << 18):
                pass

        reading = asyncio.create_task(read())
        while time.monotonic() < ends:
            writer.write(unknown)
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        await reading
