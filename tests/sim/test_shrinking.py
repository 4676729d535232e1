"""A run that fails is shrunk to a script that fails by the same check, with little more in it than it takes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests import disk
from tests.sim.__main__ import main
from tests.sim.shrinking import Script, Shrinker, read_script, told_of, write_script
from tests.sim.swarm import Certificates, Fault, Swarm, roll
from tests.sim.world import simulate

SECONDS = 10.0
SEEDS = range(1, 6)
LIMIT_S = 60.0
FAULTS = (Fault.POWER, Fault.POWER, Fault.KILL, Fault.PARTITION)

pytestmark = pytest.mark.slow


def stormy(seed: int) -> Swarm:
    """Many faults of few kinds."""
    return msgspec.structs.replace(
        roll(seed, nodes=3), quorum=2, loss=0.02, duplicates=0.1, leaves_late=0.02, breaks=0.0, lies=0.0, delay_s=0.005,
        secured=False, governed=False, has_model=False, clients=3, think_s=0.3, calm_s=1.0, commit_s=0.002,
        certificates=Certificates.NONE, faults=FAULTS,
    )


def test_a_failure_is_shrunk_to_the_faults_that_it_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk._Image, "sync", lambda self: None)     # disks lie: it shows when power goes, and only then
    reports = (simulate(stormy(seed), SECONDS) for seed in SEEDS)
    report = next(report for report in reports if report.violations)
    first = Script(found=report.violations[0].check, seconds=SECONDS, swarm=report.swarm)
    shrinker = Shrinker(first, report, limit_s=LIMIT_S)
    shrinker.shrink()
    assert [strike.fault for strike in shrinker.report.strikes] == [Fault.POWER]
    assert len(report.strikes) > 3
    assert len(shrinker.report.acts) < len(report.acts)
    assert shrinker.script.swarm.loss == 0.0
    told = "\n".join(told_of(first, shrinker))
    assert "1 faults:" in told
    assert "power" in told
    file = tmp_path / "script"
    file.write_text(f"{told}\n{write_script(shrinker.script)}\n")
    again = simulate(read_script(file).swarm, read_script(file).seconds)
    assert first.found in {violation.check for violation in again.violations}
    assert again.trace == shrinker.report.trace


def test_a_failure_is_shrunk_to_nothing_where_the_first_write_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.sim.checks.check_quorum", lambda deed, watcher, needed: watcher.find("acked", "planted"))
    assert main(["--seeds", "1", "--seconds", "5", "--nodes", "3", "--shrink"]) == 1
    printed = capsys.readouterr().out
    assert "  0 faults:\n  1 acts:\n" in printed
    file = tmp_path / "printed"
    file.write_text(printed)
    assert main(["--script", str(file)]) == 1
    assert "acked: planted" in capsys.readouterr().out


def test_nothing_is_shrunk_when_time_is_over() -> None:
    report = simulate(stormy(1), 1.0)
    script = Script(found="acked", seconds=1.0, swarm=report.swarm)
    shrinker = Shrinker(script, report, limit_s=-1.0)
    shrinker.shrink()
    assert (shrinker.runs, shrinker.script) == (0, script)


def test_of_a_run_that_keeps_its_promises_nothing_is_shrunk(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--seconds", "3", "--nodes", "2", "--shrink"]) == 0
    assert "there is nothing to shrink" in capsys.readouterr().out


def test_what_is_left_out_leaves_the_other_faults_as_they_were() -> None:
    swarm = stormy(1)
    whole = simulate(swarm, 5.0)
    assert not whole.violations
    numbers = [strike.number for strike in whole.strikes]
    assert len(numbers) > 2
    part = simulate(msgspec.structs.replace(swarm, only_faults=tuple(numbers[1:]), only_acts=()), 5.0)
    assert part.strikes == whole.strikes[1:]
    assert not part.acts
    assert part.trace != whole.trace
    kinds = simulate(msgspec.structs.replace(swarm, without=(Fault.KILL,)), 5.0)
    assert kinds.strikes == tuple(strike for strike in whole.strikes if strike.fault is not Fault.KILL)
