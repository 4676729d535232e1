"""Meshes of whole nodes under every fault at once keep what was promised."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sim import seeds
from tests.sim.__main__ import main
from tests.sim.runs import complaint_of, run_one


@pytest.mark.slow
def test_all_promises_hold_under_this_seed(case: seeds.Case) -> None:
    report, _ = run_one(case)
    assert not report.violations, complaint_of(report, case)
    assert report.converged_s >= 0
    assert report.deeds
    assert report.checks > 100


@pytest.mark.slow
def test_a_seed_makes_the_same_run_in_every_process() -> None:
    def trace(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.sim", "--seeds", "6", "--seconds", "10", "--nodes", "3"]
        ran = subprocess.run(
            command, env={"PYTHONHASHSEED": hash_seed}, cwd=seeds.HERE.parents[1], capture_output=True, text=True,
            check=True,
        )
        return ran.stdout.partition(" trace ")[2].partition(":")[0]

    assert trace("1") == trace("2") != ""


@pytest.mark.slow
def test_a_run_prints_what_happened_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2:3", "--seconds", "3", "--nodes", "2"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    for word in ("seed 2 ok trace ", "2 nodes", "faults: ", "checks"):
        assert word in first
    assert last.startswith("1 seeds, 0 failed")


@pytest.mark.slow
def test_runs_are_the_same_and_in_order_in_several_processes(capsys: pytest.CaptureFixture[str]) -> None:
    command, printed = ["--seeds", "4:7", "--seconds", "2", "--nodes", "2"], []
    for jobs in ("1", "2"):
        assert main([*command, "--jobs", jobs]) == 0
        printed.append([line.rpartition(" s in ")[0] for line in capsys.readouterr().out.splitlines()])
    assert printed[0][:3] == printed[1][:3]
    assert [line.split()[1] for line in printed[1][:3]] == ["4", "5", "6"]


def test_the_corpus_can_be_read() -> None:
    assert len(set(map(str, seeds.corpus()))) == len(seeds.corpus())


def test_a_commit_has_its_own_seeds() -> None:
    assert len({case.seed for case in seeds.full()}) == seeds.FULL_COUNT
