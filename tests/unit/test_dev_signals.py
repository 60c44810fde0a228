"""`hbeacon dev` is told to stop while it makes what it has to remove again."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from registry.dev.supervisor import signals_held


def test_ctrl_c_comes_when_nothing_is_half_made():
    """A temporary directory was left where Ctrl-C came between its making and the moment at which it was known."""
    made: list[str] = []

    def make() -> None:
        with contextlib.ExitStack() as stack:
            with signals_held():
                os.kill(os.getpid(), signal.SIGINT)
                made.append("directory")
                stack.callback(made.clear)
            made.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert not made
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
