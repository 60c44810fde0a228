"""`hbeacon config`: each value and where it came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from registry.cli.flags import add_server_flags, flags_of, parser
from registry.config.keys import KEYS
from registry.config.settings import Settings
from registry.exits import FAILED, STOPPED

EPILOG = """\
A flag wins over the environment, that over hbase-site.xml and core-site.xml, those over the default. Every key has an
environment variable: its name in capitals with _ for what is neither letter nor digit (hbase.masters: HBASE_MASTERS).

examples:
  hbeacon config                                  every setting
  hbeacon config --conf /etc/hbase/conf --set-only   only what somebody set
  hbeacon config --json hbase.masters             one of them, for programs
"""


def run(argv: Sequence[str]) -> int:
    """Print settings; exit code 1 when a key that was asked for is not known and not set."""
    made = parser("config", "Print every setting, its value and where it came from.", EPILOG)
    made.add_argument("keys", metavar="KEY", nargs="*", help="only these")
    made.add_argument("--json", action="store_true", help="one JSON object: key to value, origin and meaning")
    made.add_argument("--set-only", action="store_true", help="only what differs from the default's place")
    add_server_flags(made)
    arguments = made.parse_args(argv)
    settings = flags_of(arguments).load()
    for warning in settings.warnings:
        print(f"hbeacon config: {warning}", file=sys.stderr)
    names = list(arguments.keys or settings)
    unknown = [name for name in names if name not in KEYS and not settings.is_set(name)]
    for name in unknown:
        print(f"hbeacon config: {name} is no setting of hbeacon and is set nowhere", file=sys.stderr)
    names = [name for name in names if name not in unknown and not (arguments.set_only and not settings.is_set(name))]
    print(_json(settings, names) if arguments.json else _table(settings, names))
    return FAILED if unknown else STOPPED


def _json(settings: Settings, names: list[str]) -> str:
    rows = {
        name: {
            "value": settings.shown(name),
            "origin": settings.origin(name),
            "meaning": KEYS[name].sentence if name in KEYS else "",
        }
        for name in names
    }
    return json.dumps(rows, indent=2)


def _table(settings: Settings, names: list[str]) -> str:
    rows = [(name, settings.shown(name) or "(empty)", settings.origin(name)) for name in names]
    key_width = max((len(name) for name, _, _ in rows), default=0)
    value_width = min(max((len(value) for _, value, _ in rows), default=0), 40)
    return "\n".join(f"{name:<{key_width}}  {value:<{value_width}}  {origin}" for name, value, origin in rows)
