#!/usr/bin/env python3
"""The main job on a fresh Debian machine: `python3 deploy/demo.py` installs what is missing and shows it at work.

1. Debian's package python3-venv, where it is missing (asks apt-get; root or sudo).
2. A virtual environment in .venv with this checkout in it, unless the running Python already has all it needs.
3. `hbeacon dev`; a look-up by the registry and one by ZooKeeper's protocol; kill -9 of the active master, and the
   milliseconds until the next one is answered everywhere (deploy/demo_dev.py).

`python3 deploy/demo.py adapter` shows the registry of a cluster that exists: Debian's zookeeper with a recorded HBase
tree in it, two adapters, two changes there, and the milliseconds until both answer them (deploy/demo_adapter.py).

Ctrl-C ends everything; --once ends by itself. Nothing is left running, and only .venv and the packages stay.
This part runs on the system's Python with nothing installed, so it uses the standard library alone.
"""

# ruff: noqa: T201 (printing is its job)
from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED_MODULES = (
    *("cachetools", "ddsketch", "defusedxml", "fastapi", "google.protobuf", "grpc", "jinja2", "kazoo"),
    *("prometheus_client", "rich", "rocksdict", "uvicorn", "watchfiles"),
)
ZOOKEEPER_JAR = Path("/usr/share/java/zookeeper.jar")
PYTHON_MIN = (3, 11)
SHOWS = {
    "dev": ("deploy.demo_dev", "hbeacon dev, two look-ups, a fail-over"),
    "adapter": ("deploy.demo_adapter", "ZooKeeper, two adapters, a look-up, two changes"),
}
"""What is shown: the module that does it, and its headline."""


class DemoError(Exception):
    """Why it cannot go on, and what to do about it."""


def say(text: str) -> None:
    """One line for the person who watches."""
    print(text, flush=True)


def run(what: str, command: list[str], **environment: str) -> None:
    """Run a command with a clock beside its name; its output is shown only when it fails."""
    say(f"  $ {' '.join(command)}")
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        last = ""
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            last = line.strip() or last
            if sys.stdout.isatty():
                print(f"\r\033[K    {time.monotonic() - began:4.0f} s  {last[:90]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="")
    if process.returncode:
        raise DemoError(f"{what} failed:\n{''.join(lines[-30:])}")
    say(f"    done in {time.monotonic() - began:.1f} s")


def missing_packages(show: str) -> list[str]:
    """Debian packages that the show needs and that are not here."""
    missing: list[str] = []
    if show == "adapter" and (not ZOOKEEPER_JAR.exists() or shutil.which("java") is None):
        missing.append("zookeeper")  # brings Java along
    if not ready_here() and importlib.util.find_spec("ensurepip") is None:
        missing.append("python3-venv")
    return missing


def ready_here() -> bool:
    """Whether the running Python has everything already: a prepared environment is used as it is."""
    try:
        return all(importlib.util.find_spec(name) for name in NEEDED_MODULES)
    except ModuleNotFoundError:
        return False


def install_packages(packages: list[str]) -> None:
    """Ask apt-get for them."""
    if not packages:
        say("  nothing is missing")
        return
    line = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise DemoError(f"this needs Debian's packages {' and '.join(packages)}, and there is no apt-get here")
    root: list[str] = []
    if os.geteuid():
        if shutil.which("sudo") is None:
            raise DemoError(f"as root, run:  {line}")
        root = ["sudo"]
    run("apt-get update", [*root, "apt-get", "update", "-q"])
    words = [*root, "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    run("apt-get install", words, DEBIAN_FRONTEND="noninteractive")


def prepare_python() -> Path:
    """The Python to go on with."""
    if ready_here():
        say(f"  {sys.executable} has all it needs")
        return Path(sys.executable)
    python = VENV / "bin" / "python"
    if not python.exists():
        run("making .venv", [sys.executable, "-m", "venv", str(VENV)])
    run("installing hbeacon", [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-e", str(ROOT)])
    return python


def hand_over(python: Path, module: str, once: bool) -> NoReturn:
    """Go on in the environment's Python, which takes this process's place, and Ctrl-C with it."""
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", module, *(["--once"] if once else [])])


def main() -> int:
    """Install, then hand over to the show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("show", nargs="?", choices=SHOWS, default="dev", help="what to show (dev)")
    parser.add_argument("--once", action="store_true", help="end after the show instead of waiting for Ctrl-C")
    options = parser.parse_args()
    try:
        if sys.version_info < PYTHON_MIN:
            raise DemoError(f"this needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}")
        say("[1/3] Debian packages")
        install_packages(missing_packages(options.show))
        say("[2/3] Python packages")
        python = prepare_python()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped; run it again to go on from here", file=sys.stderr)
        return 130
    module, headline = SHOWS[options.show]
    say(f"[3/3] {headline}")
    hand_over(python, module, options.once)


if __name__ == "__main__":
    sys.exit(main())
