"""The flags that every command shares, and their way into the settings."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from registry.config.settings import BadSetting, Settings, load_settings

SERVER_FLAGS: Mapping[str, tuple[str, str, str]] = {
    "--rpc": ("hbeacon.rpc.address", "HOST:PORT", "listen here for HBase RPC (127.0.0.1:16000; port 0: any free one)"),
    "--http": ("hbeacon.http.address", "HOST:PORT", "listen here for pages and probes, or off (127.0.0.1:16010)"),
    "--grpc": (
        "hbeacon.grpc.address",
        "HOST:PORT",
        "answer gRPC there, by custom on port 16005, or off (off; port 0: any free one)",
    ),
    "--facade": (
        "hbeacon.facade.address",
        "HOST:PORT",
        "open a read-only ZooKeeper there for old clients, or off (off; port 0: any free one)",
    ),
    "--advertise": ("hbeacon.advertise.address", "HOST[:PORT]", "the address by which clients reach this server"),
    "--guard": ("hbeacon.guard", "on|off", "a small parent process replaces the server when it hangs (on)"),
    "--log-format": ("hbeacon.log.format", "text|json", "HBase's log line or JSON, on standard error (text)"),
    "--log-level": ("hbeacon.log.level", "LEVEL", "such as warn, or info,registry.zk=debug (info)"),
}
"""Flag to the key it sets, what it takes, and the sentence of the help."""

COORDINATOR_FLAGS: Mapping[str, tuple[str, str, str]] = {
    "--listen": (
        "hbeacon.coordinator.address",
        "HOST:PORT",
        "listen here for ZooKeeper's clients (127.0.0.1:2181; port 0: any free one)",
    ),
    "--data-dir": (
        "hbeacon.data.dir",
        "DIR",
        "keep tree and sessions there; without it they are gone with the process",
    ),
    "--guard": (
        "hbeacon.guard",
        "on|off",
        "a small parent process replaces the server when it hangs; needs --data-dir (off)",
    ),
    "--log-format": SERVER_FLAGS["--log-format"],
    "--log-level": SERVER_FLAGS["--log-level"],
}
"""Those of the coordinator, in the same form."""

DEV_FLAGS: Mapping[str, tuple[str, str, str]] = {
    "--zookeeper-listen": (
        "hbeacon.coordinator.address",
        "HOST:PORT",
        "listen here for ZooKeeper's clients (127.0.0.1:2181)",
    ),
    "--rpc": ("hbeacon.rpc.address", "HOST:PORT", "where master 0 listens for HBase RPC (127.0.0.1:16000)"),
    "--http": ("hbeacon.http.address", "HOST:PORT", "where master 0 has its pages, or off (127.0.0.1:16010)"),
    "--grpc": ("hbeacon.grpc.address", "HOST:PORT", "where master 0 answers gRPC, or off (off)"),
    "--advertise": ("hbeacon.advertise.address", "HOST", "the name by which clients reach this machine"),
    "--data-dir": ("hbeacon.data.dir", "DIR", "keep all state there (a temporary folder, removed at the end)"),
    "--guard": ("hbeacon.guard", "on|off", "kill and restart what stands still, not only what dies (off)"),
    "--log-format": SERVER_FLAGS["--log-format"],
    "--log-level": ("hbeacon.log.level", "LEVEL", "such as info, or warn,registry.zk=debug (warn)"),
}
"""Those of a whole cluster on this machine."""

QUORUM, ZNODE = "hbase.zookeeper.quorum", "zookeeper.znode.parent"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says about settings. Can be loaded again when files have changed."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    conf_dir: str | None = None

    def load(self) -> Settings:
        """Flags, environment and files as they are now. Raises BadSetting."""
        return load_settings(self.values, None, self.conf_dir, self.names)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples and leaves room for the flags."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=118)


def parser(command: str, sentence: str, epilog: str = "") -> argparse.ArgumentParser:
    """A parser for one command; wrong command lines end with exit code 2."""
    return argparse.ArgumentParser(
        f"hbeacon {command}", description=sentence, epilog=epilog, formatter_class=Formatter, allow_abbrev=False
    )


def add_common_flags(to: argparse.ArgumentParser, *, zookeeper: bool = True) -> None:
    """The flags of every command that reads settings: --conf, --set, and --zookeeper where it is asked for one."""
    group = to.add_argument_group("settings")
    if zookeeper:
        group.add_argument(
            "--zookeeper",
            metavar="HOST:PORT[,...][/znode]",
            help="ZooKeeper's servers and HBase's znode (127.0.0.1:2181/hbase)",
        )
    group.add_argument("--conf", metavar="DIR", help="read core-site.xml and hbase-site.xml there (HBASE_CONF_DIR)")
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any setting; `hbeacon config` lists them; may repeat",
    )


def add_server_flags(to: argparse.ArgumentParser) -> None:
    """The flags of every server."""
    add_common_flags(to)
    _add_flags(to, SERVER_FLAGS)


def add_coordinator_flags(to: argparse.ArgumentParser) -> None:
    """The flags of the coordinator."""
    add_common_flags(to, zookeeper=False)
    _add_flags(to, COORDINATOR_FLAGS)


def flags_of(arguments: argparse.Namespace) -> Flags:
    """Keys and values from a parsed command line. `--set` goes under the flags made for one key."""
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    for text in arguments.set:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise BadSetting("--set", text, "command line", "write KEY=VALUE, such as hbase.masters=beacon1:16000")
        values[key.strip()], names[key.strip()] = value, "--set"
    if getattr(arguments, "zookeeper", None) is not None:
        for key, value in _zookeeper(arguments.zookeeper).items():
            values[key], names[key] = value, "--zookeeper"
    for flag, (key, _, _) in (*SERVER_FLAGS.items(), *COORDINATOR_FLAGS.items(), *DEV_FLAGS.items()):
        value = getattr(arguments, flag[2:].replace("-", "_"), None)
        if value is not None:
            values[key], names[key] = value, flag
    return Flags(values, names, arguments.conf)


def between(count_min: int, count_max: int) -> Callable[[str], int]:
    """For argparse: a whole number. What it gives raises ArgumentTypeError."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not count_min <= int(text) <= count_max:
            raise argparse.ArgumentTypeError(f"write a number from {count_min} to {count_max}")
        return int(text)

    return number


def positive(text: str) -> float:
    """For argparse: a time-out. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _add_flags(to: argparse.ArgumentParser, flags: Mapping[str, tuple[str, str, str]]) -> None:
    group = to.add_argument_group("this server")
    for flag, (_, metavar, sentence) in flags.items():
        group.add_argument(flag, metavar=metavar, help=sentence)


def _zookeeper(text: str) -> dict[str, str]:
    quorum, slash, path = text.strip().partition("/")
    if not quorum:
        raise BadSetting(
            "--zookeeper", text, "command line", "write HOST:PORT[,HOST:PORT][/znode], such as zk1:2181/hbase"
        )
    return {QUORUM: quorum, ZNODE: "/" + path} if slash else {QUORUM: quorum}
