"""What `hbeacon dev` prints when it is ready: one line for programs, then what a client needs, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.dev.hbase_site import by_registry, by_zookeeper, xml_lines
from registry.dev.plan import Plan
from registry.names import Address

BOLD, DIM, GREEN, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What runs, as clients reach it."""

    plan: Plan
    zookeeper: Address
    masters: tuple[Address, ...]
    pages: tuple[Address, ...]
    cluster_id: str
    founded_before: bool
    """An earlier run on the same data directory has founded it."""
    znode_parent: str
    data_dir: Path
    temporary: bool
    """The data directory goes with the processes."""
    pids: Mapping[str, int]
    took_ms: float
    local_only: bool
    grpc: tuple[Address, ...] = ()
    region_servers: tuple[Address, ...] = ()
    region_server_pages: tuple[Address, ...] = ()
    written: tuple[Path, ...] = ()
    """hbase-site.xml files."""

    @property
    def uri(self) -> str:
        """For `hbeacon.connect` and `hbeacon lookup`."""
        return "hbase+rpc://" + ",".join(map(str, self.masters))


def ready_line(plan: Plan) -> str:
    """`hbeacon dev ready zookeeper=HOST:PORT masters=H:P,H:P http=H:P,H:P`, with the real ports.

    Behind it `grpc=H:P,H:P` where gRPC is open, and where there are region servers `regionservers=H:P,H:P` and
    `regionservers-http=H:P,H:P`.
    """
    servers = plan.region_servers
    words = {
        "zookeeper": str(plan.zookeeper),
        "masters": _listed(master.rpc for master in plan.masters),
        "http": _listed(master.http for master in plan.masters) or "off",
        "grpc": _listed(master.grpc for master in plan.masters),
        "regionservers": _listed(server.rpc for server in servers),
        "regionservers-http": _listed(server.http for server in servers),
    }
    return "hbeacon dev ready " + " ".join(f"{name}={value}" for name, value in words.items() if value)


def _listed(addresses: Iterable[Address | None]) -> str:
    return ",".join(str(address) for address in addresses if address is not None)


class Page:
    """Lines with headings, in colours where they go to a terminal."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured
        self._lines: list[str] = []

    def text(self) -> str:
        """All lines."""
        return "\n".join(self._lines) + "\n"

    def row(self, name: str, *values: str) -> None:
        """A name and what there is to say of it, a line each."""
        for index, value in enumerate(values):
            word = f"{name:<11}" if index == 0 else " " * 11
            self._lines.append(f"  {self._in(GREEN, word)} {value}")

    def heading(self, text: str, remark: str = "") -> None:
        """What the following lines are for."""
        self._lines += ["", self._in(BOLD, text) + (self._in(DIM, f"  {remark}") if remark else "")]

    def lines(self, lines: Sequence[str]) -> None:
        """To be copied as they are."""
        self._lines += [f"  {line}" for line in lines]

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._coloured else text


def announcement(cluster: Cluster, *, coloured: bool) -> str:
    """Everything after the ready line."""
    page = Page(coloured=coloured)
    age = "as in the runs before" if cluster.founded_before else "new"
    page.heading(f"A cluster of its own, ready after {cluster.took_ms / 1000:.2f} s")
    page.row("cluster id", f"{cluster.cluster_id} ({age})")
    if cluster.pages:
        page.row("pages", *(f"http://{address}/" for address in cluster.pages))
    if cluster.grpc:
        page.row("gRPC", *map(str, cluster.grpc))
    if cluster.region_servers:
        page.row("tables", f"on region servers {', '.join(map(str, cluster.region_servers))}")
        page.row("", *(f"http://{address}/rs-status" for address in cluster.region_server_pages))
    page.row("processes", ", ".join(f"{name} {pid}" for name, pid in cluster.pids.items()))
    if cluster.temporary:
        page.row("state", f"in {cluster.data_dir}: all of it is gone at Ctrl-C (--data-dir DIR keeps it)")
    else:
        page.row("state", f"in {cluster.data_dir}: the next start with this --data-dir goes on from there")
    if cluster.local_only:
        page.row("reach", "this machine alone (--rpc, --http, --zookeeper-listen 0.0.0.0:PORT open it)")

    page.heading("Ask it")
    page.lines([f"hbeacon lookup {cluster.uri}"])
    if cluster.region_servers:
        page.lines([f"hbeacon shell {cluster.uri}"])
    if cluster.pages:
        page.lines([f"curl -s http://{cluster.pages[0]}/api/v1/registry"])
    page.heading("Python")
    page.lines([f'hbeacon.connect("{cluster.uri}")', f'KazooClient("{cluster.zookeeper}")'])
    page.heading("Java 2.5, 2.6, 3.0: hbase-site.xml", "by the registry, without ZooKeeper")
    page.lines(xml_lines(by_registry([*cluster.masters, *cluster.region_servers])))
    page.heading("Java before 2.5, and every other client: hbase-site.xml", "by ZooKeeper")
    page.lines(xml_lines(by_zookeeper(cluster.zookeeper, cluster.znode_parent)))
    if cluster.written:
        page.row("written to", *map(str, cluster.written))
    page.heading("ZooKeeper's shell")
    page.lines([f"zkCli.sh -server {cluster.zookeeper} ls {cluster.znode_parent}"])
    page.heading("Ctrl-C stops all of it, a second one at once.")
    return page.text() + "\n"
