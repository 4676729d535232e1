"""Lint, types and import contracts are part of the tests, so one command runs every check."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.house.sources import ROOT

pytestmark = pytest.mark.slow

SCRIPTS = Path(sysconfig.get_path("scripts"))


def assert_clean(*command: str) -> None:
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"


def test_ruff_finds_nothing() -> None:
    assert_clean(sys.executable, "-m", "ruff", "check", "--no-fix", ".")


def test_mypy_finds_nothing() -> None:
    assert_clean(sys.executable, "-m", "mypy")


def test_rooms_import_downwards_only_and_libraries_stay_in_their_rooms() -> None:
    assert_clean(str(SCRIPTS / "lint-imports"))
