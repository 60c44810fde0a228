"""docs/configuration.md, written from the table of keys so that the two cannot differ.

`python -m registry.config.document > docs/configuration.md`
"""

from __future__ import annotations

import sys

from registry.config.keys import DEPRECATED, SECTIONS, Key, Kind

INTRODUCTION = """\
# Configuration

<!-- Written by `python -m registry.config.document`; edit registry/config/keys.py or document.py instead. -->

hbeacon reads the files that an HBase cluster and its clients already have, `core-site.xml` and `hbase-site.xml`, with
HBase's keys under HBase's names. Keys of its own begin with `hbeacon.`.

`hbeacon config` prints every value and where it came from; `hbeacon config --json KEY...` does so for programs, and a
running server shows the same under `/conf`.

## Where a value comes from

The first of these that sets a key wins:

1. **Flags.** `--set KEY=VALUE` sets any key; the flags below set one each.
2. **Environment.** The name of a key in capitals, `_` for whatever is neither letter nor digit:
   `hbase.zookeeper.quorum` is `HBASE_ZOOKEEPER_QUORUM`.
   (`HBASE_MASTER_PORT=tcp://...`, which Kubernetes puts into pods beside a service called
   `hbase-master`, is not taken for a setting.)
3. **Files** in `--conf DIR`, else in `HBASE_CONF_DIR`: `hbase-site.xml` wins over `core-site.xml`, except where a
   property there says `<final>true</final>`. `${key}`, `${env.NAME}`, `${env.NAME:-default}`, `${user.name}` and other
   system properties are replaced, and XInclude is followed, as Hadoop does it.
4. **The default** in the tables below.

| flag | sets |
| --- | --- |
| `--zookeeper HOST:PORT[,...][/znode]` | `hbase.zookeeper.quorum`, `zookeeper.znode.parent` |
| `--rpc HOST:PORT` | `hbeacon.rpc.address` |
| `--http HOST:PORT` | `hbeacon.http.address` |
| `--grpc HOST:PORT` | `hbeacon.grpc.address` |
| `--facade HOST:PORT` | `hbeacon.facade.address` |
| `--advertise HOST[:PORT]` | `hbeacon.advertise.address` |
| `--listen HOST:PORT`, of `hbeacon dev`: `--zookeeper-listen HOST:PORT` | `hbeacon.coordinator.address` |
| `--data-dir DIR` | `hbeacon.data.dir` |
| `--guard on\\|off` | `hbeacon.guard` |
| `--log-format text\\|json` | `hbeacon.log.format` |
| `--log-level LEVEL` | `hbeacon.log.level` |
| `--conf DIR` | where the files are |
| `--set KEY=VALUE` | any key |

## When a value is wrong

A server does not start with a value it cannot use. It prints one line that names the key, the value, where it came from
and what to write instead, and ends with exit code 2:

```
hbeacon adapter: hbeacon.guard = 'perhaps' (from /etc/hbase/conf/hbase-site.xml:12): write on or off
```

A key that begins with `hbeacon.` and is not in the tables is ignored with a warning that names the nearest one.

## Changes without a restart

The files are watched; editors, `mv`, and a swapped symlink (a mounted Kubernetes ConfigMap) are all noticed within a
second. SIGHUP reads them at once. Keys marked *live* take effect then; for others the log says that a restart is
needed. A file that cannot be used leaves the old values in force, and the log says why.

## Kinds of values

* durations of HBase's keys: plain milliseconds, as Java reads them. Our own also take `500ms`, `30s`, `5m`, `1h`.
* sizes: bytes, or `64k`, `1m`, `2g`.
* addresses: `HOST:PORT`, IPv6 as `[::1]:16000`. Port 0 takes a free port where something is listened for.
* on or off: `on`, `off`, `true`, `false`.
* `hbeacon.zookeeper.auth` is a credential: it is never printed. Put it into a file that only the server may read, or
  into the environment, not on the command line.
"""


def page() -> str:
    """The whole page."""
    tables = "\n".join(_section(title, keys) for title, keys in SECTIONS)
    renamed = "\n".join(f"* `{old}` is now `{new}`." for old, new in DEPRECATED.items())
    return f"{INTRODUCTION}\n{tables}\n## Old names\n\nThese are read, with a warning:\n\n{renamed}\n"


def _section(title: str, keys: tuple[Key, ...]) -> str:
    rows = "\n".join(_row(key) for key in keys)
    return f"## {title}\n\n| key | default | what it does |\n| --- | --- | --- |\n{rows}\n"


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default else ""
    notes = [_values(key), "*Live.*" if key.live else ""]
    return f"| `{key.name}` | {default} | {' '.join([key.sentence, *filter(None, notes)])} |"


def _values(key: Key) -> str:
    if key.kind is Kind.CHOICE:
        return f"One of {', '.join(f'`{choice}`' for choice in key.choices)}."
    return ""


if __name__ == "__main__":
    sys.stdout.write(page())
