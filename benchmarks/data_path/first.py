"""From the command to the first row written and read by a Java client: `hbeacon dev` beside stand-alone HBase.

The client's JVM runs already and has done the same with another cluster: the time it takes to load its classes is not
what is measured. It makes a table, since a fresh cluster has none, writes a row and reads it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.data_path.sides import HBASE, HEAP, HBeaconSide, Side, active_master, java_settings
from benchmarks.samples import Samples
from benchmarks.servers import LOOPBACK
from registry.names import Address
from tests.support.java import CURRENT_SERVER, JDK_FLAGS, JavaClient, jars, write_log_settings
from tests.support.processes import ManagedProcess, free_ports, tool

FIRST = "first put and get"
TABLE = "first"
PAUSE = {"hbase.client.pause": "50"}
"""Half of HBase's own, for both: who waits for a cluster to come up should not sleep through the moment."""


class StandAloneHBase:
    """What `bin/start-hbase.sh` starts on a fresh machine: master, region server and ZooKeeper in one JVM."""

    def __init__(self, directory: Path) -> None:
        """Start it; `wait_ready` waits."""
        self.name = HBASE
        conf = directory / "conf"
        write_log_settings(conf)
        zookeeper, master, region_server = free_ports(LOOPBACK, 3)
        self.zookeeper, self.masters = Address(LOOPBACK, zookeeper), [Address(LOOPBACK, master)]
        settings = {
            "hbase.rootdir": f"file://{directory}/hbase",
            "hbase.tmp.dir": f"{directory}/tmp",
            "hbase.cluster.distributed": "false",
            "hbase.unsafe.stream.capability.enforce": "false",  # the local file system has no hflush
            "hbase.zookeeper.quorum": LOOPBACK,
            "hbase.zookeeper.property.clientPort": str(zookeeper),
            "hbase.zookeeper.property.dataDir": f"{directory}/zookeeper",
            "hbase.master.port": str(master),
            "hbase.regionserver.port": str(region_server),
            "hbase.master.hostname": LOOPBACK,
            "hbase.regionserver.hostname": LOOPBACK,
            "hbase.unsafe.regionserver.hostname": LOOPBACK,
            "hbase.master.info.port": "-1",
            "hbase.regionserver.info.port": "-1",
        }
        properties = "".join(
            f"<property><name>{name}</name><value>{escape(value)}</value></property>\n"
            for name, value in settings.items()
        )
        (conf / "hbase-site.xml").write_text(f"<configuration>\n{properties}</configuration>\n")
        words = [*HEAP, "-XX:+UseG1GC", *JDK_FLAGS, "-cp", f"{conf}:{jars(CURRENT_SERVER)}"]
        argv = [tool("java"), *words, "org.apache.hadoop.hbase.master.HMaster", "start"]
        self._process = ManagedProcess("stand-alone HBase", argv, directory / "hbase.log", cwd=conf)

    def wait_ready(self) -> None:
        """Until it says that it is the active master: from then on a client waits by itself."""
        active_master(self)

    def pids(self) -> list[int]:
        """One JVM."""
        return [self._process.pid]

    def tail(self) -> str:
        """The end of its log."""
        return self._process.tail()

    def stop(self) -> None:
        """Without ceremony."""
        self._process.kill()


def _once(make: Callable[[], Side], client: JavaClient, name: str) -> tuple[str, dict[str, float]]:
    """The name of the side, and milliseconds from the command until each thing was done."""
    began_s = time.perf_counter()
    side = make()
    try:
        at_ms: dict[str, float] = {}

        def done(what: str) -> None:
            at_ms[f"{what}_ms"] = (time.perf_counter() - began_s) * 1000

        side.wait_ready()
        done("ready")
        client.open(name, {**java_settings(side), **PAUSE}, timeout_s=120)
        done("connected")
        client.do("create", name, TABLE, timeout_s=120)
        done("created")
        client.do("put", name, TABLE, "row", "value")
        read = client.do("get", name, TABLE, "row").value
        assert read == "value", f"{side.name} gave back {read!r}"
        done("read")
        client.do("close", name)
        return side.name, at_ms
    except AssertionError as error:
        raise AssertionError(f"{error}; the log of {side.name} ends:\n{side.tail()}") from error
    finally:
        side.stop()


def measure(
    directory: Path, runs: int, jvm_runs: int, samples: Samples, tick: Callable[[str], None], version: str = "2.6.4"
) -> None:
    """Starts in turns; the first of `hbeacon dev` warms the client and is not counted."""
    client = JavaClient(version, directory / "client.log", optimised=True)
    try:
        for number in range(-1, runs):
            kinds: Sequence[Callable[[Path], Side]] = (HBeaconSide, StandAloneHBase)
            for kind in kinds if 0 <= number < jvm_runs else kinds[:1]:
                tick(f"start {number + 1}")
                place = directory / f"{number + 1}-{kind.__name__}"  # pyright: ignore[reportAttributeAccessIssue]
                place.mkdir(parents=True)
                side, at_ms = _once(lambda kind=kind, place=place: kind(place), client, place.name)
                if number >= 0:
                    samples.add(FIRST, side, at_ms)
    finally:
        client.close()
