"""Names of servers as HBase writes them.

Source: org.apache.hadoop.hbase.ServerName, org.apache.hadoop.hbase.net.Address.
"""

from __future__ import annotations

from dataclasses import dataclass

START_CODE_UNKNOWN = -1
"""Start code of a server that is known by address only, as a Java client's bootstrap list has it."""

PORT_MAX = 65535


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host and a port; IPv6 hosts are kept without brackets and written with them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Address:
        """Read `host:port`, `[v6]:port` or, where `default_port` is given, `host` alone.

        Port 0 is a port here (any free one). Raises ValueError with a sentence that names the text.
        """
        text = text.strip()
        if text.startswith("["):
            host, bracket, rest = text[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise ValueError(f"{text!r} is not an address: an IPv6 host is written [::1]:16000")
            port_text = rest[1:]
        elif text.count(":") > 1:
            host, port_text = text, ""
        else:
            host, _, port_text = text.partition(":")
        if not host:
            raise ValueError(f"{text!r} is not an address: the host is missing")
        if not port_text:
            if default_port is None:
                raise ValueError(f"{text!r} is not an address: the port is missing, write {host}:PORT")
            return cls(host, default_port)
        if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > PORT_MAX:
            raise ValueError(f"{text!r} is not an address: {port_text!r} is not a port between 0 and {PORT_MAX}")
        return cls(host, int(port_text))


@dataclass(frozen=True, slots=True, order=True)
class ServerName:
    """One life of one server: host, port and the start time in ms that tells this life from the others.

    The host is kept as the server wrote it: Java compares names exactly.
    """

    host: str
    port: int
    start_code: int = START_CODE_UNKNOWN

    def __str__(self) -> str:
        return f"{self.host},{self.port},{self.start_code}"

    @property
    def address(self) -> Address:
        """Host and port without the start code: equal for all lives of the server."""
        return Address(self.host, self.port)

    @classmethod
    def parse(cls, text: str) -> ServerName:
        """Read `host,port,startcode`, the name of a child of rs or backup-masters.

        Raises ValueError when the text has another shape.
        """
        parts = text.split(",")
        if len(parts) != 3 or not parts[0]:
            raise ValueError(f"{text!r} is not a server name: host,port,startcode is expected")
        host, port_text, start_code_text = parts
        try:
            port, start_code = int(port_text), int(start_code_text)
        except ValueError:
            raise ValueError(f"{text!r} is not a server name: port and start code are numbers") from None
        if not 0 <= port <= PORT_MAX:
            raise ValueError(f"{text!r} is not a server name: {port} is not a port")
        return cls(host, port, start_code)
