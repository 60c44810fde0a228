"""The documents match the code: links lead somewhere, commands and flags exist, examples are Python that runs."""

from __future__ import annotations

import ast
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import hbeacon
from registry.cli.main import main

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\bhbeacon ([a-z]+)\b((?:\s+--[a-z-]+(?:[ =][^\s`]+)?)*)")
FLAG = re.compile(r"--[a-z-]+")


def blocks(language: str) -> list[tuple[Path, str]]:
    return [
        (document.relative_to(ROOT), text)
        for document in DOCUMENTS
        for found, text in BLOCK.findall(document.read_text(encoding="utf-8"))
        if found == language
    ]


def help_of(*words: str) -> str:
    with redirect_stdout(io.StringIO()) as shown:
        try:
            code = main([*words, "--help"])
        except SystemExit as ended:
            code = ended.code
    assert code == 0, f"hbeacon {' '.join(words)} --help"
    return shown.getvalue()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    broken = [
        link for link in LINK.findall(document.read_text(encoding="utf-8")) if not (document.parent / link).exists()
    ]
    assert not broken


def test_commands_and_flags_in_shell_blocks_exist() -> None:
    known = set(re.findall(r"^ {2,4}([a-z]+)\s", help_of(), re.MULTILINE))
    helps: dict[str, str] = {}
    for document, text in blocks("sh"):
        for command, flags in COMMAND.findall(text.replace("\\\n", " ")):
            if command == "ready":
                continue
            assert command in known, f"{document}: hbeacon {command}"
            helps.setdefault(command, help_of(command))
            for flag in FLAG.findall(flags):
                assert flag in helps[command], f"{document}: hbeacon {command} {flag}"


def test_java_that_the_readme_shows_is_the_program_that_is_tried() -> None:
    shown = [text for document, text in blocks("java") if document.name == "README.md"]
    assert [text.strip() for text in shown] == [(ROOT / "deploy" / "hello" / "Hello.java").read_text().strip()]


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{document.relative_to(ROOT)}: make {named - targets}"


def test_python_examples_use_public_names() -> None:
    for document, text in blocks("python"):
        if document.name == "testing.md":
            continue  # there it is the fixture, and all of it is run: tests/testing/test_document.py
        tree = ast.parse(text, str(document))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hbeacon":
                assert node.attr in hbeacon.__all__, f"{document}: hbeacon.{node.attr}"
            if isinstance(node, ast.ImportFrom | ast.Import):
                assert "registry" not in ast.unparse(node), f"{document}: `registry` is not public"


def test_public_names_exist() -> None:
    assert all(hasattr(hbeacon, name) for name in hbeacon.__all__)
