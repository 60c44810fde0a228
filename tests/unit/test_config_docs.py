"""docs/configuration.md is written from the table of keys: `python -m registry.config.document`."""

from __future__ import annotations

from pathlib import Path

from registry.cli.flags import COORDINATOR_FLAGS, SERVER_FLAGS
from registry.cli.main import COMMANDS
from registry.config.document import page

PAGE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m registry.config.document > docs/configuration.md"


def test_the_page_names_every_flag() -> None:
    text = page()
    for flag in (*SERVER_FLAGS, *COORDINATOR_FLAGS, "--zookeeper", "--conf", "--set"):
        assert f"`{flag}" in text
    assert "config" in COMMANDS
