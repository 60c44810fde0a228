"""A machine for ZooKeeper doors that answers by a simple rule and writes down the order of what it was asked.

Every request is answered with its own bytes; `send <count> <bytes>` as text asks for more. What it was told lies in
`calls`, one word and some figures each, so that tests see what belongs to one turn.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from registry.coordinator.machine_protocol import MachineDetails, MachineFigures, Peer, SessionDetail

SESSION = 0x1000_0000_0001
REFUSED = b"refuse me"


def framed(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return struct.pack(">i", len(payload)) + payload


class ScriptedMachine:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.peers: list[Peer] = []
        self.frames: list[bytes] = []
        self.commit_error: Exception | None = None

    def connected(self, peer: Peer, connect_request: bytes) -> bool:
        self.calls.append("connected")
        if connect_request == REFUSED:
            return False
        if connect_request == b"raise":
            raise RuntimeError("a fault of the machine")
        self.peers.append(peer)
        peer.send(framed(b"welcome"))
        return True

    def received(self, peer: Peer, frames: Sequence[bytes | memoryview]) -> None:
        self.calls.append(f"received {len(frames)}")
        for each in frames:
            frame = bytes(each)
            self.frames.append(frame)
            if frame.startswith(b"send "):
                _, count, size = frame.split()
                for _ in range(int(count)):
                    peer.send(framed(bytes(int(size))))
            elif frame == b"close":
                peer.send(framed(b"bye"))
                peer.close()
                peer.send(framed(b"never sent"))
            elif frame == b"raise":
                raise RuntimeError("a fault of the machine")
            elif frame == b"tell all":
                for each_peer in self.peers:
                    each_peer.send(framed(b"event"))
            else:
                peer.send(framed(frame))

    def lost(self, peer: Peer) -> None:
        self.calls.append("lost")
        self.peers.remove(peer)

    def tick(self) -> None:
        self.calls.append("tick")

    def commit(self) -> None:
        self.calls.append("commit")
        if self.commit_error is not None:
            raise self.commit_error

    def describe(self) -> MachineFigures:
        return MachineFigures(
            zxid=0x2A,
            node_count=5,
            watch_count=2,
            watched_path_count=1,
            session_count=1,
            connection_count=len(self.peers),
            ephemeral_count=1,
            data_bytes=49,
            request_count=len(self.frames),
        )

    def inspect(self) -> MachineDetails:
        peer = self.peers[0] if self.peers else None
        return MachineDetails(
            sessions={SESSION: SessionDetail(10_000, 7_000, peer)},
            ephemerals={SESSION: ["/e"]},
            data_watches={"/a": [SESSION], "/b": [SESSION]},
        )
