"""A network of its own for the clients: they reach the servers' address and nothing that listens on loopback.

The namespace is joined to the test's own by one veth pair. Servers bind and advertise the near end's address;
ZooKeeper listens on 127.0.0.1 of the near side only, which no packet from the namespace can reach.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes import tool

_PREFIX = "hbt"
_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


def _ip(*words: str, check: bool = True) -> str:
    done = subprocess.run([tool("ip"), *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 or not check, f"ip {' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


class ClientNamespace:
    """`server_address` is the near end, where servers listen; `client_address` the far end, where clients live."""

    def __init__(self) -> None:
        remove_stale()
        self.name = f"{_PREFIX}-{os.getpid()}"
        self.server_address, self.client_address = _free_subnet()
        self._near = near = f"{_PREFIX}{os.getpid()}s"
        far = f"{_PREFIX}{os.getpid()}c"
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", self.name)
            _ip("addr", "add", f"{self.server_address}/30", "dev", near)
            _ip("link", "set", near, "up")
            _ip("-n", self.name, "addr", "add", f"{self.client_address}/30", "dev", far)
            _ip("-n", self.name, "link", "set", far, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    @property
    def enter(self) -> list[str]:
        """What goes before a command that shall run inside."""
        return [tool("nsenter"), f"--net=/run/netns/{self.name}"]

    def close(self) -> None:
        """Removes the namespace; its end of the pair takes the other with it."""
        _ip("netns", "del", self.name, check=False)

    def cut(self) -> None:
        """No packet passes either way, and nobody is told."""
        _ip("link", "set", self._near, "down")

    def heal(self) -> None:
        """Packets pass again; TCP tries again by itself, later and later."""
        _ip("link", "set", self._near, "up")

    def connect(self, host: str, port: int) -> str:
        """What a TCP connect from inside meets: "connected", or the error's name such as "ConnectionRefusedError"."""
        done = subprocess.run(
            [*self.enter, sys.executable, "-c", _CONNECT, host, str(port)], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def remove_stale() -> None:
    """Removes the namespaces of test runs that were killed: their names end in a process id that lives no more."""
    for line in _ip("netns", "list").splitlines():
        match = re.fullmatch(rf"{_PREFIX}-(\d+)", line.split()[0])
        if match and not Path(f"/proc/{match[1]}").exists():
            _ip("netns", "del", match[0], check=False)


def _free_subnet() -> tuple[str, str]:
    """The two hosts of a /30 in 10.64.0.0/10 that no interface of this machine uses."""
    taken = _ip("-o", "-4", "addr")
    while True:
        prefix = f"10.{random.randrange(64, 128)}.{random.randrange(256)}"
        if f" {prefix}." not in taken:
            return f"{prefix}.1", f"{prefix}.2"
