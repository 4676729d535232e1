"""The figures of a campaign are what its runs say, and manual and README tell of the last one as it was."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.cycles.cycles import Cycle
from tests.cycles.cycles import Report as Cycles
from tests.reliability.__main__ import main, run_seeds
from tests.reliability.figures import LAST, Campaign, Soak, cycles_of, seeds_of, this_commit, this_machine
from tests.reliability.page import section, summary
from tests.sim.runs import run_one
from tests.sim.seeds import Case
from tests.sim.watch import Violation
from tests.soak.figures import Node, Soaked

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "man" / "ai-memory-reliability.7"
BEGIN, END = '.\\" BEGIN CAMPAIGN\n', '.\\" END CAMPAIGN\n'
BRIEF_S = 3.0


def cycle(number: int, fault: str, *violations: str) -> Cycle:
    return Cycle(number=number, fault=fault, node="node-a", seconds=1.0, acked=10, refused=2, unknown=1, answers={},
                 violations=violations)


def test_figures_are_sums_and_failures_are_told_with_their_command() -> None:
    cases = [Case(1, BRIEF_S, 3), Case(2, BRIEF_S, 3, has_liar=True)]
    runs = [run_one(case) for case in cases]
    found = seeds_of(cases, runs)
    assert (found.first, found.count, found.liars, found.storm_s) == (1, 2, 1, BRIEF_S)
    assert found.acts == sum(report.deeds for report, _ in runs) > 0
    assert found.virtual_s > 2 * BRIEF_S
    assert found.failed == ()
    broken = replace(runs[0][0], violations=(Violation(check="acked", text="it is lost", at=1.0),))
    [told] = seeds_of(cases, [(broken, 1.0), runs[1]]).failed
    assert "it is lost" in told
    assert "--seeds 1 --seconds 3 --nodes 3" in told


def test_cycles_are_counted_by_fault_and_a_violated_one_is_told() -> None:
    report = Cycles(seed=7, seconds=4.6, cycles=(cycle(1, "kill"), cycle(2, "stop"), cycle(3, "kill", "it is lost")))
    found = cycles_of(report, "")
    assert (found.faults, found.acked, found.refused, found.unknown) == ({"kill": 2, "stop": 1}, 30, 6, 3)
    assert ["it is lost" in text for text in found.failed] == [True]


def test_seeds_go_on_until_time_is_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tests.reliability.__main__.STORM_S", BRIEF_S)
    monkeypatch.setattr("tests.reliability.__main__.BATCH", 2)
    assert run_seeds(40, 0.0, 1).count == 2
    assert "2 seeds, 0 failed" in capsys.readouterr().err


def test_the_manual_and_readme_tell_of_the_last_one_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == section(last)
    assert summary(last) in " ".join((ROOT / "README.md").read_text().split())
    assert main(["--page"]) == 0
    assert capsys.readouterr().out == f"{section(last)}\n{summary(last)}\n"


SOAKED = Soaked(minutes=60.0, seed=1, rate=4.0, acked=14_000, refused=1, unknown=0, visits=9_000, failed=(), nodes=(
    Node(name="node-a", first_mib=88.1, last_mib=88.4, handles=(16, 17), db_handles=(7, 9), threads=(2, 3),
         tasks=(57, 58), cpu_s=200.0, log_ops=900, tombstones=3_000, db_mib=6.5),
))


def test_a_soak_is_told_with_its_own_day_and_where_there_is_none_that_is_said() -> None:
    last = replace(msgspec.json.decode(LAST.read_bytes(), type=Campaign), soak=None)
    assert "No soak is recorded yet." in section(last)
    assert "No soak is recorded yet." in summary(last)
    soaked = replace(last, soak=Soak(commit="abc", day="2026-12-01", found=SOAKED))
    told = " ".join(section(soaked).split())
    assert "Soak, on 2026-12-01, commit abc: 60 minutes of four daemons" in told
    assert "node-a: 88.1 MiB of memory in the second quarter of the time and 88.4 in the last" in told
    assert "16 and 17 handles, 7 and 9 of its database, 2 and 3 threads, 57 and 58 tasks" in told
    assert "nothing grew" in summary(soaked)
    assert soaked.is_clean
    bad = replace(soaked, soak=Soak(commit="abc", day="2026-12-01", found=replace(SOAKED, failed=("it grew",))))
    assert "Not as it is to be: it grew." in section(bad)
    assert "no acknowledged write lost" in summary(bad)
    assert "nothing grew" not in summary(bad)
    assert not bad.is_clean


def test_a_soak_takes_its_place_in_a_kept_campaign_and_stays_while_that_is_run_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = replace(msgspec.json.decode(LAST.read_bytes(), type=Campaign), soak=None)
    soak = Soak(commit="abc", day="2026-12-01", found=SOAKED)
    monkeypatch.setattr("tests.reliability.__main__.run_soak", lambda *_: soak)
    monkeypatch.setattr("tests.reliability.__main__.run_campaign", lambda *_: replace(last, commit="anew"))
    file = tmp_path / "last.json"
    with pytest.raises(SystemExit, match="2"):
        main(["--minutes", "0", "--soak-minutes", "60", "--json", str(file)])
    file.write_bytes(msgspec.json.encode(last))
    assert main(["--minutes", "0", "--soak-minutes", "60", "--json", str(file)]) == 0
    assert msgspec.json.decode(file.read_bytes(), type=Campaign) == replace(last, soak=soak)
    assert main(["--minutes", "1", "--json", str(file)]) == 0
    assert msgspec.json.decode(file.read_bytes(), type=Campaign) == replace(last, soak=soak, commit="anew")
    assert "Soak, on 2026-12-01" in capsys.readouterr().out


def test_failures_are_said_where_there_were_any() -> None:
    last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
    bad = replace(last, seeds=replace(last.seeds, failed=("one",)), cycles=replace(last.cycles, left_out="no room"))
    assert "In 1 run a promise was broken" in section(bad)
    assert "no room" in section(bad)
    assert "no acknowledged write lost" not in summary(bad)


def test_machine_and_commit_are_named() -> None:
    assert min(this_machine().cores, this_machine().memory_gib) >= 1
    assert re.fullmatch(r"([0-9a-f]{7,40}\+?)?", this_commit())     # a source without its history has none
