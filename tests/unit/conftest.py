"""On which loops tests run, and that nothing blocks them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping

import pytest
import uvloop
from blockbuster import blockbuster_ctx

ON_BOTH_LOOPS = {"test_rpc_server", "test_rpc_limits", "test_rpc_faults"}
"""Modules about sockets: the two loops differ in when they write, pause and tell that a connection is gone."""


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """asyncio's own, and for what is about sockets uvloop's beside it."""
    if item.path.stem in ON_BOTH_LOOPS:
        return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
def nothing_blocks_the_loop() -> Generator[None]:
    """A call that would block it fails the test instead."""
    with blockbuster_ctx():
        yield
