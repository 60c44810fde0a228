"""The classes that docs/endpoints.md shows, on a table that names them as it shows."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from protos.hbase import HBase_pb2
from regionserver.endpoints.observer import Observer
from registry import coprocessors
from registry.wire.cellblock import decode_cells
from registry.wire.errors import AccessDeniedException
from tests.endpoints.observed import DELETE, one
from tests.support.region_door import get, mutate, open_scan, put, region_door, scan, values

PAGE = Path(__file__).parents[2] / "docs" / "endpoints.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> HBase_pb2.TableSchema:
    """A table with all observers of the page; its users' package is a module of this name."""
    module = ModuleType("shown_in_docs")
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(block, str(PAGE), "exec"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    [guard] = re.findall(r"'coprocessor' => '(\|com\.example\.Guard\|[^']*)'", PAGE.read_text(encoding="utf-8"))
    schema, entries = HBase_pb2.TableSchema(), dict[str, EntryPoint]()
    for name, found in vars(module).items():
        if isinstance(found, type) and issubclass(found, Observer) and found is not Observer:
            named = f"com.example.{name}"
            entries[named] = EntryPoint(named, f"{module.__name__}:{name}", coprocessors.GROUP)
            value = guard if name == "Guard" else f"|{named}||"
            schema.attributes.add(first=b"coprocessor$%d" % len(entries), second=value.encode())
    assert sorted(entries) == ["com.example.EmailIndex", "com.example.Guard", "com.example.Tidy"]
    monkeypatch.setattr(coprocessors, "installed", lambda: entries)
    return schema


async def test_observers_of_the_page_do_what_it_says(shown: HBase_pb2.TableSchema) -> None:
    async with region_door() as door, await door.connect() as channel:
        door.schema = shown
        await mutate(channel, put(b"r", b"  Ann ", qualifier=b"name"))
        assert await values(channel, b"r") == [b"Ann"]
        assert await values(channel, b"audit/r") == [b"hbeacon"]
        for email in (b"a@x", b"b@x", b"a@x"):
            await mutate(channel, put(b"r", email, qualifier=b"email"))
            door.clock.advance(1)
        assert await values(channel, b"email/a@x") == [b"r"]
        assert await values(channel, b"email/b@x") == []
        answer = await channel.call_bytes("Get", get(b"ping").SerializeToString())
        assert [cell.value for cell in decode_cells(answer.cells)] == [b"pong"]
        assert set((await scan(channel, open_scan()))[1]) == {b"audit/r", b"r"}
        with pytest.raises(AccessDeniedException, match="hbeacon may not delete b'r'"):
            await mutate(channel, one(DELETE, b"r"))
