"""`hbeacon master`: flags, guard, and then the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from registry.cli.adapter import guard_wanted
from registry.guard import LINK_VARIABLE, become_guard

EPILOG = """\
A master founds a cluster in a ZooKeeper where there is none, stands for election there, and answers look-ups whether it
is active or stands by. It never enters a cluster that HBase has made: for that there is hbeacon adapter.
  active     makes and changes tables and assigns their regions; puts this off with PleaseHoldException until it can
  standby    says ServerNotRunningYetException, so that clients look for the active one; takes over when that one goes

examples:
  hbeacon master --zookeeper zk1:2181,zk2:2181,zk3:2181/hbeacon --rpc 0.0.0.0:16000 --http 0.0.0.0:16010
  hbeacon master --zookeeper zk1:2181/hbeacon --advertise beacon1.example.com:16000 --data-dir /var/lib/hbeacon
  hbeacon master --rpc 127.0.0.1:0 --http 127.0.0.1:0 --guard off         (any free ports; they are printed)

When it can answer, active or not, it prints one line on standard output:
  hbeacon master ready rpc=HOST:PORT http=HOST:PORT grpc=HOST:PORT|off zookeeper=HOST:PORT
Until ZooKeeper answers it waits: /livez is green, /readyz is red and says why. Logs go to standard error.

signals: TERM hands over and stops after the calls in progress, a second one at once; HUP reads the files again; QUIT
  writes stacks.
exit codes: 0 stopped as asked, 2 bad setting or command line, 3 cannot listen, 4 ZooKeeper refuses for good, or the
  cluster there or the data directory is another's, 1 anything else.
"""


def run(argv: Sequence[str]) -> int:
    """Serve until stopped. With the guard on, this process becomes the guard and another one serves."""
    # A process that calls this function with words of its own cannot be run again: it serves without a guard.
    if LINK_VARIABLE not in os.environ and list(argv) == sys.argv[2:] and guard_wanted(argv, os.environ):
        become_guard([sys.executable, *sys.orig_argv[1:]])

    from registry.cli.flags import add_server_flags, flags_of, parser

    made = parser("master", "Stand for election in ZooKeeper and serve the registry of hbeacon's own cluster.", EPILOG)
    add_server_flags(made)
    made.add_argument(
        "--data-dir", metavar="DIR", help="keep the id of the cluster there, so that it is never founded twice"
    )
    flags = flags_of(made.parse_args(argv))

    from registry.master.process import run_master

    return run_master(flags.load)
