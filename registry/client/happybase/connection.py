"""`happybase.Connection`: one connection of hbeacon's client under happybase's names."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from registry.client.blocking import BlockingConnection, connect_blocking
from registry.client.happybase.columns import as_bytes, family_attributes
from registry.client.happybase.table import Options, Table

logger = logging.getLogger("registry.client.happybase")

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 16000
"""Of a master's RPC."""
THRIFT_PORT = 9090
COMPAT_MODES = ("0.90", "0.92", "0.94", "0.96", "0.98")
THRIFT_TRANSPORTS = ("buffered", "framed")
THRIFT_PROTOCOLS = ("binary", "compact")


class Connection:
    """A connection to a cluster; may be used by several threads.

    `timeout` bounds each operation with its retries, in ms. `transport` and `protocol` are checked and have no effect:
    there is no Thrift server. Port 9090, which only a Thrift server has, stands for a master's 16000.
    """

    def __init__(
        self,
        host: str | Iterable[str] | None = None,
        port: int | str | None = None,
        timeout: int | None = None,
        autoconnect: bool = True,
        table_prefix: bytes | str | None = None,
        table_prefix_separator: bytes | str = b"_",
        compat: str = "0.98",
        transport: str = "buffered",
        protocol: str = "binary",
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Raises ValueError and TypeError as happybase does, BadSetting where no cluster can be made of `host`."""
        _one_of("transport", transport, THRIFT_TRANSPORTS)
        _one_of("compat", compat, COMPAT_MODES)
        _one_of("protocol", protocol, THRIFT_PROTOCOLS)
        self.host = host
        self.port = port
        self.timeout = timeout
        self.table_prefix = None if table_prefix is None else as_bytes(table_prefix, "'table_prefix'")
        self.table_prefix_separator = as_bytes(table_prefix_separator, "'table_prefix_separator'")
        self.compat = compat
        self.transport = Transport(servers(host, port), dict(settings or {}))
        if autoconnect:
            self.open()

    def open(self) -> None:
        """Connect, where it is not connected. Raises RegistryLookupError where no server of the cluster answers."""
        self.transport.open(self.timeout)

    def close(self) -> None:
        """Disconnect; `open` connects again."""
        self.transport.close()

    def table(self, name: bytes | str, use_prefix: bool = True) -> Table:
        """A table, which is not looked for yet. `use_prefix`: whether `table_prefix` is put before its name."""
        return Table(self._table_name(name) if use_prefix else as_bytes(name), self)

    # --- tables -------------------------------------------------------------------------------------------------

    def tables(self) -> list[bytes]:
        """Names of all tables; where there is a prefix, of those that have it, without it."""
        names = [name.encode() for name in self.hbase.admin.tables(**self.options)]
        if self.table_prefix is None:
            return names
        prefix = self._table_name(b"")
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def create_table(self, name: bytes | str, families: Mapping[bytes | str, Mapping[str, Any] | None]) -> None:
        """Make a table; `families` by name with happybase's options, whose defaults are those of Thrift."""
        if not isinstance(families, dict):
            raise TypeError("'families' arg must be a dictionary")
        full_name = self._table_name(name)
        if not families:
            raise ValueError(f"Cannot create table {full_name!r} (no column families specified)")
        made = {
            as_bytes(family).partition(b":")[0].decode(): family_attributes(options)
            for family, options in families.items()
        }
        self.hbase.admin.create_table(full_name.decode(), families=made, **self.options)

    def delete_table(self, name: bytes | str, disable: bool = False) -> None:
        """Delete a table, which has to be disabled; `disable` disables it where it is not."""
        if disable and self.is_table_enabled(name):
            self.disable_table(name)
        self.hbase.admin.delete_table(self._table_name(name).decode(), **self.options)

    def enable_table(self, name: bytes | str) -> None:
        """Enable a table."""
        self.hbase.admin.enable_table(self._table_name(name).decode(), **self.options)

    def disable_table(self, name: bytes | str) -> None:
        """Disable a table."""
        self.hbase.admin.disable_table(self._table_name(name).decode(), **self.options)

    def is_table_enabled(self, name: bytes | str) -> bool:
        """Whether it is."""
        return self.hbase.admin.is_enabled(self._table_name(name).decode(), **self.options)

    def compact_table(self, name: bytes | str, major: bool = False) -> None:
        """Have a table compacted; nobody waits for the end."""
        self.hbase.admin.compact(self._table_name(name).decode(), major=major, **self.options)

    # --- for this package ---------------------------------------------------------------------------------------

    @property
    def hbase(self) -> BlockingConnection:
        """Hbeacon's own connection, for what happybase has no names for."""
        return self.transport.connection(self.timeout)

    @property
    def options(self) -> Options:
        """The time-out of an operation, where one was set."""
        return {} if self.timeout is None else {"timeout_ms": float(self.timeout)}

    def _table_name(self, name: bytes | str) -> bytes:
        if self.table_prefix is None:
            return as_bytes(name)
        return self.table_prefix + self.table_prefix_separator + as_bytes(name)

    def __repr__(self) -> str:
        return f"<happybase.Connection of hbeacon to {self.transport.target or 'the configured cluster'}>"


class Transport:
    """Open or closed: what programs reach for as `connection.transport`."""

    def __init__(self, target: str, settings: Mapping[str, str]) -> None:
        self.target = target
        """URI or list of servers; empty: as configured."""
        self._settings = settings
        self._lock = threading.Lock()
        self._connection: BlockingConnection | None = None
        self._end: weakref.finalize[[BlockingConnection], Transport] | None = None

    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._connection is not None

    def open(self, timeout_ms: float | None = None) -> None:
        """Connect and ask for the cluster's id, so that a wrong address shows here."""
        self.connection(timeout_ms)

    def connection(self, timeout_ms: float | None = None) -> BlockingConnection:
        """The connection, made where there is none."""
        with self._lock:
            if self._connection is None:
                made = connect_blocking(self.target, settings=self._settings)
                try:
                    made.cluster_id(**({} if timeout_ms is None else {"timeout_ms": timeout_ms}))
                except BaseException:
                    made.close()
                    raise
                self._connection = made
                self._end = weakref.finalize(self, _close_beside, made)
                self._end.atexit = False  # its thread ends with the process
            return self._connection

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            if self._connection is not None and self._end is not None:
                self._end.detach()
                self._connection.close()
                self._connection = None


def servers(host: str | Iterable[str] | None, port: int | str | None) -> str:
    """What `hbeacon.connect` takes, from `host` and `port`."""
    if host is None:
        return ""
    if port is None or int(port) == THRIFT_PORT:
        if port is not None:
            logger.warning("port %s is a Thrift server's, which is not needed: asking port %d", port, DEFAULT_PORT)
        port = DEFAULT_PORT
    if isinstance(host, str):
        if "://" in host:
            return host
        host = host.split(",")
    return ",".join(_with_port(name.strip(), port) for name in host)


def _with_port(host: str, port: int | str) -> str:
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # IPv6
    has_port = host.rpartition(":")[2].isdigit() and not host.endswith("]")
    return host if has_port else f"{host}:{port}"


def _one_of(name: str, value: str, values: Iterable[str]) -> None:
    if value not in values:
        raise ValueError(f"{name!r} must be one of {', '.join(values)}")


def _close_beside(connection: BlockingConnection) -> None:
    """Of a connection that nobody has any more: wherever the collector runs, nobody waits."""
    threading.Thread(target=connection.close, name="hbeacon closing", daemon=True).start()
