"""The parts: a real HBase 2.6.4, its Thrift server, and the clients, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.samples import ROOT
from tests.support.java import JDK_FLAGS, ClassPath, cache_dir, jars, resolve
from tests.support.old_clients import pypi_directory
from tests.support.processes import ManagedProcess, accepts, free_ports, tool

THRIFT = ClassPath("hbase-thrift", "2.5.8", ())
"""The newest that is to be had as a package; that of 2.6.4 is not."""
HAPPYBASE_VERSION = "1.3.0"
CLIENT = Path(__file__).with_name("client.py")
START_S_MAX = 90.0


@dataclass(frozen=True)
class Kind:
    """One client."""

    name: str
    """For people."""
    kind: str
    """For client.py."""
    measures: tuple[str, ...] = ("put", "get", "batch", "scan")


HAPPYBASE = Kind("happybase, Thrift server", "happybase")
FACADE = Kind("façade of happybase", "facade")
BLOCKING = Kind("hbeacon, blocking", "blocking")
ASYNC = Kind("hbeacon, async", "async")
DRIVER = Kind("hbase-driver", "driver", ("scan",))
KINDS = (HAPPYBASE, FACADE, BLOCKING, ASYNC, DRIVER)


def happybase_directory() -> Path:
    """Happybase with what it needs, beside the environment; fetched when it is not there."""
    directory = cache_dir() / f"happybase-{HAPPYBASE_VERSION}"
    if not directory.is_dir():
        partial = directory.with_name(f"{directory.name}.partial-{os.getpid()}")
        words = ["install", "-q", "--target", str(partial), f"happybase=={HAPPYBASE_VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True, stdin=subprocess.DEVNULL, timeout=600)
        partial.rename(directory)
    return directory


class ThriftServer:
    """HBase's own, for a cluster that it finds by ZooKeeper."""

    def __init__(self, directory: Path, zookeeper: str) -> None:
        resolve(THRIFT)
        host, _, port = zookeeper.partition(":")
        conf = directory / "thrift-conf"
        conf.mkdir()
        settings = {"hbase.zookeeper.quorum": host, "hbase.zookeeper.property.clientPort": port}
        listed = "".join(
            f"<property><name>{key}</name><value>{value}</value></property>" for key, value in settings.items()
        )
        (conf / "hbase-site.xml").write_text(f"<configuration>{listed}</configuration>\n")
        (self.port,) = free_ports("127.0.0.1", 1)
        words = ["-Xmx1g", *JDK_FLAGS, "-cp", f"{conf}:{jars(THRIFT)}", "org.apache.hadoop.hbase.thrift.ThriftServer"]
        arguments = ["start", "-p", str(self.port), "--infoport", "-1"]
        self.process = ManagedProcess("thrift", [tool("java"), *words, *arguments], directory / "thrift.log")
        ends = time.monotonic() + START_S_MAX
        while not accepts("127.0.0.1", self.port):
            if self.process.popen.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the Thrift server did not start:\n{self.process.tail()}")
            time.sleep(0.1)


class Client:
    """A client's process: does a measure when it is told to."""

    def __init__(self, kind: Kind, target: str, table: str, directory: Path) -> None:
        self.kind = kind
        places = {HAPPYBASE: [happybase_directory()], DRIVER: [pypi_directory()]}.get(kind, [ROOT])
        environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
        self._log = (directory / f"{kind.kind}.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, str(CLIENT), kind.kind, target, table],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
            cwd=directory,
        )
        if self._line() != "ready":
            raise RuntimeError(f"{kind.name} did not start: see {self._log.name}")

    def do(self, measure: str) -> dict[str, Any]:
        """One round."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{measure}\n")
            self.process.stdin.flush()
        line = self._line()
        if line:
            return json.loads(line)
        return {"errors": 1, "error": f"it ended: {Path(self._log.name).read_text()[-500:]}"}

    def close(self) -> None:
        """End it."""
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):  # it ended before a line could be written
            self.process.communicate()
        self._log.close()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()
