"""The build machine runs what the README tells a newcomer to run, and more."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import STAGES_APART, STAGES_DEEPER
from tests.house.sources import ROOT

pytest_plugins = ["pytester"]

RUN = ROOT / ".ci" / "run"
STAGES = re.findall(r'^    "(\w+)\|(\d+)\|(\S*)"$', RUN.read_text(), re.MULTILINE)


def test_the_script_is_executable_bash_without_syntax_errors() -> None:
    assert os.access(RUN, os.X_OK)
    subprocess.run(["bash", "-n", str(RUN)], check=True)


def test_the_plain_command_comes_first_and_the_stages_apart_follow() -> None:
    assert STAGES[0][2] == ""
    assert {folder.removeprefix("tests/") for _, _, folder in STAGES[1:]} == STAGES_APART | STAGES_DEEPER


def test_the_budgets_keep_to_forty_minutes() -> None:
    assert int(STAGES[0][1]) <= 600
    assert sum(int(budget) for _, budget, _ in STAGES[1:]) <= 2_400


@pytest.mark.slow
def test_a_skip_is_a_failure_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    outcome = run_apart(pytester)
    outcome.assert_outcomes(failed=1, xfailed=1)


@pytest.mark.slow
def test_a_skip_is_a_skip_elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    outcome = run_apart(pytester)
    outcome.assert_outcomes(skipped=1, xfailed=1)


def run_apart(pytester: pytest.Pytester) -> pytest.RunResult:
    """One skipped and one expectedly failing test under our conftest, in a process of their own."""
    pytester.makeconftest((Path(ROOT) / "tests" / "conftest.py").read_text())
    pytester.makepyfile("""
        import pytest
        def test_skipped(): pytest.skip("no such program")
        @pytest.mark.xfail
        def test_expected(): assert False
    """)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider")
