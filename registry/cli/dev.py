"""`hbeacon dev`: a cluster of its own on this machine, by one command."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
A coordinator (ZooKeeper's protocol, one node), masters that elect one of them, region servers that hold tables, and the
registry that clients ask: all on this machine, in about a second. It prints one line when tables can be created, then
what a client needs:
  hbeacon dev ready zookeeper=HOST:PORT masters=HOST:PORT,... http=HOST:PORT,... regionservers=HOST:PORT,...
Logs go to standard error, warnings alone unless --log-level says otherwise.

examples:
  hbeacon dev
  hbeacon dev --data-dir ~/.hbeacon          keeps its state; without it all is gone at Ctrl-C
  hbeacon dev --ports free                   whatever ports are taken; the real ones are printed
  hbeacon dev --write-conf conf              then: HBASE_CONF_DIR=conf hbase shell
  hbeacon dev --rpc 0.0.0.0:16000 --http 0.0.0.0:16010 --zookeeper-listen 0.0.0.0:2181 --advertise dev1.example.org

It has a coordinator of its own, whatever hbase.zookeeper.quorum says. For a cluster that exists: hbeacon adapter.
ports: master 0 takes 16000 and 16010, region server 0 takes 16020 and 16030, number i takes 100 i more, and so with
--grpc; with other --rpc and --http a region server's are 20 above those of the master of its number. What dies is
started again; with --guard on what stands still is killed after a second too (a breakpoint is standing still).
signals: INT (Ctrl-C) and TERM stop masters, region servers, then the coordinator; a second one at once. HUP reads the
  files again.
exit codes: 0 stopped as asked, 2 bad setting or command line, 3 cannot listen, 4 the data directory cannot be used,
  1 anything else.
"""


def run(argv: Sequence[str]) -> int:
    """Run it until stopped."""
    gc.disable()  # nothing of what is loaded is garbage; each child enables it again
    from registry.clock import SystemClock

    clock = SystemClock()
    began_ms = clock.monotonic_ms()
    from registry.cli.flags import DEV_FLAGS, add_common_flags, between, flags_of, parser
    from registry.dev.plan import MASTERS_MAX, REGION_SERVERS_MAX, REGION_SERVERS_UNASKED
    from registry.dev.process import DevOptions, run_dev

    made = parser("dev", "A whole HBase on this machine, without an installation.", EPILOG)
    add_common_flags(made, zookeeper=False)
    group = made.add_argument_group("this cluster")
    group.add_argument("--masters", metavar="N", type=between(1, MASTERS_MAX), default=2, help="how many masters (2)")
    group.add_argument(
        "--regionservers",
        metavar="N",
        type=between(0, REGION_SERVERS_MAX),
        default=min(REGION_SERVERS_UNASKED, len(os.sched_getaffinity(0))),
        help="how many region servers, 0 for a cluster without tables (one for each core, at most 4)",
    )
    group.add_argument("--ports", choices=("free",), help="take any free ports instead of HBase's own")
    group.add_argument("--write-conf", metavar="DIR", type=Path, help="write hbase-site.xml for Java clients there")
    for flag, (_, metavar, sentence) in DEV_FLAGS.items():
        group.add_argument(flag, metavar=metavar, help=sentence)
    arguments = made.parse_args(argv)
    options = DevOptions(
        arguments.masters,
        arguments.regionservers,
        free_ports=arguments.ports == "free",
        write_conf=arguments.write_conf,
    )
    return run_dev(flags_of(arguments), options, clock, began_ms)
