"""hbase-site.xml for Java clients of a cluster: by the registry for 2.5 and later, by ZooKeeper for all before.

Source: RpcConnectionRegistry (HBASE-26150), MasterRegistry (HBASE-18095), ZKConnectionRegistry; HConstants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from registry.names import Address

FILE_NAME = "hbase-site.xml"
ZOOKEEPER_DIRECTORY = "zookeeper"
MARK = "Written by hbeacon dev, which writes it anew at each start."
MARK_BYTES_MAX = 1000
"""The mark stands in the first lines of the file."""

RPC_REGISTRY = "org.apache.hadoop.hbase.client.RpcConnectionRegistry"
MASTER_REGISTRY = "org.apache.hadoop.hbase.client.MasterRegistry"


class NotOurFileError(Exception):
    """The file is there and somebody else's; `str()` is one line."""


def by_registry(servers: Sequence[Address]) -> dict[str, str]:
    """Properties for clients from 2.5 on; 3.0 needs no more than the list."""
    return {"hbase.client.registry.impl": RPC_REGISTRY, "hbase.client.bootstrap.servers": ",".join(map(str, servers))}


def by_masters(servers: Sequence[Address]) -> dict[str, str]:
    """Properties for clients 2.3 and 2.4."""
    return {"hbase.client.registry.impl": MASTER_REGISTRY, "hbase.masters": ",".join(map(str, servers))}


def by_zookeeper(zookeeper: Address, znode_parent: str) -> dict[str, str]:
    """Properties for every client that knows ZooKeeper, which is all before 2.3."""
    return {
        "hbase.zookeeper.quorum": zookeeper.host,
        "hbase.zookeeper.property.clientPort": str(zookeeper.port),
        "zookeeper.znode.parent": znode_parent,
    }


def xml_lines(properties: Mapping[str, str]) -> list[str]:
    """The `<configuration>` element, a property a line."""
    lines = [
        f"  <property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in properties.items()
    ]
    return ["<configuration>", *lines, "</configuration>"]


def escape(text: str) -> str:
    """As XML text. The standard library's own brings urllib and HTTP along, a tenth of the time until all is ready."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def write_files(directory: Path, registry: Mapping[str, str], zookeeper: Mapping[str, str]) -> list[Path]:
    """DIR/hbase-site.xml (registry) and DIR/zookeeper/hbase-site.xml; gives the paths.

    Either directory serves as HBASE_CONF_DIR. Raises NotOurFileError, before anything is written, where one of the
    files is there and was not written by us, and OSError.
    """
    check_ours(directory)
    wanted = dict(zip(paths_in(directory), (registry, zookeeper), strict=True))
    for path, properties in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f"<!-- {MARK} -->", *xml_lines(properties), ""])
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    return list(wanted)


def paths_in(directory: Path) -> tuple[Path, Path]:
    """Where the two files are."""
    return directory / FILE_NAME, directory / ZOOKEEPER_DIRECTORY / FILE_NAME


def check_ours(directory: Path) -> None:
    """Raise NotOurFileError where one of the files is there and was not written by us."""
    for path in paths_in(directory):
        try:
            with path.open("rb") as file:
                head = file.read(MARK_BYTES_MAX)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NotOurFileError(f"{path} cannot be read: {error.strerror or error}") from None
        if MARK.encode() not in head:
            raise NotOurFileError(f"{path} is there and was not written by hbeacon dev: name another directory")
