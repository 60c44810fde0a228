"""`hbeacon dev` is told to stop while it makes what it has to remove again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAKING = """
import contextlib, os, signal
from registry.dev.supervisor import signals_held

made = []
try:
    with contextlib.ExitStack() as stack:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            made.append("directory")
            print("made")
            stack.callback(made.clear)
        print("not reached")
except KeyboardInterrupt:
    print("left:", made, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_ctrl_c_comes_when_nothing_is_half_made():
    """A temporary directory was left where Ctrl-C came between its making and the moment at which it was known.

    In a process of one thread, as dev is then: a signal to a process goes to a thread that does not hold it back, and
    those of pytest's workers do not.
    """
    words = [sys.executable, "-c", MAKING]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=50)
    assert (done.stdout.splitlines(), done.stderr) == (["made", "left: [] False"], "")
