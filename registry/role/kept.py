"""What one worker leaves for the next: its clients must not notice that another process answers."""

from __future__ import annotations

from dataclasses import dataclass

from registry.lookup.cache import VERSION_NONE
from registry.lookup.snapshot import Version


@dataclass(frozen=True, slots=True)
class Kept:
    """Goes through the guard as one line of text."""

    rpc_port: int = 0
    """The real port, where port 0 was asked for: clients know this one."""
    http_port: int = 0
    version: Version = VERSION_NONE
    """The newest that was answered: on one address the version never goes back."""
    facade_port: int = 0
    watch: str = ""
    """Of the day's watch (registry.lookup.firewall_kept); one word, or none."""
    grpc_port: int = 0

    def text(self) -> str:
        """As the guard keeps it."""
        version = self.version
        ports = f"{self.facade_port} {self.grpc_port}"
        return f"{self.rpc_port} {self.http_port} {version.generation} {version.zxid} {ports} {self.watch}".rstrip()

    @classmethod
    def parse(cls, text: str) -> Kept:
        """Read what the guard kept; a line of another version of this program counts as none."""
        words = text.split()
        numbers, watch = words[:6], words[6:]
        if len(numbers) != 6 or len(watch) > 1 or not all(word.isdigit() for word in numbers):
            return cls()
        rpc_port, http_port, generation, zxid, facade_port, grpc_port = map(int, numbers)
        return cls(rpc_port, http_port, Version(generation, zxid), facade_port, "".join(watch), grpc_port)
