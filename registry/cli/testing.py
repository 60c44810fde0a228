"""`hbeacon testing`: clusters for tests in any language: one around a command, or as many as lines ask for."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from registry.cli.flags import parser
from registry.exits import BAD_SETTING, FAILED, STOPPED
from registry.testing.cluster import Cluster
from registry.testing.options import ENGINES, BadOption, ClusterOptions
from registry.testing.snapshots import Snapshot
from registry.testing.zygote import ClusterError, Zygote

EPILOG = """\
With a command it starts a cluster of its own, on free ports and in memory, runs the command, and ends with its exit
code; the cluster ends with the command. In its environment are HBASE_CONF_DIR (hbase-site.xml for Java from 2.5 on; in
HBASE_CONF_DIR/zookeeper one for all others), HBASE_MASTERS, HBASE_ZOOKEEPER_QUORUM and ZOOKEEPER_ZNODE_PARENT:
  hbeacon testing -- mvn test
  hbeacon testing --regionservers 2 --engine rocksdb -- sh -c 'my-client --zookeeper "$HBASE_ZOOKEEPER_QUORUM"'

Without one it reads lines and answers each with a line, `ok` and words NAME=VALUE, or `error` and a sentence: all is
loaded once, and each cluster takes a fraction of a second. It ends, and all clusters, with its standard input.
  start [region_servers=2] [engine=rocksdb] [KEY=VALUE]    ok cluster=1 uri=... zookeeper=... conf=DIR ...
  advance 1 hours=3                                        its calendar goes on: cells expire
  snapshot 1                                               ok snapshot=1: all tables and their rows
  restore 1 1                                              cluster 1 is as it was in snapshot 1
  fault 1 delay methods=Get,Scan delay_ms=200 [on=regionserver]   docs/faults.md; `clear 1` takes all away
  kill 1 regionserver0 [restart=false]                     then: launch 1 regionserver0; ready 1 waits
  stop 1

exit codes: that of the command; 0 at the end of standard input, 2 bad command line, 1 the cluster does not start.
"""


def run(argv: Sequence[str]) -> int:
    """Run it until its command, or its standard input, has ended."""
    made = parser("testing", "Clusters for tests: one around a command, or as many as lines ask for.", EPILOG)
    made.add_argument("--masters", metavar="N", type=int, default=1, help="how many masters (1)")
    made.add_argument("--regionservers", metavar="N", type=int, default=1, help="how many region servers (1)")
    made.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="what keeps rows (memory)")
    made.add_argument("--pages", action="store_true", help="open pages and HTTP API, which takes longer")
    made.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any setting; may repeat")
    made.add_argument("command", metavar="-- COMMAND", nargs="*", help="what runs beside the cluster")
    arguments = made.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    zygote = Zygote()
    try:
        options = _options(arguments)
        return _beside(zygote, options, arguments.command) if arguments.command else _Lines(zygote, options).serve()
    except BadOption as error:
        print(f"hbeacon testing: {error}", file=sys.stderr)
        return BAD_SETTING
    except ClusterError as error:
        print(f"hbeacon testing: {error}", file=sys.stderr)
        return FAILED
    finally:
        zygote.close()


def _options(arguments: argparse.Namespace) -> ClusterOptions:
    settings: dict[str, str] = {}
    for text in arguments.set:
        key, sign, value = text.partition("=")
        if not sign:
            raise BadOption(f"--set {text}: write KEY=VALUE")
        settings[key] = value
    return ClusterOptions(
        arguments.regionservers, arguments.masters, arguments.engine, arguments.pages, settings=settings
    )


def _beside(zygote: Zygote, options: ClusterOptions, command: Sequence[str]) -> int:
    if shutil.which(command[0]) is None:
        raise BadOption(f"{command[0]} is no command here")
    with Cluster(zygote, options) as cluster:
        code = subprocess.run(command, env=cluster.environ, check=False).returncode
    return code if code >= 0 else 128 - code  # as shells count signals


def _interrupt(number: int, frame: object) -> None:
    """SIGTERM ends it as Ctrl-C does."""
    del number, frame
    raise KeyboardInterrupt


class _Lines:
    """Requests by lines of standard input."""

    def __init__(self, zygote: Zygote, options: ClusterOptions) -> None:
        self._zygote = zygote
        self._options = options
        self._clusters: dict[str, Cluster] = {}
        self._snapshots: dict[tuple[str, str], Snapshot] = {}
        self._verbs: dict[str, Callable[[Cluster, list[str], dict[str, Any]], Mapping[str, object] | None]] = {
            "advance": lambda cluster, _, named: cluster.advance(**named),
            "snapshot": self._snapshot,
            "restore": self._restore,
            "fault": self._fault,
            "clear": lambda cluster, _, __: cluster.faults.clear(),
            "kill": lambda cluster, words, named: cluster.kill(*words, **named),
            "launch": lambda cluster, words, _: cluster.start(*words),
            "ready": lambda cluster, _, __: cluster.wait_ready(),
            "stop": self._stop,
        }

    def serve(self) -> int:
        """Answer until there are no more lines; then nothing is left of any cluster."""
        self._zygote.begin()
        try:
            for line in sys.stdin:
                if line.strip():
                    print(self._answer(line), flush=True)
        finally:
            for cluster in self._clusters.values():
                cluster.close()
        return STOPPED

    def _answer(self, line: str) -> str:
        try:
            verb, *rest = shlex.split(line)
            words = [word for word in rest if "=" not in word]
            named = {name: _value(text) for name, _, text in (word.partition("=") for word in rest if "=" in word)}
            told = self._start(named) if verb == "start" else self._asked(verb, words, named)
        except (ClusterError, BadOption, ValueError, TypeError) as error:
            return f"error {' '.join(str(error).split())}"
        return " ".join(["ok", *(f"{name}={shlex.quote(str(value))}" for name, value in (told or {}).items())])

    def _asked(self, verb: str, words: list[str], named: dict[str, Any]) -> Mapping[str, object] | None:
        if verb not in self._verbs:
            raise BadOption(f"{verb!r} is no request: write start, {', '.join(self._verbs)}")
        if not words or words[0] not in self._clusters:
            raise BadOption(f"write {verb} and the number of a cluster: {', '.join(self._clusters) or 'none runs'}")
        return self._verbs[verb](self._clusters[words[0]], words[1:], named)

    def _start(self, named: dict[str, Any]) -> Mapping[str, object]:
        settings = {name: named.pop(name) for name in list(named) if "." in name}
        cluster = Cluster(self._zygote, ClusterOptions.of({**named, "settings": settings}, self._options))
        number = str(len(self._clusters) + 1)
        self._clusters[number] = cluster
        return {
            "cluster": number,
            "uri": cluster.uri,
            "masters": ",".join(cluster.masters),
            "regionservers": ",".join(cluster.region_servers),
            "zookeeper": cluster.zookeeper,
            "znode": cluster.znode_parent,
            "conf": cluster.environ["HBASE_CONF_DIR"],
            "log": cluster.logs.path,
        }

    def _snapshot(self, cluster: Cluster, words: list[str], named: dict[str, Any]) -> Mapping[str, object]:
        del words, named
        snapshot = cluster.snapshot()
        self._snapshots[cluster.uri, snapshot.directory.name] = snapshot
        return {"snapshot": snapshot.directory.name}

    def _restore(self, cluster: Cluster, words: list[str], named: dict[str, Any]) -> None:
        del named
        if len(words) != 1 or (cluster.uri, words[0]) not in self._snapshots:
            raise BadOption("write restore, the number of a cluster, and that of one of its snapshots")
        cluster.restore(self._snapshots[cluster.uri, words[0]])

    def _fault(self, cluster: Cluster, words: list[str], named: dict[str, Any]) -> Mapping[str, object]:
        for name in ("methods", "peers"):
            if name in named:
                named[name] = str(named[name]).split(",")
        fault = cluster.fault(*words, **named)
        return {"seed": fault.seed}

    def _stop(self, cluster: Cluster, words: list[str], named: dict[str, Any]) -> None:
        """Its number is not given again."""
        del words, named
        cluster.close()


def _value(text: str) -> Any:
    """A number or a truth value where it is one."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int | float) else text
