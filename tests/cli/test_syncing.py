"""`ai-memory sync FILE`: two databases, the newer wins, and what was deleted stays deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimem.cli import ExitStatus
from tests.cli.real import RealMachine

OTHER = ("--db", "other.db")


@pytest.fixture
def machine(tmp_path: Path) -> RealMachine:
    return RealMachine(tmp_path)


def store(machine: RealMachine, title: str, content: str, *where: str, agent: str = "tester") -> str:
    machine.clock.advance(1)
    stored = machine.json("--agent-id", agent, *where, "store", "-n", "n", "-t", "long", "-T", title, "-c", content)
    return str(stored["id"])


def texts(machine: RealMachine, *where: str) -> dict[str, str]:
    exported = json.loads(machine.run(*where, "export").out)
    return {memory["title"]: memory["content"] for memory in exported["memories"]}


def digest(machine: RealMachine, *where: str) -> str:
    return machine.run(*where, "export", "--digest-only").out


def two(machine: RealMachine) -> dict[str, str]:
    """Two databases: one title each, one that both have, newer here or there."""
    return {
        "here": store(machine, "only here", "x"), "there": store(machine, "only there", "x", *OTHER),
        "old here": store(machine, "newer there", "old"), "new there": store(machine, "newer there", "new", *OTHER),
        "old there": store(machine, "newer here", "old", *OTHER), "new here": store(machine, "newer here", "new"),
    }


def test_a_pull_brings_what_is_new_or_newer_and_restamps_it(machine: RealMachine) -> None:
    two(machine)
    before = digest(machine, *OTHER)
    report = machine.json("--agent-id", "me", "sync", "-d", "pull", "other.db")
    assert (report["direction"], report["imported"]) == ("pull", 2)
    assert report["pull"] == {
        "new": 1, "update": 1, "noop": 1, "links": 0, "archived": 0, "deleted_there": 0, "refused": []}
    assert texts(machine) == {"only here": "x", "only there": "x", "newer there": "new", "newer here": "new"}
    assert digest(machine, *OTHER) == before
    exported = json.loads(machine.run("export").out)["memories"]
    (pulled,) = [memory for memory in exported if memory["title"] == "only there"]
    assert pulled["metadata"] == {"agent_id": "me", "imported_from_agent_id": "tester"}
    assert machine.json("sync", "-d", "pull", "other.db")["imported"] == 0


def test_a_push_gives_what_is_here_and_never_an_older_text(machine: RealMachine) -> None:
    two(machine)
    before = digest(machine)
    report = machine.json("--agent-id", "me", "sync", "-d", "push", "other.db")
    assert (report["direction"], report["exported"]) == ("push", 2)
    assert texts(machine, *OTHER) == {"only here": "x", "only there": "x", "newer there": "new", "newer here": "new"}
    exported = json.loads(machine.run(*OTHER, "export").out)["memories"]
    assert {memory["metadata"]["agent_id"] for memory in exported} == {"tester"}
    assert digest(machine) == before


def test_a_merge_makes_both_alike_links_and_archive_too(machine: RealMachine) -> None:
    ids = two(machine)
    machine.json("link", ids["here"], ids["old here"])
    machine.json(*OTHER, "link", ids["there"], ids["old there"])
    away = store(machine, "put away", "x", *OTHER)
    machine.json(*OTHER, "archive", "add", away)
    report = machine.json("sync", "--trust-source", "other.db")
    assert (report["direction"], report["pulled"], report["pushed"]) == ("merge", 2, 2)
    assert (report["pull"]["links"], report["pull"]["archived"], report["push"]["links"]) == (1, 1, 1)
    assert texts(machine) == texts(machine, *OTHER)
    archived = [json.loads(machine.run(*where, "export").out)["archived"] for where in ((), OTHER)]
    assert [row["id"] for row in archived[0]] == [row["id"] for row in archived[1]] == [away]
    again = machine.json("sync", "--trust-source", "other.db")
    assert (again["pulled"], again["pushed"], again["pull"]["links"], again["push"]["links"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("direction", ["pull", "push", "merge"])
def test_a_dry_run_says_what_then_happens_and_changes_nothing(machine: RealMachine, direction: str) -> None:
    ids = two(machine)
    machine.json("link", ids["here"], ids["old here"])
    machine.json(*OTHER, "link", ids["there"], ids["old there"])
    before = digest(machine), digest(machine, *OTHER)
    dry = machine.json("sync", "-d", direction, "--dry-run", "--trust-source", "other.db")
    assert (digest(machine), digest(machine, *OTHER)) == before
    assert (dry["dry_run"], dry["direction"]) == (True, direction)
    assert not {"imported", "exported", "pulled", "pushed"} & set(dry)
    done = machine.json("sync", "-d", direction, "--trust-source", "other.db")
    for name in {"pull", "push"} & set(dry):
        for count in ("new", "update", "links", "archived"):
            # The second half of a merge meets what the first half brought.
            assert dry[name][count] == done[name][count], (name, count)


def test_what_was_deleted_here_is_never_brought_back(machine: RealMachine) -> None:
    ids = two(machine)
    machine.json("sync", "--trust-source", "other.db")
    machine.json("link", ids["here"], ids["there"])
    machine.json(*OTHER, "link", ids["there"], ids["here"])
    machine.json("delete", ids["there"])
    for direction in ("pull", "merge"):
        report = machine.json("sync", "-d", direction, "other.db")
        assert (report["pull"]["deleted_there"], report["pull"]["refused"], report["pull"]["new"]) == (1, [], 0)
        assert "only there" not in texts(machine)
    assert "only there" in texts(machine, *OTHER)


def test_the_lines_for_people_say_the_same(machine: RealMachine) -> None:
    two(machine)
    done = machine.run("sync", "other.db")
    assert done.out == (
        "pulled: 2 memories, 0 links, 1 of them updated, 1 unchanged\n"
        "pushed: 2 memories, 0 links, 1 of them updated, 2 unchanged\n")


@pytest.mark.parametrize(("file", "status"), [
    ("missing.db", ExitStatus.NOT_FOUND), ("memory.db", ExitStatus.INVALID), ("./x/../memory.db", ExitStatus.INVALID),
    ("a" * 300, ExitStatus.INVALID), ("~nobody-of-this-name/x.db", ExitStatus.NOT_FOUND),
])
def test_a_missing_file_or_the_same_is_refused(machine: RealMachine, file: str, status: ExitStatus) -> None:
    (machine.cwd / "x").mkdir()
    store(machine, "t", "x")
    done = machine.run("sync", file)
    assert (done.status, done.out) == (status, "")


def test_a_file_that_is_no_database_is_refused(machine: RealMachine) -> None:
    store(machine, "t", "x")
    (machine.cwd / "text.db").write_text("this is no database at all, only a text of some length " * 20)
    done: Any = machine.run("sync", "text.db")
    assert done.status != ExitStatus.OK
    assert "bug" not in done.err
    assert texts(machine) == {"t": "x"}


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_same_file_by_another_name_is_refused_before_it_is_opened(
    machine: RealMachine, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    """By two hard links one file has two locks and two write-ahead logs: opening both destroyed it."""
    store(machine, "kept", "x")
    [here] = [path for path in tmp_path.rglob("*.db") if path.name != "other.db"]
    link(here, tmp_path / "again.db")
    refused = machine.run("sync", str(tmp_path / "again.db"))
    assert refused.status is ExitStatus.INVALID
    assert "is the database of this command" in refused.err
    (tmp_path / "again.db").unlink()
    assert texts(machine) == {"kept": "x"}
