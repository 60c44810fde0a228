"""`hbeacon coordinator`: flags, and then the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

EPILOG = """\
The coordinator speaks ZooKeeper's client protocol as clients of 3.4 to 3.9 do: sessions, ephemeral and sequential
znodes, containers and TTLs, watches, multi, ACLs. HBase, kazoo, Curator and zkCli.sh use it as a ZooKeeper:
  hbase.zookeeper.quorum                  127.0.0.1
  hbase.zookeeper.property.clientPort     2181

It is one node without a quorum. It is made for development, tests and small installations that can bear a pause while
one process restarts; for production run ZooKeeper itself, and the same masters unchanged on it.
Without --data-dir all is in memory, and gone with the process: sessions, znodes, and so a cluster's id and its master.
With it every acknowledged write is on disk (fsync); sessions come back after a restart and their clients re-attach.

examples:
  hbeacon coordinator                                           127.0.0.1:2181, in memory
  hbeacon coordinator --listen 0.0.0.0:2181 --data-dir /var/lib/hbeacon
  hbeacon coordinator --listen 127.0.0.1:0                      any free port; it is printed
  hbeacon coordinator --conf /etc/hbase/conf                    hbase.zookeeper.property.* as HBase's own ZooKeeper
  hbeacon coordinator --set hbase.zookeeper.property.4lw.commands.whitelist='*'
  echo srvr | nc 127.0.0.1 2181

When it serves, and only then, it prints one line on standard output:
  hbeacon coordinator ready zookeeper=HOST:PORT http=off
Logs go to standard error.

guard: off unless --guard on, and then with --data-dir only. A new worker knows what the journal knows: sessions, their
passwords and all znodes, so clients re-attach; without a journal it would be another, empty ZooKeeper.
signals: TERM answers what has come and ends, a second one at once; HUP reads the files again; QUIT writes stacks.
exit codes: 0 stopped as asked, 2 bad setting or command line, 3 cannot listen, 4 the data cannot be used,
  1 anything else.
"""


def run(argv: Sequence[str]) -> int:
    """Serve until stopped. With a guard asked for, this process becomes the guard and another one serves."""
    from registry.cli.adapter import guard_wanted
    from registry.guard import LINK_VARIABLE, become_guard

    # A process that calls this function with words of its own cannot be run again: it serves without a guard.
    ours = LINK_VARIABLE not in os.environ and list(argv) == sys.argv[2:]
    if ours and guard_wanted(argv, {"HBEACON_GUARD": "off", **os.environ}):
        become_guard([sys.executable, *sys.orig_argv[1:]])

    from registry.cli.flags import add_coordinator_flags, flags_of, parser

    made = parser("coordinator", "ZooKeeper's client protocol from one process, without an installation.", EPILOG)
    add_coordinator_flags(made)
    flags = flags_of(made.parse_args(argv))

    from registry.coordinator.process import run_coordinator

    return run_coordinator(flags.load)
