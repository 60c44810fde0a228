"""`hbeacon regionserver`: flags, guard, and then the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from registry.cli.adapter import guard_wanted
from registry.guard import LINK_VARIABLE, become_guard

EPILOG = """\
A region server registers with the active master of hbeacon's own cluster and serves the regions that it is told to
open: Get, Mutate, Multi, Scan. It answers look-ups too, also while every master is away. Region servers of one machine
share one data directory: what one leaves behind when it dies another takes over.

examples:
  hbeacon regionserver --zookeeper zk1:2181,zk2:2181,zk3:2181/hbeacon --data-dir /var/lib/hbeacon --rpc 0.0.0.0:16020
  hbeacon regionserver --data-dir /var/lib/hbeacon --rpc 127.0.0.1:0 --http 127.0.0.1:0   (any free ports)
  hbeacon regionserver                          (rows in memory only, for a try)

When it is registered and answers, it prints one line on standard output:
  hbeacon regionserver ready rpc=HOST:PORT http=HOST:PORT grpc=HOST:PORT|off zookeeper=HOST:PORT
Until there is a cluster it waits: /livez is green, /readyz is red and says why. Logs go to standard error.

signals: TERM stops after the calls in progress, a second one at once; HUP reads the files again; QUIT writes stacks.
exit codes: 0 stopped as asked, 2 bad setting or command line, 3 cannot listen, 4 ZooKeeper refuses for good, the
  cluster there is another's, or the data cannot be used, 1 anything else: the master took it for dead, its session is
  over, its store failed. The guard, or whatever started it, starts it again then.
"""


def run(argv: Sequence[str]) -> int:
    """Serve until stopped. With the guard on, this process becomes the guard and another one serves."""
    # A process that calls this function with words of its own cannot be run again: it serves without a guard.
    if LINK_VARIABLE not in os.environ and list(argv) == sys.argv[2:] and guard_wanted(argv, os.environ):
        become_guard([sys.executable, *sys.orig_argv[1:]])

    from registry.cli.flags import add_server_flags, flags_of, parser

    made = parser("regionserver", "Serve regions of hbeacon's own cluster, and its registry.", EPILOG)
    add_server_flags(made)
    made.add_argument(
        "--data-dir", metavar="DIR", help="keep rows there; all region servers of a machine share it (none: in memory)"
    )
    flags = flags_of(made.parse_args(argv))

    from regionserver.process import run_region_server

    return run_region_server(flags.load)
