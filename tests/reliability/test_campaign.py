"""The figures of a campaign are what its runs say, and manual and README tell of the last one as it was."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from msgspec.structs import replace

from tests.cycles.cycles import Cycle
from tests.cycles.cycles import Report as Cycles
from tests.cycles.faults import FAULTS
from tests.cycles.machine import Need
from tests.reliability.__main__ import main, run_seeds
from tests.reliability.figures import LAST, Campaign, cycles_of, seeds_of, this_commit, this_machine
from tests.reliability.page import section, summary
from tests.reliability.passes import PASSES, run_pass
from tests.sim.runs import run_one
from tests.sim.seeds import Case
from tests.sim.watch import Violation

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
    found = cycles_of("all", report, "")
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


def test_failures_are_said_where_there_were_any() -> None:
    last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
    assert last.seeds is not None
    [first, *_] = last.cycles
    bad = replace(last, seeds=replace(last.seeds, failed=("one",)), cycles=(replace(first, left_out="no room"),))
    assert "In 1 run a promise was broken" in section(bad)
    assert "No promise was broken in any cycle" in section(bad)
    assert "no room" in section(bad)
    assert "no acknowledged write lost" not in summary(bad)
    worse = replace(bad, seeds=None, cycles=(first, replace(first, failed=("another",))))
    assert "No seed was simulated" in section(worse)
    assert "In 1 cycle a promise was broken" in section(worse)
    assert "no acknowledged write lost" not in summary(worse)


def test_kills_and_other_faults_are_summed_up() -> None:
    last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
    [first, *_] = last.cycles
    kills = replace(first, faults={"kill": 60, "kill-trim": 40})
    others = replace(first, faults={"stop": 9, "link-drip": 9})
    found = replace(last, cycles=(kills, others))
    assert "100 kills of real processes; 9 of each of 2 other faults; " in summary(found)
    found = replace(last, seeds=None, cycles=(*found.cycles, replace(first, faults={"clock-ahead": 8})))
    assert "at least 8 of each of 3 other faults; " in summary(found)


def test_every_fault_is_in_one_pass_with_others_that_need_the_same() -> None:
    assert Counter(name for names in PASSES.values() for name in names) == Counter(list(FAULTS))
    needs = {frozenset(FAULTS[name].needs - {Need.DISK} for name in names) for names in PASSES.values()}
    assert needs == {frozenset({frozenset[Need](each)}) for each in ((), (Need.CLOCK,), (Need.NETWORK,))}


def test_each_pass_is_asked_for_its_cycles_and_one_that_breaks_off_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[list[str]]()

    def run(words: list[str], **_: object) -> SimpleNamespace:
        asked.append(words)
        if len(asked) == 1:
            report = Cycles(seed=5, seconds=2.0, cycles=(cycle(1, "kill"),))
            Path(words[words.index("--json") + 1]).write_bytes(msgspec.json.encode(report))
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr("tests.reliability.passes.subprocess.run", run)
    monkeypatch.setattr("tests.reliability.passes.lacks", lambda needs: "no clocks" if Need.CLOCK in set(needs) else "")
    kills, packets = run_pass("kills", 100, 10, 5), run_pass("packets", 100, 10, 5)
    assert kills is not None
    assert (kills.name, kills.faults, kills.failed) == ("kills", {"kill": 1}, ())
    assert packets is not None
    assert packets.failed == ("packets: ended with status 3, and told nothing",)
    assert [words[words.index("--cycles") + 1] for words in asked] == ["100", "30"]
    assert [words[words.index("--fault") + 1].split(",") for words in asked] == [
        list(PASSES[name]) for name in ("kills", "packets")
    ]
    clocks = run_pass("clocks", 100, 10, 5)
    assert clocks is not None
    assert (clocks.left_out, clocks.faults, len(asked)) == ("no clocks", {}, 2)
    assert run_pass("kills", 0, 10, 5) is run_pass("packets", 100, 0, 5) is None


def test_what_is_left_out_is_kept_of_the_same_commit_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, last = tmp_path / "figures.json", msgspec.json.decode(LAST.read_bytes(), type=Campaign)
    [first, *_] = last.cycles

    def again(commit: str, kept: str) -> Campaign:
        before = replace(last, commit=kept, cycles=(replace(first, name="packets"), replace(first, name="kills")))
        file.write_bytes(msgspec.json.encode(before))
        monkeypatch.setattr("tests.reliability.__main__.this_commit", lambda: commit)
        assert main(["--minutes", "0", "--fault-cycles", "0", "--json", str(file)]) == 0
        return msgspec.json.decode(file.read_bytes(), type=Campaign)

    new = cycles_of("kills", Cycles(seed=5, seconds=2.0, cycles=(cycle(1, "kill"),)), "")
    monkeypatch.setattr("tests.reliability.__main__.run_pass", lambda name, *_: new if name == "kills" else None)
    found = again("abc", "abc")
    assert (found.seeds, found.cycles) == (last.seeds, (new, replace(first, name="packets")))
    assert not capsys.readouterr().err
    for commit, kept in (("abc", "def"), ("abc+", "abc+"), ("", "")):
        found = again(commit, kept)
        assert (found.seeds, found.cycles, found.commit) == (None, (new,), commit)
        assert "it is not kept" in capsys.readouterr().err


def test_machine_and_commit_are_named() -> None:
    assert min(this_machine().cores, this_machine().memory_gib) >= 1
    assert re.fullmatch(r"([0-9a-f]{7,40}\+?)?", this_commit())     # a source without its history has none
