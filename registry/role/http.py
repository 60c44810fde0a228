"""The HTTP door of a role: its port listens with the others, its libraries are loaded late and by a thread."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

from registry.config.settings import Settings
from registry.lookup.fresh_reader import FreshReader
from registry.names import Address
from registry.role.listening import address_of, listen

if TYPE_CHECKING:
    from registry.http.options import FaceOptions
    from registry.http.serve import HttpServer
    from registry.http.status import StatusSource

FLAG = "--http"


class HttpDoor:
    """Owns the port from `reserve` to `stop`."""

    def __init__(self, reader: FreshReader) -> None:
        self._reader = reader
        self.address: Address | None = None
        """Where it listens, or did; None where it is off."""
        self._listener: socket.socket | None = None
        self._server: HttpServer | None = None

    async def reserve(self, address: Address | None, given: socket.socket | None, kept_port: int) -> None:
        """Listen: who connects before the pages are loaded waits for them. Raises CannotListen.

        `given` listens already, and is taken instead of a new socket.
        """
        if address is not None:
            self._listener = given or await asyncio.to_thread(listen, address, FLAG, kept_port)
            self.address = address_of(self._listener)

    async def open(self, settings: Settings, make_status: Callable[[str], StatusSource]) -> None:
        """Load the libraries and answer. `make_status` is given the version of this program."""
        address = self.address
        if address is None:
            return
        app_module, serve_module, options = await asyncio.to_thread(_load, settings)
        status = make_status(await asyncio.to_thread(_own_version))
        options = replace(options, reader=self._reader)
        app = await asyncio.to_thread(app_module.create_app, status, None, options)
        self._server = await serve_module.serve(app, address.host, address.port, listener=self._listener)

    def changed(self) -> None:
        """Look-ups are answered otherwise from now on: those who follow are told."""
        if self._server is not None:
            self._server.changed()

    async def stop(self) -> None:
        """End it and let go of the port."""
        if self._server is not None:
            await self._server.stop()
        elif self._listener is not None:
            self._listener.close()


def _load(settings: Settings) -> tuple[ModuleType, ModuleType, FaceOptions]:
    from registry.http import app, serve
    from registry.http.events import SubscriberLimits
    from registry.http.options import FaceOptions

    return (
        app,
        serve,
        FaceOptions(
            SubscriberLimits(
                settings.int_("hbeacon.http.subscribers_max"), settings.int_("hbeacon.http.subscribers_per_peer_max")
            ),
            settings.bool_("hbeacon.loglevel.enabled"),
            settings.str_("hbeacon.loglevel.token").strip(),
        ),
    )


def _own_version() -> str:
    from registry.cli.version import own_version

    return own_version()
