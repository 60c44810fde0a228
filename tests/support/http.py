"""Requests to an app without a socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A client whose requests run the app on this loop; errors of the app come as answers."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gate-1:16010") as client:
        yield client
