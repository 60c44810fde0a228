"""A process that supervises scripted roles: `python -m tests.support.scripted_roles STAGES EVENTS [WORD...]`.

STAGES is JSON: a list of lists of [name, what it does]. What it does: `serve`, `serve MS` (its silence may last so
long), `deaf` (does not end at SIGTERM), `exit CODE`, `bad` (a setting), `raise`, `die N` (its first N lives end with
SIGKILL before it is ready), `stall N` (they stop to beat when they are ready), `say MS` (serves, and so long after it
is ready says `initialized`). Each life appends lines to EVENTS. A role listens on a free port, which stays its port.
Words: `hangup` (SIGHUP is the end), `guards` (what stands still is killed), `awaits` (ready when one has said
`initialized`), `outlives` (the last stage ends after the one before it), `ends` (it is told to end when the last has
just been forked).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from registry.clock import SystemClock
from registry.config.settings import BadSetting
from registry.dev.child import Role
from registry.dev.plan import open_door
from registry.dev.supervisor import Supervisor
from registry.guard import LINK_VARIABLE, STACKS_SIGNAL
from registry.guarded import GuardLink
from registry.logs import set_up_logs
from registry.names import Address
from registry.role.listening import address_of

STOP_TIMEOUT_MS = 1000
SILENCE_MS = 600
BEATS_APART_S = 0.05


class Scripted:
    """One role."""

    def __init__(self, name: str, does: str, events: Path) -> None:
        self.name = name
        self.word, _, self.number = does.partition(" ")
        self.events = events

    def tell(self, text: str) -> None:
        with self.events.open("ab") as file:
            file.write(f"{self.name} {text}\n".encode())

    def serve(self, listeners: Mapping[str, socket.socket]) -> int:
        link = GuardLink.take(os.environ)
        assert link is not None
        assert LINK_VARIABLE not in os.environ
        ports = ",".join(str(address_of(each).port) for each in listeners.values())
        self.tell(f"start pid={os.getpid()} ports={ports} life={link.restarts} kept={link.kept!r} why={link.reason!r}")
        sockets = sum(1 for fd in Path("/proc/self/fd").iterdir() if _link(fd).startswith("socket:"))
        self.tell(f"sockets={sockets}")
        silence_ms = int(self.number) if self.word == "serve" and self.number else SILENCE_MS
        os.write(link.beat_fd, f"keep life-{link.restarts}\ntimeout {silence_ms}\nbeat\n".encode())
        if self.word == "exit":
            return int(self.number)
        if self.word == "raise":
            raise RuntimeError("as planned")
        if self.word == "bad":
            raise BadSetting("hbase.masters", "x", "a test", "as planned")
        if self.word == "die" and link.restarts < int(self.number):
            os.kill(os.getpid(), signal.SIGKILL)
        stalls = self.word == "stall" and link.restarts < int(self.number)
        return self.wait(-1 if stalls else link.beat_fd)

    def wait(self, beat_fd: int) -> int:
        """Until SIGTERM; beats into `beat_fd` unless that is -1."""
        told: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        signal.signal(signal.SIGHUP, lambda number, _: self.tell("HUP"))
        signal.signal(STACKS_SIGNAL, lambda number, _: self.tell("stacks"))
        os.write(1, f"hbeacon {self.name} ready rpc=here\n".encode())
        beaten_s, say_at_s = 0.0, time.monotonic() + int(self.number or 0) / 1000
        while not told or self.word == "deaf":
            time.sleep(0.01)
            if beat_fd >= 0 and time.monotonic() - beaten_s >= BEATS_APART_S:
                beaten_s = time.monotonic()
                os.write(beat_fd, b"beat\n")
                if self.word == "say" and beaten_s >= say_at_s:
                    self.tell("says")
                    os.write(beat_fd, b"say initialized\n")
                    say_at_s = beaten_s + 3600
        time.sleep(0.05)
        self.tell("end")
        return 0


def _link(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:
        return ""


def main(stages_text: str, events: str, *words: str) -> int:
    set_up_logs("text", "info", "dev")
    supervisor = Supervisor(
        SystemClock(), stop_timeout_ms=STOP_TIMEOUT_MS, hangup_stops="hangup" in words, guards="guards" in words
    )
    stages: list[list[tuple[Role, Mapping[str, socket.socket]]]] = []
    for stage in cast("list[list[list[str]]]", json.loads(stages_text)):
        roles: list[tuple[Role, Mapping[str, socket.socket]]] = []
        for name, does in stage:
            door = open_door(Address("127.0.0.1", 0), "--rpc", name)
            role = Role(name, Scripted(name, does, Path(events)).serve, {"--rpc": address_of(door)}, frozenset({2, 4}))
            roles.append((role, {"--rpc": door}))
        stages.append(roles)
    for index, roles in enumerate(stages):
        later = [each.fileno() for stage in stages[index + 1 :] for _, doors in stage for each in doors.values()]
        supervisor.start_stage(roles, later, outlives_last="outlives" in words and index == len(stages) - 1)
    if "ends" in words:
        os.kill(os.getpid(), signal.SIGTERM)
    return supervisor.run(lambda: print("all ready", flush=True), "initialized" if "awaits" in words else "")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
