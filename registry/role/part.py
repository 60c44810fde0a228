"""Parts: what a role runs beside the registry, each with a beginning, an end and its word in the ready line."""

from __future__ import annotations

from collections.abc import Sequence


class Part:
    """One part of a server (an election, a ZooKeeper door); every method may stay as it is here.

    All of it runs on the loop. A task that the part starts with `RoleServer.start_task` ends the server when it fails.
    """

    async def start(self) -> None:
        """Begin. RPC and HTTP are bound, the advertised address is known, ZooKeeper has not been read yet.

        Raises registry.role.listening.CannotListen where it cannot have its own address.
        """

    async def drain(self) -> None:
        """The server has been told to stop: let go of what others wait for. Calls in progress still run."""

    async def stop(self) -> None:
        """End; also called when `start` has not been reached or has failed."""

    def ready_words(self) -> Sequence[str]:
        """What the ready line says of it, such as `facade=127.0.0.1:2181`."""
        return ()
