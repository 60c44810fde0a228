"""deploy/junit, run as its users run it: by Maven, with a stock hbase-client.

`python -m tests.support.junit` fetches all that it needs (tests/setup.sh calls it).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.support.processes import tool

PROJECT = Path(__file__).parent.parent.parent / "deploy" / "junit"


def run(directory: Path, *words: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """`mvn test` in a copy of the project."""
    copy = directory / "junit"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target"), dirs_exist_ok=True)
    return subprocess.run(
        [tool("mvn"), "-B", "-q", "-Dstyle.color=never", "-f", str(copy), "test", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
    )


def passed(directory: Path) -> set[str]:
    """Names of the tests that were run there, and did not fail."""
    found: set[str] = set()
    for report in (directory / "junit" / "target" / "surefire-reports").glob("TEST-*.xml"):
        for case in ET.parse(report).getroot().iter("testcase"):
            if not len(case):
                found.add(case.attrib["name"])
    return found


def main() -> int:
    """Run none of the tests, for which Maven needs all of it."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        done = run(Path(directory), "-Dtest=NoSuchTest", "-Dsurefire.failIfNoSpecifiedTests=false", timeout_s=1800)
    print(done.stdout + done.stderr, end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
