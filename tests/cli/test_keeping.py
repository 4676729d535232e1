"""The verbs backup, restore and verify: what they print, and their statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aimem.cli import ExitStatus
from aimem.ports import system_files
from aimem.store import NodeLock, replacing
from tests.cli.real import RealMachine


@pytest.fixture
def machine(tmp_path: Path) -> RealMachine:
    made = RealMachine(tmp_path)
    made.run("store", "-T", "Lamp", "-c", "It is green.")
    return made


def test_a_backup_is_named_with_what_went_for_it(machine: RealMachine) -> None:
    first, second = machine.run("backup", "--keep", "1"), machine.run("backup", "--to", "other", "--json")
    assert first.status == second.status == ExitStatus.OK
    path = next(machine.cwd.glob("backups/*.db"))
    assert first.out.startswith(f"{path}  ")
    assert first.out.endswith("1 memory, checked\n")
    assert json.loads(second.out)["memories"] == 1


def test_what_was_restored_and_what_was_kept_is_said(machine: RealMachine) -> None:
    machine.run("backup")
    machine.run("store", "-T", "Chair", "-c", "It is red.")
    done = machine.run("restore", "--from", "backups")
    lines = done.out.splitlines()
    assert (done.status, len(lines)) == (ExitStatus.OK, 2)
    assert lines[0].startswith(f"{machine.cwd / 'memory.db'}  restored from ")
    assert lines[1].endswith("  what it was before")
    assert [one["title"] for one in json.loads(machine.run("list", "--json").out)["memories"]] == ["Lamp"]


def test_what_is_not_sound_has_status_1_and_says_why(machine: RealMachine) -> None:
    machine.run("backup")
    assert machine.run("verify").status == machine.run("verify", "backups").status == ExitStatus.OK
    path = next(machine.cwd.glob("backups/*.db"))
    path.write_bytes(path.read_bytes()[:-1])
    done = machine.run("verify", "backups")
    assert done.status == ExitStatus.OTHER
    assert done.out.startswith(f"{path}  NOT SOUND\n  manifest")
    assert "by its manifest" in done.out
    refused = machine.run("restore", "--from", "backups")
    assert (refused.status, refused.out) == (ExitStatus.NOT_FOUND, "")
    assert "has no backup that is whole" in refused.err


def test_a_database_that_a_killed_restore_left_on_its_way_is_not_said_to_be_missing(machine: RealMachine) -> None:
    db = machine.cwd / "memory.db"
    db.rename(replacing.copy_path(db))
    replacing.commit(db)
    refused = machine.run("verify")
    assert (refused.status, "was cut off before its end" in refused.err) == (ExitStatus.UNAVAILABLE, True)
    NodeLock.take(system_files(), db, "the next one").release()
    assert machine.run("verify").status == ExitStatus.OK
