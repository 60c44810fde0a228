"""Whether faults may be set on a server, and by whom: from settings to the desk behind its RPC door."""

from __future__ import annotations

import ipaddress
import logging
import random
from typing import TYPE_CHECKING

from registry.config.settings import Settings
from registry.rpc.server import RpcServer

if TYPE_CHECKING:
    from registry.faults.control import FaultAccess
    from registry.rpc.fault_desk import FaultDesk

logger = logging.getLogger("registry.role")

ENABLED, TOKEN, PEERS = "hbeacon.faults.enabled", "hbeacon.faults.token", "hbeacon.faults.peers"

SEEDS = 2**32
"""Chosen below it where a fault names no seed: short enough to be typed again."""


def fault_desk(rpc: RpcServer, settings: Settings) -> FaultDesk | None:
    """Where faults are set and asked for; None where they are not enabled. Raises BadSetting."""
    access = fault_access(settings)
    if access is None:
        return None
    from registry.faults.machine import Faults

    logger.warning("faults may be set on this server (%s): it is for tests of clients", ENABLED)
    chosen = random.SystemRandom()
    return rpc.allow_faults(Faults(random.Random, lambda: chosen.randrange(SEEDS)), access)


def fault_access(settings: Settings) -> FaultAccess | None:
    """Who may change faults; None where nobody may. Raises BadSetting, for what is set and not used too."""
    enabled = settings.bool_(ENABLED)
    if not (enabled or settings.is_set(PEERS) or settings.is_set(TOKEN)):
        return None
    from registry.faults.control import FaultAccess

    token = settings.str_(TOKEN).strip()
    if not (token.isascii() and token.isprintable()):
        raise settings.bad(TOKEN, "write visible ASCII characters: it is sent as a header")
    words = [word.strip() for word in settings.str_(PEERS).split(",") if word.strip()]
    try:
        networks = tuple(ipaddress.ip_network(word, strict=False) for word in words)
    except ValueError as error:
        raise settings.bad(PEERS, f"{error}: write IP addresses or networks such as 10.1.0.0/16") from None
    if not networks:
        raise settings.bad(PEERS, "write IP addresses or networks such as 127.0.0.0/8,10.1.0.0/16")
    if not token and not all(network.is_loopback for network in networks):
        raise settings.bad(PEERS, f"others than this machine itself need a token: set {TOKEN} too")
    return FaultAccess(token, networks) if enabled else None
