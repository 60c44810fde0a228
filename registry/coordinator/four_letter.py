"""ZooKeeper's four-letter words: what a connection sends instead of a first frame, and the text that answers it.

Pure: whoever knows the figures is asked by `WordSource`. What does not apply to one node in memory (trace masks,
learners, requests in queues) is left out or 0; tools read lines by their names.

Source: FourLetterCommands, StatCommand, ConsCommand, ConfCommand, EnvCommand, ServerStats.toString,
MonitorCommand, WatchCommand, DumpCommand, IsroCommand, DirsCommand, ServerCnxn.dumpConnectionInfo.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.coordinator.machine_protocol import MachineDetails, MachineFigures, Peer

ALWAYS = "srvr"
"""Whatever the list says: zkServer.sh asks it."""
ALL = "*"


@dataclass(frozen=True, slots=True)
class ConnectionFigures:
    """One connection, for stat and cons."""

    peer: Peer
    name: str
    """As Java writes an address: `/127.0.0.1:40000`."""
    interest_ops: int
    packets_received: int
    packets_sent: int
    established_wall_ms: float
    last_xid: int
    last_opcode: int


@dataclass(frozen=True, slots=True)
class TrafficFigures:
    """What the door has counted; `srst` sets it back."""

    packets_received: int
    packets_sent: int
    bytes_received: int
    connections_refused: int
    latency_min_ms: float
    latency_mean_ms: float
    latency_max_ms: float


class WordSource(Protocol):
    """Who knows what the words tell."""

    def version(self) -> str:
        """ZooKeeper's version whose protocol this is, a dash, and our own."""
        ...

    def nature(self) -> str:
        """One line that says plainly what kind of server this is."""
        ...

    def is_read_only(self) -> bool:
        """Whether writes are refused."""
        ...

    def figures(self) -> MachineFigures:
        """The machine's counts."""
        ...

    def details(self) -> MachineDetails:
        """The machine's sessions, ephemerals and watches."""
        ...

    def traffic(self) -> TrafficFigures:
        """The door's counts."""
        ...

    def connections(self) -> Sequence[ConnectionFigures]:
        """All connections, the asking one included."""
        ...

    def configuration(self) -> Iterable[tuple[str, object]]:
        """What `conf` lists."""
        ...

    def environment(self) -> Iterable[tuple[str, object]]:
        """What `envi` lists after the version."""
        ...

    def more_monitored(self) -> Iterable[tuple[str, object]]:
        """Names without `zk_` and values that `mntr` tells of the process: files, time."""
        ...

    def directory_bytes(self) -> tuple[int, int]:
        """Snapshots' and logs' size on disk."""
        ...

    def date(self, in_ms: float) -> str:
        """The moment so many milliseconds from now, as Java's Date writes it."""
        ...

    def reset_traffic(self) -> None:
        """Begin to count anew."""
        ...

    def reset_connections(self) -> None:
        """Begin to count anew for each connection."""
        ...


class FourLetterWords:
    """Answers the words that the list allows, and says of the others that it does not."""

    def __init__(self, source: WordSource, allowed: Iterable[str]) -> None:
        """`allowed` are words, or `*` for all."""
        self._source = source
        self._answers: dict[str, Callable[[], str]] = {
            "conf": self._conf,
            "cons": self._cons,
            "crst": self._crst,
            "dirs": self._dirs,
            "dump": self._dump,
            "envi": self._envi,
            "isro": self._isro,
            "mntr": self._mntr,
            "ruok": self._ruok,
            "srst": self._srst,
            "srvr": self._srvr,
            "stat": self._stat,
            "wchc": self._wchc,
            "wchp": self._wchp,
            "wchs": self._wchs,
        }
        self._words = {word.encode(): word for word in self._answers}
        asked = {word.strip() for word in allowed}
        self.allowed = frozenset(self._answers) if ALL in asked else frozenset(asked & self._answers.keys()) | {ALWAYS}
        """Words that are answered."""
        self.unknown = sorted(word for word in asked - self._answers.keys() - {ALL} if word)
        """What the list names and this server does not know."""

    def known(self, first: bytes) -> str:
        """The word that these four bytes are; empty where they are a length."""
        return self._words.get(first, "")

    def answer(self, word: str) -> bytes:
        """The whole answer; the connection is closed after it."""
        if word not in self.allowed:
            # Java prints this with println, the answers of most words too
            return f"{word} is not executed because it is not in the whitelist.\n".encode()
        return self._answers[word]().encode()

    # --- the words -----------------------------------------------------------------------------------------------

    def _ruok(self) -> str:
        return "imok"

    def _isro(self) -> str:
        return "ro" if self._source.is_read_only() else "rw"

    def _srvr(self) -> str:
        return f"{self._version_line()}{self._server_lines()}"

    def _stat(self) -> str:
        clients = "".join(f"{_brief(each)})\n" for each in self._source.connections())
        return f"{self._version_line()}Clients:\n{clients}\n{self._server_lines()}"

    def _version_line(self) -> str:
        read_only = "READ-ONLY mode; serving only read-only clients\n" if self._source.is_read_only() else ""
        return f"Zookeeper version: {self._source.version()}, {self._source.nature()}\n{read_only}"

    def _server_lines(self) -> str:
        traffic, figures = self._source.traffic(), self._source.figures()
        return (
            f"Latency min/avg/max: {traffic.latency_min_ms:.0f}/{_mean(traffic)}/{traffic.latency_max_ms:.0f}\n"
            f"Received: {traffic.packets_received}\n"
            f"Sent: {traffic.packets_sent}\n"
            f"Connections: {len(self._source.connections())}\n"
            "Outstanding: 0\n"
            f"Zxid: {_hex(figures.zxid)}\n"
            f"Mode: {self._mode()}\n"
            f"Node count: {figures.node_count}\n"
        )

    def _mode(self) -> str:
        return "read-only" if self._source.is_read_only() else "standalone"

    def _cons(self) -> str:
        sessions = self._source.details().sessions
        by_peer = {detail.peer: (number, detail.timeout_ms) for number, detail in sessions.items() if detail.peer}
        zxid = self._source.figures().zxid
        lines: list[str] = []
        for each in self._source.connections():
            line = _brief(each)
            session = by_peer.get(each.peer)
            if session is not None:
                line += f",sid={_hex(session[0])},lop={_operation(each.last_opcode)}"
                line += f",est={each.established_wall_ms:.0f},to={session[1]}"
                if each.last_xid >= 0:
                    line += f",lcxid={_hex(each.last_xid)}"
                line += f",lzxid={_hex(zxid)}"
            lines.append(line + ")\n")
        return "".join(lines) + "\n"

    def _conf(self) -> str:
        return "".join(f"{name}={value}\n" for name, value in self._source.configuration())

    def _envi(self) -> str:
        lines = "".join(f"{name}={value}\n" for name, value in self._source.environment())
        return f"Environment:\nzookeeper.version={self._source.version()}, {self._source.nature()}\n{lines}"

    def _mntr(self) -> str:
        figures, traffic = self._source.figures(), self._source.traffic()
        rows: list[tuple[str, object]] = [
            ("version", f"{self._source.version()}, {self._source.nature()}"),
            ("server_state", self._mode()),
            ("ephemerals_count", figures.ephemeral_count),
            ("num_alive_connections", len(self._source.connections())),
            ("avg_latency", _mean(traffic)),
            ("outstanding_requests", 0),
            ("znode_count", figures.node_count),
            ("global_sessions", figures.session_count),
            ("local_sessions", 0),
            ("packets_sent", traffic.packets_sent),
            ("packets_received", traffic.packets_received),
            ("bytes_received_count", traffic.bytes_received),
            ("connection_rejected", traffic.connections_refused),
            ("watch_count", figures.watch_count),
            ("min_latency", f"{traffic.latency_min_ms:.0f}"),
            ("max_latency", f"{traffic.latency_max_ms:.0f}"),
            ("approximate_data_size", figures.data_bytes),
            *self._source.more_monitored(),
        ]
        return "".join(f"zk_{name}\t{value}\n" for name, value in rows)

    def _wchs(self) -> str:
        watches = self._source.details().data_watches
        sessions = {session for watchers in watches.values() for session in watchers}
        total = sum(len(watchers) for watchers in watches.values())
        return f"{len(sessions)} connections watching {len(watches)} paths\nTotal watches:{total}\n"

    def _wchc(self) -> str:
        paths: defaultdict[int, list[str]] = defaultdict(list)
        for path, sessions in self._source.details().data_watches.items():
            for session in sessions:
                paths[session].append(path)
        return "".join(f"{_hex(session)}\n{_indented(sorted(watched))}" for session, watched in paths.items()) + "\n"

    def _wchp(self) -> str:
        watches = self._source.details().data_watches
        return "".join(f"{path}\n{_indented(map(_hex, watchers))}" for path, watchers in watches.items()) + "\n"

    def _dump(self) -> str:
        details = self._source.details()
        sets: defaultdict[str, list[int]] = defaultdict(list)
        for number, detail in sorted(details.sessions.items(), key=lambda item: item[1].expires_in_ms):
            sets[self._source.date(detail.expires_in_ms)].append(number)
        lines = [f"SessionTracker dump:\nSession Sets ({len(sets)})/({len(details.sessions)}):\n"]
        for moment, numbers in sets.items():
            lines.append(f"{len(numbers)} expire at {moment}:\n{_indented(map(_hex, sorted(numbers)))}")
        lines.append(f"ephemeral nodes dump:\nSessions with Ephemerals ({len(details.ephemerals)}):\n")
        for number, paths in details.ephemerals.items():
            lines.append(f"{_hex(number)}:\n{_indented(sorted(paths))}")
        sessions = {detail.peer: number for number, detail in details.sessions.items() if detail.peer}
        connections = self._source.connections()
        lines.append(f"Connections dump:\nConnections ({len(connections)}):\n")
        lines += [f"\tip: {each.name} sessionId: {_hex(sessions.get(each.peer, 0))}\n" for each in connections]
        return "".join(lines)

    def _dirs(self) -> str:
        snapshots, logs = self._source.directory_bytes()
        return f"datadir_size: {snapshots}\nlogdir_size: {logs}\n"

    def _crst(self) -> str:
        self._source.reset_connections()
        return "Connection stats reset.\n"

    def _srst(self) -> str:
        self._source.reset_traffic()
        return "Server stats reset.\n"


OPERATIONS = {
    -10: "SESS", -11: "CLOS", 1: "CREA", 2: "DELE", 3: "EXIS", 4: "GETD", 5: "SETD", 6: "GETA", 7: "SETA", 8: "GETC",
    9: "SYNC", 11: "PING", 12: "GETC", 13: "CHEC", 14: "MULT", 15: "CREA", 18: "REMW", 19: "CREA", 21: "CREA",
    22: "MULR", 100: "AUTH", 101: "SETW", 103: "GETE", 104: "GETACN", 105: "SETW", 106: "ADDW", 107: "WHOA",
}  # fmt: skip
"""Opcode to what `cons` calls it. Source: FinalRequestProcessor, lastOp."""


def _operation(opcode: int) -> str:
    return OPERATIONS.get(opcode, "NA")


def _brief(each: ConnectionFigures) -> str:
    received, sent = each.packets_received, each.packets_sent
    return f" {each.name}[{each.interest_ops:x}](queued=0,recved={received},sent={sent}"


def _mean(traffic: TrafficFigures) -> str:
    # Java's String of a double rounded to four digits: 3.0, 0.0417
    return str(float(round(traffic.latency_mean_ms, 4)))


def _hex(number: int) -> str:
    # Java's Long.toHexString has no sign
    return f"0x{number & 0xFFFFFFFFFFFFFFFF:x}"


def _indented(lines: Iterable[str]) -> str:
    return "".join(f"\t{line}\n" for line in lines)
