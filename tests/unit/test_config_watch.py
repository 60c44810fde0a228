"""Changes of configuration files arrive without a restart, however they are made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry.config import watch as module
from registry.config.settings import Settings, load_settings
from registry.config.watch import ConfigWatch, directories_of
from tests.unit.test_config_files import site

KEY = "hbeacon.registry.servers"


@asynccontextmanager
async def following(directory: Path) -> AsyncGenerator[tuple[ConfigWatch, list[frozenset[str]]]]:
    def load() -> Settings:
        return load_settings({}, {}, directory)

    changes: list[frozenset[str]] = []
    watch = ConfigWatch(await asyncio.to_thread(load), load, lambda _, changed: changes.append(changed))
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.3)  # the kernel's watch is set up by a thread of the library
    try:
        yield watch, changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was noticed within 8 s")


async def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    site(tmp_path, **{KEY: "a:1"})
    async with following(tmp_path) as (watch, changes):
        site(tmp_path, "new", **{KEY: "a:1,b:2"})
        (tmp_path / "new").rename(tmp_path / "hbase-site.xml")
        await until(lambda: bool(changes))
        assert changes == [{KEY}]
        assert watch.settings.str_(KEY) == "a:1,b:2"


async def test_a_config_map_is_a_symlink_that_is_swapped(tmp_path: Path) -> None:
    for name, value in (("..1", "a:1"), ("..2", "b:2")):
        (tmp_path / name).mkdir()
        site(tmp_path / name, **{KEY: value})
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "hbase-site.xml").symlink_to("..data/hbase-site.xml")
    async with following(tmp_path) as (watch, changes):
        (tmp_path / "..tmp").symlink_to("..2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        await until(lambda: bool(changes))
        assert watch.settings.str_(KEY) == "b:2"


async def test_the_directory_itself_may_be_a_symlink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_MS", 200)
    for name, value in (("v1", "a:1"), ("v2", "b:2")):
        (tmp_path / name).mkdir()
        site(tmp_path / name, **{KEY: value})
    conf = tmp_path / "conf"
    conf.symlink_to("v1")
    assert directories_of(conf) == (conf, tmp_path)
    async with following(conf) as (watch, changes):
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(conf)
        await until(lambda: len(changes) == 1)
        site(tmp_path / "v2", **{KEY: "c:3"})
        await until(lambda: len(changes) == 2)
        assert watch.settings.str_(KEY) == "c:3"


async def test_a_broken_file_keeps_the_old_settings_and_costs_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site(tmp_path, **{KEY: "a:1"})
    async with following(tmp_path) as (watch, changes):
        with caplog.at_level(logging.ERROR):
            (tmp_path / "hbase-site.xml").write_text("<configuration>")
            await until(lambda: bool(watch.problem))
        assert [record.getMessage() for record in caplog.records if "stays in force" in record.getMessage()]
        assert len(caplog.records) == 1
        assert watch.settings.str_(KEY) == "a:1"
        site(tmp_path, **{KEY: "b:2"})
        await until(lambda: bool(changes))
        assert (watch.problem, watch.settings.str_(KEY)) == ("", "b:2")


async def test_reload_reads_at_once(tmp_path: Path) -> None:
    site(tmp_path, **{KEY: "a:1"})
    settings = load_settings({}, {}, tmp_path)
    changes: list[frozenset[str]] = []
    watch = ConfigWatch(settings, lambda: load_settings({}, {}, tmp_path), lambda _, changed: changes.append(changed))
    assert not await watch.reload()
    site(tmp_path, **{KEY: "b:2"})
    assert await watch.reload()
    assert changes == [{KEY}]
