#!/usr/bin/env python3
"""The hot path compiled to machine code: `python deploy/compile.py [--into DIR]`; nothing of hbeacon needs it.

Copies the packages into DIR (build/compiled unless told otherwise) and has mypyc compile the codec and the dispatch of
the data path there: the modules that pyproject.toml lists under tool.hbeacon.compiled. They are the same sources, which
run uncompiled as they are. Wants a C compiler and `pip install 'mypy[mypyc]'`. Then

    PYTHONPATH=build/compiled hbeacon dev

runs the compiled ones. --quick leaves the C compiler's optimisations out: for tests. Exit code 1: it could not be done.
"""

# ruff: noqa: T201 (printing is its job)
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protos", "registry", "regionserver")
MYPY = """\
[mypy]
follow_imports = silent
ignore_missing_imports = True
# as Any: a string field that a peer filled with other bytes gives bytes, not the str of its annotation
[mypy-protos.*]
follow_imports = skip
follow_imports_for_stubs = True
"""
WITHOUT = shutil.ignore_patterns("__pycache__", "*.so")


class NotCompiledError(Exception):
    """What mypyc or the C compiler said."""


def sources() -> list[str]:
    """Paths of the modules to compile, from the root of the project."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        names: dict[str, list[str]] = tomllib.load(file)["tool"]["hbeacon"]["compiled"]
    found = [path for folder in names for name in names[folder] for path in sorted((ROOT / folder).glob(f"{name}.py"))]
    return [str(path.relative_to(ROOT)) for path in found if path.name != "__init__.py"]


def compile_into(target: Path, *, quick: bool = False) -> float:
    """Copy and compile; the seconds that mypyc took. Raises NotCompiledError."""
    for package in PACKAGES:
        shutil.rmtree(target / package, ignore_errors=True)
        shutil.copytree(ROOT / package, target / package, ignore=WITHOUT)
    shutil.copy(ROOT / "hbeacon.py", target)
    (target / "mypy.ini").write_text(MYPY)
    command = [sys.executable, "-m", "mypyc", "--config-file", "mypy.ini", *sources()]
    environment = {**os.environ, "MYPYC_OPT_LEVEL": "0" if quick else "3", "MYPYC_DEBUG_LEVEL": "0"}
    began = time.monotonic()
    told = subprocess.run(
        command, cwd=target, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if told.returncode:
        raise NotCompiledError(told.stdout)
    shutil.rmtree(target / "build")
    return time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    summary, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "compiled", metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="without the C compiler's optimisations")
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    print(f"compiling {len(sources())} modules, which takes a minute or two", flush=True)
    try:
        took_s = compile_into(options.into, quick=options.quick)
    except NotCompiledError as error:
        print(error, file=sys.stderr)
        print("not compiled; it wants a C compiler and: pip install 'mypy[mypyc]'", file=sys.stderr)
        return 1
    print(f"done in {took_s:.0f} s; PYTHONPATH={options.into} hbeacon dev")
    return 0


if __name__ == "__main__":
    sys.exit(main())
