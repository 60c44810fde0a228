"""Telling systemd: READY=1, WATCHDOG=1, STOPPING=1 by a datagram, without a library.

Under the guard the worker tells, so the unit says NotifyAccess=all, and the main process id stays the guard's.
Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Tells the service manager of the environment; does nothing where there is none."""

    def __init__(self, environ: Mapping[str, str], guard_pid: int = 0) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_us = _watchdog_us(environ, guard_pid)
        self._timer: asyncio.TimerHandle | None = None

    def send(self, *lines: str) -> None:
        """Send `NAME=value` lines; a manager that does not take them is not our problem."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)
            to.sendto("\n".join(lines).encode(), address)

    def start_watchdog(self) -> None:
        """Beat from this loop at half the time the manager gives, until `stop_watchdog`."""
        if self._watchdog_us > 0:
            self._beat(asyncio.get_running_loop())

    def stop_watchdog(self) -> None:
        """No more beats."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self.send("WATCHDOG=1")
        self._timer = loop.call_later(self._watchdog_us / 2e6, self._beat, loop)


def _watchdog_us(environ: Mapping[str, str], guard_pid: int) -> int:
    pid, period = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not period.isdigit() or (pid and pid not in (str(os.getpid()), str(guard_pid))):
        return 0
    return int(period)
