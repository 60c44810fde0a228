"""The recipe for JUnit: tests with a stock hbase-client, each in a cluster that is empty again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import junit

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
ROOT = Path(__file__).parent.parent.parent


def test_the_recipe(tmp_path: Path) -> None:
    command = tmp_path / "hbeacon"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m registry.cli.main "$@"\n')
    command.chmod(0o755)
    done = junit.run(tmp_path, "-o", f"-Dhbeacon={command}", timeout_s=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert junit.passed(tmp_path) == {
        "whatIsWrittenIsRead",
        "cellsExpireAnHourLater",
        "aLostAnswerDoesNotCountTwice",
    }
