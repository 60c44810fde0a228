"""The fault proxy does what its verbs say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.faultproxy import TcpFaultProxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_verbs(echo: tuple[str, int]) -> None:
    proxy = TcpFaultProxy(echo, record=True)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        client.sendall(b"one")
        assert client.recv(10) == b"one"
        assert proxy.links == 1
        proxy.black_hole()
        client.sendall(b"two")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(10)
        proxy.heal()
        client.settimeout(5)
        assert client.recv(10) == b"two"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(10)
    # The reset may come before `connect` has returned.
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        client.recv(10)
    proxy.heal()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        client.sendall(b"three")
        assert client.recv(10) == b"three"
    proxy.close()
    assert proxy.recordings == [b"onetwo", b"", b"three"]
