"""The process that has all modules loaded and forks a cluster whenever a test asks for one.

    python -m registry.testing.loaded FD DIRECTORY

FD is a Unix socket: each message is a line of JSON (registry.testing.options) with two descriptors, the socket on which
the test talks to its cluster and the file for the cluster's log; it is answered with one byte when the fork is done.
When the socket ends, so do all clusters, and then this process, which removes DIRECTORY before.

Nothing is started here but by fork, and nothing runs here: no loop, no thread, so that every fork is safe.

Source: fork(2), unix(7) SCM_RIGHTS, prctl(2) PR_SET_PDEATHSIG; Android's zygote.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from importlib import import_module
from typing import NoReturn

from registry.dev.process import OF_REGION_SERVERS, load_masters, load_modules
from registry.exits import FAILED, STOPPED
from registry.guarded import die_with_guard
from registry.testing.forked import REGION_SERVER_RUN, live
from registry.testing.options import ClusterOptions

MESSAGE_BYTES_MAX = 1 << 20
END_S = 5.0
"""Clusters see that their tests have ended, and end by themselves; those that do not are killed then."""
OF_TESTS = (REGION_SERVER_RUN, "registry.testing.catalogue", "registry.faults.machine", "registry.coordinator.process")


def serve(control: socket.socket) -> int:
    """Fork until told to end."""
    wake_fd, wake_write_fd = os.pipe()
    for fd in (wake_fd, wake_write_fd):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(wake_write_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    clusters: set[int] = set()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake_fd, select.POLLIN)
    while True:
        heard = {fd for fd, _ in poll.poll()}
        if wake_fd in heard:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_fd, 4096)
            _reap(clusters)
        if control.fileno() in heard and not _asked(control, [wake_fd, wake_write_fd], clusters):
            break
    _end(clusters)
    return STOPPED


def _asked(control: socket.socket, own: list[int], clusters: set[int]) -> bool:
    """Do what one message says; False at the end of all."""
    try:
        message, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 2)
    except OSError:
        return False
    if not message:
        return False
    parent_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_cluster(message, fds, [control.fileno(), *own], parent_pid)
    for fd in fds:
        os.close(fd)
    clusters.add(pid)
    with contextlib.suppress(OSError):
        control.send(b".")
    return True


def _be_cluster(message: bytes, fds: list[int], foreign: list[int], parent_pid: int) -> NoReturn:
    code = FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_guard(parent_pid)
        for fd in foreign:
            os.close(fd)
        code = live(ClusterOptions.from_json(message.decode()), socket.socket(fileno=fds[0]), fds[1])
    except BaseException:  # noqa: BLE001  nothing may escape into the code that forks
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _reap(clusters: set[int]) -> None:
    for pid in list(clusters):
        if os.waitpid(pid, os.WNOHANG)[0]:
            clusters.discard(pid)


def _end(clusters: set[int]) -> None:
    """Wait until all have ended, by force in the end."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: _kill(clusters))
    signal.setitimer(signal.ITIMER_REAL, END_S)
    for pid in list(clusters):
        os.waitpid(pid, 0)
        clusters.discard(pid)


def _kill(clusters: set[int]) -> None:
    for pid in clusters:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    """Load everything, then serve."""
    gc.disable()  # nothing of what is loaded is garbage; each child enables it again
    control = socket.socket(fileno=int(sys.argv[1]))
    tempfile.tempdir = sys.argv[2]  # of clusters that are killed the files go with it
    load_masters()
    load_modules((*OF_REGION_SERVERS, *OF_TESTS))
    for name in ("mmap", "marshal"):
        import_module(name)
    gc.freeze()
    try:
        return serve(control)
    finally:
        shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
