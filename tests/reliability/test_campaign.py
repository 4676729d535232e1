"""The figures of a campaign are what its runs say, and manual and README tell of the last one as it was."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.cycles.book import Book
from tests.cycles.cycles import Cycle
from tests.cycles.cycles import Report as Cycles
from tests.cycles.faults import FAULTS
from tests.cycles.machine import Need
from tests.mesh.certified import NAMES
from tests.reliability.__main__ import main, run_seeds
from tests.reliability.figures import (
    LAST,
    Broken,
    Campaign,
    Seeds,
    cycles_of,
    seeds_of,
    this_commit,
    this_machine,
)
from tests.reliability.page import section, summary
from tests.reliability.passes import PASSES, run_pass
from tests.reliability.soak import soaking
from tests.sim.runs import run_one
from tests.sim.seeds import Case
from tests.sim.watch import Violation
from tests.soak.figures import Node, Soaked, soaked_of
from tests.soak.made import flat
from tests.soak.soak import Plan, judged

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
    seeds = run_seeds(40, 3600.0, 1)
    assert [next(seeds).count, next(seeds).count] == [2, 4]
    assert "4 seeds, 0 failed" in capsys.readouterr().err
    assert [found.count for found in run_seeds(40, 0.0, 1)] == [2]


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
    assert "In 1 cycle a promise was broken" in section(worse)
    assert "no acknowledged write lost" not in summary(worse)


def test_a_part_that_is_not_recorded_is_named() -> None:
    last = msgspec.json.decode(LAST.read_bytes(), type=Campaign)
    for found, missing in (
        (replace(last, seeds=None, soak=SOAKED), "No seeds are recorded."),
        (replace(last, cycles=(), soak=SOAKED), "No cycles of real processes are recorded."),
        (replace(last, soak=None), "No soak is recorded."),
    ):
        assert missing in section(found).splitlines()
        assert summary(found).endswith(f"; no acknowledged write lost. {missing}")
    complete = replace(last, soak=SOAKED)
    assert "recorded" not in section(complete) + summary(complete)


SOAKED = Soaked(minutes=60.0, seed=1, rate=4.0, acked=14_000, refused=1, unknown=0, visits=9_000, failed=(), nodes=(
    Node(name="node-a", first_mib=88.1, last_mib=88.4, sqlite_mib=(8.5, 11.0), handles=(16, 17), db_handles=(7, 9),
         threads=(2, 3), tasks=(57, 58), cpu_s=200.0, log_ops=900, tombstones=3_000, db_mib=6.5),
))


def test_a_soak_is_told_and_one_that_failed_is_no_clean_campaign() -> None:
    last = replace(msgspec.json.decode(LAST.read_bytes(), type=Campaign), soak=SOAKED)
    told = " ".join(section(last).split())
    assert "Soak: 60 minutes of four daemons" in told
    assert "node-a: 88.1 MiB of memory in the second quarter of the time and 88.4 in the last, and" in told
    assert "8.5 and 11.0 of SQLite's" in told
    assert "16 and 17 handles, 7 and 9 of its database, 2 and 3 threads, 57 and 58 tasks" in told
    assert "60 minutes of four daemons under a steady load, in which nothing grew; no ack" in summary(last)
    assert last.failed == ()
    of_another = replace(last, soak_commit="0123abc")
    assert "Soak, on commit 0123abc: 60 minutes" in " ".join(section(of_another).split())
    assert "under a steady load (on 0123abc), in which nothing grew" in summary(of_another)
    bad = replace(last, soak=replace(SOAKED, failed=("it grew",)))
    assert "Not as it is to be: it grew." in section(bad)
    assert "nothing grew" not in summary(bad)
    assert "no acknowledged write lost" not in summary(bad)
    assert bad.failed == ("it grew",)


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
        before = replace(
            last, commit=kept, cycles=(replace(first, name="packets"), replace(first, name="kills")), soak=SOAKED,
        )
        file.write_bytes(msgspec.json.encode(before))
        monkeypatch.setattr("tests.reliability.__main__.this_commit", lambda: commit)
        assert main([
            "--minutes", "0", "--fault-cycles", "0", "--soak-minutes", "0", "--json", str(file),
        ]) == 0
        return msgspec.json.decode(file.read_bytes(), type=Campaign)

    new = cycles_of("kills", Cycles(seed=5, seconds=2.0, cycles=(cycle(1, "kill"),)), "")
    monkeypatch.setattr("tests.reliability.__main__.run_pass", lambda name, *_: new if name == "kills" else None)
    found = again("abc", "abc")
    assert (found.seeds, found.cycles) == (last.seeds, (new, replace(first, name="packets")))
    assert found.soak == SOAKED
    assert not capsys.readouterr().err
    for commit, kept in (("abc", "def"), ("abc+", "abc+"), ("", "")):
        found = again(commit, kept)
        assert (found.seeds, found.cycles, found.soak, found.commit) == (None, (new,), None, commit)
        assert "it is not kept" in capsys.readouterr().err


def test_cycles_come_first_and_alone_then_seeds_with_a_soak_beside_them_and_each_is_kept_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, last, done = tmp_path / "figures.json", msgspec.json.decode(LAST.read_bytes(), type=Campaign), list[str]()
    kills = replace(last.cycles[0], name="kills")

    def kept() -> tuple[bool, bool, bool]:
        found = msgspec.json.decode(file.read_bytes(), type=Campaign)
        return found.cycles == (kills,), found.seeds == last.seeds, found.soak == SOAKED

    def run_pass(name: str, *_: object) -> Broken | None:
        done.append(name)
        return kills if name == "kills" else None

    @contextlib.contextmanager
    def soaking(minutes: float, _: int) -> Iterator[Callable[[float | None], Soaked | None]]:
        done.append(f"soak of {minutes:g}")
        assert kept() == (True, False, False)
        yield lambda patience_s: SOAKED if patience_s is None else None
        done.append("soaked")

    def run_seeds(*_: object) -> Iterator[Seeds | None]:
        done.append("seeds")
        yield last.seeds
        assert kept() == (True, True, False)

    for name, fake in (("run_pass", run_pass), ("soaking", soaking), ("run_seeds", run_seeds)):
        monkeypatch.setattr(f"tests.reliability.__main__.{name}", fake)
    assert main(["--soak-minutes", "7", "--json", str(file)]) == 0
    assert done == [*PASSES, "soak of 7", "seeds", "soaked"]
    assert kept() == (True, True, True)


def test_a_soak_is_waited_for_and_ends_with_the_block_and_one_that_breaks_off_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, report = tmp_path / "program", tmp_path / "report.json"
    begun, popen = list[subprocess.Popen[bytes]](), subprocess.Popen

    def begin(words: list[str], **rest: Any) -> subprocess.Popen[bytes]:
        begun.append(popen(words, **rest))
        return begun[-1]

    def run(script: str, patience_s: float | None) -> Soaked | None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        with soaking(2.0, 3) as wait:
            return wait(patience_s)

    program.touch(mode=0o700)
    monkeypatch.setattr("tests.reliability.soak.sys.executable", str(program))
    monkeypatch.setattr("tests.reliability.soak.subprocess.Popen", begin)
    samples = [replace(one, node=name) for one in flat(5) for name in NAMES]
    found = judged(Plan(minutes=2.0, seed=3), 120.0, Book(acked=5), {}, (samples, samples, samples), ())
    report.write_bytes(msgspec.json.encode(found))
    words = "-m tests.soak --minutes 2.0 --seed 3 --json $8 --tethered"
    assert run(f'test "$*" = "{words}" && cp {report} "$8"', None) == soaked_of(found)
    broken = run("exit 3", None)
    assert broken is not None
    assert broken.failed == ("soak: ended with status 3, and told nothing",)
    assert run("exec sleep 600", 0.0) is None
    assert [process.returncode for process in begun] == [0, 3, -signal.SIGTERM]
    with soaking(0.0, 3) as wait:
        assert wait(None) is None
    assert len(begun) == 3


def test_nothing_to_do_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--minutes", "0", "--kill-cycles", "0", "--fault-cycles", "0", "--soak-minutes", "0"])
    assert "nothing is left to do" in capsys.readouterr().err


def test_machine_and_commit_are_named() -> None:
    assert min(this_machine().cores, this_machine().memory_gib) >= 1
    assert re.fullmatch(r"([0-9a-f]{7,40}\+?)?", this_commit())     # a source without its history has none
