"""Uvicorn as a guest: real sockets, limits, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from blockbuster import blockbuster_ctx

from registry.http import serve as serve_module
from registry.http.app import create_app
from registry.http.serve import HttpServer, serve
from tests.support.status import FakeStatus


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    running = await serve(create_app(FakeStatus()), "127.0.0.1", 0)
    yield running
    await running.stop()


async def ask(server: HttpServer, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://{server.address}{path}")


async def raw(server: HttpServer, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(data)
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 3)
    finally:
        writer.close()


async def test_a_free_port_is_told_and_answers(server: HttpServer):
    assert server.address.port > 0
    answer = await ask(server, "/livez")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert "server" not in answer.headers, "which program it is, is nobody's business"


async def test_nothing_blocks_the_loop(server: HttpServer):
    paths = ("/", "/health", "/readyz?verbose", "/metrics", "/api/v1/registry", "/conf", "/stacks", "/dump")
    for path in paths:  # uvicorn and httpx may do things once
        await ask(server, path)
    with blockbuster_ctx() as guard:
        for function in guard.functions.values():  # /proc is no disk
            function.can_block_in("registry/http/process.py", {"_memory_pages", "_fds_open"})
        for path in paths:
            assert (await ask(server, path)).status_code == 200, path


async def test_head_has_no_body(server: HttpServer):
    answer = await raw(server, b"HEAD /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"content-length: " in head
    assert body == b""


async def test_a_busy_port_is_an_error_of_the_caller(server: HttpServer):
    with pytest.raises(OSError, match=r"ddress already in use"):
        await serve(create_app(FakeStatus()), server.address.host, server.address.port)
    assert (await ask(server, "/livez")).status_code == 200


async def test_an_unknown_host_is_an_error_of_the_caller():
    with pytest.raises(OSError, match="known"):
        await serve(create_app(FakeStatus()), "256.1.1.1", 0)


async def test_ipv6():
    server = await serve(create_app(FakeStatus()), "::1", 0)
    try:
        assert str(server.address).startswith("[::1]:")
        assert (await ask(server, "/livez")).status_code == 200
    finally:
        await server.stop()


async def test_the_end_frees_the_port_and_leaves_no_task():
    before = asyncio.all_tasks()
    server = await serve(create_app(FakeStatus()), "127.0.0.1", 0)
    await ask(server, "/livez")
    await asyncio.wait_for(server.stop(), 3)
    await server.stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((server.address.host, server.address.port))
    assert asyncio.all_tasks() == before


async def test_an_idle_connection_does_not_hold_up_the_end():
    server = await serve(create_app(FakeStatus()), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(b"GET /livez HTT")
    await asyncio.sleep(0.05)
    await asyncio.wait_for(server.stop(), serve_module.STOP_S + 3)
    writer.close()


async def test_signals_and_logging_stay_as_they_were():
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    root = list(logging.getLogger().handlers)
    server = await serve(create_app(FakeStatus()), "127.0.0.1", 0)
    try:
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
        assert logging.getLogger().handlers == root
        assert logging.getLogger("uvicorn").handlers == []
    finally:
        await server.stop()


async def test_more_connections_than_allowed_are_cut_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serve_module, "CONNECTIONS_MAX", 3)
    server = await serve(create_app(FakeStatus()), "127.0.0.1", 0)
    held = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(3)]
    try:
        reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        first_reader, first_writer = held[0]
        first_writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await asyncio.wait_for(first_reader.readline(), 2)).startswith(b"HTTP/1.1 200")
    finally:
        for _, writer in held:
            writer.close()
        await server.stop()


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nhost:", b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /"])
async def test_a_connection_that_stalls_is_cut(sent: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serve_module, "STALLED_S", 0.1)
    server = await serve(create_app(FakeStatus()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    try:
        writer.write(sent)
        for _ in range(10):
            try:
                if not await asyncio.wait_for(reader.read(65536), 2):
                    break
            except ConnectionResetError:
                break
        else:
            pytest.fail("the connection is still open")
    finally:
        writer.close()
        await server.stop()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HBas\x00\x50" + b"\x00" * 40,
        b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 70_000,
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
    ],
)
async def test_other_bytes_close_their_own_connection_only(sent: bytes, server: HttpServer):
    answer = await raw(server, sent)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert (await ask(server, "/livez")).status_code == 200


async def test_the_loop_lag_is_sampled_while_it_runs():
    app = create_app(FakeStatus())
    server = await serve(app, "127.0.0.1", 0)
    deadline = asyncio.get_running_loop().time() + 5
    try:
        while app.state.lag.max_s == 0.0 and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        assert app.state.lag.max_s > 0.0
    finally:
        await server.stop()
