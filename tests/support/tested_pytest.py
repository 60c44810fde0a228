"""pytest runs of their own, in which the plugin does its work, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parent.parent.parent
MARK = "TESTED_BY"
"""A variable that all processes of a run inherit."""


class PytestRun:
    """One run over files of a directory, with a temporary directory of its own."""

    def __init__(self, directory: Path, **files: str) -> None:
        """`files` by name, without `.py`; an empty ini file keeps out the settings of whoever is above."""
        self.directory = directory
        self.mark = str(uuid.uuid4())
        self.temporary = directory / "temporary"
        self.temporary.mkdir()
        (directory / "pytest.ini").write_text(
            "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
        )
        for name, text in files.items():
            (directory / f"{name}.py").write_text(dedent(text))

    def add_to_ini(self, text: str) -> None:
        with (self.directory / "pytest.ini").open("a") as file:
            file.write(dedent(text))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]

    @property
    def environment(self) -> Mapping[str, str]:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(self.temporary), MARK: self.mark}

    def run(self, *arguments: str, timeout_s: float = 50) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Without waiting, in a session of its own."""
        return subprocess.Popen(
            self.command("-s", *arguments),
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> dict[int, str]:
        """Those that run, with their names."""
        wanted, found = f"{MARK}={self.mark}".encode(), dict[int, str]()
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (directory / "environ").read_bytes().split(b"\0"):
                    found[int(directory.name)] = (directory / "comm").read_text().strip()
            except OSError:
                continue  # it has ended, or is somebody else's
        return found

    def files(self) -> list[str]:
        """What lies in its temporary directory, but for pytest's own."""
        return sorted(path.name for path in self.temporary.iterdir() if not path.name.startswith("pytest-of-"))
