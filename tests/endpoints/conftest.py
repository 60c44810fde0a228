"""Observers that are installed for one test, and that remember nothing of the test before."""

from __future__ import annotations

from collections.abc import Generator
from importlib.metadata import EntryPoint

import pytest

from protos.hbase import HBase_pb2
from registry import coprocessors
from tests.endpoints.observed import Install
from tests.endpoints.observers import HERE, BadOnes, Recorder


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """A table that names classes, which are installed: `Class` or `Class|priority|arguments`."""

    def installed(*named: str) -> HBase_pb2.TableSchema:
        made = HBase_pb2.TableSchema()
        entries: dict[str, EntryPoint] = {}
        for number, text in enumerate(named, 1):
            name, _, rest = text.partition("|")
            entries[f"x.{name}"] = EntryPoint(f"x.{name}", f"{HERE}:{name}", coprocessors.GROUP)
            made.attributes.add(first=f"coprocessor${number}".encode(), second=f"|x.{name}|{rest}".encode())
        monkeypatch.setattr(coprocessors, "installed", lambda: entries)
        return made

    return installed


@pytest.fixture(autouse=True)
def clean() -> Generator[None]:
    Recorder.calls.clear()
    BadOnes.may_end.clear()
    BadOnes.interrupted.clear()
    BadOnes.slow_s = 0.0
    yield
    BadOnes.may_end.set()
