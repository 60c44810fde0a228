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

SEEDS = 2**32
"""Chosen below it where a fault names no seed: short enough to be typed again."""


def fault_desk(rpc: RpcServer, settings: Settings) -> FaultDesk | None:
    """Where faults are set and asked for; None where they are not enabled. Raises BadSetting."""
    access = fault_access(settings)
    if access is None:
        return None
    from registry.faults.machine import Faults

    logger.warning("faults may be set on this server (hbeacon.faults.enabled): it is for tests of clients")
    chosen = random.SystemRandom()
    return rpc.allow_faults(Faults(random.Random, lambda: chosen.randrange(SEEDS)), access)


def fault_access(settings: Settings) -> FaultAccess | None:
    """Who may change faults; None where nobody may. Raises BadSetting."""
    if not settings.bool_("hbeacon.faults.enabled"):
        return None
    from registry.faults.control import FaultAccess

    words = [word.strip() for word in settings.str_("hbeacon.faults.peers").split(",") if word.strip()]
    try:
        networks = tuple(ipaddress.ip_network(word, strict=False) for word in words)
    except ValueError as error:
        raise settings.bad(
            "hbeacon.faults.peers", f"{error}: write IP addresses or networks such as 10.1.0.0/16"
        ) from None
    return FaultAccess(settings.str_("hbeacon.faults.token").strip(), networks)
