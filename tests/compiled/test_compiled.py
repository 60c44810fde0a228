"""The hot path compiled by mypyc: the same sources, the same tests, none of them run uncompiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.compile import ROOT, compile_into, sources

pytestmark = [pytest.mark.compiler, pytest.mark.timeout(600)]

TESTS = (
    *("tests/client_service", "tests/region/test_region.py", "tests/region/test_visible.py"),
    *("tests/unit/test_cellblock.py", "tests/unit/test_region_server_door.py"),
    *("tests/unit/test_rpc_known_headers.py", "tests/unit/test_rpc_server.py", "tests/unit/test_wire_framing.py"),
)
"""What asks these modules, by their own calls or over sockets."""
FOUND = "import importlib.util as u, sys; print(*(u.find_spec(name).origin for name in sys.argv[1:]), sep='\\n')"


def test_the_compiled_hot_path_passes_its_tests(tmp_path: Path):
    compile_into(tmp_path, quick=True)
    for name in ("tests", "benchmarks", "deploy", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    modules = [path.removesuffix(".py").replace("/", ".") for path in sources()]
    origins = subprocess.check_output([sys.executable, "-c", FOUND, *modules], env=environment, cwd=tmp_path, text=True)
    assert all(Path(origin).is_relative_to(tmp_path) and origin.endswith(".so") for origin in origins.split())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    told = subprocess.run(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
    assert told.returncode == 0, told.stdout[-5000:]
