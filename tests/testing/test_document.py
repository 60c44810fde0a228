"""What docs/testing.md shows, run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.tested_pytest import ROOT, PytestRun

DOCUMENT, OBSERVERS = ROOT / "docs" / "testing.md", ROOT / "docs" / "endpoints.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str, document: Path = DOCUMENT) -> list[str]:
    return [text for found, text in BLOCK.findall(document.read_text()) if found == language]


@pytest.mark.chaos  # many processes, like all marked so
@pytest.mark.timeout(180)
def test_its_python_runs_and_its_ini_file_is_heeded(tmp_path: Path) -> None:
    (ini,) = blocks("ini")
    heeded = """
    def test_it(hbeacon):
        assert hbeacon.options.region_servers == 2
        assert hbeacon.options.settings == {"hbase.regionserver.handler.count": "7"}
    """
    *classes, of_observers = blocks("python", OBSERVERS)
    shown = [*blocks("python"), of_observers, heeded]
    run = PytestRun(tmp_path, **{f"test_{number}": text for number, text in enumerate(shown)})
    (tmp_path / "my_observers.py").write_text("".join(classes))
    run.add_to_ini("asyncio_mode = auto\n" + ini.replace("[pytest]\n", ""))
    done = run.run(timeout_s=150)
    tests_count = sum(len(re.findall(r"^ *(?:async )?def test_", text, re.MULTILINE)) for text in shown)
    assert f"{tests_count} passed" in done.stdout, done.stdout


def test_its_java_is_that_of_the_recipe() -> None:
    """But for the numbers, and for what is left away."""
    sources = "".join(path.read_text() for path in (ROOT / "deploy" / "junit").rglob("*.java"))
    lines = [line.strip() for line in blocks("java")[0].splitlines() if len(line.strip()) > 1]
    unknown = [line for line in lines if line not in sources and line not in _shortened(sources)]
    assert not unknown


def _shortened(sources: str) -> set[str]:
    return {line.strip().replace("minutes=2", "minutes=61") for line in sources.splitlines()}
