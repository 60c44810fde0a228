"""The README's example: a stock Java client creates a table in `hbeacon dev`, writes and scans, by both ways in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.dev import DevProcess
from tests.support.java import JDK_FLAGS, ClassPath
from tests.support.processes import tool

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]
HELLO = Path(__file__).parent.parent.parent / "deploy" / "hello" / "Hello.java"
ROW = re.compile(r"keyvalues=\{row1/f:q/\d+/Put/vlen=5/seqid=0\}")


def test_hello(tmp_path: Path) -> None:
    conf, jars = tmp_path / "conf", ClassPath("hbase-client", "2.6.4").directory
    dev = DevProcess(tmp_path / "dev.log", "--write-conf", str(conf), "--data-dir", str(tmp_path / "data"))
    try:
        dev.wait_ready()
        for directory in (conf, conf / "zookeeper"):
            done = subprocess.run(
                [tool("java"), *JDK_FLAGS, "-cp", f"{directory}:{jars}/*", str(HELLO)],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert ROW.fullmatch(done.stdout.strip()), done.stdout + done.stderr
    finally:
        dev.process.stop()
