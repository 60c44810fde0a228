"""/logLevel: everybody sees levels, nobody changes one without permission and token, and never by GET."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import httpx
import pytest

from registry.http.app import create_app
from registry.http.log_level import BadLevel, effective_level, set_level
from registry.http.options import FaceOptions
from tests.support.http import asking
from tests.support.status import FakeStatus

TOKEN = "s3cret-t0ken"
OPEN = FaceOptions(log_level_enabled=True, log_level_token=TOKEN)
BEARER = {"authorization": f"Bearer {TOKEN}"}
NAME = "registry.tests.levels"


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger(NAME)
    root = logging.getLogger().level
    yield found
    found.setLevel(logging.NOTSET)
    logging.getLogger().setLevel(root)


async def ask(
    method: str, query: str = "", options: FaceOptions | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    async with asking(create_app(FakeStatus(), None, options)) as client:
        return await client.request(method, f"/logLevel{query}", headers=headers)


async def test_levels_are_shown(logger: logging.Logger) -> None:
    logger.setLevel(logging.WARNING)
    page = await ask("GET")
    assert page.status_code == 200
    assert re.search(rf"<code>{NAME}</code></td><td>WARN</td><td>WARN<", page.text)
    assert "<code>root</code>" in page.text
    assert "Changes over HTTP are off" in page.text
    assert "curl -X PUT" in (await ask("GET", "", OPEN)).text
    assert TOKEN not in (await ask("GET", "", OPEN)).text


async def test_one_level_as_hbases_command_reads_it(logger: logging.Logger) -> None:
    """`hbase org.apache.hadoop.hbase.http.log.LogLevel -getlevel` prints the marked lines without their tags."""
    logger.setLevel(logging.DEBUG)
    answer = await ask("GET", f"?log={NAME}.child")
    marked = [line for line in answer.text.splitlines() if line.startswith("<!-- OUTPUT -->")]
    assert [re.sub("<[^>]*>", "", line) for line in marked] == [
        f"Submitted Log Name: {NAME}.child",
        "Log Class: logging.Logger",
        "Effective Level: DEBUG",
    ]
    assert f"{NAME}.child" not in logging.root.manager.loggerDict, "a question makes no logger"


async def test_a_get_changes_nothing_even_with_the_token(logger: logging.Logger) -> None:
    answer = await ask("GET", f"?log={NAME}&level=debug", OPEN, BEARER)
    assert answer.status_code == 405
    assert "PUT" in answer.headers["allow"]
    assert logger.level == logging.NOTSET
    assert "PUT" not in (await ask("GET", f"?log={NAME}&level=debug")).headers["allow"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_who_has_the_token_sets_a_level(
    method: str, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(method, f"?log={NAME}&level=Debug", OPEN, BEARER)
    assert (answer.status_code, answer.text) == (200, f"{NAME}: DEBUG\n")
    assert logger.level == logging.DEBUG
    assert f"the log level of {NAME} was set to DEBUG over HTTP" in caplog.text
    root = await ask(method, "?log=root&level=error", OPEN, BEARER)
    assert (root.text, logging.getLogger().level) == ("root: ERROR\n", logging.ERROR)


@pytest.mark.parametrize(
    ("options", "authorization", "status"),
    [
        (FaceOptions(), f"Bearer {TOKEN}", 403),
        (FaceOptions(log_level_enabled=True), "Bearer ", 403),
        (FaceOptions(log_level_token=TOKEN), f"Bearer {TOKEN}", 403),
        (OPEN, None, 401),
        (OPEN, "Bearer", 401),
        (OPEN, f"Bearer {TOKEN}x", 401),
        (OPEN, f"Bearer {TOKEN[:-1]}", 401),
        (OPEN, f"Basic {TOKEN}", 401),
        (OPEN, "Bearer \u00e9", 401),
    ],
)
async def test_nobody_else_does(
    options: FaceOptions, authorization: str | None, status: int, logger: logging.Logger
) -> None:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    async with asking(create_app(FakeStatus(), None, options)) as client:
        answer = await client.put(f"/logLevel?log={NAME}&level=debug", headers=headers)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert logger.level == logging.NOTSET
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "query",
    [f"?log={NAME}&level=loud", "?log=no.such.logger&level=info", "?log=%3Cscript%3E&level=info", f"?log={NAME}"],
)
async def test_bad_changes(query: str, logger: logging.Logger) -> None:
    before = len(logging.root.manager.loggerDict)
    answer = await ask("PUT", query, OPEN, BEARER)
    assert answer.status_code == 400
    assert answer.headers["content-type"].split(";")[0] in ("text/plain", "application/json"), "no markup"
    assert logger.level == logging.NOTSET
    assert len(logging.root.manager.loggerDict) <= before + 1, "a peer makes no loggers"


def test_words() -> None:
    assert set_level(NAME, " warn ") == effective_level(NAME) == "WARN"
    assert set_level(NAME, "off") == "OFF"
    with pytest.raises(BadLevel, match="is not a level: write trace, debug"):
        set_level(NAME, "")
    with pytest.raises(BadLevel, match="not the name of a logger"):
        effective_level("a b")


def test_the_token_is_in_no_representation() -> None:
    assert TOKEN not in repr(OPEN)
