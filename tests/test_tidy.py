"""The habits of the code base, executed: what a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("registry", "regionserver")
TOPS = (*PACKAGES, "protos", "tests", "benchmarks", "deploy", "docs", ".ci")
TEXT_SUFFIXES = {
    *(".bash", ".cfg", ".css", ".env", ".go", ".html", ".java", ".js", ".md", ".mod", ".properties", ".proto", ".py"),
    *(".service", ".sh", ".toml", ".txt", ".xml", ".yaml", ".yml"),
}
TEXT_NAMES = {"Makefile", "Containerfile", "LICENSE", "run"}
GENERATED = re.compile(r"_pb2(_grpc)?\.py$")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
UNITS = (
    "_ms",
    "_s",
    "_seconds",
    "_bytes",
    "_max",
    "_min",
    "_count",
    "_port",
    "_id",
    "_zxid",
    "_code",
    "_percent",
    "_per_second",
    "_mib",
)
PLAIN_NUMBERS = {
    "perms",
    "flags",
    "failed_in_a_row",
    "snapshots_kept",
    "other_servers",
    "at",
    "descriptor",
    "owner",
    "backlog",
    "err",
    "xid",
    "call_seq",
    "nonce",
    "nonce_group",
    "life",
    "read_point",
    "sequence",
    "default",
    "kind",
    "kinds",
    "mode",
    "session_id",
    "code",
    "port",
    "count",
    "index",
    "offset",
    "start",
    "stop",
    "limit",
    "number",
    "value",
    "status",
    "lines",
    "replica_id",
    "zxid",
    "depth",
    "ms",
    "version",
    "versions",
    "timestamp",  # HBase's word, of ms unless a table's users mean something else by it
    "batch_cells",
}
"""Names of numbers that carry no unit because they count, number or place something."""
NUMBERS_OF = re.compile(
    r"(count|index|offset|number|seed|priority|signum|pid|fd|code|fanout|generation|tries|attempt|bits|workers|rows|status|epoch|level|size|length|width|position|field|kind|type|id|n|ratio|fraction|share|quantile|left|seq_num|limit)s?$"
)


Trees = list[tuple[Path, ast.Module]]


def texts() -> list[Path]:
    """What people read and write, committed or not; it is there too where the tree comes without git."""
    below = [path for top in TOPS for path in sorted((ROOT / top).rglob("*"))]
    return [
        path
        for path in [*sorted(ROOT.iterdir()), *below]
        if (path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES) and not GENERATED.search(path.name)
    ]


def own_files() -> list[Path]:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [*files, *sorted(ROOT.glob("hbeacon.py"))]


@pytest.fixture(scope="module")
def trees() -> Trees:
    return [(path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))) for path in own_files()]


def test_files_hold_one_idea() -> None:
    sources = [path for path in texts() if path.suffix == ".py"]
    long = [f"{path}: {lines}" for path in sources if (lines := len(path.read_text().splitlines())) > FILE_LINES_MAX]
    assert not long, f"over {FILE_LINES_MAX} lines: {long}"
    bad = [str(path) for path in sources if path.stem in {"utils", "util", "helpers", "common", "misc"}]
    assert not bad, f"a file is named after its idea: {bad}"


def test_functions_fit_a_screen(trees: Trees) -> None:
    long = [
        f"{path}:{node.lineno} {node.name} {node.end_lineno - node.lineno + 1}"
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert not long, f"over {FUNCTION_LINES_MAX} lines: {long}"


def test_time_and_chance_are_passed_in(trees: Trees) -> None:
    """Only the clock reads the time; whatever else waits or ages takes a Clock."""
    bad: list[str] = []
    for path, tree in trees:
        if str(path) in {"registry/clock.py", "registry/guard.py"}:  # the guard imports next to nothing, by design
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and (node.value.id, node.attr) == ("time", "time")
            ):
                bad.append(f"{path}:{node.lineno}")
    assert not bad, f"time.time() outside registry/clock.py: {bad}"


def test_numbers_say_their_unit(trees: Trees) -> None:
    """A parameter that is an int or float and no index or count ends in its unit."""
    bad: list[str] = []
    for path, tree in trees:
        if str(path).startswith("registry/client/happybase/"):
            continue  # the arguments are those of happybase
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("_") and not node.name.startswith("__"):
                continue  # read beside its callers
            for argument in (*node.args.args, *node.args.kwonlyargs):
                annotation = ast.unparse(argument.annotation) if argument.annotation else ""
                name = argument.arg
                if annotation not in {"int", "float", "int | None", "float | None"} or name.startswith("_"):
                    continue
                if not (name.endswith(UNITS) or name in PLAIN_NUMBERS or NUMBERS_OF.search(name)):
                    bad.append(f"{path}:{node.lineno} {node.name}({name})")
    assert not bad, "\n".join(bad)


def test_wire_names_its_sources(trees: Trees) -> None:
    missing = [
        str(path)
        for path, tree in trees
        if path.parts[:2] == ("registry", "wire")
        and "Source:" not in (ast.get_docstring(tree) or "")
        and path.name != "__init__.py"
    ]
    assert not missing, f"no `Source:` in the module docstring: {missing}"


def test_text_stands_alone() -> None:
    """Nothing in the tree speaks of one machine or of how it was made."""
    words = re.compile(
        "|".join(
            [
                "/wo" + "rk/",
                "/ro" + "ot/",
                r"\.\./sha" + "red",
                r"pypi\." + "org",
                r"repo1\." + "maven",
                r"registry\." + "npmjs",
                "TO" + "DO",
                "FIX" + "ME",
            ]
        )
    )
    bad = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert not bad, "\n".join(bad)


def test_imports_keep_their_direction() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
