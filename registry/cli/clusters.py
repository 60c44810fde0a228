"""The cluster that a command line means, and how long a command goes on asking it."""

from __future__ import annotations

import argparse
from dataclasses import replace

from registry.cli.flags import flags_of
from registry.client.connect import ConnectRequest
from registry.client.target import IMPLEMENTATION, ZOOKEEPER_REGISTRY

RETRIES, TIMEOUT = "hbase.client.retries.number", "hbase.client.operation.timeout"


def request_of(
    arguments: argparse.Namespace,
    uri: str,
    *,
    masters: str | None = None,
    timeout_ms: float | None = None,
    retries: int | None = None,
) -> ConnectRequest:
    """What `uri` or `masters` name, else --zookeeper, else the settings. Raises BadSetting.

    `timeout_ms` is for a call with all its retries; `retries` holds where nobody set hbase.client.retries.number.
    """
    flags = flags_of(arguments)
    settings = dict(flags.values)
    if arguments.zookeeper is not None and not uri and masters is None:
        settings.setdefault(IMPLEMENTATION, ZOOKEEPER_REGISTRY)
    if timeout_ms is not None:
        settings[TIMEOUT] = str(max(1, round(timeout_ms)))
    request = ConnectRequest(uri=uri, masters=masters, conf_dir=flags.conf_dir, settings=settings)
    if retries is None or request.load().is_set(RETRIES):
        return request
    return replace(request, settings={**settings, RETRIES: str(retries)})
