"""happybase's own tests of its API, and a package of its name that is the façade.

`python -m tests.support.happybase` fetches the tests (tests/setup.sh calls it): they are in the source distribution on
PyPI only. What they import is in the `dev` group.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support.adapters import ROOT
from tests.support.java import cache_dir
from tests.support.processes import MissingToolError

VERSION = "1.3.0"
MODULE = """\
import sys
from hbeacon import happybase
sys.modules[__name__] = happybase
"""
CONFTEST = """\
import builtins
import time
import happybase
import pytest
builtins.assert_raises = pytest.raises  # what the tests of 1.3.0 use and do not import
counter_set = happybase.Table.counter_set
def a_little_later(*arguments):
    # increments are a millisecond apart, if need be ahead of the clock, in HBase too: a put right behind some is older
    time.sleep(0.05)
    counter_set(*arguments)
happybase.Table.counter_set = a_little_later
"""


def _kept() -> Path:
    return cache_dir() / f"happybase-{VERSION}-test_api.py"


def run_api_tests(directory: Path, host: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run them in `directory` on the façade, against the cluster whose servers are `host`."""
    if not _kept().is_file():
        raise MissingToolError(f"the tests of happybase {VERSION} are not here: run tests/setup.sh, which fetches them")
    (directory / "test_api.py").write_bytes(_kept().read_bytes())
    (directory / "happybase.py").write_text(MODULE)
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    environment = {**os.environ, "HAPPYBASE_HOST": host, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_api.py"]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def told(directory: Path, host: str, timeout_s: float = 120.0) -> list[str]:
    """The lines of tests/cluster/python/happybase_story.py, told by the façade."""
    (directory / "happybase.py").write_text(MODULE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])}
    command = [sys.executable, str(ROOT / "tests" / "cluster" / "python" / "happybase_story.py"), host]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()


def main() -> None:
    """Fetch them."""
    if _kept().is_file():
        return
    sys.stderr.write(f"the tests of happybase {VERSION}\n")
    with tempfile.TemporaryDirectory() as directory:
        words = ["download", "-q", "--no-deps", "--no-binary", ":all:", "-d", directory, f"happybase=={VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True, stdin=subprocess.DEVNULL, timeout=300)
        (archive,) = Path(directory).glob("*.tar.gz")
        with tarfile.open(archive) as files:
            file = files.extractfile(f"happybase-{VERSION}/tests/test_api.py")
            assert file is not None, "it has its tests"
            partial = _kept().with_suffix(f".partial-{os.getpid()}")
            partial.write_bytes(file.read())
    partial.rename(_kept())


if __name__ == "__main__":
    sys.exit(main())
