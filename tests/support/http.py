"""Requests to an app without a socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from registry.http.app import create_app
from tests.support.status import FakeStatus


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A client whose requests run the app on this loop; errors of the app come as answers."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gate-1:16010") as client:
        yield client


async def get(source: FakeStatus, path: str, **headers: str) -> httpx.Response:
    """One answer of the app over this source."""
    async with asking(create_app(source)) as client:
        return await client.get(path, headers=headers)
