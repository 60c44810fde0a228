"""`hbeacon adapter`: flags, guard, and then the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from registry.guard import LINK_VARIABLE, become_guard

FALSE_WORDS = ("off", "false", "no", "0")

EPILOG = """\
The adapter reads HBase's znodes, never writes them, and answers ClientMetaService and the cluster-id preamble as
masters and region servers of HBase 2.3 to 3.0 do. Clients then need no ZooKeeper:
  hbase.client.registry.impl     org.apache.hadoop.hbase.client.RpcConnectionRegistry   (MasterRegistry before 2.5)
  hbase.client.bootstrap.servers beacon1:16000,beacon2:16000,beacon3:16000              (hbase.masters before 2.5)

examples:
  hbeacon adapter --zookeeper zk1:2181,zk2:2181,zk3:2181/hbase --rpc 0.0.0.0:16000 --http 0.0.0.0:16010
  hbeacon adapter --conf /etc/hbase/conf --advertise beacon1.example.com:16000
  hbeacon adapter --rpc 127.0.0.1:0 --http 127.0.0.1:0 --guard off        (any free ports; they are printed)

When it can answer, and only then, it prints one line on standard output:
  hbeacon adapter ready rpc=HOST:PORT http=HOST:PORT grpc=HOST:PORT|off zookeeper=HOST:PORT
Until ZooKeeper answers it waits: /livez is green, /readyz is red and says why. Logs go to standard error.

signals: TERM stops after the calls in progress, a second one at once; HUP reads the files again; QUIT writes stacks.
exit codes: 0 stopped as asked, 2 bad setting or command line, 3 cannot listen, 4 ZooKeeper refuses for good,
  1 anything else.
"""


def run(argv: Sequence[str]) -> int:
    """Serve until stopped. With the guard on, this process becomes the guard and another one serves."""
    # A process that calls this function with words of its own cannot be run again: it serves without a guard.
    if LINK_VARIABLE not in os.environ and list(argv) == sys.argv[2:] and guard_wanted(argv, os.environ):
        become_guard([sys.executable, *sys.orig_argv[1:]])

    from registry.cli.flags import add_server_flags, flags_of, parser

    made = parser("adapter", "Serve the registry of an existing HBase cluster from its ZooKeeper.", EPILOG)
    add_server_flags(made)
    flags = flags_of(made.parse_args(argv))

    from registry.adapter.process import run_adapter

    return run_adapter(flags.load)


def guard_wanted(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Decide before anything is loaded, since the worker will load it all again.

    Whatever is wrong in the words, the worker says it, and the guard ends with its exit code. The worker reads the
    files too, and may find there that no guard is wanted.
    """
    if "-h" in argv or "--help" in argv:
        return False
    wanted = environ.get("HBEACON_GUARD", "on")
    for index, word in enumerate(argv):
        if word == "--guard" and index + 1 < len(argv):
            wanted = argv[index + 1]
        elif word.startswith(("--guard=", "hbeacon.guard=", "--set=hbeacon.guard=")):
            wanted = word.rpartition("=")[2]
    return wanted.strip().lower() not in FALSE_WORDS
