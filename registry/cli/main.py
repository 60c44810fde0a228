"""The one command. Maps its first word to a function and imports that function's module only then."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from registry.exits import BAD_SETTING, FAILED, INTERRUPTED

COMMANDS: dict[str, tuple[str, str]] = {
    "dev": ("registry.cli.dev:run", "a whole HBase on this machine, by this one command"),
    "testing": ("registry.cli.testing:run", "clusters for tests in any language, a fraction of a second each"),
    "adapter": ("registry.cli.adapter:run", "serve the registry of an existing HBase cluster from its ZooKeeper"),
    "master": ("registry.cli.master:run", "stand for election in ZooKeeper, serve the registry of our own cluster"),
    "regionserver": ("regionserver.cli:run", "serve regions, and the registry, of our own cluster"),
    "coordinator": (
        "registry.cli.coordinator:run",
        "ZooKeeper's client protocol from one process: one node, no quorum",
    ),
    "shell": ("registry.cli.shell:run", "the words of hbase shell: create, put, get, scan, ..."),
    "export": ("registry.cli.export:run", "a table into a file: JSON lines or Parquet"),
    "import": ("registry.cli.import_:run", "such a file into a table"),
    "lookup": ("registry.cli.lookup:run", "ask registry servers, or ZooKeeper, where a cluster is"),
    "race": ("registry.cli.race:run", "what new clients pay for hung registry servers, policy by policy"),
    "fault": ("registry.cli.fault:run", "have running servers delay, hang, reset or lie, to test your clients"),
    "status": ("registry.cli.status:run", "what a running server knows, how old that is, and whether it is ready"),
    "config": ("registry.cli.config:run", "every setting, its value and where it came from"),
    "version": ("registry.cli.version:run", "version of this program and of what it runs on"),
}
"""Word to `module:function` and the sentence of the help. The function takes the other words, gives the exit code."""

USAGE = """\
hbeacon: a whole HBase in one command, and the registry of the HBase that you have, served by RPC instead of ZooKeeper

usage: hbeacon COMMAND [OPTIONS]        hbeacon COMMAND --help tells more

commands:
{commands}

examples:
  hbeacon dev
  hbeacon adapter --zookeeper zk1,zk2,zk3:2181/hbase --rpc 0.0.0.0:16000 --http 0.0.0.0:16010
  hbeacon adapter --conf /etc/hbase/conf --set hbeacon.registry.servers=beacon1,beacon2,beacon3
  hbeacon lookup hbase+rpc://beacon1:16000,beacon2:16000
  hbeacon status http://beacon1:16010
  hbeacon config --conf /etc/hbase/conf

ports (HBase's own): 16000 RPC and 16010 pages, /health, /readyz and /metrics of masters and adapters; 16020 and 16030
  of region servers; ZooKeeper is at 2181.
settings: a flag wins over the environment (hbase.masters is HBASE_MASTERS), that over hbase-site.xml and core-site.xml
  in --conf DIR or HBASE_CONF_DIR, those over the default.
exit codes: 0 stopped as asked, 2 bad setting or command line, 3 cannot listen, 4 ZooKeeper refuses for good,
  1 anything else.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code. Bad settings become one line on standard error."""
    _open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else BAD_SETTING
    word = "version" if words[0] in ("-V", "--version") else words[0]
    if word not in COMMANDS:
        print(_unknown(word), file=sys.stderr)
        return BAD_SETTING
    try:
        return _function(COMMANDS[word][0])(words[1:])
    except BrokenPipeError:
        # `hbeacon config | head`: the reader has what it wanted.
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        print(f"hbeacon {word}: {error.strerror}", file=sys.stderr)
        sys.stderr.close()  # what is left of standard output cannot be written at the end either
        return FAILED
    except Exception as error:
        # Looked up by name: most commands end without ever loading the settings.
        values = sys.modules.get("registry.config.values")
        if values is None or not isinstance(error, values.BadSetting):
            raise
        print(f"hbeacon {word}: {error}", file=sys.stderr)
        return BAD_SETTING


def _open_streams() -> None:
    """A standard stream that whoever started us has closed goes nowhere, and no socket takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - as long as the process


def usage() -> str:
    """The help text."""
    return USAGE.format(commands="\n".join(f"  {word:<12} {sentence}" for word, (_, sentence) in COMMANDS.items()))


def _function(reference: str) -> Callable[[Sequence[str]], int]:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def _unknown(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else f": write one of {', '.join(COMMANDS)}"
    return f"hbeacon: {word!r} is not a command{hint}"


if __name__ == "__main__":
    sys.exit(main())
