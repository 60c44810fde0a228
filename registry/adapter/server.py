"""The adapter: the registry of an existing cluster, read from its ZooKeeper, and nothing else."""

from __future__ import annotations

from registry.role.server import RoleServer


class Adapter(RoleServer):
    """One adapter in one process. `run` is its whole life."""

    role = "adapter"
