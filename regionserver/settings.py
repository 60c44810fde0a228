"""What settings say to the parts of a region server: which engine it has, and what holds where tables do not say."""

from __future__ import annotations

import logging

from regionserver.client_service.nonces import Nonces
from regionserver.endpoints.classes import HostSettings
from regionserver.hosting.stores import MEMORY
from regionserver.region.rules import TableRules
from regionserver.region.visible import FOR_EVER_MS
from registry.config.settings import Settings

logger = logging.getLogger("regionserver")

DATA_DIR, ENGINE = "hbeacon.data.dir", "hbeacon.engine"
NONCE_GRACE = "hbase.server.hashNonce.gracePeriod"
NONCE_GRACE_MS_USEFUL = 60_000
"""Clients repeat for longer."""


def engine_of(settings: Settings) -> str:
    """The engine as it is set; memory where there is no directory to keep rows in. Raises BadSetting."""
    engine = settings.choice(ENGINE)
    if engine == MEMORY or settings.str_(DATA_DIR).strip():
        return engine
    if settings.is_set(ENGINE):
        raise settings.bad(ENGINE, f"set {DATA_DIR} too (--data-dir): that is where rows are kept")
    logger.warning("no %s is set: rows are kept in memory and are gone with this process", DATA_DIR)
    return MEMORY


def host_settings_of(settings: Settings) -> HostSettings:
    """What this server says about endpoints and observers."""
    is_enabled = settings.bool_("hbase.coprocessor.enabled")
    return HostSettings(
        _names(settings.str_("hbase.coprocessor.region.classes")) if is_enabled else (),
        _names(settings.str_("hbase.coprocessor.user.region.classes")) if is_enabled else (),
        float(settings.ms("hbeacon.endpoints.timeout")),
        float(settings.ms("hbeacon.observers.timeout")),
        of_tables=is_enabled and settings.bool_("hbase.coprocessor.user.enabled"),
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def nonces_of(settings: Settings) -> Nonces:
    """What this server remembers of increments and appends that may come again."""
    grace_ms = settings.int_(NONCE_GRACE)
    if grace_ms < NONCE_GRACE_MS_USEFUL:
        logger.warning(
            "%s is %d ms: an increment that is sent again later than that is done twice", NONCE_GRACE, grace_ms
        )
    return Nonces(float(grace_ms), is_enabled=settings.bool_("hbase.regionserver.nonces.enabled"))


def rules_of(settings: Settings) -> TableRules:
    """What this server says about all tables that do not say otherwise."""
    slop_ms = settings.int_("hbase.hregion.keyvalue.timestamp.slop.millisecs")
    return TableRules(
        always_synced=settings.bool_("hbase.wal.hsync"),
        cell_bytes_max=settings.bytes_("hbase.server.keyvalue.maxsize"),
        row_bytes_max=settings.bytes_("hbase.table.max.rowsize"),
        future_ms_max=None if slop_ms == FOR_EVER_MS else slop_ms,
        markers_stay_ms=settings.int_("hbase.hstore.time.to.purge.deletes"),
        on_demand=settings.bool_("hbase.hregion.scan.loadColumnFamiliesOnDemand"),
    )
