"""Follows what a registry server answers over time, to be held against what ZooKeeper knew and when."""

from __future__ import annotations

import threading
import time

from tests.support import registry_probe
from tests.support.hbase import Witness
from tests.support.registry_probe import ChannelClosedError

PAUSE_S = 0.02


class AnswerWatch:
    """Asks one server for active master and meta location, again and again, on connections of its own.

    `master` and `meta` hold `(monotonic seconds when the answer had arrived, value)` for every change.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.master, self.meta = Witness(), Witness()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {address}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        questions = ((self.master, registry_probe.active_master), (self.meta, registry_probe.meta_location))
        while not self._stopped.wait(PAUSE_S):
            for witness, ask in questions:
                try:
                    value = ask(self.address)
                except (OSError, ChannelClosedError):
                    continue
                if not witness.history or witness.last() != value:
                    witness.history.append((time.monotonic(), value))

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(10)


def delay_s(answers: Witness, zookeeper: Witness, value: str) -> float:
    """How long after ZooKeeper's own client the server gave that value; negative when it was faster."""
    return answers.learnt_s(value) - zookeeper.learnt_s(value)
